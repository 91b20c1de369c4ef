//! The tree keeps its own rules: the floors, the names, the lists.

use std::fs;
use std::path::{Path, PathBuf};

use trommel::pipeline::{self, Pipeline};

/// The floors of the tree, the lowest first. A module is a file or a folder of `src/`. It may use what lies on
/// the floors below it and nothing on its own floor or above, so that there are no cycles, and whoever reads a
/// module knows what it can depend on.
const FLOORS: &[&[&str]] = &[
    // The same code for wider processors.
    &["vector"],
    // What everything stands on: errors; how bytes become text, and how that is cut, by us and by models; when two texts
    // are the same; what points at a person.
    &["error", "encoding", "text", "tokenizer", "canonical", "pii"],
    // Words as published recipes cut them.
    &["tokenize"],
    // A document; text that was decoded wrongly; bytes in folders and buckets; classifiers of texts.
    &["doc", "codepage", "store", "fasttext"],
    // What a stage is.
    &["stage"],
    // The stages that see one document, and the kernels that let keys meet: these know documents and pairs, but no
    // stage by name.
    &["normalize", "filter", "annotate", "exchange"],
    // What was used before, and what reuse is worth.
    &["reuse"],
    // The stages that see all documents.
    &["corpus"],
    // Stages in order, cut into passes.
    &["pipeline"],
    // What is known of the input, counted while working, and allowed at once.
    &["plan", "schema", "tally", "budget", "fleet"],
    // Readers and writers; where a run keeps its state; stages over a batch.
    &["format", "run_dir", "chain"],
    // One task through one pass; the pairs that a run leaves for other thresholds, and the texts that it has found to be
    // alike.
    &["task", "pairs", "alike"],
    // What happened.
    &["report"],
    // Waves of tasks on many machines: knows what a task is called, and nothing of what it does.
    &["cluster"],
    // Where tasks run, and the whole of a run.
    &["engine"],
    // Draws from a corpus, which are no runs of a pipeline.
    &["sample"],
    &["cli"],
    &["lib", "main"],
];

/// Uses that only tests make of a higher floor, with the reason.
const TEST_ONLY: &[(&str, &str)] = &[
    // The kernels are held against a plain re-telling of what the corpus stages promise.
    ("exchange/reference.rs", "corpus"),
    ("exchange/reference.rs", "reuse"),
];

