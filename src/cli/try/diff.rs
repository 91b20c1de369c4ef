//! The lines in which two texts differ.

use std::fmt::Write;

/// Beyond this many comparisons the lines are shown as taken out and put in, not paired.
const MOST: usize = 4_000_000;

/// How many characters of a line are shown.
const WIDTH: usize = 90;

/// The lines taken out (`-`) and put in (`+`), what cannot be seen written out.
pub(super) fn lines(before: &str, after: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.split('\n').collect(), after.split('\n').collect());
    let same = |(a, b): &(&&str, &&str)| a == b;
    let head = old.iter().zip(&new).take_while(same).count();
    let (old, new) = (&old[head..], &new[head..]);
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(same).count();
    let (old, new) = (&old[..old.len() - tail], &new[..new.len() - tail]);
    let mut out = String::new();
    let common = if old.len() * new.len() <= MOST { common(old, new) } else { Vec::new() };
    let (mut i, mut j) = (0, 0);
    for (to_i, to_j) in common.into_iter().chain([(old.len(), new.len())]) {
        let (gone, come) = (&old[i..to_i], &new[j..to_j]);
        // What stands in the same place on the other side is most likely the same line.
        let from = |k: usize| gone.get(k).zip(come.get(k)).map_or(0, |(a, b)| window(a, b));
        for (sign, side) in [('-', gone), ('+', come)] {
            for (k, line) in side.iter().enumerate() {
                // Writing to a string does not fail.
                let _ = writeln!(out, "    {sign} {}", shown(line, from(k)));
            }
        }
        (i, j) = (to_i + 1, to_j + 1);
    }
    out
}

/// From which character on two lines are shown, so that their first difference is seen.
fn window(a: &str, b: &str) -> usize {
    let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    if same < WIDTH - WIDTH / 3 { 0 } else { same - WIDTH / 3 }
}

/// A line from a character on, what cannot be seen written out.
fn shown(line: &str, from: usize) -> String {
    let mut shown = String::from(if from > 0 { "…" } else { "" });
    let mut chars = line.chars().skip(from);
    for c in chars.by_ref().take(WIDTH) {
        if matches!(c, '\'' | '"' | '\\') { shown.push(c) } else { shown.extend(c.escape_debug()) }
    }
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}

/// A longest common subsequence, as places in both.
fn common(old: &[&str], new: &[&str]) -> Vec<(usize, usize)> {
    let width = new.len() + 1;
    // The length of the longest common subsequence of what follows each pair of places.
    let mut longest = vec![0u32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            longest[i * width + j] = if old[i] == new[j] {
                longest[(i + 1) * width + j + 1] + 1
            } else {
                longest[(i + 1) * width + j].max(longest[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut found) = (0, 0, Vec::new());
    while i < old.len() && j < new.len() {
        if old[i] == new[j] {
            found.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if longest[(i + 1) * width + j] > longest[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(before: &str, after: &str, expected: &str) {
        assert_eq!(lines(before, after), expected);
    }

    #[test]
    fn equal_texts_have_no_lines() {
        check("a\nb", "a\nb", "");
    }

    #[test]
    fn only_changed_lines_are_shown() {
        check("a\nb\nc\nd\ne", "a\nc\nx\ne", "    - b\n    - d\n    + x\n");
    }

    #[test]
    fn the_invisible_is_written_out() {
        check("a\u{200b}\t'b'", "a 'b'", "    - a\\u{200b}\\t'b'\n    + a 'b'\n");
    }

    #[test]
    fn a_line_break_at_the_end_is_a_change() {
        check("a\n", "a", "    - \n");
    }

    #[test]
    fn the_first_difference_is_seen() {
        let same = "x".repeat(200);
        let x30 = "x".repeat(30);
        check(&format!("{same}a"), &format!("{same}b"), &format!("    - …{x30}a\n    + …{x30}b\n"));
    }

    #[test]
    fn long_lines_are_cut() {
        let long = "x".repeat(200);
        check(&long, "", &format!("    - {}…\n    + \n", "x".repeat(90)));
    }
}
