//! The table at the end of a run.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Report;
use crate::pairs::Choice;
use crate::stage::Target;
use crate::tally::StageTally;

impl Report {
    /// The table, for people: per stage the documents that reached it, how many it rewrote, how many it dropped
    /// and for which reasons, their text and tokens, and its share of the computing time of all stages; then the sums.
    pub fn table(&self) -> String {
        let head = ["stage", "documents", "rewritten", "dropped", "share", "text", "tokens", "time"];
        let mut rows = vec![head.map(str::to_owned)];
        let blank = |n: u64, said: fn(u64) -> String| if n == 0 { String::new() } else { said(n) };
        let row = |name: String, seen: u64, tally: &StageTally, time: String| {
            let dropped = tally.n_dropped();
            let [text, tokens] = [tally.n_dropped_bytes(), tally.n_dropped_tokens()];
            [
                name,
                count(seen),
                blank(tally.rewritten, count),
                blank(dropped, count),
                share(dropped, seen),
                blank(text, bytes),
                blank(tokens, short),
                time,
            ]
        };
        let reasons = |tally: &StageTally, seen: u64| {
            let mut reasons: Vec<_> = tally.dropped.iter().collect();
            reasons.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
            let of = |sums: &BTreeMap<String, u64>, name: &str| sums.get(name).copied().unwrap_or(0);
            let row = |(name, &dropped): (&String, &u64)| {
                let [text, tokens] = [of(&tally.dropped_bytes, name), of(&tally.dropped_tokens, name)];
                let [none, empty] = [String::new(), String::new()];
                let name = format!("  {name}");
                let (text, tokens) = (blank(text, bytes), blank(tokens, short));
                [name, none, empty, count(dropped), share(dropped, seen), text, tokens, String::new()]
            };
            reasons.into_iter().map(row).collect::<Vec<_>>()
        };
        if !self.reader.is_empty() {
            let tally = StageTally { dropped: self.reader.clone(), ..StageTally::default() };
            rows.push(row("reader".into(), self.rows_in, &tally, String::new()));
            rows.extend(reasons(&tally, self.rows_in));
        }
        for stage in &self.stages {
            let tally = &stage.tally;
            let time = format!("{:.0} %", stage.time_share * 100.0);
            rows.push(row(stage.name.clone(), tally.seen, tally, time));
            rows.extend(reasons(tally, tally.seen));
        }
        let mut table = aligned(&rows);
        table.push('\n');
        table.push_str(&aligned(&self.totals()));
        self.add_failures(&mut table);
        for choice in self.choices() {
            let _ = writeln!(table, "\n{}", said(choice));
        }
        self.add_audits(&mut table);
        self.add_uses(&mut table);
        self.add_alarms(&mut table);
        self.add_speed(&mut table);
        table
    }

    /// The thresholds that were chosen by what they keep.
    pub fn choices(&self) -> impl Iterator<Item = &Choice> {
        self.exchanges.iter().filter_map(|exchange| exchange.choice.as_ref())
    }

    fn totals(&self) -> Vec<[String; 4]> {
        let row = |what: &str, rows: u64, share: String, rest: String| [what.to_owned(), count(rows), share, rest];
        let of_all = |rows: u64| percent(rows, self.rows_in);
        let about = if self.tokens_estimated > 0 { "about " } else { "" };
        let tokens = |n: u64| format!("{about}{} tokens", short(n));
        let text_in = format!("{} of text in {}", bytes(self.bytes_in), files(self.input_files));
        let text_kept = format!("{} of text in {} under kept/", bytes(self.bytes_kept), files(self.kept_files.len()));
        let text_kept = format!("{text_kept}, {}", tokens(self.tokens_kept));
        let reasons = format!("each with its reason, in {} under rejected/", files(self.rejected_files.len()));
        let reasons = format!("{reasons}, {}", tokens(self.tokens_rejected));
        let mut rows = vec![
            row("read", self.rows_in, String::new(), text_in),
            row("kept", self.rows_kept, of_all(self.rows_kept), text_kept),
            row("rejected", self.rows_rejected, of_all(self.rows_rejected), reasons),
        ];
        for (encoding, &n) in &self.guessed {
            rows.push(row("guessed", n, of_all(n), format!("are not UTF-8, and were read as {encoding}")));
        }
        let marked = self.stages.iter().map(|stage| stage.tally.marked).sum();
        if marked > 0 {
            rows.push(row("marked", marked, of_all(marked), "as duplicates among them, in `duplicate_of`".to_owned()));
        }
        let known = |what: &str| {
            let notes = self.exchanges.iter().flat_map(|exchange| exchange.notes.values());
            notes.filter_map(|notes| notes.get(what)).sum::<u64>()
        };
        let known = known("known_exact") + known("known_near");
        if known > 0 {
            let rest = "for documents of earlier runs, which the index knows".to_owned();
            rows.push(row("known", known, of_all(known), rest));
        }
        if !self.failed.is_empty() {
            let more = if self.rows_failed_known { "" } else { " or more" };
            let broken = format!("{more} not read; {} broke:", files(self.failed.len()));
            rows.push(row("failed", self.rows_failed, String::new(), broken.trim_start().to_owned()));
        }
        rows
    }

