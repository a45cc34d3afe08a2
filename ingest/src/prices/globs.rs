//! Regular expressions of names of models, as price tables write them, as globs.

use std::fmt;

/// The most globs that one regular expression becomes.
const MAX_GLOBS: usize = 64;
/// The longest regular expression that is read, in bytes.
const MAX_REGEX_BYTES: usize = 1024;
/// The deepest nesting of groups that is read.
const MAX_DEPTH: usize = 8;
/// The highest number of repetitions that is written out.
const MAX_REPETITIONS: usize = 16;

/// A pattern of names in lower case: `*` is any number of characters, `?` any character, `#` a digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Glob {
    pub(super) wanted: String,
    pub(super) excluded: Vec<String>,
}

impl Glob {
    pub(super) fn new(wanted: String) -> Self {
        Self { wanted, excluded: Vec::new() }
    }

    /// Whether it matches one name only.
    pub(super) fn is_name(&self) -> bool {
        self.excluded.is_empty() && !self.wanted.contains(['*', '?', '#'])
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.wanted)?;
        self.excluded.iter().try_for_each(|glob| write!(f, " !{glob}"))
    }
}

/// The globs that match the names that a regular expression matches; none if globs cannot express it. Names are in lower
/// case. `+` after a set of characters is read as any number of any characters, and so matches some names more.
pub(super) fn globs_of_regex(regex: &str) -> Option<Vec<Glob>> {
    if regex.len() > MAX_REGEX_BYTES {
        return None;
    }
    let regex = regex.strip_prefix("(?i)").unwrap_or(regex);
    let mut parser = Parser { rest: regex, depth: 0, excluded: Vec::new() };
    let texts = parser.alternatives()?;
    if !parser.rest.is_empty() {
        return None;
    }
    let mut globs: Vec<Glob> = texts
        .into_iter()
        .map(|text| Glob { wanted: text.finish(), excluded: parser.excluded.clone() })
        .filter(|glob| !glob.wanted.contains(' '))
        .collect();
    globs.sort();
    globs.dedup();
    (!globs.is_empty()).then_some(globs)
}

/// A glob in progress.
#[derive(Debug, Clone, Default)]
struct Text {
    glob: String,
    from_start: bool,
    to_end: bool,
}

impl Text {
    fn finish(self) -> String {
        let Self { glob, from_start, to_end } = self;
        let glob = format!("{}{glob}{}", if from_start { "" } else { "*" }, if to_end { "" } else { "*" });
        let mut short = glob.replace("**", "*");
        while short.contains("**") {
            short = short.replace("**", "*");
        }
        short.to_lowercase()
    }

