//! Drops documents by where they come from.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use aho_corasick::AhoCorasick;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::list_file;
use super::threshold::Threshold;
use crate::doc::Doc;
use crate::stage::{Filter, Need, NeedKind, Settings, Verdict, digest};

/// Drops documents whose URL is on a list that you bring, has words of a list in it, or looks odd.
///
/// Lists are files of one entry a line; blank lines and lines that begin with `#` count for nothing. The rules are
/// those of RefinedWeb (Penedo et al. 2023, appendix G.1) as datatrove 0.10's `URLFilter` has them, in its order:
/// `domains`, `urls`, `words`, `soft_words`, `subwords`. There are two differences: a domain stands for all domains below it,
/// where datatrove knows only the registered domain and the full name of the host; and upper and lower case are the
/// same everywhere, where datatrove finds words in lower case only. The rules for odd hosts are our own.
///
/// No list is part of this program. Where there are none and no other rule is on, only URLs that are missing count.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UrlFilter {
    /// The column with the URL.
    pub column: String,
    /// Whether documents stay that have no URL, or one without a host. Default: yes. datatrove stops there.
    pub keep_missing: bool,
    /// Files of domains. A document goes if its host is one of them or below one: `b.org` stands for `a.b.org` too.
    pub domains: Vec<String>,
    /// Files of URLs. A document goes if its own is one of them, to the letter.
    pub urls: Vec<String>,
    /// Files of words. A document goes if its URL has one of them, between other characters than ASCII letters and digits.
    pub words: Vec<String>,
    /// Files of words of which some are allowed.
    pub soft_words: Vec<String>,
    /// Documents with more different soft words in their URL go. RefinedWeb, datatrove: two are too many, so 1.
    pub max_soft_words: Threshold,
    /// Files of words. A document goes if its URL has one of them anywhere, when all but ASCII letters and digits is
    /// taken out of it.
    pub subwords: Vec<String>,
    /// Documents go whose host has more hyphens, those of `xn--` not counted. Default: off.
    pub max_host_hyphens: Threshold,
    /// Documents go whose host has a longer run of digits. Default: off.
    pub max_host_digits: Threshold,
    /// Whether hosts may be IP addresses. Default: yes.
    pub ip_hosts: bool,
    /// Whether hosts may have labels in Punycode, or in letters beyond ASCII, which are the same. Default: yes: most are
    /// names in other scripts, some are made to look like another name.
    pub international_hosts: bool,
    /// The digest of the lists, in hexadecimal digits; any other is refused. Not set: any will do, and a run notes the
    /// digest, so that it is not continued with others.
    pub digest: Option<String>,
}

impl Default for UrlFilter {
    fn default() -> Self {
        Self {
            column: "url".into(),
            keep_missing: true,
            domains: Vec::new(),
            urls: Vec::new(),
            words: Vec::new(),
            soft_words: Vec::new(),
            max_soft_words: Threshold::at(1.0),
            subwords: Vec::new(),
            max_host_hyphens: Threshold::OFF,
            max_host_digits: Threshold::OFF,
            ip_hosts: true,
            international_hosts: true,
            digest: None,
        }
    }
}

impl Settings for UrlFilter {
    const NAME: &'static str = "url_filter";
    const ABOUT: &'static str = "drops documents by their URL: lists of domains and words, odd hosts";
    type Stage = UrlJudge;

    fn build(self) -> Result<UrlJudge, String> {
        if self.column.is_empty() {
            return Err("`column` is empty, expected the name of the column with the URL".to_owned());
        }
        let read = RefCell::new(list_file::Read::default());
        let entries = |setting: &str, files: &[String]| -> Result<Vec<String>, String> {
            let mut entries = Vec::new();
            for file in files {
                let lines = list_file::lines(file).map_err(|message| format!("`{setting}`: {message}"))?;
                read.borrow_mut().add(setting, &lines);
                entries.extend(lines.into_iter().filter(|line| !line.starts_with('#')));
            }
            Ok(entries)
        };
        let words = |setting: &str, files: &[String]| -> Result<BTreeSet<String>, String> {
            let words = entries(setting, files)?.into_iter().map(|word| only_ascii_alphanumeric(&word));
            Ok(words.filter(|word| !word.is_empty()).collect())
        };
        let subwords = AhoCorasick::new(words("subwords", &self.subwords)?);
        let mut judge = UrlJudge {
            domains: HashedSet::of(entries("domains", &self.domains)?.iter().filter_map(|entry| host_of(entry))),
            urls: HashedSet::of(entries("urls", &self.urls)?.iter().map(|url| Cow::Borrowed(url.as_str()))),
            words: words("words", &self.words)?,
            soft_words: words("soft_words", &self.soft_words)?,
            subwords: subwords.map_err(|error| format!("`subwords`: {error}"))?,
            rules: self,
        };
        let wanted = judge.rules.digest.take();
        if !read.borrow().is_empty() || wanted.is_some() {
            judge.rules.digest = Some(digest("the lists", read.borrow().digest(), wanted.as_deref())?);
        }
        Ok(judge)
    }
}

