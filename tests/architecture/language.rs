//! Names and phrases that made readers translate are not used again: the code, the documents, the schemas and the help
//! use the standard terms.

use crate::sources::{files, identifiers_only, root};
use std::path::Path;

/// Phrases that occur nowhere, in any case, each with what is written instead.
const PHRASES: [(&str, &str); 11] = [
    ("what became of", "the outcome of"),
    ("the wish for a checkpoint", "trying to lock a checkpoint"),
    ("the place that one relay at a time has", "a leader lock"),
    ("what it comes to", "its result or total"),
    ("has its say", "the actual condition"),
    ("stands at", "is"),
    ("ends a task badly", "marks the task as failed"),
    ("calls a task off", "cancels the task"),
    ("the dearest first", "highest cost first"),
    ("whoever", "the caller, client or reader"),
    ("somebody", "another caller, client or process"),
];

/// Identifiers that occur nowhere in the code of a folder, each with the standard name. An empty folder is all code.
const IDENTIFIERS: [(&str, &str, &str); 21] = [
    ("without_flush", "use_async_commit", ""),
    ("Reach", "Progress", ""),
    ("furthest", "high_watermark", ""),
    ("conclude", "await_commit", ""),
    ("make_sure", "refresh_if_stale", ""),
    ("is_unsure", "needs_refresh", ""),
    ("Known", "CachedAggregate", "commands"),
    ("Slot", "CacheEntry", "commands"),
    ("Room", "QueueCapacity", ""),
    ("Place", "QueuePermit, or what it is", ""),
    ("resting", "idle", ""),
    ("maker", "factory", ""),
    ("patience", "timeout", ""),
    ("PATIENCE", "TIMEOUT", ""),
    ("Seat", "LeaderLock", ""),
    ("Fate", "ImportOutcome", ""),
    ("Complaint", "ThrottledWarning", ""),
    ("pass_over", "retry_or_fail", ""),
    ("Circumstances", "SessionSettings", ""),
    ("abroad", "apply_session_settings", ""),
    ("Partitioning", "Sharding", ""),
];
/// Definitions that occur nowhere in the code of a folder, each with the standard name: these words have other uses too.
const DEFINITIONS: [(&str, &str, &str); 7] = [
    ("fn enter", "set_search_path", "projections"),
    ("fn gate", "lock_feed_exclusive", ""),
    ("fn nothing", "recheck_on_committed", ""),
    ("fn learn", "update", ""),
    ("fn foreign", "different_locale", ""),
    ("enum Lock", "CheckpointLock", ""),
    ("struct Order", "CommandOptions", "src"),
];
/// Files from before this rule that still have such words. The list only shrinks.
const PENDING: &[&str] = &[];

/// Whether a text has a word of its own, and not as a part of a longer one.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(is_part) && !text[at + word.len()..].starts_with(is_part))
}

/// The words of a text that are not used, each with what is written instead.
fn objections(path: &Path, text: &str) -> Vec<(&'static str, &'static str)> {
    // Phrases may be broken into lines.
    let marks = ["///", "//!", "//", "--", "#", ">"];
    let lines = text.lines().map(|line| marks.iter().fold(line.trim(), |line, mark| line.trim_start_matches(mark)));
    let joined = lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ").to_lowercase();
    let mut found: Vec<_> = PHRASES.into_iter().filter(|(phrase, _)| has_word(&joined, phrase)).collect();
    let (code, definitions) = if path.extension().is_some_and(|ending| ending == "rs") {
        let code = identifiers_only(text).split_whitespace().collect::<Vec<_>>().join(" ");
        (code, DEFINITIONS.as_slice())
    } else {
        // In documents, names are in code spans.
        (text.split('`').skip(1).step_by(2).collect::<Vec<_>>().join(" "), [].as_slice())
    };
    let names = IDENTIFIERS.iter().chain(definitions).filter(|(_, _, folder)| path.starts_with(folder));
    found.extend(names.filter(|(name, _, _)| has_word(&code, name)).map(|(name, standard, _)| (*name, *standard)));
    found
}

#[test]
fn the_standard_terms_are_used() {
    let endings = [".rs", ".md", ".graphql", ".json", ".sql", ".yaml", ".yml", ".sh", ".toml", "Makefile"];
    let mut violations = Vec::new();
    for path in files(root(), &endings) {
        // Migrations and released schemas never change, samples are data, and this file contains the words.
        let unchanging = ["migrations", "samples", "schemas/released"];
        if unchanging.iter().any(|folder| path.starts_with(folder)) || path.ends_with("language.rs") {
            continue;
        }
        let text = std::fs::read_to_string(root().join(&path)).unwrap();
        let found = objections(&path, &text);
        match (found.is_empty(), PENDING.contains(&path.to_str().unwrap())) {
            (false, false) => violations.push(format!("{}: {found:?}", path.display())),
            (true, true) => violations.push(format!("{}: remove it from PENDING", path.display())),
            (false, true) | (true, false) => {}
        }
    }
    assert!(violations.is_empty(), "{violations:#?}");
}

/// The control: each phrase and each name is detected, and ordinary uses of the same words are not.
#[test]
fn planted_words_are_detected() {
    let (rust, markdown) = (Path::new("a.rs"), Path::new("a.md"));
    for (phrase, _) in PHRASES {
        let (first, rest) = phrase.split_once(' ').unwrap_or((phrase, ""));
        let text = format!("/// It is {first}\n    /// {rest} here.");
        assert!(!objections(rust, &text).is_empty() && !objections(markdown, &text).is_empty(), "{phrase}");
    }
    for (name, _, folder) in IDENTIFIERS {
        let (rust, markdown) = (Path::new(folder).join("a.rs"), Path::new(folder).join("a.md"));
        assert!(!objections(&rust, &format!("use a::{name};")).is_empty(), "{name}");
        assert!(!objections(&markdown, &format!("see `a::{name}`")).is_empty(), "{name}");
        assert!(objections(&rust, &format!("// {name}\nlet a = \"{name}\"; {name}_b()")).is_empty(), "{name}");
        assert!(objections(&markdown, &format!("a {name} of `words`")).is_empty(), "{name}");
    }
    for (definition, _, folder) in DEFINITIONS {
        let (rust, (kind, name)) = (Path::new(folder).join("a.rs"), definition.split_once(' ').unwrap());
        assert!(!objections(&rust, &format!("pub {kind}\n    {name}(")).is_empty(), "{definition}");
        assert!(objections(&rust, &format!("a.{name}(b::{name})")).is_empty(), "{definition}");
    }
}
