//! The line and page rules of C4, as datatrove has them.

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::threshold::Threshold;
use super::words;
use crate::doc::Doc;
use crate::stage::{Edit, Editor, Need, Profile, Reason, Settings};
use crate::text;
use crate::tokenize::Words;

/// The line and page rules of C4 (Raffel et al. 2020, section 2.2): lines that are no sentences go, and so do
/// documents that are left with too little, or that hold code or filler text.
///
/// The rules are those of datatrove 0.10's `C4QualityFilter` on lines, in its order; only the sentences are
/// counted on our own words unless `words` or a `profile` says otherwise, as in `gopher_quality`. `false` switches a rule off. On each line, stripped: `max_word_length`, then `remove_citations`,
/// `terminal_punctuation`, `min_words_per_line`, `lorem_ipsum`, `javascript`, `curly_brackets`, `policy_phrases`.
/// So a `{` on a line that an earlier rule has taken out does no harm, one on a policy line does.
///
/// The rules are made for English. `terminal_punctuation` knows ASCII marks only and `min_words_per_line` needs
/// spaces: switch both off for Chinese, or every line goes. FineWeb ran with `terminal_punctuation = false`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct C4 {
    /// Published settings to begin with instead of the defaults, each of which can be set beside it: `datatrove-0.10`
    /// (its words); `fineweb-2024` (the same, with `terminal_punctuation = false`); `c4` (the paper's numbers: five words
    /// a line and three sentences).
    pub profile: Option<String>,
    /// What sentences are made of. datatrove has the words of the `language`.
    pub words: Words,
    /// The language of all documents, for `words = "language"`: a code like `en` or `zh`. By default each document's
    /// column `language` says.
    pub language: Option<String>,
    /// Lines with a word of more characters go. datatrove: 1,000.
    pub max_word_length: Threshold,
    /// Whether `[1]`, `[]`, `[edit]` and `[citation needed]` are cut out. C4: yes.
    pub remove_citations: bool,
    /// Whether lines that do not end with `.`, `?`, `!`, `"` or `'`, or that end with `...`, go. C4: yes.
    pub terminal_punctuation: bool,
    /// Lines of fewer words, cut at white space, go. datatrove: 3.
    pub min_words_per_line: Threshold,
    /// Whether a document with "lorem ipsum" goes. C4: yes.
    pub lorem_ipsum: bool,
    /// Whether lines with the word "javascript" go. C4: yes.
    pub javascript: bool,
    /// Whether a document with a `{` goes. C4: yes.
    pub curly_brackets: bool,
    /// Lines with one of these phrases, in upper or lower case, go. Default: C4's six.
    pub policy_phrases: Vec<String>,
    /// Documents left with fewer sentences go. datatrove: 5.
    pub min_sentences: Threshold,
}

impl Default for C4 {
    fn default() -> Self {
        let policy_phrases =
            ["terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies"];
        Self {
            profile: None,
            words: Words::Units,
            language: None,
            max_word_length: Threshold::at(1000.0),
            remove_citations: true,
            terminal_punctuation: true,
            min_words_per_line: Threshold::at(3.0),
            lorem_ipsum: true,
            javascript: true,
            curly_brackets: true,
            policy_phrases: policy_phrases.map(String::from).to_vec(),
            min_sentences: Threshold::at(5.0),
        }
    }
}

impl Settings for C4 {
    const NAME: &'static str = "c4";
    const ABOUT: &'static str = "takes out lines that are no sentences, and drops documents by C4's page rules";
    type Stage = C4Editor;
    const PROFILES: &'static [Profile<Self>] = &[
        Profile { name: "datatrove-0.10", settings: Self::datatrove },
        Profile { name: "fineweb-2024", settings: Self::fineweb_2024 },
        Profile { name: "c4", settings: Self::published },
    ];

    fn build(self) -> Result<C4Editor, String> {
        words::check(self.words, self.language.as_deref(), self.profile.as_deref())?;
        let mut phrases = vec![LOREM_IPSUM.to_owned(), JAVASCRIPT.to_owned()];
        for phrase in &self.policy_phrases {
            if phrase.is_empty() {
                return Err("an empty phrase in `policy_phrases` would take out every line".to_owned());
            }
            phrases.push(phrase.to_lowercase());
        }
        let only_ascii = phrases.iter().all(|phrase| phrase.is_ascii());
        let phrases = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            // A few phrases are a small automaton, and every character of a corpus goes through it.
            .kind(Some(AhoCorasickKind::DFA))
            .build(phrases)
            .map_err(|error| format!("`policy_phrases`: {error}"))?;
        Ok(C4Editor { rules: self, phrases, only_ascii })
    }
}

