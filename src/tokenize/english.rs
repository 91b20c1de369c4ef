//! Words and sentences of English as datatrove 0.10 counts them: with spaCy's blank pipeline `en`.

use std::sync::LazyLock;

use super::{multi, rules::Rules, sentences};

/// Appends the words of a text to `out`, in order: those of `word_tokenize` of datatrove's English tokenizer.
///
/// Contractions are taken apart (`do`, `n't`, also without the apostrophe), units off numbers, punctuation off words;
/// abbreviations, emoticons and addresses are kept whole. One word is other than there: `IS_ALPHA`, on which spaCy
/// fails from the second time on, so that datatrove then leaves it out.
pub fn words<'t>(text: &'t str, out: &mut Vec<&'t str>) {
    RULES.words(text, out);
}

/// The number of sentences of a text, at least 1: that of datatrove's `split_into_sentences`.
pub fn n_sentences(text: &str) -> usize {
    // English has a word for five characters.
    let mut all = Vec::with_capacity(text.len() / 4);
    words(text, &mut all);
    n_sentences_of(text, &all)
}

/// [`n_sentences`] of a text whose [`words`] are known.
pub fn n_sentences_of(text: &str, words: &[&str]) -> usize {
    sentences::n_sentences(text, words)
}

static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::new(&special_cases(), true));

/// The special cases of English (spaCy 3.8, `lang/en/tokenizer_exceptions.py`) and those of all languages, by their
/// pieces, with straight and with curly apostrophes.
fn special_cases() -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = Vec::new();
    for (stems, endings) in CONTRACTIONS {
        for stem in stems.split(' ').flat_map(|stem| [stem.to_owned(), capitalized(stem)]) {
            for ending in endings.split(", ") {
                all.push([stem.as_str()].into_iter().chain(ending.split(' ')).map(str::to_owned).collect());
            }
        }
    }
    all.retain(|pieces| !WORDS_AFTER_ALL.contains(&pieces.concat().to_lowercase().as_str()));
    for hour in 1..=12 {
        all.extend(["am", "pm", "a.m.", "p.m."].map(|half| vec![hour.to_string(), half.to_owned()]));
    }
    all.extend(APART.split(", ").map(|pieces| pieces.split(' ').map(str::to_owned).collect()));
    all.extend(WHOLE.split_whitespace().map(|word| vec![word.to_owned()]));
    all.extend(multi::special_cases());
    let curly: Vec<Vec<String>> = (all.iter().filter(|pieces| pieces.concat().contains('\'')))
        .map(|pieces| pieces.iter().map(|piece| piece.replace('\'', "’")).collect())
        .collect();
    all.extend(curly);
    all
}

