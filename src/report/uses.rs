//! The part of the table that tells how often documents were used before.

use std::fmt::Write;

use super::Report;
use super::table::{aligned, count, share, short};
use crate::tally::{SourceUses, Uses};

/// How many sources are named.
const N_SOURCES: usize = 5;

impl Report {
    /// Documents and tokens by their uses; what is used up, and where it comes from.
    pub(super) fn add_uses(&self, out: &mut String) {
        for stage in &self.stages {
            let uses = &stage.tally.uses;
            if uses.by_count.is_empty() {
                continue;
            }
            let documents = uses.by_count.iter().map(|tally| tally.amount.documents).sum();
            let tokens = uses.by_count.iter().map(|tally| tally.amount.tokens).sum();
            let mut rows = vec![["uses", "documents", "share", "tokens", "share"].map(str::to_owned)];
            rows.extend(uses.by_count.iter().map(|tally| {
                let (from, to) = (tally.uses, Uses::to(tally.uses));
                let name = if from == to { count(from) } else { format!("{} to {}", count(from), count(to)) };
                let amount = tally.amount;
                let shares = [share(amount.documents, documents), share(amount.tokens, tokens)];
                let [of_documents, of_tokens] = shares;
                [name, count(amount.documents), of_documents, short(amount.tokens), of_tokens]
            }));
            // Writing to a string does not fail.
            let _ = write!(out, "\n{}: used before\n{}", stage.name, indented(&aligned(&rows)));
            self.add_used_up(uses, out);
        }
    }

    fn add_used_up(&self, uses: &Uses, out: &mut String) {
        if uses.used_up.documents == 0 {
            return;
        }
        let (documents, tokens) = (count(uses.used_up.documents), short(uses.used_up.tokens));
        let _ = writeln!(out, "    used up, one more is worth nothing: {documents} documents, {tokens} tokens");
        if let Some(most) = uses.most_used.first() {
            let _ = writeln!(out, "    used most: {}, {} times", most.key, count(most.uses.0));
        }
        let mut sources: Vec<(&String, &SourceUses)> = uses.sources.iter().filter(|(_, of)| of.used_up > 0).collect();
        sources.sort_by(|(a, of_a), (b, of_b)| of_b.used_up.cmp(&of_a.used_up).then(a.cmp(b)));
        let named =
            |(name, of): &(&String, &SourceUses)| format!("{} of {} in {name}", count(of.used_up), count(of.documents));
        let named: Vec<_> = sources.iter().take(N_SOURCES).map(named).collect();
        if !named.is_empty() {
            let more = if sources.len() > N_SOURCES { ", and more" } else { "" };
            let _ = writeln!(out, "    used up by source: {}{more}", named.join(", "));
        }
    }
}

fn indented(table: &str) -> String {
    table.lines().map(|line| format!("    {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use crate::report::{Report, StageReport};
    use crate::stage::Used;
    use crate::tally::{StageTally, Uses};

    #[test]
    fn counts_have_bounds() {
        let bounds = [0, 1, 9, 10, 19, 20, 49, 50, 99, 100, 199, 5_000, 9_999, u64::MAX].map(Uses::from);
        assert_eq!(bounds, [0, 1, 9, 10, 10, 20, 20, 50, 50, 100, 100, 5_000, 5_000, 10u64.pow(19)]);
        assert_eq!([0, 1, 9, 10, 20, 50, 100].map(Uses::to), [0, 1, 9, 19, 49, 99, 199]);
        assert!((0..100_000).all(|uses| (Uses::from(uses)..=Uses::to(Uses::from(uses))).contains(&uses)));
    }

    fn tally(documents: &[(u64, &'static str)]) -> StageTally {
        let mut tally = StageTally::default();
        for (key, &(uses, source)) in documents.iter().enumerate() {
            let used = Used { uses, used_up: uses >= 4, source: Some(source) };
            tally.uses.count(used, 1_000, || format!("{key:032x}"));
        }
        tally
    }

    #[test]
    fn the_table_tells_of_uses() {
        let mut sum = tally(&[(0, "web"), (0, "web"), (1, "books"), (12, "web")]);
        sum += &tally(&[(4, "books"), (0, "web"), (17, "web")]);
        let stage = StageReport { name: "reuse".into(), stage: "reuse".into(), tally: sum, time_share: 1.0 };
        let mut said = String::new();
        Report { stages: vec![stage], ..Report::default() }.add_uses(&mut said);
        insta::assert_snapshot!(said, @r"

        reuse: used before
            uses      documents   share  tokens   share
            0                 3  42.9 %  3.00 k  42.9 %
            1                 1  14.3 %  1.00 k  14.3 %
            4                 1  14.3 %  1.00 k  14.3 %
            10 to 19          2  28.6 %  2.00 k  28.6 %
            used up, one more is worth nothing: 3 documents, 3.00 k tokens
            used most: 00000000000000000000000000000002, 17 times
            used up by source: 2 of 5 in web, 1 of 2 in books
        ");
    }

    #[test]
    fn sums_do_not_depend_on_the_order() {
        let parts = [tally(&[(5, "a"), (6, "b")]), tally(&[(5, "a"), (9, "a")]), tally(&[(0, "c"); 20])];
        let sum = |order: [usize; 3]| {
            let mut sum = StageTally::default();
            order.into_iter().for_each(|part| sum += &parts[part]);
            sum
        };
        assert_eq!(sum([0, 1, 2]), sum([2, 1, 0]));
    }
}