impl C4 {
    fn datatrove() -> Self {
        Self { words: Words::Language, ..Self::default() }
    }

    fn fineweb_2024() -> Self {
        Self { terminal_punctuation: false, language: Some("en".into()), ..Self::datatrove() }
    }

    fn published() -> Self {
        Self { min_words_per_line: Threshold::at(5.0), min_sentences: Threshold::at(3.0), ..Self::default() }
    }
}

const LOREM_IPSUM: &str = "lorem ipsum";
const JAVASCRIPT: &str = "javascript";

/// [`C4`], built.
pub struct C4Editor {
    rules: C4,
    /// "lorem ipsum", "javascript", and then the policy phrases, all lower case.
    phrases: AhoCorasick,
    /// Whether all phrases are ASCII.
    only_ascii: bool,
}

/// What becomes of a line.
enum Line<'t> {
    Keep(Cow<'t, str>),
    Remove,
    /// The whole document goes.
    Condemn(&'static str),
}

impl C4Editor {
    fn rule<'t>(&self, line: &'t str) -> Line<'t> {
        let rules = &self.rules;
        let line = line.trim_matches(text::is_space);
        let words = || line.split(text::is_space).filter(|word| !word.is_empty());
        if let Some(max) = rules.max_word_length.get()
            && line.len() as f64 > max
            && words().any(|word| text::n_chars(word) as f64 > max)
        {
            return Line::Remove;
        }
        let n_words = words().take(rules.min_words_per_line.get().map_or(0, |min| min.ceil() as usize)).count();
        let line = if rules.remove_citations { without_citations(line) } else { Cow::Borrowed(line) };
        if rules.terminal_punctuation && (!line.ends_with(['.', '?', '!', '"', '\'']) || line.ends_with("...")) {
            return Line::Remove;
        }
        // The words are those of the line with its citations.
        if rules.min_words_per_line.get().is_some_and(|min| (n_words as f64) < min) {
            return Line::Remove;
        }
        let found = self.find_phrases(&line);
        if rules.lorem_ipsum && found.lorem_ipsum {
            return Line::Condemn("lorem_ipsum");
        }
        if rules.javascript && found.javascript {
            return Line::Remove;
        }
        if rules.curly_brackets && line.contains('{') {
            return Line::Condemn("curly_bracket");
        }
        if found.policy {
            return Line::Remove;
        }
        Line::Keep(line)
    }

    fn find_phrases(&self, line: &str) -> Phrases {
        let mut found = Phrases::default();
        for phrase in self.phrases.find_overlapping_iter(&*self.lower_case(line)) {
            match phrase.pattern().as_u32() {
                0 => found.lorem_ipsum = true,
                1 => found.javascript = true,
                _ => found.policy = true,
            }
        }
        found
    }

    /// The line in lower case, as far as the phrases, which are sought without regard to ASCII case, can tell.
    fn lower_case<'t>(&self, line: &'t str) -> Cow<'t, str> {
        // The Kelvin sign and the dotted I are the only others whose lower case has an ASCII letter in it.
        let same = line.is_ascii() || (self.only_ascii && !line.contains('\u{212a}') && !line.contains('\u{130}'));
        if same { Cow::Borrowed(line) } else { Cow::Owned(line.to_lowercase()) }
    }
}

#[derive(Default)]
struct Phrases {
    lorem_ipsum: bool,
    javascript: bool,
    policy: bool,
}

