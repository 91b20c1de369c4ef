//! Writes Chinese in one script: simplified, or traditional in one of its forms.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rewrite::Rewrite;
use crate::stage::{Normalizer, Settings};
use crate::text;

/// Writes Chinese in one script: simplified, or traditional in one of its forms.
///
/// The tables are those of OpenCC 1.4.2 (`t2s`, `s2t`, `s2tw`, `s2hk`), and so is the rule: from left to right the
/// longest phrase that the table knows, or else the character. So 头发 becomes 頭髮 and 发现 發現, and 乾坤 stays what it
/// is where 乾燥 becomes 干燥. Words are not changed, only how they are written (软件 does not become 軟體). Han
/// characters alone are looked at, each run of them for itself, and there are as many of them afterwards as before.
///
/// OpenCC's own result can change when it is converted again (詩云 becomes 詩雲). Here what phrases become are phrases
/// that stay, and the conversion is done over until nothing changes; a run of characters for which eight times are not
/// enough stays as it was.
///
/// To traditional is a guess where one simplified character stands for several: texts that are traditional already
/// change a little, too.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChineseScript {
    /// The script to write. Default `simplified`, in which there is most text, and which is the surer way: there is
    /// hardly a character with two simplified forms.
    pub to: Script,
    /// Texts, and lines of other texts, stay as they are if a greater share of their Han characters, kana and Hangul
    /// is kana and Hangul: they are Japanese or Korean. Default 0.1, our own guess: Japanese prose has more than
    /// half, a Chinese page that names a Japanese thing a few in a hundred. 1 converts everything.
    pub max_kana: f64,
}

/// A way to write Chinese.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Script {
    /// Simplified, from any traditional form.
    #[default]
    Simplified,
    /// Traditional in the forms that OpenCC takes for standard, which keep apart what can be kept apart: 爲, 裏, 臺.
    Traditional,
    /// Traditional as it is written in Taiwan: 為, 裡, 臺.
    Taiwan,
    /// Traditional as it is written in Hong Kong: 為, 裏, 台.
    HongKong,
}

impl Default for ChineseScript {
    fn default() -> Self {
        Self { to: Script::Simplified, max_kana: 0.1 }
    }
}

impl Settings for ChineseScript {
    const NAME: &'static str = "chinese_script";
    const ABOUT: &'static str = "writes Chinese in one script, simplified or traditional, by OpenCC's tables";
    type Stage = Converter;

    fn build(self) -> Result<Converter, String> {
        if !(0.0..=1.0).contains(&self.max_kana) {
            return Err(format!("`max_kana` is {}, but a share is from 0 to 1", self.max_kana));
        }
        let steps: &[&LazyLock<Step>] = match self.to {
            Script::Simplified => &[&SIMPLIFIED],
            Script::Traditional => &[&TRADITIONAL],
            Script::Taiwan => &[&TRADITIONAL, &TAIWAN],
            Script::HongKong => &[&TRADITIONAL, &HONG_KONG],
        };
        let steps: Vec<&'static Step> = steps.iter().map(|step| LazyLock::force(step)).collect();
        let mut changing = Bits::default();
        steps.iter().for_each(|step| changing.add_all(&step.changing));
        Ok(Converter { steps, changing, max_kana: self.max_kana })
    }
}

/// [`ChineseScript`], built.
pub struct Converter {
    /// What is done to a text, one after the other.
    steps: Vec<&'static Step>,
    /// The characters that one of the steps can change. A text without them stays as it is.
    changing: Bits,
    max_kana: f64,
}

impl Normalizer for Converter {
    fn normalize<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.next_changing(text, 0).is_none() || self.is_foreign(text) {
            return Cow::Borrowed(text);
        }
        let mut out = Rewrite::of(text);
        let mut at = 0;
        while let Some(hit) = self.next_changing(text, at) {
            let begin = text[at..hit].rfind('\n').map_or(at, |end| at + end + 1);
            let end = memchr::memchr(b'\n', &text.as_bytes()[hit..]).map_or(text.len(), |len| hit + len + 1);
            out.keep(at..begin);
            if self.is_foreign(&text[begin..end]) {
                out.keep(begin..end);
            } else {
                self.convert_line(text, begin..end, &mut out);
            }
            at = end;
        }
        out.keep(at..text.len());
        out.finish()
    }
}

