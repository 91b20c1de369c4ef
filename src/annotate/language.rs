//! Says which language a text is written in, and how sure that is.
//!
//! The script settles most of it. Where several languages share one, two small embedded models are asked:
//! `whichlang` (16 languages, the better of the two on those) and `whatlang` (70 languages).

use std::borrow::Cow;
use std::path::PathBuf;

use arrow::datatypes::{DataType, Field};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fasttext::{hex, load};
use super::han_script;
use super::language_codes::{of_label, short};
use crate::doc::{Doc, Value};
use crate::fasttext::{Model, Units};
use crate::stage::{Annotator, Settings};
use crate::text;

/// Adds `language` and `language_score`.
///
/// `language` is an ISO 639-1 code where there is one (`en`, `zh`, `ko`), else one of ISO 639-3 (`yue` for
/// written Cantonese), or `und` where the text has no letters or is in a script of no known language. Some
/// 2,100 bytes are judged, in pieces from all over the text.
///
/// `language_score` lies between 0 and 1 and is made for a threshold. It is a product of:
///
/// - how often the language is right that was found in such a way: measured on sentences, and parts of sentences, of 75
///   languages in equal numbers, by whether both models agree, how sure one is, and how long the text is. 20 of the
///   75 neither model knows (Basque, Swahili, ...); these are taken for another one, with a low score;
/// - the share of the main script in the letters, so mixed texts score lower. Code and addresses have no say in
///   which script is the main one, but they are letters: a Chinese page that is half code is Chinese at about 0.5;
/// - for fewer than five ideographs and kana, their number over five: they could be of several languages.
///
/// So of texts in one script with a score of about 0.8 four in five are in the language named, where all languages are
/// equally common; where most texts are in common ones, more are.
///
/// With a `model` of yours, all of this is left to it: `language` is its most probable label for the whole text, and
/// `language_score` its probability.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Language {
    /// A fastText model of languages to ask in place of what is embedded: `lid.176.bin`, `lid.176.ftz`, GlotLID, OpenLID.
    /// It is a file, seen from the current folder; on a cluster, it is at this path on every machine. Its labels
    /// become codes as above (`__label__cmn_Hani`: `zh`); if they name scripts, so does a column `language_script`.
    pub model: Option<PathBuf>,
    /// Whether a column `language_script` tells simplified (`Hans`) from traditional Chinese (`Hant`), by the characters
    /// that only one of them has. It is null for other languages, and for texts without such characters. Default: no.
    pub script: bool,
    /// The digest of the model file, in hexadecimal digits; any other file is refused. Not set: any file will do, and a
    /// run that was begun with one is not continued with another.
    pub digest: Option<String>,
}

impl Settings for Language {
    const NAME: &'static str = "language";
    const ABOUT: &'static str = "adds language and language_score, by two embedded models or a fastText one";
    type Stage = Identifier;

    fn build(self) -> Result<Identifier, String> {
        match &self.model {
            None if self.digest.is_some() => Err("`digest` is that of a `model`, and none is named".into()),
            None => Ok(Identifier::Embedded { script: self.script }),
            Some(_) if self.script => {
                Err("`script` is for the embedded models; with a `model`, its labels say whether there are scripts"
                    .into())
            }
            Some(path) => Ok(Identifier::Model(Box::new(Languages::of(load(path, self.digest.as_deref())?)))),
        }
    }
}

/// [`Language`], its model loaded.
pub enum Identifier {
    /// By script, and the embedded models.
    Embedded {
        /// Whether the script of Chinese is told.
        script: bool,
    },
    /// By a model that the user brings.
    Model(Box<Languages>),
}

/// A model whose labels are languages.
pub struct Languages {
    model: Model,
    /// The code and the script of each label.
    labels: Vec<(String, Option<String>)>,
    has_scripts: bool,
}

