//! `trommel ledger import`: what other trainers say they have used.

use std::io::{self, BufRead, BufReader, Read};
use std::process::ExitCode;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use xxhash_rust::xxh3::xxh3_128;

use super::shards::ShardColumns;
use super::{Address, Said, Sorting, recorded};
use crate::chain::Strings;
use crate::cli::{out, several};
use crate::doc::ContentKey;
use crate::error::{Error, Result};
use crate::exchange::group::Room;
use crate::exchange::record::{Record, put_text, put_varint, take, take_text, take_varint};
use crate::exchange::sort::Sorter;
use crate::format::input::{self, InputFile};
use crate::format::{self, Columns, Format};
use crate::plan::{Part, Piece};
use crate::reuse::entries::parse_key;
use crate::reuse::ledger::Ledger as Used;
use crate::reuse::recording::Recording;
use crate::store::{Folder, ReadAt};

/// How much of a file is read at a time.
const WINDOW: u64 = 8 << 20;

/// Records a run from a list of ids and counts, as other trainers write them.
///
/// The list has an id and how often it was used on each line, with a tab or a comma between them (a first line of names is
/// passed over), or is a Parquet or JSON Lines file with columns `id` and `uses` (or `count`). Ids are looked up in the
/// shards of --in, for their texts and tokens; without it, they are content keys, and no tokens are known.
#[derive(Args)]
pub(super) struct Import {
    #[command(flatten)]
    address: Address,
    /// The list: a file, or several.
    #[arg(required = true, num_args = 1.., value_name = "LIST", value_parser = NonEmptyStringValueParser::new())]
    lists: Vec<String>,
    /// The shards that documents of these ids are in.
    #[arg(long = "in", num_args = 1.., value_name = "SHARDS", value_parser = NonEmptyStringValueParser::new())]
    inputs: Vec<String>,
    /// Go on if ids of the list are in none of the shards.
    #[arg(long, requires = "inputs")]
    allow_missing: bool,
    #[command(flatten)]
    about: Said,
    #[command(flatten)]
    columns: ShardColumns,
    #[command(flatten)]
    sorting: Sorting,
}

/// How often an id was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Listed {
    /// The content key, or a hash of the id.
    id: u128,
    uses: u64,
}

/// A document with its id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    id: u128,
    key: ContentKey,
    origin: ContentKey,
    tokens: u64,
    source: Option<Box<str>>,
}

impl Import {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let manifest = self.sorting.with(|room| {
            let used = Used::open_or_make(&self.address.ledger)?;
            let mut recording = Recording::new(&used, self.about.about(&self.lists), room)?;
            let part = Room { memory: room.memory / 3, ..room };
            let listed = self.listed(part)?;
            if self.inputs.is_empty() {
                for listed in listed {
                    let Listed { id, uses } = listed?;
                    recording.add(id.to_be_bytes(), None, uses, 0, None)?;
                }
            } else {
                self.look_up(listed, &mut recording, part)?;
            }
            if recording.documents() == 0 {
                return Err(Error::refused(format!("{}: there is nothing to record", self.lists.join(", "))));
            }
            recording.commit()
        })?;
        out(&recorded(&manifest))?;
        Ok(ExitCode::SUCCESS)
    }

    /// What the lists say, in the order of ids, each once.
    fn listed(&self, room: Room<'_>) -> Result<impl Iterator<Item = Result<Listed>>> {
        let mut rows = Sorter::<Listed>::new(room.dir, room.memory);
        let by_id = !self.inputs.is_empty();
        let mut push = |id: &str, uses: u64, place: &dyn Fn() -> String| {
            let id = if by_id {
                xxh3_128(id.as_bytes())
            } else {
                parse_key(id).ok_or_else(|| {
                    let said = "is no content key, which has 32 hexadecimal digits; if it is the id of a document, name the \
                                shards that this is in with --in";
                    Error::refused(format!("{}: `{id}` {said}", place()))
                })?
            };
            rows.push(Listed { id, uses })
        };
        for list in &self.lists {
            if Format::of_name(list).is_some() {
                for file in input::find(std::slice::from_ref(list))? {
                    each_of_table(&file, &mut push)?;
                }
            } else {
                each_line(list, &mut push)?;
            }
        }
        let mut rows = rows.finish()?.peekable();
        Ok(std::iter::from_fn(move || {
            let mut sum = match rows.next()? {
                Ok(row) => row,
                failed => return Some(failed),
            };
            while let Some(next) = rows.next_if(|next| next.as_ref().map_or(true, |next| next.id == sum.id)) {
                match next {
                    Ok(next) => sum.uses = sum.uses.saturating_add(next.uses),
                    failed => return Some(failed),
                }
            }
            Some(Ok(sum))
        }))
    }

    /// Records the documents of the shards that are listed.
    fn look_up(
        &self,
        listed: impl Iterator<Item = Result<Listed>>,
        recording: &mut Recording<'_>,
        room: Room<'_>,
    ) -> Result<()> {
        let mut documents = Sorter::<Named>::new(room.dir, room.memory);
        self.columns.each(&self.inputs, &mut |drawn| {
            let Some(id) = drawn.id else { return Ok(()) };
            documents.push(Named {
                id: xxh3_128(id.as_bytes()),
                key: drawn.key,
                origin: drawn.origin.unwrap_or(drawn.key),
                tokens: drawn.tokens,
                source: drawn.source.map(Into::into),
            })
        })?;
        let mut documents = documents.finish()?.peekable();
        let mut n_missing = 0;
        for listed in listed {
            let Listed { id, uses } = listed?;
            let mut any = false;
            while let Some(next) = documents.next_if(|next| next.as_ref().map_or(true, |next| next.id <= id)) {
                let document = next?;
                if document.id == id {
                    any = true;
                    let Named { key, origin, tokens, source, .. } = document;
                    recording.add(key, Some(origin), uses, tokens, source.as_deref())?;
                }
            }
            n_missing += u64::from(!any);
        }
        if n_missing > 0 {
            let said = format!("{} of the list in none of the shards", several(n_missing, "id"));
            if !self.allow_missing {
                let place = self.lists.join(", ");
                return Err(Error::refused(format!("{place}: {said}; --allow-missing records the others")));
            }
            tracing::warn!("{said}, not recorded");
        }
        Ok(())
    }
}

