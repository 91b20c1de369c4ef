//! Draws: which uses of which documents are taken, by streams of sorted rows alone.
//!
//! ```text
//! candidates of all tasks, merged by key    the first of each key stands for its copies
//!   + what the ledger knows of them         -> the texts, with the uses made before
//!   -> turns: uses that can be made         sorted by share, class and rank
//!   -> taken from the front of each share   until it has what it shall have
//!   -> by key again, beside the texts       -> places of documents in the output; what the ledger is to be told
//! ```

use serde::{Deserialize, Serialize};

use super::mix::fill;
use super::order::{Lot, arrival};
use super::record::{Candidate, Drawn, InTurn, Place, Told, Turn};
use super::report::{Cut, ShareReport, UseReport};
use super::uses::Uses;
use super::{Draw, Order, Policy, read};
use crate::error::{Error, Result};
use crate::exchange::group::Room;
use crate::exchange::record::Record;
use crate::exchange::sort::{RunReader, RunWriter, Sorter, TempRun};
use crate::reuse::weight::Weight;
use crate::run_dir::RunDir;
use crate::stage::Rows;

/// The bytes of a block of the files it leaves.
const BLOCK: usize = 32 << 10;

/// The pass that its files are filed under.
const PASS: usize = 1;

const DONE: &str = "_trommel/1/draw.json";
const TOLD: &str = "_trommel/1/told";

/// What was drawn.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// By share.
    pub shares: Vec<ShareReport>,
    /// The rows drawn, by how often their text had been used before each.
    pub uses: Vec<UseReport>,
    /// Documents with the text of another one, which stands for them.
    pub copies: u64,
    /// Texts that were used as often as they may be.
    pub used_up: u64,
    /// Texts that were drawn.
    pub documents: u64,
    /// Rows that they make.
    pub rows: u64,
    /// The tokens of these.
    pub tokens: u64,
    /// Their bytes of text.
    pub bytes: u64,
    /// Texts that could have been drawn.
    pub available: u64,
    /// The files that the rows go to.
    pub shards: u32,
}

/// Draws, unless that was done before. `reads` are the tasks that were read.
pub fn draw(draw: &Draw<'_>, n_tasks: u32, uses: &Uses<'_>, room: Room<'_>) -> Result<Outcome> {
    if let Some(done) = draw.run_dir.read_json(DONE)? {
        return Ok(done);
    }
    let drawing = Drawing { draw, n_tasks, room };
    let texts = drawing.texts(uses)?;
    let (budgets, available) = drawing.budgets(&texts);
    let drawn = drawing.take(&texts, &budgets, &available)?;
    let outcome = drawing.place(&texts, drawn, available)?;
    draw.run_dir.write_json(DONE, &outcome)?;
    Ok(outcome)
}

/// The places of a task's documents in the output, in the order of its rows.
pub fn places(run_dir: &RunDir, task: u32) -> Result<RunReader<Place>> {
    open(run_dir, &RunDir::part(PASS, "places", task))
}

/// What the ledger is to be told, in the order of keys.
pub fn told(run_dir: &RunDir) -> Result<RunReader<Told>> {
    open(run_dir, TOLD)
}

fn open<R: Record>(run_dir: &RunDir, path: &str) -> Result<RunReader<R>> {
    let folder = run_dir.folder();
    RunReader::open(folder.open(path)?, &folder.name_of(path), 256 << 10)
}

struct Drawing<'d> {
    draw: &'d Draw<'d>,
    n_tasks: u32,
    room: Room<'d>,
}

/// The different texts, in the order of their keys, and what there is of them.
struct Texts {
    /// A file of [`Candidate`]s.
    file: TempRun<Candidate>,
    copies: u64,
    used_up: u64,
    shares: Vec<Available>,
}

