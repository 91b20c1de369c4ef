//! Writes the numbers and units of Chinese in one way, where it is certain that they are.

use std::borrow::Cow;

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rewrite::Rewrite;
use crate::stage::{Normalizer, Settings};

/// Writes the numbers and units of Chinese in one way, where it is certain that they are. Everything is off unless it
/// is asked for: 三千五百元 is as good as 3500元, and in a novel better.
///
/// A Chinese number is converted if it is written as numbers are (三千五百, 一百零三, 两万; not 三五百, 千万), with
/// nothing numeric beside it and with what each setting asks for behind or before it. Full-width digits
/// are made plain by `width`, and `％` too with its `punctuation = true`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChineseNumbers {
    /// Whether a year of four digits becomes one: 二〇二四年, 一九九八年. Default: no.
    pub years: bool,
    /// Whether months up to 十二月 become digits, and days up to 三十一日 behind a month. Default: no.
    pub dates: bool,
    /// Whether numbers of ten and more become digits behind 第 and before a unit of measure or of money: 三千五百元,
    /// 第十二条. Default: no. 十年 and the like stay, for they are words as often as numbers.
    pub numbers: bool,
    /// Whether 百分之五 becomes 5%. Default: no.
    pub percent: bool,
    /// How units of measure are written behind digits. Default `keep`.
    pub units: UnitStyle,
}

/// A way to write units of measure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnitStyle {
    /// As they are.
    #[default]
    Keep,
    /// 3 m², 3 km, 3 °C: by their international symbols, in the characters that stand there without a blank.
    Symbols,
    /// 3平方米, 3公里, 3摄氏度: by their Chinese names.
    Names,
}

impl Settings for ChineseNumbers {
    const NAME: &'static str = "chinese_numbers";
    const ABOUT: &'static str = "writes Chinese numbers, dates and units in one way; all off unless asked for";
    type Stage = NumberNormalizer;

    fn build(self) -> Result<NumberNormalizer, String> {
        let own = |regex: &str| Regex::new(regex).expect("our own expressions are right");
        Ok(NumberNormalizer {
            rules: self,
            numeral: own(&format!("[{NUMERALS}]+")),
            symbol: own("[0-9](㎡|平方米|平方公尺|平方公里|公里|千米|厘米|毫米|㎝|㎜|㎞|公斤|千克|㎏|摄氏度|攝氏度|℃)"),
            name: own("[0-9] ?(m²|㎡|km²|km|㎞|cm|㎝|mm|㎜|kg|㎏|°C|℃)"),
        })
    }
}

/// [`ChineseNumbers`], built.
pub struct NumberNormalizer {
    rules: ChineseNumbers,
    numeral: Regex,
    symbol: Regex,
    name: Regex,
}

impl Normalizer for NumberNormalizer {
    fn normalize<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.with_digits(text) {
            Cow::Borrowed(text) => self.with_units(text),
            Cow::Owned(text) => Cow::Owned(self.with_units(&text).into_owned()),
        }
    }
}

impl NumberNormalizer {
    fn with_digits<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let rules = &self.rules;
        if text.is_ascii() || !(rules.years || rules.dates || rules.numbers || rules.percent) {
            return Cow::Borrowed(text);
        }
        let mut out = Rewrite::of(text);
        let mut at = 0;
        // Where a month ended, behind which a day is one.
        let mut month = None;
        for numeral in self.numeral.find_iter(text) {
            let after = &text[numeral.end()..];
            let run = numeral.as_str();
            if numeral.start() < at {
                continue;
            }
            let before = &text[at..numeral.start()];
            if text[..numeral.start()].ends_with(is_numeric) || after.starts_with(is_numeric) {
                continue;
            }
            if rules.percent && run == "百" && after.starts_with("分之") {
                if let Some((value, end)) = percentage(&after["分之".len()..]) {
                    out.keep(at..numeral.start());
                    value.to_string().chars().for_each(|c| out.put(c));
                    out.put('%');
                    at = numeral.end() + "分之".len() + end;
                }
                continue;
            }
            let value = if rules.years && after.starts_with('年') {
                year(run)
            } else if rules.dates && after.starts_with('月') {
                value(run).filter(|month| (1..=12).contains(month))
            } else if rules.dates && month == Some(numeral.start()) && after.starts_with(['日', '号', '號']) {
                value(run).filter(|day| (1..=31).contains(day))
            } else if rules.numbers && (before.ends_with('第') || MEASURES.iter().any(|unit| after.starts_with(unit)))
            {
                value(run).filter(|&number| number >= 10)
            } else {
                None
            };
            if after.starts_with('月') {
                month = Some(numeral.end() + '月'.len_utf8());
            }
            if let Some(value) = value {
                out.keep(at..numeral.start());
                value.to_string().chars().for_each(|c| out.put(c));
                at = numeral.end();
            }
        }
        out.keep(at..text.len());
        out.finish()
    }

    fn with_units<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let (regex, units) = match self.rules.units {
            UnitStyle::Keep => return Cow::Borrowed(text),
            UnitStyle::Symbols => (&self.symbol, SYMBOLS),
            UnitStyle::Names => (&self.name, NAMES),
        };
        let mut out = Rewrite::of(text);
        let mut at = 0;
        for found in regex.captures_iter(text) {
            let unit = found.get(1).expect("both expressions have a group");
            let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '²' | '³' | '·' | '每');
            let other = units.iter().find(|(from, _)| *from == unit.as_str());
            if let Some((_, to)) = other.filter(|_| !text[unit.end()..].starts_with(is_part)) {
                out.keep(at..unit.start());
                to.chars().for_each(|c| out.put(c));
                at = unit.end();
            }
        }
        out.keep(at..text.len());
        out.finish()
    }
}

