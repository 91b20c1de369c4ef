//! From bytes to text, where the bytes are perhaps not UTF-8.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The reason for rejecting what is not UTF-8, where it had to be.
pub const INVALID_UTF8: &str = "invalid_utf8";
/// The reason for rejecting what is not in the encoding that it had to be in, or in none that was found.
pub const UNDECODABLE: &str = "undecodable";

/// The bytes that an encoding is guessed from.
const LOOKED_AT: usize = 16 << 10;

/// How many texts were read as being in an encoding that was guessed, by its name.
pub type Guesses = BTreeMap<&'static str, u64>;

/// How texts are encoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8.
    #[default]
    Utf8,
    /// UTF-8, or what else it is most likely to be, to be found out for each text.
    Detect,
    /// One of the encodings of the Web.
    Of(&'static encoding_rs::Encoding),
}

impl Encoding {
    /// The text that the bytes are, without a replacement character in place of any of them; or the reason why they
    /// are none.
    ///
    /// What is detected must look like text as well: bytes that make up controls are none, for in encodings of one byte
    /// a character anything at all can be read as something. A guess can be wrong all the same: it is counted.
    pub fn decode<'b>(self, bytes: &'b [u8], guesses: &mut Guesses) -> Result<Cow<'b, str>, &'static str> {
        let utf8 = || simdutf8::basic::from_utf8(bytes).map(Cow::Borrowed).ok();
        match self {
            Self::Utf8 => utf8().ok_or(INVALID_UTF8),
            Self::Detect => utf8().or_else(|| detected(bytes, guesses)).ok_or(UNDECODABLE),
            Self::Of(encoding) => {
                encoding.decode_without_bom_handling_and_without_replacement(bytes).ok_or(UNDECODABLE)
            }
        }
    }
}

/// The text that bytes which are not UTF-8 most likely are.
fn detected<'b>(bytes: &'b [u8], guesses: &mut Guesses) -> Option<Cow<'b, str>> {
    // An encoding shows in the bytes that are not ASCII, and these may come late.
    let first = bytes.iter().position(|b| !b.is_ascii())?;
    let from = &bytes[first.saturating_sub(256)..];
    let (head, is_whole) = from.get(..LOOKED_AT).map_or((from, true), |head| (head, head.len() == from.len()));
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(head, is_whole);
    let encoding = detector.guess(None, Utf8Detection::Deny);
    let text = encoding.decode_without_bom_handling_and_without_replacement(bytes)?;
    let is_noise = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{c}');
    if text.contains(is_noise) {
        return None;
    }
    *guesses.entry(encoding.name()).or_default() += 1;
    Some(text)
}

impl FromStr for Encoding {
    type Err = String;

    /// Takes `utf-8`, `detect`, or any label of the WHATWG Encoding Standard, such as `gb18030` or `windows-1252`.
    fn from_str(label: &str) -> Result<Self, String> {
        if label == "detect" {
            return Ok(Self::Detect);
        }
        match encoding_rs::Encoding::for_label_no_replacement(label.as_bytes()) {
            Some(encoding) if encoding == encoding_rs::UTF_8 => Ok(Self::Utf8),
            // Lines could not be told apart, or ASCII is something else in them.
            Some(encoding) if !encoding.is_ascii_compatible() => {
                Err(format!("`{label}` does not have ASCII as single bytes, and cannot be read; convert it first"))
            }
            Some(encoding) => Ok(Self::Of(encoding)),
            None => Err(format!("`{label}` is no encoding; expected `utf-8`, `detect`, or a label like `gb18030`")),
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Utf8 => f.write_str("utf-8"),
            Self::Detect => f.write_str("detect"),
            Self::Of(encoding) => f.write_str(&encoding.name().to_ascii_lowercase()),
        }
    }
}

