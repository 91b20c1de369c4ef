//! Gopher's rules as Dolma has them.

use std::cell::RefCell;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::duplicates::shrink;
use super::n_grams::{Numbers, mix};
use super::threshold::{Ruling, Threshold, check_order, verdict};
use crate::doc::Doc;
use crate::stage::{Filter, Settings, Verdict};
use crate::text;
use crate::tokenize::Tokenizer;

/// Gopher's quality and repetition rules as Dolma has them (Soldaini et al. 2024, arXiv 2402.00159; its tagger `gopher_v1`),
/// asked in the order of the settings.
///
/// Where it differs from `gopher_quality` and `gopher_repetition`: words are what stands between white space, all of
/// them, marks alone included. Their length is the median and not the mean. A word with a `#` or a `…` is a symbol, `...`
/// is none, and both kinds are counted together. Stop words count as often as they stand there. Lines are cut at line
/// feeds only and begin with a mark at their very beginning. Of repeated lines and n-grams every copy counts, the first
/// one too; n-grams overlap; and shares of characters are shares of those that are no white space, save that those of
/// repeated n-grams are of all n-grams of the length.
///
/// Chinese has no white space between words, so these rules have nothing to say about it. `false` switches a rule off.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DolmaGopher {
    /// The fewest words. Dolma: 50.
    pub min_words: Threshold,
    /// The most words. Dolma: 100,000.
    pub max_words: Threshold,
    /// The least median number of characters of a word. Dolma: 3.
    pub min_median_word_length: Threshold,
    /// The greatest median number of characters of a word. Dolma: 10.
    pub max_median_word_length: Threshold,
    /// The greatest share of words with a `#` or a `…` in them. Dolma: 0.1.
    pub max_symbol_words: Threshold,
    /// The least share of words with a letter in them. Dolma: 0.8.
    pub min_alphabetic_words: Threshold,
    /// How many stop words there must be, repeats included. Dolma: 2.
    pub min_stop_words: Threshold,
    /// The greatest share of lines that begin with `*` or `-`. Dolma: 0.9.
    pub max_bullet_lines: Threshold,
    /// The greatest share of lines that end with `…`. Dolma: 0.3.
    pub max_ellipsis_lines: Threshold,
    /// The greatest share of lines that are there more than once. Dolma: 0.3.
    pub max_duplicate_lines: Threshold,
    /// The characters of such lines, per character of a word. Dolma: 0.3.
    pub max_duplicate_line_characters: Threshold,
    /// The greatest share of characters in all copies of the most frequent pair of words. Dolma: 0.2.
    pub max_top_2_gram: Threshold,
    /// The same for three words. Dolma: 0.18.
    pub max_top_3_gram: Threshold,
    /// The same for four words. Dolma: 0.16.
    pub max_top_4_gram: Threshold,
    /// The greatest share of characters of runs of five words in those that are there more than once. Dolma: 0.15.
    pub max_repeated_5_grams: Threshold,
    /// The same for six words. Dolma: 0.14.
    pub max_repeated_6_grams: Threshold,
    /// The same for seven words. Dolma: 0.13.
    pub max_repeated_7_grams: Threshold,
    /// The same for eight words. Dolma: 0.12.
    pub max_repeated_8_grams: Threshold,
    /// The same for nine words. Dolma: 0.11.
    pub max_repeated_9_grams: Threshold,
    /// The same for ten words. Dolma: 0.1.
    pub max_repeated_10_grams: Threshold,
    /// The stop words, in just this case. Dolma: those of Gopher.
    pub stop_words: Vec<String>,
}

impl Default for DolmaGopher {
    /// The limits are those of Dolma's statistics of its Common Crawl part, version 1.
    fn default() -> Self {
        Self {
            min_words: Threshold::at(50.0),
            max_words: Threshold::at(100_000.0),
            min_median_word_length: Threshold::at(3.0),
            max_median_word_length: Threshold::at(10.0),
            max_symbol_words: Threshold::at(0.1),
            min_alphabetic_words: Threshold::at(0.8),
            min_stop_words: Threshold::at(2.0),
            max_bullet_lines: Threshold::at(0.9),
            max_ellipsis_lines: Threshold::at(0.3),
            max_duplicate_lines: Threshold::at(0.3),
            max_duplicate_line_characters: Threshold::at(0.3),
            max_top_2_gram: Threshold::at(0.2),
            max_top_3_gram: Threshold::at(0.18),
            max_top_4_gram: Threshold::at(0.16),
            max_repeated_5_grams: Threshold::at(0.15),
            max_repeated_6_grams: Threshold::at(0.14),
            max_repeated_7_grams: Threshold::at(0.13),
            max_repeated_8_grams: Threshold::at(0.12),
            max_repeated_9_grams: Threshold::at(0.11),
            max_repeated_10_grams: Threshold::at(0.1),
            stop_words: ["the", "be", "to", "of", "and", "that", "have", "with"].map(String::from).to_vec(),
        }
    }
}

