//! The page of a run, `report.html`: one file that needs no other, to be opened in a browser or sent around.

use std::collections::BTreeSet;
use std::fmt::{Display, Write};

use html_escape::{encode_double_quoted_attribute, encode_text};

use super::table::{self, bytes, count, rate, said, short};
use super::{Report, StageReport};
use crate::reuse::weight::{Curve, Weight};
use crate::tally::{StageTally, Uses, UsesTally};

/// Colours for light and dark, widths that fit a phone and a printed page; no scripts, no fonts to fetch.
const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1f2328; --soft: #656d76; --line: #d8dee4; --back: #fff; --kept: #2da44e;
  --gone: #d1242f; --lost: #8250df; --bar: #eac54f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9198a1; --line: #3d444d; --back: #0d1117;
  --kept: #3fb950; --gone: #f85149; --lost: #ab7df8; --bar: #9e6a03; } }
body { font: 15px/1.5 system-ui, 'Noto Sans', 'Noto Sans CJK SC', sans-serif; color: var(--ink);
  background: var(--back); max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
p.soft, td.soft, tr.reason td { color: var(--soft); }
.whole { display: flex; height: 1.8rem; border-radius: 4px; overflow: hidden; margin: 1rem 0 .5rem; }
.whole span { min-width: 2px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: right; font-weight: 600; border-bottom: 2px solid var(--line); }
th, td { padding: .2rem .6rem; white-space: nowrap; } td { text-align: right; }
th:first-child, td:first-child, td.words { text-align: left; } td.words { white-space: normal; }
li { overflow-wrap: anywhere; }
tr.stage td { border-top: 1px solid var(--line); font-weight: 600; }
tr.reason td:first-child { padding-left: 2rem; }
.bar { display: inline-block; height: .7rem; background: var(--gone); border-radius: 2px; vertical-align: baseline; }
.time .bar { background: var(--bar); }
.key { display: inline-block; width: .8rem; height: .8rem; border-radius: 2px; margin-right: .4rem; }
.kept { background: var(--kept); } .gone { background: var(--gone); } .lost { background: var(--lost); }
";

impl Report {
    /// The page. What comes from the input, names of files and sources, cannot put anything else on it.
    pub fn html(&self) -> String {
        let mut page = Page(String::new());
        page.line(format_args!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{} of {} documents kept</title>\n<style>{STYLE}</style>\n</head>\n<body>",
            count(self.rows_kept),
            count(self.rows_in)
        ));
        self.head(&mut page);
        self.call_outs(&mut page);
        self.stage_table(&mut page);
        self.source_table(&mut page);
        self.uses_tables(&mut page);
        self.exchange_tables(&mut page);
        self.time(&mut page);
        page.line(format_args!("<p class=\"soft\">trommel {}</p>\n</body>\n</html>", encode_text(&self.version)));
        page.0
    }

    /// What became of all documents.
    fn head(&self, page: &mut Page) {
        let names: Vec<_> = self.stages.iter().map(|stage| stage.name.as_str()).collect();
        page.line(format_args!(
            "<h1>{} of {} documents kept</h1>\n<p class=\"soft\">{}</p>",
            count(self.rows_kept),
            count(self.rows_in),
            encode_text(&names.join(" → "))
        ));
        let all = self.rows_in + self.rows_failed;
        let parts = [
            ("kept", "kept", self.rows_kept),
            ("rejected", "gone", self.rows_rejected),
            ("failed", "lost", self.rows_failed),
        ];
        page.0.push_str("<div class=\"whole\">");
        for (name, class, rows) in parts.iter().filter(|(_, _, rows)| *rows > 0) {
            let part = encode_double_quoted_attribute(&table::share(*rows, all)).into_owned();
            page.add(format_args!(
                "<span class=\"{class}\" style=\"flex: {rows}\" title=\"{name}: {} ({part})\"></span>",
                count(*rows)
            ));
        }
        page.line(format_args!("</div>\n<div class=\"scroll\"><table>"));
        page.line(format_args!(
            "<tr><th></th><th>documents</th><th></th><th>text</th><th>tokens</th><th>files</th></tr>"
        ));
        let about = if self.tokens_estimated > 0 { "about " } else { "" };
        let tokens = |n: u64| format!("{about}{}", short(n));
        let row = |page: &mut Page, name: &str, class: &str, cells: [String; 5]| {
            let cells = cells.map(|cell| format!("<td>{cell}</td>")).concat();
            page.line(format_args!("<tr><td><span class=\"key {class}\"></span>{name}</td>{cells}</tr>"));
        };
        let files = |n: usize| count(n as u64);
        let none = String::new;
        let read = [count(self.rows_in), none(), bytes(self.bytes_in), none(), files(self.input_files)];
        row(page, "read", "", read);
        let (kept, gone) = (self.rows_kept, self.rows_rejected);
        let [of_kept, of_gone] = [kept, gone].map(|rows| share(rows, self.rows_in));
        let kept_files = files(self.kept_files.len());
        row(page, "kept", "kept", [count(kept), of_kept, bytes(self.bytes_kept), tokens(self.tokens_kept), kept_files]);
        let gone_files = files(self.rejected_files.len());
        let cells = [count(gone), of_gone, bytes(self.bytes_rejected), tokens(self.tokens_rejected), gone_files];
        row(page, "rejected", "gone", cells);
        if !self.failed.is_empty() {
            let more = if self.rows_failed_known { "" } else { " or more" };
            let rows = format!("{}{more}", count(self.rows_failed));
            row(page, "failed", "lost", [rows, none(), none(), none(), files(self.failed.len())]);
        }
        page.line(format_args!("</table></div>"));
        for (encoding, &n) in &self.guessed {
            let encoding = encode_text(encoding);
            page.line(format_args!("<p>{} rows are not UTF-8, and were read as {encoding}.</p>", count(n)));
        }
    }

    /// What must not go by unnoticed: broken files, guards, a threshold that was chosen.
    fn call_outs(&self, page: &mut Page) {
        let failed = self.failed.iter().map(|failure| (failure.file.clone(), failure.message.clone()));
        let alarms = self.alarms.iter().map(|alarm| (alarm.stage.clone(), alarm.message.clone()));
        let choices = self.choices().map(|choice| ("threshold".to_owned(), said(choice)));
        for (title, entries) in [
            ("Files that broke", failed.collect::<Vec<_>>()),
            ("Called out", alarms.collect()),
            ("Chosen", choices.collect()),
        ] {
            if entries.is_empty() {
                continue;
            }
            page.line(format_args!("<h2>{title}</h2>\n<ul>"));
            for (what, message) in entries {
                page.line(format_args!("<li><b>{}</b>: {}</li>", encode_text(&what), encode_text(&message)));
            }
            page.line(format_args!("</ul>"));
        }
    }

    /// Each stage with its reasons, those that take the most first.
    fn stage_table(&self, page: &mut Page) {
        page.line(format_args!(
            "<h2>What the stages did</h2>\n<p class=\"soft\">Every rejected document is in rejected/ with the stage, the \
             reason, what was measured, and what it was held against.</p>\n<div class=\"scroll\"><table>\n<tr><th>stage\
             </th><th>documents</th><th>rewritten</th><th>dropped</th><th></th><th></th><th>text</th><th>tokens</th></tr>"
        ));
        if !self.reader.is_empty() {
            let tally = StageTally { seen: self.rows_in, dropped: self.reader.clone(), ..StageTally::default() };
            stage_rows(page, "reader", &tally);
        }
        for StageReport { name, tally, .. } in &self.stages {
            stage_rows(page, name, tally);
        }
        page.line(format_args!("</table></div>"));
    }

    /// What became of the documents of each source, where a guard counts them.
    fn source_table(&self, page: &mut Page) {
        for StageReport { name, tally, .. } in self.stages.iter().filter(|stage| !stage.tally.sources.named.is_empty())
        {
            let name = encode_text(name);
            page.line(format_args!(
                "<h2>Duplicates by source, {name}</h2>\n<div class=\"scroll\"><table>\n\
                 <tr><th>source</th><th>documents</th><th>duplicates</th><th></th><th></th></tr>"
            ));
            let sources = &tally.sources;
            let others = (sources.others.seen > 0).then_some(("(others)", &sources.others));
            let named = sources.named.iter().map(|(name, source)| (name.as_str(), source));
            for (name, source) in named.chain(others) {
                page.line(format_args!(
                    "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td>{}</tr>",
                    encode_text(name),
                    count(source.seen),
                    count(source.duplicates),
                    share(source.duplicates, source.seen),
                    bar(source.duplicates as f64 / source.seen.max(1) as f64)
                ));
            }
            page.line(format_args!("</table></div>"));
        }
    }

    /// How often documents were used before, and what a further use is worth.
    fn uses_tables(&self, page: &mut Page) {
        for StageReport { name, tally, .. } in self.stages.iter().filter(|stage| !stage.tally.uses.by_count.is_empty())
        {
            let uses = &tally.uses;
            page.line(format_args!(
                "<h2>Used before, {}</h2>\n<div class=\"scroll\"><table class=\"time\">\n\
                 <tr><th>uses</th><th>documents</th><th>tokens</th><th></th><th></th></tr>",
                encode_text(name)
            ));
            let all = uses.by_count.iter().map(|tally| tally.amount.tokens).sum::<u64>();
            for UsesTally { uses: from, amount } in &uses.by_count {
                let to = Uses::to(*from);
                let range = if *from == to { count(to) } else { format!("{} to {}", count(*from), count(to)) };
                page.line(format_args!(
                    "<tr><td>{range}</td><td>{}</td><td>{}</td><td>{}</td>{}</tr>",
                    count(amount.documents),
                    short(amount.tokens),
                    share(amount.tokens, all),
                    bar(amount.tokens as f64 / all.max(1) as f64)
                ));
            }
            page.line(format_args!("</table></div>"));
            if uses.used_up.documents > 0 {
                let (documents, tokens) = (count(uses.used_up.documents), short(uses.used_up.tokens));
                page.line(format_args!("<p>{documents} documents, {tokens} tokens, are used up. Used most:</p>\n<ul>"));
                for most in &uses.most_used {
                    page.line(format_args!("<li>{}, {} times</li>", encode_text(&most.key), count(most.uses.0)));
                }
                page.line(format_args!("</ul>"));
            }
            page.line(format_args!("<p class=\"soft\">{WORTH}</p>\n{}", worth()));
        }
    }

    /// What the corpus stages met with, and measured.
    fn exchange_tables(&self, page: &mut Page) {
        for exchange in &self.exchanges {
            let names: BTreeSet<&String> = exchange.notes.keys().chain(exchange.measures.keys()).collect();
            for name in names {
                page.line(format_args!("<h2>Where keys met: {}</h2>\n<table>", encode_text(name)));
                for (what, n) in exchange.notes.get(name).into_iter().flatten() {
                    page.line(format_args!("<tr><td>{}</td><td>{}</td></tr>", plain(what), count(*n)));
                }
                for (what, value) in exchange.measures.get(name).into_iter().flatten() {
                    page.line(format_args!("<tr><td>{}</td><td>{value:.4}</td></tr>", plain(what)));
                }
                page.line(format_args!("</table>"));
            }
        }
    }

    /// Where the time went.
    fn time(&self, page: &mut Page) {
        let core = self.core_seconds;
        let phases = [
            ("reading", core.read),
            ("stages", core.stages),
            ("letting keys meet", core.exchange),
            ("writing", core.write),
        ];
        let all: f64 = phases.iter().map(|(_, seconds)| seconds).sum();
        page.line(format_args!("<h2>Where the time went</h2>"));
        let speed = rate(self.rows_in as f64 / self.seconds.max(1e-3));
        match self.continued {
            true => page.line(format_args!("<p class=\"soft\">{:.1} s since it was continued</p>", self.seconds)),
            false => page.line(format_args!("<p class=\"soft\">{:.1} s, {speed} documents/s</p>", self.seconds)),
        }
        page.line(format_args!("<table class=\"time\">\n<tr><th></th><th>core seconds</th><th></th><th></th></tr>"));
        let mut line = |name: &str, seconds: Option<f64>, part: f64| {
            let seconds = seconds.map_or_else(String::new, |seconds| format!("{seconds:.1}"));
            let class = if seconds.is_empty() { "reason" } else { "stage" };
            page.line(format_args!(
                "<tr class=\"{class}\"><td>{}</td><td>{seconds}</td><td>{:.0} %</td>{}</tr>",
                encode_text(name),
                100.0 * part,
                bar(part)
            ));
        };
        for (name, seconds) in phases {
            let part = if all > 0.0 { seconds / all } else { 0.0 };
            line(name, Some(seconds), part);
            for stage in self.stages.iter().filter(|_| name == "stages") {
                line(&stage.name, None, stage.time_share * part);
            }
        }
        page.line(format_args!("</table>"));
    }
}

