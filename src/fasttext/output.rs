//! From the vector of a text to the probabilities of labels.

use super::matrix::Matrix;

/// A label and its probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// The place of the label in [`Model::labels`](super::Model::labels).
    pub label: usize,
    /// Its probability, 0 to 1.
    pub probability: f32,
}

/// How a model was trained to tell labels apart.
pub(super) enum Loss {
    /// The probabilities of all labels add up to 1.
    Softmax,
    /// Each label is asked for by itself; also what is left of negative sampling when nothing is trained.
    OneVsAll(Sigmoid),
    /// A tree of decisions.
    Tree(Tree),
}

impl Loss {
    /// The loss of a number in the format, for labels that were seen so often in training.
    pub(super) fn new(number: i32, counts: &[i64]) -> Result<Self, String> {
        match number {
            1 => Tree::new(counts).map(Self::Tree),
            2 | 4 => Ok(Self::OneVsAll(Sigmoid::new())),
            3 => Ok(Self::Softmax),
            other => Err(format!("its loss has the number {other}, expected 1 (hs), 2 (ns), 3 (softmax) or 4 (ova)")),
        }
    }

    /// The `k` best labels whose probability is `threshold` or more, best first; of equals those that fastText keeps
    /// when there is room for one.
    pub(super) fn predict(
        &self,
        output: &Matrix,
        hidden: &[f32],
        scores: &mut Vec<f32>,
        k: usize,
        threshold: f32,
    ) -> Vec<Prediction> {
        let mut best = Best { k, found: Vec::with_capacity(k.min(output.n_rows()) + 1) };
        if k == 0 {
            return Vec::new();
        }
        match self {
            Self::Tree(tree) => tree.walk(output, hidden, log(threshold), &mut best),
            _ => {
                self.shares(output, hidden, scores);
                for (label, &share) in scores.iter().enumerate().filter(|(_, share)| **share >= threshold) {
                    best.offer(label, log(share));
                }
            }
        }
        best.found.into_iter().map(|(score, label)| Prediction { label, probability: probability(score) }).collect()
    }

    /// The probability of one label.
    pub(super) fn probability(&self, output: &Matrix, hidden: &[f32], scores: &mut Vec<f32>, label: usize) -> f32 {
        probability(match self {
            Self::Tree(tree) => tree.score(output, hidden, label),
            Self::OneVsAll(sigmoid) => log(sigmoid.of(output.dot_row(label, hidden))),
            Self::Softmax => {
                self.shares(output, hidden, scores);
                log(scores[label])
            }
        })
    }

    /// The shares of all labels, where they are not in a tree.
    fn shares(&self, output: &Matrix, hidden: &[f32], scores: &mut Vec<f32>) {
        scores.clear();
        output.dot_rows(hidden, scores);
        if let Self::OneVsAll(sigmoid) = self {
            scores.iter_mut().for_each(|score| *score = sigmoid.of(*score));
        } else {
            softmax(scores);
        }
    }
}

pub(super) fn softmax(scores: &mut [f32]) {
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - max).exp();
        sum += *score;
    }
    scores.iter_mut().for_each(|score| *score /= sum);
}

/// The logarithm of a share, moved away from that of zero, as fastText keeps scores.
fn log(share: f32) -> f32 {
    (f64::from(share) + 1e-5).ln() as f32
}

/// The probability that a score stands for. Weights without measure can make it no number at all.
fn probability(score: f32) -> f32 {
    if score.is_nan() { 0.0 } else { score.exp().min(1.0) }
}

/// The best labels seen so far, the best first.
struct Best {
    k: usize,
    found: Vec<(f32, usize)>,
}

impl Best {
    /// Whether a label of this score would be among the best.
    fn takes(&self, score: f32) -> bool {
        self.found.len() < self.k || self.found.last().is_some_and(|(last, _)| score >= *last)
    }

    fn offer(&mut self, label: usize, score: f32) {
        if self.takes(score) {
            let at = self.found.partition_point(|(better, _)| *better > score);
            self.found.insert(at, (score, label));
            self.found.truncate(self.k);
        }
    }
}

/// The logistic function in steps, from a table as models were trained with it.
pub(super) struct Sigmoid(Vec<f32>);