impl Settings for DolmaGopher {
    const NAME: &'static str = "dolma_gopher";
    const ABOUT: &'static str = "drops documents by Gopher's rules as Dolma has them";
    type Stage = Self;

    fn build(self) -> Result<Self, String> {
        check_order(("min_words", self.min_words), ("max_words", self.max_words))?;
        let (min, max) = (self.min_median_word_length, self.max_median_word_length);
        check_order(("min_median_word_length", min), ("max_median_word_length", max))?;
        Ok(self)
    }
}

thread_local! {
    /// The tables are needed for nearly every document, and nearly all are small.
    static COUNTED: RefCell<Counted> = RefCell::default();
}

impl DolmaGopher {
    fn rule(&self, doc: &Doc<'_>) -> Ruling {
        let words = doc.words_by(Tokenizer::Spaces);
        let n_words = words.len() as f64;
        self.min_words.at_least("too_few_words", n_words)?;
        self.max_words.at_most("too_many_words", n_words)?;
        COUNTED.with_borrow_mut(|counted| {
            counted.take(words);
            let ruling = self.rule_counted(doc, words, counted);
            counted.shrink();
            ruling
        })
    }

    fn rule_counted(&self, doc: &Doc<'_>, words: &[&str], counted: &mut Counted) -> Ruling {
        let n_words = words.len() as f64;
        let median = counted.median_length();
        self.min_median_word_length.at_least("words_too_short", median)?;
        self.max_median_word_length.at_most("words_too_long", median)?;
        let share = |is: &dyn Fn(&str) -> bool| words.iter().filter(|word| is(word)).count() as f64 / n_words.max(1.0);
        self.max_symbol_words.at_most("too_many_symbols", share(&|word| word.contains(['#', '…'])))?;
        let alphabetic = |word: &str| word.chars().any(text::is_alpha);
        self.min_alphabetic_words.at_least("too_few_alphabetic_words", share(&alphabetic))?;
        let n_stop_words = words.iter().filter(|word| self.stop_words.iter().any(|stop| stop == *word)).count();
        self.min_stop_words.at_least("too_few_stop_words", n_stop_words as f64)?;
        self.rule_lines(doc.text(), counted)?;
        self.rule_n_grams(counted)
    }

    fn rule_lines(&self, text: &str, counted: &mut Counted) -> Ruling {
        let lines = || text.split('\n');
        let n_lines = lines().count() as f64;
        let share = |is: &dyn Fn(&str) -> bool| lines().filter(|line| is(line)).count() as f64 / n_lines;
        self.max_bullet_lines.at_most("too_many_bullet_lines", share(&|line| line.starts_with(['*', '-'])))?;
        self.max_ellipsis_lines.at_most("too_many_ellipsis_lines", share(&|line| line.ends_with('…')))?;
        if self.max_duplicate_lines.is_on() || self.max_duplicate_line_characters.is_on() {
            let (n, n_chars) = counted.repeated_lines(lines());
            self.max_duplicate_lines.at_most("duplicate_lines", n as f64 / n_lines)?;
            let share = n_chars as f64 / counted.n_chars.max(1) as f64;
            self.max_duplicate_line_characters.at_most("duplicate_line_characters", share)?;
        }
        Ruling::Continue(())
    }

    fn rule_n_grams(&self, counted: &mut Counted) -> Ruling {
        let rules = [
            (self.max_top_2_gram, "top_2_gram"),
            (self.max_top_3_gram, "top_3_gram"),
            (self.max_top_4_gram, "top_4_gram"),
            (self.max_repeated_5_grams, "repeated_5_grams"),
            (self.max_repeated_6_grams, "repeated_6_grams"),
            (self.max_repeated_7_grams, "repeated_7_grams"),
            (self.max_repeated_8_grams, "repeated_8_grams"),
            (self.max_repeated_9_grams, "repeated_9_grams"),
            (self.max_repeated_10_grams, "repeated_10_grams"),
        ];
        let Some(last) = rules.iter().rposition(|(threshold, _)| threshold.is_on()) else {
            return Ruling::Continue(());
        };
        for (n, (threshold, code)) in (2..).zip(rules).take(last + 1) {
            if counted.lengths.len() < n {
                break;
            }
            counted.grow(n);
            if threshold.is_on() {
                let value = if n <= 4 { counted.top(n) } else { counted.repeated(n) };
                threshold.at_most(code, value)?;
            }
        }
        Ruling::Continue(())
    }
}

