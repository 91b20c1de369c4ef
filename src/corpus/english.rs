//! Words of simplified text as spaCy's tokenizer for English cuts them, which datatrove uses by default.
//!
//! Without punctuation little is left of its rules: contractions that have lost their apostrophe are taken apart
//! (`dont` is `do` and `nt`), and a unit of measure after a number; symbols stand alone. Where no spaces are written,
//! [our own rules](crate::text::words) hold: every ideograph is a word.

use std::sync::LazyLock;

use crate::text::{self, is_mark, is_word_char};

/// Hands on the words of a text.
pub(super) fn words<'t>(simplified: &'t str, mut push: impl FnMut(&'t str)) {
    for word in text::words(simplified) {
        let [first, .., last] = word.as_bytes() else {
            push(word);
            continue;
        };
        if first.is_ascii_lowercase()
            && word.len() <= LONGEST
            && b"adelmst".contains(last)
            && let Ok(found) = CONTRACTIONS.binary_search_by(|(whole, _)| whole.as_str().cmp(word))
        {
            CONTRACTIONS[found].1.split(' ').for_each(&mut push);
            continue;
        }
        if !first.is_ascii() && !word.starts_with(|c| is_word_char(c) || is_mark(c)) {
            // Our words join a symbol that is repeated.
            word.split_inclusive(|_| true).for_each(&mut push);
        } else {
            push_measure(word, &mut push);
        }
    }
}

/// Hands on a word, in two if it ends with a unit after a number. All numbers are 0 here.
fn push_measure<'t>(word: &'t str, push: &mut impl FnMut(&'t str)) {
    let end = word.rfind('0').map_or(word.len(), |at| at + 1);
    let (number, unit) = word.split_at(end);
    if UNITS.contains(&unit) {
        push(number);
        push(unit);
    } else {
        push(word);
    }
}

/// How contractions are taken apart, in the order of the whole.
static CONTRACTIONS: LazyLock<Vec<(String, &str)>> = LazyLock::new(|| {
    let mut all: Vec<_> = APART.split(", ").map(|apart| (apart.replace(' ', ""), apart)).collect();
    all.sort_unstable();
    all
});

/// The bytes of the longest contraction.
const LONGEST: usize = 10;

/// The contractions among the tokenizer's special cases (spaCy 3.8, `lang/en/tokenizer_exceptions.py`), in lower case.
const APART: &str = "\
    ai nt, are nt, can not, ca nt, ca nt ve, could nt, could nt ve, could ve, dare nt, did nt, did nt ve, does nt, \
    does nt ve, do nt, do nt ve, gon na, got ta, had nt, had nt ve, has nt, have nt, he d, he d ve, he ll ve, he s, \
    how d, how d ve, how ll, how ll ve, how re, how s, how ve, i d, i d ve, i ll ve, i m, i m a, is nt, it d, it d \
    ve, it ll, it ll ve, i ve, may nt, may nt ve, might nt, might nt ve, might ve, must nt, must nt ve, must ve, \
    need nt, need nt ve, not ve, ought nt, ought nt ve, sha nt, sha nt ve, she d ve, she ll ve, she s, should nt, \
    should nt ve, should ve, that d, that d ve, that ll, that ll ve, that s, there d, there d ve, there ll, there ll \
    ve, there re, there s, there ve, these d, these d ve, these ll, these ll ve, these re, these ve, they d, they d \
    ve, they ll, they ll ve, they re, they ve, this d, this d ve, this ll, this ll ve, this s, those d, those d ve, \
    those ll, those ll ve, those re, those ve, was nt, we d, we d ve, we ll ve, were nt, we ve, what d, what d ve, \
    what ll, what ll ve, what re, what s, what ve, when d, when d ve, when ll, when ll ve, when re, when s, when ve, \
    where d, where d ve, where ll, where ll ve, where re, where s, where ve, who d, who d ve, who ll, who ll ve, who \
    s, who ve, why d, why d ve, why ll, why ll ve, why re, why s, why ve, wo nt, wo nt ve, would nt, would nt ve, \
    would ve, y all, you d, you d ve, you ll, you ll ve, you re, you ve";

/// The units of measure that are cut off a number (spaCy 3.8, `lang/char_classes.py`): those that lower case and the
/// loss of punctuation and accents leave as they are.
const UNITS: &[&str] = &[
    "km",
    "km²",
    "km³",
    "m",
    "m²",
    "m³",
    "dm",
    "dm²",
    "dm³",
    "cm",
    "cm²",
    "cm³",
    "mm",
    "mm²",
    "mm³",
    "ha",
    "µm",
    "nm",
    "yd",
    "in",
    "ft",
    "kg",
    "g",
    "mg",
    "µg",
    "t",
    "lb",
    "oz",
    "kmh",
    "mph",
    "mbar",
    "mb",
    "kb",
    "gb",
    "tb",
    "км",
    "км²",
    "км³",
    "м",
    "м²",
    "м³",
    "дм",
    "дм²",
    "дм³",
    "см",
    "см²",
    "см³",
    "мм",
    "мм²",
    "мм³",
    "нм",
    "кг",
    "г",
    "мг",
    "мбар",
    "кб",
    "мб",
    "гб",
    "тбكم",
    "كم²",
    "كم³",
    "م",
    "م²",
    "م³",
    "سم",
    "سم²",
    "سم³",
    "مم",
    "مم²",
    "مم³",
    "كم",
    "غرام",
    "جرام",
    "جم",
    "كغ",
    "ملغ",
    "كوب",
    "اكواب",
];
