//! Says what kind of text a document is: prose, code, Markdown, LaTeX, a table, a list, a log.

use std::borrow::Cow;
use std::ops::AddAssign;

use arrow::datatypes::{DataType, Field};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::doc::{Doc, Value};
use crate::stage::{Annotator, Settings};

/// Adds `kind` and `kind_score`, so that `when.kind` can choose the rules for a document: filters made for prose
/// drop most code.
///
/// `kind` is `prose`, `code`, `markdown`, `latex`, `table`, `list` or `log`, or `und` where the text has no letters and no
/// digits. Markup counts as what it is: a page in Markdown is `markdown` however much prose is in it, HTML and settings
/// (JSON, YAML, TOML) are `code`. Every line has one shape, and weighs 1 and 1 more for every 80 characters:
///
/// - *log*: begins with a date or an address and has a time, or names a level (`ERROR`, `[info]`) beside a date or time;
/// - *LaTeX*: begins with a command (`\item`), or has one with an argument (`\emph{`);
/// - *code*: ends with a brace, or with a semicolon where it does not read like a sentence; assigns, compares, calls, or
///   points (`x = 1`, `a != b`, `f(x)`, `p->q`, `a::b`); begins with a word or mark of code and goes on like code
///   (`def f(x):`, `#include`, `// why`); is a pair of JSON, an element of XML; is between `/*` and `*/` or three quotes;
///   or is, with marks in it, indented below such a line;
/// - *table*: has cells between bars; or has tabs, commas or semicolons, as many as the line before it, and reads
///   like no sentence;
/// - *list*: begins with a bullet, or with a number and has no sentence after it, in 120 characters at most;
/// - *prose*: has a mark that ends a sentence, or five words, or eight ideographs;
/// - anything else is *other*: headings, names, the lines of a menu.
///
/// Lines of other shapes than the first three are looked through for marks of Markdown, which make points: headings 1 (2
/// from `##` on), links, their addresses, bold words and code in backquotes 1, boxes to tick, fences, the line below the
/// head of a table, and settings between `---` at the top 2. A line after `#` is no heading but code if another such line,
/// or code, stands right before or after it. Lines between fences, and those settings, have no shape. Then the first of these
/// that holds decides:
///
/// 1. the text begins with `#!`: `code`;
/// 2. lines of a log weigh half of all: `log`;
/// 3. LaTeX weighs a quarter of all, or a twentieth with `\documentclass` or `\begin{document}`: `latex`;
/// 4. there are 2 points of Markdown, and one for every 40 of weight, and code weighs less than half: `markdown`;
/// 5. code, table or list, whichever weighs most, weighs as much as prose and other lines together: that one;
/// 6. else `prose`.
///
/// `kind_score` lies between 0 and 1: the share of the weight that speaks for the kind (for Markdown, a half and
/// the more the denser its marks are; for prose, other lines count half), times n / (n + 1) for n lines. These are
/// heuristics, not probabilities, and the shares are our own guesses. Of a text of more than 128 kB, 32 pieces of 4 kB from
/// all over are looked at.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Kind {}

impl Settings for Kind {
    const NAME: &'static str = "kind";
    const ABOUT: &'static str = "adds kind and kind_score: prose, code, markdown, latex, table, list or log";
    type Stage = Self;

    fn build(self) -> Result<Self, String> {
        Ok(self)
    }
}

impl Annotator for Kind {
    fn columns(&self) -> Vec<Field> {
        vec![Field::new("kind", DataType::Utf8, true), Field::new("kind_score", DataType::Float32, true)]
    }

    fn annotate(&self, doc: &Doc<'_>, row: &mut Vec<Value>) {
        let (kind, score) = decide(&evidence(doc.text()));
        row.push(Value::Str(Cow::Borrowed(kind)));
        row.push(Value::F32(score as f32));
    }
}

/// How many pieces of a long text are looked at.
const PIECES: usize = 32;

/// The bytes of each piece.
const PIECE: usize = 4096;

/// What the lines of a text speak for.
fn evidence(text: &str) -> Evidence {
    let mut all = Evidence { is_script: text.starts_with("#!"), ..Evidence::default() };
    if text.len() <= PIECES * PIECE {
        Lines::default().read(text, &mut all);
        return all;
    }
    let boundary = |at: usize| (at..text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len());
    for i in 0..PIECES {
        let from = (text.len() - PIECE) * i / (PIECES - 1);
        let piece = &text[boundary(from)..boundary(from + PIECE)];
        // A line that begins before the piece has lost its head.
        let whole = if i == 0 { 0 } else { piece.find('\n').map_or(0, |at| at + 1) };
        Lines::default().read(&piece[whole..], &mut all);
    }
    all
}

