//! Makes the punctuation of Chinese one: wide marks, ellipses, dashes, quotation marks.

use std::borrow::Cow;
use std::iter;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rewrite::Rewrite;
use crate::stage::{Normalizer, Settings};

/// Makes the punctuation of Chinese one: wide marks, ellipses, dashes, quotation marks.
///
/// A mark is looked at with what stands beside it, so that numbers, addresses and code are left alone: nothing changes
/// but beside Chinese characters, and beside Latin words where a wide mark is between two of them. The marks are those
/// of the Chinese standard GB/T 15834-2011; which ones are changed by default is our own judgement. `width` brings
/// letters, digits and spaces to one width, and it can do so with all punctuation, whatever it stands beside.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChinesePunctuation {
    /// Whether `,` `!` `?` `:` `;` become wide between Chinese characters, and at the end of a line behind one; a blank
    /// behind the mark goes, for the wide mark has its own. Default: yes.
    pub wide: bool,
    /// Whether `(` and `)` become wide around Chinese text behind a Chinese character or mark. Default: yes.
    pub brackets: bool,
    /// Whether `.` becomes `。` as `wide` says. Default: no, for it parts the names of people, too.
    pub full_stops: bool,
    /// Whether wide marks become ASCII's between two Latin letters. Default: yes.
    pub ascii: bool,
    /// Whether `...` behind a Chinese character, `。。。`, and one or more than two `…` beside one become `……`. A row
    /// of more than six dots is a leader and stays. Default: yes.
    pub ellipses: bool,
    /// Whether `--`, `－－`, `──` and three or more `—` between Chinese characters become `——`. Default: yes.
    pub dashes: bool,
    /// So many of the same `!` or `?` may follow each other in Chinese text, and the others go; 0 leaves all of them.
    /// Default 3, our own guess: more of them say nothing more.
    pub max_repeats: usize,
    /// The quotation marks of Chinese text. Default `keep`. A line with an unequal number of opening and closing ones
    /// keeps what it has.
    pub quotes: Quotes,
}

/// A kind of quotation marks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Quotes {
    /// What there is.
    #[default]
    Keep,
    /// “ ” and ‘ ’, as on the mainland.
    Curly,
    /// 「 」 and 『 』, as in Taiwan and Hong Kong.
    Corner,
}

impl Default for ChinesePunctuation {
    fn default() -> Self {
        Self {
            wide: true,
            brackets: true,
            full_stops: false,
            ascii: true,
            ellipses: true,
            dashes: true,
            max_repeats: 3,
            quotes: Quotes::Keep,
        }
    }
}

impl Settings for ChinesePunctuation {
    const NAME: &'static str = "chinese_punctuation";
    const ABOUT: &'static str = "makes the punctuation of Chinese one: wide marks, ellipses, dashes, quotes";
    type Stage = Self;

    fn build(self) -> Result<Self, String> {
        Ok(self)
    }
}

impl Normalizer for ChinesePunctuation {
    fn normalize<'t>(&self, text: &'t str) -> Cow<'t, str> {
        // All wide characters begin with these bytes, and so do Chinese characters; dots and dashes stand beside them.
        if !text.bytes().any(|b| b >= 0xe3) {
            return Cow::Borrowed(text);
        }
        let Cow::Owned(mut changed) = self.normalize_once(text) else { return Cow::Borrowed(text) };
        // A mark that has become wide makes others beside it Chinese.
        for _ in 1..MAX_PASSES {
            match self.normalize_once(&changed) {
                Cow::Borrowed(_) => return Cow::Owned(changed),
                Cow::Owned(again) => changed = again,
            }
        }
        Cow::Borrowed(text)
    }
}

/// How often a text is gone through before it is left as it was. A text of nothing but marks is one.
const MAX_PASSES: usize = 8;

