//! Asks a classifier that the user brings: of quality, of topic, of anything a fastText model was trained for.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use arrow::datatypes::{DataType, Field};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::doc::{Doc, Value};
use crate::fasttext::{Model, Prediction, Units};
use crate::stage::{self, Annotator, Settings};

/// Adds what a fastText classifier says of the text: the probability of a label, the most probable label, or both.
///
/// The model is a `.bin` or `.ftz` that fastText wrote (`fasttext supervised`), or `trommel train quality`. Labels and
/// probabilities are those of fastText 0.9.2 for the text as one line, line ends taken for spaces; only
/// probabilities above 1, which fastText gives by its rounding, are 1. Texts are not changed before: if the model
/// was trained on texts that were lowercased or cut into words, let the texts be so here.
///
/// DCLM's classifier (Li et al. 2024, arXiv 2406.11794, section 4.4) is asked with `label = "hq"` and
/// `column = "quality_dclm"`; `column_range` then drops by the column.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Fasttext {
    /// The model file, seen from the current folder; on a cluster, it is at this path on every machine. It is held in
    /// memory whole.
    pub model: PathBuf,
    /// The label whose probability is wanted, with the prefix `__label__` or without. If none is named, the
    /// probability is that of the most probable label, which `top_label_column` must then be there for.
    pub label: Option<String>,
    /// The column of the probability (Float32). It is null where the model knows nothing of the text at all.
    pub column: String,
    /// The column of the most probable label, without its prefix. Not set: there is none.
    pub top_label_column: Option<String>,
    /// What counts as a word: `"spaces"` or `"characters"`.
    pub units: Units,
    /// How much of the beginning of each text is judged, in bytes of UTF-8; not set: all of it. A character that
    /// this would cut is left out.
    pub max_bytes: Option<usize>,
    /// The digest of the model file, in hexadecimal digits; any other file is refused. Not set: any file will do, and a
    /// run that was begun with one is not continued with another.
    pub digest: Option<String>,
}

impl Default for Fasttext {
    fn default() -> Self {
        Self {
            model: PathBuf::new(),
            label: None,
            column: "fasttext_score".into(),
            top_label_column: None,
            units: Units::Spaces,
            max_bytes: None,
            digest: None,
        }
    }
}

impl Settings for Fasttext {
    const NAME: &'static str = "fasttext";
    const ABOUT: &'static str = "adds the probability of a label by a fastText model of yours, of quality say";
    const REQUIRED: &'static [(&'static str, &'static str)] = &[("model", "\"model.bin\"")];
    type Stage = Classifier;

    fn build(self) -> Result<Classifier, String> {
        check_name("column", &self.column)?;
        if let Some(column) = &self.top_label_column {
            check_name("top_label_column", column)?;
            if *column == self.column {
                return Err(format!("`column` and `top_label_column` are both `{column}`; name another for one"));
            }
        }
        if self.max_bytes == Some(0) {
            return Err("`max_bytes` is 0, expected 1 or more; leave it out to judge all of each text".into());
        }
        let model = load(&self.model, self.digest.as_deref())?;
        let label = match &self.label {
            None if self.top_label_column.is_none() => {
                return Err(format!("neither `label` nor `top_label_column` is set; {}", known_labels(&model)));
            }
            None => None,
            Some(name) => Some(model.label(name).ok_or_else(|| {
                format!("`label`: {} has no label `{name}`; {}", self.model.display(), known_labels(&model))
            })?),
        };
        Ok(Classifier {
            model: Some(model),
            label,
            column: self.column,
            top_label_column: self.top_label_column,
            units: self.units,
            max_bytes: self.max_bytes.unwrap_or(usize::MAX),
        })
    }

    fn sample() -> Classifier {
        let Self { column, units, .. } = Self::default();
        Classifier { model: None, label: None, column, top_label_column: None, units, max_bytes: usize::MAX }
    }
}

