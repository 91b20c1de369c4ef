//! What becomes of duplicates, and the columns that tell of clusters: how many documents one stands for, and
//! which one stands for it.

use arrow::datatypes::{DataType, Field};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::doc::{Doc, Value};
use crate::stage::{Duplicates, Guards, Need, NeedKind, Ruled, key_type};

/// What becomes of the documents for which another one stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// They are dropped.
    #[default]
    Drop,
    /// They stay. `duplicate_of` and `similarity` name the one that stands for them and are null in that one;
    /// `dup_count` and `dup_cluster` are the same in all documents of a cluster. With `against`, `matched_key`,
    /// `matched_similarity` and `matched_run` say of those for which an earlier document stands which one that is;
    /// `dup_count` counts it and the documents of this run.
    Annotate,
}

/// What becomes of a run in which something was called out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnAlarm {
    /// The table and the report say so.
    #[default]
    Warn,
    /// The run is completed, but ends with exit code 2.
    Fail,
}

/// The settings that a stage has for its duplicates, as they were written.
pub(super) struct Settings {
    pub(super) mode: Mode,
    pub(super) counts: bool,
    pub(super) max_cluster: Option<u64>,
    pub(super) max_source_loss: Option<f64>,
    pub(super) source_column: Option<String>,
    pub(super) guards: OnAlarm,
    /// Whether documents of earlier corpora stand for some.
    pub(super) earlier: bool,
}

impl Duplicates {
    /// What the settings ask for, if that makes sense.
    pub(super) fn new(settings: Settings) -> Result<Self, String> {
        let Settings { mode, counts, max_cluster, max_source_loss, source_column, guards, earlier } = settings;
        if max_cluster.is_some_and(|limit| limit < 2) {
            return Err("`max_cluster` must be at least 2, for one document is no cluster".to_owned());
        }
        if let Some(share) = max_source_loss.filter(|share| !(*share > 0.0 && *share <= 1.0)) {
            return Err(format!("`max_source_loss` ({share}) must be above 0 and at most 1"));
        }
        if source_column.is_some() && max_source_loss.is_none() {
            return Err("`source_column` is for `max_source_loss`, which is not set".to_owned());
        }
        if source_column.as_ref().is_some_and(String::is_empty) {
            return Err("`source_column` is empty; name a column".to_owned());
        }
        if guards == OnAlarm::Fail && max_cluster.is_none() && max_source_loss.is_none() {
            return Err("`guards` has nothing to guard; set `max_cluster` or `max_source_loss`".to_owned());
        }
        let guards = Guards {
            max_cluster,
            max_source_loss,
            source_column: source_column.unwrap_or_else(|| "source".to_owned()),
            fail: guards == OnAlarm::Fail,
        };
        let annotated = mode == Mode::Annotate;
        Ok(Self { counted: counts || annotated, annotated, earlier, guards })
    }

    /// The input columns that are looked at.
    pub(super) fn needs(&self) -> Option<Need> {
        let column = self.guards.source_column.clone();
        self.guards.max_source_loss.map(|_| Need { column, kind: NeedKind::String })
    }

    /// The columns that are added.
    pub(super) fn columns(&self) -> Vec<Field> {
        let mut columns = Vec::new();
        if self.counted {
            columns.push(Field::new("dup_count", DataType::UInt32, true));
            columns.push(Field::new("dup_cluster", key_type(), true));
        }
        if self.annotated {
            columns.push(Field::new("duplicate_of", DataType::Utf8, true));
            columns.push(Field::new("similarity", DataType::Float64, true));
        }
        if self.annotated && self.earlier {
            columns.push(Field::new("matched_key", key_type(), true));
            columns.push(Field::new("matched_similarity", DataType::Float32, true));
            columns.push(Field::new("matched_run", DataType::Utf8, true));
        }
        columns
    }

