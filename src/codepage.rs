//! Text that was read in the wrong code page: what it was before, and how much of a text it is.
//!
//! Three ways to misread are known, which are the commonest in crawls of Chinese and of western pages: UTF-8 read as
//! Latin-1 or Windows-1252 (`Ã©`, `â€™`), UTF-8 read as GBK (`浣犲ソ`), and GBK read as Latin-1 or Windows-1252
//! (`ÄãºÃ`). Each of them can have happened more than once.
//!
//! Code pages are those of the WHATWG Encoding Standard, which browsers follow, by way of `encoding_rs`; and the
//! bytes that Windows-1252 has no character for may stand as the controls of Latin-1, as they do there.

use std::borrow::Cow;
use std::ops::{Range, RangeInclusive};
use std::sync::LazyLock;

use encoding_rs::{BIG5, Encoding, GBK, WINDOWS_1252};

use crate::text;

/// Which misreadings are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misreadings {
    /// UTF-8 read as Latin-1 or Windows-1252.
    pub utf8_as_latin: bool,
    /// UTF-8 read as GBK.
    pub utf8_as_gbk: bool,
    /// GBK read as Latin-1 or Windows-1252.
    pub gbk_as_latin: bool,
}

impl Misreadings {
    /// All of them.
    pub const ALL: Self = Self { utf8_as_latin: true, utf8_as_gbk: true, gbk_as_latin: true };
}

/// The text as it was before it was misread, as far as that is sure; borrowed where nothing is.
///
/// Repairing what is repaired changes nothing. The time is linear in the length of the text.
pub fn repair(text: &str, which: Misreadings) -> Cow<'_, str> {
    let Some(mut repaired) = repair_once(text, which) else { return Cow::Borrowed(text) };
    for _ in 1..MAX_READINGS {
        match repair_once(&repaired, which) {
            None => return Cow::Owned(repaired),
            Some(again) => repaired = again,
        }
    }
    // Nobody misreads a text so often: it is made of something else.
    Cow::Borrowed(text)
}

/// The number of characters that look as if they had been read in the wrong code page, whether they could be repaired
/// or not: runs of characters beyond ASCII in which those are frequent that UTF-8 becomes in GBK and that are rare
/// otherwise; UTF-8 sequences of Latin-1 characters; and runs with five and more letters of Latin-1 beyond ASCII.
pub fn n_garbled(text: &str) -> usize {
    let mut n = 0;
    let mut at = 0;
    while let Some(hit) = next_tell_tale(text, at) {
        let run = run_beyond_ascii(text, hit);
        let mut n_tell_tales = 0;
        at = hit;
        while let Some(hit) = next_tell_tale(&text[..run.end], at) {
            n_tell_tales += 1;
            at = hit + TELL_TALE_LEN;
        }
        // Two characters of three bytes each became three of two, of which one is a tell-tale.
        let n_chars = text::n_chars(&text[run.clone()]);
        if n_tell_tales >= 3 && n_tell_tales * 8 >= n_chars {
            n += n_chars;
        }
        at = run.end;
    }
    for run in latin_runs(text) {
        let n_chars = text::n_chars(&text[run.clone()]);
        let n_letters = text[run.clone()].chars().filter(|c| ('À'..='ÿ').contains(c)).count();
        if n_letters >= LONG_RUN || read_as_utf8(text, run).is_some_and(|reading| reading.is_sure) {
            n += n_chars;
        }
    }
    n
}

/// How often a text may have been misread.
const MAX_READINGS: usize = 8;

/// So many letters of Latin-1 beyond ASCII do not follow each other in any language that is written in it.
const LONG_RUN: usize = 5;