/// The weights of the shapes of lines, and the points of Markdown.
#[derive(Debug, Clone, Copy, Default)]
struct Evidence {
    log: f64,
    latex: f64,
    code: f64,
    table: f64,
    list: f64,
    prose: f64,
    other: f64,
    /// Lines between fences.
    fenced: f64,
    points: f64,
    n_lines: usize,
    /// Whether something is said that only a whole LaTeX document says.
    is_latex_document: bool,
    /// Whether the first line says what runs the text.
    is_script: bool,
    /// Whether there is a letter or a digit.
    has_words: bool,
}

impl Evidence {
    fn of_shape(&mut self, shape: Shape) -> &mut f64 {
        match shape {
            Shape::Log => &mut self.log,
            Shape::Latex => &mut self.latex,
            Shape::Code => &mut self.code,
            Shape::Table => &mut self.table,
            Shape::List => &mut self.list,
            Shape::Prose => &mut self.prose,
            Shape::Other => &mut self.other,
            Shape::Fenced => &mut self.fenced,
        }
    }

    fn weight(&self) -> f64 {
        let Self { log, latex, code, table, list, prose, other, fenced, .. } = self;
        log + latex + code + table + list + prose + other + fenced
    }
}

/// What a line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Log,
    Latex,
    Code,
    Table,
    List,
    Prose,
    Other,
    Fenced,
}

/// The kind that the evidence speaks for, and how clearly.
fn decide(evidence: &Evidence) -> (&'static str, f64) {
    let all = evidence.weight();
    if !evidence.has_words || all == 0.0 {
        return ("und", 0.0);
    }
    let share = |weight: f64| weight / all;
    let density = share(evidence.points);
    let [log, latex, code] = [evidence.log, evidence.latex, evidence.code].map(share);
    let rows = [("code", evidence.code), ("table", evidence.table), ("list", evidence.list)];
    let (row, most) = rows.into_iter().fold(("", 0.0), |best, row| if row.1 > best.1 { row } else { best });
    let (kind, score) = if evidence.is_script {
        ("code", code.max(0.5))
    } else if log >= 0.5 {
        ("log", log)
    } else if latex >= 0.25 || (evidence.is_latex_document && latex >= 0.05) {
        ("latex", latex.max(0.5))
    } else if evidence.points >= 2.0 && density >= 0.025 && code < 0.5 {
        ("markdown", (0.5 + 2.0 * (density - 0.025)).min(1.0))
    } else if most > 0.0 && most >= evidence.prose + evidence.other {
        (row, share(most))
    } else {
        ("prose", share(evidence.prose + evidence.other / 2.0))
    };
    let n_lines = evidence.n_lines as f64;
    (kind, score * n_lines / (n_lines + 1.0))
}

/// What is known of the lines before, while reading.
#[derive(Debug, Default)]
struct Lines {
    /// What the lines are in, if in anything.
    within: Option<Within>,
    /// Whether the last line was one of code; a blank line is none.
    after_code: bool,
    /// The last line looks like a heading, of so many points.
    heading: Option<f64>,
    /// The last line begins with `#`.
    after_hash: bool,
    /// What could be the borders of cells in the line before, and how many: tabs, commas, semicolons.
    cells: [usize; 3],
}

/// What has a begin and an end of its own, on lines of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    /// A fence of this mark.
    Fence(u8),
    /// Settings at the top, up to this mark.
    Settings(u8),
    /// `/*`.
    Comment,
    /// Three quotes.
    Quotes(u8),
}

impl Lines {
    fn read(&mut self, text: &str, all: &mut Evidence) {
        for line in text.split('\n') {
            let trimmed = line.trim();
            if trimmed.is_empty() {
                all.points += self.heading.take().unwrap_or(0.0);
                (self.after_code, self.after_hash) = (false, false);
                continue;
            }
            let marks = Marks::of(trimmed);
            let is_word = || marks.wide > 0 && trimmed.chars().any(char::is_alphanumeric);
            all.has_words = all.has_words || marks.letters + marks.digits > 0 || is_word();
            let indented = line.starts_with([' ', '\t']);
            let shape = self.shape(trimmed, indented, &marks, all);
            self.after_code = shape == Shape::Code;
            self.after_hash = trimmed.starts_with('#');
            self.cells = marks.cells();
            all.n_lines += 1;
            all.of_shape(shape).add_assign(1.0 + marks.n_chars() as f64 / 80.0);
        }
        all.points += self.heading.take().unwrap_or(0.0);
    }

