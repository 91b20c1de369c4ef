//! How stages are listed, checked and built: settings, and a line in a table for each.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Annotator, CorpusStage, Editor, Filter, Normalizer, Stage};
use crate::error;

/// The settings of a stage, which are the stage: deserialize them, build, and it runs.
///
/// Doc comments on the fields are the user manual: `trommel stages NAME` prints them with the defaults.
pub trait Settings: Serialize + DeserializeOwned + Default + JsonSchema + 'static {
    /// The name in pipelines and reports, in snake case.
    const NAME: &'static str;
    /// What it does, in a line.
    const ABOUT: &'static str;
    /// What runs.
    type Stage;
    /// Published settings to begin with, if its setting `profile` names them; others than the defaults.
    const PROFILES: &'static [Profile<Self>] = &[];
    /// The settings that the defaults leave out because only a user can say them, each with an example in TOML.
    const REQUIRED: &'static [(&'static str, &'static str)] = &[];
    /// Checks the settings and builds what runs. The message says which setting is wrong and what would have worked.
    fn build(self) -> Result<Self::Stage, String>;
    /// The stage as listings show it: with the defaults, and whatever is right for what must be set.
    fn sample() -> Self::Stage {
        Self::default().build().expect("a stage without required settings builds from its defaults")
    }
}

/// Settings that a recipe has published.
pub struct Profile<S> {
    /// What `profile` calls it.
    pub name: &'static str,
    /// The settings, all of them; those that a pipeline gives beside `profile` take their place.
    pub settings: fn() -> S,
}

/// A line in a family's table: all that is needed to list, check and build a stage.
pub struct Entry {
    /// The name in pipelines and reports.
    pub name: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// The kind: `normalize`, `filter`, `annotate` or `corpus`.
    pub family: &'static str,
    /// Builds the stage from a pipeline's settings. The message names the setting and what would have worked.
    pub build: fn(toml::Table) -> Result<Stage, String>,
    /// The stage as listings show it; unlike [`Entry::build`] it needs no settings.
    pub sample: fn() -> Stage,
    /// The settings that must be set, each with an example in TOML.
    pub required: &'static [(&'static str, &'static str)],
    /// The settings with their defaults.
    pub defaults: fn() -> serde_json::Value,
    /// The JSON Schema of the settings, with what each one means.
    pub schema: fn() -> schemars::Schema,
}

impl Entry {
    const fn of<S: Settings>(
        family: &'static str,
        build: fn(toml::Table) -> Result<Stage, String>,
        sample: fn() -> Stage,
    ) -> Self {
        Self {
            name: S::NAME,
            about: S::ABOUT,
            family,
            build,
            sample,
            required: S::REQUIRED,
            defaults: || serde_json::to_value(S::default()).expect("settings are plain data"),
            schema: || schemars::schema_for!(S),
        }
    }

    /// A normalizer.
    pub const fn normalizer<S: Settings<Stage: Normalizer + 'static>>() -> Self {
        Self::of::<S>(
            "normalize",
            |table| Ok(Stage::Normalize(Box::new(settings::<S>(table)?.build()?))),
            || Stage::Normalize(Box::new(S::sample())),
        )
    }

    /// A filter.
    pub const fn filter<S: Settings<Stage: Filter + 'static>>() -> Self {
        Self::of::<S>(
            "filter",
            |table| Ok(Stage::Filter(Box::new(settings::<S>(table)?.build()?))),
            || Stage::Filter(Box::new(S::sample())),
        )
    }

    /// An editor; it is listed among the filters.
    pub const fn editor<S: Settings<Stage: Editor + 'static>>() -> Self {
        Self::of::<S>(
            "filter",
            |table| Ok(Stage::Edit(Box::new(settings::<S>(table)?.build()?))),
            || Stage::Edit(Box::new(S::sample())),
        )
    }

    /// An annotator.
    pub const fn annotator<S: Settings<Stage: Annotator + 'static>>() -> Self {
        Self::of::<S>(
            "annotate",
            |table| Ok(Stage::Annotate(Box::new(settings::<S>(table)?.build()?))),
            || Stage::Annotate(Box::new(S::sample())),
        )
    }

    /// A corpus stage.
    pub const fn corpus<S: Settings<Stage: CorpusStage + 'static>>() -> Self {
        Self::of::<S>(
            "corpus",
            |table| Ok(Stage::Corpus(Box::new(settings::<S>(table)?.build()?))),
            || Stage::Corpus(Box::new(S::sample())),
        )
    }
}

fn settings<S: Settings>(table: toml::Table) -> Result<S, String> {
    let mut table = table;
    if let Some(name) = table.get("profile").and_then(toml::Value::as_str)
        && !S::PROFILES.is_empty()
    {
        let Some(profile) = S::PROFILES.iter().find(|profile| profile.name == name) else {
            let names: Vec<_> = S::PROFILES.iter().map(|profile| format!("`{}`", profile.name)).collect();
            return Err(format!("there is no profile `{name}`; there are {}", names.join(", ")));
        };
        let published = toml::Table::try_from((profile.settings)()).expect("settings are plain data");
        for (setting, value) in published {
            table.entry(setting).or_insert(value);
        }
    }
    table.try_into::<S>().map_err(|error| error::of_settings(&error))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// A stage with a profile.
    #[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
    #[serde(default, deny_unknown_fields)]
    struct Rules {
        profile: Option<String>,
        min: u32,
        max: u32,
    }

    impl Default for Rules {
        fn default() -> Self {
            Self { profile: None, min: 1, max: 9 }
        }
    }

    impl Settings for Rules {
        const NAME: &'static str = "rules";
        const ABOUT: &'static str = "nothing";
        type Stage = Self;
        const PROFILES: &'static [Profile<Self>] =
            &[Profile { name: "narrow", settings: || Self { min: 4, max: 6, ..Self::default() } }];

        fn build(self) -> Result<Self, String> {
            Ok(self)
        }
    }

    #[track_caller]
    fn check(toml: &str, expected: Result<(u32, u32), &str>) {
        let read = settings::<Rules>(toml::from_str(toml).expect("the text of a test is TOML"));
        assert_eq!(read.map(|rules| (rules.min, rules.max)), expected.map_err(str::to_owned), "{toml}");
    }

    #[test]
    fn a_profile_takes_the_place_of_the_defaults() {
        check("", Ok((1, 9)));
        check("profile = 'narrow'", Ok((4, 6)));
        check("profile = 'narrow'\nmax = 7", Ok((4, 7)));
        check("profile = 'wide'", Err("there is no profile `wide`; there are `narrow`"));
    }
}