/// A part of a text and what it was before.
struct Reading {
    range: Range<usize>,
    text: String,
    n_chars: usize,
    /// What it was written in.
    page: Page,
    /// Whether it is sure by itself. If not, it is believed where the text has others of the page that are.
    is_sure: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Page {
    Utf8,
    Gbk,
}

fn repair_once(text: &str, which: Misreadings) -> Option<String> {
    let mut readings = Vec::new();
    if which.utf8_as_latin || which.gbk_as_latin {
        let mut tried = 0;
        for run in latin_runs(text) {
            let utf8 = if which.utf8_as_latin { read_as_utf8(text, run.clone()) } else { None };
            let gbk = || if which.gbk_as_latin { read_as_gbk(text, run.clone(), &mut tried) } else { None };
            readings.extend(utf8.or_else(gbk));
        }
        let n_sure = |page| {
            let sure = readings.iter().filter(|reading| reading.is_sure && reading.page == page);
            sure.map(|reading| reading.n_chars).sum::<usize>()
        };
        let enough = [n_sure(Page::Utf8) >= ENOUGH_SURE, n_sure(Page::Gbk) >= ENOUGH_SURE];
        readings.retain(|reading| reading.is_sure || enough[reading.page as usize]);
    }
    if which.utf8_as_gbk {
        let n_latin = readings.len();
        let mut at = 0;
        while let Some(hit) = next_tell_tale(text, at) {
            let run = run_beyond_ascii(text, hit);
            at = run.end;
            readings.extend(read_gbk_as_utf8(text, run));
        }
        if n_latin > 0 && readings.len() > n_latin {
            // A run of the one kind can hold one of the other; the first to begin is repaired, the other next time.
            readings.sort_by_key(|reading| reading.range.start);
        }
    }
    if readings.is_empty() {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for Reading { range, text: before, .. } in readings {
        if range.start >= at {
            out.push_str(&text[at..range.start]);
            out.push_str(&before);
            at = range.end;
        }
    }
    out.push_str(&text[at..]);
    Some(out)
}

/// So many characters of a text that are sure make the others sure, too.
const ENOUGH_SURE: usize = 3;

/// The maximal runs of characters that Latin-1 or Windows-1252 has for bytes from 0x80 on, at least two, or one before
/// an ASCII character that GBK may have taken along.
///
/// A space within is taken along where it stands for the no-break space that completes a character.
fn latin_runs(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            // All characters from U+0080 to U+00FF begin with these bytes, and hardly a sequence is without one.
            let hit = at + memchr::memchr2(0xc2, 0xc3, &text.as_bytes()[at..])?;
            let begin = text[at..hit].char_indices().rev().take_while(|&(_, c)| byte_of(c).is_some()).last();
            let begin = begin.map_or(hit, |(begin, _)| at + begin);
            let mut end = begin;
            let mut last = [0, 0];
            let mut chars = text[begin..].char_indices().peekable();
            while let Some((i, c)) = chars.next() {
                let byte = match byte_of(c) {
                    Some(byte) => byte,
                    None if c == ' ' && matches!(last, [0xe3..=0xe9, 0x80..=0xbf]) => {
                        let goes_on = chars.peek().is_some_and(|&(_, c)| matches!(byte_of(c), Some(0xe3..=0xef)));
                        if !goes_on {
                            break;
                        }
                        NO_BREAK_SPACE
                    }
                    None => break,
                };
                last = [last[1], byte];
                end = begin + i + c.len_utf8();
            }
            at = end;
            if text[begin..end].chars().nth(1).is_some() || next_is_trail(&text[end..]) {
                return Some(begin..end);
            }
        }
    })
}

const NO_BREAK_SPACE: u8 = 0xa0;

/// Whether a character of GBK may end with the ASCII character that comes next.
fn next_is_trail(text: &str) -> bool {
    matches!(text.as_bytes().first(), Some(0x40..=0x7e))
}

/// The byte from 0x80 on that Latin-1 or Windows-1252 reads as the character.
fn byte_of(c: char) -> Option<u8> {
    Some(match c {
        '\u{80}'..='\u{ff}' => c as u8,
        '€' => 0x80,
        '‚' => 0x82,
        'ƒ' => 0x83,
        '„' => 0x84,
        '…' => 0x85,
        '†' => 0x86,
        '‡' => 0x87,
        'ˆ' => 0x88,
        '‰' => 0x89,
        'Š' => 0x8a,
        '‹' => 0x8b,
        'Œ' => 0x8c,
        'Ž' => 0x8e,
        '‘' => 0x91,
        '’' => 0x92,
        '“' => 0x93,
        '”' => 0x94,
        '•' => 0x95,
        '–' => 0x96,
        '—' => 0x97,
        '˜' => 0x98,
        '™' => 0x99,
        'š' => 0x9a,
        '›' => 0x9b,
        'œ' => 0x9c,
        'ž' => 0x9e,
        'Ÿ' => 0x9f,
        _ => return None,
    })
}

