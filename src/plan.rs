//! From shards to tasks: what is read together, retried together and written together.
//!
//! Tasks are planned from the input alone, never from threads, memory or hosts, so that every run of the
//! same input writes the same files.

use serde::{Deserialize, Serialize};

/// What is known of an input file before its documents are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// The file as people call it.
    pub name: String,
    /// The number of bytes.
    pub size: u64,
    /// What changes when the content does.
    pub etag: String,
    /// How it can be cut.
    pub layout: Layout,
}

impl Shard {
    /// The bytes of work it stands for.
    fn bytes(&self) -> u64 {
        match &self.layout {
            Layout::RowGroups(groups) => groups.iter().map(|group| group.bytes).sum(),
            Layout::Lines | Layout::Stream => self.size,
            Layout::Unreadable(_) => 0,
        }
    }
}

/// How a file can be cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// At row groups.
    RowGroups(Vec<RowGroup>),
    /// At any line end.
    Lines,
    /// Nowhere: a compressed stream.
    Stream,
    /// The file could not be looked into; a later run may find it mended.
    Unreadable(String),
}

/// A row group of a Parquet file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowGroup {
    /// The number of rows.
    pub rows: u64,
    /// The number of bytes once decompressed.
    pub bytes: u64,
}

/// The unit of work, of retry and of resuming. Output shard *i* is task *i*.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// What is read, in order.
    pub pieces: Vec<Piece>,
    /// The most rows to read, for a run with a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The file's place in the list of shards.
    pub shard: usize,
    /// Which part of it.
    pub part: Part,
}

/// Which part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// All of it.
    All,
    /// The row groups from `first` to before `end`.
    RowGroups {
        /// The first row group.
        first: usize,
        /// The row group after the last.
        end: usize,
    },
    /// The lines that begin from byte `start` to before byte `end`.
    Bytes {
        /// Where the first line may begin.
        start: u64,
        /// Where no line begins any more.
        end: u64,
    },
}

/// Cuts shards into tasks of at most about `task_size` bytes, all of about one size: small files are merged,
/// large ones are cut where their layout allows. Bytes are those of decompressed row groups, or of the file
/// for JSON Lines.
///
/// Shards without any row group make one task without documents, so that the output has their columns.
pub fn tasks(shards: &[Shard], task_size: u64) -> Vec<Task> {
    let total: u64 = shards.iter().map(Shard::bytes).sum();
    let n_tasks = total.div_ceil(task_size.max(1)).max(1);
    let task_size = total.div_ceil(n_tasks).max(1);
    let mut plan = Planner { tasks: Vec::new(), pieces: Vec::new(), bytes: 0, task_size };
    for (shard, info) in shards.iter().enumerate() {
        match &info.layout {
            Layout::RowGroups(groups) => plan.add_row_groups(shard, groups),
            Layout::Lines => plan.add_lines(shard, info.size),
            Layout::Stream => plan.add(Piece { shard, part: Part::All }, info.size),
            // Alone, so that nothing else is redone when the file is mended.
            Layout::Unreadable(_) => {
                plan.close();
                plan.add(Piece { shard, part: Part::All }, 0);
                plan.close();
            }
        }
    }
    if plan.tasks.is_empty() && plan.pieces.is_empty() && !shards.is_empty() {
        plan.add(Piece { shard: 0, part: Part::RowGroups { first: 0, end: 0 } }, 0);
    }
    plan.close();
    plan.tasks
}

/// Keeps the first `limit` rows of the plan. `rows` tells how many rows a piece has, up to a number.
pub fn limit<E>(
    tasks: Vec<Task>,
    limit: u64,
    mut rows: impl FnMut(&Piece, u64) -> Result<u64, E>,
) -> Result<Vec<Task>, E> {
    let mut left = limit;
    let mut kept = Vec::new();
    for mut task in tasks {
        // A limit of no rows leaves one task, and so an output with the columns.
        if left == 0 && !kept.is_empty() {
            break;
        }
        // Not what is expected of this task: a file that cannot be read must be met, to be reported.
        task.limit = Some(left);
        let mut n_pieces = 0;
        for piece in &task.pieces {
            if left == 0 {
                break;
            }
            left -= rows(piece, left)?.min(left);
            n_pieces += 1;
        }
        task.pieces.truncate(n_pieces);
        kept.push(task);
    }
    Ok(kept)
}

struct Planner {
    tasks: Vec<Task>,
    pieces: Vec<Piece>,
    bytes: u64,
    task_size: u64,
}

