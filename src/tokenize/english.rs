//! Words and sentences of English as datatrove 0.10 counts them: with spaCy's blank pipeline `en`.

use std::sync::LazyLock;

use super::{multi, rules::Rules, sentences};

/// Appends the words of a text to `out`, in order: those of `word_tokenize` of datatrove's English tokenizer.
///
/// Contractions are taken apart (`do`, `n't`, also without the apostrophe), units off numbers, punctuation off words;
/// abbreviations, emoticons and addresses are kept whole.
pub fn words<'t>(text: &'t str, out: &mut Vec<&'t str>) {
    RULES.words(text, out);
}

/// The number of sentences of a text, at least 1: that of datatrove's `split_into_sentences`.
pub fn n_sentences(text: &str) -> usize {
    let mut all = Vec::new();
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
    use super::*;

    #[test]
    fn special_cases_are_all_there() {
        let mut all: Vec<_> = special_cases().iter().map(|pieces| pieces.concat()).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 1347 - 4);
    }
}