/// A run of Latin-1 characters, read as the UTF-8 that it was.
fn read_as_utf8(text: &str, run: Range<usize>) -> Option<Reading> {
    let mut n_left = 0;
    let (mut decoded, mut read) = (String::new(), String::new());
    let bytes: Vec<u8> = text[run.clone()].chars().map(|c| byte_of(c).unwrap_or(NO_BREAK_SPACE)).collect();
    let mut chars = text[run.clone()].chars();
    for chunk in bytes.utf8_chunks() {
        decoded.extend(chunk.valid().chars().map(typed));
        read.push_str(chunk.valid());
        chars.by_ref().take(chunk.valid().len()).for_each(drop);
        // Marks that were typed beside what was misread stay; a letter is a sign that nothing was.
        if chunk.invalid().iter().any(|&b| b >= 0xc0) {
            return None;
        }
        n_left += chunk.invalid().len();
        decoded.extend(chars.by_ref().take(chunk.invalid().len()));
    }
    let n_chars = text::n_chars(&read);
    if n_left >= n_chars.max(1) {
        return None;
    }
    let before = text[..run.start].chars().next_back();
    let after = text[run.end..].chars().next();
    let is_sure = is_sure_in_utf8(&bytes, &read, before, after) || (n_left == 0 && bytes.iter().any(is_control));
    Some(Reading { range: run, text: decoded, n_chars, page: Page::Utf8, is_sure })
}

/// A control of Latin-1 is a character of Windows-1252, if that has one for the byte.
fn typed(c: char) -> char {
    if ('\u{80}'..='\u{9f}').contains(&c) {
        let byte = [c as u8];
        return WINDOWS_1252.decode_without_bom_handling(&byte).0.chars().next().unwrap_or(c);
    }
    c
}

/// Whether a byte is one that Latin-1 and Windows-1252 have no character for. Nobody writes these.
fn is_control(b: &u8) -> bool {
    matches!(b, 0x81 | 0x8d | 0x8f | 0x90 | 0x9d)
}

/// Whether UTF-8 that was found in a run of Latin-1 characters was meant: a capital with an accent and a quotation mark
/// behind it are a sequence, too.
fn is_sure_in_utf8(bytes: &[u8], read: &str, before: Option<char>, after: Option<char>) -> bool {
    let is_letter = |c: Option<char>| c.is_some_and(text::is_alpha);
    if let [lead @ 0xc2..=0xd6 | lead @ 0xd8..=0xde, trail] = *bytes {
        let is_typed_beside = matches!(trail, 0x82 | 0x84 | 0x85 | 0x8b | 0x91..=0x97 | 0x99 | 0x9b | 0xab | 0xbb);
        // No word has a capital in the middle.
        if before.is_some_and(char::is_lowercase) {
            return true;
        }
        return match lead {
            0xc2 | 0xc3 => !is_typed_beside || is_letter(after),
            0xc4 | 0xc5 => is_letter(after) || (is_letter(before) && !is_typed_beside),
            _ => false,
        };
    }
    if bytes.len() >= LONG_RUN && bytes.len() >= 3 * text::n_chars(read) && text::n_chars(read) >= 3 {
        // Three characters of three bytes and more: there is no other text that happens to be that.
        return true;
    }
    let mut blocks = [None; 2];
    let (mut n_sure, mut n_han, mut n_common) = (0, 0, 0);
    for c in read.chars() {
        if is_common_han(c) {
            n_common += 1;
        }
        if is_han(c) {
            n_han += 1;
        } else if is_mark_of_text(c) {
            n_sure += 1;
        } else if matches!(c, '\u{a0}'..='\u{17f}') {
            // Two accented letters beside each other, each of them a sequence.
            n_sure += usize::from(bytes.len() >= 4);
        } else if text::is_alpha(c) || text::is_mark(c) {
            let block = Some(c as u32 >> 8);
            n_sure += usize::from(blocks.contains(&block) && bytes.len() >= 4);
            blocks = [blocks[1], block];
        }
    }
    n_sure > 0 || (n_common >= 2 && n_common * 5 >= n_han * 4) || read.chars().any(is_frequent_han)
}