impl Languages {
    fn of(model: Model) -> Self {
        let labels: Vec<_> = model
            .labels()
            .iter()
            .map(|label| of_label(label))
            .map(|(code, script)| (code.to_owned(), script.map(str::to_owned)))
            .collect();
        let has_scripts = labels.iter().any(|(_, script)| script.is_some());
        Self { model, labels, has_scripts }
    }

    fn annotate(&self, text: &str, row: &mut Vec<Value>) {
        let found = self.model.predict(text, Units::Spaces, 1, 0.0).pop();
        let (language, script) = match found.map(|found| &self.labels[found.label]) {
            Some((language, script)) => (Cow::Owned(language.clone()), script.clone()),
            None => (Cow::Borrowed("und"), None),
        };
        row.push(Value::Str(language));
        row.push(Value::F32(found.map_or(0.0, |found| found.probability)));
        if self.has_scripts {
            row.push(script.map_or(Value::Null, |script| Value::Str(Cow::Owned(script))));
        }
    }
}

impl Annotator for Identifier {
    fn columns(&self) -> Vec<Field> {
        let mut columns =
            vec![Field::new("language", DataType::Utf8, true), Field::new("language_score", DataType::Float32, true)];
        let has_scripts = match self {
            Self::Embedded { script } => *script,
            Self::Model(languages) => languages.has_scripts,
        };
        if has_scripts {
            columns.push(Field::new("language_script", DataType::Utf8, true));
        }
        columns
    }

    fn annotate(&self, doc: &Doc<'_>, row: &mut Vec<Value>) {
        match self {
            Self::Embedded { script } => {
                let sample = sample(doc.text());
                let guess = guess(&sample);
                row.push(Value::Str(Cow::Borrowed(guess.code)));
                row.push(Value::F32(guess.score as f32));
                if *script {
                    let is_chinese = matches!(guess.code, "zh" | "yue");
                    let found = is_chinese.then(|| han_script::of(&sample)).flatten();
                    row.push(found.map_or(Value::Null, |script| Value::Str(Cow::Borrowed(script))));
                }
            }
            Self::Model(languages) => languages.annotate(doc.text(), row),
        }
    }

    fn pins(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Embedded { .. } => Vec::new(),
            Self::Model(languages) => vec![("digest", hex(&languages.model))],
        }
    }
}

/// A language and how sure it is.
#[derive(Debug, Clone, Copy)]
struct Guess {
    code: &'static str,
    score: f64,
}

impl Guess {
    const UNDETERMINED: Self = Self { code: "und", score: 0.0 };

    fn new(code: &'static str, score: f64) -> Self {
        Self { code, score }
    }
}

/// How many pieces of a long text are judged: so many that a page's head and foot, often in English on pages of any
/// language, do not outvote what is between them.
const PIECES: usize = 6;

/// The bytes of each piece.
const PIECE: usize = 350;

/// A bounded part of the text: all of a short one, else pieces at even distances, the first and the last included.
fn sample(text: &str) -> Cow<'_, str> {
    if text.len() <= PIECES * PIECE {
        return Cow::Borrowed(text);
    }
    let boundary = |at: usize| (at..text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len());
    let piece = |from: usize| &text[boundary(from)..boundary(from + PIECE)];
    let pieces: Vec<&str> = (0..PIECES).map(|i| piece((text.len() - PIECE) * i / (PIECES - 1))).collect();
    Cow::Owned(pieces.join("\n"))
}

fn guess(text: &str) -> Guess {
    let letters = Letters::of(text);
    let Some((script, weight)) = letters.main() else { return Guess::UNDETERMINED };
    let guess = match script {
        Script::Cjk => by_ideographs(text, &letters),
        Script::Latin | Script::Cyrillic | Script::Arabic | Script::Devanagari | Script::Hebrew => {
            by_models(text, script, weight)
        }
        Script::Only(code) => Guess::new(code, 0.95),
        Script::Unknown => Guess::UNDETERMINED,
    };
    let share = weight / letters.total;
    let enough = if script == Script::Cjk { (weight / 20.0).min(1.0) } else { 1.0 };
    Guess { score: guess.score * share * enough, ..guess }
}

