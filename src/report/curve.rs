//! What a deduplicated corpus would keep at other thresholds.

use std::fmt::Write;

use serde::Serialize;

use super::table::{aligned, bytes, count, percent, short};
use crate::error::Result;
use crate::pairs::{Kept, Pairs, grid};

/// What is kept on a grid of thresholds.
#[derive(Debug, Clone, Serialize)]
pub struct Curve {
    /// The least similarity that is on record.
    pub floor: f64,
    /// All documents that were compared.
    pub all: Kept,
    /// What is kept, from the floor to 1.
    pub points: Vec<Point>,
}

/// What is kept at a threshold.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Point {
    /// The threshold.
    pub threshold: f64,
    /// What is kept.
    #[serde(flatten)]
    pub kept: Kept,
}

/// The characters of a plot: columns between the first and the last threshold, and lines.
const WIDTH: usize = 66;
const HEIGHT: usize = 16;

impl Curve {
    /// What `pairs` say about the floor and every multiple of 1 / `parts` above it.
    pub fn new(pairs: &Pairs, parts: u32) -> Result<Self> {
        let thresholds = grid(pairs.floor(), parts);
        let kept = pairs.kept_at(&thresholds)?;
        let points = thresholds.into_iter().zip(kept).map(|(threshold, kept)| Point { threshold, kept });
        Ok(Self { floor: pairs.floor(), all: pairs.all()?, points: points.collect() })
    }

    /// The curve as a table, for people.
    pub fn table(&self) -> String {
        let head = ["threshold", "documents", "", "text", "", "tokens", ""].map(str::to_owned);
        let row = |name: String, kept: &Kept| {
            let of = |part: u64, whole: u64| if name == ALL { String::new() } else { percent(part, whole) };
            let (documents, text, tokens) = (
                of(kept.documents, self.all.documents),
                of(kept.bytes, self.all.bytes),
                of(kept.tokens, self.all.tokens),
            );
            [name, count(kept.documents), documents, bytes(kept.bytes), text, short(kept.tokens), tokens]
        };
        let mut rows = vec![head];
        rows.extend(self.points.iter().map(|point| row(point.threshold.to_string(), &point.kept)));
        rows.push(row(ALL.to_owned(), &self.all));
        aligned(&rows)
    }

    /// The curve in plain characters, for a terminal of 80 columns: the shares of documents and of tokens.
    pub fn plot(&self) -> String {
        let scale = Scale::new(self);
        let mut cells = vec![[b' '; WIDTH + 1]; HEIGHT + 1];
        for point in &self.points {
            let column = (scale.across(point.threshold) * WIDTH as f64).round() as usize;
            let [documents, _, tokens] = self.shares(&point.kept);
            for (share, mark) in [(documents, b'*'), (tokens, b'o')] {
                let line = HEIGHT - (scale.up(share) * HEIGHT as f64).round() as usize;
                let cell = &mut cells[line][column];
                *cell = if *cell == b' ' { mark } else { b'@' };
            }
        }
        let mut out = String::from("kept\n");
        for (line, cells) in cells.iter().enumerate() {
            let label = if line % 4 == 0 {
                let share = scale.share_at((HEIGHT - line) as f64 / HEIGHT as f64);
                format!("{:.1} %", share * 100.0)
            } else {
                String::new()
            };
            let cells = String::from_utf8_lossy(cells);
            // Writing to a string does not fail.
            let _ = writeln!(out, "{label:>8} |{}", cells.trim_end());
        }
        let _ = writeln!(out, "{:>8} +{}", "", "-".repeat(WIDTH + 1));
        let mut labels = String::new();
        for tick in scale.ticks() {
            let column = 10 + (scale.across(tick) * WIDTH as f64).round() as usize;
            let label = tick.to_string();
            let begin = (column + 1).saturating_sub(label.len().div_ceil(2));
            if labels.is_empty() || begin > labels.len() {
                let _ = write!(labels, "{}{label}", " ".repeat(begin.saturating_sub(labels.len())));
            }
        }
        let _ = writeln!(out, "{labels}");
        let _ = writeln!(out, "{:10}threshold;  * documents  o tokens (estimated)  @ both", "");
        out
    }