#[test]
fn modules_use_only_what_lies_below_them() {
    let mut wrong = Vec::new();
    for path in source_files() {
        let text = read(&path);
        let module = module_of(&path);
        let Some(floor) = floor_of(&module) else {
            wrong.push(format!("src/{}: the module `{module}` is on no floor", path.display()));
            continue;
        };
        for (line, used) in uses(&text) {
            let allowed = used == module
                || floor_of(&used).is_some_and(|below| below < floor)
                || TEST_ONLY.iter().any(|(file, module)| path == Path::new(file) && used == *module);
            if !allowed {
                wrong.push(format!("src/{}:{line}: `{module}` uses `{used}`, which is not below it", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_floor_is_lived_in() {
    let modules: Vec<String> = source_files().iter().map(|path| module_of(path)).collect();
    for module in FLOORS.concat() {
        assert!(modules.iter().any(|known| known == module), "there is no module `{module}`");
    }
}

#[test]
fn uses_are_found() {
    let text = "use crate::doc::{Doc, DocId};\n// crate::engine\nuse crate::{annotate, corpus::keep};\n    \
                crate::store::runtime() + crate::plan::x;\n#[test]\nuse crate::{\n    filter,\n    stage::{a, b},\n};\n";
    let found: Vec<_> = uses(text);
    let expected = [(1, "doc"), (3, "annotate"), (3, "corpus"), (4, "store"), (4, "plan"), (6, "filter"), (6, "stage")];
    assert_eq!(found, expected.map(|(line, module)| (line, module.to_owned())));
}

#[test]
fn no_file_is_a_drawer() {
    for path in source_files() {
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        assert!(!matches!(stem, Some("utils" | "util" | "helpers" | "misc" | "common")), "src/{}", path.display());
    }
}

#[test]
fn names_of_stages_are_those_of_their_files() {
    for entry in pipeline::entries() {
        let path = root().join(format!("src/{}/{}.rs", entry.family, entry.name));
        assert!(path.exists(), "the stage `{}` is not in {}", entry.name, path.display());
    }
}

#[test]
fn every_setting_is_documented() {
    let mut bare = Vec::new();
    for entry in pipeline::entries() {
        bare.extend(undocumented(&(entry.schema)().to_value(), entry.name));
    }
    bare.extend(undocumented(&pipeline::schema::of_file(), "pipeline"));
    assert!(bare.is_empty(), "no description: {}", bare.join(", "));
}

#[test]
fn the_readme_lists_every_stage() {
    let Ok(readme) = fs::read_to_string(root().join("README.md")) else { return };
    for entry in pipeline::entries() {
        let row = |line: &str| line.starts_with('|') && line.contains(&format!("`{}`", entry.name));
        assert!(readme.lines().any(row), "README.md has no row for `{}`", entry.name);
    }
}

#[test]
fn pipelines_are_sound() {
    let Ok(files) = fs::read_dir(root().join("pipelines")) else { return };
    for file in files {
        let path = file.expect("a folder that can be listed").path();
        let place = path.display().to_string();
        assert_eq!(path.extension().and_then(|ending| ending.to_str()), Some("toml"), "{place}");
        let text = fs::read_to_string(&path).expect("a file that can be read");
        if let Err(error) = Pipeline::parse(&text, &place) {
            panic!("{error}");
        }
    }
}

/// The modules of `crate::` paths, with their lines.
fn uses(text: &str) -> Vec<(usize, String)> {
    const ROOT: &str = "crate::";
    let name = |text: &str| text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
    let code: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let mut found = Vec::new();
    for (i, line) in code.iter().enumerate() {
        for (at, _) in line.match_indices(ROOT) {
            let rest = &line[at + ROOT.len()..];
            match rest.strip_prefix('{') {
                None => found.push((i + 1, name(rest))),
                Some(first) => {
                    let group = [&[first], &code[i + 1..]].concat().join("\n");
                    found.extend(members(&group).into_iter().map(|member| (i + 1, name(member))));
                }
            }
        }
    }
    found
}

/// The members of a group of imports, up to the brace that closes it.
fn members(group: &str) -> Vec<&str> {
    let (mut depth, mut begin, mut found) = (0usize, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' | ',' if depth == 0 => {
                found.push(group[begin..at].trim());
                begin = at + 1;
                if c == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    found.retain(|member| !member.is_empty());
    found
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

/// The settings without a description, in a schema and the schemas in it.
fn undocumented(schema: &serde_json::Value, place: &str) -> Vec<String> {
    let mut bare = Vec::new();
    match schema {
        serde_json::Value::Object(map) => {
            for (name, setting) in map.get("properties").and_then(|all| all.as_object()).into_iter().flatten() {
                let setting =
                    setting.as_object().filter(|setting| setting.contains_key("type") || setting.contains_key("$ref"));
                if setting.is_some_and(|setting| !setting.contains_key("description")) {
                    bare.push(format!("{place}.{name}"));
                }
            }
            bare.extend(map.iter().flat_map(|(key, inner)| undocumented(inner, &format!("{place}.{key}"))));
        }
        serde_json::Value::Array(all) => bare.extend(all.iter().flat_map(|inner| undocumented(inner, place))),
        _ => {}
    }
    bare
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of `src/`, as a path below it, in order.
fn source_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder that can be listed") {
            let path = entry.expect("a folder that can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                files.push(path.strip_prefix(root().join("src")).expect("below src").to_owned());
            }
        }
    }
    files.sort();
    files
}

/// The module of a file: the first part of its path below `src/`.
fn module_of(path: &Path) -> String {
    let first = path.components().next().expect("a file has a name").as_os_str().to_string_lossy().into_owned();
    first.strip_suffix(".rs").map_or(first.clone(), str::to_owned)
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join("src").join(path)).expect("a file that can be read")
}