/// A writing system, as far as it tells languages apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    Latin,
    Cyrillic,
    Arabic,
    Devanagari,
    Hebrew,
    /// Han and kana.
    Cjk,
    /// A script that one language writes, or nearly so.
    Only(&'static str),
    Unknown,
}

/// The ranges of the scripts of one language; the most used language where a few minor ones share it.
const ONLY: [(char, char, &str); 28] = [
    ('\u{370}', '\u{3ff}', "el"),
    ('\u{530}', '\u{58f}', "hy"),
    ('\u{700}', '\u{74f}', "syr"),
    ('\u{780}', '\u{7bf}', "dv"),
    ('\u{7c0}', '\u{7ff}', "nqo"),
    ('\u{980}', '\u{9ff}', "bn"),
    ('\u{a00}', '\u{a7f}', "pa"),
    ('\u{a80}', '\u{aff}', "gu"),
    ('\u{b00}', '\u{b7f}', "or"),
    ('\u{b80}', '\u{bff}', "ta"),
    ('\u{c00}', '\u{c7f}', "te"),
    ('\u{c80}', '\u{cff}', "kn"),
    ('\u{d00}', '\u{d7f}', "ml"),
    ('\u{d80}', '\u{dff}', "si"),
    ('\u{e00}', '\u{e7f}', "th"),
    ('\u{e80}', '\u{eff}', "lo"),
    ('\u{f00}', '\u{fff}', "bo"),
    ('\u{1000}', '\u{109f}', "my"),
    ('\u{10a0}', '\u{10ff}', "ka"),
    ('\u{1100}', '\u{11ff}', "ko"),
    ('\u{1200}', '\u{139f}', "am"),
    ('\u{13a0}', '\u{13ff}', "chr"),
    ('\u{1400}', '\u{167f}', "iu"),
    ('\u{1780}', '\u{17ff}', "km"),
    ('\u{1800}', '\u{18af}', "mn"),
    ('\u{1f00}', '\u{1fff}', "el"),
    ('\u{a000}', '\u{a4cf}', "ii"),
    ('\u{ac00}', '\u{d7ff}', "ko"),
];

impl Script {
    /// The script of a letter, and how many letters of an alphabet it stands for: an ideograph or a syllable
    /// says as much as several. Without that, a few English names would outweigh a Chinese text. Of 11,560 Chinese,
    /// Japanese and Korean texts with Latin letters in them, 4 finds all but 170 and 3 all but 290; neither takes an
    /// English text for one of them.
    fn of(letter: char) -> (Self, f64) {
        match letter {
            '\0'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' | '\u{ff21}'..='\u{ff5a}' => (Self::Latin, 1.0),
            '\u{400}'..='\u{52f}' => (Self::Cyrillic, 1.0),
            '\u{590}'..='\u{5ff}' => (Self::Hebrew, 1.0),
            '\u{600}'..='\u{6ff}' | '\u{750}'..='\u{77f}' | '\u{8a0}'..='\u{8ff}' | '\u{fb50}'..='\u{fefc}' => {
                (Self::Arabic, 1.0)
            }
            '\u{900}'..='\u{97f}' => (Self::Devanagari, 1.0),
            _ if text::is_cjk(letter) => (Self::Cjk, 4.0),
            _ => match ONLY.iter().find(|(first, last, _)| (*first..=*last).contains(&letter)) {
                Some((.., "ko")) => (Self::Only("ko"), 4.0),
                Some((.., code)) => (Self::Only(code), 1.0),
                None => (Self::Unknown, 1.0),
            },
        }
    }
}

/// How the letters of a text spread over scripts.
struct Letters {
    scripts: Vec<(Script, f64)>,
    /// All letters, those of code included.
    total: f64,
    n_han: usize,
    n_kana: usize,
}

