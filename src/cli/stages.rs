//! `trommel stages`: what can stand in a pipeline.

use std::fmt::Write;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::{out, wrapped};
use crate::error::Error;
use crate::pipeline::{self, FAMILIES};
use crate::stage::Entry;

/// Lists the stages, or explains some of them.
///
/// For a stage that is named: what it does, its settings with their defaults, the reasons it can give for
/// a drop, the columns it adds, and lines to copy into a pipeline.
#[derive(Args)]
#[command(after_help = "Examples:
  trommel stages
  trommel stages gopher_quality minhash
  trommel stages --schema > pipeline.schema.json    # completion and checks in an editor")]
pub struct Stages {
    /// The stages to explain; all are listed if none is named.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Print everything about the stages as JSON.
    #[arg(long)]
    json: bool,
    /// Print the JSON Schema of a pipeline file.
    #[arg(long, conflicts_with_all = ["json", "names"])]
    schema: bool,
}

/// What the stages of a family do.
const FAMILIES_DO: [(&str, &str); 4] = [
    ("normalize", "rewrite the text"),
    ("filter", "drop documents, each with a reason"),
    ("annotate", "add columns"),
    ("corpus", "need to see every document first"),
];

impl Stages {
    /// Runs the command.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        if self.schema {
            out(&pretty(&pipeline::schema::of_file()))?;
            return Ok(ExitCode::SUCCESS);
        }
        let named = self.names.iter().map(|name| pipeline::entry(name).map_err(Error::refused));
        let named = named.collect::<Result<Vec<_>, _>>()?;
        if self.json {
            let all = if named.is_empty() { pipeline::entries().collect() } else { named };
            out(&pretty(&all.into_iter().map(as_json).collect()))?;
        } else if named.is_empty() {
            out(&list())?;
        } else {
            let pages: Vec<String> = named.into_iter().map(page).collect();
            out(&pages.join("\n\n"))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Every stage in a line, by family.
fn list() -> String {
    let width = pipeline::entries().map(|entry| entry.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (family, entries) in FAMILIES {
        let does = FAMILIES_DO.iter().find(|(name, _)| *name == family).map_or("", |(_, does)| does);
        // Writing to a string does not fail.
        let _ = writeln!(text, "{family}: {does}");
        for entry in entries {
            let _ = writeln!(text, "  {:<width$}  {}", entry.name, entry.about);
        }
        text.push('\n');
    }
    text.push_str("`trommel stages NAME` explains one.\n");
    text
}

/// All about a stage, for people.
fn page(entry: &Entry) -> String {
    let schema = (entry.schema)().to_value();
    let mut text = format!("{}: {}\n", entry.name, entry.about);
    if let Some(description) = schema["description"].as_str() {
        text.push('\n');
        text += &wrapped(description, "");
    }
    let defaults = (entry.defaults)();
    if let Some(defaults) = defaults.as_object().filter(|defaults| !defaults.is_empty()) {
        text += "\nSettings and their defaults:\n";
        for (name, default) in defaults {
            let _ = match default {
                _ if entry.required.iter().any(|(required, _)| required == name) => {
                    writeln!(text, "\n  {name} (must be set)")
                }
                Value::Null => writeln!(text, "\n  {name} (not set)"),
                value => writeln!(text, "\n  {name} = {}", as_toml(value)),
            };
            let setting = &schema["properties"][name.as_str()];
            text += &wrapped(setting["description"].as_str().unwrap_or_default(), "      ");
            for (choice, meaning) in choices(setting, &schema) {
                text += &wrapped(&format!("- {}: {meaning}", as_toml(choice)), "      ");
            }
        }
    }
    let stage = (entry.sample)();
    if !stage.reasons().is_empty() {
        text += "\nReasons for a drop:\n";
        text += &wrapped(&stage.reasons().join(", "), "  ");
    }
    let columns = stage.columns();
    if !columns.is_empty() {
        text += "\nColumns:\n";
        for column in columns {
            let _ = writeln!(text, "  {}: {}", column.name(), column.data_type());
        }
    }
    text += "\nIn a pipeline, with the defaults:\n\n";
    text + &snippet(entry)
}

/// The values a setting can have, where it has a few with names, and what they mean.
fn choices<'s>(setting: &'s Value, schema: &'s Value) -> Vec<(&'s Value, &'s str)> {
    let reference = setting["$ref"].as_str().and_then(|reference| schema.pointer(reference.strip_prefix('#')?));
    let target = reference.unwrap_or(setting);
    let named = |choice: &'s Value| Some((choice.get("const")?, choice["description"].as_str()?));
    target["oneOf"].as_array().into_iter().flatten().filter_map(named).collect()
}

/// Lines for a pipeline.
fn snippet(entry: &Entry) -> String {
    let mut text = format!("[[stage]]\nuse = \"{}\"\n", entry.name);
    for (name, value) in (entry.defaults)().as_object().into_iter().flatten() {
        let _ = match entry.required.iter().find(|(required, _)| required == name) {
            Some((_, example)) => writeln!(text, "{name} = {example}"),
            None if value.is_null() => Ok(()),
            None => writeln!(text, "{name} = {}", as_toml(value)),
        };
    }
    text
}

fn as_toml(value: &Value) -> String {
    toml::Value::try_from(value).map_or_else(|_| value.to_string(), |value| value.to_string())
}

fn as_json(entry: &Entry) -> Value {
    let stage = (entry.sample)();
    let columns = stage.columns();
    let column =
        |field: &arrow::datatypes::Field| json!({ "name": field.name(), "type": field.data_type().to_string() });
    json!({
        "name": entry.name,
        "family": entry.family,
        "about": entry.about,
        "rewrites": stage.rewrites(),
        "defaults": (entry.defaults)(),
        "required": entry.required.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        "schema": (entry.schema)(),
        "reasons": stage.reasons(),
        "columns": columns.iter().map(column).collect::<Vec<_>>(),
    })
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Pipeline;

    #[test]
    fn the_list_fits_a_terminal() {
        for line in list().lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }

    #[test]
    fn every_family_is_described() {
        assert!(FAMILIES.iter().map(|(family, _)| family).eq(FAMILIES_DO.iter().map(|(family, _)| family)));
    }

    #[test]
    fn every_page_ends_in_lines_that_pass_check() {
        for entry in pipeline::entries() {
            let page = page(entry);
            let at = page.find("[[stage]]").expect(entry.name);
            match Pipeline::parse(&page[at..], entry.name) {
                Ok(_) => {}
                // The example names a file that is not there.
                Err(error) => {
                    assert!(["model.bin: ", "words/: "].iter().any(|name| error.to_string().contains(name)), "{error}");
                }
            }
        }
    }

    #[test]
    fn every_setting_is_explained() {
        for entry in pipeline::entries() {
            let schema = (entry.schema)().to_value();
            for setting in (entry.defaults)().as_object().expect(entry.name).keys() {
                let description = &schema["properties"][setting.as_str()]["description"];
                assert!(description.is_string(), "{}: {setting}", entry.name);
            }
        }
    }
}