/// Marks and symbols that texts have beside letters, in UTF-8 of three and four bytes.
fn is_mark_of_text(c: char) -> bool {
    matches!(c, '\u{2010}'..='\u{203a}' | '€' | '™' | '\u{2190}'..='\u{22ff}' | '\u{2460}'..='\u{27bf}'
        | '\u{3000}'..='\u{3020}' | '\u{fe0f}' | '\u{feff}' | '\u{ff01}'..='\u{ff5e}' | '\u{fffd}'
        | '\u{1f300}'..='\u{1faff}')
}

fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

/// A run of Latin-1 characters, read as the GBK that it was. Characters of GBK may end with an ASCII one, so that the
/// reading may go on into what follows; but once only into each place (up to `tried`), for the time to be linear.
fn read_as_gbk(text: &str, run: Range<usize>, tried: &mut usize) -> Option<Reading> {
    let goes_on = run.start >= *tried;
    let mut bytes = Vec::new();
    let mut end = run.start;
    let mut chars = text[run.start..].char_indices();
    let mut is_broken = false;
    while end < run.end || (goes_on && text[end..].chars().next().is_some_and(|c| byte_of(c).is_some())) {
        let lead = chars.next().and_then(|(_, c)| byte_of(c));
        let trail = chars.next();
        let trail_byte = trail.and_then(|(_, c)| byte_of(c).or(matches!(c, '@'..='~').then_some(c as u8)));
        let (Some(lead), Some(trail_byte), Some((i, trail))) = (lead, trail_byte, trail) else {
            is_broken = true;
            break;
        };
        bytes.extend([lead, trail_byte]);
        end = run.start + i + trail.len_utf8();
    }
    *tried = end.max(*tried);
    let n_high = bytes.chunks(2).filter(|pair| pair.iter().all(|&b| b >= 0x80)).count();
    // `protégée` is an accented letter and another one, twice.
    if is_broken || n_high * 4 < bytes.len() {
        return None;
    }
    let before = GBK.decode_without_bom_handling_and_without_replacement(&bytes)?.into_owned();
    let n = HanCounts::of(&before);
    let is_thinkable = n.common * 5 >= n.han * 4 && (n.common + n.marks) * 5 >= n.chars * 4;
    // Latin-1 has no letters for the punctuation of GBK: no text happens to have it.
    let is_sure =
        n_high >= 2 && n.common >= 2 && (n.frequent * 5 >= n.han || n.marks > 0 || (n.common >= 5 && n.frequent > 0));
    is_thinkable.then_some(Reading { range: run.start..end, text: before, n_chars: n.chars, page: Page::Gbk, is_sure })
}

/// A run of characters beyond ASCII, read as the UTF-8 that it was when GBK was made of it. Characters whose bytes
/// were lost then are U+FFFD, as they are in the run.
fn read_gbk_as_utf8(text: &str, run: Range<usize>) -> Option<Reading> {
    let garbled = &text[run.clone()];
    let bytes = bytes_of_gbk(garbled)?;
    let mut before = String::new();
    let mut n_lost = 0;
    let mut broken: Vec<u8> = Vec::new();
    for chunk in bytes.utf8_chunks() {
        if !chunk.valid().is_empty() {
            n_lost += put_lost(&mut broken, &mut before)?;
            before.push_str(chunk.valid());
        }
        broken.extend_from_slice(chunk.invalid());
    }
    n_lost += put_lost(&mut broken, &mut before)?;
    let n = HanCounts::of(&before);
    let n_garbled = HanCounts::of(garbled);
    let is_sure = if n.han == 0 {
        n_lost == 0 && n.marks > 0 && n.marks + n.ascii == n.chars
    } else {
        n_lost * 2 <= n.common && n.common * 5 >= n.han * 4 && n.common * n_garbled.han > n_garbled.common * n.han
    };
    is_sure.then_some(Reading { range: run, text: before, n_chars: n.chars, page: Page::Utf8, is_sure })
}

