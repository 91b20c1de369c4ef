//! Reading JSON Lines: a sequential cut into runs of whole lines, which any thread then parses.

use std::borrow::Cow;
use std::fmt;
use std::io::Read;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, LargeStringBuilder, RecordBatch, RecordBatchOptions,
    UInt64Builder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use flate2::read::MultiGzDecoder;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::ahead::Ahead;
use super::{Chunk, ChunkReader, Compression, Decoded};
use crate::encoding::{Encoding, Guesses, INVALID_UTF8};
use crate::error::{Error, Result};
use crate::store::ReadAt;

/// The column that carries, as one JSON object, the fields no other column has.
pub const EXTRA: &str = "extra";

/// The bytes of lines handed over at once.
const RUN_BYTES: usize = 1 << 20;
/// The bytes looked at to know what the ids are.
const HEAD_BYTES: usize = 64 << 10;
/// The longest line. A longer one ends the file, with an error.
const MAX_LINE: usize = 1 << 30;

/// What the ids in some lines are, as an interval: a text is beyond all numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ids {
    least: i128,
    most: i128,
}

impl Ids {
    const TEXT: Self = Self { least: i128::MIN, most: i128::MAX };

    /// What these and others are.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { least: self.least.min(other.least), most: self.most.max(other.most) }
    }

    /// The type of a column for them: whole numbers if all of them are. Where one is so large that others of its
    /// kind may not be an `Int64`, as hashes are, it is the type that they are.
    pub fn data_type(self) -> DataType {
        /// What every reader of JSON can hold (RFC 8259, §6).
        const LARGE: i128 = 1 << 53;
        match (self.least, self.most) {
            (0.., ..LARGE) => DataType::Int64,
            (0.., most) if most <= i128::from(u64::MAX) => DataType::UInt64,
            (least, most) if least >= i128::from(i64::MIN) && most <= i128::from(i64::MAX) => DataType::Int64,
            _ => DataType::Utf8,
        }
    }
}

/// Some whole lines of a file.
pub struct Lines {
    bytes: Vec<u8>,
    n_rows: u64,
    encoding: Encoding,
}

/// Cuts a file, or a part of one, into runs of lines.
pub struct LineReader {
    name: String,
    input: Box<dyn Read + Send>,
    /// Read, but not yet handed over.
    pending: Vec<u8>,
    /// Where `pending` begins, counted in uncompressed bytes.
    position: u64,
    /// No line begins here or later.
    end: Option<u64>,
    /// How many lines have been handed over.
    n_lines: u64,
    done: bool,
    encoding: Encoding,
}

impl LineReader {
    /// Opens a file, called `name` in errors, or the lines that begin in a `range` of it. Lines are encoded so.
    pub fn open(
        file: Arc<dyn ReadAt>,
        name: &str,
        compression: Compression,
        range: Option<Range<u64>>,
        window: u64,
        encoding: Encoding,
    ) -> Result<Self> {
        let size = file.size();
        // A line that begins at `start` is ours; to know whether one does, look at the byte before.
        let from = range.as_ref().map_or(0, |range| range.start.saturating_sub(1));
        let bytes = Ahead::new(file, from..size.max(from), window.clamp(64 << 10, 4 << 20));
        let input: Box<dyn Read + Send> = match compression {
            Compression::None => Box::new(bytes),
            Compression::Gzip => Box::new(MultiGzDecoder::new(bytes)),
            Compression::Zstd => {
                Box::new(zstd::stream::read::Decoder::new(bytes).map_err(|error| Error::shard(name, error))?)
            }
        };
        let mut lines = Self {
            name: name.to_owned(),
            input,
            pending: Vec::new(),
            position: from,
            end: range.as_ref().map(|range| range.end),
            n_lines: 0,
            done: false,
            encoding,
        };
        if range.is_some_and(|range| range.start > 0) {
            lines.skip_line()?;
        } else {
            lines.skip_byte_order_mark()?;
        }
        Ok(lines)
    }

