//! Source files of the workspace, and their code without comments and texts.

use std::path::{Path, PathBuf};

/// The folders of the production crates. The root's is empty.
pub(crate) fn crate_folders() -> impl Iterator<Item = &'static str> {
    crate::CRATES.iter().map(|(name, _)| *name).chain([""])
}

/// The start of tests that are in the file itself. `mod tests;` is not one: code may follow it.
const TESTS_IN_FILE: &str = "#[cfg(test)]\nmod tests {";

/// A source file of a production crate, without its tests.
pub(crate) struct Source {
    /// The path below the root of the repository.
    pub(crate) path: PathBuf,
    /// The number of lines before its tests.
    pub(crate) lines: usize,
    /// Its lines before its tests, except for comment lines.
    pub(crate) code: String,
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a folder whose name has one of these endings, by its path below the root. Build output, hidden
/// folders and downloaded packages are left out.
pub(crate) fn files(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !["target", "node_modules"].contains(&name.as_str()) && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The sources of all production crates; no tests and no migrations.
pub(crate) fn sources() -> Vec<Source> {
    let folders = crate_folders().map(|name| root().join(name).join("src"));
    let paths = folders.flat_map(|folder| files(&folder, &[".rs", ".sql"])).filter(|path| !is_test(path));
    let sources: Vec<_> = paths.map(Source::read).collect();
    assert!(sources.len() > 30, "only {} sources were found, so nothing is checked", sources.len());
    sources
}

fn is_test(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "tests.rs") || path.iter().any(|folder| folder == "tests")
}

impl Source {
    fn read(path: PathBuf) -> Self {
        let text = std::fs::read_to_string(root().join(&path)).unwrap();
        Self::new(path, &text)
    }

    fn new(path: PathBuf, text: &str) -> Self {
        let untested = text.split(TESTS_IN_FILE).next().unwrap_or_default();
        Self { path, lines: untested.lines().count(), code: without_comment_lines(untested) }
    }
}

#[test]
fn code_after_the_declaration_of_a_test_module_counts() {
    let read = |text: &str| Source::new(PathBuf::new(), text);
    let declared = read("#[cfg(test)]\nmod tests;\n// why\nfn counted() {}\n");
    assert!(declared.lines == 4 && declared.code.ends_with("fn counted() {}"), "{}", declared.code);
    let inline = read("fn counted() {}\n#[cfg(test)]\nmod tests {\n    fn left_out() {}\n}\n");
    assert!(inline.lines == 1 && inline.code == "fn counted() {}", "{}", inline.code);
}

/// A text without its lines that are comments in Rust or SQL.
pub(crate) fn without_comment_lines(text: &str) -> String {
    let is_comment = |line: &&str| !["//", "--"].iter().any(|mark| line.trim_start().starts_with(mark));
    text.lines().filter(is_comment).collect::<Vec<_>>().join("\n")
}

/// Rust code without its comments and the content of its string literals.
pub(crate) fn identifiers_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = skipped_bytes(rest);
        if skipped > 0 {
            code.push(' ');
            rest = &rest[skipped..];
            continue;
        }
        code.push(first);
        rest = &rest[first.len_utf8()..];
        // The `r` of a raw string must not be the end of a name.
        if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            code.push_str(&rest[..end]);
            rest = &rest[end..];
        }
    }
    code
}

/// The length of the comment or the literal at the beginning of a text, or 0.
fn skipped_bytes(text: &str) -> usize {
    let until = |from: usize, end: &str| text[from..].find(end).map_or(text.len(), |at| from + at + end.len());
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return until(2, "*/");
    }
    if let Some(raw) = text.strip_prefix("br").or(text.strip_prefix('r')) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let from = text.len() - raw.len() + hashes + 1;
            return until(from, &format!("\"{}", "#".repeat(hashes)));
        }
    }
    match text.as_bytes() {
        [b'"', ..] => quoted_bytes(text, '"'),
        // A character, and not a lifetime.
        [b'\'', b'\\', ..] => quoted_bytes(text, '\''),
        [b'\'', ..] if text.chars().nth(2) == Some('\'') => quoted_bytes(text, '\''),
        _ => 0,
    }
}

fn quoted_bytes(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// The control of this module: comments and literals are recognized.
#[test]
fn comments_and_literals_are_removed() {
    let code = "a(\"x\\\"y\"); // b\n/* c */ d('e', '\\'', &'f g, r#\"h\"i\"#, br\"j\", for_r)";
    assert_eq!(identifiers_only(code).split_whitespace().collect::<String>(), "a();d(,,&'fg,,,for_r)");
    assert_eq!(without_comment_lines("  // a\n-- b\nc // d"), "c // d");
}
