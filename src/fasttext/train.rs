//! Training of classifiers: the linear model of Joulin et al. 2016 (arXiv 1607.01759), word n-grams hashed, softmax,
//! stochastic gradient descent with a rate that falls linearly to zero.
//!
//! One thread, and an order that a seed decides: the same texts give the same bytes.

use std::collections::HashMap;

use super::dictionary::{hash, word_ngrams};
use super::output::softmax;
use super::{END_OF_LINE, LABEL_PREFIX, MAGIC, Units, VERSION};

/// How a classifier is trained.
#[derive(Debug, Clone, PartialEq)]
pub struct Training {
    /// What counts as a word.
    pub units: Units,
    /// The numbers that stand for a word or n-gram. Default 16, our own guess: two labels need few; Joulin et al. 2016
    /// have 10.
    pub dim: usize,
    /// The most words of an n-gram. Default 2, as DCLM's classifier (Li et al. 2024, arXiv 2406.11794, section 4.4).
    pub word_ngrams: usize,
    /// The rows that n-grams are hashed into. Default 500,000, our own guess: 32 MB with 16 numbers each.
    pub buckets: u32,
    /// Words that are seen less often have no row of their own. Default 5, our own guess.
    pub min_count: u64,
    /// How often each text is seen. Default 5, as fastText.
    pub epochs: u32,
    /// The rate at the beginning. Default 0.1, as fastText.
    pub learning_rate: f32,
    /// Decides the order of texts and the numbers at the beginning.
    pub seed: u64,
}

impl Default for Training {
    fn default() -> Self {
        Self {
            units: Units::Spaces,
            dim: 16,
            word_ngrams: 2,
            buckets: 500_000,
            min_count: 5,
            epochs: 5,
            learning_rate: 0.1,
            seed: 1,
        }
    }
}

/// Texts with labels, taken in to learn from.
pub struct Trainer {
    settings: Training,
    labels: Vec<String>,
    label_counts: Vec<u64>,
    places: HashMap<Box<[u8]>, u32>,
    words: Vec<Word>,
    /// The words of all texts, behind each other.
    tokens: Vec<u32>,
    texts: Vec<Text>,
}

struct Word {
    bytes: Box<[u8]>,
    hash: u32,
    count: u64,
}

struct Text {
    label: usize,
    end: usize,
}

impl Trainer {
    /// Nothing learned yet. The message says which setting is wrong.
    pub fn new(settings: Training) -> Result<Self, String> {
        let Training { dim, word_ngrams, buckets, epochs, learning_rate, .. } = settings;
        let wrong = |what: &str, is: &dyn std::fmt::Display, expected: &str| {
            Err(format!("the {what} is {is}, expected {expected}"))
        };
        if !(1..=1000).contains(&dim) {
            return wrong("dimension", &dim, "1 to 1000");
        }
        if !(1..=10).contains(&word_ngrams) {
            return wrong("length of n-grams", &word_ngrams, "1 to 10");
        }
        if !(1..=1 << 28).contains(&buckets) {
            return wrong("number of buckets", &buckets, "1 to 268435456");
        }
        if !(1..=1000).contains(&epochs) {
            return wrong("number of epochs", &epochs, "1 to 1000");
        }
        if !(learning_rate > 0.0 && learning_rate <= 10.0) {
            return wrong("learning rate", &learning_rate, "above 0 and at most 10");
        }
        Ok(Self {
            settings,
            labels: Vec::new(),
            label_counts: Vec::new(),
            places: HashMap::new(),
            words: Vec::new(),
            tokens: Vec::new(),
            texts: Vec::new(),
        })
    }

    /// Takes in a text. A label is a word, its prefix left out.
    pub fn add(&mut self, label: &str, text: &str) {
        let at = self.labels.iter().position(|known| known == label).unwrap_or_else(|| {
            self.labels.push(label.to_owned());
            self.label_counts.push(0);
            self.labels.len() - 1
        });
        self.label_counts[at] += 1;
        // What is passed over here is passed over by every reader of the model.
        let words = self.settings.units.tokens(text).map(str::as_bytes).take_while(|word| *word != END_OF_LINE);
        for word in words.filter(|word| !word.starts_with(LABEL_PREFIX.as_bytes())).chain([END_OF_LINE]) {
            let place = match self.places.get(word) {
                Some(place) => *place,
                None => {
                    let place = self.words.len() as u32;
                    self.places.insert(word.into(), place);
                    self.words.push(Word { bytes: word.into(), hash: hash(word), count: 0 });
                    place
                }
            };
            self.words[place as usize].count += 1;
            self.tokens.push(place);
        }
        self.texts.push(Text { label: at, end: self.tokens.len() });
    }

    /// The number of texts taken in.
    pub fn n_texts(&self) -> usize {
        self.texts.len()
    }