    /// What the ids in the first lines are, if there are any; what cannot be read has none.
    pub fn ids_ahead(&mut self, id_column: &str) -> Option<Ids> {
        let mut more = true;
        while more && self.pending.len() < HEAD_BYTES {
            more = self.fill().unwrap_or(false);
        }
        let whole =
            if more { memchr::memrchr(b'\n', &self.pending).map_or(0, |at| at + 1) } else { self.pending.len() };
        let ids = rows(&self.pending[..whole]).filter_map(|line| {
            let line = self.encoding.decode(line, &mut Guesses::new()).ok()?;
            let fields = parse(&line).ok()?;
            let (_, value) = fields.0.iter().rfind(|(name, _)| name == id_column)?;
            let number = |id| Ids { least: id, most: id };
            (value.get() != "null").then(|| value.get().parse().map_or(Ids::TEXT, number))
        });
        ids.reduce(Ids::and)
    }

    /// Reads more into `pending`; says whether there was any.
    fn fill(&mut self) -> Result<bool> {
        let before = self.pending.len();
        self.pending.resize(before + (256 << 10), 0);
        let read = loop {
            match self.input.read(&mut self.pending[before..]) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.pending.truncate(before + *read.as_ref().unwrap_or(&0));
        read.map(|n| n > 0).map_err(|error| match error.downcast::<Again>() {
            Ok(Again(message)) => Error::shard(&self.name, message),
            Err(error) => Error::shard(&self.name, format!("{}: {error}", self.place())),
        })
    }

    fn skip_line(&mut self) -> Result<()> {
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.pending) {
                self.pending.drain(..=at);
                self.position += at as u64 + 1;
                return Ok(());
            }
            self.position += self.pending.len() as u64;
            self.pending.clear();
            if !self.fill()? {
                return Ok(());
            }
        }
    }

    fn skip_byte_order_mark(&mut self) -> Result<()> {
        while self.pending.len() < 3 && self.fill()? {}
        if self.pending.starts_with(b"\xef\xbb\xbf") {
            self.pending.drain(..3);
            self.position += 3;
            // The mark belongs to the first line, which is ours also where our part ends inside the mark.
            self.end = self.end.map(|end| if end > 0 { end.max(self.position + 1) } else { end });
        }
        Ok(())
    }

    /// Whole lines of about `RUN_BYTES`, or what is left; empty at the end.
    fn take_lines(&mut self) -> Result<Vec<u8>> {
        let mut searched = 0;
        loop {
            if let Some(cut) = self.cut(searched) {
                let rest = self.pending.split_off(cut);
                let lines = std::mem::replace(&mut self.pending, rest);
                self.position += lines.len() as u64;
                return Ok(lines);
            }
            searched = self.pending.len();
            if searched > MAX_LINE {
                let message = format!("{}: a line of more than {} MiB", self.place(), MAX_LINE >> 20);
                return Err(Error::shard(&self.name, message));
            }
            if !self.fill()? {
                self.done = true;
                let lines = std::mem::take(&mut self.pending);
                let past_end = self.end.is_some_and(|end| self.position >= end);
                return Ok(if past_end { Vec::new() } else { lines });
            }
        }
    }

    /// Where the pending bytes can be cut: behind the first line end after `RUN_BYTES`, or before the first
    /// line that is not ours. The first `searched` bytes hold no cut.
    fn cut(&mut self, searched: usize) -> Option<usize> {
        if let Some(end) = self.end {
            if self.position >= end {
                self.done = true;
                return Some(0);
            }
            // The line that holds byte `end - 1` is the last of ours.
            let last = (end - 1 - self.position) as usize;
            if last < RUN_BYTES {
                let from = last.max(searched);
                let at = memchr::memchr(b'\n', self.pending.get(from..)?)?;
                self.done = true;
                return Some(from + at + 1);
            }
        }
        let from = (RUN_BYTES - 1).max(searched);
        Some(from + memchr::memchr(b'\n', self.pending.get(from..)?)? + 1)
    }
}

