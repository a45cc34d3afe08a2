//! The names of a model in genai-prices' table: clauses and regular expressions as names and patterns.

use super::super::globs::{Glob, globs_of_regex};
use serde::Deserialize;

/// How a table says that a name is that of a model.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Clause {
    Equals(String),
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    Regex(String),
    Or(Vec<Clause>),
    And(Vec<Clause>),
}

/// The globs that match the names that a clause matches; none if globs cannot express it.
pub(super) fn globs(clause: &Clause) -> Option<Vec<Glob>> {
    let one = |before: &str, text: &str, after: &str| {
        let text = text.to_lowercase();
        let is_plain = !text.contains(['*', '?', '#', ' ']) && !text.is_empty();
        is_plain.then(|| vec![Glob::new(format!("{before}{text}{after}"))])
    };
    match clause {
        Clause::Equals(text) => one("", text, ""),
        Clause::StartsWith(text) => one("", text, "*"),
        Clause::EndsWith(text) => one("*", text, ""),
        Clause::Contains(text) => one("*", text, "*"),
        Clause::Regex(regex) => globs_of_regex(regex),
        Clause::Or(clauses) => {
            let all = clauses.iter().map(globs).collect::<Option<Vec<_>>>()?;
            Some(all.into_iter().flatten().collect())
        }
        Clause::And(clauses) => clauses.iter().map(globs).collect::<Option<Vec<_>>>().and_then(all_of),
    }
}

/// The globs of names that match one of each list: only one list may have globs of more than exclusions.
fn all_of(lists: Vec<Vec<Glob>>) -> Option<Vec<Glob>> {
    let (mut wanted, mut excluded) = (None, Vec::new());
    for list in lists {
        match <[Glob; 1]>::try_from(list) {
            Ok([only]) if only.wanted == "*" => excluded.extend(only.excluded),
            Ok([only]) if wanted.is_none() => wanted = Some(vec![only]),
            Err(list) if wanted.is_none() => wanted = Some(list),
            Ok(_) | Err(_) => return None,
        }
    }
    let mut globs = wanted?;
    globs.iter_mut().for_each(|glob| glob.excluded.extend(excluded.iter().cloned()));
    Some(globs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(json: &str) -> Option<Vec<String>> {
        let globs = globs(&serde_json::from_str(json).unwrap())?;
        Some(globs.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn clauses_are_globs() {
        let json = r#"{"or":[{"equals":"Claude-X"},{"starts_with":"claude-x-"},{"ends_with":"-x"},{"contains":"/x"},
            {"regex":"^claude-x[-@]\\d{3}$"}]}"#;
        let expected = ["claude-x", "claude-x-*", "*-x", "*/x*", "claude-x-###", "claude-x@###"];
        assert_eq!(found(json).unwrap(), expected);
        let json = r#"{"and":[{"starts_with":"gemini-2.5-pro"},{"regex":"^(?!.*-[tT][tT][sS](?:$|-))"}]}"#;
        assert_eq!(found(json).unwrap(), ["gemini-2.5-pro* !*-tts !*-tts-*"]);
        for json in [
            r#"{"and":[{"starts_with":"a"},{"contains":"b"}]}"#,
            r#"{"regex":"^a{2,5}$"}"#,
            r#"{"equals":"a*"}"#,
            r#"{"equals":""}"#,
        ] {
            assert_eq!(found(json), None, "{json}");
        }
    }
}
