//! Folders of files: session logs are kept in folders by project, with those of sub-agents in folders below them.

use std::io;
use std::path::{Path, PathBuf};

/// The maximum number of files of a folder.
pub const MAX_FILES: usize = 100_000;
/// The maximum depth of folders.
const MAX_DEPTH: usize = 32;

/// The files in a folder and in the folders below it, ordered by path: those with one of the endings, or all if there are none.
/// Hidden files, and links to folders, which may lead in a circle, are left out.
///
/// # Errors
/// An I/O error if a folder cannot be read, or there are more than [`MAX_FILES`] or deeper folders than 32.
pub fn files_in(folder: &Path, extensions: &[&str]) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        if depth > MAX_DEPTH {
            let message = format!("{} is more than {MAX_DEPTH} folders deep", folder.display());
            return Err(io::Error::other(message));
        }
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            if kind.is_dir() {
                folders.push((path, depth + 1));
            } else if path.is_file() && is_wanted(&name, extensions) {
                files.push(path);
                if files.len() > MAX_FILES {
                    return Err(io::Error::other(format!("there are more than {MAX_FILES} files")));
                }
            }
        }
    }
    files.sort();
    Ok(files)
}

fn is_wanted(name: &str, extensions: &[&str]) -> bool {
    let has = |extension: &&str| name.strip_suffix(extension).is_some_and(|stem| stem.ends_with('.'));
    extensions.is_empty() || extensions.iter().any(has)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_files_of_a_folder_are_found_with_those_below_it() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("s/subagents/workflows");
        fs::create_dir_all(&below).unwrap();
        for path in
            ["b.jsonl", "a.jsonl.gz", "c.json", ".hidden.jsonl", "s/subagents/d.jsonl", "s/subagents/workflows/e.jsonl"]
        {
            fs::write(folder.path().join(path), "").unwrap();
        }
        let names = |extensions: &[&str]| -> Vec<_> {
            let files = files_in(folder.path(), extensions).unwrap();
            files.iter().map(|path| path.strip_prefix(folder.path()).unwrap().display().to_string()).collect()
        };
        let wanted = ["a.jsonl.gz", "b.jsonl", "s/subagents/d.jsonl", "s/subagents/workflows/e.jsonl"];
        assert_eq!(names(&["jsonl", "jsonl.gz"]), wanted);
        assert_eq!(names(&[]).len(), 5);
        assert!(files_in(&folder.path().join("none"), &[]).is_err());
    }

    #[test]
    fn folders_may_not_be_deeper_than_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let deep = (0..=MAX_DEPTH).fold(folder.path().to_owned(), |path, _| path.join("d"));
        fs::create_dir_all(&deep).unwrap();
        assert!(files_in(folder.path(), &[]).unwrap_err().to_string().contains("folders deep"));
    }
}