impl Sigmoid {
    const STEPS: usize = 512;
    /// From here on the function is 1, and 0 on the other side.
    const MAX: f32 = 8.0;

    fn new() -> Self {
        let at = |i: usize| {
            let x = (i * 16) as f32 / Self::STEPS as f32 - Self::MAX;
            (1.0 / (1.0 + f64::from((-x).exp()))) as f32
        };
        Self((0..=Self::STEPS).map(at).collect())
    }

    fn of(&self, x: f32) -> f32 {
        if x < -Self::MAX {
            0.0
        } else if x > Self::MAX {
            1.0
        } else {
            self.0[((x + Self::MAX) * Self::STEPS as f32 / Self::MAX / 2.0) as usize]
        }
    }
}

/// A Huffman tree of the labels: in each inner node a row of the output matrix decides which way to go.
pub(super) struct Tree {
    n_labels: usize,
    /// The children of the inner nodes. Labels are the first nodes, the root is the last.
    children: Vec<[u32; 2]>,
    /// The parent of each node but the root, and whether it is the second child.
    parents: Vec<(u32, bool)>,
}

impl Tree {
    /// More than any label was seen: what fastText takes for the count of a node that is not there yet.
    const UNSEEN: i64 = 1_000_000_000_000_000;

    fn new(counts: &[i64]) -> Result<Self, String> {
        let total = counts.iter().try_fold(0i64, |sum, &n| sum.checked_add(n).filter(|_| n >= 0));
        if total.is_none_or(|total| total >= Self::UNSEEN) {
            return Err("broken model: the counts of its labels cannot be".into());
        }
        let n_labels = counts.len();
        let n_nodes = 2 * n_labels - 1;
        let mut counts: Vec<i64> = counts.iter().copied().chain(vec![Self::UNSEEN; n_labels - 1]).collect();
        let mut parents = vec![(0, false); n_nodes];
        let mut children = Vec::with_capacity(n_labels - 1);
        // Labels are in the order of their counts, and inner nodes come to be in theirs.
        let (mut n_leaves, mut inner) = (n_labels, n_labels);
        for node in n_labels..n_nodes {
            let pair = [false, true].map(|is_second| {
                let child = if n_leaves > 0 && counts[n_leaves - 1] < counts[inner] {
                    n_leaves -= 1;
                    n_leaves
                } else {
                    inner += 1;
                    inner - 1
                };
                parents[child] = (node as u32, is_second);
                child as u32
            });
            counts[node] = pair.iter().map(|&child| counts[child as usize]).sum();
            children.push(pair);
        }
        Ok(Self { n_labels, children, parents })
    }

    /// Visits the labels whose score is at least `least`, and offers them.
    fn walk(&self, output: &Matrix, hidden: &[f32], least: f32, best: &mut Best) {
        let mut waiting = vec![(2 * self.n_labels - 2, 0.0)];
        while let Some((node, score)) = waiting.pop() {
            if score < least || !best.takes(score) {
                continue;
            }
            let Some(inner) = node.checked_sub(self.n_labels) else {
                best.offer(node, score);
                continue;
            };
            let [first, second] = self.children[inner];
            let [left, right] = decision(output.dot_row(inner, hidden));
            // The first child is taken up first.
            waiting.push((second as usize, score + right));
            waiting.push((first as usize, score + left));
        }
    }

    /// The score of one label.
    fn score(&self, output: &Matrix, hidden: &[f32], label: usize) -> f32 {
        let mut path = Vec::new();
        let (mut node, root) = (label, 2 * self.n_labels - 2);
        while node != root {
            let (parent, is_second) = self.parents[node];
            path.push((parent as usize - self.n_labels, is_second));
            node = parent as usize;
        }
        // From the root on, so that the sum is that of a walk.
        path.iter().rev().fold(0.0, |score, &(inner, is_second)| {
            score + decision(output.dot_row(inner, hidden))[usize::from(is_second)]
        })
    }
}

/// The scores of going the first way and the second.
fn decision(product: f32) -> [f32; 2] {
    let second = (1.0 / f64::from(1.0 + (-product).exp())) as f32;
    [log((1.0 - f64::from(second)) as f32), log(second)]
}
