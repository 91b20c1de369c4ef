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
    /// The user asked to stop. The run can be continued.
    #[error("interrupted; run the same command again to continue")]
    Interrupted,
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
    const WORDS: [(&str, &[&str]); 4] = [
        ("expected a whole number, 0 or above", &["expected usize", "expected u64", "expected u32"]),
        ("expected a whole number", &["expected i32", "expected i64"]),
        ("expected a number", &["expected f64", "expected f32"]),
        ("expected a list", &["expected a sequence"]),
    ];
    let mut message = error.message().to_owned();
    for (ours, theirs) in WORDS {
        for their in theirs {
            message = message.replace(their, ours);
        }
    }
    // Only what is printed tells the place.
    let printed = error.to_string();
    match printed.trim_end().rsplit_once("\nin `").and_then(|(_, place)| place.strip_suffix('`')) {
        Some(place) => format!("`{place}`: {message}"),
        None => message,
    }
}