impl Editor for C4Editor {
    fn edit(&self, doc: &Doc<'_>) -> Edit {
        let enough = self.rules.min_sentences.get().unwrap_or(0.0);
        let tokenizer = words::tokenizer(self.rules.words, self.rules.language.as_deref(), doc);
        let known = doc.known_words(tokenizer).filter(|_| tokenizer.cuts_lines_alone());
        let sentences = |line: &Cow<'_, str>| match (line, known) {
            (Cow::Borrowed(line), Some(words)) => tokenizer.n_sentences_of(line, within(doc.text(), line, words)),
            _ => tokenizer.n_sentences(line),
        };
        let mut n_sentences = 0.0;
        let mut kept = Vec::new();
        for line in doc.lines() {
            match self.rule(line) {
                Line::Remove => {}
                Line::Condemn(code) => return Edit::Drop(Reason { code, value: 1.0, threshold: 0.0 }),
                Line::Keep(line) => {
                    // Nobody asks for more sentences than are enough.
                    if n_sentences < enough {
                        n_sentences += sentences(&line) as f64;
                    }
                    kept.push(line);
                }
            }
        }
        if n_sentences < enough {
            return Edit::Drop(Reason { code: "too_few_sentences", value: n_sentences, threshold: enough });
        }
        let kept = kept.join("\n");
        let kept = kept.trim_matches(text::is_space);
        if kept == doc.text() { Edit::Unchanged } else { Edit::Rewritten(kept.to_owned()) }
    }

    fn needs(&self) -> Vec<Need> {
        words::needs(self.rules.words, self.rules.language.as_deref())
    }

    fn reasons(&self) -> &'static [&'static str] {
        &["lorem_ipsum", "curly_bracket", "too_few_sentences"]
    }
}

/// Those of a text's words that are in a part of it.
fn within<'w, 't>(text: &str, part: &str, words: &'w [&'t str]) -> &'w [&'t str] {
    let before = |at: usize| words.partition_point(|word| text::offset(text, word) < at);
    let begin = text::offset(text, part);
    &words[before(begin)..before(begin + part.len())]
}

