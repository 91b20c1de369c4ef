//! Rules which documents go: each for one that stays and that it is itself like, its anchor.

use std::iter::Peekable;

use crate::corpus::components::Components;
use crate::corpus::earlier::Drops;
use crate::corpus::exact::EXACT_DUPLICATE;
use crate::error::Result;
use crate::stage::{DocSet, Duplicate, Edge, Exchange, Pair, Ranked, Rows};

/// The reason for documents that are like the kept one.
pub const NEAR_DUPLICATE: &str = "near_duplicate";

/// Drops the documents that are at least `threshold` like one that stays, and what they represent. Returns the
/// documents that are dropped for being like another.
///
/// `edges` come in the total order of their later documents. When a document's turn comes, all that come before it
/// have had theirs, so one bit for each says whether it was dropped.
pub(super) fn rule(
    exchange: &mut dyn Exchange,
    threshold: f64,
    edges: Rows<Edge>,
    copies: &mut Copies,
) -> Result<DocSet> {
    let mut dropped = exchange.bits();
    let mut edges = edges.peekable();
    while let Some(edge) = edges.next() {
        let mut edge = edge?;
        let doc = edge.pair.second;
        let mut anchor: Option<Edge> = None;
        loop {
            // A similarity that nobody measured passes.
            let alike = edge.similarity >= threshold || edge.similarity.is_nan();
            let closer = anchor.is_none_or(|anchor| edge.similarity > anchor.similarity);
            if alike && closer && !dropped.contains(edge.pair.first.doc) {
                anchor = Some(edge);
            }
            match edges.next_if(|next| next.as_ref().is_ok_and(|next| next.pair.second == doc)) {
                Some(next) => edge = next?,
                None => break,
            }
        }
        copies.rule_before(doc, exchange)?;
        let Some(anchor) = anchor else { continue };
        let (kept, similarity) = (anchor.pair.first.doc, anchor.similarity);
        let near = Duplicate { doc: doc.doc, kept, similarity, threshold, reason: NEAR_DUPLICATE };
        dropped.insert(doc.doc);
        copies.drops.drop(near, exchange)?;
        copies.rule_of(doc, near, exchange)?;
    }
    copies.rule_rest(exchange)?;
    Ok(dropped)
}

/// Drops all but the first of each component, and what they represent. Returns the documents that are dropped,
/// copies left out.
pub(super) fn rule_components(
    exchange: &mut dyn Exchange,
    threshold: f64,
    mut components: Components,
    copies: &mut Copies,
) -> Result<DocSet> {
    let mut dropped = exchange.bits();
    components.others().for_each(|doc| dropped.insert(doc));
    let mut near = |doc, as_one| {
        let (kept, similarity) = components.stands_for(as_one)?;
        Some(Duplicate { doc, kept, similarity, threshold, reason: NEAR_DUPLICATE })
    };
    for doc in dropped.iter() {
        near(doc, doc).map_or(Ok(()), |near| exchange.drop(near))?;
    }
    while let Some(pair) = copies.next_if(|_| true)? {
        exchange.drop(near(pair.second.doc, pair.first.doc).unwrap_or_else(|| copies.exact(pair)))?;
    }
    Ok(dropped)
}

/// Documents with the same text as an earlier one that represents them, in the order of the latter.
pub(super) struct Copies {
    pairs: Peekable<Rows<Pair>>,
    threshold: f64,
    /// Counts those that go for documents of an index.
    drops: Drops,
}

impl Copies {
    /// The copies of a corpus; what becomes of them is added to `drops`.
    pub(super) fn new(pairs: Rows<Pair>, threshold: f64, drops: Drops) -> Self {
        Self { pairs: pairs.peekable(), threshold, drops }
    }

    /// What was dropped, when all is ruled.
    pub(super) fn drops(&self) -> &Drops {
        &self.drops
    }

    /// Rules on the copies of all documents before `doc`: what was not dropped by now stays and stands for its copies.
    fn rule_before(&mut self, doc: Ranked, exchange: &mut dyn Exchange) -> Result<()> {
        while let Some(pair) = self.next_if(|first| first < doc)? {
            exchange.drop(self.exact(pair))?;
        }
        Ok(())
    }

    /// Rules on the copies of `doc`, which is itself dropped: they go for the same document that it goes for.
    fn rule_of(&mut self, doc: Ranked, near: Duplicate, exchange: &mut dyn Exchange) -> Result<()> {
        while let Some(pair) = self.next_if(|first| first == doc)? {
            self.drops.drop(Duplicate { doc: pair.second.doc, ..near }, exchange)?;
        }
        Ok(())
    }

    /// Rules on all copies that are left.
    fn rule_rest(&mut self, exchange: &mut dyn Exchange) -> Result<()> {
        while let Some(pair) = self.next_if(|_| true)? {
            exchange.drop(self.exact(pair))?;
        }
        Ok(())
    }

    fn next_if(&mut self, of: impl Fn(Ranked) -> bool) -> Result<Option<Pair>> {
        self.pairs.next_if(|pair| pair.as_ref().map_or(true, |pair| of(pair.first))).transpose()
    }

    fn exact(&self, pair: Pair) -> Duplicate {
        let (doc, kept) = (pair.second.doc, pair.first.doc);
        Duplicate { doc, kept, similarity: 1.0, threshold: self.threshold, reason: EXACT_DUPLICATE }
    }
}
