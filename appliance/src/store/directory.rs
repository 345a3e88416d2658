//! Objects in files of the configuration directory.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sluice_model::objects::Source;
use sluice_model::{Parsed, Problem, parse};

/// Files that hold objects end so.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// Longer files are refused: a million prefixes take some 30 MB.
const FILE_BYTES: u64 = 256 << 20;

/// Path, inode, length and time of each file.
pub(super) type Fingerprint = Vec<(PathBuf, u64, u64, i64, i64)>;

/// A directory of files with objects. Its subdirectories are not read, nor are files whose name begins with a dot.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// The directory at `path`, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All objects of all files; `None` if there is no such directory.
    ///
    /// # Errors
    /// Everything that is wrong with any of the files.
    pub fn read(&self) -> Result<Option<Vec<(Parsed, Source)>>, Vec<Problem>> {
        let files = match self.files() {
            Ok(files) => files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(vec![unreadable(&self.path, &error)]),
        };
        let mut objects = Vec::new();
        let mut problems = Vec::new();
        for path in files {
            let name = path.display().to_string();
            let source = Source::File { path: name.clone() };
            match read_file(&path).and_then(|text| parse(&name, &text)) {
                Ok(parsed) => {
                    objects.extend(parsed.into_iter().map(|parsed| (parsed, source.clone())))
                }
                Err(wrong) => problems.extend(wrong),
            }
        }
        if problems.is_empty() { Ok(Some(objects)) } else { Err(problems) }
    }

    /// The files with objects, in the order of their names.
    fn files(&self) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            let hidden =
                path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            let wanted = path
                .extension()
                .and_then(OsStr::to_str)
                .is_some_and(|end| EXTENSIONS.contains(&end));
            if wanted && !hidden && !path.is_dir() {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    /// What changes whenever a file does: cheap to compare, with no need to read the files.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let files = self.files().unwrap_or_default();
        let mark = |path: PathBuf| match fs::metadata(&path) {
            Ok(file) => (path, file.ino(), file.len(), file.mtime(), file.mtime_nsec()),
            Err(_) => (path, 0, 0, 0, 0),
        };
        files.into_iter().map(mark).collect()
    }
}

fn read_file(path: &Path) -> Result<String, Vec<Problem>> {
    let unreadable = |error: io::Error| vec![unreadable(path, &error)];
    let length = fs::metadata(path).map_err(unreadable)?.len();
    if length > FILE_BYTES {
        let problem = format!("the file has {length} bytes, at most {FILE_BYTES} are read");
        let problem = Problem::new(problem).with_hint("split it into several files");
        return Err(vec![named(path, problem)]);
    }
    fs::read_to_string(path).map_err(unreadable)
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    let problem = Problem::new(format!("cannot be read: {error}"));
    let hint = match error.kind() {
        io::ErrorKind::InvalidData => "save it as UTF-8",
        io::ErrorKind::NotFound => "remove the link, or make what it points to",
        _ => "correct its permissions, or remove it from the configuration directory",
    };
    named(path, problem.with_hint(hint))
}

fn named(path: &Path, mut problem: Problem) -> Problem {
    problem.file = Some(path.display().to_string());
    problem
}