/// The line without `[`digits`]`, `[edit]` and `[citation needed]`. The spaces around them stay.
fn without_citations(line: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut rest = line;
    let mut from = 0;
    while let Some(at) = memchr::memchr(b'[', &rest.as_bytes()[from..]) {
        let at = from + at;
        match citation_len(&rest[at + 1..]) {
            Some(len) => {
                out.push_str(&rest[..at]);
                rest = &rest[at + 1 + len..];
                from = 0;
            }
            None => from = at + 1,
        }
    }
    if rest.len() == line.len() {
        return Cow::Borrowed(line);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The length of what follows the `[` of a citation, the `]` included.
fn citation_len(after: &str) -> Option<usize> {
    let rest = ["edit", "citation needed"]
        .iter()
        .find_map(|word| after.strip_prefix(word))
        .unwrap_or_else(|| after.trim_start_matches(text::is_digit));
    rest.starts_with(']').then(|| after.len() - rest.len() + 1)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::filter::tests::edited_by;

    /// Each reason beside the one datatrove gives.
    pub(in crate::filter) const PUBLISHED: &[(&str, &str)] = &[
        ("lorem_ipsum", "lorem_ipsum"),
        ("curly_bracket", "curly_bracket"),
        ("too_few_sentences", "too_few_sentences"),
    ];

    /// All rules off.
    fn off() -> C4 {
        C4 {
            profile: None,
            words: Words::Units,
            language: None,
            max_word_length: Threshold::OFF,
            remove_citations: false,
            terminal_punctuation: false,
            min_words_per_line: Threshold::OFF,
            lorem_ipsum: false,
            javascript: false,
            curly_brackets: false,
            policy_phrases: Vec::new(),
            min_sentences: Threshold::OFF,
        }
    }

    /// The published rules, but for the number of sentences.
    fn lines_only() -> C4 {
        C4 { min_sentences: Threshold::OFF, ..C4::default() }
    }

    #[track_caller]
    fn check(rules: C4, text: &str, expected: &str) {
        assert_eq!(edited_by(rules, text), expected, "{text:?}");
    }

    #[test]
    fn sentences_are_kept() {
        check(C4::default(), "This is one. And two. And three.\nThis is four. And five.", "unchanged");
    }

    #[test]
    fn five_sentences_are_enough() {
        check(C4::default(), "One is here.\nTwo is here.\nThree is here.\nFour. And five.", "unchanged");
        check(
            C4::default(),
            "One is here.\nTwo is here.\nThree is here.\nFour is.",
            "too_few_sentences 3 (threshold 5)",
        );
        check(C4::default(), "", "too_few_sentences 0 (threshold 5)");
    }

    #[test]
    fn lines_are_stripped_and_joined_with_line_feeds() {
        check(off(), "  a \r\n\u{3000}b\u{2028}\n\n c\n", "a\nb\n\n\nc");
        check(off(), "\n\na\n", "a");
    }

    #[test]
    fn lines_with_a_giant_word_go() {
        let rules = || C4 { max_word_length: Threshold::at(3.0), ..off() };
        check(rules(), "a été\nb", "unchanged");
        check(rules(), "a étés\nb", "b");
    }

    #[test]
    fn citations_are_cut_out_and_leave_their_spaces() {
        let rules = || C4 { remove_citations: true, ..off() };
        check(rules(), "a [1] b[23][] c [edit] d [citation needed].", "a  b c  d .");
        check(rules(), "a [٣] [[4]", "a  [");
        check(rules(), "[Edit] [a] [1a] [-1] [ ] [1", "unchanged");
    }

    #[test]
    fn lines_must_end_with_an_ascii_mark() {
        let rules = || C4 { terminal_punctuation: true, ..off() };
        check(rules(), "a.\nb?\nc!\nd\"\ne'", "unchanged");
        check(rules(), "a\nb...\nc…\n他来了。\nd:\ne.)\nf.", "f.");
        check(rules(), "a....\nf.", "f.");
    }

    #[test]
    fn the_mark_is_looked_for_after_citations_are_cut_out() {
        check(lines_only(), "It is so.[1]\nIt is so [2]", "It is so.");
    }

    #[test]
    fn words_are_counted_before_citations_are_cut_out() {
        check(lines_only(), "It is. [1]\nIt is.", "");
        check(lines_only(), "It [1] is.\nIt is.", "It  is.");
        check(lines_only(), "他来了。 a b.\n他来了.", "他来了。 a b.");
    }

    #[test]
    fn lorem_ipsum_condemns_the_document() {
        check(lines_only(), "Here is Lorem Ipsum.\nIt is so.", "lorem_ipsum 1 (threshold 0)");
        check(C4 { lorem_ipsum: false, ..lines_only() }, "Here is Lorem Ipsum.", "unchanged");
    }

    #[test]
    fn lines_of_javascript_go() {
        check(lines_only(), "Please enable JavaScript.\nIt is so.", "It is so.");
        check(lines_only(), "Please enable Java[1]Script.\nIt is so.", "It is so.");
        check(C4 { javascript: false, ..lines_only() }, "Please enable JavaScript.", "unchanged");
    }

    #[test]
    fn a_curly_bracket_condemns_the_document() {
        check(lines_only(), "It is { so.\nIt is so.", "curly_bracket 1 (threshold 0)");
        check(C4 { curly_brackets: false, ..lines_only() }, "It is { so.", "unchanged");
    }

    #[test]
    fn lines_about_policies_go() {
        let text = "See the Terms of Use.\nSee our PRIVACY POLICY.\nThis site uses cookies.\nIt is so.";
        check(lines_only(), text, "It is so.");
        // The Kelvin sign is a K in lower case.
        check(lines_only(), "This site uses coo\u{212a}ies.\nIt is so.", "It is so.");
        check(
            C4 { policy_phrases: vec!["UNSERE datenschutz".into()], ..off() },
            "Unsere Datenschutzrichtlinie\na",
            "a",
        );
        check(off(), "This site uses cookies.", "unchanged");
    }

    #[test]
    fn a_line_that_is_gone_condemns_nothing() {
        check(lines_only(), "lorem ipsum {\nIt is so.", "It is so.");
        check(lines_only(), "lorem ipsum.\nIt is so.", "It is so.");
        check(lines_only(), "Enable javascript {}.\nIt is so.", "It is so.");
        check(lines_only(), "Read our privacy policy {}.\nIt is so.", "curly_bracket 1 (threshold 0)");
    }

    #[test]
    fn a_chinese_page_needs_two_rules_off() {
        let text = "他来了。他走了。\n天下雨了。地上湿了。\n我在家。";
        check(C4::default(), text, "too_few_sentences 0 (threshold 5)");
        let rules = C4 { terminal_punctuation: false, min_words_per_line: Threshold::OFF, ..C4::default() };
        check(rules, text, "unchanged");
    }

    #[test]
    fn an_empty_phrase_is_refused() {
        assert!(C4 { policy_phrases: vec![String::new()], ..off() }.build().is_err());
    }
}
