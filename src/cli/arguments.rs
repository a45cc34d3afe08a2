//! Parsers of arguments that several subcommands have.

use domain::{Body, Name};

/// Parses a name.
pub(super) fn name(text: &str) -> Result<Name, String> {
    Name::new(text).map_err(|error| error.to_string())
}

/// Parses text of any number of lines, such as a reason.
pub(super) fn body(text: &str) -> Result<Body, String> {
    Body::new(text).map_err(|error| error.to_string())
}