    fn shape(&mut self, line: &str, indented: bool, marks: &Marks, all: &mut Evidence) -> Shape {
        if let Some(within) = self.within {
            return self.shape_within(within, line, marks);
        }
        let bytes = line.as_bytes();
        if all.n_lines == 0 && is_rule(line) {
            all.points += 2.0;
            self.within = Some(Within::Settings(bytes[0]));
            return Shape::Fenced;
        }
        if let Some(fence) = fence(line) {
            all.points += 2.0 + self.heading.take().unwrap_or(0.0);
            self.within = Some(Within::Fence(fence));
            return Shape::Fenced;
        }
        if bytes[0] == b'#' && (self.after_hash || self.after_code) {
            self.heading = None;
            return Shape::Code;
        }
        if is_log(line, marks) {
            return Shape::Log;
        }
        if marks.backslashes > 0 && is_latex(line) {
            all.is_latex_document |= line.starts_with(r"\documentclass") || line.starts_with(r"\begin{document}");
            return Shape::Latex;
        }
        let sentence = marks.reads_like_a_sentence(line);
        let opens = opens(line);
        let has_marks = marks.letters + marks.wide + marks.digits + marks.blanks < line.chars().take(200).count();
        let goes_on = self.after_code && indented && !sentence && has_marks;
        if opens.is_some() || goes_on || is_code(line, indented, marks, sentence) {
            self.within = opens.filter(|(within, at)| !closes(*within, &line[*at..])).map(|(within, _)| within);
            self.heading = None;
            return Shape::Code;
        }
        all.points += self.heading.take().unwrap_or(0.0) + markdown_points(line, marks);
        self.heading = heading(line);
        if marks.bars >= 2 && (bytes[0] == b'|' || marks.bars >= 3) {
            return Shape::Table;
        }
        let same = self.cells.iter().zip(marks.cells()).any(|(before, now)| now > 0 && *before == now);
        if !sentence && (marks.tabs >= 2 || (same && marks.has_cells())) {
            return Shape::Table;
        }
        if marks.n_chars() <= 120 && is_item(line, marks) {
            return Shape::List;
        }
        if sentence { Shape::Prose } else { Shape::Other }
    }

    fn shape_within(&mut self, within: Within, line: &str, marks: &Marks) -> Shape {
        if closes(within, line) {
            self.within = None;
        }
        match within {
            // What begins at the top and never ends is no settings, and no line of it is lost.
            Within::Settings(_) if marks.reads_like_a_sentence(line) && !line.contains(':') => {
                self.within = None;
                Shape::Prose
            }
            Within::Fence(_) | Within::Settings(_) => Shape::Fenced,
            Within::Comment | Within::Quotes(_) => Shape::Code,
        }
    }
}

/// What a line of code opens, and where what is in it begins.
fn opens(line: &str) -> Option<(Within, usize)> {
    let raw = usize::from(line.starts_with('r'));
    let bytes = &line.as_bytes()[raw..];
    match bytes {
        [b'/', b'*', ..] if raw == 0 => Some((Within::Comment, 2)),
        [mark @ (b'"' | b'\''), second, third, ..] if second == mark && third == mark => {
            Some((Within::Quotes(*mark), raw + 3))
        }
        _ => None,
    }
}

/// Whether a line is what stands above and below settings.
fn is_rule(line: &str) -> bool {
    line == "+++" || (line.len() >= 3 && line.bytes().all(|b| b == b'-'))
}

/// Whether a line, from what opens on, closes what is open.
fn closes(within: Within, line: &str) -> bool {
    match within {
        Within::Fence(mark) => line.len() >= 3 && line.bytes().take(3).all(|b| b == mark),
        Within::Settings(mark) => is_rule(line) && line.as_bytes()[0] == mark,
        Within::Comment => line.contains("*/"),
        Within::Quotes(mark) => line.as_bytes().windows(3).any(|three| three.iter().all(|b| *b == mark)),
    }
}

/// How many there are of what, in a line.
#[derive(Debug, Default)]
struct Marks {
    letters: usize,
    /// Letters and other characters that are not ASCII.
    wide: usize,
    digits: usize,
    blanks: usize,
    tabs: usize,
    commas: usize,
    /// Commas with a blank after them, as in sentences.
    soft_commas: usize,
    semicolons: usize,
    colons: usize,
    bars: usize,
    backslashes: usize,
    backquotes: usize,
    stars: usize,
    equals: usize,
    /// Opening brackets right behind a letter: calls.
    calls: usize,
    /// `](`: links of Markdown.
    links: usize,
    /// `::`, `->`, `=>`, `==`, `!=`, `+=`, `&&`, `||`, `</`, `/>`.
    operators: usize,
    /// Full stops, exclamation and question marks before a blank or the end, and such of other scripts.
    ends: usize,
}

