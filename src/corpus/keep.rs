//! Which one of several like documents stays.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::doc::Doc;
use crate::stage::{Need, NeedKind};

/// Which one of several like documents stays. Ties go by input order.
///
/// In a pipeline: `"first"`, `"longest"`, `{ highest = "score" }`, `{ lowest = "score" }`, or
/// `{ sources = ["books", "web"], column = "source" }`.
/// On the command line: `first`, `longest`, `highest:score`, `lowest:score`, `sources:books,web`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Keep {
    /// The first in input order.
    #[default]
    First,
    /// The one of the most characters.
    Longest,
    /// The one with the highest number in this column; those without a number come last.
    Highest(String),
    /// The one with the lowest number in this column; those without a number come last.
    Lowest(String),
    /// The one whose source comes first in this list; sources not listed come after it, those without one last.
    Sources {
        /// The sources, the most preferred first.
        sources: Vec<String>,
        /// The column that names a document's source.
        column: String,
    },
}

const FORMS: &str = "`first`, `longest`, `highest`, `lowest` or `sources`";

impl Keep {
    /// The document's place in the total order: lower goes first.
    pub fn rank(&self, doc: &Doc<'_>) -> u64 {
        let number = |column: &str| doc.columns().number(column).filter(|number| !number.is_nan());
        match self {
            Self::First => 0,
            Self::Longest => !(doc.n_chars() as u64),
            Self::Highest(column) => number(column).map_or(u64::MAX, |number| !ascending(number)),
            Self::Lowest(column) => number(column).map_or(u64::MAX, ascending),
            Self::Sources { sources, column } => doc.columns().string(column).map_or(u64::MAX, |source| {
                sources.iter().position(|listed| listed == source).unwrap_or(sources.len()) as u64
            }),
        }
    }

    /// The columns it looks at.
    pub fn needs(&self) -> Vec<Need> {
        let need = |column: &String, kind| vec![Need { column: column.clone(), kind }];
        match self {
            Self::First | Self::Longest => Vec::new(),
            Self::Highest(column) | Self::Lowest(column) => need(column, NeedKind::Number),
            Self::Sources { column, .. } => need(column, NeedKind::String),
        }
    }

    fn sources(sources: Vec<String>, column: Option<String>) -> Result<Self, String> {
        if sources.is_empty() || sources.iter().any(String::is_empty) {
            return Err("`keep`: `sources` needs the names of sources, the most preferred first".to_owned());
        }
        Ok(Self::Sources { sources, column: column.unwrap_or_else(|| "source".to_owned()) })
    }
}

/// Maps numbers to integers of the same order; -0 is 0.
fn ascending(number: f64) -> u64 {
    let bits = (number + 0.0).to_bits();
    // Negative numbers are ordered backwards by their bits, and come before all others.
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

impl FromStr for Keep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, rest) = text.split_once(':').map_or((text, None), |(name, rest)| (name, Some(rest)));
        match (name, rest) {
            ("first", None) => Ok(Self::First),
            ("longest", None) => Ok(Self::Longest),
            ("highest", Some(column)) if !column.is_empty() => Ok(Self::Highest(column.to_owned())),
            ("lowest", Some(column)) if !column.is_empty() => Ok(Self::Lowest(column.to_owned())),
            ("sources", Some(sources)) => Self::sources(sources.split(',').map(str::to_owned).collect(), None),
            _ => Err(format!(
                "unknown `keep` {text:?}, expected first, longest, highest:COLUMN, lowest:COLUMN or sources:A,B,…"
            )),
        }
    }
}

impl fmt::Display for Keep {
    /// As [`FromStr`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => f.write_str("first"),
            Self::Longest => f.write_str("longest"),
            Self::Highest(column) => write!(f, "highest:{column}"),
            Self::Lowest(column) => write!(f, "lowest:{column}"),
            Self::Sources { sources, .. } => write!(f, "sources:{}", sources.join(",")),
        }
    }
}

impl Serialize for Keep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (key, column) = match self {
            Self::First => return serializer.serialize_str("first"),
            Self::Longest => return serializer.serialize_str("longest"),
            Self::Highest(column) => ("highest", column),
            Self::Lowest(column) => ("lowest", column),
            Self::Sources { sources, column } => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("sources", sources)?;
                map.serialize_entry("column", column)?;
                return map.end();
            }
        };
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(key, column)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Keep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeepVisitor)
    }
}

/// The forms a table can have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeepTable {
    highest: Option<String>,
    lowest: Option<String>,
    sources: Option<Vec<String>>,
    column: Option<String>,
}

struct KeepVisitor;

