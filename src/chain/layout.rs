//! Which columns go into a pass and which come out of it.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, FixedSizeBinaryBuilder, Float64Builder, RecordBatch, RecordBatchOptions, new_null_array,
};
use arrow::compute::kernels::zip::zip;
use arrow::compute::{can_cast_types, cast, filter_record_batch, is_not_null};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::columns::{Cells, strings};
use crate::doc::ContentKey;
use crate::error::{Error, Result};
use crate::pipeline::{InputSettings, Pipeline, Rejects, StageSpec};
use crate::stage::DuplicateOf;

/// The columns that say why a document was dropped. The last one is there only where documents of earlier corpora
/// stand for some.
const WHY: [(&str, DataType); 8] = [
    ("rejected_by", DataType::Utf8),
    ("reason", DataType::Utf8),
    ("value", DataType::Float64),
    ("threshold", DataType::Float64),
    ("duplicate_of", DataType::Utf8),
    ("duplicate_key", DataType::FixedSizeBinary(size_of::<ContentKey>() as i32)),
    ("similarity", DataType::Float64),
    ("duplicate_run", DataType::Utf8),
];

/// The schemas of a pass.
pub(super) struct Layout {
    pub(super) source: SchemaRef,
    pub(super) kept: SchemaRef,
    pub(super) rejected: SchemaRef,
    /// The text column of the source.
    pub(super) text: usize,
    /// The columns that the stages of the pass add.
    pub(super) added: Vec<Field>,
    /// The source columns that stay.
    stay: Vec<usize>,
    /// Where the columns of rejected documents come from, those of [`why`] left out.
    rejected_from: Vec<Origin>,
    /// Where a document that stays may have a column of [`why`] already, since a stage has added it.
    own: Vec<Option<Origin>>,
}

/// Where a column of rejected documents comes from.
enum Origin {
    Source(usize),
    Added(usize),
    /// A stage of a later pass will add it to the documents that get so far.
    Later,
}

/// A document that goes.
pub(super) struct Reject<'t> {
    pub(super) row: usize,
    pub(super) text: Option<Cow<'t, str>>,
    pub(super) why: Why<'t>,
}

/// Why a document goes.
#[derive(Clone, Copy)]
pub(super) struct Why<'t> {
    pub(super) by: &'t str,
    pub(super) reason: &'t str,
    pub(super) value: f64,
    pub(super) threshold: f64,
    pub(super) duplicate: Option<DuplicateOf<'t>>,
}