impl Letters {
    fn of(text: &str) -> Self {
        let mut n_latin = 0;
        let mut letters = Self { scripts: Vec::new(), total: 0.0, n_han: 0, n_kana: 0 };
        for c in text.chars() {
            if c.is_ascii() {
                n_latin += usize::from(c.is_ascii_alphabetic());
            } else if text::is_alpha(c) {
                let (script, weight) = Script::of(c);
                if script == Script::Cjk {
                    let kana = matches!(c, '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{ff66}'..='\u{ff9f}');
                    *if kana { &mut letters.n_kana } else { &mut letters.n_han } += 1;
                }
                letters.add(script, weight);
            }
        }
        if n_latin > 0 {
            letters.add(Script::Latin, n_latin as f64);
        }
        letters.leave_out_code(text);
        letters
    }

    /// Beside another script, Latin letters count only in plain words. Pages in any language quote code, commands
    /// and addresses, and these are in no language.
    fn leave_out_code(&mut self, text: &str) {
        if self.scripts.len() > 1
            && let Some((_, weight)) = self.scripts.iter_mut().find(|(script, _)| *script == Script::Latin)
        {
            *weight = n_letters_of_plain_words(text) as f64;
        }
    }

    fn add(&mut self, script: Script, weight: f64) {
        self.total += weight;
        match self.scripts.iter_mut().find(|(s, _)| *s == script) {
            Some((_, sum)) => *sum += weight,
            None => self.scripts.push((script, weight)),
        }
    }

    /// The script with most of the letters; among equals the one seen first, Latin last.
    fn main(&self) -> Option<(Script, f64)> {
        self.scripts.iter().copied().reduce(|best, next| if next.1 > best.1 { next } else { best })
    }
}

/// How many Latin letters are in words of nothing but letters, hyphens and apostrophes, punctuation around them aside.
fn n_letters_of_plain_words(text: &str) -> usize {
    let is_latin = |c: char| text::is_alpha(c) && Script::of(c).0 == Script::Latin;
    text.split(|c: char| c.is_whitespace() || !(c.is_ascii() || is_latin(c)))
        .map(|word| word.trim_matches(['.', ',', ';', ':', '!', '?', '"', '\'', '(', ')']))
        .filter(|word| word.chars().all(|c| is_latin(c) || matches!(c, '-' | '\'')))
        .map(|word| word.chars().filter(|&c| is_latin(c)).count())
        .sum()
}

/// Characters that written Cantonese uses all the time and standard Chinese hardly ever.
const CANTONESE: &str = "嘅喺咗佢哋唔嘢冇嗰咁啲嚟俾畀㗎噉乜";

/// Those of them that one is enough of in a sentence; the others are also names, or of other dialects.
const TELLING_CANTONESE: &str = "嘅喺咗佢哋唔嘢嗰啲㗎";

/// Chinese, Cantonese or Japanese.
fn by_ideographs(text: &str, letters: &Letters) -> Guess {
    let kana = letters.n_kana as f64 / (letters.n_kana + letters.n_han) as f64;
    // Japanese prose is half kana; a law or a headline may go down to a fifth. Chinese texts hold kana in
    // names and quotations only. The line of 0.05 is whatlang's own.
    if kana > 0.05 {
        return Guess::new("ja", (0.4 + 3.0 * kana).min(1.0));
    }
    let n_marks = text.chars().filter(|&c| CANTONESE.contains(c)).count();
    let marks = n_marks as f64 / letters.n_han as f64;
    if n_marks >= 2 && marks > 0.02 {
        return Guess::new("yue", (0.5 + 10.0 * marks).min(1.0));
    }
    if n_marks == 1 && marks > 0.04 && text.contains(|c| TELLING_CANTONESE.contains(c)) {
        return Guess::new("yue", 0.5);
    }
    Guess::new("zh", (1.0 - 8.0 * kana - 10.0 * marks).max(0.3))
}

/// Below this confidence `whatlang` is not believed when it names a language that `whichlang` does not know.
/// On sentences of 75 languages, 0.1 to 0.5 trade the 16 common languages (0.972 to 0.987 right) against all
/// (0.743 to 0.715).
const DOUBT: f64 = 0.2;

