//! Brings white space to one shape: single spaces, line feeds, few blank lines.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rewrite::Rewrite;
use crate::stage::{Normalizer, Settings};
use crate::text;

/// Brings white space to one shape: every kind of line end becomes a line feed, any other run of white space between
/// words a single space, and what stands at the end of a line or at either end of the text goes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Whitespace {
    /// Whether spaces and tabs at the beginning of a line stay as they are, for the sake of program code and lists.
    /// The ideographic spaces of a Chinese paragraph go in any case. Default: yes.
    pub keep_indentation: bool,
    /// The most blank lines that may follow each other. Default 1, which parts paragraphs.
    pub max_blank_lines: usize,
}

impl Default for Whitespace {
    fn default() -> Self {
        Self { keep_indentation: true, max_blank_lines: 1 }
    }
}

impl Settings for Whitespace {
    const NAME: &'static str = "whitespace";
    const ABOUT: &'static str = "brings white space to one shape: single spaces, line feeds, few blank lines";
    type Stage = Self;

    fn build(self) -> Result<Self, String> {
        Ok(self)
    }
}

impl Normalizer for Whitespace {
    fn normalize<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut out = Rewrite::of(text);
        let mut at = 0;
        while let Some(space) = text[at..].find(text::is_space) {
            let start = at + space;
            out.keep(at..start);
            let end = text[start..].find(|c| !text::is_space(c)).map_or(text.len(), |len| start + len);
            // White space at the ends of the text is not kept.
            if start > 0 && end < text.len() {
                self.shape(&text[start..end], start, &mut out);
            }
            at = end;
        }
        out.keep(at..text.len());
        out.finish()
    }
}

impl Whitespace {
    /// Keeps a run of white space that begins at `start`, or puts what stands for it.
    fn shape(&self, space: &str, start: usize, out: &mut Rewrite<'_>) {
        if space == " " {
            return out.keep(start..start + 1);
        }
        let indentation = space.rfind(text::is_line_end).map(|at| space[at..].trim_start_matches(text::is_line_end));
        let Some(indentation) = indentation else {
            return out.put(' ');
        };
        let line_ends = &space[..space.len() - indentation.len()];
        let n_line_ends = text::lines(line_ends).count();
        let max_line_ends = self.max_blank_lines.saturating_add(1);
        if n_line_ends == line_ends.len() && n_line_ends <= max_line_ends && is_line_feeds(line_ends) {
            out.keep(start..start + line_ends.len());
        } else {
            for _ in 0..n_line_ends.min(max_line_ends) {
                out.put('\n');
            }
        }
        if self.keep_indentation {
            for (at, _) in indentation.match_indices([' ', '\t']) {
                let at = start + line_ends.len() + at;
                out.keep(at..at + 1);
            }
        }
    }
}

fn is_line_feeds(line_ends: &str) -> bool {
    line_ends.bytes().all(|b| b == b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(Whitespace::default().normalize(text), expected, "{text:?}");
    }

    #[test]
    fn every_line_end_is_a_line_feed() {
        check("a\r\nb\rc\u{85}d\u{2028}e\u{2029}f\u{b}g\u{c}h", "a\nb\nc\nd\ne\nf\ng\nh");
    }

    #[test]
    fn runs_are_single_spaces() {
        check("a  b\tc\u{a0}d\u{3000}\u{3000}e", "a b c d e");
    }

    #[test]
    fn lines_and_texts_have_no_ends_of_white_space() {
        check("a \nb\t\r\nc", "a\nb\nc");
        check(" \n a \n ", "a");
        check(" \n ", "");
        check("", "");
    }

    #[test]
    fn one_blank_line_is_enough() {
        check("a\n\nb", "a\n\nb");
        check("a\n\n\nb", "a\n\nb");
        check("a\r\n \r\n\r\nb", "a\n\nb");
        let none = Whitespace { max_blank_lines: 0, ..Whitespace::default() };
        assert_eq!(none.normalize("a\n\nb"), "a\nb");
    }

    #[test]
    fn code_keeps_its_indentation() {
        check("if a:\n    b\n\n\tc  d", "if a:\n    b\n\n\tc d");
        check("a\n \n  b", "a\n\n  b");
        let flat = Whitespace { keep_indentation: false, ..Whitespace::default() };
        assert_eq!(flat.normalize("if a:\n    b"), "if a:\nb");
    }

    #[test]
    fn a_chinese_paragraph_loses_its_indentation() {
        check("\u{3000}\u{3000}天下雨了。\n\u{3000}\u{3000}地上湿了。", "天下雨了。\n地上湿了。");
    }
}
