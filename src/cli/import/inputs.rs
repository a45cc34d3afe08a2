//! What the words of `apex import` name: a format, files, and folders of files.

use anyhow::bail;
use ingest::{Format, files_in};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// What to import.
#[derive(Debug)]
pub(super) struct Inputs {
    /// The format of all files; none if that of each is recognised.
    pub(super) format: Option<Format>,
    pub(super) files: Vec<InputFile>,
}

/// A file to import.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InputFile {
    pub(super) path: PathBuf,
    /// Whether it was found in a folder: there it may be another file than one of calls.
    pub(super) is_in_folder: bool,
    /// Why it cannot be imported, if that is known already.
    pub(super) problem: Option<String>,
}

impl InputFile {
    /// What tells the content of the file from others: its path, size and time. Nothing is known before it is read of what is
    /// not a file, such as standard input: then it is new each time.
    pub(super) fn identity(&self) -> String {
        let metadata = std::fs::metadata(&self.path).ok().filter(std::fs::Metadata::is_file);
        let path = std::fs::canonicalize(&self.path).ok();
        match (path, metadata.as_ref().and_then(|metadata| metadata.modified().ok()), metadata.as_ref()) {
            (Some(path), Some(modified), Some(metadata)) => {
                format!("{} {} {modified:?}", path.display(), metadata.len())
            }
            _ => Uuid::now_v7().to_string(),
        }
    }
}

/// The format with a name.
fn format_named(word: &Path) -> Option<Format> {
    Format::ALL.iter().copied().find(|format| word.to_str() == Some(format.as_str()))
}

impl Inputs {
    /// The first word is a format if it is the name of one and files follow; all other words are files and folders.
    pub(super) fn of(words: &[PathBuf]) -> anyhow::Result<Self> {
        let (format, paths) = match words {
            [only] if format_named(only).is_some() && !only.exists() => {
                bail!("name the files to import as {}: apex import {0} FILE…", only.display())
            }
            [first, rest @ ..] if !rest.is_empty() => match format_named(first) {
                Some(format) => (Some(format), rest),
                None if !first.exists() && is_bare(first) => {
                    bail!("{} is neither a format nor a file; formats are {}", first.display(), names(Format::ALL))
                }
                None => (None, words),
            },
            _ => (None, words),
        };
        let extensions = format.map_or(&[][..], Format::extensions);
        let mut files = Vec::new();
        for path in paths {
            if path.is_dir() {
                files.extend(in_folder(path, extensions));
            } else {
                files.push(InputFile { path: path.clone(), is_in_folder: false, problem: None });
            }
        }
        Ok(Self { format, files })
    }
}

/// The files of a folder; the folder itself, with the problem, if it cannot be read or has none.
fn in_folder(folder: &Path, extensions: &[&str]) -> Vec<InputFile> {
    let problem =
        |problem: String| vec![InputFile { path: folder.to_owned(), is_in_folder: false, problem: Some(problem) }];
    match files_in(folder, extensions) {
        Err(error) => problem(format!("the folder cannot be read: {error}")),
        Ok(files) if files.is_empty() => {
            let kind = if extensions.is_empty() { String::new() } else { format!(" .{}", extensions.join(" or .")) };
            problem(format!("the folder has no{kind} files"))
        }
        Ok(files) => files.into_iter().map(|path| InputFile { path, is_in_folder: true, problem: None }).collect(),
    }
}

/// Whether a word cannot be a path: it has no folder and no ending.
fn is_bare(word: &Path) -> bool {
    word.components().count() == 1 && word.extension().is_none() && word != Path::new("-")
}

/// The names of formats, for a message.
pub(super) fn names(formats: &[Format]) -> String {
    formats.iter().map(|format| format.as_str()).collect::<Vec<_>>().join(", ")
}

/// The formats with what they are, for the help.
pub(super) fn help() -> String {
    let width = Format::ALL.iter().map(|format| format.as_str().len()).max().unwrap_or_default();
    let line = |format: &Format| format!("  {:width$}  {}\n", format.as_str(), format.about());
    let formats: String = Format::ALL.iter().map(line).collect();
    format!("Formats:\n{formats}\nWhat is read of each, and what identifies a call: docs/importing.md")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<PathBuf> {
        words.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn the_first_word_may_be_a_format() {
        let folder = tempfile::tempdir().unwrap();
        let (log, other) = (folder.path().join("a.jsonl"), folder.path().join("b.txt"));
        std::fs::write(&log, "").unwrap();
        std::fs::write(&other, "").unwrap();
        let (log, folder) = (log.to_str().unwrap(), folder.path().to_str().unwrap());
        let of = |named: &[&str]| Inputs::of(&words(named)).map(|inputs| (inputs.format, inputs.files.len()));
        assert_eq!(of(&["otlp", log, "-"]).unwrap(), (Some(Format::Otlp), 2));
        assert_eq!(of(&[log]).unwrap(), (None, 1));
        assert_eq!(of(&["claude-code", folder]).unwrap(), (Some(Format::ClaudeCode), 1));
        assert_eq!(of(&[folder]).unwrap(), (None, 2));
        for (named, message) in [
            (&["otlp"][..], "name the files"),
            (&["otpl", log], "otpl is neither a format nor a file; formats are autogpt, azure-llm"),
        ] {
            let error = of(named).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        let none = Inputs::of(&words(&["swe-agent", folder])).unwrap().files.remove(0).problem;
        assert_eq!(none.as_deref(), Some("the folder has no .traj or .traj.gz files"));
        // A file that cannot be opened is reported with the others.
        assert_eq!(of(&["none.jsonl", log]).unwrap(), (None, 2));
    }

    #[test]
    fn the_help_has_every_format() {
        let help = help();
        assert!(Format::ALL.iter().all(|format| help.contains(format.about())), "{help}");
    }
}