/// The bytes that GBK reads as the text, with one for each character that was lost.
fn bytes_of_gbk(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        let end = rest.find([char::REPLACEMENT_CHARACTER, '€']).unwrap_or(rest.len());
        let (encoded, _, has_others) = GBK.encode(&rest[..end]);
        if has_others {
            return None;
        }
        bytes.extend_from_slice(&encoded);
        let mut chars = rest[end..].chars();
        let Some(special) = chars.next() else { return Some(bytes) };
        rest = chars.as_str();
        if special == char::REPLACEMENT_CHARACTER {
            bytes.push(LOST);
            continue;
        }
        // GBK reads both of these as the euro sign. The longer one ends a character and begins another.
        let n_missing = match *bytes.as_slice() {
            [.., 0xe0..=0xef] => 2,
            [.., 0xe0..=0xef, 0x80..=0xbf] => 1,
            _ => 0,
        };
        let mut next = chars.clone();
        let goes_on = next.next().is_some_and(|c| {
            let mut buffer = [0; 4];
            c == '€' || matches!(GBK.encode(c.encode_utf8(&mut buffer)).0.first(), Some(0x80..=0xbf))
        });
        bytes.extend_from_slice(if n_missing == 1 && goes_on { &[0xa2, 0xe3] } else { &[0x80] });
    }
}

/// Stands for bytes that decoding has lost. It is in no UTF-8.
const LOST: u8 = 0xff;

/// Puts what stands for the bytes of broken characters, if there are any; nothing was lost is no reading.
fn put_lost(broken: &mut Vec<u8>, before: &mut String) -> Option<usize> {
    if broken.is_empty() {
        return Some(0);
    }
    let was_lost = broken.contains(&LOST);
    broken.clear();
    before.push(char::REPLACEMENT_CHARACTER);
    was_lost.then_some(1)
}

/// The run of characters beyond ASCII around the one at `at`.
fn run_beyond_ascii(text: &str, at: usize) -> Range<usize> {
    let begin = text[..at].bytes().rev().take_while(|b| !b.is_ascii()).count();
    let end = text[at..].bytes().position(|b| b.is_ascii()).map_or(text.len(), |len| at + len);
    at - begin..end
}

/// Where the next character is that UTF-8 becomes in GBK, and that is rare otherwise.
fn next_tell_tale(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = from;
    loop {
        at += bytes[at..].iter().position(|&b| matches!(b, 0xe4..=0xe9))?;
        let low = |i: usize| usize::from(bytes.get(at + i).copied().unwrap_or(0) & 0x3f);
        let point = usize::from(bytes[at] & 0xf) << 12 | low(1) << 6 | low(2);
        if has(&HAN.tell_tale, point) && may_follow(&text[at + TELL_TALE_LEN..]) {
            return Some(at);
        }
        at += TELL_TALE_LEN;
    }
}

/// Whether this can come behind a tell-tale, which is two bytes of a character of three.
fn may_follow(rest: &str) -> bool {
    rest.chars().next().is_none_or(|c| !('\u{4e00}'..='\u{9fff}').contains(&c) || has(&HAN.follower, c as usize))
}

fn has(bits: &[u64], point: usize) -> bool {
    bits.get(point / 64).is_some_and(|word| word >> (point % 64) & 1 == 1)
}

/// All of them are between U+4E00 and U+9FFF.
const TELL_TALE_LEN: usize = 3;

/// Characters that tell how plausible Chinese is.
#[derive(Default)]
struct HanCounts {
    chars: usize,
    ascii: usize,
    han: usize,
    /// Of the characters that are in daily use.
    common: usize,
    /// Of the most frequent ones.
    frequent: usize,
    /// Punctuation of Chinese and of typography, and kana.
    marks: usize,
}

