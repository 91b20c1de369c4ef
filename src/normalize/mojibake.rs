//! Repairs text that was read in the wrong code page.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::codepage::{Misreadings, repair};
use crate::stage::{Normalizer, Settings};

/// Repairs text that was read in the wrong code page, where it is sure what it was: `â€™` becomes `’`, `浣犲ソ` and
/// `ÄãºÃ` become 你好.
///
/// What is looked at is a run of characters that the wrong code page gives. It is repaired if its bytes are text in the
/// right one, and a much more likely one: Chinese of which four characters in five are in daily use (level 1 of GB 2312
/// or of Big5), letters of one script beside each other, punctuation, accented letters where a capital and a quotation
/// mark cannot have been meant. What is less sure is repaired in a text that has two sure runs. Text that was misread
/// more than once is repaired as often. Everything else stays; the filter `garbled` drops documents with too much of it.
///
/// It comes before all other normalizers: controls and no-break spaces are bytes of what is repaired. A text *about*
/// garbled text is repaired, too.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mojibake {
    /// Whether UTF-8 that was read as Latin-1 or Windows-1252 is repaired (`Ã©`, `â€™`, `ä½ å¥½`). Default: yes.
    pub utf8_as_latin: bool,
    /// Whether UTF-8 that was read as GBK is repaired (`浣犲ソ`, `鈥檚`). Bytes that were lost then are U+FFFD before
    /// and after. Default: yes.
    pub utf8_as_gbk: bool,
    /// Whether GBK that was read as Latin-1 or Windows-1252 is repaired (`ÄãºÃ`). Default: yes.
    pub gbk_as_latin: bool,
}

impl Default for Mojibake {
    fn default() -> Self {
        Self { utf8_as_latin: true, utf8_as_gbk: true, gbk_as_latin: true }
    }
}

impl Settings for Mojibake {
    const NAME: &'static str = "mojibake";
    const ABOUT: &'static str = "repairs text that was read in the wrong code page";
    type Stage = Self;

    fn build(self) -> Result<Self, String> {
        Ok(self)
    }
}

impl Normalizer for Mojibake {
    fn normalize<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let Self { utf8_as_latin, utf8_as_gbk, gbk_as_latin } = *self;
        repair(text, Misreadings { utf8_as_latin, utf8_as_gbk, gbk_as_latin })
    }
}

