//! The table at the end of a run.

use std::fmt::Write;

use super::Report;

impl Report {
    /// The table, for people: per stage what was seen, rewritten and dropped, by reason, and its share of the time.
    pub fn table(&self) -> String {
        let mut rows = vec![["stage", "seen", "rewritten", "dropped", "of seen", "time"].map(str::to_owned)];
        let row = |name: String, seen: u64, rewritten: u64, dropped: u64, time: String| {
            let blank = |n: u64| if n == 0 { String::new() } else { count(n) };
            [
                name,
                count(seen),
                blank(rewritten),
                blank(dropped),
                if dropped == 0 { String::new() } else { percent(dropped, seen) },
                time,
            ]
        };
        let reason = |name: &str, dropped: u64, seen: u64| {
            [format!("    {name}"), String::new(), String::new(), count(dropped), percent(dropped, seen), String::new()]
        };
        if !self.reader.is_empty() {
            rows.push(row("reader".into(), self.rows_in, 0, self.reader.values().sum(), String::new()));
            rows.extend(self.reader.iter().map(|(name, dropped)| reason(name, *dropped, self.rows_in)));
        }
        for stage in &self.stages {
            let tally = &stage.tally;
            let time = format!("{:.0} %", stage.time_share * 100.0);
            rows.push(row(stage.name.clone(), tally.seen, tally.rewritten, tally.n_dropped(), time));
            let mut reasons: Vec<_> = tally.dropped.iter().collect();
            reasons.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
            rows.extend(reasons.into_iter().map(|(name, dropped)| reason(name, *dropped, tally.seen)));
        }
        let mut table = aligned(&rows);
        table.push('\n');
        self.totals(&mut table);
        table
    }

    fn totals(&self, out: &mut String) {
        let mut line = |what: &str, rows: u64, rest: &str| {
            let share = if what == "in" { String::new() } else { format!("  {:>7}", percent(rows, self.rows_in)) };
            // Writing to a string does not fail.
            let _ = writeln!(out, "{:<9} {:>13}{share}  {rest}", what, count(rows));
        };
        line("in", self.rows_in, &format!("{} of text in {} files", bytes(self.bytes_in), self.input_files));
        let tokens = self.tokens_kept.map_or(String::new(), |tokens| format!(", about {} tokens", short(tokens)));
        line(
            "kept",
            self.rows_kept,
            &format!("{} of text in {} files{tokens}", bytes(self.bytes_kept), self.kept_files.len()),
        );
        line("rejected", self.rows_rejected, "");
        if !self.failed.is_empty() {
            let unknown = if self.rows_failed_known { "" } else { " and an unknown number of rows more" };
            line("failed", self.rows_failed, &format!("of {} files{unknown}", self.failed.len()));
            for failure in &self.failed {
                let _ = writeln!(out, "  {}: {}", failure.file, failure.message);
            }
        }
    }
}

/// Columns side by side: the first to the left, the others to the right.
fn aligned(rows: &[[String; 6]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = format!("{:<1$}", row[0], widths[0]);
        for (cell, width) in row.iter().zip(&widths).skip(1).filter(|(_, width)| **width > 0) {
            let _ = write!(line, "  {cell:>width$}");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// A number with its thousands apart.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number of bytes, in decimal units.
pub fn bytes(n: u64) -> String {
    scaled(n, &[" B", " kB", " MB", " GB", " TB", " PB"])
}

/// A large number in a few letters.
pub fn short(n: u64) -> String {
    scaled(n, &["", " k", " M", " B", " T"])
}

fn scaled(n: u64, units: &[&str]) -> String {
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{n}{}", units[0])
    } else {
        format!("{value:.*}{}", if value < 9.995 { 2 } else { 1 }, units[unit])
    }
}

fn percent(part: u64, whole: u64) -> String {
    format!("{:.1} %", part as f64 / (whole as f64).max(1.0) * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(285_300_000), "285.3 MB");
        assert_eq!(short(1_250_000_000), "1.25 B");
    }
}
