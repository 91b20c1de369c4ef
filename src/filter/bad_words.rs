//! Drops documents with words of a list.

use std::borrow::Cow;
use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::list_file::{self, FileOrFolder};
use super::threshold::Threshold;
use crate::doc::Doc;
use crate::stage::{Filter, Need, NeedKind, Settings, Verdict, digest};
use crate::text;

/// Drops documents with words or phrases of a list that you bring.
///
/// A list is a file of one word or phrase a line, in upper or lower case, such as those of the project "List of Dirty,
/// Naughty, Obscene, and Otherwise Bad Words" (LDNOOBW) are; C4 dropped each page with a word of its English one
/// (Raffel et al. 2020, section 2.2). What counts as a find is what datatrove 0.10's `C4BadWordsFilter` counts: in lower
/// case, with no letter, digit or underscore on either side; in Japanese, Thai and Chinese anywhere. Only, the list is
/// brought to lower case as well, where datatrove never finds a word that the list has with a capital.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BadWords {
    /// The file with the words, for documents in any language; or a folder of files that are named by their language,
    /// `en`, `zh` or `en.txt`, as LDNOOBW has them. Must be set.
    pub words: String,
    /// The digest of the lists, in hexadecimal digits; any other is refused. Not set: any will do, and a run notes
    /// the digest, so that it is not continued with another one.
    pub digest: Option<String>,
    /// The column that holds the language of a document, such as the one that `language` adds: `en`, `zh-Hans`,
    /// `eng_Latn`. Empty: none is looked at.
    pub language_column: String,
    /// The language of documents of which none is known. datatrove: `en`.
    pub default_language: String,
    /// Whether documents stay whose language has no list in the folder. datatrove asks for a decision; default: yes.
    pub keep_unlisted: bool,
    /// Words that do no harm, whatever the list says. Default: the four that mC4 takes out of the Chinese and Japanese
    /// lists, since each is in a tenth of all pages (datatrove 0.10).
    pub allow: Vec<String>,
    /// Documents with more finds go. C4: 0, one is too many.
    pub max_words: Threshold,
    /// Documents go if their finds are a greater share of their words. Default: off; with `max_words = false`, a long
    /// document may have more.
    pub max_share: Threshold,
    /// The share of the documents to be dropped that stays all the same, chosen by their text. datatrove: 0.
    pub keep_fraction: f64,
    /// Another seed, another choice.
    pub seed: u64,
}

impl Default for BadWords {
    fn default() -> Self {
        Self {
            words: String::new(),
            digest: None,
            language_column: "language".into(),
            default_language: "en".into(),
            keep_unlisted: true,
            allow: ["性", "sm", "グロ", "女の子"].map(String::from).to_vec(),
            max_words: Threshold::at(0.0),
            max_share: Threshold::OFF,
            keep_fraction: 0.0,
            seed: 0,
        }
    }
}

impl Settings for BadWords {
    const NAME: &'static str = "bad_words";
    const ABOUT: &'static str = "drops documents with words of a list that you bring";
    const REQUIRED: &'static [(&'static str, &'static str)] = &[("words", "\"words/\"")];
    type Stage = WordFinder;

    fn build(self) -> Result<WordFinder, String> {
        if !(0.0..=1.0).contains(&self.keep_fraction) {
            return Err(format!("`keep_fraction` is {}, expected a share from 0 to 1", self.keep_fraction));
        }
        if !self.max_words.is_on() && !self.max_share.is_on() {
            return Err("`max_words` and `max_share` are both off; one of them must say what is too much".to_owned());
        }
        if self.words.is_empty() {
            return Err("`words` names no list; give it a file, or a folder of files".to_owned());
        }
        let mut read = list_file::Read::default();
        let lists = self.lists(&self.words, &mut read).map_err(|message| format!("`words`: {message}"))?;
        let digest = digest(&self.words, read.digest(), self.digest.as_deref())?;
        Ok(WordFinder { rules: Self { digest: Some(digest), ..self }, lists })
    }