impl ChinesePunctuation {
    fn normalize_once<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut out = Rewrite::of(text);
        // The bracket that is to become wide, where an opening one has.
        let mut closing = None;
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let quotes = if self.quotes != Quotes::Keep && are_pairs(line) { self.quotes } else { Quotes::Keep };
            let mut before = None;
            let mut at = 0;
            while let Some(c) = line[at..].chars().next() {
                let run = run_of(&line[at..], c);
                let after = line[at + run..].chars().find(|&c| c != '\r');
                let n = run / c.len_utf8();
                let place = start + at;
                let mut put = |c: char, n: usize| iter::repeat_n(c, n).for_each(|c| out.put(c));
                let mut len = run;
                match c {
                    ',' | '!' | '?' | ':' | ';' | '.' if self.becomes_wide(c, n) && is_chinese(before) => {
                        let blank = &line[at + run..];
                        let behind_blank = blank.strip_prefix(' ').and_then(|rest| rest.chars().next());
                        let n = if self.max_repeats > 0 { n.min(self.max_repeats) } else { n };
                        if matches!(after, None | Some('\n')) || is_chinese(after) {
                            put(wide(c), n);
                        } else if behind_blank.is_some_and(is_han) {
                            put(wide(c), n);
                            len += 1;
                        } else {
                            out.keep(place..place + run);
                        }
                    }
                    '！' | '？' if self.max_repeats > 0 && n > self.max_repeats => {
                        out.keep(place..place + self.max_repeats * c.len_utf8());
                    }
                    '，' | '！' | '？' | '：' | '；' | '（' | '）'
                        if self.ascii && n == 1 && is_latin(before) && is_latin(after) =>
                    {
                        put(ascii(c), 1);
                    }
                    '.' if self.ellipses && (3..=6).contains(&n) && before.is_some_and(is_han) => put('…', 2),
                    '。' if self.ellipses && n >= 3 => put('…', 2),
                    '…' if self.ellipses && n != 2 && (before.is_some_and(is_han) || after.is_some_and(is_han)) => {
                        put('…', 2);
                    }
                    '-' | '－' | '─' | '—'
                        if self.dashes
                            && (n == 2 || n == 3 || (c == '—' && n > 2))
                            && (c, n) != ('—', 2)
                            && before.is_some_and(is_han)
                            && after.is_some_and(is_han) =>
                    {
                        put('—', 2);
                    }
                    '(' if self.brackets
                        && n == 1
                        && closing.is_none()
                        && (is_chinese(before) || is_wide_mark(before)) =>
                    {
                        closing = closing_bracket(&line[at + 1..]).map(|len| place + 1 + len);
                        if closing.is_some() { put('（', 1) } else { out.keep(place..place + 1) }
                    }
                    ')' if closing.is_some_and(|closing| (place..place + n).contains(&closing)) => {
                        put('）', 1);
                        out.keep(place + 1..place + n);
                        closing = None;
                    }
                    _ => match other_quote(c, quotes) {
                        Some(other) => put(other, n),
                        None => out.keep(place..place + run),
                    },
                }
                before = Some(c);
                at += len;
            }
            start += line.len();
        }
        out.finish()
    }

    fn becomes_wide(&self, c: char, n: usize) -> bool {
        match c {
            '!' | '?' => self.wide,
            '.' => self.full_stops && n == 1,
            _ => self.wide && n == 1,
        }
    }
}

/// The bytes of the run of `c` that the text begins with, if `c` is a mark; or of `c` alone.
fn run_of(text: &str, c: char) -> usize {
    if is_han(c) || c.is_ascii_alphanumeric() || matches!(c, ' ' | '\n') {
        return c.len_utf8();
    }
    text.find(|other| other != c).unwrap_or(text.len())
}

/// Where the bracket is that closes the one before `text`, if what is between begins and ends with Chinese characters.
fn closing_bracket(text: &str) -> Option<usize> {
    // A bracket holds a remark, and no paragraph; so the time is linear.
    let end = text.char_indices().take(MAX_BRACKETED).find(|&(_, c)| matches!(c, '(' | ')' | '\n'));
    let (end, ')') = end? else { return None };
    let inside = &text[..end];
    let is_text = inside.chars().next().is_some_and(is_han) && inside.chars().next_back().is_some_and(is_han);
    is_text.then_some(end)
}

const MAX_BRACKETED: usize = 100;

