//! The classes of characters that the rules name.
//!
//! They are those of spaCy 3.8 (`lang/char_classes.py`, `lang/punctuation.py`), which names ranges and lists rather
//! than Unicode properties.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, HirKind};

/// What a character may do: the classes that it is in, one bit each.
pub(super) type Classes = u16;

/// A letter: of Latin, Greek and Cyrillic as the European languages write them, or of a script without case, with
/// all that lies in its block.
pub(super) const ALPHA: Classes = 1;
/// A letter that is not upper case: lower case, or of a script without case.
pub(super) const LOWER: Classes = 1 << 1;
/// A letter that is not lower case: upper case, or of a script without case.
pub(super) const UPPER: Classes = 1 << 2;
/// A quotation mark, or a bracket that is used like one.
pub(super) const QUOTE: Classes = 1 << 3;
/// Cut off the start of a word.
pub(super) const PREFIX: Classes = 1 << 4;
/// Cut off the end of a word.
pub(super) const SUFFIX: Classes = 1 << 5;
/// Cut out of the midst of a word: a symbol, or an ellipsis.
pub(super) const INFIX: Classes = 1 << 6;
/// A full stop after it is cut off.
pub(super) const BEFORE_STOP: Classes = 1 << 7;
/// A sign of a currency: cut off a number.
pub(super) const CURRENCY: Classes = 1 << 8;
/// Ends a sentence, where it is a word of its own.
pub(super) const TERMINAL: Classes = 1 << 9;
/// Punctuation to Unicode: does not begin a sentence.
pub(super) const PUNCTUATION: Classes = 1 << 10;

/// The classes that the character is in.
#[inline]
pub(super) fn classes_of(c: char) -> Classes {
    TABLE.get(c as usize).copied().unwrap_or(0)
}

/// No class has characters from here on.
const END: usize = 0x3_0000;

static TABLE: LazyLock<Vec<Classes>> = LazyLock::new(|| {
    let mut table = vec![0; END];
    let mut mark = |class: &str, bits| {
        let hir = regex_syntax::parse(&format!("(?x)[{class}]")).expect("the classes below are valid");
        let HirKind::Class(Class::Unicode(class)) = hir.kind() else {
            unreachable!("the classes below are Unicode classes of more than one character");
        };
        for range in class.ranges() {
            for classes in &mut table[range.start() as usize..=range.end() as usize] {
                *classes |= bits;
            }
        }
    };
    mark(CASED, ALPHA);
    mark(UNCASED, ALPHA | LOWER | UPPER | BEFORE_STOP);
    // The one letter without case, and the one unassigned point, that the ranges take in.
    mark(&format!(r"[{CASED}]&&[\p{{Ll}}\x{{294}}]"), LOWER | BEFORE_STOP);
    mark(&format!(r"[{CASED}]&&[\p{{Lu}}\x{{3A2}}]"), UPPER);
    mark(QUOTES, QUOTE);
    mark(&format!("{QUOTES}{MARKS}"), PREFIX | SUFFIX | BEFORE_STOP);
    mark("–—", PREFIX | SUFFIX);
    mark(r"0-9%²+\-|", BEFORE_STOP);
    mark(&format!("§%={CURRENCIES}"), PREFIX);
    mark(CURRENCIES, CURRENCY);
    mark(SYMBOLS, PREFIX | SUFFIX | INFIX);
    mark(TERMINALS, TERMINAL);
    mark(r"\p{P}", PUNCTUATION);
    table
});

/// Latin with its extensions, Greek, and Cyrillic as Russian, Ukrainian, Tatar and Macedonian write it.
const CASED: &str = r"A-Za-z\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BF}\x{1C4}-\x{2AF}\x{386}\x{388}-\x{38A}\x{38C}
    \x{38E}\x{38F}\x{391}-\x{3A9}\x{3AC}-\x{3AF}\x{3B1}-\x{3C9}\x{3CC}-\x{3CE}\x{400}\x{401}\x{403}-\x{40A}\x{40C}
    \x{40D}\x{410}-\x{451}\x{453}-\x{45A}\x{45C}\x{45D}\x{490}\x{491}\x{496}\x{497}\x{4A2}\x{4A3}\x{4AE}\x{4AF}
    \x{4BA}\x{4BB}\x{4D8}\x{4D9}\x{4E8}\x{4E9}\x{1D00}-\x{1D25}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A}\x{1E00}-\x{1EFF}
    \x{2C60}-\x{2C7B}\x{2C7E}\x{2C7F}\x{A722}-\x{A76F}\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{A790}-\x{A7B9}\x{A7FA}
    \x{AB30}-\x{AB5A}\x{AB60}-\x{AB64}\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}";

