//! The JSON Schema of a pipeline file, for editors that complete and check while one writes.

use serde_json::{Map, Value, json};

use super::{InputSettings, OutputSettings, entries};
use crate::stage::Entry;

/// The schema of a whole file: `input`, `output`, and the list `stage` with the settings of each by its `use`.
pub fn of_file() -> Value {
    let mut defs = Map::new();
    let input = hoisted(schemars::schema_for!(InputSettings).to_value(), &mut defs);
    let output = hoisted(schemars::schema_for!(OutputSettings).to_value(), &mut defs);
    let stages: Vec<Value> = entries().map(|entry| of_stage(entry, &mut defs)).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "trommel pipeline",
        "type": "object",
        "properties": {
            "input": input,
            "output": output,
            "stage": {
                "description": "The stages, in the order they run.",
                "type": "array",
                "items": { "type": "object", "required": ["use"], "oneOf": stages },
            },
        },
        "additionalProperties": false,
        "$defs": defs,
    })
}

/// A stage in a file: its settings, and the keys that every stage has.
fn of_stage(entry: &Entry, defs: &mut Map<String, Value>) -> Value {
    let mut schema = hoisted((entry.schema)().to_value(), defs);
    let own = schema["properties"].take();
    let mut properties = Map::new();
    properties.insert("use".into(), json!({ "description": entry.about, "const": entry.name }));
    properties.insert(
        "name".into(),
        json!({ "description": "The name in reports; the stage's own if left out.", "type": "string" }),
    );
    properties.insert("when".into(), conditions("Run only for documents whose columns have one of these values."));
    properties.insert("unless".into(), conditions("Do not run for documents whose columns have one of these values."));
    if let Value::Object(own) = own {
        properties.extend(own);
    }
    schema["title"] = entry.name.into();
    schema["properties"] = properties.into();
    schema["required"] = ["use"].into_iter().chain(entry.required.iter().map(|(name, _)| *name)).collect();
    schema
}

fn conditions(description: &str) -> Value {
    json!({
        "description": description,
        "type": "object",
        "additionalProperties": {
            "anyOf": [
                { "type": "string" },
                { "type": "array", "items": { "type": "string" }, "minItems": 1 },
            ],
        },
    })
}

/// A schema whose definitions are moved to those of the whole, where its references look for them.
fn hoisted(mut schema: Value, defs: &mut Map<String, Value>) -> Value {
    let Some(object) = schema.as_object_mut() else { return schema };
    object.remove("$schema");
    if let Some(Value::Object(own)) = object.remove("$defs") {
        for (name, def) in own {
            let known = defs.entry(name).or_insert_with(|| def.clone());
            assert_eq!(known, &def, "two types of settings with one name");
        }
    }
    schema
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn references<'v>(value: &'v Value, found: &mut BTreeSet<&'v str>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let schema = of_file();
        let mut found = BTreeSet::new();
        references(&schema, &mut found);
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("references stay in the file");
            assert!(schema.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn every_stage_has_its_settings_and_those_of_all() {
        let schema = of_file();
        let stages = schema["properties"]["stage"]["items"]["oneOf"].as_array().expect("a list");
        assert_eq!(stages.len(), entries().count());
        for (entry, stage) in entries().zip(stages) {
            assert_eq!(stage["properties"]["use"]["const"], entry.name);
            assert_eq!(stage["additionalProperties"], false, "{}", entry.name);
            let properties = stage["properties"].as_object().expect(entry.name);
            let defaults = (entry.defaults)();
            let own = defaults.as_object().expect(entry.name);
            assert!(own.keys().all(|setting| properties.contains_key(setting)), "{}", entry.name);
            assert_eq!(properties.len(), own.len() + 4, "{}: a setting is named like a key of all stages", entry.name);
        }
    }
}