impl Filter for DolmaGopher {
    fn judge(&self, doc: &Doc<'_>) -> Verdict {
        verdict(self.rule(doc))
    }

    fn reasons(&self) -> &'static [&'static str] {
        REASONS
    }
}

const REASONS: &[&str] = &[
    "too_few_words",
    "too_many_words",
    "words_too_short",
    "words_too_long",
    "too_many_symbols",
    "too_few_alphabetic_words",
    "too_few_stop_words",
    "too_many_bullet_lines",
    "too_many_ellipsis_lines",
    "duplicate_lines",
    "duplicate_line_characters",
    "top_2_gram",
    "top_3_gram",
    "top_4_gram",
    "repeated_5_grams",
    "repeated_6_grams",
    "repeated_7_grams",
    "repeated_8_grams",
    "repeated_9_grams",
    "repeated_10_grams",
];

/// What the hash of an n-gram is multiplied by before the next word is added: a random odd number.
const FACTOR: u64 = 0x9e6c_63d0_876a_68ad;

/// What is counted of a text. Its room is used for one text after the other. Words, lines and n-grams are told apart by
/// 64-bit hashes.
#[derive(Default)]
struct Counted {
    /// The characters of each word.
    lengths: Vec<u32>,
    /// The hash of each word.
    words: Vec<u64>,
    /// The hash of the n-gram that begins with each word.
    grams: Vec<u64>,
    /// The characters of all words.
    n_chars: usize,
    numbers: Numbers,
    /// The number of each thing in turn, and by number how often it was met.
    of: Vec<u32>,
    counts: Vec<u32>,
}

impl Counted {
    fn take(&mut self, words: &[&str]) {
        self.lengths.clear();
        self.lengths.extend(words.iter().map(|word| text::n_chars(word) as u32));
        self.words.clear();
        self.words.extend(words.iter().map(|word| xxh3_64(word.as_bytes())));
        self.grams.clone_from(&self.words);
        self.n_chars = self.lengths.iter().map(|length| *length as usize).sum();
    }

    /// Gives room back that only few texts need.
    fn shrink(&mut self) {
        shrink(&mut self.lengths);
        [&mut self.words, &mut self.grams].into_iter().for_each(shrink);
        [&mut self.of, &mut self.counts].into_iter().for_each(shrink);
        self.numbers.shrink();
    }

    /// The median of the lengths: the mean of the two in the middle, where there are two; 0 of none.
    fn median_length(&mut self) -> f64 {
        let lengths = &mut self.of;
        lengths.clone_from(&self.lengths);
        let n = lengths.len();
        if n == 0 {
            return 0.0;
        }
        let (below, middle, _) = lengths.select_nth_unstable(n / 2);
        let middle = f64::from(*middle);
        match below.iter().max() {
            Some(before) if n.is_multiple_of(2) => f64::midpoint(f64::from(*before), middle),
            _ => middle,
        }
    }

    /// Numbers things and counts them.
    fn count(&mut self, hashes: impl Iterator<Item = u64>, n: usize) {
        self.numbers.clear(n);
        self.of.clear();
        self.counts.clear();
        for hash in hashes {
            let (number, is_new) = self.numbers.number(hash);
            if is_new {
                self.counts.push(0);
            }
            self.counts[number] += 1;
            self.of.push(number as u32);
        }
    }