impl Layout {
    /// The layout of a pass over batches of the schema `source`, whose stages add the columns `added`; `before`
    /// are the stages that earlier passes have run.
    pub(super) fn new(
        pipeline: &Pipeline,
        before: &[StageSpec],
        source: &SchemaRef,
        added: Vec<Field>,
    ) -> Result<Self> {
        let input = &pipeline.input;
        let text = source.index_of(&input.text_column).map_err(|_| {
            Error::refused(format!(
                "there is no column `{}` for the text; name it with --text-column",
                input.text_column
            ))
        })?;
        let slot = |name: &str| added.iter().position(|field| field.name() == name);
        let stay: Vec<usize> = (0..source.fields().len()).filter(|&i| slot(source.field(i).name()).is_none()).collect();
        let kept: Vec<_> =
            stay.iter().map(|&i| source.fields()[i].clone()).chain(added.iter().cloned().map(Arc::new)).collect();
        let kept = Arc::new(Schema::new(kept));
        let adds = |spec: &StageSpec, name: &str| spec.stage.columns().iter().any(|field| field.name() == name);
        let own = |(name, _): &(&str, _)| match (slot(name), source.index_of(name)) {
            (Some(slot), _) => Some(Origin::Added(slot)),
            (None, Ok(i)) if before.iter().any(|spec| adds(spec, name)) => Some(Origin::Source(i)),
            _ => None,
        };
        let why = why(pipeline);
        let own: Vec<_> = why.iter().map(own).collect();
        for ((name, _), own) in why.iter().zip(&own) {
            if own.is_none() && kept.field_with_name(name).is_ok() {
                refuse_clash(input, "of rejects", name)?;
            }
        }
        let mut rejected = Vec::new();
        let mut rejected_from = Vec::new();
        for field in documents(pipeline, source) {
            let origin = match (slot(field.name()), source.index_of(field.name())) {
                (Some(slot), _) => Origin::Added(slot),
                (None, Ok(i)) if can_cast_types(source.field(i).data_type(), field.data_type()) => Origin::Source(i),
                _ => Origin::Later,
            };
            rejected.push(field);
            rejected_from.push(origin);
        }
        rejected.extend(why.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true)));
        let rejected = Arc::new(Schema::new(rejected));
        Ok(Self { source: source.clone(), kept, rejected, text, added, stay, rejected_from, own })
    }

    /// Whether stages look at a column as the source has it.
    pub(super) fn is_read_from_source(&self, column: &str) -> bool {
        self.source.field_with_name(column).is_ok() && !self.added.iter().any(|field| field.name() == column)
    }

    /// The rows of a batch that stay, with their new texts if any was rewritten.
    pub(super) fn kept_batch(
        &self,
        batch: &RecordBatch,
        rows: &[usize],
        texts: Option<&[Cow<'_, str>]>,
        cells: &Cells,
    ) -> Result<RecordBatch> {
        let left = pick(batch, rows)?;
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.kept.fields().len());
        for &i in &self.stay {
            columns.push(match texts {
                Some(texts) if i == self.text => {
                    strings(left.column(i).data_type(), texts.iter().map(|text| Some(text.as_ref())))?
                }
                _ => left.column(i).clone(),
            });
        }
        for (slot, field) in self.added.iter().enumerate() {
            columns.push(cells.column(slot, field, rows.iter().copied())?);
        }
        // The text has the type that it was read as, until it is written.
        let fields = self.kept.fields().iter().zip(&columns).map(|(field, column)| {
            let same = field.data_type() == column.data_type();
            if same {
                field.clone()
            } else {
                Arc::new(field.as_ref().clone().with_data_type(column.data_type().clone()))
            }
        });
        let schema = Schema::new_with_metadata(fields.collect::<Vec<_>>(), self.kept.metadata().clone());
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        RecordBatch::try_new_with_options(Arc::new(schema), columns, &options).map_err(failed)
    }

    /// The rows of a batch that go, with the reasons.
    pub(super) fn reject_batch(
        &self,
        batch: &RecordBatch,
        rejects: &[Reject<'_>],
        cells: &Cells,
    ) -> Result<RecordBatch> {
        if rejects.is_empty() {
            return Ok(RecordBatch::new_empty(self.rejected.clone()));
        }
        let rows: Vec<usize> = rejects.iter().map(|reject| reject.row).collect();
        let left = pick(batch, &rows)?;
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.rejected.fields().len());
        for (origin, field) in self.rejected_from.iter().zip(self.rejected.fields()) {
            columns.push(match *origin {
                Origin::Source(i) if i == self.text => {
                    strings(field.data_type(), rejects.iter().map(|reject| reject.text.as_deref()))?
                }
                Origin::Source(i) => cast(left.column(i), field.data_type()).map_err(failed)?,
                Origin::Added(slot) => cells.column(slot, field, rows.iter().copied())?,
                Origin::Later => new_null_array(field.data_type(), rows.len()),
            });
        }
        let floats = |pick: &dyn Fn(&Why<'_>) -> f64| -> ArrayRef {
            let mut builder = Float64Builder::new();
            let known = |x: f64| (!x.is_nan()).then_some(x);
            rejects.iter().for_each(|reject| builder.append_option(known(pick(&reject.why))));
            Arc::new(builder.finish())
        };
        let duplicates = || rejects.iter().map(|reject| reject.why.duplicate);
        columns.push(strings(&DataType::Utf8, rejects.iter().map(|reject| Some(reject.why.by)))?);
        columns.push(strings(&DataType::Utf8, rejects.iter().map(|reject| Some(reject.why.reason)))?);
        columns.push(floats(&|why| why.value));
        columns.push(floats(&|why| why.threshold));
        columns.push(strings(&DataType::Utf8, duplicates().map(|duplicate| duplicate.and_then(|of| of.id)))?);
        let mut keys = FixedSizeBinaryBuilder::new(size_of::<ContentKey>() as i32);
        for duplicate in duplicates() {
            match duplicate {
                Some(of) => keys.append_value(of.key).map_err(failed)?,
                None => keys.append_null(),
            }
        }
        columns.push(Arc::new(keys.finish()));
        columns.push(floats(&|why| why.duplicate.map_or(f64::NAN, |of| of.similarity)));
        if columns.len() < self.rejected.fields().len() {
            columns.push(strings(&DataType::Utf8, duplicates().map(|duplicate| duplicate.and_then(|of| of.run)))?);
        }
        for (at, own) in (self.rejected_from.len()..).zip(&self.own) {
            let own = match *own {
                Some(Origin::Source(i)) => left.column(i).clone(),
                Some(Origin::Added(slot)) => cells.column(slot, self.rejected.field(at), rows.iter().copied())?,
                Some(Origin::Later) | None => continue,
            };
            columns[at] = zip(&is_not_null(&columns[at]).map_err(failed)?, &columns[at], &own).map_err(failed)?;
        }
        RecordBatch::try_new(self.rejected.clone(), columns).map_err(failed)
    }
}

