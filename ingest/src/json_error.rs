//! Errors of JSON, clipped: the library quotes what it did not expect, however long it is.

use crate::text::clip;
use thiserror::Error;

/// The longest text of an error that is kept, in bytes. It is followed by the line and the column.
const MAX_BYTES: usize = 256;

/// Why a text is not the JSON that is expected. Quoted text is clipped.
#[derive(Debug, Error)]
#[error("{text}")]
pub struct JsonError {
    text: Box<str>,
    is_data: bool,
}

impl JsonError {
    /// Whether the text is JSON, of another form than is expected.
    #[must_use]
    pub fn is_data(&self) -> bool {
        self.is_data
    }
}

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> Self {
        let mut text = error.to_string();
        if text.len() > MAX_BYTES {
            text = format!("{}… at line {} column {}", clip(&text, MAX_BYTES), error.line(), error.column());
        }
        Self { text: text.into(), is_data: error.is_data() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_is_clipped_and_the_place_is_told() {
        let error = |text: &str| JsonError::from(serde_json::from_str::<u8>(text).unwrap_err());
        let long = error(&format!("\"{}\"", "ä".repeat(500_000)));
        let text = long.to_string();
        assert!(text.len() < MAX_BYTES + 64 && long.is_data(), "{}", text.len());
        assert!(text.starts_with("invalid type: string \"ä") && text.ends_with("at line 1 column 1000002"), "{text}");
        let cut = error("");
        assert!(cut.to_string() == "EOF while parsing a value at line 1 column 0" && !cut.is_data(), "{cut}");
    }
}
