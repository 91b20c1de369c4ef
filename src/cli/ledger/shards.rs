//! What a training run was given: the documents of shards, as the ledger knows them.

use std::sync::Arc;

use arrow::array::{Array, AsArray, PrimitiveArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use crate::annotate::counts::Counts;
use crate::chain::Strings;
use crate::doc::{ContentKey, content_key};
use crate::error::{Error, Result};
use crate::format::input::{self, InputFile};
use crate::format::{self, Columns};
use crate::plan::{Layout, Part, Piece};
use crate::reuse::key_column::KeyColumn;

/// How much of a file is read at a time.
const WINDOW: u64 = 8 << 20;

/// What the columns of shards are called.
#[derive(Args)]
pub(super) struct ShardColumns {
    /// The column that holds the text. It is read where a document has no `content_key` or no `token_count`.
    #[arg(long, default_value = "text", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    text_column: String,
    /// The column that names a document's source.
    #[arg(long, default_value = "source", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    source_column: String,
    /// The column with the uses of a document in an epoch; without, every row is one use.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    uses_column: Option<String>,
    /// The column that names a document.
    #[arg(long, default_value = "id", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    id_column: String,
}

/// A document of a shard.
pub(super) struct Drawn<'s> {
    pub(super) id: Option<&'s str>,
    pub(super) key: ContentKey,
    pub(super) origin: Option<ContentKey>,
    pub(super) uses: u64,
    pub(super) tokens: u64,
    pub(super) source: Option<&'s str>,
}

