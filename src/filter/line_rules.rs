//! Takes out lines that are leftovers of a page, and drops documents that consist of them.

use std::borrow::Cow;

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::char_counts::CharCounts;
use super::leftovers::take_out;
use super::threshold::{Threshold, check_order};
use crate::doc::Doc;
use crate::stage::{Edit, Editor, Reason, Settings};
use crate::text;

/// Takes out lines that are leftovers of a page, and drops documents that consist of them.
///
/// These are the line-wise corrections of RefinedWeb (Penedo et al. 2023, appendix G.2); what it leaves open is as DCLM
/// has it (Li et al. 2024, in its `refinedweb.yaml`), unless said below. They are made for web pages: in books, headings
/// and page numbers are such lines, too. Lines end at line feeds; blank lines are no leftovers. `false` switches a rule
/// off, an empty list that of its words or phrases.
///
/// A short line first loses its phrases, and is then judged by what is left of it; if nothing is, it goes. DCLM judges
/// first.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LineRules {
    /// Lines with a greater share of capitals among their letters go. RefinedWeb: "mainly composed of
    /// uppercase characters", which is taken for a half. Scripts without case have no capitals.
    pub max_upper: Threshold,
    /// Whether lines of digits without any letter go, whatever stands between. RefinedWeb: yes.
    pub numeric: bool,
    /// Lines that only count one of these go: `3 likes`, `1.2K views`, `12 次浏览`, `评论：8`. RefinedWeb: "is a
    /// counter"; the words are those of DCLM (Li et al. 2024) and their Chinese like.
    pub counters: Vec<String>,
    /// Whether lines of a single word go, whatever punctuation is beside it. RefinedWeb: yes.
    pub single_word: bool,
    /// How many ideographs and kana still make a single word in a line that has no other letters. Default 2:
    /// most Chinese words have two characters.
    pub single_word_ideographs: usize,
    /// Phrases that short lines lose at their start, in upper or lower case. RefinedWeb: "e.g. sign-in", which is all
    /// that DCLM has.
    pub opening_phrases: Vec<String>,
    /// Phrases that short lines lose at their end. RefinedWeb: "e.g. Read more...", which is all that DCLM has; here also
    /// with the one character `…`.
    pub closing_phrases: Vec<String>,
    /// Phrases that short lines lose wherever they are. RefinedWeb: "e.g. items in cart", which is all that DCLM has.
    pub phrases: Vec<String>,
    /// The most words of a short line; punctuation does not count, an ideograph does. RefinedWeb: 10.
    pub short_line_words: usize,
    /// The document goes if a greater share of its words was taken out, by lines or by phrases. RefinedWeb: 0.05.
    pub max_removed_words: Threshold,
}

impl Default for LineRules {
    fn default() -> Self {
        let counters = [
            "likes",
            "shares",
            "comments",
            "retweets",
            "reposts",
            "quotes",
            "bookmarks",
            "upvotes",
            "downvotes",
            "downloads",
            "views",
            "followers",
            "赞",
            "点赞",
            "评论",
            "转发",
            "分享",
            "收藏",
            "浏览",
            "阅读",
            "回复",
            "关注",
            "粉丝",
            "下载",
        ];
        Self {
            max_upper: Threshold::at(0.5),
            numeric: true,
            counters: counters.map(String::from).to_vec(),
            single_word: true,
            single_word_ideographs: 2,
            opening_phrases: vec!["sign-in".to_owned()],
            closing_phrases: vec!["read more...".to_owned(), "read more…".to_owned()],
            phrases: vec!["items in cart".to_owned()],
            short_line_words: 10,
            max_removed_words: Threshold::at(0.05),
        }
    }
}

impl Settings for LineRules {
    const NAME: &'static str = "line_rules";
    const ABOUT: &'static str = "takes out lines of capitals, numbers, counters, a word; drops texts with many";
    type Stage = LineEditor;

    fn build(self) -> Result<LineEditor, String> {
        check_order(("max_removed_words", self.max_removed_words), ("1", Threshold::at(1.0)))?;
        let counter = if self.counters.is_empty() {
            None
        } else {
            let words = self.counters.iter().map(|word| regex::escape(word)).collect::<Vec<_>>().join("|");
            let number = r"\d[\d.,]*\s*[KkMmBb千万亿]?\+?";
            let counter = format!(r"^\W*(?i:{number}\s*[次个条人]?\s*(?:{words})|(?:{words})\W*{number})\W*$");
            Some(Regex::new(&counter).map_err(|error| format!("`counters`: {error}"))?)
        };
        let phrases = phrases([
            ("opening_phrases", "^", &self.opening_phrases, ""),
            ("closing_phrases", "", &self.closing_phrases, "$"),
            ("phrases", "", &self.phrases, ""),
        ])?;
        Ok(LineEditor { rules: self, counter, phrases })
    }
}