/// A page on its way.
struct Page(String);

impl Page {
    fn add(&mut self, text: impl Display) {
        // Writing to a string does not fail.
        let _ = write!(self.0, "{text}");
    }

    fn line(&mut self, text: impl Display) {
        self.add(text);
        self.0.push('\n');
    }
}

/// What stands above the drawing of the curves.
const WORTH: &str = "What a further use is worth, after so many, by the curves as they are without settings: \
    <code>repeat_value</code> is e^(−uses / 15.39), the marginal value of repeated tokens in Muennighoff et al. 2023 \
    (arXiv 2305.16264, section 5); <code>linear</code> falls in even steps; <code>cap</code> does not fall. All three are 0 \
    from 4 uses on.";

/// The curves of the worth of a further use, as a drawing.
fn worth() -> String {
    const CURVES: [(Curve, &str, &str); 3] = [
        (Curve::RepeatValue, "repeat_value", "#0b6bcb"),
        (Curve::Linear, "linear", "#c4570a"),
        (Curve::Cap, "cap", "#1a7f37"),
    ];
    let mut svg = Page(String::new());
    svg.line("<svg viewBox=\"0 0 480 170\" width=\"480\" height=\"170\" font-size=\"12\" fill=\"currentColor\">");
    let [left, right, top, bottom] = [40.0, 340.0, 12.0, 140.0];
    svg.line(format_args!(
        "<path d=\"M{left} {top}V{bottom}H{right}\" fill=\"none\" stroke=\"currentColor\"/>\n\
         <text x=\"32\" y=\"16\" text-anchor=\"end\">1</text>\n<text x=\"32\" y=\"144\" text-anchor=\"end\">0</text>"
    ));
    let x = |uses: u64| left + (right - left) * (uses as f64 + 0.5) / 6.0;
    for uses in 0..6 {
        svg.line(format_args!("<text x=\"{:.1}\" y=\"158\" text-anchor=\"middle\">{uses}</text>", x(uses)));
    }
    for (i, (curve, name, colour)) in CURVES.into_iter().enumerate() {
        let weight = Weight { curve, ..Weight::default() };
        let point = |uses: u64| format!("{:.1},{:.1}", x(uses), bottom - (bottom - top) * weight.of(uses));
        let points: Vec<_> = (0..6).map(point).collect();
        svg.line(format_args!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n\
             <text x=\"356\" y=\"{}\" fill=\"{colour}\">{name}</text>",
            points.join(" "),
            24 + 18 * i
        ));
    }
    svg.add("</svg>");
    svg.0
}