impl Marks {
    fn of(line: &str) -> Self {
        let mut marks = Self::default();
        let bytes = line.as_bytes();
        let mut n_of = [0usize; 6];
        for (i, &b) in bytes.iter().enumerate() {
            let class = CLASSES[usize::from(b)];
            n_of[usize::from(class)] += 1;
            if class != MARK {
                continue;
            }
            let before = if i == 0 { b' ' } else { bytes[i - 1] };
            let next = bytes.get(i + 1).copied().unwrap_or(b' ');
            match b {
                b'\t' => marks.tabs += 1,
                b',' => {
                    marks.commas += 1;
                    marks.soft_commas += usize::from(next == b' ');
                }
                b';' => marks.semicolons += 1,
                b'|' => {
                    marks.bars += 1;
                    marks.operators += usize::from(before == b'|');
                }
                b'\\' => marks.backslashes += 1,
                b'`' => marks.backquotes += 1,
                b'*' => marks.stars += 1,
                b'=' => {
                    marks.equals += 1;
                    marks.operators += usize::from(matches!(before, b'=' | b'!' | b'+'));
                }
                b'>' => marks.operators += usize::from(matches!(before, b'-' | b'=' | b'/')),
                b'/' => marks.operators += usize::from(before == b'<'),
                b':' => {
                    marks.colons += 1;
                    marks.operators += usize::from(before == b);
                }
                b'&' => marks.operators += usize::from(before == b),
                b'(' => {
                    marks.links += usize::from(before == b']');
                    marks.calls += usize::from(before.is_ascii_alphanumeric() || before == b'_');
                }
                b'.' | b'!' | b'?' => marks.ends += usize::from(matches!(next, b' ' | b'"' | b'\'' | b')')),
                // The last byte of the ideographic full stop, and of the wide marks: U+3002, U+FF01, U+FF1F.
                0x82 => marks.ends += usize::from(bytes[..i].ends_with(&[0xe3, 0x80])),
                0x81 | 0x9f => marks.ends += usize::from(bytes[..i].ends_with(&[0xef, 0xbc])),
                _ => {}
            }
        }
        let [_, letters, digits, blanks, wide, _] = n_of;
        Self { letters, digits, blanks, wide, ..marks }
    }

    fn n_chars(&self) -> usize {
        // Marks weigh nothing, so that a line of dashes weighs as little as it says.
        self.letters + self.wide + self.digits + self.blanks
    }

    fn cells(&self) -> [usize; 3] {
        [self.tabs, self.commas, self.semicolons]
    }

    /// Whether what could be borders of cells is that: not the commas of a sentence.
    fn has_cells(&self) -> bool {
        self.tabs > 0 || self.semicolons >= 2 || (self.commas >= 2 && 2 * self.soft_commas < self.commas)
    }

    fn reads_like_a_sentence(&self, line: &str) -> bool {
        if self.letters + self.wide == 0 || self.digits > self.letters + self.wide {
            return false;
        }
        if 2 * self.wide > self.letters {
            // Scripts without blanks, and words of other letters.
            let n_wide_words = if self.blanks > 3 { 4 } else { 8 };
            return self.ends > 0 || self.wide >= n_wide_words;
        }
        let words = line.split([' ', '\t']).filter(|word| is_plain_word(word)).take(5).count();
        words >= 5 || (words >= 2 && self.ends > 0)
    }
}

/// Bytes that stand for nothing here, and those that continue a character.
const NOTHING: u8 = 0;
const LETTER: u8 = 1;
const DIGIT: u8 = 2;
const BLANK: u8 = 3;
/// The first byte of a character that is not ASCII.
const WIDE: u8 = 4;
/// What is looked at with its neighbours.
const MARK: u8 = 5;

const CLASSES: [u8; 256] = {
    let mut classes = [NOTHING; 256];
    let mut b = 0;
    while b < 256 {
        classes[b] = match b as u8 {
            b'a'..=b'z' | b'A'..=b'Z' => LETTER,
            b'0'..=b'9' => DIGIT,
            b' ' => BLANK,
            0xc0.. => WIDE,
            b'\t' | b',' | b';' | b'|' | b'\\' | b'`' | b'*' | b'=' | b'>' | b'/' | b':' | b'&' | b'(' | b'.'
            | b'!' | b'?' => MARK,
            0x81 | 0x82 | 0x9f => MARK,
            _ => NOTHING,
        };
        b += 1;
    }
    classes
};

/// Whether a word is one of letters, with the punctuation of a sentence around it at most.
fn is_plain_word(word: &str) -> bool {
    let word = word.trim_matches(['"', '\'', '(', ')', ',', '.', '!', '?', ';', ':', '“', '”', '’', '*', '_']);
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphabetic() || matches!(b, b'\'' | b'-') || b >= 0x80)
}

/// The mark of a fence that a line opens or closes.
fn fence(line: &str) -> Option<u8> {
    let mark = *line.as_bytes().first().filter(|b| matches!(b, b'`' | b'~'))?;
    let run = line.bytes().take_while(|b| *b == mark).count();
    (run >= 3 && !line[run..].contains('`')).then_some(mark)
}