/// Shows an id, its uses and where they stand.
type Push<'p> = dyn FnMut(&str, u64, &dyn Fn() -> String) -> Result<()> + 'p;

fn each_line(list: &str, push: &mut Push<'_>) -> Result<()> {
    let (folder, name) = list.rsplit_once('/').unwrap_or((".", list));
    let folder = Folder::parse(if folder.is_empty() { "/" } else { folder })?;
    if folder.find(name)?.is_none() {
        return Err(Error::refused(format!("{list}: there is no such file")));
    }
    let lines = BufReader::with_capacity(1 << 20, Onward { file: folder.open(name)?, at: 0 }).lines();
    for (number, line) in (1..).zip(lines) {
        let line = line.map_err(|error| Error::io(format!("{list}: line {number}"), error))?;
        if line.trim().is_empty() {
            continue;
        }
        let parts = line.rsplit_once('\t').or_else(|| line.rsplit_once(','));
        let row = parts.and_then(|(id, uses)| Some((id.trim(), uses.trim().parse::<u64>().ok()?)));
        match row {
            Some((id, uses)) => push(id, uses, &|| format!("{list}: line {number}"))?,
            None if number == 1 && parts.is_some() => {}
            None => {
                return Err(Error::refused(format!(
                    "{list}: line {number}: expected an id and a whole number, with a tab or a comma between them"
                )));
            }
        }
    }
    Ok(())
}

/// A file from its begin to its end.
struct Onward {
    file: Arc<dyn ReadAt>,
    at: u64,
}

impl Read for Onward {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = (self.file.size() - self.at).min(buffer.len() as u64) as usize;
        self.file.read_at(self.at, &mut buffer[..n]).map_err(io::Error::other)?;
        self.at += n as u64;
        Ok(n)
    }
}

fn each_of_table(file: &InputFile, push: &mut Push<'_>) -> Result<()> {
    let failed = |message: String| Error::shard(&file.name, message);
    let found = format::columns(file)?;
    let names = match &found {
        Some(schema) => {
            let has = |name: &&&str| schema.field_with_name(name).is_ok();
            let uses = ["uses", "count"].iter().find(has);
            uses.map(|uses| vec!["id", *uses])
                .ok_or_else(|| failed("there is no column `uses` or `count`".to_owned()))?
        }
        None => vec!["id", "uses", "count"],
    };
    let field = |name: &&str| match found.as_ref().and_then(|schema| schema.field_with_name(name).ok()) {
        Some(field) => field.clone(),
        None => Field::new(*name, if *name == "id" { DataType::Utf8 } else { DataType::Int64 }, true),
    };
    let schema = Arc::new(Schema::new(names.iter().map(field).collect::<Vec<_>>()));
    let others = names.iter().map(|name| (*name).to_owned()).collect();
    let columns = Columns { text: String::new(), others: Some(others) };
    let mut reader = format::open(file, &Piece { shard: 0, part: Part::All }, &columns, WINDOW)?;
    let mut first = 0;
    while let Some(chunk) = reader.next_chunk()? {
        let batch = chunk.decode(&schema, "").map_err(failed)?.batch;
        let column = |name: &str| batch.column_by_name(name);
        let ids = column("id").ok_or_else(|| failed("there is no column `id`".to_owned()))?;
        let ids = Strings::new(ids).map_err(|error| failed(error.to_string()))?;
        let mut numbers = Vec::new();
        for column in ["uses", "count"].into_iter().filter_map(column) {
            let column = cast(column, &DataType::Int64).map_err(|error| failed(error.to_string()))?;
            numbers.push(column.as_primitive::<Int64Type>().clone());
        }
        for row in 0..batch.num_rows() {
            let uses = numbers.iter().find(|numbers| numbers.is_valid(row)).map(|numbers| numbers.value(row));
            let uses = uses.and_then(|uses| u64::try_from(uses).ok());
            match (ids.get(row), uses) {
                (Some(id), Some(uses)) => push(id, uses, &|| format!("{}: row {}", file.name, first + row))?,
                _ => return Err(failed(format!("row {}: expected an `id`, and `uses` from 0 up", first + row))),
            }
        }
        first += batch.num_rows();
    }
    Ok(())
}

impl Record for Listed {
    const KIND: u32 = 26;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&self.uses.to_le_bytes());
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let id = u128::from_le_bytes(take(bytes)?);
        Some(Self { id, uses: u64::from_le_bytes(take(bytes)?) })
    }
}

impl Record for Named {
    const KIND: u32 = 27;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&self.key);
        out.extend_from_slice(&self.origin);
        put_varint(self.tokens, out);
        put_text(self.source.as_deref(), out);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let id = u128::from_le_bytes(take(bytes)?);
        let (key, origin, tokens) = (take(bytes)?, take(bytes)?, take_varint(bytes)?);
        let source = take_text(bytes)?;
        Some(Self { id, key, origin, tokens, source })
    }

    fn heap_size(&self) -> usize {
        self.source.as_ref().map_or(0, |source| source.len())
    }
}