/// What a share has.
#[derive(Debug, Clone, Default)]
struct Available {
    /// Texts that can be used once more at least.
    documents: u64,
    /// Their tokens, by how many uses they have left; the place of a number is that number.
    by_uses_left: Vec<u64>,
    /// Likewise, by how many they have had.
    by_uses: Vec<u64>,
}

impl Available {
    fn tokens(&self) -> u64 {
        self.by_uses_left.iter().sum()
    }

    /// The tokens of up to so many uses of each.
    fn within(&self, epochs: u32) -> u64 {
        (1u64..).zip(self.by_uses_left.iter().skip(1)).map(|(left, tokens)| left.min(epochs.into()) * tokens).sum()
    }
}

impl Drawing<'_> {
    fn cap(&self, share: u16) -> u32 {
        self.draw.budgets[usize::from(share)].cap.unwrap_or(self.draw.weight.cap)
    }

    /// Lets documents of the same text meet each other and the ledger.
    fn texts(&self, uses: &Uses<'_>) -> Result<Texts> {
        let draw = self.draw;
        let third = Room { memory: self.room.memory / 3, ..self.room };
        let candidates = read::all_candidates(draw, self.n_tasks, third)?;
        let mut uses = uses.of_texts(draw, self.n_tasks, third)?.peekable();
        let mut number = 0;
        let mut texts = self.room.dir.run_writer::<Candidate>(BLOCK)?;
        let (mut copies, mut used_up) = (0, 0);
        let mut shares = vec![Available::default(); draw.budgets.len()];
        for (share, available) in (0..).zip(&mut shares) {
            let n = self.cap(share) as usize + 1;
            (available.by_uses_left, available.by_uses) = (vec![0; n], vec![0; n]);
        }
        let mut done = |mut text: Candidate| -> Result<()> {
            if let Some(known) = uses.next_if(|known| known.as_ref().map_or(true, |known| known.who == number)) {
                text.uses = u32::try_from(known?.uses).unwrap_or(u32::MAX);
            }
            number += 1;
            let cap = self.cap(text.share);
            let Some(left) = cap.checked_sub(text.uses).filter(|left| *left > 0) else {
                used_up += 1;
                return Ok(());
            };
            let available = &mut shares[usize::from(text.share)];
            available.documents += 1;
            available.by_uses_left[left as usize] += u64::from(text.tokens);
            available.by_uses[text.uses as usize] += u64::from(text.tokens);
            texts.push(&text)
        };
        let mut current: Option<Candidate> = None;
        for candidate in candidates {
            let candidate = candidate?;
            match &mut current {
                Some(text) if text.key == candidate.key => {
                    copies += 1;
                    text.uses = text.uses.max(candidate.uses);
                    text.origin = text.origin.or(candidate.origin);
                }
                _ => {
                    if let Some(text) = current.replace(candidate) {
                        done(text)?;
                    }
                }
            }
        }
        if let Some(text) = current {
            done(text)?;
        }
        Ok(Texts { file: texts.finish()?, copies, used_up, shares })
    }

    /// The tokens that each share is to give, and what it has.
    fn budgets(&self, texts: &Texts) -> (Vec<u64>, Vec<ShareReport>) {
        let mut budgets = self.draw.budgets.clone();
        let all: Vec<u64> = texts.shares.iter().map(|share| share.within(u32::MAX)).collect();
        if self.draw.mix.fill {
            fill(&mut budgets, &all);
        }
        let report =
            |((before, after), (available, all)): ((&super::mix::Budget, &super::mix::Budget), (&Available, &u64))| {
                ShareReport {
                    name: before.name.clone(),
                    asked: before.tokens,
                    filled_up_to: after.tokens,
                    available_documents: available.documents,
                    available: available.tokens(),
                    available_with_repeats: *all,
                    ..ShareReport::default()
                }
            };
        let reports = self.draw.budgets.iter().zip(&budgets).zip(texts.shares.iter().zip(&all)).map(report).collect();
        (budgets.into_iter().map(|budget| budget.tokens).collect(), reports)
    }

    /// The uses that are taken, in the order of keys.
    fn take(&self, texts: &Texts, budgets: &[u64], reports: &[ShareReport]) -> Result<Taken> {
        let memory = self.room.memory / 2;
        let mut turns = Sorter::<Turn>::new(self.room.dir, memory);
        let limits: Vec<u32> =
            texts.shares.iter().zip(budgets).map(|(share, budget)| self.limit(share, *budget)).collect();
        let lot = Lot::new(self.draw.seed, &self.draw.name, "order");
        for text in texts.file.rows(self.room.memory / 4)? {
            let text = text?;
            let limit = limits[usize::from(text.share)];
            let left = self.cap(text.share) - text.uses;
            for turn in 0..left {
                let uses = text.uses + turn;
                let number = lot.of(text.key, turn);
                let (class, rank) = match self.draw.policy {
                    // Above this class, nothing is needed.
                    Policy::FreshFirst if uses > limit => break,
                    Policy::FreshFirst => (uses, number),
                    Policy::Weighted if turn >= limit => break,
                    Policy::Weighted => {
                        let reuse = Weight { cap: self.cap(text.share), ..self.draw.weight };
                        let weight = reuse.of(uses.into()) * text.weight();
                        if weight <= 0.0 {
                            break;
                        }
                        (0, arrival(number, weight).to_bits())
                    }
                };
                turns.push(Turn { share: text.share, class, rank, key: text.key, turn, tokens: text.tokens })?;
            }
        }
        let mut drawn = Sorter::<Drawn>::new(self.room.dir, memory);
        let mut cuts = vec![None; reports.len()];
        let mut tokens = vec![0u64; reports.len()];
        for turn in turns.finish()? {
            let turn = turn?;
            let share = usize::from(turn.share);
            // The use that reaches what was asked for is taken; so a share has less than one document too much.
            if tokens[share] >= budgets[share] {
                continue;
            }
            tokens[share] += u64::from(turn.tokens);
            drawn.push(Drawn { key: turn.key, turn: turn.turn })?;
            cuts[share] = Some(match self.draw.policy {
                Policy::FreshFirst => Cut { uses: Some(turn.class), arrival: None },
                Policy::Weighted => Cut { uses: None, arrival: Some(f64::from_bits(turn.rank)) },
            });
        }
        Ok(Taken { drawn: Box::new(drawn.finish()?), cuts })
    }

    /// For `fresh_first`, the most uses of a text that is needed before its next one; for `weighted`, how often this draw
    /// may use a text: as often as it must for the tokens asked for.
    fn limit(&self, share: &Available, budget: u64) -> u32 {
        match self.draw.policy {
            Policy::FreshFirst => {
                // A text of `n` uses has one use in each class from `n` up to the cap.
                let (mut of_class, mut sum) = (0, 0u64);
                for (class, tokens) in (0u32..).zip(&share.by_uses) {
                    of_class += tokens;
                    sum = sum.saturating_add(of_class);
                    if sum >= budget {
                        return class;
                    }
                }
                u32::MAX
            }
            Policy::Weighted => {
                let cap = share.by_uses_left.len() as u32;
                (1..=cap).find(|epochs| share.within(*epochs) >= budget).unwrap_or(cap)
            }
        }
    }

    /// Finds the documents of what was taken, and their places in the output.
    fn place(&self, texts: &Texts, taken: Taken, mut shares: Vec<ShareReport>) -> Result<Outcome> {
        let memory = self.room.memory / 4;
        let folder = self.draw.run_dir.folder();
        let mut told = RunWriter::new(folder.create(TOLD)?, &folder.name_of(TOLD), BLOCK)?;
        let mut drawn = taken.drawn.peekable();
        let mut outcome = Outcome { copies: texts.copies, used_up: texts.used_up, ..Outcome::default() };
        let mut by_uses: Vec<UseReport> = Vec::new();
        let mut documents = Sorter::<InTurn>::new(self.room.dir, memory);
        let mut places = Sorter::<Place>::new(self.room.dir, memory);
        let lot = Lot::new(self.draw.seed, &self.draw.name, "place");
        for text in texts.file.rows(self.room.memory / 4)? {
            let text = text?;
            let mut n_uses = 0;
            while let Some(next) = drawn.next_if(|next| next.as_ref().map_or(true, |next| next.key == text.key)) {
                next?;
                n_uses += 1;
                let uses = (text.uses + n_uses - 1) as usize;
                if by_uses.len() <= uses {
                    by_uses.resize_with(uses + 1, UseReport::default);
                }
                by_uses[uses].rows += 1;
                by_uses[uses].tokens += u64::from(text.tokens);
                match self.draw.order {
                    Order::Shuffled => {
                        places.push(Place {
                            doc: text.doc,
                            epoch: n_uses,
                            position: lot.of(text.key, n_uses),
                            shard: 0,
                        })?;
                    }
                    Order::Grouped => documents.push(InTurn { epoch: n_uses, doc: text.doc, bytes: text.bytes })?,
                }
            }
            outcome.available += 1;
            if n_uses == 0 {
                continue;
            }
            let (rows, tokens) = (u64::from(n_uses), u64::from(n_uses) * u64::from(text.tokens));
            outcome.documents += 1;
            outcome.rows += rows;
            outcome.tokens += tokens;
            outcome.bytes += rows * text.bytes;
            let share = &mut shares[usize::from(text.share)];
            share.documents += 1;
            share.rows += rows;
            share.drawn += tokens;
            let Candidate { key, tokens, origin, source, .. } = text;
            told.push(&Told { key, uses: n_uses, tokens, origin, source })?;
        }
        told.finish()?.finish()?;
        if let Some(stray) = drawn.next() {
            let Drawn { key, .. } = stray?;
            return Err(Error::io("the draw", format!("{key:032x} was drawn and is nowhere; this is a bug")));
        }
        for (share, cut) in shares.iter_mut().zip(taken.cuts) {
            share.cut = cut;
        }
        for (uses, report) in (0..).zip(&mut by_uses) {
            report.uses_before = uses;
        }
        outcome.uses = by_uses.into_iter().filter(|report| report.rows > 0).collect();
        outcome.shares = shares;
        let n_shards = outcome.bytes.div_ceil(self.draw.shard_size).clamp(1, 1 << 20);
        outcome.shards = n_shards as u32;
        let mut at = 0u64;
        for (number, document) in (0..).zip(documents.finish()?) {
            let InTurn { epoch, doc, bytes } = document?;
            // Cut where the bytes before it are a whole number of parts.
            let shard = (u128::from(at) * u128::from(n_shards) / u128::from(outcome.bytes.max(1))) as u32;
            places.push(Place { doc, epoch, position: number, shard: shard.min(n_shards as u32 - 1) })?;
            at += bytes;
        }
        let shard_of = |place: Place| match self.draw.order {
            // Lots are spread evenly over all numbers.
            Order::Shuffled => ((u128::from(place.position) * u128::from(n_shards)) >> 64) as u32,
            Order::Grouped => place.shard,
        };
        let mut places = places.finish()?.peekable();
        for task in 0..self.n_tasks {
            let path = RunDir::part(PASS, "places", task);
            let mut writer = RunWriter::new(folder.create(&path)?, &folder.name_of(&path), BLOCK)?;
            while let Some(place) =
                places.next_if(|place| place.as_ref().map_or(true, |place| place.doc.task() == task))
            {
                let place = place?;
                writer.push(&Place { shard: shard_of(place), ..place })?;
            }
            writer.finish()?.finish()?;
        }
        Ok(outcome)
    }
}

/// What was taken.
struct Taken {
    drawn: Rows<Drawn>,
    /// The last use that each share has taken.
    cuts: Vec<Option<Cut>>,
}
