//! Sorting by hashes, which are spread evenly.

/// With more parts than these, their ends do not fit the nearest cache.
const MOST_RADIX_BITS: u32 = 14;

/// If no part has more rows than these, each row is inserted among those before it: it has not far to go.
const FEW: u32 = 16;

/// Sorts rows whose `lead` orders them, and is spread evenly over all numbers as hashes are: first into so many parts that
/// a row is mostly alone, by the highest bits of the lead, then within the parts. Any other lead is as good, but slower.
pub fn radix_sort<R: Copy + Ord>(rows: &mut Vec<R>, lead: impl Fn(&R) -> u64) {
    let bits = rows.len().checked_ilog2().map_or(0, |bits| (bits + 1).min(MOST_RADIX_BITS));
    if bits == 0 || u32::try_from(rows.len()).is_err() {
        return rows.sort_unstable();
    }
    let part = |row: &R| (lead(row) >> (u64::BITS - bits)) as usize;
    let mut ends = vec![0u32; 1 << bits];
    rows.iter().for_each(|row| ends[part(row)] += 1);
    let (mut end, mut most) = (0, 0);
    for n in &mut ends {
        most = most.max(*n);
        (*n, end) = (end, end + *n);
    }
    let mut parted = rows.clone();
    for row in &*rows {
        let at = &mut ends[part(row)];
        parted[*at as usize] = *row;
        *at += 1;
    }
    if most <= FEW {
        insertion_sort(&mut parted);
    } else {
        let mut begin = 0;
        for end in ends {
            parted[begin..end as usize].sort_unstable();
            begin = end as usize;
        }
    }
    *rows = parted;
}

/// For rows that are nearly sorted.
fn insertion_sort<R: Copy + Ord>(rows: &mut [R]) {
    for i in 1..rows.len() {
        let row = rows[i];
        let mut at = i;
        while at > 0 && rows[at - 1] > row {
            rows[at] = rows[at - 1];
            at -= 1;
        }
        rows[at] = row;
    }
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