/// Whether a line begins with when something happened.
fn is_log(line: &str, marks: &Marks) -> bool {
    // A date or a time has six digits, and something between them.
    if marks.digits < 6 {
        return false;
    }
    let head = &line.as_bytes()[..line.len().min(60)];
    let fits = |at: usize, form: &[u8]| {
        head.len() >= at + form.len()
            && head[at..].iter().zip(form).all(|(b, form)| if *form == b'0' { b.is_ascii_digit() } else { b == form })
    };
    let has_time = (0..head.len()).any(|at| fits(at, b"00:00:00"));
    let has_date = (0..head.len().min(4)).any(|at| fits(at, b"0000-00-00") || fits(at, b"0000/00/00"));
    if !has_time && !has_date {
        return false;
    }
    // The moment itself, wherever it stands.
    if has_time && (0..head.len()).any(|at| fits(at, b"0000-00-00") && fits(at + 11, b"00:00:00")) {
        return true;
    }
    let numbers = head.iter().take_while(|b| b.is_ascii_digit() || **b == b'.');
    let is_address = numbers.filter(|b| **b == b'.').count() == 3;
    // As the library glog has it: the first letter of the level, month and day.
    let is_glog = matches!(head[0], b'I' | b'W' | b'E' | b'F') && fits(1, b"0000 00:00:00");
    let month = MONTHS.iter().any(|month| line.starts_with(month));
    if has_time && (has_date || is_address || is_glog || month) {
        return true;
    }
    let end = (0..=head.len()).rev().find(|&at| line.is_char_boundary(at)).unwrap_or(0);
    LEVELS.iter().any(|level| line[..end].contains(level))
}

/// How the lines of a system's log begin.
const MONTHS: [&str; 12] =
    ["Jan ", "Feb ", "Mar ", "Apr ", "May ", "Jun ", "Jul ", "Aug ", "Sep ", "Oct ", "Nov ", "Dec "];

/// How logs name what matters.
const LEVELS: [&str; 12] = [
    "ERROR", "WARN", "INFO", "DEBUG", "TRACE", "FATAL", "CRITICAL", "[error]", "[warn]", "[info]", "[debug]",
    "[notice]",
];

fn is_latex(line: &str) -> bool {
    let command = |rest: &str| rest.bytes().take_while(u8::is_ascii_alphabetic).count();
    if let Some(rest) = line.strip_prefix('\\') {
        let n = command(rest);
        let goes_on = rest.as_bytes().get(n).is_none_or(|b| matches!(b, b'{' | b'[' | b' '));
        return matches!(rest, "[" | "]") || (n >= 2 && goes_on);
    }
    line.match_indices('\\').any(|(at, _)| {
        let rest = &line[at + 1..];
        let n = command(rest);
        n >= 2 && rest.as_bytes().get(n) == Some(&b'{')
    })
}

/// The points of a heading, if the line is one.
fn heading(line: &str) -> Option<f64> {
    let level = line.bytes().take_while(|b| *b == b'#').count();
    ((1..=6).contains(&level) && line[level..].starts_with(' ')).then_some(if level == 1 { 1.0 } else { 2.0 })
}

fn markdown_points(line: &str, marks: &Marks) -> f64 {
    let mut points = marks.links as f64;
    // Once in a line is enough for what comes in pairs.
    if marks.backquotes >= 2 && line.match_indices('`').count().is_multiple_of(2) {
        points += 1.0;
    }
    let is_bold = |at: usize| line.as_bytes().get(at + 2).is_some_and(|b| b.is_ascii_alphanumeric() || *b >= 0x80);
    if marks.stars >= 4 && line.match_indices("**").any(|(at, _)| is_bold(at)) {
        points += 1.0;
    }
    // `[name]: https://…`.
    if line.starts_with('[') && line.contains("]: ") {
        points += 1.0;
    }
    if ["- [ ] ", "- [x] ", "* [ ] ", "* [x] "].iter().any(|tick| line.starts_with(tick)) {
        points += 2.0;
    }
    if marks.bars > 0 && line.contains("--") && line.bytes().all(|b| matches!(b, b'|' | b'-' | b':' | b' ')) {
        points += 2.0;
    }
    points
}

fn is_item(line: &str, marks: &Marks) -> bool {
    let mut chars = line.chars();
    let Some(first) = chars.next() else { return false };
    if !matches!(first, '-' | '*' | '+' | '•' | '◦' | '▪' | '●' | '■' | '–' | '·')
        && marks.ends > usize::from(marks.letters > 0)
    {
        return false;
    }
    match first {
        '-' | '*' | '+' | '•' | '◦' | '▪' | '●' | '■' | '–' => chars.next() == Some(' '),
        '·' | '①'..='⑳' => true,
        '（' | '(' => {
            let number = chars.as_str().chars().take_while(|c| is_number(*c)).count();
            (1..=3).contains(&number) && chars.as_str().chars().nth(number).is_some_and(|c| matches!(c, '）' | ')'))
        }
        _ => {
            let number = line.chars().take_while(|c| is_number(*c)).count();
            let mut rest = line.chars().skip(number);
            let after = (rest.next(), rest.next());
            (1..=3).contains(&number)
                && (matches!(after, (Some('.' | ')'), Some(' '))) || matches!(after.0, Some('、' | '．')))
        }
    }
}

