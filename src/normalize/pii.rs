//! Puts placeholders for what points at a person.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rewrite::Rewrite;
use crate::pii::{Finder, Kind, Rules};
use crate::stage::{Normalizer, Settings};

/// Puts placeholders for e-mail addresses, public IP addresses, phone numbers, Chinese resident identity numbers and
/// bank cards.
///
/// A number is replaced only if its form, its check digits and what stands beside it agree; phone numbers are those
/// with a country code (`+49 30 1234567`), and the mobile and landline numbers of China (`13812345678`,
/// `010-62345678`). All of them are sought in plain digits: put `width` before it. To know how many there were, put
/// the annotator `pii_counts` before it.
///
/// Each kind is replaced by a text, by several in turn, or not at all: `email = "<email>"`, `email = ["a", "b"]`,
/// `email = false`. Turns begin anew in each document, so that the same document is always rewritten the same way.
///
/// As datatrove 0.10's `PIIFormatter`, but for the turns, which there go on from one document to the next:
///
/// ```toml
/// use = "pii"
/// rules = "datatrove"
/// email = ["email@example.com", "firstname.lastname@example.org"]
/// ip = ["22.214.171.124", "126.96.36.199", "188.8.131.52", "184.108.40.206", "220.127.116.11", "18.104.22.168"]
/// phone = false
/// id_number = false
/// bank_card = false
/// ```
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Pii {
    /// Whose rules find e-mail and IP addresses: `trommel` or `datatrove`. Default: our own, which pass over `git@` and
    /// `example.com`, over version numbers and addresses inside of longer numbers, and know IPv6.
    pub rules: Rules,
    /// What an e-mail address becomes.
    pub email: Replacement,
    /// What a public IP address becomes. Private ones stay, as in datatrove.
    pub ip: Replacement,
    /// What a phone number becomes.
    pub phone: Replacement,
    /// What a Chinese resident identity number becomes.
    pub id_number: Replacement,
    /// What the number of a bank card becomes.
    pub bank_card: Replacement,
}

/// What something becomes: a text, one of several in turn, or `false`: it stays as it is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Replacement {
    /// It stays.
    Off(bool),
    /// Always the same.
    One(String),
    /// The first of a document becomes the first of these, and so on in turn.
    InTurn(Vec<String>),
}

impl Replacement {
    /// The placeholders; none if the kind stays as it is.
    fn placeholders(&self, setting: &str) -> Result<Vec<String>, String> {
        let placeholders = match self {
            Self::Off(false) => return Ok(Vec::new()),
            Self::Off(true) => return Err(format!("`{setting}` is true, expected what to replace by, or `false`")),
            Self::One(one) => vec![one.clone()],
            Self::InTurn(all) => all.clone(),
        };
        if placeholders.is_empty() || placeholders.iter().any(String::is_empty) {
            return Err(format!("`{setting}` has nothing to replace by; `false` leaves things as they are"));
        }
        Ok(placeholders)
    }
}

impl Default for Pii {
    /// Placeholders that no text has by chance, our own choice.
    fn default() -> Self {
        let one = |placeholder: &str| Replacement::One(placeholder.to_owned());
        Self {
            rules: Rules::Trommel,
            email: one("<email>"),
            ip: one("<ip>"),
            phone: one("<phone>"),
            id_number: one("<id_number>"),
            bank_card: one("<bank_card>"),
        }
    }
}

impl Settings for Pii {
    const NAME: &'static str = "pii";
    const ABOUT: &'static str = "puts placeholders for addresses, phone numbers, identity numbers, bank cards";
    type Stage = Replacer;

    fn build(self) -> Result<Replacer, String> {
        let settings = [
            (Kind::Email, "email", &self.email),
            (Kind::Ip, "ip", &self.ip),
            (Kind::Phone, "phone", &self.phone),
            (Kind::IdNumber, "id_number", &self.id_number),
            (Kind::BankCard, "bank_card", &self.bank_card),
        ];
        let mut placeholders = BTreeMap::new();
        for (kind, setting, replacement) in settings {
            let of_kind = replacement.placeholders(setting)?;
            if !of_kind.is_empty() {
                placeholders.insert(kind, of_kind);
            }
        }
        if placeholders.is_empty() {
            return Err("every kind is `false`; leave the stage out".to_owned());
        }
        let finder = Finder::new(placeholders.keys().copied(), self.rules);
        Ok(Replacer { finder, placeholders })
    }
}

/// [`Pii`], built.
pub struct Replacer {
    finder: Finder,
    placeholders: BTreeMap<Kind, Vec<String>>,
}