impl Planner {
    /// Adds a piece, in a new task if this one would grow further beyond the size than it is short of it now.
    fn add(&mut self, piece: Piece, bytes: u64) {
        let over = (self.bytes + bytes).saturating_sub(self.task_size);
        if self.bytes > 0 && over > self.task_size.saturating_sub(self.bytes) {
            self.close();
        }
        match (self.pieces.last_mut(), piece.part) {
            (Some(Piece { shard, part: Part::RowGroups { end, .. } }), Part::RowGroups { first, end: new_end })
                if *shard == piece.shard && *end == first =>
            {
                *end = new_end;
            }
            _ => self.pieces.push(piece),
        }
        self.bytes += bytes;
    }

    fn add_row_groups(&mut self, shard: usize, groups: &[RowGroup]) {
        for (first, group) in groups.iter().enumerate() {
            self.add(Piece { shard, part: Part::RowGroups { first, end: first + 1 } }, group.bytes);
        }
    }

    fn add_lines(&mut self, shard: usize, size: u64) {
        let n_cuts = (size.div_ceil(self.task_size)).max(1);
        let step = size.div_ceil(n_cuts).max(1);
        for i in 0..n_cuts {
            let (start, end) = (i * step, ((i + 1) * step).min(size));
            // A file that is mended, and is longer then, is read to its end.
            let to = if i + 1 == n_cuts { u64::MAX } else { end };
            let part = if n_cuts == 1 { Part::All } else { Part::Bytes { start, end: to } };
            self.add(Piece { shard, part }, end - start);
        }
    }

    fn close(&mut self) {
        if !self.pieces.is_empty() {
            self.tasks.push(Task { pieces: std::mem::take(&mut self.pieces), limit: None });
        }
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(layout: Layout, size: u64) -> Shard {
        Shard { name: "s".into(), size, etag: String::new(), layout }
    }

    fn parquet(groups: &[u64]) -> Shard {
        let groups = groups.iter().map(|&bytes| RowGroup { rows: bytes / 2, bytes }).collect();
        shard(Layout::RowGroups(groups), 1)
    }

    #[track_caller]
    fn check(shards: &[Shard], expected: &str) {
        let task = |task: &Task| task.pieces.iter().map(piece).collect::<Vec<_>>().join(" ");
        let plan = tasks(shards, 100).iter().map(task).collect::<Vec<_>>().join(" | ");
        assert_eq!(plan, expected);
    }

    fn piece(piece: &Piece) -> String {
        match piece.part {
            Part::All => format!("{}", piece.shard),
            Part::RowGroups { first, end } => format!("{}[{first}..{end}]", piece.shard),
            Part::Bytes { start, end: u64::MAX } => format!("{}({start}..)", piece.shard),
            Part::Bytes { start, end } => format!("{}({start}..{end})", piece.shard),
        }
    }

    #[test]
    fn small_files_are_merged() {
        check(&[parquet(&[30]), parquet(&[30]), parquet(&[30]), parquet(&[80])], "0[0..1] 1[0..1] 2[0..1] | 3[0..1]");
    }

    #[test]
    fn a_large_file_is_cut_at_row_groups() {
        check(&[parquet(&[60, 60, 60, 60, 500, 10])], "0[0..2] | 0[2..4] | 0[4..5] | 0[5..6]");
    }

    #[test]
    fn lines_are_cut_anywhere_and_streams_nowhere() {
        check(&[shard(Layout::Lines, 250), shard(Layout::Stream, 900)], "0(0..84) | 0(84..168) | 0(168..) | 1");
        check(&[shard(Layout::Lines, 0), shard(Layout::Lines, 7)], "0 1");
    }

    #[test]
    fn an_unreadable_file_stands_alone() {
        let broken = shard(Layout::Unreadable("cut".into()), 10);
        check(&[parquet(&[10]), broken, parquet(&[10])], "0[0..1] | 1 | 2[0..1]");
    }

    #[test]
    fn no_rows_are_one_task_and_empty_row_groups_are_read() {
        check(&[], "");
        check(&[parquet(&[])], "0[0..0]");
        check(&[parquet(&[]), parquet(&[10])], "1[0..1]");
        check(&[parquet(&[0])], "0[0..1]");
    }

    #[test]
    fn a_limit_cuts_the_plan() {
        let plan = tasks(&[parquet(&[60, 60, 60])], 60);
        let cut = limit(plan, 40, |_, _| Ok::<_, ()>(30)).expect("no errors");
        assert_eq!(cut.iter().map(|task| task.limit).collect::<Vec<_>>(), [Some(40), Some(10)]);
        let none = limit(tasks(&[parquet(&[60])], 60), 0, |_, _| Ok::<_, ()>(30)).expect("no errors");
        assert_eq!(none, [Task { pieces: vec![], limit: Some(0) }]);
    }
}