/// Letters that tell Cyrillic languages which neither model knows.
const TELLING: [(&str, &str); 2] = [("kk", "құғҚҰҒ"), ("mn", "өүӨҮ")];

/// Letters that a language does not write, of those that short texts of its neighbours are taken for.
const FOREIGN: [(&str, &str); 8] = [
    ("bg", "ыэёіўЫЭЁ"),
    ("mk", "ыэёщъЫЭЁ"),
    ("sr", "ыэёщъйЫЭЁ"),
    ("ru", "іўїєјњљџћђ"),
    ("sv", "æøÆØ"),
    ("da", "äöÄÖ"),
    ("nb", "äöÄÖ"),
    ("af", "ĳäüöÄÜÖ"),
];

/// How often a language is right that was found in some way, by the confidence of `whatlang` in steps of a tenth from 0
/// to 1. Measured on the even ones of 37,000 sentences of 75 languages in equal numbers, and on parts of 10 to 80
/// characters of them; smoothed so that it does not fall.
struct Measured {
    /// In texts of some 20 letters.
    short: [f64; 11],
    /// In texts of 100 letters and more, where a model should be sure.
    long: [f64; 11],
}

/// Both models name it.
const BOTH: Measured = Measured {
    short: [0.33, 0.55, 0.72, 0.80, 0.88, 0.90, 0.90, 0.91, 0.91, 0.91, 0.92],
    long: [0.25, 0.32, 0.36, 0.45, 0.66, 0.74, 0.79, 0.83, 0.87, 0.89, 0.97],
};

/// `whatlang` names it, and `whichlang` does not know it.
const WIDE: Measured = Measured {
    short: [0.39, 0.50, 0.52, 0.61, 0.71, 0.76, 0.80, 0.84, 0.87, 0.87, 0.90],
    long: [0.20, 0.26, 0.27, 0.28, 0.29, 0.34, 0.38, 0.52, 0.64, 0.66, 0.82],
};

/// `whichlang` names it, and `whatlang` another one, or none.
const NARROW: Measured = Measured { short: [0.09; 11], long: [0.04; 11] };

impl Measured {
    /// For this confidence, and so many letters.
    fn at(&self, confidence: f64, n_letters: f64) -> f64 {
        let tenths = confidence.clamp(0.0, 1.0) * 10.0;
        let (step, rest) = ((tenths as usize).min(9), tenths - (tenths as usize).min(9) as f64);
        let between = |table: &[f64; 11]| table[step] + (table[step + 1] - table[step]) * rest;
        // The tables were measured below 60 letters and from there on.
        let long = ((n_letters - 40.0) / 40.0).clamp(0.0, 1.0);
        between(&self.short) * (1.0 - long) + between(&self.long) * long
    }
}

fn by_models(text: &str, script: Script, n_letters: f64) -> Guess {
    if script == Script::Cyrillic {
        for (code, letters) in TELLING {
            let n = text.chars().filter(|&c| letters.contains(c)).count();
            if n * 150 > text::n_chars(text) {
                return Guess::new(code, 0.95);
            }
        }
    }
    let fast = whichlang::detect_language(text);
    if fast == whichlang::Lang::Eng && has_english_function_words(text) {
        return Guess::new("en", 1.0);
    }
    let fast = short(fast.three_letter_code());
    let narrow = Guess::new(fast, NARROW.at(0.0, n_letters));
    let Some(wide) = whatlang::detect(text) else { return narrow };
    let confidence = wide.confidence();
    let wide = short(wide.lang().code());
    if wide == fast {
        return Guess::new(wide, BOTH.at(confidence, n_letters));
    }
    let has_foreign = |code| {
        let letters = FOREIGN.iter().find(|(of, _)| *of == code).map_or("", |(_, letters)| letters);
        text.contains(|c| letters.contains(c))
    };
    let known_to_both = whichlang::LANGUAGES.iter().any(|lang| short(lang.three_letter_code()) == wide);
    let unsure = known_to_both || confidence < DOUBT;
    if (unsure || has_foreign(wide)) && !has_foreign(fast) {
        narrow
    } else {
        Guess::new(wide, WIDE.at(confidence, n_letters))
    }
}