fn is_han(c: char) -> bool {
    matches!(c, '\u{3005}' | '\u{3007}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

/// Whether it is a Chinese character or a mark that stands in Chinese text only.
fn is_chinese(c: Option<char>) -> bool {
    c.is_some_and(|c| is_han(c) || matches!(c, '《' | '》' | '「' | '」' | '『' | '』' | '【' | '】' | '（' | '）'))
}

fn is_wide_mark(c: Option<char>) -> bool {
    c.is_some_and(|c| matches!(c, '，' | '。' | '、' | '：' | '；' | '！' | '？'))
}

fn is_latin(c: Option<char>) -> bool {
    c.is_some_and(|c| matches!(c, 'A'..='Z' | 'a'..='z' | 'À'..='ÿ'))
}

fn wide(c: char) -> char {
    if c == '.' { '。' } else { char::from_u32(c as u32 + 0xfee0).expect("the wide form of an ASCII mark") }
}

fn ascii(c: char) -> char {
    char::from_u32(c as u32 - 0xfee0).expect("the ASCII form of a wide mark")
}

/// Whether a line in Chinese has as many opening as closing quotation marks of each kind.
fn are_pairs(line: &str) -> bool {
    let count = |mark: char| line.matches(mark).count();
    let pairs = [('“', '”'), ('‘', '’'), ('「', '」'), ('『', '』')];
    line.chars().any(is_han) && pairs.iter().all(|&(open, close)| count(open) == count(close))
}

fn other_quote(c: char, quotes: Quotes) -> Option<char> {
    let (curly, corner) = ("“”‘’", "「」『』");
    let (from, to) = match quotes {
        Quotes::Keep => return None,
        Quotes::Curly => (corner, curly),
        Quotes::Corner => (curly, corner),
    };
    from.chars().zip(to.chars()).find(|&(from, _)| from == c).map(|(_, to)| to)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(ChinesePunctuation::default().normalize(text), expected, "{text:?}");
    }

    #[test]
    fn marks_between_chinese_characters_become_wide() {
        check("你好,世界!我来了;你呢?他说:好", "你好，世界！我来了；你呢？他说：好");
        check("你好, 世界", "你好，世界");
        check("如下:\n他走了!", "如下：\n他走了！");
        check("《书》,好", "《书》，好");
    }

    #[test]
    fn numbers_words_and_code_stay() {
        for text in [
            "1,000元,2元",
            "时间:12:30",
            "见https://a.cn/?a=1,2",
            "用C++, Go",
            "foo(bar)",
            "打印(x)",
            "[文](http://a.cn)",
            "Hello, world!",
            "1，000",
            "你好 , 世界",
            "丹尼.博伊尔",
            "a--b, 3--5",
            "目录.......3",
            "北京—上海",
            "好——坏……",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn brackets_become_wide_in_pairs() {
        check("他(张三)来了", "他（张三）来了");
        check("他(张三来了", "他(张三来了");
        check("他(见3)来了", "他(见3)来了");
        check("好，(他说)坏", "好，（他说）坏");
        check("他(张三(李四)来", "他(张三（李四）来");
    }

    #[test]
    fn wide_marks_between_latin_words_become_ascii() {
        check("Hello，world！Yes", "Hello,world!Yes");
        check("Hello，世界", "Hello，世界");
    }

    #[test]
    fn ellipses_and_dashes_are_one() {
        check("等等...", "等等……");
        check("等等。。。。好", "等等……好");
        check("等…好…………了", "等……好……了");
        check("他--就是他－－走了", "他——就是他——走了");
        check("他———走了", "他——走了");
    }

    #[test]
    fn marks_are_repeated_so_often() {
        check("好！！！！！", "好！！！");
        check("好!!!!!", "好！！！");
        check("好！！！", "好！！！");
        check("So!!!!!", "So!!!!!");
        let all = ChinesePunctuation { max_repeats: 0, ..ChinesePunctuation::default() };
        assert_eq!(all.normalize("好！！！！！"), "好！！！！！");
    }

    #[test]
    fn quotes_are_those_asked_for() {
        let with = |quotes| ChinesePunctuation { quotes, ..ChinesePunctuation::default() };
        assert_eq!(with(Quotes::Corner).normalize("他说“你‘好’”"), "他说「你『好』」");
        assert_eq!(with(Quotes::Curly).normalize("他说「你『好』」"), "他说“你‘好’”");
        assert_eq!(with(Quotes::Corner).normalize("他说“好\nit’s “it”"), "他说“好\nit’s “it”");
        check("他说「好」“好”", "他说「好」“好”");
    }

    #[test]
    fn rules_can_be_switched_off() {
        let off = ChinesePunctuation {
            wide: false,
            brackets: false,
            ascii: false,
            ellipses: false,
            dashes: false,
            max_repeats: 0,
            ..ChinesePunctuation::default()
        };
        let text = "你,好(他)a，b好...他--他！！！！！";
        assert_eq!(off.normalize(text), text);
        let stops = ChinesePunctuation { full_stops: true, ..off };
        assert_eq!(stops.normalize("好.他走了.\n3.5"), "好。他走了。\n3.5");
    }

    #[test]
    fn one_long_line_is_normalized() {
        check(&"你,".repeat(200_000), &"你，".repeat(200_000));
        check(&"你(".repeat(200_000), &"你(".repeat(200_000));
        let dots = "你".to_owned() + &".".repeat(500_000);
        check(&dots, &dots);
    }

    fn texts() -> impl Strategy<Value = String> {
        let pieces =
            prop::sample::select("你好,.!?:;() …。，！？：；（）—-－─“”‘’「」『』a1\n《》".chars().collect::<Vec<_>>());
        prop_oneof![prop::collection::vec(pieces, 0..40).prop_map(String::from_iter), any::<String>()]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn normalizing_twice_is_normalizing_once(text in texts()) {
            for quotes in [Quotes::Keep, Quotes::Curly, Quotes::Corner] {
                let rules = ChinesePunctuation { quotes, full_stops: true, ..ChinesePunctuation::default() };
                let once = rules.normalize(&text).into_owned();
                prop_assert_eq!(rules.normalize(&once), once.as_str());
            }
        }

        #[test]
        fn letters_digits_and_line_ends_stay(text in texts()) {
            let kept = |text: &str| text.chars().filter(|c| c.is_alphanumeric() || *c == '\n').collect::<String>();
            prop_assert_eq!(kept(&ChinesePunctuation::default().normalize(&text)), kept(&text));
        }
    }
}