fn is_number(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, '一' | '二' | '三' | '四' | '五' | '六' | '七' | '八' | '九' | '十')
}

/// Words that lines of code begin with. Those that begin sentences as well need a mark of code in the line.
const KEYWORDS: [&str; 60] = [
    "abstract",
    "async",
    "await",
    "break",
    "case",
    "class",
    "const",
    "continue",
    "def",
    "default",
    "do",
    "elif",
    "else",
    "end",
    "enum",
    "export",
    "extern",
    "final",
    "fn",
    "for",
    "foreach",
    "from",
    "func",
    "function",
    "go",
    "if",
    "impl",
    "import",
    "include",
    "int",
    "interface",
    "let",
    "local",
    "loop",
    "match",
    "mod",
    "module",
    "mut",
    "namespace",
    "new",
    "package",
    "private",
    "protected",
    "pub",
    "public",
    "require",
    "return",
    "static",
    "struct",
    "switch",
    "template",
    "throw",
    "trait",
    "try",
    "type",
    "typedef",
    "use",
    "using",
    "void",
    "while",
];

/// What only lines of code begin with.
const OPENERS: [&str; 18] = [
    "//",
    "*/",
    "#include",
    "#define",
    "#if",
    "#endif",
    "#!",
    "#[",
    "<?",
    "</",
    "<!",
    "$ ",
    ">>> ",
    "SELECT ",
    "INSERT INTO ",
    "CREATE TABLE ",
    "ALTER TABLE ",
    "DELETE FROM ",
];

/// Whether a line is `name: value`, as settings in YAML are.
fn is_setting(line: &str) -> bool {
    let is_name = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    let name = line.bytes().take_while(is_name).count();
    name > 0 && line[name..].strip_prefix(':').is_some_and(|value| value.is_empty() || value.starts_with(' '))
}

