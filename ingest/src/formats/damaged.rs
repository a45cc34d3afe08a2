//! Lines that hold complete records beside NUL bytes or parts of records, as a crash or two writers leave them.

use serde_json::Deserializer;
use serde_json::value::RawValue;
use std::ops::Range;

/// How often the length of the longest line may be scanned in vain while complete records are looked for.
const MAX_VAIN_SCANS: usize = 4;

/// The complete records of a line that is not JSON.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Damaged {
    /// The places of the complete records.
    pub(crate) records: Vec<Range<usize>>,
    /// Whether the line holds anything else.
    pub(crate) has_rest: bool,
}

impl Damaged {
    /// Finds complete records. A record is an object that is followed by the end of the line, a NUL byte or another object:
    /// an object inside a part of a record is followed by the rest of that part.
    pub(crate) fn of(line: &str) -> Self {
        let mut found = Self::default();
        let mut at = 0;
        let mut budget = line.len().saturating_mul(MAX_VAIN_SCANS).max(1024);
        while let Some(start) = line[at..].find('{').map(|offset| at + offset) {
            found.has_rest |= has_content(&line[at..start]);
            match object_at(&line[start..]) {
                Ok(len) => {
                    let end = start + len;
                    let follows = line[end..].trim_start();
                    if follows.is_empty() || follows.starts_with(['\0', '{']) {
                        found.records.push(start..end);
                    } else {
                        found.has_rest = true;
                    }
                    at = end;
                }
                Err(scanned) => {
                    found.has_rest = true;
                    at = start + 1;
                    budget = budget.saturating_sub(scanned.max(1));
                    if budget == 0 {
                        return found;
                    }
                }
            }
        }
        found.has_rest |= has_content(&line[at..]);
        found
    }
}

/// Whether there is more than blanks.
fn has_content(text: &str) -> bool {
    !text.trim().is_empty()
}

/// The length of the object at the start of a text, or the number of bytes after which it ends or breaks.
fn object_at(text: &str) -> Result<usize, usize> {
    let mut values = Deserializer::from_str(text).into_iter::<&RawValue>();
    match values.next() {
        Some(Ok(value)) => Ok(value.get().len()),
        Some(Err(error)) => Err(error.column()),
        None => Err(text.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> (Vec<&str>, bool) {
        let damaged = Damaged::of(line);
        (damaged.records.into_iter().map(|range| &line[range]).collect(), damaged.has_rest)
    }

    #[test]
    fn complete_records_are_found_beside_nul_bytes_and_parts_of_records() {
        let whole = r#"{"a":{"b":[{}]},"c":"}{"}"#;
        assert_eq!(found(&format!("{whole}{whole}")), (vec![whole, whole], false));
        assert_eq!(found(&format!("{whole} {whole} ")), (vec![whole, whole], false));
        assert_eq!(found(&format!("\0\0{whole}\0")), (vec![whole], true));
        for part in [r#"{"a":{"b":1},"c"#, r#"{"a":"text that is cut"#, r#"{"a":{"b":{"c":1},"d""#, "}", r#"4},"x":1}"#]
        {
            assert_eq!(found(&format!("{part}{whole}")), (vec![whole], true), "{part}");
        }
        assert_eq!(found(&format!("{whole}{}", &whole[..9])), (vec![whole], true));
        assert_eq!(found("\0\0\0"), (vec![], true));
        assert_eq!(found(r#"{"a":{"b":1},"#), (vec![], true));
    }

    #[test]
    fn a_line_of_openings_takes_no_quadratic_time() {
        let line = "{\"a\":".repeat(1_000_000);
        assert_eq!(found(&line), (vec![], true));
    }
}