const NUMERALS: &str = "〇零一二两兩三四五六七八九十百千万萬亿億";

/// No number has more bytes.
const MAX_NUMERAL: usize = 96;

/// What makes a number certain that stands before it.
const MEASURES: [&str; 30] = [
    "元",
    "美元",
    "港元",
    "欧元",
    "日元",
    "米",
    "平方米",
    "立方米",
    "公里",
    "平方公里",
    "千米",
    "厘米",
    "毫米",
    "公斤",
    "千克",
    "克",
    "吨",
    "噸",
    "升",
    "毫升",
    "亩",
    "畝",
    "公顷",
    "公頃",
    "摄氏度",
    "攝氏度",
    "公尺",
    "千瓦",
    "㎡",
    "℃",
];

/// Units and their symbols. Longer names are before those that they begin with.
const SYMBOLS: &[(&str, &str)] = &[
    ("㎡", "m²"),
    ("平方米", "m²"),
    ("平方公尺", "m²"),
    ("平方公里", "km²"),
    ("公里", "km"),
    ("千米", "km"),
    ("㎞", "km"),
    ("厘米", "cm"),
    ("㎝", "cm"),
    ("毫米", "mm"),
    ("㎜", "mm"),
    ("公斤", "kg"),
    ("千克", "kg"),
    ("㎏", "kg"),
    ("摄氏度", "°C"),
    ("攝氏度", "°C"),
    ("℃", "°C"),
];

/// Units and their Chinese names.
const NAMES: &[(&str, &str)] = &[
    ("m²", "平方米"),
    ("㎡", "平方米"),
    ("km²", "平方公里"),
    ("km", "公里"),
    ("㎞", "公里"),
    ("cm", "厘米"),
    ("㎝", "厘米"),
    ("mm", "毫米"),
    ("㎜", "毫米"),
    ("kg", "公斤"),
    ("㎏", "公斤"),
    ("°C", "摄氏度"),
    ("℃", "摄氏度"),
];

/// Whether something numeric stands beside a numeral, so that it is not the whole number.
fn is_numeric(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, '０'..='９' | '.' | '几' | '幾' | '数' | '數' | '余' | '餘' | '多' | '点' | '點')
}

fn digit(c: char) -> Option<u64> {
    "〇一二三四五六七八九".chars().zip(0..).find(|&(digit, _)| digit == c).map(|(_, value)| value).or(match c {
        '零' => Some(0),
        '两' | '兩' => Some(2),
        _ => None,
    })
}

/// The number that follows 百分之, and where it ends.
fn percentage(text: &str) -> Option<(u64, usize)> {
    let end = text.find(|c| !NUMERALS.contains(c)).unwrap_or(text.len());
    let (numeral, after) = text.split_at(end);
    if numeral.is_empty() || after.starts_with(is_numeric) {
        return None;
    }
    Some((value(numeral)?, end))
}

/// A year of four digits, each written for itself.
fn year(numeral: &str) -> Option<u64> {
    let digits: Option<Vec<u64>> = numeral.chars().map(digit).collect();
    let digits = digits.filter(|digits| digits.len() == 4 && digits[0] > 0)?;
    Some(digits.into_iter().fold(0, |year, digit| year * 10 + digit))
}

/// The value of a number that is written as numbers are.
fn value(numeral: &str) -> Option<u64> {
    if numeral.len() > MAX_NUMERAL {
        return None;
    }
    let (mut total, mut section, mut last) = (0_u64, 0_u64, 0_u64);
    for c in numeral.chars() {
        if let Some(digit) = digit(c) {
            last = digit;
            continue;
        }
        let unit = match c {
            '十' => 10,
            '百' => 100,
            '千' => 1000,
            '万' | '萬' => 10_000,
            _ => 100_000_000,
        };
        if unit < 10_000 {
            section += if last == 0 && unit == 10 { 1 } else { last } * unit;
        } else {
            // What is before 亿 is counted in it, 万 included.
            let (counted, rest) = if unit == 10_000 { (section + last, total) } else { (total + section + last, 0) };
            total = counted.checked_mul(unit)?.checked_add(rest)?;
            section = 0;
        }
        last = 0;
    }
    let value = total.checked_add(section + last)?;
    // Whoever writes a number otherwise means something else: 三五百 is three or five hundred.
    let plain =
        |text: &str| text.replace(['两', '兩'], "二").replace('零', "〇").replace('萬', "万").replace('億', "亿");
    let numeral = plain(numeral);
    let written = written(value);
    (numeral == written || (written.starts_with("一十") && numeral == written["一".len()..])).then_some(value)
}

