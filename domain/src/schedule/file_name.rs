//! The names of the files of a schedule.

use super::error::ScheduleError;
use super::limits::{MAX_FILE_NAME_BYTES, MAX_PATTERN_BYTES};
use crate::ids::ScheduleId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a pattern may contain in braces.
const PERIOD: &str = "period";
const SCHEDULE: &str = "schedule";
const POSITION: &str = "position";

/// The longest name of a period, `2026-10-25`, and the lengths of a UUID and of the longest position, in bytes.
const MAX_PERIOD_BYTES: usize = 10;
const UUID_BYTES: usize = 36;
const MAX_POSITION_BYTES: usize = 20;

/// A pattern of names of files, such as `cost-{period}.csv`.
///
/// It is a name and no path: letters, digits, `.`, `-`, `_`, and `{period}`, `{schedule}` and `{position}`. It contains
/// `{period}`, so that periods have files of their own, and does not begin with `.` or `-`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("maxLength" = MAX_PATTERN_BYTES, "pattern" = "^[A-Za-z0-9_{][A-Za-z0-9._{}-]*$"))]
pub struct FilePattern(String);

/// A part of a pattern.
enum Part<'p> {
    Text(&'p str),
    Placeholder(&'p str),
}

fn parts(pattern: &str) -> impl Iterator<Item = Part<'_>> {
    // A brace ends the part before it. Each one that opens is followed by one that closes.
    pattern.split_inclusive(['{', '}']).map(|part| match part.strip_suffix('}') {
        Some(name) => Part::Placeholder(name),
        None => Part::Text(part.strip_suffix('{').unwrap_or(part)),
    })
}

fn is_allowed(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || ['.', '-', '_'].contains(&letter)
}

impl FilePattern {
    /// Checks a pattern.
    ///
    /// # Errors
    /// [`ScheduleError::InvalidFile`] with the reason if it is not one.
    pub fn new(text: impl Into<String>) -> Result<Self, ScheduleError> {
        let text = text.into();
        match Self::fault(&text) {
            Some(reason) => {
                Err(ScheduleError::InvalidFile { pattern: text.chars().take(MAX_PATTERN_BYTES).collect(), reason })
            }
            None => Ok(Self(text)),
        }
    }

    fn fault(text: &str) -> Option<&'static str> {
        if text.is_empty() || text.len() > MAX_PATTERN_BYTES {
            return Some("it must have 1 to 120 bytes");
        }
        if text.starts_with(['.', '-']) {
            return Some("it must not begin with . or -");
        }
        let braces: String = text.chars().filter(|letter| ['{', '}'].contains(letter)).collect();
        if !braces.replace("{}", "").is_empty() {
            return Some("its braces do not match");
        }
        let (mut has_period, mut name_bytes) = (false, 0);
        for part in parts(text) {
            match part {
                Part::Text(text) if text.chars().all(is_allowed) => name_bytes += text.len(),
                Part::Text(_) => {
                    return Some(
                        "it is the name of a file and no path: use letters, digits, ., -, _, {period}, {schedule} and {position}",
                    );
                }
                Part::Placeholder(PERIOD) => {
                    has_period = true;
                    name_bytes += MAX_PERIOD_BYTES;
                }
                Part::Placeholder(SCHEDULE) => name_bytes += UUID_BYTES,
                Part::Placeholder(POSITION) => name_bytes += MAX_POSITION_BYTES,
                Part::Placeholder(_) => return Some("only {period}, {schedule} and {position} may be in braces"),
            }
        }
        if !has_period {
            return Some("it must contain {period}, so that each period has a file of its own");
        }
        (name_bytes > MAX_FILE_NAME_BYTES).then_some("its names are longer than 255 bytes, which file systems allow")
    }

    /// The name of the file of a period, with what was known at a position of the log.
    #[must_use]
    pub fn name(&self, schedule: ScheduleId, period: &str, position: u64) -> String {
        let mut name = String::new();
        for part in parts(&self.0) {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Placeholder(PERIOD) => name.push_str(period),
                Part::Placeholder(POSITION) => name.push_str(&position.to_string()),
                // A pattern has no other placeholder.
                Part::Placeholder(_) => name.push_str(&schedule.to_string()),
            }
        }
        name
    }

    /// The pattern.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FilePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for FilePattern {
    type Error = ScheduleError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl From<FilePattern> for String {
    fn from(pattern: FilePattern) -> Self {
        pattern.0
    }
}