/// The expression of all phrases, each where its list says, with the white space that parts it from the rest of the line.
fn phrases(lists: [(&str, &str, &Vec<String>, &str); 3]) -> Result<Option<Regex>, String> {
    let mut all = Vec::new();
    for (name, begin, list, end) in lists {
        for phrase in list {
            if phrase.trim_matches(text::is_space).is_empty() {
                return Err(format!("`{name}`: \"{phrase}\" has no words, and would be in many lines"));
            }
            // `sign-in` is not in `sign-ins`; in Chinese nothing parts words.
            let edge = |c: Option<char>| if c.is_some_and(|c| c.is_ascii_alphanumeric()) { r"(?-u:\b)" } else { "" };
            let (first, last) = (edge(phrase.chars().next()), edge(phrase.chars().next_back()));
            let before = if begin.is_empty() { r"\s?" } else { r"^\s*" };
            let after = if end.is_empty() && !begin.is_empty() {
                r"\s?"
            } else if end.is_empty() {
                ""
            } else {
                r"\s*$"
            };
            all.push(format!("{before}{first}{}{last}{after}", regex::escape(phrase)));
        }
    }
    let regex = || Regex::new(&format!("(?i){}", all.join("|"))).map_err(|error| format!("`phrases`: {error}"));
    if all.is_empty() { Ok(None) } else { regex().map(Some) }
}

/// [`LineRules`], built.
pub struct LineEditor {
    rules: LineRules,
    counter: Option<Regex>,
    phrases: Option<Regex>,
}

impl LineEditor {
    /// What is left of a line, if it does not go.
    fn rest_of<'l>(&self, line: &'l str) -> Option<Cow<'l, str>> {
        let line = self.without_phrases(line);
        let is_gone = |line: &str| line.trim_matches(text::is_space).is_empty();
        let goes = matches!(line, Cow::Owned(_)) && is_gone(&line) || self.is_leftover(&line);
        (!goes).then_some(line)
    }

    fn without_phrases<'l>(&self, line: &'l str) -> Cow<'l, str> {
        let mut line = Cow::Borrowed(line);
        // One may stand behind another.
        while let Some(phrases) = &self.phrases
            && self.is_short(&line)
            && let Some(found) = phrases.find(&line)
        {
            line = Cow::Owned(line[..found.start()].to_owned() + &line[found.end()..]);
        }
        line
    }

    fn is_short(&self, line: &str) -> bool {
        let max = self.rules.short_line_words;
        text::words(line).filter(is_word).take(max.saturating_add(1)).count() <= max
    }

    fn is_leftover(&self, line: &str) -> bool {
        let n = CharCounts::of(line);
        if n.visible == 0 {
            return false;
        }
        self.rules.max_upper.get().is_some_and(|max| n.upper as f64 > max * n.letters as f64)
            || (self.rules.numeric && n.digits > 0 && n.letters == 0)
            || (self.rules.single_word && self.is_single_word(line, &n))
            || (n.digits > 0 && self.counter.as_ref().is_some_and(|counter| counter.is_match(line)))
    }

    fn is_single_word(&self, line: &str, n: &CharCounts) -> bool {
        if n.ideographs > 0 && n.ideographs == n.letters {
            return n.digits == 0 && n.ideographs <= self.rules.single_word_ideographs;
        }
        text::words(line).filter(is_word).take(2).count() == 1
    }
}

/// Whether a unit is no punctuation.
fn is_word(word: &&str) -> bool {
    word.chars().any(text::is_word_char)
}

impl Editor for LineEditor {
    fn edit(&self, doc: &Doc<'_>) -> Edit {
        let Some(rest) = take_out(doc.text(), |line| self.rest_of(line)) else { return Edit::Unchanged };
        let n_words = doc.words().len();
        let removed = n_words.saturating_sub(text::words(&rest.text).count()) as f64 / n_words as f64;
        if let Some(threshold) = self.rules.max_removed_words.get()
            && removed > threshold
        {
            return Edit::Drop(Reason { code: "too_many_leftover_lines", value: removed, threshold });
        }
        Edit::Rewritten(rest.text)
    }