    fn sample() -> WordFinder {
        WordFinder { rules: Self::default(), lists: Lists::ByLanguage(BTreeMap::new()) }
    }
}

impl BadWords {
    fn lists(&self, spec: &str, read: &mut list_file::Read) -> Result<Lists, String> {
        let mut word_list = |language: &str, lines: &[String]| {
            read.add(language, lines);
            WordList::new(lines, &self.allow)
        };
        Ok(match list_file::file_or_folder(spec)? {
            FileOrFolder::File(list) => Lists::OfAll(word_list("", &list.lines)?),
            FileOrFolder::Folder(lists) => {
                let mut by_language = BTreeMap::new();
                for list in lists {
                    // LDNOOBW has its licence and its notes beside the lists.
                    let language = list.name.strip_suffix(".txt").unwrap_or(&list.name).to_lowercase();
                    let is_language = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
                    if !language.chars().all(is_language) || matches!(language.as_str(), "license" | "readme") {
                        continue;
                    }
                    if by_language.insert(language.clone(), word_list(&language, &list.lines)?).is_some() {
                        return Err(format!("{spec}: there are two lists for `{language}`"));
                    }
                }
                if by_language.is_empty() {
                    return Err(format!("{spec}: no file is named by a language, such as `en` or `zh.txt`"));
                }
                Lists::ByLanguage(by_language)
            }
        })
    }
}

/// [`BadWords`], built.
pub struct WordFinder {
    rules: BadWords,
    lists: Lists,
}

enum Lists {
    OfAll(WordList),
    ByLanguage(BTreeMap<String, WordList>),
}

impl Lists {
    fn of(&self, language: &str) -> Option<&WordList> {
        match self {
            Self::OfAll(list) => Some(list),
            Self::ByLanguage(lists) => names(language).find_map(|name| lists.get(name)),
        }
    }
}

/// What a language may be called in a list's name, best first: as it is, without its script or region, and by its code
/// of two letters.
fn names(language: &str) -> impl Iterator<Item = &str> {
    let bare = language.split(['-', '_']).next().unwrap_or_default();
    [language, bare, two_letters(bare)].into_iter()
}

/// The code of ISO 639-1 for one of ISO 639-3, for the languages that LDNOOBW has lists of.
fn two_letters(code: &str) -> &str {
    match code {
        "ara" | "arb" => "ar",
        "ces" => "cs",
        "cmn" | "zho" => "zh",
        "dan" => "da",
        "deu" => "de",
        "eng" => "en",
        "epo" => "eo",
        "fas" | "pes" => "fa",
        "fin" => "fi",
        "fra" => "fr",
        "hin" => "hi",
        "hun" => "hu",
        "ita" => "it",
        "jpn" => "ja",
        "kor" => "ko",
        "nld" => "nl",
        "nno" | "nob" | "nor" => "no",
        "pol" => "pl",
        "por" => "pt",
        "rus" => "ru",
        "spa" => "es",
        "swe" => "sv",
        "tha" => "th",
        "tur" => "tr",
        other => other,
    }
}

/// Whether words have no spaces between them.
fn is_unspaced(language: &str) -> bool {
    names(language).any(|name| matches!(name, "ja" | "th" | "zh"))
}

struct WordList {
    words: AhoCorasick,
    /// Whether all words are ASCII.
    only_ascii: bool,
}

impl WordList {
    fn new(lines: &[String], allow: &[String]) -> Result<Self, String> {
        /// The most bytes of words for which the faster kind of automaton is no burden: some 10,000 words.
        const FEW: usize = 100_000;
        let mut words: Vec<String> =
            lines.iter().filter(|word| !allow.contains(word)).map(|word| word.to_lowercase()).collect();
        words.sort_unstable();
        words.dedup();
        let is_small = words.iter().map(String::len).sum::<usize>() < FEW;
        let only_ascii = words.iter().all(|word| word.is_ascii());
        let words = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(is_small.then_some(AhoCorasickKind::DFA))
            .build(words)
            .map_err(|error| error.to_string())?;
        Ok(Self { words, only_ascii })
    }

