//! Documents made up for the benches: the same in every run.

use std::fmt::Write as _;

use random::Random;

mod random;

const N_DOCUMENTS: usize = 200;

/// Documents of some paragraphs of sentences, each with the words that `word` gives.
fn documents(mut word: impl FnMut(&mut Random, usize, &mut String), ends: [&str; 2]) -> Vec<String> {
    let mut random = Random(1);
    let document = |_| {
        let mut text = String::new();
        for _ in 0..4 + random.below(8) {
            for _ in 0..2 + random.below(5) {
                for n in 0..8 + random.below(14) {
                    word(&mut random, n, &mut text);
                }
                text.push_str(ends[random.below(2)]);
            }
            let end = text.trim_end().len();
            text.truncate(end);
            text.push_str("\n\n");
        }
        let end = text.trim_end().len();
        text.truncate(end);
        text
    };
    (0..N_DOCUMENTS).map(document).collect()
}

/// English-like documents.
pub(crate) fn english() -> Vec<String> {
    let common = ["the", "of", "and", "to", "in", "that", "is", "with", "for", "be", "have", "it's", "was", "on", "as"];
    let word = move |random: &mut Random, n: usize, text: &mut String| {
        if n > 0 {
            text.push(' ');
        }
        match random.rank(20_000) {
            rank if rank < common.len() => text.push_str(common[rank]),
            rank => {
                let mut letters = Random(rank as u64);
                for _ in 0..3 + letters.below(8) {
                    text.push((b'a' + letters.below(26) as u8) as char);
                }
            }
        }
        if random.below(12) == 0 {
            text.push(',');
        }
    };
    documents(word, [". ", "? "])
}

/// Chinese-like documents.
pub(crate) fn chinese() -> Vec<String> {
    let word = |random: &mut Random, _: usize, text: &mut String| match random.below(40) {
        0 => text.push('，'),
        1 => write!(text, "{}", 1900 + random.below(150)).expect("a string takes all"),
        _ => text.extend(char::from_u32(0x4e00 + (random.rank(3000) * 7) as u32)),
    };
    documents(word, ["。", "！"])
}
