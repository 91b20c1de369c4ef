//! Lists that the user brings: files of one entry a line.

use xxhash_rust::xxh3::xxh3_128;

use crate::store::Folder;

/// A list that is named, and its name below the folder that was asked for.
pub(super) struct List {
    pub(super) name: String,
    pub(super) lines: Vec<String>,
}

/// What is read of lists, as one sequence of bytes that tells them apart from any others.
#[derive(Default)]
pub(super) struct Read(Vec<u8>);

impl Read {
    /// Adds a list by a name that it has among the others.
    pub(super) fn add(&mut self, name: &str, lines: &[String]) {
        for part in [name].into_iter().chain(lines.iter().map(String::as_str)) {
            self.0.extend(part.as_bytes());
            self.0.push(b'\n');
        }
        self.0.push(b'\n');
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn digest(&self) -> u128 {
        xxh3_128(&self.0)
    }
}

/// The lines of a file, on disk or in a bucket: stripped, those that are blank left out.
pub(super) fn lines(file: &str) -> Result<Vec<String>, String> {
    match find_file(file)? {
        Some(list) => Ok(list.lines),
        None => Err(format!("{file}: there is no such file")),
    }
}

/// The list that a file is, or those that are right in a folder, in the order of their names.
pub(super) fn file_or_folder(spec: &str) -> Result<FileOrFolder, String> {
    if let Some(list) = find_file(spec)? {
        return Ok(FileOrFolder::File(list));
    }
    let folder = Folder::parse(spec).map_err(|error| error.to_string())?;
    let found = folder.list().map_err(|error| error.to_string())?;
    let is_list = |path: &&str| !path.contains('/') && !path.starts_with(['.', '_']);
    let paths: Vec<&str> = found.iter().map(|found| found.path.as_str()).filter(is_list).collect();
    if paths.is_empty() {
        return Err(format!("{spec}: there is no such file, nor a folder with files in it"));
    }
    paths.into_iter().map(|path| read(&folder, path)).collect::<Result<_, _>>().map(FileOrFolder::Folder)
}

/// What a name was the name of.
pub(super) enum FileOrFolder {
    File(List),
    Folder(Vec<List>),
}

fn find_file(spec: &str) -> Result<Option<List>, String> {
    let (folder, path) = spec.rsplit_once('/').unwrap_or((".", spec));
    let folder = if folder.is_empty() { "/" } else { folder };
    if path.is_empty() {
        return Ok(None);
    }
    let folder = Folder::parse(folder).map_err(|error| error.to_string())?;
    match folder.find(path).map_err(|error| error.to_string())? {
        Some(_) => read(&folder, path).map(Some),
        None => Ok(None),
    }
}

fn read(folder: &Folder, path: &str) -> Result<List, String> {
    let name = folder.name_of(path);
    let bytes = folder.read(path).map_err(|error| error.to_string())?;
    let bytes = bytes.ok_or_else(|| format!("{name}: there is no such file"))?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|error| format!("{name}: not UTF-8 from byte {} on", error.valid_up_to()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    Ok(List { name: path.to_owned(), lines })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A folder of files with these texts.
    pub(in super::super) fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("written");
        }
        folder
    }

    #[test]
    fn lines_are_stripped_and_blank_ones_left_out() {
        let folder = folder(&[("list", "\u{feff} a \r\n\n  \nb c\nd")]);
        let file = folder.path().join("list").display().to_string();
        assert_eq!(lines(&file), Ok(["a", "b c", "d"].map(String::from).to_vec()));
    }

    #[test]
    fn a_folder_is_its_files() {
        let folder = folder(&[("zh", "字\n"), ("en", "word\n"), (".hidden", "x"), ("_x", "x")]);
        let Ok(FileOrFolder::Folder(lists)) = file_or_folder(&folder.path().display().to_string()) else {
            panic!("it is a folder");
        };
        assert_eq!(lists.iter().map(|list| list.name.as_str()).collect::<Vec<_>>(), ["en", "zh"]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = folder(&[("list", "a\n")]);
        std::fs::write(folder.path().join("bytes"), b"a\n\xff").expect("written");
        let path = |name: &str| folder.path().join(name).display().to_string();
        assert_eq!(lines(&path("none")), Err(format!("{}: there is no such file", path("none"))));
        assert_eq!(lines(&path("bytes")), Err(format!("{}: not UTF-8 from byte 2 on", path("bytes"))));
        let none = file_or_folder(&path("none")).map(drop);
        assert_eq!(none, Err(format!("{}: there is no such file, nor a folder with files in it", path("none"))));
    }
}