    fn add_failures(&self, out: &mut String) {
        for failure in &self.failed {
            // Writing to a string does not fail.
            let _ = writeln!(out, "    {}: {}", failure.file, failure.message);
        }
    }

    fn add_audits(&self, out: &mut String) {
        for (stage, measures) in self.exchanges.iter().flat_map(|exchange| &exchange.measures) {
            let notes = self.exchanges.iter().find_map(|exchange| exchange.notes.get(stage));
            let note = |what: &str| notes.and_then(|notes| notes.get(what)).copied().unwrap_or(0);
            // Rounded down, so that 100 % means all.
            let percent = |what: &str| (1e4 * measures.get(what).copied().unwrap_or(f64::NAN)).floor() / 100.0;
            let (documents, pairs) = (note("audit_documents"), note("audit_pairs"));
            let _ = writeln!(
                out,
                "\naudit of {stage}: {} documents, drawn by lot, were compared with all others",
                count(documents)
            );
            if pairs == 0 {
                out.push_str("    none is like another\n");
                continue;
            }
            let _ = writeln!(
                out,
                "    {:.2} % of their {} like pairs were found (95 % confidence: {:.2} to {:.2} %)\n    \
                 {} of the pairs have both documents kept; {} of {} dropped documents are like no kept one",
                percent("audit_recall"),
                count(pairs),
                percent("audit_recall_low"),
                percent("audit_recall_high"),
                count(note("audit_pairs_both_kept")),
                count(note("audit_dropped_unlike_any_kept")),
                count(note("audit_dropped")),
            );
        }
    }

    fn add_alarms(&self, out: &mut String) {
        if !self.alarms.is_empty() {
            out.push_str("\ncalled out:\n");
        }
        for alarm in &self.alarms {
            let _ = writeln!(out, "    {}: {}", alarm.stage, alarm.message);
        }
    }

    fn add_speed(&self, out: &mut String) {
        if self.seconds <= 0.0 {
            return;
        }
        if self.continued {
            let _ = writeln!(out, "\nin {:.1} s since it was continued", self.seconds);
            return;
        }
        let _ = writeln!(
            out,
            "\nin {:.*} s: {} documents/s, {} of text/s",
            if self.seconds < 1.0 { 2 } else { 1 },
            self.seconds,
            rate(self.rows_in as f64 / self.seconds),
            bytes((self.bytes_in as f64 / self.seconds) as u64),
        );
    }
}

/// What a choice of a threshold has come to, in a sentence.
pub fn said(choice: &Choice) -> String {
    let Choice { target, threshold, reached, kept, all } = choice;
    let (asked, kept_of, all_of) = match target {
        Target::Tokens(tokens) => (tokens_of(*tokens), tokens_of(kept.tokens), tokens_of(all.tokens)),
        Target::Documents(documents) => {
            let documents_of = |n: u64| format!("{} documents", count(n));
            (documents_of(*documents), documents_of(kept.documents), documents_of(all.documents))
        }
    };
    if *reached {
        return format!("threshold {threshold} taken, the lowest that keeps {asked}: it keeps {kept_of}");
    }
    format!(
        "{asked} are not to be had: threshold {threshold} taken, which keeps {kept_of} of {all_of} before deduplication"
    )
}

/// So many tokens, to be read.
fn tokens_of(n: u64) -> String {
    format!("{} tokens", count(n))
}