impl ShardColumns {
    /// Shows every document of some shards. Returns the number of rows that are none: they have neither a text nor
    /// a content key.
    pub(super) fn each(&self, inputs: &[String], visit: &mut dyn FnMut(&Drawn<'_>) -> Result<()>) -> Result<u64> {
        let mut n_passed_over = 0;
        for file in input::find(inputs)? {
            n_passed_over += self.each_of(&file, visit)?;
        }
        Ok(n_passed_over)
    }

    fn each_of(&self, file: &InputFile, visit: &mut dyn FnMut(&Drawn<'_>) -> Result<()>) -> Result<u64> {
        let failed = |message: String| Error::shard(&file.name, message);
        let schema = self.schema_of(file)?;
        let has = |name: &str| schema.field_with_name(name).is_ok();
        if let Some(uses) = self.uses_column.as_ref().filter(|uses| !has(uses)) {
            return Err(failed(format!("there is no column `{uses}` for the uses of documents")));
        }
        let text = if has(&self.text_column) { self.text_column.clone() } else { String::new() };
        let others = schema.fields().iter().map(|field| field.name().clone()).collect();
        let columns = Columns { text: text.clone(), others: Some(others) };
        let mut reader = format::open(file, &Piece { shard: 0, part: Part::All }, &columns, WINDOW)?;
        let (mut row_of_file, mut n_passed_over) = (0, 0);
        while let Some(chunk) = reader.next_chunk()? {
            let decoded = chunk.decode(&schema, &text).map_err(failed)?;
            let batch = Batch::new(self, &decoded.batch).map_err(failed)?;
            let mut bad = decoded.bad.iter().map(|(row, _)| *row).peekable();
            for row in 0..decoded.batch.num_rows() {
                let readable = bad.next_if_eq(&row).is_none();
                let drawn = batch.drawn(row, readable);
                match drawn.map_err(|message| failed(format!("row {}: {message}", row_of_file + row)))? {
                    Some(drawn) => visit(&drawn)?,
                    None => n_passed_over += 1,
                }
            }
            row_of_file += decoded.batch.num_rows();
        }
        Ok(n_passed_over)
    }

    /// The columns that are read of a file, with the types that they are read as.
    fn schema_of(&self, file: &InputFile) -> Result<SchemaRef> {
        let wanted =
            [&self.text_column, "content_key", "origin_key", "token_count", &self.source_column, &self.id_column]
                .into_iter()
                .chain(self.uses_column.as_deref());
        // Whether a file of Parquet has a column of texts is seen when it must be read.
        let inspected = format::inspect(file, &self.text_column, &self.id_column);
        let there = match (&inspected.layout, inspected.schema) {
            (_, Some(schema)) => schema,
            (Layout::Unreadable(message), None) => match format::inspect(file, "content_key", &self.id_column).schema {
                // A file of keys only.
                Some(schema) => schema,
                None => return Err(Error::shard(&file.name, message)),
            },
            (_, None) => {
                let numbers = |name: &str| name == "token_count" || self.uses_column.as_deref() == Some(name);
                let field =
                    |name: &str| Field::new(name, if numbers(name) { DataType::Int64 } else { DataType::Utf8 }, true);
                let mut fields: Vec<Field> = Vec::new();
                for name in wanted {
                    if fields.iter().all(|field| field.name() != name) {
                        fields.push(field(name));
                    }
                }
                return Ok(Arc::new(Schema::new(fields)));
            }
        };
        let keys = there.field_with_name("content_key").is_ok() && there.field_with_name("token_count").is_ok();
        let fields: Vec<_> = there
            .fields()
            .iter()
            .filter(|field| wanted.clone().any(|name| name == field.name()))
            .filter(|field| !(keys && *field.name() == self.text_column))
            .cloned()
            .collect();
        Ok(Arc::new(Schema::new(fields)))
    }
}

/// The columns of a batch.
struct Batch {
    text: Option<Strings>,
    key: Option<KeyColumn>,
    origin: Option<KeyColumn>,
    tokens: Option<PrimitiveArray<Int64Type>>,
    uses: Option<PrimitiveArray<Int64Type>>,
    source: Option<Strings>,
    id: Option<Strings>,
    estimate: Counts,
}

impl Batch {
    fn new(columns: &ShardColumns, batch: &RecordBatch) -> Result<Self, String> {
        let strings = |name: &str| {
            let column = batch.column_by_name(name).map(Strings::new).transpose();
            column.map_err(|error| format!("column `{name}`: {error}"))
        };
        let keys = |name: &str| {
            let column = batch.column_by_name(name).map(KeyColumn::new).transpose();
            column.map_err(|error| format!("column `{name}`: {error}"))
        };
        let numbers = |name: &str| {
            let Some(column) = batch.column_by_name(name) else { return Ok(None) };
            if !column.data_type().is_numeric() {
                return Err(format!("column `{name}` is {}, expected one of numbers", column.data_type()));
            }
            let column = cast(column, &DataType::Int64).map_err(|error| format!("column `{name}`: {error}"))?;
            Ok(Some(column.as_primitive::<Int64Type>().clone()))
        };
        Ok(Self {
            text: strings(&columns.text_column)?,
            key: keys("content_key")?,
            origin: keys("origin_key")?,
            tokens: numbers("token_count")?,
            uses: columns.uses_column.as_deref().map(numbers).transpose()?.flatten(),
            source: strings(&columns.source_column)?,
            id: strings(&columns.id_column)?,
            estimate: Counts::default(),
        })
    }

    /// The document in a row, if there is one. The message says what is wrong with it.
    fn drawn(&self, row: usize, readable: bool) -> Result<Option<Drawn<'_>>, String> {
        let text = self.text.as_ref().filter(|_| readable).and_then(|text| text.get(row));
        let known = |column: &Option<KeyColumn>, name: &str| match column
            .as_ref()
            .map(|keys| (keys.get(row), keys.is_null(row)))
        {
            None | Some((None, true)) => Ok(None),
            Some((None, false)) => Err(format!("its `{name}` is no key: that has 16 bytes, or 32 hexadecimal digits")),
            Some((key, _)) => Ok(key),
        };
        let Some(key) = known(&self.key, "content_key")?.or_else(|| text.map(content_key)) else { return Ok(None) };
        let number = |column: &Option<PrimitiveArray<Int64Type>>, name: &str| {
            let number = column.as_ref().filter(|column| column.is_valid(row)).map(|column| column.value(row));
            number
                .map(|n| u64::try_from(n).map_err(|_| format!("its `{name}` is {n}, expected 0 or above")))
                .transpose()
        };
        let tokens = match (number(&self.tokens, "token_count")?, text) {
            (Some(tokens), _) => tokens,
            (None, Some(text)) => self.estimate.n_tokens(text).into(),
            (None, None) => return Err("it has neither a `token_count` nor a text to estimate it from".to_owned()),
        };
        let uses = match &self.uses {
            None => 1,
            column => number(column, "uses")?.ok_or("it does not say how often it was used")?,
        };
        Ok(Some(Drawn {
            id: self.id.as_ref().and_then(|ids| ids.get(row)),
            key,
            origin: known(&self.origin, "origin_key")?,
            uses,
            tokens,
            source: self.source.as_ref().and_then(|sources| sources.get(row)),
        }))
    }
}
