//! The codes of languages, and what models call them.

/// Our code of a language that has an ISO 639-3 code: that of ISO 639-1 if there is one, else the same.
///
/// Models name the one language of a group that most texts are in (`arb` for `ar`); it is taken for the group.
pub(super) fn short(code: &str) -> &str {
    find(&ISO_639, code).or_else(|| find(&FOR_GROUP, code)).unwrap_or(code)
}

/// The language of a label of a model, and its script if the label has one.
///
/// Labels are ISO 639-1 or 639-3 codes (`en`, `ceb`), or 639-3 codes with a script of ISO 15924 (`cmn_Hani`), as
/// GlotLID, OpenLID and NLLB have them. Other labels stay as they are.
pub(super) fn of_label(label: &str) -> (&str, Option<&str>) {
    match label.split_once('_') {
        Some((code, script)) if is_code(code) && is_script(script) => (short(code), Some(script)),
        // Wikipedia's code for Alemannic, which is Tosk Albanian in ISO 639-3.
        _ if label == "als" => ("gsw", None),
        _ => (short(label), None),
    }
}

fn find(table: &[(&str, &'static str)], code: &str) -> Option<&'static str> {
    table.binary_search_by_key(&code, |(long, _)| long).ok().map(|at| table[at].1)
}

fn is_code(code: &str) -> bool {
    (2..=3).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_lowercase())
}

fn is_script(script: &str) -> bool {
    let bytes = script.as_bytes();
    bytes.len() == 4 && bytes[0].is_ascii_uppercase() && bytes[1..].iter().all(u8::is_ascii_lowercase)
}

/// The languages of ISO 639-1 by their ISO 639-3 codes.
const ISO_639: [(&str, &str); 184] = [
    ("aar", "aa"),
    ("abk", "ab"),
    ("afr", "af"),
    ("aka", "ak"),
    ("amh", "am"),
    ("ara", "ar"),
    ("arg", "an"),
    ("asm", "as"),
    ("ava", "av"),
    ("ave", "ae"),
    ("aym", "ay"),
    ("aze", "az"),
    ("bak", "ba"),
    ("bam", "bm"),
    ("bel", "be"),
    ("ben", "bn"),
    ("bis", "bi"),
    ("bod", "bo"),
    ("bos", "bs"),
    ("bre", "br"),
    ("bul", "bg"),
    ("cat", "ca"),
    ("ces", "cs"),
    ("cha", "ch"),
    ("che", "ce"),
    ("chu", "cu"),
    ("chv", "cv"),
    ("cor", "kw"),
    ("cos", "co"),
    ("cre", "cr"),
    ("cym", "cy"),
    ("dan", "da"),
    ("deu", "de"),
    ("div", "dv"),
    ("dzo", "dz"),
    ("ell", "el"),
    ("eng", "en"),
    ("epo", "eo"),
    ("est", "et"),
    ("eus", "eu"),
    ("ewe", "ee"),
    ("fao", "fo"),
    ("fas", "fa"),
    ("fij", "fj"),
    ("fin", "fi"),
    ("fra", "fr"),
    ("fry", "fy"),
    ("ful", "ff"),
    ("gla", "gd"),
    ("gle", "ga"),
    ("glg", "gl"),
    ("glv", "gv"),
    ("grn", "gn"),
    ("guj", "gu"),
    ("hat", "ht"),
    ("hau", "ha"),
    ("hbs", "sh"),
    ("heb", "he"),
    ("her", "hz"),
    ("hin", "hi"),
    ("hmo", "ho"),
    ("hrv", "hr"),
    ("hun", "hu"),
    ("hye", "hy"),
    ("ibo", "ig"),
    ("ido", "io"),
    ("iii", "ii"),
    ("iku", "iu"),
    ("ile", "ie"),
    ("ina", "ia"),
    ("ind", "id"),
    ("ipk", "ik"),
    ("isl", "is"),
    ("ita", "it"),
    ("jav", "jv"),
    ("jpn", "ja"),
    ("kal", "kl"),
    ("kan", "kn"),
    ("kas", "ks"),
    ("kat", "ka"),
    ("kau", "kr"),
    ("kaz", "kk"),
    ("khm", "km"),
    ("kik", "ki"),
    ("kin", "rw"),
    ("kir", "ky"),
    ("kom", "kv"),
    ("kon", "kg"),
    ("kor", "ko"),
    ("kua", "kj"),
    ("kur", "ku"),
    ("lao", "lo"),
    ("lat", "la"),
    ("lav", "lv"),
    ("lim", "li"),
    ("lin", "ln"),
    ("lit", "lt"),
    ("ltz", "lb"),
    ("lub", "lu"),
    ("lug", "lg"),
    ("mah", "mh"),
    ("mal", "ml"),
    ("mar", "mr"),
    ("mkd", "mk"),
    ("mlg", "mg"),
    ("mlt", "mt"),
    ("mon", "mn"),
    ("mri", "mi"),
    ("msa", "ms"),
    ("mya", "my"),
    ("nau", "na"),
    ("nav", "nv"),
    ("nbl", "nr"),
    ("nde", "nd"),
    ("ndo", "ng"),
    ("nep", "ne"),
    ("nld", "nl"),
    ("nno", "nn"),
    ("nob", "nb"),
    ("nor", "no"),
    ("nya", "ny"),
    ("oci", "oc"),
    ("oji", "oj"),
    ("ori", "or"),
    ("orm", "om"),
    ("oss", "os"),
    ("pan", "pa"),
    ("pli", "pi"),
    ("pol", "pl"),
    ("por", "pt"),
    ("pus", "ps"),
    ("que", "qu"),
    ("roh", "rm"),
    ("ron", "ro"),
    ("run", "rn"),
    ("rus", "ru"),
    ("sag", "sg"),
    ("san", "sa"),
    ("sin", "si"),
    ("slk", "sk"),
    ("slv", "sl"),
    ("sme", "se"),
    ("smo", "sm"),
    ("sna", "sn"),
    ("snd", "sd"),
    ("som", "so"),
    ("sot", "st"),
    ("spa", "es"),
    ("sqi", "sq"),
    ("srd", "sc"),
    ("srp", "sr"),
    ("ssw", "ss"),
    ("sun", "su"),
    ("swa", "sw"),
    ("swe", "sv"),
    ("tah", "ty"),
    ("tam", "ta"),
    ("tat", "tt"),
    ("tel", "te"),
    ("tgk", "tg"),
    ("tgl", "tl"),
    ("tha", "th"),
    ("tir", "ti"),
    ("ton", "to"),
    ("tsn", "tn"),
    ("tso", "ts"),
    ("tuk", "tk"),
    ("tur", "tr"),
    ("twi", "tw"),
    ("uig", "ug"),
    ("ukr", "uk"),
    ("urd", "ur"),
    ("uzb", "uz"),
    ("ven", "ve"),
    ("vie", "vi"),
    ("vol", "vo"),
    ("wln", "wa"),
    ("wol", "wo"),
    ("xho", "xh"),
    ("yid", "yi"),
    ("yor", "yo"),
    ("zha", "za"),
    ("zho", "zh"),
    ("zul", "zu"),
];

/// Languages that stand for the group that ISO 639-1 has a code for.
const FOR_GROUP: [(&str, &str); 25] = [
    ("als", "sq"),
    ("arb", "ar"),
    ("ayr", "ay"),
    ("azj", "az"),
    ("cmn", "zh"),
    ("ekk", "et"),
    ("fil", "tl"),
    ("fuv", "ff"),
    ("gaz", "om"),
    ("gug", "gn"),
    ("ike", "iu"),
    ("khk", "mn"),
    ("kmr", "ku"),
    ("knc", "kr"),
    ("lvs", "lv"),
    ("npi", "ne"),
    ("ory", "or"),
    ("pbt", "ps"),
    ("pes", "fa"),
    ("plt", "mg"),
    ("quy", "qu"),
    ("swh", "sw"),
    ("uzn", "uz"),
    ("ydd", "yi"),
    ("zsm", "ms"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(label: &str, code: &str, script: Option<&str>) {
        assert_eq!(of_label(label), (code, script));
    }

    #[test]
    fn labels_become_our_codes() {
        check("en", "en", None);
        check("eng", "en", None);
        check("ceb", "ceb", None);
        check("cmn_Hani", "zh", Some("Hani"));
        check("zho_Hant", "zh", Some("Hant"));
        check("yue_Hant", "yue", Some("Hant"));
        check("arb_Arab", "ar", Some("Arab"));
        check("arz_Arab", "arz", Some("Arab"));
        check("pes", "fa", None);
    }

    #[test]
    fn a_code_of_two_meanings_is_told_by_its_script() {
        check("als_Latn", "sq", Some("Latn"));
        check("als", "gsw", None);
    }

    #[test]
    fn other_labels_stay() {
        check("zh-min-nan", "zh-min-nan", None);
        check("high_quality", "high_quality", None);
        check("", "", None);
    }

    #[test]
    fn tables_are_in_order() {
        assert!(ISO_639.is_sorted_by(|a, b| a.0 < b.0) && FOR_GROUP.is_sorted_by(|a, b| a.0 < b.0));
    }
}