/// A number in Chinese.
fn written(value: u64) -> String {
    for (unit, name) in [(100_000_000, '亿'), (10_000, '万')] {
        if value >= unit {
            let (high, low) = (value / unit, value % unit);
            let gap = if low > 0 && low < unit / 10 { "〇" } else { "" };
            let low = if low > 0 { written(low) } else { String::new() };
            return format!("{}{name}{gap}{low}", written(high));
        }
    }
    let digit = |digit: u64| "〇一二三四五六七八九".chars().nth(digit as usize).expect("a digit");
    let mut text = String::new();
    let mut has_gap = false;
    for (unit, name) in [(1000, "千"), (100, "百"), (10, "十"), (1, "")] {
        let place = value / unit % 10;
        if place > 0 {
            text.extend(has_gap.then_some('〇'));
            text.push(digit(place));
            text.push_str(name);
            has_gap = false;
        } else {
            has_gap = !text.is_empty();
        }
    }
    if text.is_empty() { "〇".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(units: UnitStyle) -> NumberNormalizer {
        let rules = ChineseNumbers { years: true, dates: true, numbers: true, percent: true, units };
        rules.build().expect("any settings are right")
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(all(UnitStyle::Keep).normalize(text), expected, "{text:?}");
    }

    #[test]
    fn nothing_is_done_unless_asked_for() {
        let text = "二〇二四年十二月三日，三千五百元，百分之五，3平方米";
        let none = ChineseNumbers::default().build().expect("defaults are right");
        assert!(matches!(none.normalize(text), Cow::Borrowed(_)));
    }

    #[test]
    fn years_are_four_digits() {
        check("二〇二四年，一九九八年，二零零零年", "2024年，1998年，2000年");
        check("二四年，一九九年，〇二三四年，九八九八九年", "二四年，一九九年，〇二三四年，九八九八九年");
    }

    #[test]
    fn dates_are_months_and_days_behind_them() {
        check("十二月三十一日，一月二号", "12月31日，1月2号");
        check("十三月，三十一日，五月三十二日，三个月", "十三月，三十一日，5月三十二日，三个月");
    }

    #[test]
    fn numbers_are_certain_by_what_stands_beside_them() {
        check("三千五百元，第十二条，两万米，一亿零三百万吨", "3500元，第12条，20000米，103000000吨");
        check("十年，三千五百人，第三条，三百多元，数十元", "十年，三千五百人，第三条，三百多元，数十元");
    }

    #[test]
    fn what_is_not_written_as_a_number_stays() {
        check("三五百元，千万元，百元，一二三元，三千万百元", "三五百元，千万元，百元，一二三元，三千万百元");
    }

    #[test]
    fn hundredths_are_percent() {
        check("百分之五，百分之三十二的人", "5%，32%的人");
        check("百分之三点五，百分之几，百分之", "百分之三点五，百分之几，百分之");
    }

    #[test]
    fn units_are_those_asked_for() {
        let symbols = all(UnitStyle::Symbols);
        assert_eq!(symbols.normalize("3平方米，5㎡，9公里，20摄氏度，3℃"), "3m²，5m²，9km，20°C，3°C");
        assert_eq!(symbols.normalize("9公里/小时，几平方米"), "9公里/小时，几平方米");
        let names = all(UnitStyle::Names);
        assert_eq!(names.normalize("3m²，5㎡，9 km，20°C"), "3平方米，5平方米，9 公里，20摄氏度");
        assert_eq!(names.normalize("9km/h，3kmx，m²"), "9km/h，3kmx，m²");
    }

    #[test]
    fn one_long_line_is_normalized() {
        check(&"三".repeat(300_000), &"三".repeat(300_000));
        check(&"百分之".repeat(100_000), &"百分之".repeat(100_000));
        check(&"十二月".repeat(100_000), &"12月".repeat(100_000));
    }

    #[test]
    fn what_is_written_is_read() {
        proptest!(ProptestConfig::with_cases(2000), |(number in 10..1_000_000_000_000_u64)| {
            prop_assert_eq!(value(&written(number)), Some(number));
        });
    }

    #[test]
    fn normalizing_twice_is_normalizing_once() {
        let built = [UnitStyle::Keep, UnitStyle::Symbols, UnitStyle::Names].map(all);
        let texts = "([〇零一二两三十百千万亿年月日第元米,。5 ]|百分之|平方米|km|m²|㎡|℃|[a-z]){0,30}";
        proptest!(ProptestConfig::with_cases(2000), |(text in texts)| {
            for normalizer in &built {
                let once = normalizer.normalize(&text).into_owned();
                prop_assert_eq!(normalizer.normalize(&once), once.as_str());
            }
        });
    }
}