/// [`Fasttext`], its model loaded.
pub struct Classifier {
    /// None only where there is nothing to classify: in listings.
    model: Option<Model>,
    label: Option<usize>,
    column: String,
    top_label_column: Option<String>,
    units: Units,
    max_bytes: usize,
}

impl Annotator for Classifier {
    fn columns(&self) -> Vec<Field> {
        let score = Field::new(&self.column, DataType::Float32, true);
        let label = self.top_label_column.as_ref().map(|column| Field::new(column, DataType::Utf8, true));
        std::iter::once(score).chain(label).collect()
    }

    fn annotate(&self, doc: &Doc<'_>, row: &mut Vec<Value>) {
        let text = beginning(doc.text(), self.max_bytes);
        let model = self.model.as_ref();
        if self.top_label_column.is_none()
            && let Some(label) = self.label
        {
            let probability = model.and_then(|model| model.probability(text, self.units, label));
            row.push(probability.map_or(Value::Null, Value::F32));
            return;
        }
        let found = model.and_then(|model| Some((model, model.top(text, self.units, self.label)?)));
        row.push(found.map_or(Value::Null, |(_, (_, probability))| Value::F32(probability)));
        if self.top_label_column.is_some() {
            let name = |(model, (top, _)): (&Model, (Prediction, f32))| model.labels()[top.label].clone();
            row.push(found.map(name).map_or(Value::Null, |name| Value::Str(Cow::Owned(name))));
        }
    }

    fn pins(&self) -> Vec<(&'static str, String)> {
        self.model.iter().map(|model| ("digest", hex(model))).collect()
    }
}

/// Loads a model, and refuses one that is not the file that `digest` names.
pub(super) fn load(path: &Path, digest: Option<&str>) -> Result<Model, String> {
    if path.as_os_str().is_empty() {
        return Err("`model` is missing; name the file of a fastText model (.bin or .ftz)".into());
    }
    let model = Model::load(path).map_err(|error| error.to_string())?;
    stage::digest(path.display(), model.digest(), digest)?;
    Ok(model)
}

/// The digest of a model file as it is written down.
pub(super) fn hex(model: &Model) -> String {
    format!("{:032x}", model.digest())
}

fn known_labels(model: &Model) -> String {
    const SHOWN: usize = 20;
    let labels: Vec<String> = model.labels().iter().take(SHOWN).map(|label| format!("`{label}`")).collect();
    let more = model.labels().len() - labels.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("the model's labels are {}{more}", labels.join(", "))
}

fn check_name(setting: &str, column: &str) -> Result<(), String> {
    let is_inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if column.starts_with(|c: char| c.is_ascii_lowercase()) && column.chars().all(is_inside) {
        Ok(())
    } else {
        Err(format!("`{setting}` is {column:?}, expected a name in snake case, such as `quality_dclm`"))
    }
}