    /// How often its words are in a text, those that overlap an earlier one not counted; up to the first that is more
    /// than `enough`.
    fn count(&self, text: &str, anywhere: bool, enough: u64) -> u64 {
        let text = self.lower_case(text);
        let is_inside = |c: Option<char>| c.is_some_and(text::is_word_char);
        let mut n = 0;
        let mut free = 0;
        for found in self.words.find_overlapping_iter(&*text) {
            let stands_alone = || {
                !is_inside(text[..found.start()].chars().next_back()) && !is_inside(text[found.end()..].chars().next())
            };
            if found.start() >= free && (anywhere || stands_alone()) {
                n += 1;
                free = found.end();
                if n > enough {
                    break;
                }
            }
        }
        n
    }

    /// The text in lower case, as far as its words, which are sought without regard to ASCII case, can tell.
    fn lower_case<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let same = if self.only_ascii {
            // The Kelvin sign and the dotted I are the only others whose lower case has an ASCII letter in it.
            text.is_ascii() || !text.contains(['\u{212a}', '\u{130}'])
        } else {
            text.chars().all(has_no_lower_case)
        };
        if same { Cow::Borrowed(text) } else { Cow::Owned(text.to_lowercase()) }
    }
}

/// Whether a character is its own lower case, or ASCII.
fn has_no_lower_case(c: char) -> bool {
    // From the CJK radicals to the Yi syllables, and in Hangul, nothing has two cases.
    let is_caseless = matches!(c, '\u{2e80}'..='\u{a63f}' | '\u{ac00}'..='\u{d7ff}');
    c.is_ascii() || is_caseless || c.to_lowercase().eq([c])
}

impl Filter for WordFinder {
    fn judge(&self, doc: &Doc<'_>) -> Verdict {
        let rules = &self.rules;
        let column = Some(rules.language_column.as_str()).filter(|column| !column.is_empty());
        let language = column.and_then(|column| doc.columns().string(column)).unwrap_or(&rules.default_language);
        let Some(list) = self.lists.of(language) else {
            return if rules.keep_unlisted { Verdict::Keep } else { Verdict::drop("no_list_for_language", 0.0, 1.0) };
        };
        // Where a share is asked for, all of them are to be counted.
        let enough = match (rules.max_words.get(), rules.max_share.is_on()) {
            (Some(max), false) => max as u64,
            _ => u64::MAX,
        };
        let n = list.count(doc.text(), is_unspaced(language), enough) as f64;
        let share = || n / doc.words().len().max(1) as f64;
        let ruling = match rules.max_words.at_most("too_many_bad_words", n) {
            std::ops::ControlFlow::Continue(()) if rules.max_share.is_on() && n > 0.0 => {
                rules.max_share.at_most("too_large_share_of_bad_words", share())
            }
            ruling => ruling,
        };
        if ruling.is_break() && self.is_spared(doc.text()) {
            return Verdict::Keep;
        }
        super::threshold::verdict(ruling)
    }

    fn reasons(&self) -> &'static [&'static str] {
        &["too_many_bad_words", "too_large_share_of_bad_words", "no_list_for_language"]
    }

    fn pins(&self) -> Vec<(&'static str, String)> {
        self.rules.digest.iter().map(|digest| ("digest", digest.clone())).collect()
    }

    fn needs(&self) -> Vec<Need> {
        let column = &self.rules.language_column;
        let need = || Need { column: column.clone(), kind: NeedKind::String };
        if column.is_empty() { Vec::new() } else { vec![need()] }
    }
}

impl WordFinder {
    /// Whether a document is of the share that stays.
    fn is_spared(&self, text: &str) -> bool {
        let draw = xxh3_64_with_seed(text.as_bytes(), self.rules.seed) as f64 / 2f64.powi(64);
        draw < self.rules.keep_fraction
    }
}