fn is_code(line: &str, indented: bool, marks: &Marks, sentence: bool) -> bool {
    let bytes = line.as_bytes();
    let (first, last) = (bytes[0], bytes[bytes.len() - 1]);
    // Markdown and LaTeX have brackets of their own.
    let has_marks = marks.operators > 0 || marks.calls > 0 || marks.equals > 0;
    if OPENERS.iter().any(|opener| line.starts_with(opener)) {
        return true;
    }
    if matches!(last, b'{' | b'}') || matches!(first, b'{' | b'}') {
        return !sentence || has_marks;
    }
    if last == b';' && (!sentence || has_marks) && marks.wide <= marks.letters {
        return true;
    }
    if first == b'<' && last == b'>' && bytes.len() > 2 {
        return true;
    }
    if first == b'"' && (line.contains("\": ") || line.contains("\":")) {
        return true;
    }
    if first == b'[' && last == b']' && !line.contains(' ') && marks.letters > 0 {
        return true;
    }
    let word = bytes.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
    if has_marks || matches!(last, b':' | b'(' | b'\\') || (indented && !sentence) {
        let keyword = KEYWORDS.binary_search(&&line[..word]).is_ok();
        if keyword && (!sentence || has_marks) && (has_marks || marks.ends == 0) && marks.links == 0 {
            return true;
        }
    }
    if line.starts_with("from ") && line.contains(" import ") && marks.ends == 0 {
        return true;
    }
    // Without a mark: `import os`, `pub mod text`.
    let starts =
        matches!(&line[..word], "import" | "pub" | "package" | "mod" | "using" | "return" | "break" | "continue");
    if starts && line.split(' ').count() <= 3 && !matches!(last, b'.' | b'!' | b'?') {
        return true;
    }
    if sentence || marks.links > 0 {
        return false;
    }
    // `name = value`, and paths of names before it.
    let name = bytes.iter().take_while(|b| {
        b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'[' | b']' | b'"' | b'\'' | b'$' | b'@')
    });
    let name = name.count();
    if name > 0 && first != b'-' {
        let rest = line[name..].trim_start();
        let assigns = [":=", "=", "+=", "-=", "*=", "/=", "|="].iter().any(|sign| rest.starts_with(sign));
        if assigns && !rest.starts_with("===") {
            return true;
        }
    }
    if is_setting(line) || line.strip_prefix("- ").is_some_and(is_setting) {
        return true;
    }
    let words = line.split(' ').filter(|word| is_plain_word(word)).take(5).count();
    if marks.operators > 0 && words <= 4 {
        return true;
    }
    marks.calls > 0 && words <= 3 && matches!(last, b')' | b',' | b'(' | b':' | b'?')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn judged(text: &str) -> (&'static str, f64) {
        decide(&evidence(text))
    }

    #[track_caller]
    fn check(text: &str, kind: &str) {
        assert_eq!(judged(text).0, kind, "{:?}", evidence(text));
    }

    #[track_caller]
    fn check_shapes(shape: Shape, lines: &[&str]) {
        for line in lines {
            let found = Lines::default().shape(line, false, &Marks::of(line), &mut Evidence::default());
            assert_eq!(found, shape, "{line:?}");
        }
    }

    #[test]
    fn nothing_to_go_by_is_undetermined() {
        for text in ["", " \n\t\n", "!!! ---", "\u{0}", "……！", "🚢"] {
            assert_eq!(judged(text), ("und", 0.0));
        }
    }

    #[test]
    fn sentences_are_prose() {
        check("The boats lay on the mud all summer. Nobody came for them.\n\nThen it rained.", "prose");
        check("那年夏天河水很低，船都搁在泥里。\n没有人来取它们。", "prose");
        check("Паром уходит в семь, и никто не ждёт опоздавших.", "prose");
        check("Very good, would buy again", "prose");
        check("　　船はずっと泥の上にあった。\n　　誰も来なかった。", "prose");
    }

    #[test]
    fn a_poem_is_prose() {
        check(
            "The boats are on the mud,\nthe mud is on the boats,\nand who shall row them now\nthat nobody is left?",
            "prose",
        );
    }

    #[test]
    fn programs_are_code() {
        check("fn main() {\n    let n = 3;\n    println!(\"{n}\");\n}\n", "code");
        check(
            "import os\n\n# Where boats are kept.\ndef boats(path):\n    \"\"\"Lists the boats of a harbour.\n\n    \
               All of them.\n    \"\"\"\n    for name in os.listdir(path):\n        yield name\n",
            "code",
        );
        check(
            "#include <stdio.h>\n/*\n * Says that a boat has left.\n * It returns nothing at all.\n */\nvoid left(void) {\n  \
               puts(\"gone\");\n}",
            "code",
        );
        check("#!/bin/sh\nset -e\n# Bring the boats in, all of them.\ncd harbour\nmake boats\n", "code");
        check("SELECT name, length FROM boats WHERE length > 9;", "code");
    }

    #[test]
    fn what_is_opened_is_closed() {
        let after = "The boats lay on the mud all summer.";
        let prose = evidence(after).prose;
        for opened in
            ["\"\"\"\nAll of them.\n\"\"\"", "r'''All of them.'''", "/*\n * All of them.\n */", "/* All of them. */"]
        {
            let found = evidence(&format!("{opened}\n{after}"));
            assert_eq!((found.prose, found.code > 0.0), (prose, true), "{opened}");
        }
    }

    #[test]
    fn settings_and_markup_are_code() {
        check("{\n  \"boat\": \"Ida\",\n  \"length\": [9, 3]\n}", "code");
        check("harbour:\n  boats: 12\n  crew:\n    - name: Ida\n      role: cook\n", "code");
        check("[harbour]\nname = \"North\"\nboats = 12\n", "code");
        check("<html>\n<body>\n<p>Boats</p>\n</body>\n</html>", "code");
    }

    #[test]
    fn marks_of_markdown_make_a_page() {
        check("# Boats\n\nThey lie on the mud, see [the list](list.md).\n", "markdown");
        check("Install it first.\n\n```\nmake boats\n```\n\nThen run `boats`.", "markdown");
        check("---\ntitle: Boats\n---\n\nThey lie on the mud.\n", "markdown");
        check("Good. **\nBad. *\nVery good indeed. ****\n", "prose");
        check("- [ ] paint the boats\n- [x] count the boats\n", "markdown");
        check("# Boats\n\nThey lie on the mud, and nobody comes for them any more.\n", "prose");
    }

    #[test]
    fn comments_are_no_headings() {
        let text = "# Paint the boats\n# and count them\n# when the rain is over\n# and nobody looks\n";
        assert_eq!(evidence(text).points, 0.0);
        assert_eq!(evidence("# Paint the boats\n\nThen count them.").points, 1.0);
        assert_eq!(evidence("## Paint the boats\nThen count them.").points, 2.0);
        assert_eq!(evidence("# Paint the boats\nlet boats = 3;\n# and count them").points, 0.0);
    }

    #[test]
    fn a_fence_in_a_program_ends() {
        let code = "let a = 1;\nlet b = 2;\nlet help = r#\"\n```sql\nselect\n```\"#;\nlet c = 3;\nlet d = 4;\n";
        check(&code.repeat(3), "code");
    }

    #[test]
    fn latex_is_latex() {
        check(
            "\\documentclass{article}\n\\begin{document}\nThe boats lay on the mud, and nobody came.\n\\end{document}",
            "latex",
        );
        check(
            "\\section{Boats}\nTheir length $l$ is \\emph{long}.\n\\begin{itemize}\n\\item one\n\\end{itemize}",
            "latex",
        );
        check("He keeps them in C:\\boats and D:\\more of them.", "prose");
    }

    #[test]
    fn rows_are_a_table() {
        check("name\tlength\tmast\nIda\t9\t1\nElse\t12\t2\nOlga\t7\t0\n", "table");
        check("name,length,mast\nIda,9,1\nElse,12,2\nOlga,7,0\nTove,8,1\n", "table");
        check("| Ida | 9 |\n| Else | 12 |\n| Olga | 7 |\n", "table");
        check(
            "Ida, who is old, and Else, who is not, left.\nOlga, who is here, and Tove, who is ill, did not.",
            "prose",
        );
    }

    #[test]
    fn items_are_a_list() {
        check("Boats:\n- Ida\n- Else\n- Olga\n- Tove\n", "list");
        check("1. Ida\n2. Else\n3. Olga\n", "list");
        check("一、木船\n二、铁船\n三、纸船\n", "list");
        check("一、木船须每年上漆一次。\n二、铁船须除锈。\n", "prose");
    }

    #[test]
    fn moments_are_a_log() {
        check("2031-05-06 07:08:09 INFO boat Ida left\n2031-05-06 07:08:11 WARN mud\n", "log");
        check("May  6 07:08:09 harbour boatd[12]: Ida left\nMay  6 07:09:00 harbour boatd[12]: mud\n", "log");
        check("I0506 07:08:09.000001 12 boat.go:7] Ida left\n", "log");
        check("10.0.0.7 - - [06/May/2031:07:08:09 +0000] \"GET /boats HTTP/1.1\" 200 12\n", "log");
        check("{\"time\":\"2031-05-06T07:08:09Z\",\"boat\":\"Ida\"}\n", "log");
        check("At 07:08:09 the boat left, and 120 people saw it go.", "prose");
    }

    #[test]
    fn lines_have_shapes() {
        check_shapes(
            Shape::Code,
            &["let boat = boats[3];", "if (!boat) {", "}", "boat.row(3, true);", "use boats::Boat;"],
        );
        check_shapes(
            Shape::Prose,
            &[
                "Use the boat; it is quick.",
                "For three days nothing came.",
                "If it rains, we go home:",
                "(None of it is true.)",
            ],
        );
        check_shapes(Shape::Other, &["Boats", "Home Boats News", "CHAPTER IX"]);
        check_shapes(Shape::List, &["• Ida", "3) Else", "（二）木船"]);
        check_shapes(Shape::Latex, &["\\item", "\\[", "see \\cite{ida}"]);
    }

    #[test]
    fn what_weighs_most_decides() {
        check("a = 1;\nb = 2;\nBoat\nMuds\n", "code");
        check("a = 1;\nBoat\nMuds\n", "prose");
    }

    #[test]
    fn a_menu_below_a_colon_is_no_code() {
        check("Edition:\n  Africa\n  Asia\n  Europe\n  Home & Garden\n  Sports\n", "prose");
    }

    #[test]
    fn scores_grow_with_the_evidence() {
        let line = "The boats lay on the mud all summer.\n";
        assert!(judged(line).1 < judged(&line.repeat(4)).1);
        let mixed = [line, "Boats\nMud\n"].concat();
        assert!(judged(&mixed).1 < judged(&line.repeat(3)).1);
    }

    #[test]
    fn a_giant_is_judged_by_its_pieces() {
        let code = "let boat = boats[3];\n".repeat(20_000);
        check(&code, "code");
        assert!(evidence(&code).n_lines < PIECES * PIECE / 20);
        check(&["Mud ".repeat(500_000).as_str(), "\n"].concat(), "prose");
        let late = ["A line of prose about boats and mud, and no end of it.\n".repeat(3000), code].concat();
        check(&late, "code");
    }

    proptest! {
        #[test]
        fn every_text_has_a_kind(text in r#"(?s)([#`~|*\\\[\](){};:=,\t\n -]{0,4}|[a-z中é0-9]{0,3}|/\*|\*/|["]{3}|---\n|.){0,40}"#) {
            let (kind, score) = judged(&text);
            prop_assert!((0.0..=1.0).contains(&score));
            prop_assert_eq!(kind == "und", !text.contains(char::is_alphanumeric), "{}", kind);
            prop_assert_eq!(judged(&text), (kind, score));
        }
    }
}
