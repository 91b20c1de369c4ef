//! A limit that a setting can move or switch off.

use std::borrow::Cow;
use std::fmt;
use std::ops::ControlFlow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::stage::{Reason, Verdict};

/// A limit: a number, or `false` to switch off the rule it belongs to. Zero is a limit like any other.
///
/// Limits are inclusive: what measures exactly the limit passes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold(Option<f64>);

/// The outcome of one rule: it holds, and the next one is asked, or the document goes.
pub type Ruling = ControlFlow<Reason>;

impl Threshold {
    /// No limit: the rule is switched off.
    pub const OFF: Self = Self(None);

    /// A limit at `value`.
    pub const fn at(value: f64) -> Self {
        Self(Some(value))
    }

    /// The limit, unless it is switched off.
    pub const fn get(self) -> Option<f64> {
        self.0
    }

    /// Whether the rule is asked at all.
    pub const fn is_on(self) -> bool {
        self.0.is_some()
    }

    /// Holds unless `value` is below the limit. A value that is not a number holds.
    pub fn at_least(self, code: &'static str, value: f64) -> Ruling {
        self.rule(code, value, |value, limit| value < limit)
    }

    /// Holds unless `value` is above the limit. A value that is not a number holds.
    pub fn at_most(self, code: &'static str, value: f64) -> Ruling {
        self.rule(code, value, |value, limit| value > limit)
    }

    fn rule(self, code: &'static str, value: f64, fails: fn(f64, f64) -> bool) -> Ruling {
        match self.0 {
            Some(threshold) if fails(value, threshold) => ControlFlow::Break(Reason { code, value, threshold }),
            _ => ControlFlow::Continue(()),
        }
    }
}

/// The verdict of a filter whose rules have been asked in order.
pub(super) fn verdict(ruling: Ruling) -> Verdict {
    match ruling {
        ControlFlow::Continue(()) => Verdict::Keep,
        ControlFlow::Break(reason) => Verdict::Drop(reason),
    }
}

/// The ruling on a document in which there is nothing to measure: no number of things is enough, one is.
pub(super) const EMPTY: Ruling = ControlFlow::Break(Reason { code: "empty", value: 0.0, threshold: 1.0 });

/// Says which setting is wrong if `min` is above `max`.
pub(super) fn check_order(min: (&str, Threshold), max: (&str, Threshold)) -> Result<(), String> {
    match (min.1.get(), max.1.get()) {
        (Some(low), Some(high)) if low > high => Err(format!("`{}` ({low}) is above `{}` ({high})", min.0, max.0)),
        _ => Ok(()),
    }
}

impl Serialize for Threshold {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            None => serializer.serialize_bool(false),
            // A count reads better without its decimal point.
            Some(value) if value.fract() == 0.0 && value.abs() < 1e15 => serializer.serialize_i64(value as i64),
            Some(value) => serializer.serialize_f64(value),
        }
    }
}

impl<'de> Deserialize<'de> for Threshold {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrFalse)
    }
}

struct NumberOrFalse;

impl Visitor<'_> for NumberOrFalse {
    type Value = Threshold;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or `false` to switch the rule off")
    }

    fn visit_bool<E: Error>(self, on: bool) -> Result<Threshold, E> {
        if on { Err(E::invalid_value(Unexpected::Bool(true), &self)) } else { Ok(Threshold::OFF) }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Threshold, E> {
        Ok(Threshold::at(value as f64))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Threshold, E> {
        Ok(Threshold::at(value as f64))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Threshold, E> {
        if !value.is_finite() {
            Err(E::invalid_value(Unexpected::Float(value), &self))
        } else {
            Ok(Threshold::at(value))
        }
    }
}

impl JsonSchema for Threshold {
    fn schema_name() -> Cow<'static, str> {
        "Threshold".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number, or `false` to switch the rule off.",
            "anyOf": [{ "type": "number" }, { "const": false }],
        })
    }

    fn inline_schema() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, Serialize)]
    struct Settings {
        max: Threshold,
    }

    #[track_caller]
    fn check(toml: &str, expected: Result<Threshold, &str>) {
        match (toml::from_str::<Settings>(toml), expected) {
            (Ok(settings), Ok(threshold)) => assert_eq!(settings.max, threshold),
            (Err(error), Err(message)) => assert!(error.message().contains(message), "{error}"),
            (read, _) => panic!("{toml} was read as {read:?}"),
        }
    }

    #[test]
    fn a_number_is_a_limit() {
        check("max = 3", Ok(Threshold::at(3.0)));
        check("max = 0.25", Ok(Threshold::at(0.25)));
        check("max = 0", Ok(Threshold::at(0.0)));
    }

    #[test]
    fn false_is_off() {
        check("max = false", Ok(Threshold::OFF));
    }

    #[test]
    fn anything_else_is_refused() {
        check("max = true", Err("expected a number, or `false` to switch the rule off"));
        check("max = nan", Err("expected a number, or `false`"));
        check("max = inf", Err("expected a number, or `false`"));
        check("max = 'x'", Err("expected a number, or `false`"));
    }

    #[test]
    fn it_is_written_as_it_is_read() {
        for toml in ["max = 50\n", "max = 0.25\n", "max = false\n"] {
            let settings: Settings = toml::from_str(toml).expect("the text above is right");
            assert_eq!(toml::to_string(&settings).expect("plain data"), toml);
        }
    }

    #[test]
    fn the_limit_itself_passes() {
        let limit = Threshold::at(0.5);
        assert!(limit.at_least("few", 0.5).is_continue() && limit.at_most("many", 0.5).is_continue());
        assert!(limit.at_least("few", 0.49).is_break() && limit.at_most("many", 0.51).is_break());
        assert!(limit.at_least("few", f64::NAN).is_continue());
        assert!(Threshold::OFF.at_most("many", 1e9).is_continue());
    }
}
