//! Puts characters that can be written in several ways into one.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use unicode_normalization::{UnicodeNormalization, is_nfkc};

use crate::canonical::composed;
use crate::stage::{Normalizer, Settings};

/// Puts characters that can be written in several ways into one, by the Unicode standard (annex 15).
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Unicode {
    /// The form. Default `nfc`, which changes nothing that can be seen.
    pub form: Form,
}

/// A Unicode normalization form.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Letters and their marks are one character where there is one.
    #[default]
    Nfc,
    /// The same, and characters that are others in another dress become these: `ﬁ` two letters, `²` a 2, full
    /// width ASCII plain. It takes the meaning out of formulas, and full-width punctuation out of Chinese.
    Nfkc,
}

impl Settings for Unicode {
    const NAME: &'static str = "unicode";
    const ABOUT: &'static str = "puts characters that can be written in several ways into one (NFC, NFKC)";
    type Stage = Self;

    fn build(self) -> Result<Self, String> {
        Ok(self)
    }
}

impl Normalizer for Unicode {
    fn normalize<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.form {
            Form::Nfc => composed(text),
            Form::Nfkc if text.is_ascii() || is_nfkc(text) => Cow::Borrowed(text),
            Form::Nfkc => Cow::Owned(text.nfkc().collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(form: Form, text: &str, expected: &str) {
        assert_eq!(Unicode { form }.normalize(text), expected);
    }

    #[test]
    fn nfc_composes() {
        check(Form::Nfc, "e\u{301}te\u{301}", "été");
        check(Form::Nfc, "\u{1112}\u{1161}\u{11ab}", "한");
        check(Form::Nfc, "\u{212b}", "Å");
    }

    #[test]
    fn nfc_keeps_what_looks_different() {
        check(Form::Nfc, "ﬁ ² Ａ，", "ﬁ ² Ａ，");
    }

    #[test]
    fn nfkc_undresses() {
        check(Form::Nfkc, "ﬁ ² Ａ，e\u{301}", "fi 2 A,é");
    }
}