/// A stage, and a row for each reason it gave.
fn stage_rows(page: &mut Page, name: &str, tally: &StageTally) {
    let blank = |n: u64, said: fn(u64) -> String| if n == 0 { String::new() } else { said(n) };
    let mut row = |class: &str, name: &str, [seen, rewritten, dropped, text, tokens]: [u64; 5]| {
        page.line(format_args!(
            "<tr class=\"{class}\"><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>{}<td>{}</td><td>{}</td></tr>",
            encode_text(name),
            blank(seen, count),
            blank(rewritten, count),
            blank(dropped, count),
            share(dropped, tally.seen),
            bar(dropped as f64 / tally.seen.max(1) as f64),
            blank(text, bytes),
            blank(tokens, short)
        ));
    };
    let sums = [tally.seen, tally.rewritten, tally.n_dropped(), tally.n_dropped_bytes(), tally.n_dropped_tokens()];
    row("stage", name, sums);
    let mut reasons: Vec<_> = tally.dropped.iter().collect();
    reasons.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    for (reason, &dropped) in reasons {
        let [text, tokens] = [&tally.dropped_bytes, &tally.dropped_tokens].map(|sums| sums.get(reason).copied());
        row("reason", reason, [0, 0, dropped, text.unwrap_or(0), tokens.unwrap_or(0)]);
    }
}

