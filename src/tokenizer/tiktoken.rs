//! `.tiktoken` files: on each line a token in base64 and its rank.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::bpe::{Bpe, Start};
use super::{ByteTokenizer, Form, Pattern, Split};

/// Reads a file. Neighbours merge wherever together they are a token, and the rank of the merge is that of the token:
/// that is how tiktoken encodes.
pub(super) fn read(bytes: &[u8], pattern: Pattern) -> Result<ByteTokenizer, String> {
    let mut ranks: HashMap<Vec<u8>, u32> = HashMap::new();
    let mut in_order = Vec::new();
    for (line, n) in bytes.split(|&b| b == b'\n').zip(1..) {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let (token, rank) = parse(line).ok_or_else(|| {
            format!("line {n}: expected a token in base64, a blank, and its rank: this is no `.tiktoken` file")
        })?;
        in_order.push(token.clone());
        if ranks.insert(token, rank).is_some() {
            return Err(format!("line {n}: this token is on an earlier line already"));
        }
    }
    let start = |b: u8| {
        let missing = || format!("the byte {b} is no token, so that not every text can be encoded");
        ranks.get([b].as_slice()).map(|&rank| Start::Token(rank)).ok_or_else(missing)
    };
    let starts = (0..=u8::MAX).map(start).collect::<Result<Vec<_>, _>>()?;
    let ranks = &ranks;
    let merges = in_order.iter().flat_map(|token| {
        let rank = ranks[token];
        (1..token.len()).filter_map(move |at| {
            let (left, right) = token.split_at(at);
            Some((*ranks.get(left)?, *ranks.get(right)?, rank, rank))
        })
    });
    let whole: HashSet<Box<[u8]>> = in_order.iter().map(|token| token.as_slice().into()).collect();
    Ok(ByteTokenizer {
        added: None,
        form: Form::AsItIs,
        added_normalized: None,
        splits: vec![Split::Published(pattern)],
        bpe: Bpe::new(starts, merges, whole, false),
        scratch: Mutex::default(),
    })
}

fn parse(line: &[u8]) -> Option<(Vec<u8>, u32)> {
    let (token, rank) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    let token = STANDARD.decode(token).ok().filter(|token| !token.is_empty())?;
    Some((token, rank.parse().ok()?))
}
