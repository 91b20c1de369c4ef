//! Takes out lines that are leftovers of a page, and drops documents that consist of them.

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::char_counts::CharCounts;
use super::threshold::{Threshold, check_order};
use crate::doc::Doc;
use crate::stage::{Edit, Editor, Reason, Settings};
use crate::text;

/// Takes out lines that are leftovers of a page, and drops documents that consist of them.
///
/// These are the line-wise corrections of RefinedWeb (Penedo et al. 2023, appendix G.2) but for its list of short
/// phrases. They are made for web pages: in books, headings and page numbers are such lines, too. Lines end at
/// line feeds; blank lines are no leftovers. `false` switches a rule off, an empty list that of `counters`.
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
    /// The document goes if a greater share of its words is on the lines that went. RefinedWeb: 0.05.
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
        Ok(LineEditor { rules: self, counter })
    }
}

/// [`LineRules`], built.
pub struct LineEditor {
    rules: LineRules,
    counter: Option<Regex>,
}

impl LineEditor {
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
        let is_word = |word: &&str| word.chars().any(text::is_word_char);
        text::words(line).filter(is_word).take(2).count() == 1
    }
}

impl Editor for LineEditor {
    fn edit(&self, doc: &Doc<'_>) -> Edit {
        let (gone, kept): (Vec<&str>, Vec<&str>) = doc.text().split('\n').partition(|line| self.is_leftover(line));
        if gone.is_empty() {
            return Edit::Unchanged;
        }
        let n_removed_words: usize = gone.iter().map(|line| text::words(line).count()).sum();
        let removed = n_removed_words as f64 / doc.words().len() as f64;
        if let Some(threshold) = self.rules.max_removed_words.get()
            && removed > threshold
        {
            return Edit::Drop(Reason { code: "too_many_leftover_lines", value: removed, threshold });
        }
        // The blank lines behind a leftover at the top go with it.
        Edit::Rewritten(kept.join("\n").trim_start_matches('\n').to_owned())
    }

    fn reasons(&self) -> &'static [&'static str] {
        &["too_many_leftover_lines"]
    }
}

#[cfg(test)]
mod tests {
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
            ..LineRules::default()
        };
        check(rules, "CLICK HERE\n12\n3 likes\nMenu", "unchanged");
    }
}