/// At most the first `max_bytes` of a text.
fn beginning(text: &str, max_bytes: usize) -> &str {
    let end = (0..=max_bytes.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/fasttext/softmax-words2-chars0.bin");

    fn built(toml: &str) -> Result<Classifier, String> {
        toml::from_str::<Fasttext>(&format!("model = '{MODEL}'\n{toml}")).expect("settings").build()
    }

    fn row(toml: &str, text: &str) -> Vec<Value> {
        let mut row = Vec::new();
        built(toml).expect("sound settings").annotate(&Doc::bare(text), &mut row);
        row
    }

    #[track_caller]
    fn check_refused(toml: &str, expected: &str) {
        assert_eq!(built(toml).map(drop).expect_err("refused"), expected.replace("MODEL", MODEL));
    }

    #[track_caller]
    fn score(toml: &str, text: &str) -> f32 {
        match row(toml, text)[..] {
            [Value::F32(score)] => score,
            ref other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_label_has_a_probability() {
        let text = "the boat lay on the mud\nand waited for the tide";
        assert!(score("label = 'boat'", text) > 0.9);
        assert!(score("label = '__label__bread'", text) < 0.1);
        assert_eq!(score("label = 'boat'", text), score("label = 'boat'", &text.replace('\n', " ")));
    }

    #[test]
    fn columns_are_named_by_settings() {
        let stage = built("label = 'boat'\ncolumn = 'is_boat'\ntop_label_column = 'topic'").expect("sound");
        let columns: Vec<_> = stage.columns().iter().map(|field| field.name().clone()).collect();
        assert_eq!(columns, ["is_boat", "topic"]);
        let text = "knead the dough until it is smooth";
        let [Value::F32(probability), Value::Str(topic)] = &row("top_label_column = 'topic'", text)[..] else {
            panic!("two values")
        };
        assert_eq!((*probability, &**topic), (score("label = 'bread'", text), "bread"));
    }

    #[test]
    fn both_columns_say_what_each_says_alone() {
        let text = "knead the dough until it is smooth";
        for label in ["boat", "bread"] {
            let both = row(&format!("label = '{label}'\ntop_label_column = 'topic'"), text);
            let alone = score(&format!("label = '{label}'"), text);
            assert_eq!(both, [Value::F32(alone), Value::Str("bread".into())]);
        }
        assert_eq!(row("label = 'boat'\ntop_label_column = 'topic'\nmax_bytes = 1", "\u{e000}").len(), 2);
    }

    #[test]
    fn a_text_is_cut_only_where_asked() {
        let text = "the boat lay on the mud. Knead the dough until it is smooth , let it rise under a cloth";
        assert_eq!(score("label = 'boat'\nmax_bytes = 23", text), score("label = 'boat'", "the boat lay on the mud"));
        assert_ne!(score("label = 'boat'", text), score("label = 'boat'", "the boat lay on the mud"));
        assert_eq!(beginning("a中b", 3), "a");
        assert_eq!(beginning("a中b", 4), "a中");
        assert_eq!(beginning("a中b", usize::MAX), "a中b");
    }

    #[test]
    fn ideographs_can_be_words() {
        let text = "老人坐在树下慢慢地喝";
        let spaced = "老 人 坐 在 树 下 慢 慢 地 喝";
        assert_eq!(score("label = '茶'\nunits = 'characters'", text), score("label = '茶'", spaced));
        assert_ne!(score("label = '茶'", text), score("label = '茶'", spaced));
    }

    #[test]
    fn a_label_the_model_does_not_have_is_refused() {
        let labels = "the model's labels are `茶`, `bread`, `garten`, `stars`, `boat`, `птица`";
        check_refused("label = 'hq'", &format!("`label`: MODEL has no label `hq`; {labels}"));
        check_refused("", &format!("neither `label` nor `top_label_column` is set; {labels}"));
    }

    #[test]
    fn wrong_settings_are_refused() {
        check_refused(
            "label = 'boat'\ncolumn = 'Quality'",
            "`column` is \"Quality\", expected a name in snake case, such as `quality_dclm`",
        );
        check_refused(
            "top_label_column = 'fasttext_score'",
            "`column` and `top_label_column` are both `fasttext_score`; name another for one",
        );
        check_refused(
            "label = 'boat'\nmax_bytes = 0",
            "`max_bytes` is 0, expected 1 or more; leave it out to judge all of each text",
        );
        let error = Fasttext::default().build().map(drop).expect_err("no model");
        assert_eq!(error, "`model` is missing; name the file of a fastText model (.bin or .ftz)");
    }

    #[test]
    fn a_model_can_be_pinned() {
        let digest = hex(&load(Path::new(MODEL), None).expect("sound"));
        assert_eq!(built(&format!("label = 'boat'\ndigest = '{digest}'")).expect("sound").pins(), [("digest", digest)]);
        assert!(built("label = 'boat'\ndigest = '00'").is_err());
    }
}