    /// The curve as a drawing.
    pub fn svg(&self) -> String {
        const SERIES: [(&str, &str, &str); 3] = [
            ("documents", "#0b6bcb", ""),
            ("bytes of text", "#c4570a", "7 4"),
            ("tokens (estimated)", "#1a7f37", "2 3"),
        ];
        let (left, right, top, bottom) = (84.0, 616.0, 52.0, 372.0);
        let scale = Scale::new(self);
        let x = |threshold: f64| left + scale.across(threshold) * (right - left);
        let y = |share: f64| bottom - scale.up(share) * (bottom - top);
        let mut out = String::from(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 640 460\" width=\"640\" height=\"460\" \
             font-family=\"sans-serif\" font-size=\"13\" fill=\"#222\">\n\
             <rect width=\"640\" height=\"460\" fill=\"#fff\"/>\n",
        );
        let mut line = |text: String| {
            out.push_str(&text);
            out.push('\n');
        };
        line(format!(
            "<text x=\"{left}\" y=\"28\" font-size=\"15\" font-weight=\"bold\">Kept of {} documents, {}, about {} tokens</text>",
            count(self.all.documents),
            bytes(self.all.bytes),
            short(self.all.tokens).trim()
        ));
        for i in 0..=4 {
            let share = scale.share_at(f64::from(i) / 4.0);
            let y = y(share);
            line(format!("<line x1=\"{left}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>"));
            line(format!(
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{:.1} %</text>",
                left - 8.0,
                y + 4.5,
                share * 100.0
            ));
        }
        for tick in scale.ticks() {
            let x = x(tick);
            line(format!(
                "<line x1=\"{x:.1}\" y1=\"{bottom}\" x2=\"{x:.1}\" y2=\"{}\" stroke=\"#222\"/>",
                bottom + 5.0
            ));
            line(format!("<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{tick}</text>", bottom + 20.0));
        }
        line(format!("<path d=\"M{left} {top}V{bottom}H{right}\" fill=\"none\" stroke=\"#222\"/>"));
        line(format!(
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">similarity threshold</text>",
            (left + right) / 2.0,
            bottom + 42.0
        ));
        let middle = (top + bottom) / 2.0;
        line(format!(
            "<text x=\"14\" y=\"{middle}\" text-anchor=\"middle\" transform=\"rotate(-90 14 {middle})\">kept</text>"
        ));
        for (i, (name, colour, dashes)) in SERIES.into_iter().enumerate() {
            let at = |point: &Point| format!("{:.1},{:.1}", x(point.threshold), y(self.shares(&point.kept)[i]));
            let points: Vec<_> = self.points.iter().map(at).collect();
            let style = format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dashes}\"");
            line(format!("<polyline points=\"{}\" {style}/>", points.join(" ")));
            for point in &points {
                let (x, y) = point.split_once(',').unwrap_or_default();
                line(format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"2.5\" fill=\"{colour}\"/>"));
            }
            let at = left + 20.0 + 170.0 * i as f64;
            line(format!("<line x1=\"{at}\" y1=\"440\" x2=\"{}\" y2=\"440\" {style}/>", at + 28.0));
            line(format!("<text x=\"{}\" y=\"444.5\">{name}</text>", at + 35.0));
        }
        out.push_str("</svg>\n");
        out
    }

    /// The shares of documents, bytes and tokens that are kept.
    fn shares(&self, kept: &Kept) -> [f64; 3] {
        let share = |part: u64, whole: u64| if whole == 0 { 1.0 } else { part as f64 / whole as f64 };
        [
            share(kept.documents, self.all.documents),
            share(kept.bytes, self.all.bytes),
            share(kept.tokens, self.all.tokens),
        ]
    }
}

/// What stands for the corpus before deduplication, in the table.
const ALL: &str = "all";

/// From thresholds and shares to places between 0 and 1.
struct Scale {
    floor: f64,
    /// The shares at the bottom and at the top.
    least: f64,
    most: f64,
}