fn capitalized(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

/// Stems, and the endings that are cut off them.
const CONTRACTIONS: &[(&str, &str)] = &[
    ("i", "'m, m, 'm a, m a"),
    ("i you he she it we they", "'ll, ll, 'll 've, ll ve, 'd, d, 'd 've, d ve"),
    ("i you we they", "'ve, ve"),
    ("you we they", "'re, re"),
    ("he she it who what when where why how there that this", "'s, s"),
    ("who what when where why how there that this these those", "'ll, ll, 'll 've, ll ve, 'd, d, 'd 've, d ve"),
    ("who what when where why how there these those", "'re, re, 've, ve"),
    ("ca could do does did had may might must need ought sha should wo would", "n't, nt, n't 've, nt ve"),
    ("could might must should would", "'ve, ve"),
    ("ai are is was were have has dare", "n't, nt"),
    ("not", "'ve, ve"),
    ("can", "not"),
    ("gon", "na"),
    ("got", "ta"),
    ("let", "'s"),
    ("c'm", "on"),
    ("how", "'d 'y"),
];

/// What looks like a contraction without its apostrophe, and is taken for another word.
const WORDS_AFTER_ALL: &[&str] = &["ill", "its", "hell", "shell", "shed", "were", "well", "whore"];

/// Other words that are taken apart.
const APART: &str = "y' all, y all";

/// Words that are not cut.
const WHOLE: &str = "
    'S 's \u{2018}S \u{2018}s 'd 're and/or w/o 'Cause 'cause 'cos 'Cos 'coz 'Coz 'cuz 'Cuz 'bout em 'em ll 'll nuff 'nuff
    ma'am Ma'am o'clock O'clock lovin' Lovin' lovin Lovin havin' Havin' havin Havin doin' Doin' doin Doin goin' Goin' goin
    Goin nothin' Nothin' nothin Nothin nuthin' Nuthin' nuthin Nuthin ol' Ol' ol Ol somethin' Somethin' somethin Somethin
    Mt. Ak. Ala. Apr. Ariz. Ark. Aug. Calif. Colo. Conn. Dec. Del. Feb. Fla. Ga. Ia. Id. Ill. Ind. Jan. Jul. Jun. Kan.
    Kans. Ky. La. Mar. Mass. Mich. Minn. Miss. N.C. N.D. N.H. N.J. N.M. N.Y. Neb. Nebr. Nev. Nov. Oct. Okla. Ore. Pa. S.C.
    Sep. Sept. Tenn. Va. Wash. Wis. a.m. Adm. Bros. co. Co. Corp. D.C. Dr. e.g. E.g. E.G. Gen. Gov. i.e. I.e. I.E. Inc. Jr.
    Ltd. Md. Messrs. Mo. Mont. Mr. Mrs. Ms. p.m. Ph.D. Prof. Rep. Rev. Sen. St. vs. v.s.
";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::golden::GOLDEN;
    use super::*;

    fn cut(text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        words(text, &mut found);
        found
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(cut(text).join(" "), expected, "{text:?}");
    }

    #[test]
    fn words_are_those_of_datatrove() {
        assert!(GOLDEN.texts.len() > 300);
        for text in &GOLDEN.texts {
            assert_eq!(cut(&text.text), text.english, "{:?}", text.text);
        }
    }

    #[test]
    fn sentences_are_those_of_datatrove() {
        for text in &GOLDEN.texts {
            assert_eq!(n_sentences(&text.text), text.sentences, "{:?}", text.text);
        }
    }

    #[test]
    fn special_cases_are_those_of_spacy() {
        let mut found = special_cases();
        found.sort();
        found.dedup();
        assert_eq!(found, GOLDEN.special.english);
    }

    #[test]
    fn contractions_are_taken_apart() {
        check("I don't, I'm, we’ll; dont its", "I do n't , I 'm , we ’ll ; do nt its");
        check("the dog's bowl, the dogs' bowl", "the dog 's bowl , the dogs ' bowl");
    }

    #[test]
    fn affixes_are_taken_off() {
        check("(\"Well,\" he said.)", "( \" Well , \" he said . )");
        check("$5, 5km, 12% and US$3.", "$ 5 , 5 km , 12 % and US$ 3 .");
        check("...so, x... y…", "... so , x ... y …");
    }

    #[test]
    fn a_full_stop_stays_where_it_shortens() {
        check("Mr. X. of the U.S. said e.g. so.", "Mr. X. of the U.S. said e.g. so .");
        check("I Am. I AM. It's 5.", "I Am . I AM . It 's 5 .");
    }

    #[test]
    fn infixes_part_a_word() {
        check("well-known 5-6 a,b 1,000 and/or x/y end.Next", "well - known 5 - 6 a , b 1,000 and/or x / y end . Next");
        check("so--or—so a😀b", "so -- or — so a 😀 b");
    }

    #[test]
    fn addresses_are_kept() {
        check("(http://a-b.com/c,d) me@a-b.com.", "( http://a-b.com/c,d ) me@a-b.com .");
        check("a-b.Com", "a - b. Com");
    }

    #[test]
    fn special_cases_are_put_together_again() {
        check("x:) x-e.g. y", "x :) x - e.g. y");
        // Blanks do not make a case, but a longer one with blanks covers a shorter one.
        check(": )", ": )");
        check("x:) )", "x : ) )");
        // Of two that share a word the first is put together, and even one that is not covers others.
        check("a-b):) c", "a - b ): ) c");
        check("a-b:(:)", "a - b :( : )");
    }

    #[test]
    fn odd_white_space_parts_words() {
        check("a\u{a0}b\u{3000}c\u{1c}d\u{85}e", "a b c d e");
        check("a\u{200b}b", "a\u{200b}b");
    }

    #[test]
    fn words_are_appended() {
        let mut all = vec![":"];
        words("x:)", &mut all);
        assert_eq!(all, [":", "x", ":)"]);
    }

    #[test]
    fn white_space_is_a_word_to_sentences() {
        assert_eq!(n_sentences(""), 1);
        assert_eq!(n_sentences("One. Two"), 2);
        assert_eq!(n_sentences("One. "), 1);
        assert_eq!(n_sentences("One.  "), 2);
        assert_eq!(n_sentences("One. \". Two"), 2);
        assert_eq!(n_sentences("One.\n\". Two"), 3);
    }

    #[test]
    fn one_gigantic_run_is_cut() {
        // With quadratic time for any of these, the test would not end.
        let runs = [
            "a", ".", "(", "(a", "a)", "@", "a@", "a.", "a.b", "-", "a-", "5", "5km", ":)", ":'(", "é.", "…", "://",
            "'s",
        ];
        for run in runs {
            let text = run.repeat(300_000 / run.len());
            let found = cut(&text);
            assert_eq!(found.iter().map(|word| word.len()).sum::<usize>(), text.len());
            assert!(n_sentences_of(&text, &found) > 0);
        }
    }

    /// Texts of what the rules look at.
    fn text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            "[a-zA-Z0-9.,:;!?'()<>/@$%+*^~=_ -]",
            "[éÉßяЯ中。，「」’“”…—–°²€😀\u{301}\u{a0}\u{3000}\u{85}\n\t]",
            prop::sample::select(special_cases()).prop_map(|pieces| pieces.concat()),
            any::<char>().prop_map(String::from),
        ];
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn words_hold_all_but_white_space(text in text()) {
            let bare: String = text.split(crate::text::is_space).collect();
            prop_assert_eq!(cut(&text).concat(), bare);
            prop_assert!(cut(&text).iter().all(|word| !word.is_empty()));
        }

        #[test]
        fn lines_are_cut_alone(a in text(), b in text()) {
            let text = format!("{a}\n{b}");
            prop_assert_eq!(cut(&text), [cut(&a), cut(&b)].concat());
        }
    }
}
