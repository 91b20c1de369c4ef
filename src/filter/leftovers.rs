//! Takes lines out of a text.

use std::borrow::Cow;

/// What is left of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rest<'t> {
    /// The lines that went.
    pub(super) gone: Vec<&'t str>,
    /// The others, as they are now.
    pub(super) text: String,
}

/// Asks of each line what is left of it, if anything is. Where no line changes, nothing is allocated.
///
/// Lines end at line feeds. The blank lines behind one at the top that goes, go with it.
pub(super) fn take_out<'t>(text: &'t str, rest_of: impl Fn(&'t str) -> Option<Cow<'t, str>>) -> Option<Rest<'t>> {
    let mut rest: Option<Rest<'t>> = None;
    let mut at = 0;
    for line in text.split('\n') {
        let left = rest_of(line);
        if rest.is_none() && !matches!(left, Some(Cow::Borrowed(_))) {
            // All before it stays as it is.
            let mut before = String::with_capacity(text.len());
            before.push_str(&text[..at]);
            rest = Some(Rest { gone: Vec::new(), text: before });
        }
        at += line.len() + 1;
        match (&mut rest, left) {
            (Some(rest), None) => rest.gone.push(line),
            (Some(rest), Some(left)) => {
                rest.text.push_str(&left);
                rest.text.push('\n');
            }
            (None, _) => {}
        }
    }
    let mut rest = rest?;
    // There is none behind the last line.
    rest.text.pop();
    let n_blank = rest.text.len() - rest.text.trim_start_matches('\n').len();
    rest.text.drain(..n_blank);
    Some(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Lines that begin with `x` go, and of others the letter `y` does.
    fn rest(text: &str) -> Option<Rest<'_>> {
        take_out(text, |line| match line {
            _ if line.starts_with('x') => None,
            _ if line.contains('y') => Some(line.replace('y', "").into()),
            _ => Some(Cow::Borrowed(line)),
        })
    }

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(rest(text).as_ref().map(|rest| rest.text.as_str()), expected, "{text:?}");
    }

    #[test]
    fn lines_go_with_their_ends() {
        check("a\nx\nb", Some("a\nb"));
        check("x\na\nx", Some("a"));
        check("x\n\n\na\n", Some("a\n"));
        check("a\nx\n", Some("a\n"));
        check("a\n\nx\n\nb", Some("a\n\n\nb"));
        check("x", Some(""));
        check("x\nx", Some(""));
    }

    #[test]
    fn lines_can_lose_something() {
        check("a\nbyc\nd", Some("a\nbc\nd"));
        check("y", Some(""));
    }

    #[test]
    fn what_stays_is_left_alone() {
        check("", None);
        check("\n\na", None);
    }

    proptest! {
        #[test]
        fn the_rest_is_the_lines_that_stay(text in "[xya\n]{0,20}") {
            let (gone, kept): (Vec<&str>, Vec<&str>) = text.split('\n').partition(|line| line.starts_with('x'));
            let kept = kept.iter().map(|line| line.replace('y', "")).collect::<Vec<_>>().join("\n");
            let changes = !gone.is_empty() || text.contains('y');
            let plain = changes.then(|| Rest { gone, text: kept.trim_start_matches('\n').to_owned() });
            prop_assert_eq!(rest(&text), plain);
        }
    }
}