/// A share of a whole, in percent; of nothing, nothing.
fn share(part: u64, whole: u64) -> String {
    encode_text(&table::share(part, whole)).into_owned()
}

/// A cell with a bar as long as a part.
fn bar(part: f64) -> String {
    let title = encode_double_quoted_attribute(&format!("{:.2} %", 100.0 * part)).into_owned();
    let width = 8.0 * part.clamp(0.0, 1.0);
    format!(
        "<td class=\"words\" style=\"width: 8rem\"><span class=\"bar\" style=\"width: {width:.2}rem\" title=\"{title}\"></span></td>"
    )
}

/// The key of a note, to be read.
fn plain(key: &str) -> String {
    encode_text(&key.replace('_', " ")).into_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::report::Alarm;
    use crate::stage::Used;
    use crate::tally::{SourceTally, Sources};
    use crate::task::Failure;

    fn report() -> Report {
        let dropped: BTreeMap<_, _> = [("too_few_words".to_owned(), 30), ("<b>".to_owned(), 5)].into();
        let named = [("a & b".to_owned(), SourceTally { seen: 8, duplicates: 2 })].into();
        let sources = Sources { named, ..Sources::default() };
        let tally = StageTally { seen: 100, dropped, sources, ..StageTally::default() };
        let stage = StageReport { name: "字数".into(), stage: "word_count".into(), tally, time_share: 1.0 };
        Report {
            rows_in: 100,
            rows_kept: 65,
            rows_rejected: 35,
            rows_failed: 7,
            rows_failed_known: true,
            stages: vec![stage],
            failed: vec![Failure { file: "<script>.jsonl".into(), message: "is \"cut\"".into(), rows: Some(7) }],
            alarms: vec![Alarm { stage: "字数".into(), message: "source <i> loses 90 %".into(), fails: false }],
            ..Report::default()
        }
    }

    #[test]
    fn uses_are_drawn() {
        let mut report = report();
        for uses in [0, 0, 3, 12] {
            let used = Used { uses, used_up: uses > 4, source: None };
            report.stages[0].tally.uses.count(used, 100, || "k<y".to_owned());
        }
        let page = report.html();
        for said in ["10 to 19", "1 documents, 100 tokens, are used up", "k&lt;y, 12 times", "repeat_value</text>"] {
            assert!(page.contains(said), "{said}: {page}");
        }
        assert!(is_balanced(&page), "{page}");
    }

    /// Whether every element that is opened is closed, in order.
    fn is_balanced(page: &str) -> bool {
        let tags = regex::Regex::new(r"<(/?)([a-z0-9]+)[^>]*>").expect("an expression");
        let mut open = Vec::new();
        for tag in tags.captures_iter(page) {
            let name = tag[2].to_owned();
            if name == "meta" || tag[0].ends_with("/>") {
                continue;
            }
            if &tag[1] == "/" {
                if open.pop() != Some(name) {
                    return false;
                }
            } else {
                open.push(name);
            }
        }
        open.is_empty()
    }

    #[test]
    fn the_page_says_what_became_of_every_document() {
        let page = report().html();
        for said in ["<h1>65 of 100 documents kept</h1>", "too_few_words", "30.0 %", "Files that broke", "字数"] {
            assert!(page.contains(said), "{said}: {page}");
        }
        assert!(is_balanced(&page), "{page}");
        assert!(is_balanced(&Report::default().html()));
    }

    #[test]
    fn names_are_text_and_nothing_else() {
        let page = report().html();
        for name in ["<script", "<b>\"", "<i>", "a & b"] {
            assert!(!page.contains(name), "{name}");
        }
        for name in ["&lt;script&gt;.jsonl", "&lt;b&gt;", "a &amp; b", "&lt;i&gt; loses"] {
            assert!(page.contains(name), "{name}");
        }
    }
}