    /// How many lines are there more than once, and their characters.
    fn repeated_lines<'t>(&mut self, lines: impl Iterator<Item = &'t str> + Clone) -> (usize, usize) {
        self.count(lines.clone().map(|line| xxh3_64(line.as_bytes())), lines.clone().count());
        let repeated = lines.zip(&self.of).filter(|(_, of)| self.counts[**of as usize] > 1);
        repeated.fold((0, 0), |(n, n_chars), (line, _)| (n + 1, n_chars + text::n_chars(line)))
    }

    /// Goes on from n-grams of one word less.
    fn grow(&mut self, n: usize) {
        self.grams.pop();
        for (gram, last) in self.grams.iter_mut().zip(&self.words[n - 1..]) {
            *gram = mix(*gram, FACTOR).wrapping_add(*last);
        }
        let grams = std::mem::take(&mut self.grams);
        self.count(grams.iter().copied(), grams.len());
        self.grams = grams;
    }

    /// The characters of each n-gram in turn.
    fn gram_lengths(&self, n: usize) -> impl Iterator<Item = u64> {
        let first: u64 = self.lengths[..n].iter().map(|length| u64::from(*length)).sum();
        let steps = self.lengths[n..].iter().zip(&self.lengths);
        let rest = steps.scan(first, |length, (new, old)| {
            *length = *length + u64::from(*new) - u64::from(*old);
            Some(*length)
        });
        std::iter::once(first).chain(rest)
    }

    /// The share of the characters in all copies of the most frequent n-gram; among equals, of the first.
    fn top(&self, n: usize) -> f64 {
        let most = self.counts.iter().max().copied().unwrap_or(0);
        let top = self.of.iter().zip(self.gram_lengths(n)).find(|(of, _)| self.counts[**of as usize] == most);
        top.map_or(0.0, |(_, length)| (u64::from(most) * length) as f64 / self.n_chars.max(1) as f64)
    }

    /// The share of the characters of all n-grams in those that are there more than once.
    fn repeated(&self, n: usize) -> f64 {
        let (mut repeated, mut all) = (0, 0);
        for (of, length) in self.of.iter().zip(self.gram_lengths(n)) {
            all += length;
            repeated += if self.counts[*of as usize] > 1 { length } else { 0 };
        }
        repeated as f64 / all.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::filter::tests::judged_by;

    #[track_caller]
    fn check(toml: &str, text: &str, expected: &str) {
        assert_eq!(judged_by::<DolmaGopher>(toml, text), expected, "{text:?}");
    }

    #[test]
    fn words_stand_between_white_space() {
        check("min_words = 3", "one , two", "keep");
        check("min_words = 3", "one, two", "too_few_words 2 (threshold 3)");
        check("min_words = 1", " \n", "too_few_words 0 (threshold 1)");
        check("max_words = 2", "a b c", "too_many_words 3 (threshold 2)");
    }

    #[test]
    fn the_length_of_words_is_the_median() {
        check("min_median_word_length = 3", "a bb cccc dddddddd", "keep");
        check("min_median_word_length = 3", "a bb ccc dddddddd", "words_too_short 2.5 (threshold 3)");
        check("max_median_word_length = 3", "a été cccccccccccc", "keep");
        check("max_median_word_length = 3", "éééé a bbbb", "words_too_long 4 (threshold 3)");
    }

    #[test]
    fn symbols_are_words_with_a_hash_or_an_ellipsis() {
        check("max_symbol_words = 0.5", "# b… c... d", "keep");
        check("max_symbol_words = 0.5", "#a b… ##c d", "too_many_symbols 0.75 (threshold 0.5)");
    }

    #[test]
    fn every_copy_of_a_line_counts() {
        check("max_duplicate_lines = 0.5", "a\nb\na\nc", "keep");
        check("max_duplicate_lines = 0.5", "a\nb\na\na", "duplicate_lines 0.75 (threshold 0.5)");
        check("max_duplicate_line_characters = 1", "a b\nc\na b", "duplicate_line_characters 1.2 (threshold 1)");
        check("max_bullet_lines = 0.5", "- a\n * b\n* c\nd", "keep");
        check("max_ellipsis_lines = 0.4", "a…\nb...\nc… ", "keep");
    }

    #[test]
    fn every_copy_of_an_n_gram_counts() {
        check("max_top_2_gram = 0.5", "a b c a b d", "top_2_gram 0.6667 (threshold 0.5)");
        check("max_top_3_gram = 0.5", "a b", "keep");
        check("max_repeated_5_grams = 0.5", "a b c d e f a b c d e", "keep");
        check("max_repeated_5_grams = 0.2", "a b c d e f a b c d e", "repeated_5_grams 0.2857 (threshold 0.2)");
    }

    /// What Dolma measures of a text, in the order of its tagger: see `tests/golden/filters_dolma.py`.
    #[derive(Deserialize)]
    struct Golden {
        text: String,
        /// By reason; the rules of one measure have the same.
        values: std::collections::BTreeMap<String, f64>,
    }

    /// Every measure of every text is the one that Dolma's own tagger gives, and so is the decision at any limit.
    #[test]
    fn it_measures_what_dolma_does() {
        let file = include_str!("../../tests/golden/filters_dolma.json");
        let documents: Vec<Golden> = serde_json::from_str(file).expect("golden");
        let mut n = 0;
        for Golden { text, values } in &documents {
            for (setting, value) in values {
                let above = setting.starts_with("max_");
                // Just passed, and just not; numbers are read from JSON to the last digit but one.
                let beyond = if above { 1.0 } else { -1.0 };
                for (limit, drops) in [(value + 1e-12 * beyond, false), (value - 1e-9 * beyond, true)] {
                    let toml = format!("{setting} = {limit:?}");
                    let judged = judged_by::<DolmaGopher>(&toml, text);
                    assert_eq!(judged != "keep", drops, "{toml}: {judged}, of {text:?}");
                    n += 1;
                }
            }
        }
        assert!(documents.len() > 200 && n > 7_000, "{n} of {}", documents.len());
    }
}