#[cfg(test)]
mod tests {
    use encoding_rs::{Encoding, GBK, WINDOWS_1252};
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(Mojibake::default().normalize(text), expected, "{text:?}");
    }

    /// A text, misread.
    fn misread(bytes: &[u8], page: &'static Encoding) -> String {
        page.decode_without_bom_handling(bytes).0.into_owned()
    }

    fn as_latin_1(bytes: &[u8]) -> String {
        bytes.iter().map(|&b| char::from(b)).collect()
    }

    const CHINESE: &str = "你好，世界！我们来看一看这段中文，它说的是什么？“是的。”";
    const FRENCH: &str = "Où êtes-vous allé ? « À l’école », dit-elle — très fière… c’est à 5 €.";
    const OTHERS: [&str; 4] = ["Привет, как дела?", "Γειά σου Κόσμε", "こんにちは世界", "สวัสดีชาวโลก"];

    #[test]
    fn utf8_read_as_latin_is_repaired() {
        for text in [CHINESE, FRENCH, OTHERS[0], OTHERS[1], OTHERS[2], OTHERS[3], "😀 good"] {
            check(&misread(text.as_bytes(), WINDOWS_1252), text);
            check(&as_latin_1(text.as_bytes()), text);
        }
        check("donâ€™t, cafÃ©, 5â‚¬, naÃ¯ve", "don’t, café, 5€, naïve");
    }

    #[test]
    fn gbk_read_as_latin_is_repaired() {
        let bytes = GBK.encode(CHINESE).0;
        check(&misread(&bytes, WINDOWS_1252), CHINESE);
        check(&as_latin_1(&bytes), CHINESE);
        check("title: ÄãºÃ", "title: 你好");
    }

    #[test]
    fn utf8_read_as_gbk_is_repaired() {
        check("浣犲ソ", "你好");
        check(&misread("我们的中国，你好".as_bytes(), GBK), "我们的中国，你好");
        check("it鈥檚", "it’s");
    }

    #[test]
    fn what_was_lost_stays_lost() {
        let garbled = misread("我们来看了看这段中文 吗".as_bytes(), GBK);
        check(&garbled, "我们来看了看这段中文 鍚\u{fffd}");
        let garbled = misread("我们来看了看这段中文吗 x".as_bytes(), GBK);
        check(&garbled, "我们来看了看这段中文\u{fffd} x");
    }

    #[test]
    fn what_was_misread_twice_is_repaired_twice() {
        for text in [CHINESE, FRENCH] {
            let twice = misread(misread(text.as_bytes(), WINDOWS_1252).as_bytes(), WINDOWS_1252);
            check(&twice, text);
            check(&as_latin_1(as_latin_1(text.as_bytes()).as_bytes()), text);
        }
    }

    #[test]
    fn a_no_break_space_that_became_a_space_is_found() {
        check("ä½ å¥½ï¼Œä½ å¥½å\u{90}—", "你好，你好吗");
    }

    #[test]
    fn clean_text_stays() {
        for text in [
            CHINESE,
            FRENCH,
            "DIE SPÖ“ UND „Ä“, „Ö“",
            "MAÇÃ” ou CAFÉ…",
            "«CAFÉ» à « mangé »",
            "från A till Å–Ö",
            "1.54 Å±0.02",
            "jäääär, Köö",
            "涓涓细流，浣熊与鐨",
            "ÀÂÄÆÇÉÈÊËÎÏÔŒÙÛÜ",
            "Ïðèâåò",
            "São Tomé e Príncipe: NÃO",
            "鋼鐵與鐘錶，銀行",
            "\u{fffd}\u{fffd}",
            "联通",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn what_is_unsure_is_repaired_beside_what_is_sure() {
        check("HÃ”TEL DE LA CÃ”TE, “MAÇÃ”", "HÔTEL DE LA CÔTE, “MAÇÃ”");
        check("“PÅ…”", "“PÅ…”");
    }

    #[test]
    fn each_misreading_can_be_switched_off() {
        let off = Mojibake { utf8_as_latin: false, utf8_as_gbk: false, gbk_as_latin: false };
        let all = "donâ€™t ÄãºÃ 浣犲ソ";
        assert_eq!(off.normalize(all), all);
        assert_eq!(Mojibake { utf8_as_latin: true, ..off.clone() }.normalize(all), "don’t ÄãºÃ 浣犲ソ");
        assert_eq!(Mojibake { utf8_as_gbk: true, ..off.clone() }.normalize(all), "donâ€™t ÄãºÃ 你好");
        assert_eq!(Mojibake { gbk_as_latin: true, ..off }.normalize(all), "donâ€™t 你好 浣犲ソ");
    }

    #[test]
    fn one_long_line_is_repaired() {
        let long = "Ã©".repeat(300_000);
        check(&long, &"é".repeat(300_000));
        check(&"浣犲ソ".repeat(100_000), &"你好".repeat(100_000));
        check(&"ÄãºÃ".repeat(100_000), &"你好".repeat(100_000));
        let nested = "Ã".repeat(300_000);
        check(&nested, &nested);
    }

    fn texts() -> impl Strategy<Value = String> {
        let pieces = prop::sample::select(vec![
            "Ã",
            "©",
            "Â",
            "â",
            "€",
            "™",
            "浣",
            "犲",
            "ソ",
            "Ä",
            "ã",
            "º",
            "鈥",
            "檚",
            "a",
            " ",
            "\u{a0}",
            "\u{83}",
            "\u{fffd}",
            "你",
            "，",
            "ä½\u{a0}å¥½",
            "鐨",
            "勪",
            "\n",
            "ðŸ˜€",
            "ÄãºÃ",
        ]);
        prop_oneof![
            prop::collection::vec(pieces, 0..30).prop_map(|pieces| pieces.concat()),
            any::<String>(),
            any::<String>().prop_map(|text| misread(text.as_bytes(), WINDOWS_1252)),
            "[\u{4e00}-\u{9fff}，。a-z ]{0,20}".prop_map(|text| misread(text.as_bytes(), GBK)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn repairing_twice_is_repairing_once(text in texts()) {
            let once = Mojibake::default().normalize(&text).into_owned();
            prop_assert_eq!(Mojibake::default().normalize(&once), once.as_str());
        }

        #[test]
        fn ascii_stays(text in "[ -~\n]{0,80}") {
            prop_assert!(matches!(Mojibake::default().normalize(&text), Cow::Borrowed(_)));
        }
    }
}
