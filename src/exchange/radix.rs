//! Sorting by hashes, which are spread evenly.

/// With more parts than these, their ends do not fit the nearest cache.
const MOST_RADIX_BITS: u32 = 14;

/// Sorts rows whose `lead` orders them, and is spread evenly over all numbers as hashes are: first into as many parts
/// as leave a few rows in each, by the highest bits of the lead, then each part. Any other lead is as good, but slower.
pub fn radix_sort<R: Copy + Ord>(rows: &mut Vec<R>, lead: impl Fn(&R) -> u64) {
    let bits = rows.len().checked_ilog2().unwrap_or(0).saturating_sub(2).min(MOST_RADIX_BITS);
    if bits == 0 {
        return rows.sort_unstable();
    }
    let part = |row: &R| (lead(row) >> (u64::BITS - bits)) as usize;
    let mut ends = vec![0; 1 << bits];
    rows.iter().for_each(|row| ends[part(row)] += 1);
    let mut end = 0;
    for n in &mut ends {
        (*n, end) = (end, end + *n);
    }
    let mut parted = rows.clone();
    for row in &*rows {
        let at = &mut ends[part(row)];
        parted[*at] = *row;
        *at += 1;
    }
    let mut begin = 0;
    for end in ends {
        parted[begin..end].sort_unstable();
        begin = end;
    }
    *rows = parted;
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_radix_sort_sorts(rows in proptest::collection::vec((0u64..4, proptest::num::u64::ANY), 0..2000)) {
            // Spread evenly, all in the lowest part, or all the same.
            for shift in [0, 40, 63] {
                let mut sorted: Vec<_> = rows.iter().map(|(n, key)| (key >> shift, *n)).collect();
                let mut expected = sorted.clone();
                expected.sort_unstable();
                radix_sort(&mut sorted, |row| row.0);
                proptest::prop_assert_eq!(sorted, expected);
            }
        }
    }
}