/// Columns side by side: numbers to the right, the first column and a last one of words to the left.
pub fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let is_words = |column: usize| column == 0 || rows.iter().any(|row| row[column].contains(" of text"));
    let words: Vec<bool> = (0..N).map(is_words).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate().filter(|(column, _)| widths[*column] > 0) {
            let gap = if column == 0 { "" } else { "  " };
            let width = widths[column];
            let _ =
                if words[column] { write!(line, "{gap}{cell:<width$}") } else { write!(line, "{gap}{cell:>width$}") };
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn files(n: usize) -> String {
    if n == 1 { "1 file".into() } else { format!("{} files", count(n as u64)) }
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

/// So many in a second.
pub fn rate(per_second: f64) -> String {
    if per_second < 9.95 { format!("{per_second:.1}") } else { count(per_second.round() as u64) }
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

/// A share as it is read: nothing at all is blank, and little is not nothing.
pub(super) fn share(part: u64, whole: u64) -> String {
    if part == 0 { String::new() } else { percent(part, whole) }
}

/// A share of a whole, in percent.
pub(super) fn percent(part: u64, whole: u64) -> String {
    let percent = part as f64 / (whole as f64).max(1.0) * 100.0;
    if part > 0 && percent < 0.05 { "< 0.1 %".into() } else { format!("{percent:.1} %") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::StageReport;
    use crate::tally::StageTally;
    use crate::task::Failure;

    /// A stage that has dropped documents of a hundred bytes and thirty tokens each.
    fn stage(name: &str, seen: u64, rewritten: u64, dropped: &[(&'static str, u64)], time_share: f64) -> StageReport {
        let sums = |each: u64| dropped.iter().map(|&(reason, n)| (reason.into(), each * n)).collect();
        let [dropped, dropped_bytes, dropped_tokens] = [1, 100, 30].map(sums);
        let tally = StageTally { seen, rewritten, dropped, dropped_bytes, dropped_tokens, ..StageTally::default() };
        StageReport { name: name.into(), stage: name.into(), tally, time_share }
    }

    fn report() -> Report {
        Report {
            rows_in: 76_884,
            rows_kept: 37_079,
            rows_rejected: 39_805,
            bytes_in: 285_300_000,
            bytes_kept: 122_000_000,
            bytes_rejected: 3_980_000,
            tokens_kept: 41_200_000,
            tokens_rejected: 1_194_000,
            tokens_estimated: 3,
            reader: [("null_text".to_owned(), 3)].into(),
            stages: vec![
                stage("whitespace", 76_881, 33_380, &[], 0.25),
                stage("word_count", 76_881, 0, &[("too_many_words", 2), ("too_few_words", 39_800)], 0.75),
            ],
            input_files: 8,
            kept_files: vec![String::new(); 2],
            rejected_files: vec![String::new()],
            seconds: 12.34,
            ..Report::default()
        }
    }

    #[test]
    fn the_table_says_what_became_of_every_document() {
        insta::assert_snapshot!(report().table(), @r"
        stage             documents  rewritten  dropped    share     text  tokens  time
        reader               76,884                   3  < 0.1 %
          null_text                                   3  < 0.1 %
        whitespace           76,881     33,380                                     25 %
        word_count           76,881              39,802   51.8 %  3.98 MB  1.19 M  75 %
          too_few_words                          39,800   51.8 %  3.98 MB  1.19 M
          too_many_words                              2  < 0.1 %    200 B      60

        read      76,884          285.3 MB of text in 8 files
        kept      37,079  48.2 %  122.0 MB of text in 2 files under kept/, about 41.2 M tokens
        rejected  39,805  51.8 %  each with its reason, in 1 file under rejected/, about 1.19 M tokens

        in 12.3 s: 6,230 documents/s, 23.1 MB of text/s
        ");
    }

    #[test]
    fn what_could_not_be_read_is_said_last() {
        let failure = Failure { file: "b.parquet".into(), message: "the footer is cut off".into(), rows: None };
        let report = Report { failed: vec![failure], seconds: 0.0, stages: vec![], ..report() };
        insta::assert_snapshot!(report.table(), @r"
        stage        documents  rewritten  dropped    share  text  tokens  time
        reader          76,884                   3  < 0.1 %
          null_text                              3  < 0.1 %

        read      76,884          285.3 MB of text in 8 files
        kept      37,079  48.2 %  122.0 MB of text in 2 files under kept/, about 41.2 M tokens
        rejected  39,805  51.8 %  each with its reason, in 1 file under rejected/, about 1.19 M tokens
        failed         0          or more not read; 1 file broke:
            b.parquet: the footer is cut off
        ");
    }

    #[test]
    fn tokens_that_are_counted_are_not_about() {
        let table = Report { tokens_estimated: 0, ..report() }.table();
        assert!(table.contains("under kept/, 41.2 M tokens\n"), "{table}");
        assert!(table.contains("under rejected/, 1.19 M tokens\n"), "{table}");
    }

    #[test]
    fn a_continued_run_claims_no_speed() {
        let table = Report { continued: true, ..report() }.table();
        assert!(table.ends_with("\n\nin 12.3 s since it was continued\n"), "{table}");
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!((rate(0.25).as_str(), rate(1234.4).as_str()), ("0.2", "1,234"));
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(285_300_000), "285.3 MB");
        assert_eq!(short(1_250_000_000), "1.25 B");
    }
}
