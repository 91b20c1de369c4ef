//! The filters: stages that judge a document. One idea a file; this table names them all.

use crate::stage::Entry;

pub mod bad_words;
pub mod c4;
pub mod c4_paragraphs;
mod char_counts;
pub mod char_ratio;
pub mod chinese_lines;
pub mod column_range;
pub mod dolma_gopher;
mod duplicates;
pub mod fineweb_quality;
pub mod garbled;
#[cfg(test)]
mod golden;
pub mod gopher_quality;
pub mod gopher_repetition;
mod leftovers;
pub mod line_rules;
mod list_file;
mod n_grams;
pub mod symbol_ratio;
pub mod threshold;
pub mod url_filter;
pub mod word_count;
mod words;

/// Every filter, in the order they are listed to users: cheap and general first, whole recipes last.
pub const ALL: &[Entry] = &[
    Entry::filter::<url_filter::UrlFilter>(),
    Entry::filter::<word_count::WordCount>(),
    Entry::filter::<symbol_ratio::SymbolRatio>(),
    Entry::filter::<char_ratio::CharRatio>(),
    Entry::filter::<bad_words::BadWords>(),
    Entry::filter::<garbled::Garbled>(),
    Entry::filter::<column_range::ColumnRange>(),
    Entry::editor::<line_rules::LineRules>(),
    Entry::editor::<chinese_lines::ChineseLines>(),
    Entry::filter::<gopher_quality::GopherQuality>(),
    Entry::filter::<gopher_repetition::GopherRepetition>(),
    Entry::filter::<dolma_gopher::DolmaGopher>(),
    Entry::editor::<c4::C4>(),
    Entry::filter::<c4_paragraphs::C4Paragraphs>(),
    Entry::filter::<fineweb_quality::FinewebQuality>(),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::doc::Doc;
    use crate::stage::{Edit, Editor, Filter, Settings, Stage, Verdict};

    /// Judges a text with all rules of a filter off but those that `toml` sets.
    pub(super) fn judged_by<S: Settings<Stage: Filter>>(toml: &str, text: &str) -> String {
        let mut table: toml::Table = toml::from_str(toml).expect("the settings of a test are right");
        for (name, value) in toml::Table::try_from(S::default()).expect("settings are plain data") {
            let off = if value.is_array() || value.is_str() { value } else { toml::Value::Boolean(false) };
            table.entry(name).or_insert(off);
        }
        let filter = table.try_into::<S>().expect("the settings of a test are right").build();
        filter.expect("they fit together").judge(&Doc::bare(text)).to_string()
    }

    /// What an editor makes of a text: the new one, or why there is none.
    pub(super) fn edited_by<S: Settings<Stage: Editor>>(rules: S, text: &str) -> String {
        match rules.build().expect("the settings of a test are right").edit(&Doc::bare(text)) {
            Edit::Unchanged => "unchanged".to_owned(),
            Edit::Rewritten(text) => text,
            Edit::Drop(reason) => reason.to_string(),
        }
    }

    fn built() -> impl Iterator<Item = (&'static str, Stage)> {
        ALL.iter().map(|entry| (entry.name, (entry.sample)()))
    }

    /// What becomes of the text, and the reason if it is dropped.
    fn judged(stage: &Stage, text: &str) -> (Edit, Option<&'static str>) {
        let edit = match stage {
            Stage::Filter(filter) => match filter.judge(&Doc::bare(text)) {
                Verdict::Keep => Edit::Unchanged,
                Verdict::Drop(reason) => Edit::Drop(reason),
            },
            Stage::Edit(editor) => editor.edit(&Doc::bare(text)),
            _ => unreachable!("the table is of filters and editors"),
        };
        let code = if let Edit::Drop(reason) = &edit { Some(reason.code) } else { None };
        (edit, code)
    }

    fn is_snake_case(name: &str) -> bool {
        let is_inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(is_inside)
    }

    /// Texts of any characters, and of the pieces that the rules look for.
    fn texts() -> impl Strategy<Value = String> {
        let pieces = prop::sample::select(vec![
            "the",
            "of",
            "words",
            "中",
            "文",
            "。",
            "字字字",
            " ",
            "  ",
            "\n",
            "\n\n",
            "\r\n",
            "\u{2028}",
            "\u{1c}",
            ".",
            "...",
            "…",
            "#",
            "{",
            "[1]",
            "[edit]",
            "javascript",
            "lorem ipsum",
            "privacy policy",
            "•",
            "-",
            "3 likes",
            "12",
            "CAPITALS",
            "\"",
            "’",
            "\u{fffd}",
            "\u{e000}",
            "é",
            "e\u{301}",
            "😀",
            "\0",
            "\u{212a}",
            "İ",
        ]);
        prop_oneof![
            any::<String>(),
            prop::collection::vec(pieces.clone(), 0..200).prop_map(|pieces| pieces.concat()),
            prop::collection::vec(pieces, 0..200).prop_map(|pieces| pieces.join(" ")),
        ]
    }

    #[test]
    fn names_are_snake_case_and_unique() {
        let names: BTreeSet<&str> = ALL.iter().map(|entry| entry.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(names.into_iter().all(is_snake_case));
    }

    #[test]
    fn reasons_are_snake_case_and_unique() {
        for (name, stage) in built() {
            let reasons: BTreeSet<&str> = stage.reasons().iter().copied().collect();
            assert_eq!(reasons.len(), stage.reasons().len(), "{name}");
            assert!(!reasons.is_empty() && reasons.into_iter().all(is_snake_case), "{name}");
        }
    }

    #[test]
    fn defaults_can_be_written_down_and_read_back() {
        for entry in ALL {
            let mut defaults = (entry.defaults)();
            defaults.as_object_mut().expect(entry.name).retain(|_, value| !value.is_null());
            let mut table = toml::Table::try_from(defaults).expect(entry.name);
            for (name, example) in entry.required {
                table.extend(format!("{name} = {example}").parse::<toml::Table>().expect(entry.name));
            }
            if let Err(message) = (entry.build)(table) {
                // The example names a file that is not there.
                assert!(!entry.required.is_empty() && message.contains("no such file"), "{}: {message}", entry.name);
            }
        }
    }

    fn fits<S: Settings>() {
        for profile in S::PROFILES {
            assert!((profile.settings)().build().is_ok(), "{}: {}", S::NAME, profile.name);
            let explained = schemars::schema_for!(S).to_value()["properties"]["profile"]["description"].to_string();
            assert!(explained.contains(&format!("`{}`", profile.name)), "{}: {explained}", S::NAME);
        }
        assert!(!S::PROFILES.is_empty());
    }

    #[test]
    fn a_language_is_for_words_of_a_language() {
        let build = |toml: &str| {
            let table = toml.parse().expect("the settings of a test are TOML");
            let entry = ALL.iter().find(|entry| entry.name == "gopher_quality").expect("it is there");
            (entry.build)(table).map(|stage| stage.needs().into_iter().map(|need| need.column).collect::<Vec<_>>())
        };
        assert_eq!(build("profile = 'datatrove-0.10'"), Ok(vec!["language".to_owned()]));
        assert_eq!(build("profile = 'datatrove-0.10'\nlanguage = 'en'"), Ok(vec![]));
        assert_eq!(build("profile = 'fineweb-2/cmn_Hani'\nwords = 'units'"), Ok(vec![]));
        let error = build("language = 'en'").expect_err("nobody asks for it");
        assert!(error.ends_with("set `words = \"language\"`"), "{error}");
    }

    #[test]
    fn profiles_fit_together_and_are_explained() {
        fits::<gopher_quality::GopherQuality>();
        fits::<gopher_repetition::GopherRepetition>();
        fits::<c4::C4>();
        fits::<fineweb_quality::FinewebQuality>();
    }

    #[test]
    fn unknown_settings_are_refused() {
        for entry in ALL {
            let table = toml::Table::from_iter([("no_such_setting".to_owned(), toml::Value::Integer(1))]);
            assert!((entry.build)(table).is_err(), "{}", entry.name);
        }
    }

    #[test]
    fn every_setting_is_explained() {
        for entry in ALL {
            let schema = (entry.schema)().to_value();
            let settings = schema["properties"].as_object().expect(entry.name);
            for (setting, schema) in settings {
                assert!(schema["description"].is_string(), "{}: {setting}", entry.name);
            }
        }
    }

    #[test]
    fn giants_are_judged() {
        for text in ["a".repeat(1_000_000), "字".repeat(1_000_000), "\n".repeat(1_000_000), "a ".repeat(500_000)] {
            for (_, stage) in built() {
                judged(&stage, &text);
            }
        }
    }

    proptest! {
        #[test]
        fn one_text_has_one_verdict_of_a_known_reason(text in texts()) {
            for (name, stage) in built() {
                let (edit, code) = judged(&stage, &text);
                prop_assert!(code.is_none_or(|code| stage.reasons().contains(&code)), "{}: {:?}", name, code);
                prop_assert_eq!(edit, judged(&stage, &text).0, "{}", name);
            }
        }

        #[test]
        fn what_is_rewritten_has_changed(text in texts()) {
            for (name, stage) in built() {
                let (edit, _) = judged(&stage, &text);
                prop_assert!(edit != Edit::Rewritten(text.clone()), "{}", name);
            }
        }
    }
}
