//! Clusters as most other tools have them: whatever is linked by a chain of like pairs is one cluster.
//!
//! A document may then go for one that it is nothing like, by way of others that are. Here for results that
//! can be laid beside those of such tools.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::doc::DocId;
use crate::error::Result;
use crate::stage::{Edge, Exchange, Ranked, Rows};

/// What makes a cluster of like pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Clustering {
    /// A document goes only for one that it is itself like.
    #[default]
    Anchors,
    /// Chains are closed, as most tools do: of all that are linked by like pairs only the first stays.
    Components,
}

/// Reads the like pairs, each time it is called.
pub(super) type Scan<'s> = dyn Fn(&mut dyn Exchange) -> Result<Rows<Edge>> + 's;

/// The components of the documents that are like another one.
///
/// Takes 24 bytes for each of these, or 32 where the policy is another than input order, beside a bit for
/// every document.
pub(super) struct Components {
    /// In input order.
    docs: Vec<DocId>,
    /// The policy's values; none if all are the same.
    ranks: Vec<u64>,
    /// For each document an earlier one of its component, or itself if it is the first.
    parents: Vec<usize>,
    /// How like the first of its component each one is, where the two were compared.
    similarities: Vec<f64>,
}

impl Components {
    /// The components that like pairs make. `edges` are those of the first scan.
    pub(super) fn of(exchange: &mut dyn Exchange, edges: Rows<Edge>, scan: &Scan<'_>, threshold: f64) -> Result<Self> {
        // A similarity that nobody measured passes.
        let is_alike = |edge: &Edge| edge.similarity >= threshold || edge.similarity.is_nan();
        let (mut members, mut ranked) = (exchange.bits(), false);
        for edge in edges {
            let edge = edge?;
            if is_alike(&edge) {
                let Ranked { rank, doc } = edge.pair.first;
                members.insert(doc);
                members.insert(edge.pair.second.doc);
                ranked |= rank != edge.pair.second.rank || rank != 0;
            }
        }
        let docs: Vec<DocId> = members.iter().collect();
        drop(members);
        let ranks = if ranked { vec![0; docs.len()] } else { Vec::new() };
        let parents = (0..docs.len()).collect();
        let similarities = vec![f64::NAN; docs.len()];
        let mut components = Self { docs, ranks, parents, similarities };
        for edge in scan(exchange)? {
            let edge = edge?;
            if is_alike(&edge) {
                let [first, second] = [edge.pair.first, edge.pair.second].map(|of| components.place(of));
                components.join(first, second);
            }
        }
        for edge in scan(exchange)? {
            let edge = edge?;
            let first = components.number(edge.pair.first.doc).filter(|_| is_alike(&edge));
            if first.is_some_and(|first| components.parents[first] == first)
                && let Some(second) = components.number(edge.pair.second.doc)
            {
                // Both are in one component, so this is its first.
                components.similarities[second] = edge.similarity;
            }
        }
        Ok(components)
    }

    /// The documents that are not the first of their component, in input order.
    pub(super) fn others(&self) -> impl Iterator<Item = DocId> {
        self.parents
            .iter()
            .enumerate()
            .filter(|(number, parent)| number != *parent)
            .map(|(number, _)| self.docs[number])
    }

    /// The first of a document's component and how like the two are, unless it is the first itself.
    pub(super) fn stands_for(&mut self, doc: DocId) -> Option<(DocId, f64)> {
        let number = self.number(doc)?;
        let first = self.first_of(number);
        (first != number).then(|| (self.docs[first], self.similarities[number]))
    }

    fn number(&self, doc: DocId) -> Option<usize> {
        self.docs.binary_search(&doc).ok()
    }

    fn place(&mut self, of: Ranked) -> usize {
        let number = self.number(of.doc).expect("every like document was seen by the first scan");
        if let Some(rank) = self.ranks.get_mut(number) {
            *rank = of.rank;
        }
        number
    }

    /// The first of a component; what is passed on the way is halved.
    fn first_of(&mut self, mut number: usize) -> usize {
        while self.parents[number] != number {
            self.parents[number] = self.parents[self.parents[number]];
            number = self.parents[number];
        }
        number
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.first_of(a), self.first_of(b));
        let place = |number: usize| (self.ranks.get(number), number);
        let (first, later) = if place(a) <= place(b) { (a, b) } else { (b, a) };
        self.parents[later] = first;
    }
}