impl Serialize for Encoding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Encoding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Encoding {
    fn schema_name() -> Cow<'static, str> {
        "Encoding".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }

    fn inline_schema() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use encoding_rs::{BIG5, EUC_JP, EUC_KR, GB18030, SHIFT_JIS, WINDOWS_1251, WINDOWS_1252};
    use proptest::prelude::*;

    use super::*;

    const CHINESE: &str = "河水慢慢地流过村庄，孩子们在树下读书，老人坐在门口晒太阳，说起从前的事情。";
    const TAIWANESE: &str = "河水慢慢地流過村莊，孩子們在樹下讀書，老人坐在門口曬太陽，說起從前的事情。";
    const JAPANESE: &str = "川の水がゆっくりと村を流れ、子どもたちは木の下で本を読んでいます。昔の話です。";
    const KOREAN: &str = "강물이 천천히 마을을 지나 흐르고 아이들은 나무 아래에서 책을 읽고 있습니다.";
    const RUSSIAN: &str = "Река медленно течёт мимо деревни, дети читают книги под деревом.";
    const FRENCH: &str = "La rivière s’écoule lentement près du village, où les élèves répètent leur leçon d’été.";

    #[track_caller]
    fn check(encoding: &'static encoding_rs::Encoding, text: &str) {
        let (bytes, _, lossy) = encoding.encode(text);
        assert!(!lossy && std::str::from_utf8(&bytes).is_err());
        let mut guesses = Guesses::new();
        for how in [Encoding::Detect, Encoding::Of(encoding)] {
            assert_eq!(how.decode(&bytes, &mut guesses).as_deref(), Ok(text), "{}", encoding.name());
        }
        assert_eq!(Encoding::Utf8.decode(&bytes, &mut guesses), Err(INVALID_UTF8));
        // What is said is no guess. GBK is what the Web calls the part of GB18030 that is enough.
        let name = if encoding == GB18030 { "GBK" } else { encoding.name() };
        assert_eq!(guesses, [(name, 1)].into());
    }

    #[test]
    fn what_is_not_utf_8_is_found_out() {
        check(GB18030, CHINESE);
        check(BIG5, TAIWANESE);
        check(SHIFT_JIS, JAPANESE);
        check(EUC_JP, JAPANESE);
        check(EUC_KR, KOREAN);
        check(WINDOWS_1251, RUSSIAN);
        check(WINDOWS_1252, FRENCH);
    }

    #[test]
    fn utf_8_is_utf_8() {
        for text in [CHINESE, FRENCH, "plain", ""] {
            for how in [Encoding::Detect, Encoding::Utf8] {
                let mut guesses = Guesses::new();
                assert!(matches!(how.decode(text.as_bytes(), &mut guesses), Ok(Cow::Borrowed(same)) if same == text));
                assert!(guesses.is_empty());
            }
        }
    }

    #[test]
    fn a_late_character_is_found() {
        let text = format!("{}{CHINESE}", "x".repeat(100_000));
        check(GB18030, &text);
    }

    #[test]
    fn a_long_text_is_cut_anywhere() {
        for n in 0..4 {
            check(GB18030, &format!("{}{}", "x".repeat(n), CHINESE.repeat(400)));
        }
    }

    #[test]
    fn noise_is_no_text() {
        for bytes in [&b"\xff\xfe\x00\x81"[..], b"abc \x00\xe9 def", b"\x81"] {
            let mut guesses = Guesses::new();
            assert_eq!(Encoding::Detect.decode(bytes, &mut guesses), Err(UNDECODABLE), "{bytes:?}");
            assert!(guesses.is_empty());
        }
        assert_eq!(Encoding::Of(GB18030).decode(b"\xff", &mut Guesses::new()), Err(UNDECODABLE));
    }

    #[track_caller]
    fn check_label(label: &str, expected: Result<&str, &str>) {
        let parsed: Result<Encoding, String> = label.parse();
        assert_eq!(parsed.map(|encoding| encoding.to_string()).as_deref().map_err(String::as_str), expected);
    }

    #[test]
    fn labels_are_those_of_the_web() {
        check_label("utf-8", Ok("utf-8"));
        check_label("UTF8", Ok("utf-8"));
        check_label("detect", Ok("detect"));
        check_label("gb2312", Ok("gbk"));
        check_label("Latin1", Ok("windows-1252"));
        check_label(
            "latin-17",
            Err("`latin-17` is no encoding; expected `utf-8`, `detect`, or a label like `gb18030`"),
        );
        let wide = "`utf-16le` does not have ASCII as single bytes, and cannot be read; convert it first";
        check_label("utf-16le", Err(wide));
    }

    #[test]
    fn names_are_read_back() {
        for label in ["utf-8", "detect", "gb18030", "big5", "shift_jis", "euc-kr", "windows-1252", "koi8-r"] {
            check_label(label, Ok(label));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_text_without_loss_or_are_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for how in [Encoding::Detect, Encoding::Utf8, Encoding::Of(BIG5), Encoding::Of(WINDOWS_1252)] {
                // No bytes of these encodings are a replacement character but those that are so in UTF-8.
                let is_lossy = how.decode(&bytes, &mut Guesses::new()).is_ok_and(|text| text.contains('\u{fffd}'));
                prop_assert!(!is_lossy || std::str::from_utf8(&bytes).is_ok(), "{}", how);
            }
        }
    }
}