/// [`UrlFilter`], built.
pub struct UrlJudge {
    rules: UrlFilter,
    domains: HashedSet,
    urls: HashedSet,
    words: BTreeSet<String>,
    soft_words: BTreeSet<String>,
    subwords: AhoCorasick,
}

/// Strings by their hashes of 64 bits, since a list may have millions of domains. Of so many lookups of others as a
/// corpus has, none in a thousand corpora finds a hash that is there by chance.
struct HashedSet(Vec<u64>);

impl HashedSet {
    fn of<'s>(strings: impl Iterator<Item = Cow<'s, str>>) -> Self {
        let mut hashes: Vec<u64> = strings.map(|string| xxh3_64(string.as_bytes())).collect();
        hashes.sort_unstable();
        hashes.dedup();
        Self(hashes)
    }

    fn contains(&self, string: &str) -> bool {
        !self.0.is_empty() && self.0.binary_search(&xxh3_64(string.as_bytes())).is_ok()
    }
}

impl Filter for UrlJudge {
    fn judge(&self, doc: &Doc<'_>) -> Verdict {
        let url = doc.columns().string(&self.rules.column).map_or("", str::trim);
        let Some(host) = host_of(url) else {
            return if self.rules.keep_missing { Verdict::Keep } else { Verdict::drop("no_url", 0.0, 1.0) };
        };
        self.judge_url(url, &host)
            .map_or(Verdict::Keep, |(code, value, threshold)| Verdict::drop(code, value, threshold))
    }

    fn reasons(&self) -> &'static [&'static str] {
        &[
            "no_url",
            "listed_domain",
            "listed_url",
            "word_in_url",
            "too_many_soft_words_in_url",
            "subword_in_url",
            "ip_host",
            "international_host",
            "too_many_hyphens_in_host",
            "too_many_digits_in_host",
        ]
    }

    fn pins(&self) -> Vec<(&'static str, String)> {
        self.rules.digest.iter().map(|digest| ("digest", digest.clone())).collect()
    }

    fn needs(&self) -> Vec<Need> {
        vec![Need { column: self.rules.column.clone(), kind: NeedKind::String }]
    }
}

impl UrlJudge {
    /// Why a URL is one to be dropped: the reason, what was measured, and the limit.
    fn judge_url(&self, url: &str, host: &str) -> Option<(&'static str, f64, f64)> {
        let rules = &self.rules;
        let found = |code: &'static str| Some((code, 1.0, 0.0));
        if with_parents(host).any(|domain| self.domains.contains(domain)) {
            return found("listed_domain");
        }
        if self.urls.contains(url) {
            return found("listed_url");
        }
        if !self.words.is_empty() || !self.soft_words.is_empty() {
            let url = url.to_ascii_lowercase();
            let words: BTreeSet<&str> = url.split(|c: char| !c.is_ascii_alphanumeric()).collect();
            if words.iter().any(|word| self.words.contains(*word)) {
                return found("word_in_url");
            }
            let n_soft = words.iter().filter(|word| self.soft_words.contains(**word)).count() as f64;
            if let Some(max) = rules.max_soft_words.get().filter(|max| n_soft > *max) {
                return Some(("too_many_soft_words_in_url", n_soft, max));
            }
        }
        if self.subwords.patterns_len() > 0 && self.subwords.is_match(&only_ascii_alphanumeric(url)) {
            return found("subword_in_url");
        }
        if !rules.ip_hosts && is_ip(host) {
            return found("ip_host");
        }
        let is_encoded = |label: &str| label.starts_with("xn--");
        if !rules.international_hosts && (!host.is_ascii() || host.split('.').any(is_encoded)) {
            return found("international_host");
        }
        if let Some(max) = rules.max_host_hyphens.get() {
            let own = host.split('.').map(|label| label.strip_prefix("xn--").unwrap_or(label));
            let n = own.map(|label| label.matches('-').count()).sum::<usize>() as f64;
            if n > max {
                return Some(("too_many_hyphens_in_host", n, max));
            }
        }
        if let Some(max) = rules.max_host_digits.get().filter(|_| !is_ip(host)) {
            let longest = host.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or(0) as f64;
            if longest > max {
                return Some(("too_many_digits_in_host", longest, max));
            }
        }
        None
    }
}

