//! From what the user names (files, folders, globs, URLs) to a list of files in natural order.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::str::Chars;
use std::sync::Arc;

use globset::GlobBuilder;

use super::Format;
use crate::encoding::Encoding;
use crate::error::{Error, Result};
use crate::store::{Folder, Found, ReadAt};

/// An input file.
#[derive(Clone)]
pub struct InputFile {
    folder: Folder,
    path: String,
    /// The file as people call it.
    pub name: String,
    /// The format its name promises.
    pub format: Format,
    /// The number of bytes.
    pub size: u64,
    /// What changes when the content does.
    pub etag: String,
    /// How its texts are encoded.
    pub encoding: Encoding,
}

impl InputFile {
    fn new(folder: &Folder, found: Found, format: Format) -> Self {
        let name = folder.name_of(&found.path);
        let encoding = Encoding::Utf8;
        Self { folder: folder.clone(), path: found.path, name, format, size: found.size, etag: found.etag, encoding }
    }

    /// A file of this program's own making, below `folder`.
    pub fn own(folder: &Folder, path: &str) -> Result<Self> {
        let found = folder.find(path)?.ok_or_else(|| Error::io(folder.name_of(path), "no such file"))?;
        let format = Format::of_name(path).unwrap_or(Format::Parquet);
        Ok(Self::new(folder, found, format))
    }

    /// A file that was found elsewhere, at its [`InputFile::location`]. `folders` are those met so far.
    pub fn at(
        folders: &mut BTreeMap<String, Folder>,
        location: &str,
        name: String,
        size: u64,
        etag: String,
    ) -> Result<Self> {
        let (parent, path) = split_name(location).ok_or_else(|| Error::io(location, "not the name of a file"))?;
        let folder = match folders.get(parent) {
            Some(folder) => folder.clone(),
            None => folders.entry(parent.to_owned()).or_insert(Folder::parse(parent)?).clone(),
        };
        let format = Format::of_name(path).ok_or_else(|| Error::io(location, "the name does not tell the format"))?;
        Ok(Self { folder, path: path.to_owned(), name, format, size, etag, encoding: Encoding::Utf8 })
    }

    /// The same file, its texts encoded in another way than in UTF-8.
    #[must_use]
    pub fn encoded(self, encoding: Encoding) -> Self {
        Self { encoding, ..self }
    }

    /// Where it is, seen from anywhere: a full path or a URL.
    pub fn location(&self) -> PathBuf {
        self.folder.location_of(&self.path)
    }

    /// Where it is, however it is named.
    pub fn real_location(&self) -> PathBuf {
        self.folder.real_location_of(&self.path)
    }

    /// Opens it.
    pub fn open(&self) -> Result<Arc<dyn ReadAt>> {
        self.folder.open(&self.path)
    }
}

/// The files that `specs` name: each a file, a folder, a glob or a URL of one. What a spec finds is in
/// natural order (`part-2` before `part-10`); specs stay in the order they were given, and a file found
/// twice counts where it was found first. Hidden files, `_`-files and other formats in folders are passed over.
pub fn find(specs: &[String]) -> Result<Vec<InputFile>> {
    let mut files = Vec::new();
    let mut seen = BTreeSet::new();
    for spec in specs {
        let found = find_one(spec)?;
        if found.is_empty() {
            return Err(Error::refused(format!(
                "{spec}: no input files; looked for .parquet, .jsonl, .jsonl.gz and .jsonl.zst"
            )));
        }
        for file in found {
            if seen.insert(file.folder.location_of(&file.path)) {
                files.push(file);
            } else {
                tracing::warn!("{}: named twice, read once", file.name);
            }
        }
    }
    Ok(files)
}

fn find_one(spec: &str) -> Result<Vec<InputFile>> {
    if let Some(file) = find_file(spec)? {
        return Ok(vec![file]);
    }
    // A folder by its name, whatever characters that has.
    let is_folder = Folder::parse(spec)?.local_path().is_some_and(Path::is_dir);
    let (root, pattern) = if is_folder { (spec, None) } else { split_glob(spec) };
    let folder = Folder::parse(root)?;
    if folder.local_path().is_some_and(|path| !path.exists()) {
        return Err(Error::refused(format!("{root}: there is no such file or folder")));
    }
    if folder.local_path().is_some_and(|path| !path.is_dir()) {
        return Err(Error::refused(format!("{root}: neither a file nor a folder; copy what it gives to a file first")));
    }
    let matcher = pattern
        .map(|pattern| GlobBuilder::new(pattern).literal_separator(true).build().map(|glob| glob.compile_matcher()))
        .transpose()
        .map_err(|error| Error::refused(format!("{spec}: {error}")))?;
    let mut files: Vec<InputFile> = folder
        .list()?
        .into_iter()
        .filter(|found| found.path.split('/').all(|part| !part.starts_with(['.', '_'])))
        .filter(|found| matcher.as_ref().is_none_or(|matcher| matcher.is_match(&found.path)))
        .filter_map(|found| {
            let format = Format::of_name(&found.path)?;
            Some(InputFile::new(&folder, found, format))
        })
        .collect();
    files.sort_by(|a, b| natural(&a.path, &b.path));
    Ok(files)
}

