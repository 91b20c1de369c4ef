//! The filters' profiles, held against what datatrove 0.10.1 decides: see `tests/golden/filters_datatrove.py`.

use serde::Deserialize;

use super::{c4, fineweb_quality, gopher_quality, gopher_repetition};
use crate::doc::Doc;
use crate::stage::{Edit, Reason, Stage};

/// A document with what datatrove decides.
#[derive(Deserialize)]
struct Golden {
    /// The class of the filter.
    filter: String,
    profile: String,
    text: Text,
    /// Why it goes, if it does.
    reason: Option<String>,
    /// What was measured.
    value: Option<f64>,
    /// What the text becomes, where it changes.
    rewritten: Option<String>,
}

/// A text, or pieces with how often each is repeated.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Whole(String),
    Pieces(Vec<(String, usize)>),
}

/// Our name of a filter, and its reasons beside those of datatrove.
fn ours(filter: &str) -> (&'static str, &'static [(&'static str, &'static str)]) {
    match filter {
        "GopherQualityFilter" => ("gopher_quality", gopher_quality::tests::PUBLISHED),
        "GopherRepetitionFilter" => ("gopher_repetition", gopher_repetition::tests::PUBLISHED),
        "FineWebQualityFilter" => ("fineweb_quality", fineweb_quality::tests::PUBLISHED),
        "C4QualityFilter" => ("c4", c4::tests::PUBLISHED),
        other => panic!("{other}: which filter is it?"),
    }
}

fn built(name: &str, profile: &str) -> Stage {
    let language = if profile.starts_with("datatrove") { "language = 'en'" } else { "" };
    let table = toml::from_str(&format!("profile = '{profile}'\n{language}")).expect("plain settings");
    let entry = super::ALL.iter().find(|entry| entry.name == name).expect("a filter of that name");
    (entry.build)(table).unwrap_or_else(|error| panic!("{name}, {profile}: {error}"))
}

/// What is wrong with our decision, if anything is.
fn difference(golden: &Golden) -> Option<String> {
    let (name, published) = ours(&golden.filter);
    let text = match &golden.text {
        Text::Whole(text) => text.clone(),
        Text::Pieces(pieces) => pieces.iter().map(|(piece, n)| piece.repeat(*n)).collect(),
    };
    let decided = built(name, &golden.profile).apply(&Doc::bare(&text), &mut Vec::new());
    let as_published =
        |reason: &Reason| published.iter().find(|(ours, _)| *ours == reason.code).map(|(_, theirs)| *theirs);
    let agree = match (&decided, golden.reason.as_deref()) {
        (Edit::Drop(reason), Some("nothing")) => reason.code == "empty",
        (Edit::Drop(reason), Some(theirs)) => {
            let same = |value: f64| (reason.value - value).abs() <= 1e-12 * value.abs().max(1.0);
            as_published(reason) == Some(theirs) && golden.value.is_none_or(same)
        }
        (Edit::Rewritten(text), None) => golden.rewritten.as_ref() == Some(text),
        (Edit::Unchanged, None) => golden.rewritten.is_none(),
        _ => false,
    };
    let start: String = text.chars().take(120).collect();
    (!agree).then(|| {
        format!(
            "{name} {}: {:?} {:?} {:?}, here {decided:?}: {start:?}",
            golden.profile, golden.reason, golden.value, golden.rewritten
        )
    })
}

#[test]
fn profiles_decide_as_datatrove_does() {
    #[derive(Deserialize)]
    struct File {
        documents: Vec<Golden>,
    }
    let file: File = serde_json::from_str(include_str!("../../tests/golden/filters_datatrove.json")).expect("golden");
    let wrong: Vec<_> = file.documents.iter().filter_map(difference).collect();
    assert!(file.documents.len() > 700, "{}", file.documents.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), file.documents.len(), wrong.join("\n"));
}