/// A domain and those above it: `a.b.org`, `b.org`, `org`.
fn with_parents(host: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(host), |domain| domain.split_once('.').map(|(_, parent)| parent))
}

/// The host of a URL, with or without its scheme, or of a bare domain: in lower case, names beyond ASCII in Punycode.
fn host_of(url: &str) -> Option<Cow<'_, str>> {
    let rest = url.split_once("://").map_or_else(|| url.strip_prefix("//").unwrap_or(url), |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.strip_prefix('[') {
        Some(address) => address.split_once(']')?.0,
        None => host.split_once(':').map_or(host, |(host, _)| host),
    };
    let host = host.trim_matches('.');
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return None;
    }
    if host.is_ascii() {
        let has_upper = host.bytes().any(|b| b.is_ascii_uppercase());
        return Some(if has_upper { Cow::Owned(host.to_ascii_lowercase()) } else { Cow::Borrowed(host) });
    }
    // A name that cannot be encoded stays as it is.
    let encoded = url::Host::parse(host).map(|host| host.to_string());
    Some(Cow::Owned(encoded.unwrap_or_else(|_| host.to_lowercase())))
}

fn is_ip(host: &str) -> bool {
    host.parse::<Ipv4Addr>().is_ok() || host.parse::<Ipv6Addr>().is_ok()
}