/// The file that the spec names literally, if it does.
fn find_file(spec: &str) -> Result<Option<InputFile>> {
    let Some((folder, name)) = split_name(spec) else { return Ok(None) };
    let folder = Folder::parse(folder)?;
    let Some(found) = folder.find(name)? else { return Ok(None) };
    let format = Format::of_name(name).ok_or_else(|| {
        Error::refused(format!(
            "{spec}: the name does not tell the format; .parquet, .jsonl, .jsonl.gz and .jsonl.zst are known"
        ))
    })?;
    let mut file = InputFile::new(&folder, found, format);
    file.name = spec.to_owned();
    Ok(Some(file))
}

/// Folder and file name.
fn split_name(spec: &str) -> Option<(&str, &str)> {
    let (folder, name) = match spec.rsplit_once('/') {
        Some((folder, name)) => (if folder.is_empty() { "/" } else { folder }, name),
        None => (".", spec),
    };
    let is_root = folder.ends_with(":/") || folder.ends_with(':');
    (!name.is_empty() && name != "." && name != ".." && !is_root).then_some((folder, name))
}

/// The folder before the first part with a wildcard, and the pattern below it.
fn split_glob(spec: &str) -> (&str, Option<&str>) {
    let Some(at) = spec.find(['*', '?', '[', '{']) else { return (spec, None) };
    match spec[..at].rfind('/') {
        Some(0) => ("/", Some(&spec[1..])),
        Some(slash) => (&spec[..slash], Some(&spec[slash + 1..])),
        None => (".", Some(spec)),
    }
}

/// Orders names as people count: runs of digits by their number.
pub fn natural(a: &str, b: &str) -> Ordering {
    let (mut x, mut y) = (a.chars().peekable(), b.chars().peekable());
    loop {
        let order = match (x.peek(), y.peek()) {
            (None, None) => return a.cmp(b),
            (Some(c), Some(d)) if c.is_ascii_digit() && d.is_ascii_digit() => {
                let (m, n) = (number(&mut x), number(&mut y));
                m.len().cmp(&n.len()).then(m.cmp(&n))
            }
            (c, d) => {
                let order = c.cmp(&d);
                x.next();
                y.next();
                order
            }
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// The digits of a number without leading zeros.
fn number(chars: &mut Peekable<Chars<'_>>) -> String {
    let mut digits = String::new();
    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
        if digit != '0' || !digits.is_empty() {
            digits.push(digit);
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_counted() {
        let mut names = ["part-10.x", "part-2.x", "part-002.x", "a/1", "a", "part-2", "b10c2", "b10c10"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["a", "a/1", "b10c2", "b10c10", "part-2", "part-002.x", "part-2.x", "part-10.x"]);
    }

    #[test]
    fn globs_are_split_at_the_first_wildcard() {
        assert_eq!(split_glob("a/b/*.parquet"), ("a/b", Some("*.parquet")));
        assert_eq!(split_glob("s3://bucket/x-*/y"), ("s3://bucket", Some("x-*/y")));
        assert_eq!(split_glob("*.jsonl"), (".", Some("*.jsonl")));
        assert_eq!(split_glob("/d/e"), ("/d/e", None));
    }

    #[test]
    fn folders_pass_over_what_is_not_input() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for name in
            ["b-10.jsonl", "b-9.jsonl", "_SUCCESS", ".hidden.jsonl", "readme.md", "sub/c.parquet", "_x/d.parquet"]
        {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, b"").expect("written");
        }
        let root = dir.path().display().to_string();
        let names = |spec: String| -> Vec<String> {
            let files = find(&[spec]).expect("found");
            files.into_iter().map(|file| file.name[root.len() + 1..].to_owned()).collect()
        };
        assert_eq!(names(root.clone()), ["b-9.jsonl", "b-10.jsonl", "sub/c.parquet"]);
        assert_eq!(names(format!("{root}/*.jsonl")), ["b-9.jsonl", "b-10.jsonl"]);
        assert_eq!(names(format!("{root}/**/*.parquet")), ["sub/c.parquet"]);
        assert_eq!(names(format!("{root}/b-9.jsonl")), ["b-9.jsonl"]);
        // Named in two ways.
        let twice = find(&[format!("{root}/."), root.clone()]).expect("found");
        assert_eq!(twice.len(), 3);
    }

    #[test]
    fn names_with_any_characters_are_names() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let odd = dir.path().join("a [1] *\n{b}");
        std::fs::create_dir(&odd).expect("made");
        for name in ["x [2]?.jsonl", "y\nz.jsonl", "100% #~.jsonl"] {
            std::fs::write(odd.join(name), b"{}").expect("written");
        }
        let odd = odd.display().to_string();
        for (spec, n) in [(odd.clone(), 3), (format!("{odd}/"), 3), (format!("{odd}/x [2]?.jsonl"), 1)] {
            let files = find(std::slice::from_ref(&spec)).expect("found");
            assert_eq!(files.len(), n, "{spec}");
            assert!(files.iter().all(|file| file.open().is_ok()), "{spec}");
        }
    }

    #[test]
    fn nothing_found_is_refused() {
        let refused = |spec: &str| find(&[spec.to_owned()]).map(drop).expect_err("refused").to_string();
        assert_eq!(refused("/no/such/folder/*.jsonl"), "/no/such/folder: there is no such file or folder");
        assert_eq!(
            refused("src/*.parquet"),
            "src/*.parquet: no input files; looked for .parquet, .jsonl, .jsonl.gz and .jsonl.zst"
        );
    }
}