impl ChunkReader for LineReader {
    fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        while !self.done {
            let bytes = match self.take_lines() {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.done = true;
                    // Whole lines before the break are good.
                    let whole = memchr::memrchr(b'\n', &self.pending).map_or(0, |at| at + 1);
                    if whole == 0 {
                        return Err(error);
                    }
                    self.pending.truncate(whole);
                    let bytes = std::mem::take(&mut self.pending);
                    self.position += bytes.len() as u64;
                    let message = match error {
                        Error::Shard { message, .. } => message,
                        other => other.to_string(),
                    };
                    self.input = Box::new(Broken(Some(message)));
                    self.done = false;
                    bytes
                }
            };
            if !bytes.is_empty() {
                self.n_lines += memchr::memchr_iter(b'\n', &bytes).count() as u64;
                return Ok(Some(Chunk::Lines(Lines::new(bytes, self.encoding))));
            }
        }
        Ok(None)
    }

    fn n_rows(&self) -> Option<u64> {
        None
    }

    fn place(&self) -> String {
        format!("after line {} (byte {})", self.n_lines, self.position)
    }
}

/// A stream that broke, and says so when it is read on.
struct Broken(Option<String>);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        match self.0.take() {
            Some(message) => Err(std::io::Error::other(Again(message))),
            None => Ok(0),
        }
    }
}

/// What was wrong when the stream broke, with its place.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Again(String);

impl Lines {
    fn new(bytes: Vec<u8>, encoding: Encoding) -> Self {
        let n_rows = rows(&bytes).count() as u64;
        Self { bytes, n_rows, encoding }
    }

    /// The number of rows: lines that are not blank.
    pub fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// Leaves only the first `n_rows` rows.
    pub fn truncate(&mut self, n_rows: u64) {
        if n_rows < self.n_rows {
            let mut end = 0;
            let mut left = n_rows;
            while left > 0 {
                let line_end = memchr::memchr(b'\n', &self.bytes[end..]).map_or(self.bytes.len(), |at| end + at + 1);
                left -= rows(&self.bytes[end..line_end]).count() as u64;
                end = line_end;
            }
            self.bytes.truncate(end);
            self.n_rows = n_rows;
        }
    }

    /// The memory they hold.
    pub fn n_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Parses the lines into documents with the columns of `schema`; a line that is no document becomes a
    /// row with what could be saved in the text column, and a reason. Blank lines are no rows.
    pub fn decode(self, schema: &SchemaRef, text_column: &str) -> Decoded {
        let is_text = |field: &Field| field.name() == text_column;
        let mut columns: Vec<Column> =
            schema.fields().iter().map(|field| Column::new(field, !is_text(field))).collect();
        let text = schema.index_of(text_column).ok();
        let extra = schema.index_of(EXTRA).ok();
        let (mut bad, mut guesses) = (Vec::new(), Guesses::new());
        let mut n_rows = 0;
        let mut rest = String::new();
        for line in rows(&self.bytes) {
            rest.clear();
            // Whole lines are decoded: in some encodings a backslash or a quote can be the second half of a character.
            let decoded = self.encoding.decode(line, &mut guesses);
            let parsed = decoded.as_deref().map_err(|reason| *reason).and_then(parse);
            let mut save = |columns: &mut Vec<Column>, reason| {
                bad.push((n_rows, reason));
                if let Some(text) = text.filter(|&text| columns[text].len() == n_rows) {
                    let lossy = || String::from_utf8_lossy(line);
                    columns[text].strings().append_value(decoded.as_deref().map_or_else(|_| lossy(), Cow::Borrowed));
                }
            };
            match parsed {
                Err(reason) => save(&mut columns, reason),
                Ok(fields) => {
                    for (i, (name, value)) in fields.0.iter().enumerate() {
                        let known = schema.index_of(name).ok().filter(|index| Some(*index) != extra);
                        let Some(index) = known else {
                            if extra.is_some() {
                                add_field(&mut rest, name, value.get());
                            }
                            continue;
                        };
                        // Of a name that comes twice the last one counts, as JSON parsers have it: what stages
                        // see is what whoever reads the output would have seen.
                        if value.get() == "null" || fields.0[i + 1..].iter().any(|(later, _)| later == name) {
                            continue;
                        }
                        if columns[index].push(value.get(), n_rows) {
                            continue;
                        }
                        if known == text {
                            let no_string =
                                if value.get().starts_with('"') { INVALID_UTF8 } else { "text_not_a_string" };
                            save(&mut columns, no_string);
                        } else if extra.is_some() {
                            add_field(&mut rest, name, value.get());
                        }
                    }
                }
            }
            if let (Some(extra), false) = (extra, rest.is_empty()) {
                rest.push('}');
                columns[extra].strings().append_value(&rest);
            }
            n_rows += 1;
            for column in &mut columns {
                column.fill(n_rows);
            }
        }
        let fields: Vec<Field> = schema
            .fields()
            .iter()
            .zip(&columns)
            .map(|(field, column)| Field::new(field.name(), column.data_type(), true))
            .collect();
        let arrays = columns.into_iter().map(Column::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(n_rows));
        let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
            .expect("the columns were built for these fields, each filled to the same length");
        Decoded { batch, bad, guesses }
    }
}

