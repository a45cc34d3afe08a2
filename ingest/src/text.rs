//! Text from files, made fit for names, errors and messages.

use domain::{Body, Name, TextError};
use rust_decimal::Decimal;

/// A display name: clipped if it is too long, with blanks for control characters and invisible ones. `None` if nothing
/// is left.
pub(crate) fn clipped_name(text: &str) -> Option<Name> {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    loop {
        match Name::new(clip(line.trim(), Name::MAX_BYTES)) {
            Err(TextError::Invisible(found)) => line = line.replace(char::from_u32(found)?, " "),
            named => return named.ok(),
        }
    }
}

/// The maximum length of an error's text, in bytes; longer ones are clipped.
const MAX_ERROR_BYTES: usize = 1024;

/// The text of an error, clipped, without control characters. `None` if it is blank.
pub(crate) fn clipped_error(text: &str) -> Option<Body> {
    let plain: String = text.chars().filter(|&c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
    Body::new(clip(&plain, MAX_ERROR_BYTES)).ok()
}

/// The first 64 bytes of a text, for a message.
pub(crate) fn quoted(text: &str) -> String {
    clip(text, 64).to_owned()
}

/// The first `max_bytes` bytes of a text, or fewer so that no character is cut.
pub(crate) fn clip(text: &str, max_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(max_bytes)]
}

/// A JSON number as the decimal that its digits spell. No float is made on the way.
pub(crate) fn json_decimal(text: &str) -> Option<Decimal> {
    if text.contains(['e', 'E']) { Decimal::from_scientific(text).ok() } else { text.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_are_clipped_between_characters() {
        let long = "ä".repeat(200);
        assert_eq!(clipped_name(&long).map(|name| name.as_str().len()), Some(256));
        assert_eq!(clipped_name("a\nb\u{7}").map(String::from), Some("a b".to_owned()));
        assert_eq!(clipped_name(" \n "), None);
        assert_eq!(clipped_name("\u{feff}a\u{200b}b\u{202e}").map(String::from), Some("a b".to_owned()));
        assert_eq!(clipped_name("\u{feff}\u{200b}"), None);
        assert_eq!(clipped_error("at\n line\u{0} 3").map(String::from), Some("at\n line 3".to_owned()));
        assert_eq!(clipped_error(&"é".repeat(5_000)).map(|error| error.as_str().len()), Some(MAX_ERROR_BYTES));
    }
}