/// The columns of [`WHY`] that the rejects of a pipeline have.
fn why(pipeline: &Pipeline) -> &'static [(&'static str, DataType)] {
    let reads = pipeline.index().is_some_and(|(_, index)| index.reads);
    if reads { &WHY } else { &WHY[..WHY.len() - 1] }
}

/// Refuses a column that the input has and a stage adds, unless the user lets it be replaced.
pub(super) fn refuse_clash(input: &InputSettings, stage: &str, column: &str) -> Result<()> {
    if input.replace_columns {
        return Ok(());
    }
    Err(Error::refused(format!(
        "stage {stage} adds the column `{column}`, which the input has already; use --replace-columns to replace it"
    )))
}

/// The columns of documents after the last pass, each of which may be null in a reject: so all rejects of a
/// run have the same columns, whichever pass they left in. A source that has been through earlier passes has
/// their columns already. The text is not among them if the user does not want it.
fn documents(pipeline: &Pipeline, source: &SchemaRef) -> Vec<Field> {
    let is_why = |name: &str| why(pipeline).iter().any(|(why, _)| *why == name);
    let without_text = pipeline.output.rejects == Rejects::WithoutText;
    let mut fields: Vec<Field> = source.fields().iter().map(|field| field.as_ref().clone()).collect();
    for spec in &pipeline.stages {
        let keeps = spec.stage.keeps_existing();
        for column in spec.stage.columns() {
            let brought = fields.iter().position(|field| field.name() == column.name()).map(|at| fields.remove(at));
            fields.push(brought.filter(|_| keeps).unwrap_or(column));
        }
    }
    let is_left_out = |name: &str| is_why(name) || without_text && name == pipeline.input.text_column;
    fields.retain(|field| !is_left_out(field.name()));
    fields.into_iter().map(|field| field.with_nullable(true)).collect()
}

/// The given rows of a batch, in order.
fn pick(batch: &RecordBatch, rows: &[usize]) -> Result<RecordBatch> {
    if rows.len() == batch.num_rows() {
        return Ok(batch.clone());
    }
    let mut picked = vec![false; batch.num_rows()];
    rows.iter().for_each(|&row| picked[row] = true);
    filter_record_batch(batch, &BooleanArray::from(picked)).map_err(failed)
}