impl<'de> Visitor<'de> for KeepVisitor {
    type Value = Keep;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "\"first\", \"longest\", { highest = \"…\" }, { lowest = \"…\" } or { sources = [\"…\"], column = \"…\" }",
        )
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Keep, E> {
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Named {
            First,
            Longest,
        }
        Ok(match Named::deserialize(StrDeserializer::<E>::new(text))? {
            Named::First => Keep::First,
            Named::Longest => Keep::Longest,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Keep, A::Error> {
        let table = KeepTable::deserialize(MapAccessDeserializer::new(map))?;
        match (table.highest, table.lowest, table.sources, table.column) {
            (Some(column), None, None, None) => Ok(Keep::Highest(column)),
            (None, Some(column), None, None) => Ok(Keep::Lowest(column)),
            (None, None, Some(sources), column) => Keep::sources(sources, column).map_err(A::Error::custom),
            _ => Err(A::Error::custom(format!("`keep` takes one of {FORMS}, and `column` only with `sources`"))),
        }
    }
}

impl JsonSchema for Keep {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Keep".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let one = |key: &str, description: &str| {
            json_schema!({
                "type": "object",
                "properties": { key: { "description": description, "type": "string" } },
                "required": [key],
                "additionalProperties": false,
            })
        };
        json_schema!({
            "oneOf": [
                { "const": "first", "description": "The first in input order." },
                { "const": "longest", "description": "The one of the most characters." },
                one("highest", "The column in which the one with the highest number stays."),
                one("lowest", "The column in which the one with the lowest number stays."),
                {
                    "type": "object",
                    "properties": {
                        "sources": {
                            "description": "The sources, the most preferred first.",
                            "type": "array",
                            "items": { "type": "string" },
                            "minItems": 1,
                        },
                        "column": {
                            "description": "The column that names a document's source.",
                            "type": "string",
                            "default": "source",
                        },
                    },
                    "required": ["sources"],
                    "additionalProperties": false,
                },
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doc::Columns;

    struct Row {
        number: Option<f64>,
        source: Option<&'static str>,
    }

    impl Columns for Row {
        fn string(&self, column: &str) -> Option<&str> {
            self.source.filter(|_| column == "source")
        }

        fn number(&self, column: &str) -> Option<f64> {
            self.number.filter(|_| column == "score")
        }
    }

    fn rank(keep: &Keep, number: Option<f64>, source: Option<&'static str>) -> u64 {
        keep.rank(&Doc::new("text", "text", &Row { number, source }))
    }

    #[test]
    fn numbers_keep_their_order_and_missing_ones_come_last() {
        let numbers = [f64::NEG_INFINITY, -2.5, -0.0, 0.0, 1e-300, 3.0, f64::INFINITY];
        let lowest: Vec<_> = numbers.iter().map(|&n| rank(&Keep::Lowest("score".into()), Some(n), None)).collect();
        let highest: Vec<_> = numbers.iter().map(|&n| rank(&Keep::Highest("score".into()), Some(n), None)).collect();
        assert!(lowest.is_sorted() && highest.iter().rev().is_sorted());
        assert_eq!((lowest[2], highest[2]), (lowest[3], highest[3]));
        for keep in [Keep::Lowest("score".into()), Keep::Highest("score".into())] {
            assert_eq!(rank(&keep, None, None), u64::MAX);
            assert_eq!(rank(&keep, Some(f64::NAN), None), u64::MAX);
        }
        assert!(lowest.iter().chain(&highest).all(|&rank| rank < u64::MAX));
    }

    #[test]
    fn longer_texts_go_first() {
        let rank = |text| Keep::Longest.rank(&Doc::bare(text));
        assert!(rank("中文字") < rank("ab"), "characters count, not bytes");
        assert_eq!(rank(""), u64::MAX);
    }

    #[test]
    fn sources_go_in_the_order_of_the_list() {
        let keep: Keep = "sources:books,web".parse().expect("a policy");
        let ranks = [Some("books"), Some("web"), Some("other"), None].map(|source| rank(&keep, None, source));
        assert_eq!(ranks, [0, 1, 2, u64::MAX]);
        assert_eq!(keep.needs(), [Need { column: "source".into(), kind: NeedKind::String }]);
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Settings {
        keep: Keep,
    }

    #[track_caller]
    fn check(toml: &str, command: &str) {
        let Settings { keep } = toml::from_str(toml).expect("a policy");
        assert_eq!(command.parse(), Ok(keep.clone()));
        assert_eq!(keep.to_string(), command);
        let again = toml::to_string(&Settings { keep: keep.clone() }).expect("plain data");
        assert_eq!(toml::from_str::<Settings>(&again).expect("a policy").keep, keep);
    }

    #[test]
    fn policies_are_read_from_pipelines_and_the_command_line() {
        check("keep = 'first'", "first");
        check("keep = 'longest'", "longest");
        check("keep = { highest = 'score' }", "highest:score");
        check("keep = { lowest = 'score' }", "lowest:score");
        check("keep = { sources = ['a', 'b'] }", "sources:a,b");
        check("keep = { sources = ['a'], column = 'source' }", "sources:a");
    }

    #[track_caller]
    fn check_refused(toml: &str, expected: &str) {
        let error = toml::from_str::<Settings>(toml).expect_err("nonsense");
        assert!(error.message().contains(expected), "{}", error.message());
    }

    #[test]
    fn nonsense_is_refused_with_what_would_have_worked() {
        check_refused("keep = 'last'", "unknown variant `last`, expected `first` or `longest`");
        check_refused("keep = { hihgest = 'a' }", "unknown field `hihgest`, expected one of `highest`");
        check_refused("keep = { highest = 'a', lowest = 'a' }", "`keep` takes one of");
        check_refused("keep = { sources = [] }", "needs the names of sources");
        check_refused("keep = 3", "expected \"first\", \"longest\"");
        for text in ["highest:", "first:x", "sources:", "", "longest,first"] {
            assert!(text.parse::<Keep>().is_err(), "{text}");
        }
    }
}