impl HanCounts {
    fn of(text: &str) -> Self {
        let mut n = Self::default();
        for c in text.chars() {
            n.chars += 1;
            n.ascii += usize::from(c.is_ascii());
            n.han += usize::from(is_han(c));
            n.common += usize::from(is_common_han(c));
            n.frequent += usize::from(is_frequent_han(c));
            n.marks += usize::from(matches!(c, '\u{2010}'..='\u{203a}' | '\u{3000}'..='\u{3020}' | '\u{b7}'
                | '\u{25a0}'..='\u{25ff}' | '\u{3041}'..='\u{30ff}' | '\u{ff01}'..='\u{ff5e}'));
        }
        n
    }
}

/// Whether a character is in daily use: level 1 of GB 2312 (3,755 characters) or of Big5 (5,401).
fn is_common_han(c: char) -> bool {
    has(&HAN.common, c as usize)
}

fn is_frequent_han(c: char) -> bool {
    HAN.frequent.binary_search(&c).is_ok()
}

struct Han {
    common: Vec<u64>,
    /// What GBK makes of the first two bytes of characters that are common in UTF-8, and rare otherwise.
    tell_tale: Vec<u64>,
    /// What GBK makes of the third byte and the first of the next character.
    follower: Vec<u64>,
    frequent: Vec<char>,
}

static HAN: LazyLock<Han> = LazyLock::new(|| {
    let bits = |characters: String| {
        let mut bits = vec![0_u64; 0x1_0000 / 64];
        characters.chars().for_each(|c| bits[c as usize / 64] |= 1 << (c as usize % 64));
        bits
    };
    let mut frequent: Vec<char> = FREQUENT.chars().collect();
    frequent.sort_unstable();
    Han {
        common: bits(
            pairs(0xb0..=0xd7, 0xa1..=0xfe, GBK)
                + &pairs(0xa4..=0xc6, 0x40..=0x7e, BIG5)
                + &pairs(0xa4..=0xc6, 0xa1..=0xfe, BIG5),
        ),
        tell_tale: bits(
            pairs(0xe4..=0xe9, 0x80..=0xbf, GBK)
                + &pairs(0xe2..=0xe2, 0x80..=0x80, GBK)
                + &pairs(0xe3..=0xe3, 0x80..=0x83, GBK)
                + &pairs(0xef..=0xef, 0xbc..=0xbd, GBK),
        ),
        follower: bits(pairs(0x81..=0xbf, 0x40..=0x7e, GBK) + &pairs(0x81..=0xbf, 0xc2..=0xf4, GBK)),
        frequent,
    }
});

/// The ideographs that a code page has for pairs of such bytes.
fn pairs(leads: RangeInclusive<u8>, trails: RangeInclusive<u8>, page: &'static Encoding) -> String {
    let mut all = String::new();
    for lead in leads {
        for trail in trails.clone() {
            let pair = [lead, trail];
            let decoded = page.decode_without_bom_handling_and_without_replacement(&pair).unwrap_or_default();
            all.extend(decoded.chars().filter(|c| ('\u{4e00}'..='\u{9fff}').contains(c)));
        }
    }
    all
}

/// The most frequent characters of Chinese, both scripts: counted by us in laws, technical articles, encyclopedia
/// paragraphs, reviews and classical texts, each kind weighing the same. Half of all characters are among them.
const FREQUENT: &str = "的一是不了有在以用个人可我为你和中行到这上时要文大下们来使者会如能也之于好定很其数就还本多送分作都没后年他法点\
    对间第出理将或方务地过应现开代所而小自当十成果工得道件生次子目建说发家部服设度国店进面程餐条并入同通但么前房些事提三太\
    关单等公员二量吃项经与据常及实合它管然外更此加里意因给源机主动最全安新型您案内保门天日相需民样区位去规电接看水重式个個\
    為們這時來會數還沒後對間將務過應現開當說發設國進條並麼關單員項經與據實裡給動門樣區電無";