/// Hebrew, Arabic, five scripts of India, Sinhala, Ethiopic, and those of China, Japan and Korea.
const UNCASED: &str = r"\x{591}-\x{5F4}\x{620}-\x{64A}\x{66E}-\x{6D5}\x{6E5}-\x{6FF}\x{750}-\x{77F}\x{8A0}-\x{8BD}
    \x{900}-\x{9FF}\x{B80}-\x{CFF}\x{D80}-\x{DFF}\x{1100}-\x{137F}\x{2E80}-\x{2FDF}\x{2FF0}-\x{30FF}\x{31C0}-\x{31EF}
    \x{3200}-\x{4DBF}\x{4E00}-\x{9FFF}\x{AC00}-\x{D7AF}\x{F900}-\x{FAFF}\x{FB1D}-\x{FBB1}\x{FBD3}-\x{FD3D}
    \x{FD50}-\x{FDC7}\x{FDF0}-\x{FDFB}\x{FE30}-\x{FE4F}\x{FE70}-\x{FEFC}\x{1EE00}-\x{1EEBB}\x{1F200}-\x{1F2FF}
    \x{20000}-\x{2A6DF}\x{2A700}-\x{2EBEF}\x{2F800}-\x{2FA1F}";

const QUOTES: &str = "'\",`«»´‘’‚“”„\u{2329}\u{232A}⟦⟧〈〉《》「」『』【】〔〕（）";

/// The other marks that are cut off both ends of a word; for dashes see above.
const MARKS: &str = r"!\#\&()*:;<>?\[\]_{}¡¿·…،؛؟٪۔।、。！，：；？～";

const CURRENCIES: &str = r"$£¥฿\x{20A0}-\x{20BF}\x{FDFC}";

/// The ellipsis, and general category So of Unicode 11, which U+166D joined later.
const SYMBOLS: &str = r"…[[\p{So}&&\p{Age=11.0}]--\x{166D}]";

/// The marks of spaCy's sentencizer (`pipeline/sentencizer.pyx`).
const TERMINALS: &str = r"!.?\x{589}\x{61F}\x{6D4}\x{700}-\x{702}\x{7F9}\x{964}\x{965}\x{104A}\x{104B}\x{1362}\x{1367}
    \x{1368}\x{166E}\x{1735}\x{1736}\x{1803}\x{1809}\x{1944}\x{1945}\x{1AA8}-\x{1AAB}\x{1B5A}\x{1B5B}\x{1B5E}\x{1B5F}
    \x{1C3B}\x{1C3C}\x{1C7E}\x{1C7F}\x{203C}\x{203D}\x{2047}-\x{2049}\x{2E2E}\x{2E3C}\x{3002}\x{A4FF}\x{A60E}\x{A60F}
    \x{A6F3}\x{A6F7}\x{A876}\x{A877}\x{A8CE}\x{A8CF}\x{A92F}\x{A9C8}\x{A9C9}\x{AA5D}-\x{AA5F}\x{AAF0}\x{AAF1}\x{ABEB}
    \x{FE52}\x{FE56}\x{FE57}\x{FF01}\x{FF0E}\x{FF1F}\x{FF61}\x{10A56}\x{10A57}\x{11047}\x{11048}\x{110BE}-\x{110C1}
    \x{11141}-\x{11143}\x{111C5}\x{111C6}\x{111CD}\x{111DE}\x{111DF}\x{11238}\x{11239}\x{1123B}\x{1123C}\x{112A9}
    \x{1144B}\x{1144C}\x{115C2}\x{115C3}\x{115C9}-\x{115D7}\x{11641}\x{11642}\x{1173C}-\x{1173E}\x{11A42}\x{11A43}
    \x{11A9B}\x{11A9C}\x{11C41}\x{11C42}\x{16A6E}\x{16A6F}\x{16AF5}\x{16B37}\x{16B38}\x{16B44}\x{1BC9F}\x{1DA88}";

#[cfg(test)]
mod tests {
    use super::super::golden::GOLDEN;
    use super::*;

    #[test]
    fn classes_are_those_of_spacy() {
        let classes = [
            ("alpha", ALPHA),
            ("lower", LOWER),
            ("upper", UPPER),
            ("quote", QUOTE),
            ("prefix", PREFIX),
            ("suffix", SUFFIX),
            ("infix", INFIX),
            ("before_stop", BEFORE_STOP),
            ("currency", CURRENCY),
            ("terminal", TERMINAL),
        ];
        assert_eq!(GOLDEN.classes.len(), classes.len());
        let number = |hex| u32::from_str_radix(hex, 16).expect("a hexadecimal number");
        for (name, class) in classes {
            let mut expected = GOLDEN.classes[name]
                .split(' ')
                .filter_map(|range| range.split_once('-'))
                .flat_map(|(first, last)| number(first)..=number(last));
            for c in ('\0'..=char::MAX).filter(|&c| classes_of(c) & class != 0) {
                assert_eq!(Some(c as u32), expected.next(), "{name}");
            }
            assert_eq!(expected.next(), None, "{name}");
        }
    }

    #[test]
    fn punctuation_is_unicodes() {
        let is = |c| classes_of(c) & PUNCTUATION != 0;
        assert!(".,!?_-“«。、（·".chars().all(is));
        assert!(!"$+<=>^`|~°©́aé中5 \n".chars().any(is));
        let class = regex::Regex::new(r"^\p{P}$").expect("a valid pattern");
        assert!(
            (0..=END as u32 + 5)
                .filter_map(char::from_u32)
                .all(|c| is(c) == class.is_match(c.encode_utf8(&mut [0; 4])))
        );
    }
}