    fn reasons(&self) -> &'static [&'static str] {
        &["too_many_leftover_lines"]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::filter::tests::edited_by;

    #[track_caller]
    fn check(rules: LineRules, text: &str, expected: &str) {
        assert_eq!(edited_by(rules, text), expected, "{text:?}");
    }

    fn lenient() -> LineRules {
        LineRules { max_removed_words: Threshold::OFF, ..LineRules::default() }
    }

    /// Whether each of the lines goes.
    #[track_caller]
    fn check_lines(lines: &[&str], goes: bool) {
        let editor = LineRules::default().build().expect("defaults are right");
        for line in lines {
            assert_eq!(editor.is_leftover(line), goes, "{line:?}");
        }
    }

    #[test]
    fn prose_stays() {
        check_lines(&["It is so.", "他来了。", "NASA sent it up.", "I am.", "", "  ", "---", "第三章 风雨"], false);
    }

    #[test]
    fn lines_of_capitals_go() {
        check_lines(&["CLICK HERE NOW", "HOME ABOUT us", "ВСЕ НОВОСТИ"], true);
        check_lines(&["AB cd", "点击这里"], false);
    }

    #[test]
    fn lines_of_numbers_go() {
        check_lines(&["12", "- 12 -", "2024-10-01", "１２３", "1 2 3"], true);
        check_lines(&["12 pages of it", "第12页上有字"], false);
    }

    #[test]
    fn counters_go() {
        check_lines(
            &["3 likes", "1.2K views", "  12,345 Comments |", "阅读 1234", "12 次浏览", "评论：8", "3万粉丝"],
            true,
        );
        check_lines(&["He likes 3 of them", "3 likes and more", "likes of it", "她有3万粉丝和朋友"], false);
    }

    #[test]
    fn lines_of_one_word_go() {
        check_lines(&["Menu", "  » Menu «", "well-kept", "首页", "【登录】"], true);
        check_lines(&["Main menu", "新闻中心", "Gpt模型"], false);
    }

    #[test]
    fn leftovers_are_taken_out_and_blank_lines_stay() {
        check(lenient(), "Menu\nIt is so.\n\n12\nAnd so.\n", "It is so.\n\nAnd so.\n");
        check(lenient(), "It is so.\r\n", "unchanged");
        check(lenient(), "", "unchanged");
    }

    #[test]
    fn documents_of_leftovers_are_dropped() {
        let rules = || LineRules { max_removed_words: Threshold::at(0.2), ..LineRules::default() };
        check(rules(), "Menu\nIt is so .", "It is so .");
        check(rules(), "Menu\nIt is .", "too_many_leftover_lines 0.25 (threshold 0.2)");
        check(rules(), "首页\n他来了我走了。", "too_many_leftover_lines 0.2222 (threshold 0.2)");
        check(rules(), "首页\n他来了我就走了。", "他来了我就走了。");
    }

    #[test]
    fn rules_can_be_switched_off() {
        let rules = LineRules {
            max_upper: Threshold::OFF,
            numeric: false,
            counters: Vec::new(),
            single_word: false,
            opening_phrases: Vec::new(),
            closing_phrases: Vec::new(),
            phrases: Vec::new(),
            ..LineRules::default()
        };
        check(rules, "CLICK HERE\n12\n3 likes\nMenu\nSign-in or read more...\n2 items in cart now", "unchanged");
    }

    #[test]
    fn short_lines_lose_phrases() {
        check(lenient(), "Sign-in to see it.", "to see it.");
        check(lenient(), "A storm came in. Read more...", "A storm came in.");
        check(lenient(), "A storm came in. READ MORE…  \nb c", "A storm came in.\nb c");
        check(lenient(), "You have 2 items in cart now", "You have 2 now");
        check(lenient(), "It is so.\n  Sign-in items in cart read more...\nAnd so.", "It is so.\nAnd so.");
        // What is left is a single word.
        check(lenient(), "Sign-in Menu\nIt is so.", "It is so.");
    }

    #[test]
    fn phrases_are_lost_only_in_their_places() {
        let same = |text: &str| check(lenient(), text, "unchanged");
        same("You must sign-in here.");
        same("Sign-ins are many here.");
        same("Read more... it is good.");
        same("It was spread more...");
        same("Two items in carts now");
    }

    #[test]
    fn a_line_of_ten_words_is_short() {
        let eight = "one two three four five six, seven eight";
        check(lenient(), &format!("{eight} Read more..."), eight);
        check(lenient(), &format!("nine {eight} Read more..."), "unchanged");
        let rules = || LineRules { closing_phrases: vec!["更多".into()], single_word: false, ..lenient() };
        check(rules(), "天下雨了地湿了。更多", "天下雨了地湿了。");
        check(rules(), "天下大雨了地都湿了。更多", "unchanged");
    }

    #[test]
    fn words_of_phrases_count_as_taken_out() {
        let rules = |max| LineRules { max_removed_words: Threshold::at(max), ..LineRules::default() };
        // Two words and an ellipsis of twelve units.
        let text = "a b c d e\nf g h i read more...";
        check(rules(0.25), text, "a b c d e\nf g h i");
        check(rules(0.24), text, "too_many_leftover_lines 0.25 (threshold 0.24)");
    }

    #[test]
    fn a_phrase_without_words_is_refused() {
        let rules = LineRules { phrases: vec![" ".into()], ..LineRules::default() };
        assert!(rules.build().map(drop).expect_err("it is wrong").starts_with("`phrases`: \" \""));
    }

    proptest! {
        #[test]
        fn editing_twice_is_editing_once(text in "((sign-in|read more\\.\\.\\.|items in cart|a b|C|12|\n|3 likes)[ \n]?){0,20}") {
            let editor = lenient().build().expect("they are right");
            let edited = |text: &str| match editor.edit(&Doc::bare(text)) {
                Edit::Unchanged => text.to_owned(),
                Edit::Rewritten(text) => text,
                Edit::Drop(reason) => unreachable!("no share is too great: {reason}"),
            };
            let once = edited(&text);
            prop_assert_eq!(edited(&once), once);
        }
    }
}