impl Scale {
    fn new(curve: &Curve) -> Self {
        let shares = || curve.points.iter().flat_map(|point| curve.shares(&point.kept));
        // In whole percents, and four of them at least, so that the labels are true.
        let most = (shares().fold(0.0, f64::max) * 100.0).ceil();
        let least = (shares().fold(1.0, f64::min) * 100.0).floor().min(most - 4.0).max(0.0);
        Self { floor: curve.floor, least: least / 100.0, most: most.max(4.0) / 100.0 }
    }

    /// A lone point stands at the right.
    fn across(&self, threshold: f64) -> f64 {
        if self.floor < 1.0 { (threshold - self.floor) / (1.0 - self.floor) } else { 1.0 }
    }

    fn up(&self, share: f64) -> f64 {
        (share - self.least) / (self.most - self.least)
    }

    fn share_at(&self, up: f64) -> f64 {
        self.least + up * (self.most - self.least)
    }

    /// The tenths, or where there are few of them the twentieths or hundredths.
    fn ticks(&self) -> Vec<f64> {
        let parts = [10, 20, 100].into_iter().find(|parts| (1.0 - self.floor) * f64::from(*parts) > 3.0);
        grid(self.floor, parts.unwrap_or(100))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(floor: f64) -> Curve {
        let all = Kept { documents: 2_000, bytes: 8_000_000, tokens: 2_000_000 };
        let point = |threshold: f64| {
            let share = 0.55 + 0.4 * threshold * threshold;
            let of = |n: u64, power: f64| (n as f64 * share.powf(power)) as u64;
            let kept =
                Kept { documents: of(all.documents, 1.0), bytes: of(all.bytes, 1.4), tokens: of(all.tokens, 1.5) };
            Point { threshold, kept }
        };
        Curve { floor, all, points: grid(floor, 20).into_iter().map(point).collect() }
    }

    #[test]
    fn the_table_has_a_line_for_each_threshold() {
        insta::assert_snapshot!(curve(0.8).table(), @r"
        threshold  documents             text          tokens
        0.8            1,612  80.6 %  5.92 MB  73.9 %  1.45 M  72.4 %
        0.85           1,678  83.9 %  6.26 MB  78.2 %  1.54 M  76.8 %
        0.9            1,748  87.4 %  6.63 MB  82.8 %  1.63 M  81.7 %
        0.95           1,822  91.1 %  7.02 MB  87.8 %  1.74 M  87.0 %
        1              1,900  95.0 %  7.45 MB  93.1 %  1.85 M  92.6 %
        all            2,000          8.00 MB          2.00 M
        ");
    }

    #[test]
    fn the_plot_fits_a_terminal() {
        insta::assert_snapshot!(curve(0.5).plot(), @r"
        kept
          95.0 % |                                                                  *
                 |                                                           *      o
                 |
                 |                                                     *     o
          84.2 % |                                              *
                 |                                        *            o
                 |
                 |                                 *            o
          73.5 % |                          *             o
                 |                    *
                 |       *     *                   o
                 |*                         o
          62.7 % |
                 |                    o
                 |             o
                 |       o
          52.0 % |o
                 +-------------------------------------------------------------------
                 0.5          0.6          0.7           0.8          0.9           1
                  threshold;  * documents  o tokens (estimated)  @ both
        ");
    }

    #[test]
    fn every_curve_can_be_drawn() {
        let nothing = Curve { all: Kept::default(), ..curve(0.7) };
        let flat = Curve { points: vec![Point { threshold: 1.0, kept: curve(0.5).all }], ..curve(1.0) };
        for curve in [curve(0.05), curve(0.83), curve(0.99), flat, nothing] {
            let plot = curve.plot();
            assert!(plot.lines().all(|line| line.len() <= 80), "{plot}");
            assert!(plot.contains(['*', '@']), "{plot}");
            let svg = curve.svg();
            assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{svg}");
            assert_eq!(svg.matches("<circle").count(), 3 * curve.points.len());
        }
    }
}
