//! Words of languages that have no tokenizer of their own, as datatrove 0.10 cuts them: with spaCy's blank pipeline `xx`.

use std::sync::LazyLock;

use super::rules::Rules;

/// Appends the words of a text to `out`, in order: those of datatrove's `WhitespaceTokenizer.word_tokenize`.
pub fn words<'t>(text: &'t str, out: &mut Vec<&'t str>) {
    RULES.words(text, out);
}

static RULES: LazyLock<Rules> = LazyLock::new(|| Rules::new(&special_cases(), false));

/// The special cases of all languages (spaCy 3.8, `lang/tokenizer_exceptions.py`), less those of white space.
pub(super) fn special_cases() -> Vec<Vec<String>> {
    let letters = ('a'..='z').chain("äöü".chars()).map(|letter| format!("{letter}."));
    let degrees = "cfkCFK".chars().map(|unit| vec!["°".to_owned(), unit.to_string(), ".".to_owned()]);
    let whole = WHOLE.split_whitespace().map(str::to_owned).chain(letters);
    whole.map(|word| vec![word]).chain(degrees).collect()
}

/// Words that are not cut.
const WHOLE: &str = r#"
    \t \n — ' '' \") <space> C++
    :) :-) :)) :-)) :))) :-))) (: (-: =) (= :] :-] [: [-: [= =] :o) (o: :} :-} 8) 8-) (-8 ;) ;-) (; (-; :( :-( :(( :-((
    :((( :-((( ): )-: =( >:( :') :'-) :'( :'-( :/ :-/ =/ =| :| :-| ]= =[ :1 :P :-P :p :-p :O :-O :o :-o :0 :-0 :() >:o
    :* :-* :3 :-3 =3 :> :-> :X :-X :x :-x :D :-D ;D ;-D =D xD XD xDD XDD 8D 8-D ^_^ ^__^ ^___^ >.< >.> <.< ._. ;_; -_-
    -__- v.v V.V v_v V_V o_o o_O O_o O_O 0_o o_0 0_0 o.O O.o O.O o.o 0.0 o.0 0.o @_@ <3 <33 <333 </3 (^_^) (-_-) (._.)
    (>_<) (*_*) (¬_¬) ಠ_ಠ ಠ︵ಠ (ಠ_ಠ) ¯\(ツ)/¯ (╯°□°）╯︵┻━┻ ><(((*>
"#;

#[cfg(test)]
mod tests {
    use super::super::golden::GOLDEN;
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let mut found = Vec::new();
        words(text, &mut found);
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn words_are_those_of_datatrove() {
        for text in &GOLDEN.texts {
            let expected: Vec<_> = text.multi.as_ref().unwrap_or(&text.english).iter().map(String::as_str).collect();
            check(&text.text, &expected);
        }
    }

    #[test]
    fn special_cases_are_those_of_spacy() {
        let mut found = special_cases();
        found.sort();
        assert_eq!(found, GOLDEN.special.multi);
    }

    #[test]
    fn english_is_not_known() {
        check("I don't, Mr. Ames.", &["I", "don't", ",", "Mr", ".", "Ames", "."]);
        check("cannot :) a.", &["cannot", ":)", "a."]);
    }

    #[test]
    fn a_dash_after_a_digit_stays() {
        check("5-a a-a", &["5-a", "a", "-", "a"]);
    }
}