    /// Puts a value for each column into `row`.
    pub(super) fn annotate(&self, doc: &Doc<'_>, ruled: Ruled<'_>, row: &mut Vec<Value>) {
        let Ruled { given, duplicate } = ruled;
        if self.counted {
            row.push(Value::U32(u32::try_from(given.unwrap_or(1)).unwrap_or(u32::MAX)));
            row.push(Value::Key(duplicate.map_or_else(|| doc.content_key(), |of| of.key)));
        }
        if self.annotated {
            let id = duplicate.and_then(|of| of.id);
            row.push(id.map_or(Value::Null, |id| Value::Str(id.to_owned().into())));
            row.push(duplicate.map_or(Value::Null, |of| Value::F64(of.similarity)));
        }
        if self.annotated && self.earlier {
            let matched = duplicate.and_then(|of| Some((of, of.run?)));
            row.push(matched.map_or(Value::Null, |(of, _)| Value::Key(of.key)));
            row.push(matched.map_or(Value::Null, |(of, _)| Value::F32(of.similarity as f32)));
            row.push(matched.map_or(Value::Null, |(_, run)| Value::Str(run.to_owned().into())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doc::content_key;
    use crate::stage::DuplicateOf;

    fn settings() -> Settings {
        Settings {
            mode: Mode::Drop,
            counts: false,
            max_cluster: None,
            max_source_loss: None,
            source_column: None,
            guards: OnAlarm::Warn,
            earlier: false,
        }
    }

    #[track_caller]
    fn check_refused(settings: Settings, expected: &str) {
        assert_eq!(Duplicates::new(settings).expect_err("nonsense"), expected);
    }

    #[test]
    fn guards_that_guard_nothing_are_refused() {
        check_refused(
            Settings { guards: OnAlarm::Fail, ..settings() },
            "`guards` has nothing to guard; set `max_cluster` or `max_source_loss`",
        );
        check_refused(
            Settings { source_column: Some("a".into()), ..settings() },
            "`source_column` is for `max_source_loss`, which is not set",
        );
        let empty = Settings { max_source_loss: Some(0.5), source_column: Some(String::new()), ..settings() };
        check_refused(empty, "`source_column` is empty; name a column");
        check_refused(
            Settings { max_cluster: Some(1), ..settings() },
            "`max_cluster` must be at least 2, for one document is no cluster",
        );
        for (share, shown) in [(1.5, "1.5"), (0.0, "0"), (f64::NAN, "NaN")] {
            let settings = Settings { max_source_loss: Some(share), ..settings() };
            check_refused(settings, &format!("`max_source_loss` ({shown}) must be above 0 and at most 1"));
        }
    }

    #[track_caller]
    fn check(duplicates: &Duplicates, ruled: Ruled<'_>, expected: &[Value]) {
        let mut row = Vec::new();
        duplicates.annotate(&Doc::bare("a"), ruled, &mut row);
        assert_eq!(row, expected);
        assert_eq!(row.len(), duplicates.columns().len());
    }

    #[test]
    fn columns_tell_of_the_cluster() {
        let duplicates =
            |mode, counts| Duplicates::new(Settings { mode, counts, ..settings() }).expect("sound settings");
        let [drop, counts] = [false, true].map(|counts| duplicates(Mode::Drop, counts));
        let annotate = duplicates(Mode::Annotate, false);
        let own = Value::Key(content_key("a"));
        check(&drop, Ruled::default(), &[]);
        check(&counts, Ruled::default(), &[Value::U32(1), own.clone()]);
        check(&counts, Ruled { given: Some(7), duplicate: None }, &[Value::U32(7), own.clone()]);
        check(&counts, Ruled { given: Some(u64::MAX), duplicate: None }, &[Value::U32(u32::MAX), own.clone()]);
        check(&annotate, Ruled::default(), &[Value::U32(1), own, Value::Null, Value::Null]);
        let of = DuplicateOf { id: Some("b"), key: [7; 16], similarity: 0.9, run: None };
        let named = [Value::U32(3), Value::Key([7; 16]), Value::Str("b".into()), Value::F64(0.9)];
        check(&annotate, Ruled { given: Some(3), duplicate: Some(of) }, &named);
        // Beside earlier corpora it is said which of these it was.
        let against = Settings { mode: Mode::Annotate, earlier: true, ..settings() };
        let against = Duplicates::new(against).expect("sound settings");
        let nothing = [Value::Null, Value::Null, Value::Null];
        check(&against, Ruled { given: Some(3), duplicate: Some(of) }, &[&named[..], &nothing].concat());
        let of = DuplicateOf { run: Some("2024"), ..of };
        let matched = [Value::Key([7; 16]), Value::F32(0.9), Value::Str("2024".into())];
        check(&against, Ruled { given: Some(3), duplicate: Some(of) }, &[&named[..], &matched].concat());
    }
}