fn failed(error: arrow::error::ArrowError) -> Error {
    Error::io("a batch", error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Chain;

    /// The reject columns of each pass over an input with the given columns, all strings.
    fn reject_schemas(pipeline: &str, columns: &[&str]) -> Vec<SchemaRef> {
        let pipeline = Arc::new(Pipeline::parse(pipeline, "a test").expect("sound"));
        let fields: Vec<_> = columns.iter().map(|name| Field::new(*name, DataType::LargeUtf8, false)).collect();
        let mut source = Arc::new(Schema::new(fields));
        let mut schemas = Vec::new();
        for pass in pipeline.passes() {
            let chain = Chain::new(pipeline.clone(), &pass, &source).expect("sound");
            schemas.push(chain.rejected_schema().clone());
            if pass.writes {
                source = chain.kept_schema().clone();
            }
        }
        schemas
    }

    #[track_caller]
    fn check(pipeline: &str, input: &[&str], documents: &[&str]) {
        let schemas = reject_schemas(pipeline, input);
        assert!(schemas.len() > 1, "one pass alone proves nothing");
        for schema in &schemas {
            assert_eq!(schema, &schemas[0]);
            let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            let reasons: &[_] = &WHY.map(|(name, _)| name);
            let reasons = if pipeline.contains("against") { reasons } else { &reasons[..7] };
            assert_eq!(names, [documents, reasons].concat());
        }
    }

    #[test]
    fn rejects_name_the_run_of_the_document_that_stands_for_them_if_it_may_be_another() {
        let against = "[[stage]]\nuse = 'whitespace'\n[[stage]]\nuse = 'minhash'\nagainst = 'index'\n";
        check(against, &["id", "text"], &["id", "text"]);
        let matched = ["dup_count", "dup_cluster", "matched_key", "matched_similarity", "matched_run"];
        check(&format!("{against}mode = 'annotate'\n"), &["text"], &[&["text"][..], &matched].concat());
    }

    const FILTERED: &str = "[[stage]]\nuse = 'origin_key'\n[[stage]]\nuse = 'word_count'\n[[stage]]\nuse = 'exact'\n\
                            [[stage]]\nuse = 'counts'\n[[stage]]\nuse = 'minhash'\n[[stage]]\nuse = 'language'\n";

    #[test]
    fn rejects_of_all_passes_have_the_same_columns() {
        let counts = ["char_count", "word_count", "token_count"];
        let added = [&["origin_key"][..], &counts, &["language", "language_score"]].concat();
        check(FILTERED, &["id", "text"], &[&["id", "text"][..], &added].concat());
        // The first pass leaves nothing and is replayed.
        check(
            "[[stage]]\nuse = 'counts'\n[[stage]]\nuse = 'exact'\n[[stage]]\nuse = 'content_key'\n",
            &["text"],
            &[&["text"][..], &counts, &["content_key"]].concat(),
        );
    }

    #[test]
    fn rejects_can_go_without_their_text() {
        let filtered = format!("[output]\nrejects = 'without-text'\n{FILTERED}");
        let counts = ["char_count", "word_count", "token_count"];
        let added = [&["origin_key"][..], &counts, &["language", "language_score"]].concat();
        check(&filtered, &["id", "text", "url"], &[&["id", "url"][..], &added].concat());
    }

    #[test]
    fn a_column_that_a_later_stage_replaces_has_that_stages_type_from_the_start() {
        let replacing = format!("[input]\nreplace_columns = true\n{FILTERED}");
        let counts = ["char_count", "word_count", "token_count"];
        let added = [&["origin_key"][..], &counts, &["language", "language_score"]].concat();
        check(&replacing, &["language", "word_count", "text"], &[&["text"][..], &added].concat());
    }
}
