//! Chinese words by a dictionary, as jieba 0.42.1 cuts them.
//!
//! The dictionary, the search for the likeliest words and the model for unknown ones are those of `jieba-rs`. It
//! differs from jieba in two points, which are mended here: jieba's blocks are of the ideographs from U+4E00 to U+9FD5
//! only, all others stand alone; and what is left of letters and digits is cut by `[a-zA-Z0-9]+(?:\.\d+)?%?`.

use std::sync::LazyLock;

use jieba_rs::Jieba;

use crate::text;

static JIEBA: LazyLock<Jieba> = LazyLock::new(Jieba::new);

/// Words of the dictionary that are all ASCII.
const ASCII_WORDS: [&str; 5] = ["AT&T", "C#", "C++", "c#", "c++"];

/// Appends the words of a text, punctuation included, without white space.
///
/// They are those of jieba 0.42.1 with its default dictionary and its model for unknown words
/// (`jieba.cut(text, cut_all=False)`), as spaCy's Chinese tokenizer and through it datatrove 0.10 take them.
pub fn words<'t>(text: &'t str, out: &mut Vec<&'t str>) {
    for piece in pieces(text) {
        if piece.starts_with(in_block) { cut_block(piece, out) } else { out.push(piece) }
    }
}

/// The runs that jieba looks for words in, and the other characters but white space, which are words.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let mut chars = rest.chars();
            let c = chars.next()?;
            let end =
                if in_block(c) { rest.len() - chars.as_str().trim_start_matches(in_block).len() } else { c.len_utf8() };
            let (piece, after) = rest.split_at(end);
            rest = after;
            if !text::is_space(c) {
                return Some(piece);
            }
        }
    })
}

/// Whether jieba looks for words in runs of such characters.
fn in_block(c: char) -> bool {
    is_han(c) || c.is_ascii_alphanumeric() || matches!(c, '+' | '#' | '&' | '.' | '_' | '%' | '-')
}

/// The ideographs that jieba knows of.
fn is_han(c: char) -> bool {
    ('\u{4e00}'..='\u{9fd5}').contains(&c)
}

/// Appends the words of a run of characters that are all [`in_block`].
fn cut_block<'t>(block: &'t str, out: &mut Vec<&'t str>) {
    if block.is_ascii() && !ASCII_WORDS.iter().any(|word| block.contains(word)) {
        cut_ascii(block, out);
        return;
    }
    // ASCII between words of the dictionary is cut by jieba's own rule, whatever it was cut into.
    let (mut from, mut at) = (0, 0);
    for token in JIEBA.cut(block, true) {
        let word = token.word;
        if !word.is_ascii() || ASCII_WORDS.contains(&word) {
            cut_ascii(&block[from..at], out);
            out.push(word);
            from = at + word.len();
        }
        at += word.len();
    }
    cut_ascii(&block[from..], out);
}

/// Appends what `[a-zA-Z0-9]+(?:\.\d+)?%?` finds in an ASCII text, and what lies between.
fn cut_ascii<'t>(text: &'t str, out: &mut Vec<&'t str>) {
    let bytes = text.as_bytes();
    let run = |from: usize, is: fn(&u8) -> bool| bytes[from..].iter().take_while(|byte| is(byte)).count();
    let mut at = 0;
    while at < bytes.len() {
        let from = at;
        at += run(at, u8::is_ascii_alphanumeric);
        if at == from {
            at += run(at, |byte| !byte.is_ascii_alphanumeric());
        } else {
            if bytes.get(at) == Some(&b'.') {
                let n_digits = run(at + 1, u8::is_ascii_digit);
                at += if n_digits > 0 { 1 + n_digits } else { 0 };
            }
            at += usize::from(bytes.get(at) == Some(&b'%'));
        }
        out.push(&text[from..at]);
    }
}

#[cfg(test)]
mod tests {
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let mut words = Vec::new();
        super::words(text, &mut words);
        assert_eq!(words.join("|"), expected, "{text:?}");
    }

    #[test]
    fn words_are_those_of_the_dictionary() {
        check("我来到北京清华大学", "我|来到|北京|清华大学");
        check("", "");
        check(" \u{3000}\n", "");
    }

    #[test]
    fn marks_stand_alone() {
        check("2024年10月1日，价格是３５．６元！", "2024|年|10|月|1|日|，|价格|是|３|５|．|６|元|！");
        check("——好！！", "—|—|好|！|！");
    }

    #[test]
    fn letters_and_digits_are_cut_by_their_own_rule() {
        check("版本v1.2.3-rc.4的abc-def和50%、3.5%", "版本|v1.2|.|3|-|rc.4|的|abc|-|def|和|50%|、|3.5%");
        check("a--b_c 1.5.2", "a|--|b|_|c|1.5|.|2");
        check("用C++和C#写T恤", "用|C++|和|C#|写|T恤");
        check("xC++2.5%", "x|C++|2.5%");
    }

    #[test]
    fn rare_ideographs_stand_alone() {
        check("㐀㐁龦〇一", "㐀|㐁|龦|〇|一");
    }
}
