//! What can go wrong in the world: a setting, a file, a network.
//!
//! A rejected document is a result, not an error, and never passes through here.

/// Why the program stopped, or could not begin. Printed to people as it is: lowercase, no full stop,
/// naming the place and what would have worked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user asked for something that cannot be done: a bad setting, a bad argument, a taken output folder.
    /// Nothing was read or written.
    #[error("{0}")]
    Refused(String),
    /// One input file could not be read (further). The run goes on without the rest of it.
    #[error("{file}: {message}")]
    Shard {
        /// The file as the user named it.
        file: String,
        /// What is wrong, and where in the file.
        message: String,
    },
    /// Reading or writing failed in a way that stops the run.
    #[error("{place}: {message}")]
    Io {
        /// The file, folder or address.
        place: String,
        /// What the system said.
        message: String,
    },
    /// A cluster did not take a wave of tasks to its end. What the tasks have left in shared storage stays.
    #[cfg(feature = "cluster")]
    #[error("{place}: {message}")]
    Cluster {
        /// The address of the scheduler.
        place: String,
        /// What to do about it.
        trouble: Trouble,
        /// What happened.
        message: String,
    },
    /// The user asked to stop. The run can be continued.
    #[error("interrupted; run the same command again to continue")]
    Interrupted,
}

/// What keeps a cluster from taking tasks to their end, by what helps.
#[cfg(feature = "cluster")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The scheduler does not answer. Its jobs are lost if it died; another attempt begins with a new connection.
    Unreachable,
    /// The job ended before its tasks did: an executor was lost, there was none, or somebody cancelled it. The tasks
    /// that are not done can be submitted again.
    Lost,
    /// The cluster does not understand what it is asked for. The same again will fail again.
    Refused,
}

impl Error {
    /// A refusal: nothing has been read or written.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::Refused(message.into())
    }

    /// A failure of reading or writing at `place`.
    pub fn io(place: impl std::fmt::Display, error: impl std::fmt::Display) -> Self {
        Self::Io { place: place.to_string(), message: error.to_string() }
    }

    /// A failure of one input file.
    pub fn shard(file: impl std::fmt::Display, error: impl std::fmt::Display) -> Self {
        Self::Shard { file: file.to_string(), message: error.to_string() }
    }
}

/// The result of everything that touches the world.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What is wrong in a table of settings, in the words of those who write them, and the setting it is wrong in.
pub fn of_settings(error: &toml::de::Error) -> String {
    const WORDS: [(&str, &[&str]); 7] = [
        ("expected a whole number, 0 or above", &["expected usize", "expected u64", "expected u32"]),
        ("expected a whole number", &["expected i32", "expected i64"]),
        ("expected a number", &["expected f64", "expected f32"]),
        ("expected a list", &["expected a sequence"]),
        ("expected a table", &["expected a map", "expected struct InputSettings", "expected struct OutputSettings"]),
        ("type: list", &["type: sequence"]),
        ("type: table", &["type: map"]),
    ];
    let mut message = error.message().to_owned();
    for (ours, theirs) in WORDS {
        for their in theirs {
            message = message.replace(their, ours);
        }
    }
    // `unknown field `x`, expected one of `a`, `b`, `c``; of two, anyone sees which was meant.
    let mut words = message.split('`').skip(1).step_by(2);
    if message.contains(", expected one of `")
        && let Some(word) = words.next()
        && let Some(meant) = meant(word, words)
    {
        let suggestion = format!("; did you mean `{meant}`?");
        message += &suggestion;
    }
    // Only what is printed tells the place.
    let printed = error.to_string();
    match printed.trim_end().rsplit_once("\nin `").and_then(|(_, place)| place.strip_suffix('`')) {
        Some(place) => format!("`{place}`: {message}"),
        None => message,
    }
}

/// The word that was perhaps meant, of those that are known.
pub fn meant<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let (distance, meant) = known.into_iter().map(|known| (edit_distance(word, known), known)).min()?;
    (distance <= 3 && 2 * distance <= word.chars().count()).then_some(meant)
}

/// Levenshtein distance.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let cost = (diagonal + usize::from(x != *y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], cost);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_close_was_meant() {
        let meant = |word| meant(word, ["threshold", "n", "keep"]);
        assert_eq!(meant("treshold"), Some("threshold"));
        assert_eq!(meant("kepe"), Some("keep"));
        assert_eq!(meant("m"), None);
        assert_eq!(meant("format"), None);
    }
}