/// The lines that are rows: those that are not blank, without their line ends.
fn rows(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = memchr::memchr_iter(b'\n', bytes).chain(std::iter::once(bytes.len()));
    let mut start = 0;
    ends.filter_map(move |end| {
        let line = bytes.get(start..end).unwrap_or_default();
        start = end + 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        (!line.trim_ascii().is_empty()).then_some(line)
    })
}

/// Adds a field to the text of a JSON object that is still open.
pub(super) fn add_field(object: &mut String, name: &str, value: &str) {
    object.push(if object.is_empty() { '{' } else { ',' });
    object.push_str(&serde_json::to_string(name).expect("a string is valid JSON"));
    object.push(':');
    object.push_str(value);
}

/// The fields of a JSON object, in order, values unparsed.
pub(super) struct Fields<'a>(pub(super) Vec<(Cow<'a, str>, &'a RawValue)>);

fn parse(line: &str) -> Result<Fields<'_>, &'static str> {
    serde_json::from_str(line).map_err(|_| "invalid_json")
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some((Name(name), value)) = map.next_entry()? {
                    fields.push((name, value));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

/// A field's name, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// A column being built. Each row is pushed at most once; the rest are filled with nulls.
enum Column {
    /// Strings, and whether a number counts as one, as ids often are numbers.
    Strings(LargeStringBuilder, bool),
    /// Whole numbers, those between two bounds.
    Ints(Int64Builder, i64, i64),
    UnsignedInts(UInt64Builder),
    Floats(Float64Builder),
    Bools(BooleanBuilder),
    /// A type that only Parquet shards of the corpus have.
    Other(DataType, usize),
}

impl Column {
    fn new(field: &Field, takes_numbers: bool) -> Self {
        let data_type = match field.data_type() {
            DataType::Dictionary(_, value) => value,
            other => other,
        };
        match data_type {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Self::Strings(LargeStringBuilder::new(), takes_numbers)
            }
            DataType::UInt64 => Self::UnsignedInts(UInt64Builder::new()),
            ty if ty.is_integer() => {
                let (least, most) = match ty {
                    DataType::Int8 => (i64::from(i8::MIN), i64::from(i8::MAX)),
                    DataType::Int16 => (i64::from(i16::MIN), i64::from(i16::MAX)),
                    DataType::Int32 => (i64::from(i32::MIN), i64::from(i32::MAX)),
                    DataType::UInt8 => (0, i64::from(u8::MAX)),
                    DataType::UInt16 => (0, i64::from(u16::MAX)),
                    DataType::UInt32 => (0, i64::from(u32::MAX)),
                    _ => (i64::MIN, i64::MAX),
                };
                Self::Ints(Int64Builder::new(), least, most)
            }
            ty if ty.is_floating() => Self::Floats(Float64Builder::new()),
            DataType::Boolean => Self::Bools(BooleanBuilder::new()),
            other => Self::Other(other.clone(), 0),
        }
    }

    fn len(&self) -> usize {
        use arrow::array::ArrayBuilder;
        match self {
            Self::Strings(builder, _) => builder.len(),
            Self::Ints(builder, ..) => builder.len(),
            Self::UnsignedInts(builder) => builder.len(),
            Self::Floats(builder) => builder.len(),
            Self::Bools(builder) => builder.len(),
            Self::Other(_, len) => *len,
        }
    }

    fn data_type(&self) -> DataType {
        match self {
            Self::Strings(..) => DataType::LargeUtf8,
            Self::Ints(..) => DataType::Int64,
            Self::UnsignedInts(_) => DataType::UInt64,
            Self::Floats(_) => DataType::Float64,
            Self::Bools(_) => DataType::Boolean,
            Self::Other(data_type, _) => data_type.clone(),
        }
    }

    /// The builder of a column known to hold strings.
    fn strings(&mut self) -> &mut LargeStringBuilder {
        match self {
            Self::Strings(builder, _) => builder,
            _ => unreachable!("the text and the extra column are strings"),
        }
    }

    /// Puts a JSON value into row `row`; says no if it does not fit the column or the row is taken.
    fn push(&mut self, json: &str, row: usize) -> bool {
        if self.len() > row {
            return false;
        }
        match self {
            Self::Strings(builder, takes_numbers) => match serde_json::from_str::<Name<'_>>(json) {
                Ok(Name(value)) => builder.append_value(value),
                Err(_) if *takes_numbers && json.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
                    builder.append_value(json);
                }
                Err(_) => return false,
            },
            Self::Ints(builder, least, most) => match json.parse() {
                Ok(value) if (*least..=*most).contains(&value) => builder.append_value(value),
                _ => return false,
            },
            Self::UnsignedInts(builder) => match json.parse() {
                Ok(value) => builder.append_value(value),
                Err(_) => return false,
            },
            Self::Floats(builder) => match serde_json::from_str(json) {
                Ok(value) => builder.append_value(value),
                Err(_) => return false,
            },
            Self::Bools(builder) => match json {
                "true" => builder.append_value(true),
                "false" => builder.append_value(false),
                _ => return false,
            },
            Self::Other(..) => return false,
        }
        true
    }

    /// Fills up to `n_rows` rows with nulls.
    fn fill(&mut self, n_rows: usize) {
        while self.len() < n_rows {
            match self {
                Self::Strings(builder, _) => builder.append_null(),
                Self::Ints(builder, ..) => builder.append_null(),
                Self::UnsignedInts(builder) => builder.append_null(),
                Self::Floats(builder) => builder.append_null(),
                Self::Bools(builder) => builder.append_null(),
                Self::Other(_, len) => *len += 1,
            }
        }
    }

    fn finish(self) -> ArrayRef {
        match self {
            Self::Strings(mut builder, _) => Arc::new(builder.finish()),
            Self::Ints(mut builder, ..) => Arc::new(builder.finish()),
            Self::UnsignedInts(mut builder) => Arc::new(builder.finish()),
            Self::Floats(mut builder) => Arc::new(builder.finish()),
            Self::Bools(mut builder) => Arc::new(builder.finish()),
            Self::Other(data_type, len) => arrow::array::new_null_array(&data_type, len),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::tests::Memory;

    /// The rows of a range of a file, and what stopped it.
    fn read(bytes: &[u8], compression: Compression, range: Option<Range<u64>>) -> (Vec<Vec<u8>>, Option<String>) {
        let mut got = Vec::new();
        let file = Arc::new(Memory(bytes.to_vec()));
        let mut reader = match LineReader::open(file, "f", compression, range, 64 << 10, Encoding::Utf8) {
            Ok(reader) => reader,
            Err(error) => return (got, Some(error.to_string())),
        };
        loop {
            match reader.next_chunk() {
                Ok(Some(Chunk::Lines(lines))) => got.extend(rows(&lines.bytes).map(<[u8]>::to_vec)),
                Ok(Some(Chunk::Batch(..))) => unreachable!("lines are no batch"),
                Ok(None) => return (got, None),
                Err(error) => return (got, Some(error.to_string())),
            }
        }
    }

    fn plain(text: &str, range: Option<Range<u64>>) -> Vec<Vec<u8>> {
        let (rows, error) = read(text.as_bytes(), Compression::None, range);
        assert_eq!(error, None);
        rows
    }

    proptest! {
        #[test]
        fn any_cut_yields_each_line_once(
            mark in prop::bool::ANY,
            lines in prop::collection::vec("[a-c]{0,4}\r?", 0..20),
            last in "[a-c]{0,3}",
            mut cuts in prop::collection::vec(0u64..120, 0..6),
        ) {
            let mark = if mark { "\u{feff}" } else { "" };
            let text = format!("{mark}{}{last}", lines.iter().map(|line| format!("{line}\n")).collect::<String>());
            cuts.sort_unstable();
            let bounds: Vec<u64> = [0].into_iter().chain(cuts).chain([u64::MAX]).collect();
            let cut: Vec<_> = bounds.windows(2).flat_map(|pair| plain(&text, Some(pair[0]..pair[1]))).collect();
            prop_assert_eq!(cut, plain(&text, None));
        }

        #[test]
        fn a_truncated_run_has_its_first_rows(lines in prop::collection::vec("[a-c]{0,3}\r?", 0..12), n in 0u64..14) {
            let mut all = Lines::new(lines.join("\n").into_bytes(), Encoding::Utf8);
            let expected: Vec<_> = rows(&all.bytes).take(n as usize).map(<[u8]>::to_vec).collect();
            all.truncate(n);
            prop_assert_eq!(all.n_rows(), expected.len() as u64);
            prop_assert_eq!(rows(&all.bytes).map(<[u8]>::to_vec).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn runs_of_lines_end_where_lines_do() {
        let line = "x".repeat(300_000);
        let text = format!("{line}\n").repeat(12) + "end";
        assert_eq!(plain(&text, None).len(), 13);
        let third = text.len() as u64 / 3;
        let cut: Vec<_> = [0..third, third..2 * third, 2 * third..u64::MAX]
            .into_iter()
            .flat_map(|range| plain(&text, Some(range)))
            .collect();
        assert_eq!(cut, plain(&text, None));
    }

    #[test]
    fn whole_lines_before_a_break_are_good_and_the_place_is_told_once() {
        let text: String = (0..50_000).map(|i| format!("{{\"n\":{}}}\n", i * 7919 % 50_021)).collect();
        let zst = zstd::encode_all(text.as_bytes(), 1).expect("memory takes all");
        let (rows, error) = read(&zst[..zst.len() / 2], Compression::Zstd, None);
        assert!(rows.len() > 1000 && rows.iter().zip(text.lines()).all(|(row, line)| row == line.as_bytes()));
        let error = error.expect("the stream is cut");
        assert_eq!((error.matches("after line").count(), error.matches("f: ").count()), (1, 1), "{error}");
    }

    #[track_caller]
    fn check_ids(ids: &[&str], expected: Option<&DataType>) {
        let lines: String = ids.iter().map(|id| format!("{{\"id\":{id},\"text\":\"t\"}}\n")).collect();
        for compression in [Compression::None, Compression::Zstd] {
            let bytes = match compression {
                Compression::Zstd => zstd::encode_all(lines.as_bytes(), 1).expect("memory takes all"),
                _ => lines.clone().into_bytes(),
            };
            let file = Arc::new(Memory(bytes));
            let mut reader = LineReader::open(file, "f", compression, None, 64 << 10, Encoding::Utf8).expect("sound");
            assert_eq!(reader.ids_ahead("id").map(Ids::data_type).as_ref(), expected, "{ids:?}");
        }
    }

    #[test]
    fn ids_are_numbers_where_all_of_them_are() {
        check_ids(&["1", "-7", "null", "9223372036854775807"], Some(&DataType::Int64));
        check_ids(&["0", "9007199254740991"], Some(&DataType::Int64));
        check_ids(&["1", "9007199254740993"], Some(&DataType::UInt64));
        check_ids(&["18446744073709551615"], Some(&DataType::UInt64));
        check_ids(&["-1", "18446744073709551615"], Some(&DataType::Utf8));
        check_ids(&["18446744073709551616"], Some(&DataType::Utf8));
        check_ids(&["1", "\"2\""], Some(&DataType::Utf8));
        check_ids(&["1.5"], Some(&DataType::Utf8));
        check_ids(&["null"], None);
        check_ids(&[], None);
    }

    #[track_caller]
    fn check(line: &str, expected: &[(&str, Option<&str>)], bad: Option<&str>) {
        check_bytes(line.as_bytes(), Encoding::Utf8, expected, bad);
    }

    #[track_caller]
    fn check_bytes(line: &[u8], encoding: Encoding, expected: &[(&str, Option<&str>)], bad: Option<&str>) {
        let fields =
            [("id", DataType::Utf8), ("text", DataType::Utf8), ("n", DataType::Int32), (EXTRA, DataType::Utf8)];
        let schema = Arc::new(Schema::new(fields.map(|(name, ty)| Field::new(name, ty, true)).to_vec()));
        let Decoded { batch, bad: got_bad, .. } = Lines::new(line.to_vec(), encoding).decode(&schema, "text");
        assert_eq!(got_bad.first().map(|(_, reason)| *reason), bad);
        for (name, value) in expected {
            let column =
                arrow::compute::cast(batch.column_by_name(name).expect("a column"), &DataType::Utf8).expect("text");
            let column = arrow::array::AsArray::as_string::<i32>(&column);
            assert_eq!(column.iter().next().flatten(), *value, "{name}");
        }
    }

    #[test]
    fn fields_find_their_columns_or_travel_in_extra() {
        check(
            r#"{"id": 7, "text": "t", "n": 5}"#,
            &[("id", Some("7")), ("text", Some("t")), ("n", Some("5")), (EXTRA, None)],
            None,
        );
        check(r#"{"text": "t", "n": 5000000000}"#, &[("n", None), (EXTRA, Some(r#"{"n":5000000000}"#))], None);
        check(r#"{"text": "t", "a": null, "extra": [1]}"#, &[(EXTRA, Some(r#"{"a":null,"extra":[1]}"#))], None);
        check(r#"{"text": "first", "text": "last"}"#, &[("text", Some("last")), (EXTRA, None)], None);
        check(r#"{"text": "first", "text": null}"#, &[("text", None)], None);
    }

    #[test]
    fn a_line_that_is_no_document_is_saved_as_its_text() {
        check("[1]", &[("text", Some("[1]"))], Some("invalid_json"));
        check(
            r#"{"id": "x", "text": 5}"#,
            &[("id", Some("x")), ("text", Some(r#"{"id": "x", "text": 5}"#))],
            Some("text_not_a_string"),
        );
        check(r#"{"text": "\ud800"}"#, &[("text", Some(r#"{"text": "\ud800"}"#))], Some("invalid_utf8"));
    }

    #[test]
    fn lines_are_decoded_before_they_are_parsed() {
        // The second byte of each of these is that of a backslash or of another ASCII character.
        for (label, text) in [("shift_jis", "表示ソフト能力"), ("big5", "許功蓋"), ("gb18030", "㐀誠乗")] {
            let line = format!(r#"{{"id": "{text}", "text": "{text}\n"}}"#);
            let bytes = encoding_rs::Encoding::for_label(label.as_bytes()).expect("a label").encode(&line).0;
            let encoding = label.parse().expect("a label");
            check_bytes(&bytes, encoding, &[("id", Some(text)), ("text", Some(&format!("{text}\n")))], None);
            let lossy = String::from_utf8_lossy(&bytes);
            check_bytes(&bytes, Encoding::Utf8, &[("text", Some(&*lossy))], Some("invalid_utf8"));
        }
    }

    #[test]
    fn a_line_that_cannot_be_decoded_is_saved_as_far_as_it_goes() {
        let detect = |line: &[u8], text, bad| check_bytes(line, Encoding::Detect, &[("text", Some(text))], bad);
        detect(b"{\"text\": \"\xff\x00\"}", "{\"text\": \"\u{fffd}\0\"}", Some("undecodable"));
        detect("{\"text\": \"字\"}".as_bytes(), "字", None);
        let gbk = encoding_rs::GBK.encode("[\"河水慢慢地流过村庄，孩子们在树下读书\"").0;
        detect(&gbk, "[\"河水慢慢地流过村庄，孩子们在树下读书\"", Some("invalid_json"));
    }

    #[test]
    fn ids_ahead_are_found_in_any_encoding() {
        let bytes = encoding_rs::GBK.encode("{\"text\": \"河水\", \"id\": 7}\n").0.into_owned();
        let gbk = "gbk".parse().expect("a label");
        let reader = LineReader::open(Arc::new(Memory(bytes)), "f", Compression::None, None, 64 << 10, gbk);
        assert_eq!(reader.expect("sound").ids_ahead("id").map(Ids::data_type), Some(DataType::Int64));
    }
}