impl Converter {
    /// Converts each run of Han characters of `line`.
    fn convert_line(&self, text: &str, line: Range<usize>, out: &mut Rewrite<'_>) {
        let mut at = line.start;
        while let Some(hit) = self.next_changing(&text[..line.end], at) {
            let begin = text[at..hit].char_indices().rev().take_while(|&(_, c)| is_han(c)).last();
            let begin = begin.map_or(hit, |(begin, _)| at + begin);
            let end = text[hit..line.end].find(|c| !is_han(c)).map_or(line.end, |len| hit + len);
            out.keep(at..begin);
            match self.settle(&text[begin..end]) {
                None => out.keep(begin..end),
                Some(converted) => {
                    for ((i, before), after) in text[begin..end].char_indices().zip(converted.chars()) {
                        if before == after {
                            out.keep(begin + i..begin + i + before.len_utf8());
                        } else {
                            out.put(after);
                        }
                    }
                }
            }
            at = end;
        }
        out.keep(at..line.end);
    }

    /// What a run of Han characters becomes in the end, unless it stays as it is.
    fn settle(&self, run: &str) -> Option<String> {
        let mut settled = self.convert(run);
        if settled == run {
            return None;
        }
        for _ in 1..MAX_PASSES {
            if self.next_changing(&settled, 0).is_none() {
                return Some(settled);
            }
            let again = self.convert(&settled);
            if again == settled {
                return Some(settled);
            }
            settled = again;
        }
        None
    }

    fn convert(&self, run: &str) -> String {
        let (first, others) = self.steps.split_first().expect("there is a step for every script");
        others.iter().fold(first.convert(run), |run, step| step.convert(&run))
    }

    /// Where the next character that can change is, from the character at `from` on.
    fn next_changing(&self, text: &str, from: usize) -> Option<usize> {
        let bytes = text.as_bytes();
        let mut at = from;
        while let Some(&first) = bytes.get(at) {
            if first < LEAST_FIRST_BYTE {
                at += bytes[at..].chunks(32).take_while(|chunk| !has_han(chunk)).map(<[u8]>::len).sum::<usize>();
                at += bytes[at..].iter().take_while(|&&b| b < LEAST_FIRST_BYTE).count();
                continue;
            }
            let low = |i: usize| u32::from(bytes.get(at + i).copied().unwrap_or(0) & 0x3f);
            let (point, len) = if first < 0xf0 {
                (u32::from(first & 0xf) << 12 | low(1) << 6 | low(2), 3)
            } else {
                (u32::from(first & 7) << 18 | low(1) << 12 | low(2) << 6 | low(3), 4)
            };
            if self.changing.contains(point) {
                return Some(at);
            }
            at += len;
        }
        None
    }

    /// Whether a text is Japanese or Korean by its characters.
    fn is_foreign(&self, text: &str) -> bool {
        let (mut n_han, mut n_foreign) = (0_usize, 0_usize);
        for c in text.chars().filter(|&c| c >= '\u{1100}') {
            n_han += usize::from(is_han(c));
            n_foreign += usize::from(is_kana_or_hangul(c));
        }
        n_foreign as f64 > self.max_kana * (n_han + n_foreign) as f64
    }
}

/// How often a run is converted before it is given up. Each character of the tables changes three times at most.
const MAX_PASSES: usize = 8;

/// No Han character begins with a byte below, and no other byte of a character is as high.
const LEAST_FIRST_BYTE: u8 = 0xe3;

fn has_han(bytes: &[u8]) -> bool {
    bytes.iter().fold(0, |most, &b| b.max(most)) >= LEAST_FIRST_BYTE
}