    /// Learns, and gives the bytes of a `.bin` file that fastText reads. At least two labels must be there. `at` is told
    /// the share of the work that is done, now and then.
    pub fn train(&self, at: &mut dyn FnMut(f64)) -> Vec<u8> {
        let Training { dim, epochs, learning_rate, seed, .. } = self.settings;
        let kept = self.kept_words();
        let mut rows = vec![None; self.words.len()];
        for (row, &word) in kept.iter().enumerate() {
            rows[word] = Some(row as u32);
        }
        let labels = self.labels_by_count();
        let mut place_of_label = vec![0; labels.len()];
        labels.iter().enumerate().for_each(|(place, &label)| place_of_label[label] = place);

        let mut random = Random(seed);
        let mut weights = Weights {
            dim,
            input: (0..(kept.len() + self.n_buckets()) * dim)
                .map(|_| (random.share() * 2.0 - 1.0) / dim as f32)
                .collect(),
            output: vec![0.0; labels.len() * dim],
            hidden: vec![0.0; dim],
            gradient: vec![0.0; dim],
            scores: vec![0.0; labels.len()],
        };
        let mut order: Vec<usize> = (0..self.texts.len()).collect();
        let (mut features, mut hashes) = (Vec::new(), Vec::new());
        let n_steps = f64::from(epochs) * order.len() as f64;
        let mut n_done = 0.0;
        for _ in 0..epochs {
            random.shuffle(&mut order);
            for &text in &order {
                if n_done % 1000.0 == 0.0 {
                    at(n_done / n_steps);
                }
                self.features(text, &rows, kept.len(), &mut hashes, &mut features);
                let rate = learning_rate * (1.0 - n_done / n_steps) as f32;
                weights.learn(&features, place_of_label[self.texts[text].label], rate);
                n_done += 1.0;
            }
        }
        self.written(&kept, &labels, &weights)
    }

    /// Words by their counts, the most frequent first, then by first sight; without the rare ones.
    fn kept_words(&self) -> Vec<usize> {
        let is_kept =
            |&at: &usize| self.words[at].count >= self.settings.min_count || *self.words[at].bytes == *END_OF_LINE;
        let mut kept: Vec<usize> = (0..self.words.len()).filter(is_kept).collect();
        kept.sort_by_key(|&at| std::cmp::Reverse(self.words[at].count));
        kept
    }

    fn labels_by_count(&self) -> Vec<usize> {
        let mut labels: Vec<usize> = (0..self.labels.len()).collect();
        labels.sort_by_key(|&at| std::cmp::Reverse(self.label_counts[at]));
        labels
    }

    /// fastText makes buckets only where something is hashed.
    fn n_buckets(&self) -> usize {
        if self.settings.word_ngrams > 1 { self.settings.buckets as usize } else { 0 }
    }

    /// The rows of a text, as a reader of the model finds them.
    fn features(
        &self,
        text: usize,
        rows: &[Option<u32>],
        n_words: usize,
        hashes: &mut Vec<u32>,
        features: &mut Vec<usize>,
    ) {
        let begin = text.checked_sub(1).map_or(0, |before| self.texts[before].end);
        let tokens = &self.tokens[begin..self.texts[text].end];
        features.clear();
        features.extend(tokens.iter().filter_map(|&token| rows[token as usize]).map(|row| row as usize));
        hashes.clear();
        hashes.extend(tokens.iter().map(|&token| self.words[token as usize].hash));
        let Training { word_ngrams: n, buckets, .. } = self.settings;
        word_ngrams(hashes, n, buckets, &mut |bucket| features.push(n_words + bucket as usize));
    }

    /// The model as a file.
    fn written(&self, kept: &[usize], labels: &[usize], weights: &Weights) -> Vec<u8> {
        let Training { dim, word_ngrams, min_count, epochs, .. } = self.settings;
        let mut file = Vec::with_capacity((weights.input.len() + weights.output.len()) * 4 + (1 << 16));
        let numbers = [
            MAGIC,
            VERSION,
            dim as i32,
            // The window and the negatives of word vectors: fastText's defaults, of no use here.
            5,
            epochs as i32,
            i32::try_from(min_count).unwrap_or(i32::MAX),
            5,
            word_ngrams as i32,
            // Softmax, of a classifier.
            3,
            3,
            self.n_buckets() as i32,
            0,
            0,
            100,
        ];
        numbers.iter().for_each(|number| file.extend(number.to_le_bytes()));
        file.extend(1e-4f64.to_le_bytes());
        for n in [kept.len() + labels.len(), kept.len(), labels.len()] {
            file.extend((n as i32).to_le_bytes());
        }
        file.extend((self.tokens.len() as i64).to_le_bytes());
        file.extend((-1i64).to_le_bytes());
        let mut word = |parts: &[&[u8]], count: u64, kind: u8| {
            parts.iter().for_each(|part| file.extend_from_slice(part));
            file.push(0);
            file.extend(count.to_le_bytes());
            file.push(kind);
        };
        kept.iter().for_each(|&at| word(&[&self.words[at].bytes], self.words[at].count, 0));
        for &label in labels {
            word(&[LABEL_PREFIX.as_bytes(), self.labels[label].as_bytes()], self.label_counts[label], 1);
        }
        for matrix in [&weights.input, &weights.output] {
            file.push(0);
            file.extend(((matrix.len() / dim) as i64).to_le_bytes());
            file.extend((dim as i64).to_le_bytes());
            matrix.iter().for_each(|weight| file.extend(weight.to_le_bytes()));
        }
        file
    }
}