/// Whether at least one word in eight is one of the commonest of English, "the" or "and" among them. That
/// spares the slower model most of its work on an English corpus.
fn has_english_function_words(text: &str) -> bool {
    let mut n_words = 0;
    let mut n_common = 0;
    let mut has_telling = false;
    for word in text.split_ascii_whitespace() {
        n_words += 1;
        n_common += usize::from(matches!(word, "the" | "of" | "and" | "to" | "in" | "is" | "that" | "with" | "was"));
        has_telling |= matches!(word, "the" | "and");
    }
    n_words >= 8 && has_telling && n_common * 8 >= n_words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, code: &str, scores: std::ops::RangeInclusive<f64>) {
        let guess = guess(&sample(text));
        assert_eq!(guess.code, code, "{guess:?}");
        assert!(scores.contains(&guess.score), "{guess:?}");
    }

    /// The model of this name among those of the tests.
    fn by_model(name: &str) -> Identifier {
        let model = format!("{}/tests/golden/fasttext/{name}", env!("CARGO_MANIFEST_DIR"));
        let settings = Language { model: Some(model.into()), ..Language::default() };
        settings.build().expect("a sound model")
    }

    #[test]
    fn a_model_speaks_for_itself() {
        let stage = by_model("hs-words1-chars4.bin");
        let mut row = Vec::new();
        stage.annotate(&Doc::bare("птица сидела\nна ветке"), &mut row);
        let [Value::Str(language), Value::F32(score)] = &row[..] else { panic!("{row:?}") };
        assert_eq!(language, "птица");
        assert!(*score > 0.9 && *score <= 1.0);
        assert_eq!(stage.columns().len(), 2);
    }

    #[test]
    fn labels_with_scripts_give_a_column_of_scripts() {
        let stage = by_model("languages.ftz");
        assert!(stage.columns().iter().map(Field::name).eq(["language", "language_score", "language_script"]));
        for (text, language, script) in [
            ("the boat lay on the mud", "en", "Latn"),
            ("春天 的 茶 香 飘 进 院子", "zh", "Hani"),
            ("птица сидела на ветке", "ru", "Cyrl"),
        ] {
            let mut row = Vec::new();
            stage.annotate(&Doc::bare(text), &mut row);
            let [Value::Str(found), Value::F32(_), Value::Str(found_script)] = &row[..] else { panic!("{row:?}") };
            assert_eq!((&**found, &**found_script), (language, script), "{text}");
        }
    }

    #[test]
    fn a_digest_needs_a_model() {
        let error =
            Language { digest: Some("00".into()), ..Language::default() }.build().map(drop).expect_err("no model");
        assert_eq!(error, "`digest` is that of a `model`, and none is named");
    }

    #[test]
    fn prose_is_certain() {
        check("The river was low that summer, and the boats lay on the mud.", "en", 0.9..=1.0);
        check("Im Herbst ziehen die Kraniche in langen Keilen über das Dorf nach Süden.", "de", 0.85..=1.0);
        check("秋天的傍晚，村口的老槐树下总坐着几个下棋的人。", "zh", 0.9..=1.0);
        check("春になると、川沿いの桜がいっせいに咲きはじめます。", "ja", 0.9..=1.0);
        check("비가 그친 뒤 골목에는 젖은 흙 냄새가 가득했다.", "ko", 0.9..=1.0);
        check("Το καράβι έφυγε πριν από την αυγή για τα νησιά.", "el", 0.9..=1.0);
    }

    #[test]
    fn cantonese_is_told_from_standard_chinese() {
        check("佢哋話聽日唔嚟喇，我哋自己去食嘢啦，嗰間舖頭喺街口。", "yue", 0.9..=1.0);
        check("他們說明天不來了，我們自己去吃東西吧，那家店就在街口。", "zh", 0.9..=1.0);
    }

    #[test]
    fn one_mark_is_enough_in_a_sentence_of_cantonese() {
        check("我哋聽日朝早七點出發。", "yue", 0.4..=0.6);
        check("乜", "zh", 0.0..=0.1);
        // A name, and a quotation in a longer text.
        check("乜先生上午到了北京。", "zh", 0.0..=0.7);
        check(&["广东话里“我的”说成“我嘅”。", &"我们今天下午去看了河边的老房子。".repeat(3)].concat(), "zh", 0.5..=1.0);
    }

    #[test]
    fn the_script_of_chinese_is_told_where_asked() {
        let stage = Language { script: true, ..Language::default() }.build().expect("sound");
        assert!(stage.columns().iter().map(Field::name).eq(["language", "language_score", "language_script"]));
        let script = |text: &str| {
            let mut row = Vec::new();
            stage.annotate(&Doc::bare(text), &mut row);
            row.pop()
        };
        assert_eq!(script("秋天的傍晚，村口总坐着几个下棋的老人。"), Some(Value::Str("Hans".into())));
        assert_eq!(script("佢哋話聽日唔嚟喇，嗰間舖頭喺東邊街口。"), Some(Value::Str("Hant".into())));
        assert_eq!(script("春になると、川沿いの桜がいっせいに咲きはじめます。"), Some(Value::Null));
        let model = Language { model: Some("lid.bin".into()), script: true, ..Language::default() };
        assert!(model.build().map(drop).is_err_and(|error| error.starts_with("`script` is for the embedded")));
    }

    #[test]
    fn no_letters_is_undetermined() {
        check("", "und", 0.0..=0.0);
        check("1234 -- 56.7 %\n!!", "und", 0.0..=0.0);
    }

    #[test]
    fn a_script_of_no_known_language_is_undetermined() {
        check("𐌀𐌁𐌂𐌃𐌄𐌅", "und", 0.0..=0.0);
    }

    #[test]
    fn a_mixed_text_scores_lower() {
        check("秋天的傍晚，村口的老槐树下。 The boats lay on the mud and waited.", "zh", 0.3..=0.7);
    }

    #[test]
    fn a_short_text_scores_lower() {
        check("Hello", "en", 0.0..=0.4);
        check("好", "zh", 0.05..=0.3);
    }

    #[test]
    fn a_few_latin_names_do_not_outweigh_chinese() {
        check("他用 PostgreSQL 和 Kubernetes 搭建了一个小小的服务，每天备份一次。", "zh", 0.6..=1.0);
    }

    #[test]
    fn code_does_not_outweigh_chinese() {
        let code = "```\ncurl https://sh.rustup.rs -sSf | sh\nlet mut user_name = String::new();\n```\n";
        check(&["先装好编译器，再写下这几行：\n", code, code].concat(), "zh", 0.2..=0.6);
        check(&["컴파일러를 설치하고 다음 줄을 적는다.\n", code, code].concat(), "ko", 0.2..=0.6);
        check(
            &["First install the compiler, then write these lines to a file of yours (名前.rs):\n", code].concat(),
            "en",
            0.4..=1.0,
        );
    }

    #[test]
    fn a_long_text_is_judged_by_its_pieces() {
        let text = "Слово за слово. ".repeat(10_000);
        assert!(sample(&text).len() < PIECES * (PIECE + 4));
        assert!(sample(&text).starts_with("Слово") && sample(&text).ends_with("слово. "));
    }

    #[test]
    fn an_english_head_and_foot_do_not_outvote_the_text() {
        let frame = "Read more of this on our other site, and tell your friends about it. ".repeat(12);
        let text = [&frame, "秋天的傍晚，村口的老槐树下总坐着几个下棋的人。".repeat(60).as_str(), &frame].concat();
        check(&text, "zh", 0.5..=1.0);
    }
}