fn is_han(c: char) -> bool {
    matches!(c, '\u{3005}' | '\u{3007}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

fn is_kana_or_hangul(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{ac00}'..='\u{d7a3}')
        || (text::is_cjk(c) && !is_han(c) && c != '・' && c != 'ー')
}

/// One table of phrases and characters.
struct Step {
    phrases: AhoCorasick,
    /// What each of the phrases becomes.
    targets: Vec<String>,
    characters: Characters,
    changing: Bits,
}

static SIMPLIFIED: LazyLock<Step> = LazyLock::new(|| Step::of(include_str!("chinese_script/simplified.txt")));
static TRADITIONAL: LazyLock<Step> = LazyLock::new(|| Step::of(include_str!("chinese_script/traditional.txt")));
static TAIWAN: LazyLock<Step> = LazyLock::new(|| Step::of(include_str!("chinese_script/taiwan.txt")));
static HONG_KONG: LazyLock<Step> = LazyLock::new(|| Step::of(include_str!("chinese_script/hong_kong.txt")));

impl Step {
    /// Reads a table, whose head says what its lines are. Characters come before phrases.
    fn of(table: &str) -> Self {
        let mut characters = Characters::default();
        let mut changing = Bits::default();
        let (mut phrases, mut targets): (Vec<Cow<'_, str>>, Vec<String>) = (Vec::new(), Vec::new());
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            let (from, to) = match line.split_once('\t') {
                Some((from, to)) => (from, to.to_owned()),
                None => (line, line.chars().map(|c| characters.get(c)).collect()),
            };
            let changed = from.chars().zip(to.chars()).filter(|(before, after)| before != after);
            changed.for_each(|(before, _)| changing.add(u32::from(before)));
            let mut chars = to.chars();
            match (chars.next(), chars.next()) {
                (Some(to), None) => characters.add(from, to),
                _ => {
                    phrases.push(from.into());
                    targets.push(to);
                }
            }
        }
        // What a phrase has become is a phrase, too, that keeps what is right in it when the text is seen again.
        let known: HashSet<&str> = phrases.iter().map(AsRef::as_ref).collect();
        let becomes_another = |to: &&String| to.chars().any(|c| characters.get(c) != c) && !known.contains(to.as_str());
        let stable: BTreeSet<String> = targets.iter().filter(becomes_another).cloned().collect();
        phrases.extend(stable.iter().cloned().map(Cow::from));
        targets.extend(stable);
        let phrases = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(phrases.iter().map(|phrase| phrase.as_bytes()));
        Self { phrases: phrases.expect("the tables are far below the limits"), targets, characters, changing }
    }

    fn convert(&self, run: &str) -> String {
        let mut out = String::with_capacity(run.len());
        let mut at = 0;
        for phrase in self.phrases.find_iter(run) {
            out.extend(run[at..phrase.start()].chars().map(|c| self.characters.get(c)));
            out.push_str(&self.targets[phrase.pattern().as_usize()]);
            at = phrase.end();
        }
        out.extend(run[at..].chars().map(|c| self.characters.get(c)));
        out
    }
}

/// What single characters become.
#[derive(Default)]
struct Characters {
    /// From U+3400 to U+9FFF, where nearly all of them are.
    near: Vec<char>,
    far: BTreeMap<char, char>,
}

impl Characters {
    const NEAR: Range<char> = '\u{3400}'..'\u{a000}';

    fn add(&mut self, from: &str, to: char) {
        for from in from.chars() {
            if Self::NEAR.contains(&from) {
                if self.near.is_empty() {
                    self.near = Self::NEAR.collect();
                }
                self.near[from as usize - Self::NEAR.start as usize] = to;
            } else {
                self.far.insert(from, to);
            }
        }
    }

    fn get(&self, c: char) -> char {
        if Self::NEAR.contains(&c) {
            self.near.get(c as usize - Self::NEAR.start as usize).copied().unwrap_or(c)
        } else {
            self.far.get(&c).copied().unwrap_or(c)
        }
    }
}

/// A set of code points.
#[derive(Default)]
struct Bits(Vec<u64>);

impl Bits {
    fn add(&mut self, point: u32) {
        let word = point as usize / 64;
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (point % 64);
    }

    fn add_all(&mut self, other: &Self) {
        self.0.resize(self.0.len().max(other.0.len()), 0);
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word |= other);
    }

    fn contains(&self, point: u32) -> bool {
        self.0.get(point as usize / 64).is_some_and(|word| word >> (point % 64) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SCRIPTS: [Script; 4] = [Script::Simplified, Script::Traditional, Script::Taiwan, Script::HongKong];

    fn converter(to: Script) -> Converter {
        ChineseScript { to, ..ChineseScript::default() }.build().expect("the settings of a test are right")
    }

    #[track_caller]
    fn check(to: Script, text: &str, expected: &str) {
        assert_eq!(converter(to).normalize(text), expected, "{text:?}");
    }

    #[test]
    fn traditional_becomes_simplified() {
        check(Script::Simplified, "漢字簡化之後，頭髮還是頭髮。", "汉字简化之后，头发还是头发。");
        check(Script::Simplified, "為什麼這裡沒有電視機？", "为什么这里没有电视机？");
    }

    #[test]
    fn simplified_becomes_traditional_in_the_form_asked_for() {
        let text = "在里面，因为头发干了，台湾皇后发现面条。";
        check(Script::Traditional, text, "在裏面，因爲頭髮幹了，臺灣皇后發現麪條。");
        check(Script::Taiwan, text, "在裡面，因為頭髮幹了，臺灣皇后發現麵條。");
        check(Script::HongKong, text, "在裏面，因為頭髮幹了，台灣皇后發現麪條。");
    }

    #[test]
    fn phrases_decide() {
        check(Script::Simplified, "乾坤乾燥", "乾坤干燥");
        check(Script::Simplified, "沈重的沈先生", "沉重的沈先生");
        check(Script::Taiwan, "皇后之后", "皇后之後");
    }

    #[test]
    fn a_longer_phrase_goes_before_a_shorter_one() {
        check(Script::Simplified, "瞭望瞭解一目瞭然", "瞭望了解一目了然");
    }

    #[test]
    fn only_han_changes() {
        let text = "Ünïcode 123 —「」 العربية русский 😀\u{fffd}";
        for to in SCRIPTS {
            check(to, text, text);
        }
        check(Script::Simplified, "C++語言（第3版）\tＡ國\n", "C++语言（第3版）\tＡ国\n");
    }

    #[test]
    fn japanese_and_korean_stay() {
        let japanese = "東京は日本の首都である。";
        check(Script::Simplified, japanese, japanese);
        let korean = "大韓民國의 首都는 서울이다.";
        check(Script::Simplified, korean, korean);
    }

    #[test]
    fn lines_in_japanese_stay_in_a_chinese_text() {
        let chinese = "這個網頁用中文介紹一首日本的歌曲，說明它的來歷，也說明它為什麼這樣受人喜歡。\n".repeat(4);
        let simplified = "这个网页用中文介绍一首日本的歌曲，说明它的来历，也说明它为什么这样受人喜欢。\n".repeat(4);
        let song = "東京の空が見える";
        check(Script::Simplified, &format!("{chinese}{song}\n{chinese}"), &format!("{simplified}{song}\n{simplified}"));
    }

    #[test]
    fn a_little_kana_does_not_make_a_text_japanese() {
        check(Script::Simplified, "優の良品賣東西給國人", "优の良品卖东西给国人");
        check(Script::Simplified, "優の良品賣東西給國", "優の良品賣東西給國");
        let all = ChineseScript { max_kana: 1.0, ..ChineseScript::default() }.build().expect("1 is a share");
        assert_eq!(all.normalize("東京の"), "东京の");
    }

    #[test]
    fn a_share_is_a_share() {
        for max_kana in [-0.1, 1.1, f64::NAN] {
            let error = ChineseScript { max_kana, ..ChineseScript::default() }.build().map(drop);
            assert!(error.expect_err("no share").contains("`max_kana`"));
        }
    }

    #[test]
    fn tables_are_whole() {
        for (step, n_phrases) in [(&SIMPLIFIED, 438), (&TRADITIONAL, 48_722), (&TAIWAN, 12), (&HONG_KONG, 266)] {
            assert!(step.targets.len() >= n_phrases, "{} of {n_phrases}", step.targets.len());
            assert_eq!(step.phrases.patterns_len(), step.targets.len());
        }
        let all = include_str!("chinese_script/traditional.txt").lines().filter(|line| !line.starts_with('#'));
        for line in all {
            let (from, to) = line.split_once('\t').unwrap_or((line, line));
            assert_eq!(text::n_chars(from), text::n_chars(to), "{line}");
            assert!(line.chars().all(|c| is_han(c) || c == '\t'), "{line}");
        }
    }

    /// Every phrase and every character of the tables is a text that settles.
    #[test]
    fn no_entry_needs_more_passes_than_there_are() {
        for to in SCRIPTS {
            let converter = converter(to);
            let tables =
                [include_str!("chinese_script/simplified.txt"), include_str!("chinese_script/traditional.txt")];
            for from in tables.iter().flat_map(|table| table.lines()).filter(|line| !line.starts_with('#')) {
                let from = from.split('\t').next().unwrap_or_default();
                if converter.convert(from) != from {
                    assert!(converter.settle(from).is_some(), "{to:?} {from}");
                }
            }
        }
    }

    #[test]
    fn one_long_line_is_converted() {
        let long = "頭髮乾了".repeat(100_000);
        check(Script::Simplified, &long, &"头发干了".repeat(100_000));
    }

    /// Texts of characters that phrases of either direction are made of, with others between.
    fn texts() -> impl Strategy<Value = String> {
        let han: Vec<char> =
            "乾坤燥瞭解望然一目沈重先生坏土么麼幺麽覆反藉口頭髮发展后皇里裡裏面麵麪台臺薴苧苎着著干幹周週只隻出齣松鬆"
                .chars()
                .collect();
        let piece = prop_oneof![
            8 => prop::sample::select(han),
            1 => prop::sample::select(vec!['a', '，', '\n', 'の', '𠀀', ' ']),
            1 => prop::char::range('\u{4e00}', '\u{9fff}'),
        ];
        prop::collection::vec(piece, 0..40).prop_map(String::from_iter)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn converting_twice_is_converting_once(text in texts()) {
            for to in SCRIPTS {
                let converter = converter(to);
                let once = converter.normalize(&text).into_owned();
                let twice = converter.normalize(&once);
                prop_assert_eq!(&twice, &once);
                prop_assert!(matches!(twice, Cow::Borrowed(_)));
            }
        }

        #[test]
        fn characters_keep_their_places(text in prop_oneof![texts(), any::<String>()]) {
            for to in SCRIPTS {
                let converted = converter(to).normalize(&text).into_owned();
                prop_assert_eq!(text::n_chars(&converted), text::n_chars(&text));
                for (before, after) in text.chars().zip(converted.chars()) {
                    prop_assert!(before == after || (is_han(before) && is_han(after)), "{} {}", before, after);
                }
            }
        }
    }
}