#[cfg(test)]
mod tests {
    use super::super::list_file::tests::folder;
    use super::*;
    use crate::doc::Columns;

    struct In(&'static str);

    impl Columns for In {
        fn string(&self, column: &str) -> Option<&str> {
            (column == "language" && !self.0.is_empty()).then_some(self.0)
        }
        fn number(&self, _: &str) -> Option<f64> {
            None
        }
    }

    /// The filter over lists of these names.
    fn built(lists: &[(&str, &str)], settings: BadWords) -> WordFinder {
        let folder = folder(lists);
        let words = folder.path().display().to_string();
        BadWords { words, ..settings }.build().expect("the settings of a test are right")
    }

    fn judged(filter: &WordFinder, language: &'static str, text: &str) -> String {
        filter.judge(&Doc::new(text, text, &In(language))).to_string()
    }

    const LISTS: [(&str, &str); 5] = [
        ("en", "darn\nHeck\nholy cow\nc++\n2 fast\n"),
        ("zh", "坏话\n性\n"),
        ("ja", "sm\nばか\n"),
        ("fr-CA", "zut\n"),
        ("ru", "чёрт\nЁлки\n"),
    ];

    #[track_caller]
    fn check(language: &'static str, text: &str, expected: bool) {
        let dropped = "too_many_bad_words 1 (threshold 0)";
        let filter = built(&LISTS, BadWords::default());
        assert_eq!(judged(&filter, language, text), if expected { dropped } else { "keep" }, "{language}: {text}");
    }

    #[test]
    fn words_stand_alone() {
        for text in
            ["darn", "Darn!", "so DARN it", "«darn»", "holy cow", "a heck", "in c++ or", "c++", "é darn", "2 fast"]
        {
            check("en", text, true);
        }
        for text in
            ["", "darned", "undarn", "darn_it", "darn2", "holy  cow", "xc++", "c++x", "édarn", "darné", "12 fast"]
        {
            check("en", text, false);
        }
    }

    #[test]
    fn words_without_spaces_are_anywhere() {
        check("zh", "他说坏话了", true);
        check("zh-Hans", "他说坏话了", true);
        check("cmn_Hani", "他说坏话了", true);
        check("ja", "おばかさん", true);
    }

    #[test]
    fn what_is_allowed_does_no_harm() {
        check("zh", "性别", false);
        check("ja", "sm", false);
        assert_ne!(judged(&built(&LISTS, BadWords { allow: vec![], ..BadWords::default() }), "zh", "性别"), "keep");
    }

    #[test]
    fn letters_of_any_script_have_two_cases() {
        check("ru", "Чёрт! ёлки", true);
        check("ru", "ЧЁРТ", true);
        check("ru", "чёрта", false);
        // The Kelvin sign is a K in lower case.
        check("en", "HEC\u{212a}", true);
    }

    #[test]
    fn the_language_chooses_the_list() {
        check("", "darn", true);
        check("en-GB", "darn", true);
        check("eng_Latn", "darn", true);
        check("fr-CA", "darn", false);
        check("fr", "zut", false);
        check("zh", "darn", false);
        check("xx", "darn", false);
    }

    #[test]
    fn a_language_without_a_list_can_be_dropped() {
        let filter = built(&LISTS, BadWords { keep_unlisted: false, ..BadWords::default() });
        assert_eq!(judged(&filter, "xx", "a"), "no_list_for_language 0 (threshold 1)");
        assert_eq!(judged(&filter, "en", "a"), "keep");
    }

    #[test]
    fn one_file_is_for_all_languages() {
        let folder = folder(&[("list.txt", "darn\n坏话\n")]);
        let words = folder.path().join("list.txt").display().to_string();
        let filter = BadWords { words, ..BadWords::default() }.build().expect("a file");
        for (language, text, dropped) in [
            ("xx", "darn", true),
            ("xx", "darned", false),
            ("zh", "他说坏话了", true),
            ("xx", "他说坏话了", false),
            ("zh", "darned", true),
        ] {
            assert_eq!(judged(&filter, language, text) != "keep", dropped, "{language} {text}");
        }
    }

    #[test]
    fn some_words_can_be_allowed_for() {
        let some = |max_words, max_share| built(&LISTS, BadWords { max_words, max_share, ..BadWords::default() });
        let filter = some(Threshold::at(1.0), Threshold::OFF);
        assert_eq!(judged(&filter, "en", "darn and darned"), "keep");
        assert_eq!(judged(&filter, "en", "darn and darn"), "too_many_bad_words 2 (threshold 1)");
        let filter = some(Threshold::OFF, Threshold::at(0.25));
        assert_eq!(judged(&filter, "en", "darn it all now"), "keep");
        assert_eq!(judged(&filter, "en", "darn it all"), "too_large_share_of_bad_words 0.3333 (threshold 0.25)");
        assert_eq!(judged(&filter, "en", ""), "keep");
    }

    #[test]
    fn a_share_stays_whatever_it_says() {
        let filter = |keep_fraction, seed| built(&LISTS, BadWords { keep_fraction, seed, ..BadWords::default() });
        let texts: Vec<String> = (0..1000).map(|i| format!("darn {i}")).collect();
        let stay = |filter: &WordFinder| -> Vec<bool> {
            texts.iter().map(|text| judged(filter, "en", text) == "keep").collect()
        };
        let n = |stay: &[bool]| stay.iter().filter(|stays| **stays).count();
        let quarter = stay(&filter(0.25, 0));
        assert!((200..300).contains(&n(&quarter)), "{}", n(&quarter));
        assert_eq!(quarter, stay(&filter(0.25, 0)));
        assert_ne!(quarter, stay(&filter(0.25, 1)));
        // Who asks for more gets those and others.
        assert!(quarter.iter().zip(stay(&filter(0.5, 0))).all(|(quarter, half)| !quarter || half));
        assert_eq!((n(&stay(&filter(0.0, 0))), n(&stay(&filter(1.0, 0)))), (0, 1000));
    }

    #[track_caller]
    fn check_refused(settings: BadWords, message: &str) {
        assert_eq!(settings.build().map(drop), Err(message.to_owned()));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let off = Threshold::OFF;
        check_refused(
            BadWords { keep_fraction: 1.5, ..BadWords::default() },
            "`keep_fraction` is 1.5, expected a share from 0 to 1",
        );
        check_refused(
            BadWords { max_words: off, max_share: off, ..BadWords::default() },
            "`max_words` and `max_share` are both off; one of them must say what is too much",
        );
        check_refused(
            BadWords { words: "no/such/list".into(), ..BadWords::default() },
            "`words`: no/such/list: there is no such file, nor a folder with files in it",
        );
        check_refused(BadWords::default(), "`words` names no list; give it a file, or a folder of files");
    }

    #[test]
    fn another_list_is_another_stage() {
        let dir = folder(&[("a", "dung\n"), ("b", "dung\nmuck\n")]);
        let built = |name: &str, digest: Option<String>| {
            let words = dir.path().join(name).display().to_string();
            BadWords { words, digest, ..BadWords::default() }.build()
        };
        let pins = built("a", None).map(|stage| stage.pins()).unwrap_or_default();
        let [("digest", digest)] = &pins[..] else { panic!("{pins:?}") };
        assert!(built("a", Some(digest.clone())).is_ok());
        let error = built("b", Some(digest.clone())).map(drop).expect_err("it is another list");
        assert!(error.contains("this is another file"), "{error}");
    }

    #[test]
    fn characters_without_case_are_known() {
        let wrong = |c: &char| has_no_lower_case(*c) != (c.is_ascii() || c.to_lowercase().eq([*c]));
        assert_eq!(('\0'..=char::MAX).find(wrong), None);
    }
}