/// The ASCII letters and digits of a string, in lower case.
fn only_ascii_alphanumeric(s: &str) -> String {
    s.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::list_file::tests::folder;
    use super::*;
    use crate::doc::Columns;

    struct At<'a>(Option<&'a str>);

    impl Columns for At<'_> {
        fn string(&self, column: &str) -> Option<&str> {
            self.0.filter(|_| column == "url")
        }
        fn number(&self, _: &str) -> Option<f64> {
            None
        }
    }

    fn built(settings: UrlFilter) -> UrlJudge {
        let folder = folder(&[
            ("domains", "# a comment\nbad.org\nSub.Good.org\nhttps://other.net/\n中文.cn\n"),
            ("urls", "https://good.org/one\n"),
            ("words", "darn\nvery-bad\n"),
            ("soft", "hot\nfree\nlive\n"),
            ("subwords", "xyzzy\n"),
        ]);
        let file = |name: &str| vec![folder.path().join(name).display().to_string()];
        let settings = UrlFilter {
            domains: file("domains"),
            urls: file("urls"),
            words: file("words"),
            soft_words: file("soft"),
            subwords: file("subwords"),
            ..settings
        };
        settings.build().expect("the settings of a test are right")
    }

    #[track_caller]
    fn check(settings: UrlFilter, url: &str, expected: &str) {
        let verdict = built(settings).judge(&Doc::new("", "", &At(Some(url)))).to_string();
        assert_eq!(verdict, expected, "{url}");
    }

    #[track_caller]
    fn check_all(urls: &[&str], expected: &str) {
        for url in urls {
            check(UrlFilter::default(), url, expected);
        }
    }

    #[test]
    fn a_domain_stands_for_all_below_it() {
        let listed = "listed_domain 1 (threshold 0)";
        check_all(
            &["http://bad.org", "https://a.b.bad.org/x?y#z", "bad.org/x", "//BAD.org", "http://bad.org.:80/"],
            listed,
        );
        check_all(
            &["https://me:pass@bad.org/", "http://x.sub.good.org", "ftp://other.net", "http://a.中文.cn/"],
            listed,
        );
        check_all(&["http://xn--fiq228c.cn/"], listed);
        check_all(
            &["http://notbad.org", "http://bad.org.uk", "http://good.org/bad.org", "http://bad.org@good.org"],
            "keep",
        );
    }

    #[test]
    fn a_url_is_listed_to_the_letter() {
        check_all(&["https://good.org/one"], "listed_url 1 (threshold 0)");
        check_all(&["https://good.org/one/", "http://good.org/one", "https://good.org/One"], "keep");
    }

    #[test]
    fn words_stand_between_other_characters() {
        check_all(
            &["http://a.org/darn", "http://darn.com/", "http://a.org/so-Darn_it", "http://a.org/?verybad"],
            "word_in_url 1 (threshold 0)",
        );
        check_all(&["http://a.org/darned", "http://a.org/very-bad"], "keep");
    }

    #[test]
    fn two_soft_words_are_too_many() {
        check_all(&["http://a.org/free/live"], "too_many_soft_words_in_url 2 (threshold 1)");
        check_all(&["http://a.org/free/free/", "http://a.org/freelive"], "keep");
        let rules = || UrlFilter { max_soft_words: Threshold::at(2.0), ..UrlFilter::default() };
        check(rules(), "http://a.org/free/live", "keep");
        check(rules(), "http://a.org/free/live/hot", "too_many_soft_words_in_url 3 (threshold 2)");
    }

    #[test]
    fn subwords_are_anywhere() {
        check_all(&["http://axyzzyb.org/", "http://a.org/x-Y.z/zy"], "subword_in_url 1 (threshold 0)");
        check_all(&["http://a.org/x-y-z"], "keep");
    }

    #[test]
    fn what_is_missing_stays_or_goes() {
        for url in
            [None, Some(""), Some(" "), Some("http://"), Some("/path"), Some("http://a b/"), Some("http://[::1/")]
        {
            let verdict = |keep_missing| {
                let settings = UrlFilter { keep_missing, ..UrlFilter::default() };
                built(settings).judge(&Doc::new("", "", &At(url))).to_string()
            };
            assert_eq!(
                (verdict(true).as_str(), verdict(false).as_str()),
                ("keep", "no_url 0 (threshold 1)"),
                "{url:?}"
            );
        }
    }

    #[test]
    fn odd_hosts_go_if_told() {
        let no_ip = || UrlFilter { ip_hosts: false, ..UrlFilter::default() };
        check(no_ip(), "http://8.8.8.8:80/", "ip_host 1 (threshold 0)");
        check(no_ip(), "http://[2001:db8::1]/", "ip_host 1 (threshold 0)");
        check(no_ip(), "http://8.8.8.8.org/", "keep");
        let plain = || UrlFilter { international_hosts: false, ..UrlFilter::default() };
        check(plain(), "http://a.xn--p1ai/", "international_host 1 (threshold 0)");
        check(plain(), "http://пример.рф/", "international_host 1 (threshold 0)");
        check(plain(), "http://a.org/xn--p1ai", "keep");
        let hyphens = || UrlFilter { max_host_hyphens: Threshold::at(2.0), ..UrlFilter::default() };
        check(hyphens(), "http://a-b-c.org/d-e-f-g", "keep");
        check(hyphens(), "http://a-b.c-d-e.org/", "too_many_hyphens_in_host 3 (threshold 2)");
        check(hyphens(), "http://xn--a-b-c.org/", "keep");
        let digits = || UrlFilter { max_host_digits: Threshold::at(4.0), ..UrlFilter::default() };
        check(digits(), "http://a1234b5678.org/123456", "keep");
        check(digits(), "http://a12345.org/", "too_many_digits_in_host 5 (threshold 4)");
        check_all(&["http://a-b-c-d-e-f.org", "http://8.8.8.8", "http://a123456789.org"], "keep");
    }

    #[test]
    fn the_column_is_looked_at() {
        let filter = UrlFilter { column: "link".into(), keep_missing: false, ..UrlFilter::default() };
        let filter = filter.build().expect("sound");
        assert_eq!(filter.needs(), [Need { column: "link".into(), kind: NeedKind::String }]);
        assert_ne!(filter.judge(&Doc::new("", "", &At(Some("http://a.org")))), Verdict::Keep);
    }

    #[test]
    fn a_list_that_is_not_there_is_refused() {
        let error = UrlFilter { words: vec!["no/such".into()], ..UrlFilter::default() }.build().map(drop);
        assert_eq!(error, Err("`words`: no/such: there is no such file".to_owned()));
    }

    proptest! {
        #[test]
        fn any_url_is_judged(url in r"\PC*|[a-z:/@\[\].#?%中-]{0,40}") {
            let settings = UrlFilter {
                ip_hosts: false,
                international_hosts: false,
                max_host_digits: Threshold::at(1.0),
                max_host_hyphens: Threshold::at(1.0),
                ..UrlFilter::default()
            };
            let filter = settings.build().expect("sound");
            filter.judge(&Doc::new("", "", &At(Some(&url))));
        }
    }
}