/// What is learned, and room to work in.
struct Weights {
    dim: usize,
    input: Vec<f32>,
    output: Vec<f32>,
    hidden: Vec<f32>,
    gradient: Vec<f32>,
    scores: Vec<f32>,
}

impl Weights {
    /// A step towards the label of a text.
    fn learn(&mut self, features: &[usize], label: usize, rate: f32) {
        let Self { dim, input, output, hidden, gradient, scores } = self;
        let dim = *dim;
        let share = 1.0 / features.len() as f32;
        hidden.fill(0.0);
        for &row in features {
            add(hidden, &input[row * dim..][..dim], 1.0);
        }
        hidden.iter_mut().for_each(|x| *x *= share);
        for (score, row) in scores.iter_mut().zip(output.chunks_exact(dim)) {
            *score = row.iter().zip(&*hidden).map(|(weight, x)| weight * x).sum();
        }
        softmax(scores);
        gradient.fill(0.0);
        for (at, (score, row)) in scores.iter().zip(output.chunks_exact_mut(dim)).enumerate() {
            let step = rate * (f32::from(u8::from(at == label)) - score);
            add(gradient, row, step);
            add(row, hidden, step);
        }
        for &row in features {
            add(&mut input[row * dim..][..dim], gradient, share);
        }
    }
}

fn add(to: &mut [f32], from: &[f32], factor: f32) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += factor * from;
    }
}

/// `SplitMix64` (Steele et al. 2014): good enough to shuffle.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// From 0 to before 1, in steps that a float can tell apart.
    fn share(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            // The remainder is biased by less than one in 2^32 for what memory holds.
            items.swap(i, (self.next() % (i as u64 + 1)) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fasttext::Model;

    const BOAT: [&str; 4] = [
        "the boat lay on the mud and waited for the tide",
        "a rope held the bow of the boat to the old pier",
        "at low tide the mud is deep and the rope is tight",
        "the boat waited at the pier for a day",
    ];
    const BREAD: [&str; 4] = [
        "knead the dough until it is smooth",
        "let the dough rise under a cloth",
        "bake it in a hot oven until it is brown",
        "the oven is hot and the bread is good",
    ];

    fn small() -> Training {
        Training { dim: 4, buckets: 100, min_count: 1, epochs: 200, learning_rate: 0.5, ..Training::default() }
    }

    fn trained(settings: Training) -> Vec<u8> {
        let mut trainer = Trainer::new(settings).expect("sound settings");
        for (boat, bread) in BOAT.iter().zip(BREAD) {
            trainer.add("boat", boat);
            trainer.add("bread", bread);
        }
        trainer.add("boat", "the pier");
        assert_eq!(trainer.n_texts(), 9);
        trainer.train(&mut |_| {})
    }

    fn model(file: &[u8]) -> Model {
        Model::read(file, file.len() as u64).expect("what is written can be read")
    }

    #[test]
    fn what_was_taught_is_known() {
        let model = model(&trained(small()));
        assert_eq!(model.labels(), ["boat", "bread"]);
        for (label, texts) in [("boat", BOAT), ("bread", BREAD)] {
            let place = model.label(label).expect("it was taught");
            for text in texts {
                let probability = model.probability(text, Units::Spaces, place).expect("known words");
                assert!(probability > 0.9, "{text}: {probability}");
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        assert_eq!(trained(small()), trained(small()));
        assert_ne!(trained(small()), trained(Training { seed: 2, ..small() }));
    }

    #[test]
    fn rare_words_have_no_row() {
        let all = trained(Training { word_ngrams: 1, ..small() });
        let some = trained(Training { word_ngrams: 1, min_count: 3, ..small() });
        assert!(some.len() < all.len());
        assert!(some.windows(5).any(|bytes| bytes == b"boat\0") && !some.windows(6).any(|bytes| bytes == b"knead\0"));
        assert!(all.windows(6).any(|bytes| bytes == b"knead\0"));
    }

    #[test]
    fn what_readers_pass_over_teaches_nothing() {
        let mut trainer = Trainer::new(small()).expect("sound settings");
        trainer.add("a", "one __label__b two </s> three");
        let words: Vec<_> = trainer.words.iter().map(|word| &*word.bytes).collect();
        assert_eq!(words, [b"one".as_slice(), b"two", b"</s>"]);
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let error = |settings| Trainer::new(settings).map(drop).expect_err("refused");
        assert_eq!(error(Training { dim: 0, ..small() }), "the dimension is 0, expected 1 to 1000");
        assert_eq!(
            error(Training { learning_rate: f32::NAN, ..small() }),
            "the learning rate is NaN, expected above 0 and at most 10"
        );
    }
}