    fn then(&self, other: &Self) -> Self {
        Self {
            glob: format!("{}{}", self.glob, other.glob),
            from_start: self.from_start || other.from_start,
            to_end: self.to_end || other.to_end,
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
    excluded: Vec<String>,
}

impl Parser<'_> {
    fn skip(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    /// Alternatives up to the end of the group.
    fn alternatives(&mut self) -> Option<Vec<Text>> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let mut all = Vec::new();
        loop {
            all.extend(self.sequence()?);
            if all.len() > MAX_GLOBS {
                return None;
            }
            if !self.skip("|") {
                self.depth -= 1;
                return Some(all);
            }
        }
    }

    /// Items up to the end of the alternative.
    fn sequence(&mut self) -> Option<Vec<Text>> {
        let mut texts = vec![Text::default()];
        while !self.rest.is_empty() && !self.rest.starts_with(['|', ')']) {
            let item = self.item()?;
            let item = self.repeated(item)?;
            texts = texts.iter().flat_map(|text| item.iter().map(|next| text.then(next))).collect();
            if texts.len() > MAX_GLOBS {
                return None;
            }
        }
        Some(texts)
    }

    /// One character, set or group.
    fn item(&mut self) -> Option<Vec<Text>> {
        let literal = |glob: String| Some(vec![Text { glob, ..Text::default() }]);
        if self.skip("(?!") {
            let excluded = self.alternatives()?;
            self.excluded.extend(excluded.into_iter().map(|text| Text { from_start: true, ..text }.finish()));
            return self.skip(")").then(|| vec![Text::default()]);
        }
        match self.next()? {
            '^' => Some(vec![Text { from_start: true, ..Text::default() }]),
            '$' => Some(vec![Text { to_end: true, ..Text::default() }]),
            '.' => literal("?".to_owned()),
            '(' => {
                self.skip("?:");
                let inner = self.alternatives()?;
                self.skip(")").then_some(inner)
            }
            '[' => self.set(),
            '\\' => match self.next()? {
                'd' => literal("#".to_owned()),
                escaped if !escaped.is_alphanumeric() => plain(escaped).map(|text| vec![text]),
                _ => None,
            },
            '*' | '+' | '?' | '{' | '}' | ']' | ')' => None,
            character => plain(character).map(|text| vec![text]),
        }
    }

    /// A set such as `[-@]` or `[a-z0-9]`: its characters, or any character if it has ranges.
    fn set(&mut self) -> Option<Vec<Text>> {
        let (content, rest) = self.rest.split_once(']')?;
        self.rest = rest;
        if content.starts_with('^') || content.contains('\\') {
            return None;
        }
        if content == "0-9" {
            return Some(vec![Text { glob: "#".to_owned(), ..Text::default() }]);
        }
        if content.char_indices().any(|(at, character)| character == '-' && at > 0 && at + 1 < content.len()) {
            return Some(vec![Text { glob: "?".to_owned(), ..Text::default() }]);
        }
        let mut characters: Vec<char> = content.to_lowercase().chars().collect();
        characters.sort_unstable();
        characters.dedup();
        characters.into_iter().map(plain).collect()
    }

    /// Applies what follows an item: `?`, `*`, `+` or a number of repetitions.
    fn repeated(&mut self, item: Vec<Text>) -> Option<Vec<Text>> {
        let is_any = matches!(item.as_slice(), [only] if matches!(only.glob.as_str(), "?" | "#"));
        if self.skip("?") {
            return Some(std::iter::once(Text::default()).chain(item).collect());
        }
        if self.skip("*") {
            return is_any.then(|| vec![Text { glob: "*".to_owned(), ..Text::default() }]);
        }
        if self.skip("+") {
            return is_any.then(|| vec![Text { glob: "?*".to_owned(), ..Text::default() }]);
        }
        if self.skip("{") {
            let (number, rest) = self.rest.split_once('}')?;
            let number: usize = number.parse().ok()?;
            self.rest = rest;
            let [only] = item.as_slice() else { return None };
            let is_written = number <= MAX_REPETITIONS;
            return is_written.then(|| vec![Text { glob: only.glob.repeat(number), ..only.clone() }]);
        }
        Some(item)
    }
}

/// A character that stands for itself; none for those that have a meaning in globs.
fn plain(character: char) -> Option<Text> {
    let has_meaning = matches!(character, '*' | '?' | '#' | '!') || character.is_whitespace();
    (!has_meaning).then(|| Text { glob: character.to_string(), ..Text::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(regex: &str) -> Option<Vec<String>> {
        Some(globs_of_regex(regex)?.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn expressions_of_tables_are_globs() {
        for (regex, globs) in [
            ("^claude-opus-5-\\d{8}$", vec!["claude-opus-5-########"]),
            (
                "^(typesafe/)?jev-1\\.13(-\\d{2})?$",
                vec!["jev-1.13", "jev-1.13-##", "typesafe/jev-1.13", "typesafe/jev-1.13-##"],
            ),
            ("^grok-4\\.5\\[fast=false\\]$", vec!["grok-4.5[fast=false]"]),
            (
                "(?i)^(google(ai)?/)?(text-bison)(@[a-zA-Z0-9]+)?$",
                vec![
                    "google/text-bison",
                    "google/text-bison@?*",
                    "googleai/text-bison",
                    "googleai/text-bison@?*",
                    "text-bison",
                    "text-bison@?*",
                ],
            ),
            ("(?i)^(gpt-3.5)$", vec!["gpt-3?5"]),
            ("^gemini-3\\.5-flash-\\d", vec!["gemini-3.5-flash-#*"]),
            ("(?i)^(ft:)(davinci:)(.+)(:)(.*)$", vec!["ft:davinci:?*:*"]),
            ("o1|o3", vec!["*o1*", "*o3*"]),
        ] {
            assert_eq!(found(regex).unwrap(), globs, "{regex}");
        }
        for regex in ["a+", "^(a", "[^a]", "\\w", "a{1,2}", "a{99}", "(((((((((a)))))))))", "a)", ""] {
            let globs = found(regex);
            assert!(globs.is_none() || regex.is_empty(), "{regex}: {globs:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_expression_is_read_or_not(regex in "[\\^$a-c.*+?()\\[\\]{}|\\\\d0-9-]{0,40}", any in ".*") {
            globs_of_regex(&regex);
            globs_of_regex(&any);
        }
    }
}