impl Replacer {
    /// Whether a find overlaps a placeholder, or one byte at most is between the two. What stands beside a number says
    /// whether it is a find, and a placeholder says other things than what it was put for.
    fn touches_placeholder(&self, text: &str, range: &Range<usize>) -> bool {
        self.placeholders.values().flatten().any(|placeholder| {
            let reach = placeholder.len() + 1;
            let around = range.start.saturating_sub(reach)..text.len().min(range.end + reach);
            memchr::memmem::find(&text.as_bytes()[around], placeholder.as_bytes()).is_some()
        })
    }
}

impl Normalizer for Replacer {
    fn normalize<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut finds = self.finder.finds(text);
        finds.retain(|find| !self.touches_placeholder(text, &find.range));
        if finds.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut out = Rewrite::of(text);
        let mut turns: BTreeMap<Kind, usize> = BTreeMap::new();
        let mut from = 0;
        for find in finds {
            let placeholders = &self.placeholders[&find.kind];
            let turn = turns.entry(find.kind).or_default();
            out.keep(from..find.range.start);
            out.put_str(&placeholders[*turn % placeholders.len()]);
            *turn += 1;
            from = find.range.end;
        }
        out.keep(from..text.len());
        out.finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn built(toml: &str) -> Replacer {
        let settings: Pii = toml::from_str(toml).expect("the settings of a test are right");
        settings.build().expect("they fit together")
    }

    #[track_caller]
    fn check(toml: &str, text: &str, expected: &str) {
        assert_eq!(built(toml).normalize(text), expected);
    }

    const DATATROVE: &str = r#"
        rules = "datatrove"
        email = ["email@example.com", "firstname.lastname@example.org"]
        ip = ["22.214.171.124", "126.96.36.199", "188.8.131.52", "184.108.40.206", "220.127.116.11", "18.104.22.168"]
        phone = false
        id_number = false
        bank_card = false
    "#;

    #[test]
    fn every_kind_has_its_placeholder() {
        check(
            "",
            "a@b.de 93.184.216.34 13812345678 11010519491231002X 4539148803436467!",
            "<email> <ip> <phone> <id_number> <bank_card>!",
        );
    }

    #[test]
    fn a_kind_can_be_left_as_it_is() {
        check("email = false", "a@b.de 93.184.216.34", "a@b.de <ip>");
        check("email = 'X'", "a@b.de", "X");
    }

    #[test]
    fn turns_begin_anew_in_each_text() {
        let replacer = built("email = ['x@b.de', 'Y']");
        for _ in 0..2 {
            assert_eq!(replacer.normalize("a@b.de b@b.de c@b.de"), "x@b.de Y x@b.de");
        }
    }

    #[test]
    fn it_can_do_what_datatrove_does() {
        check(
            DATATROVE,
            "a@b.de b@b.de c@b.de 10.0.0.1 1.2.3.4 v8.8.8.8.8 13812345678",
            "email@example.com firstname.lastname@example.org email@example.com 10.0.0.1 22.214.171.124 \
             v126.96.36.199.8 13812345678",
        );
    }

    #[test]
    fn what_a_placeholder_hides_is_not_asked_again() {
        check("", "a@b.de+93.184.216.34", "<email>+93.184.216.34");
        check("", "a@b.de. 93.184.216.34", "<email>. <ip>");
        check("", "<email>+49 30 1234567 <ip>; +49 30 1234567", "<email>+49 30 1234567 <ip>; <phone>");
    }

    #[track_caller]
    fn check_refused(toml: &str, message: &str) {
        let settings: Pii = toml::from_str(toml).expect("the types are right");
        assert_eq!(settings.build().map(drop), Err(message.to_owned()));
    }

    #[test]
    fn nothing_is_no_placeholder() {
        check_refused("ip = ''", "`ip` has nothing to replace by; `false` leaves things as they are");
        check_refused("ip = []", "`ip` has nothing to replace by; `false` leaves things as they are");
        check_refused("ip = true", "`ip` is true, expected what to replace by, or `false`");
        check_refused(
            "email = false\nip = false\nphone = false\nid_number = false\nbank_card = false",
            "every kind is `false`; leave the stage out",
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn replacing_twice_is_replacing_once(
            text in r"([0-9]{1,3}[.]|[0-9]{1,8}[-. ]|[@a.+v]|a@b[.]c?de?|1.2.3.4|93[.]184[.]216[.]34|13812345678| |中){0,16}",
            datatrove in any::<bool>(),
        ) {
            let replacer = built(if datatrove { DATATROVE } else { "" });
            let once = replacer.normalize(&text);
            prop_assert_eq!(replacer.normalize(&once), once.as_ref());
        }
    }
}
