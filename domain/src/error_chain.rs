//! An error with its causes, for messages and logs.

use std::error::Error;

/// An error and its causes, the error first.
pub fn error_chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// The text of an error and its causes: `the log cannot be read: connection refused`.
#[must_use]
pub fn error_with_causes(error: &dyn Error) -> String {
    let causes = error.source().into_iter().flat_map(error_chain).map(ToString::to_string);
    std::iter::once(error.to_string()).chain(causes).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use thiserror::Error as ThisError;

    #[derive(Debug, ThisError)]
    #[error("outer")]
    struct Outer(#[source] Middle);

    #[derive(Debug, ThisError)]
    #[error("middle")]
    struct Middle(#[source] std::num::ParseIntError);

    #[test]
    fn the_text_has_all_causes_in_order() {
        let error = Outer(Middle("x".parse::<u8>().unwrap_err()));
        assert_eq!(error_with_causes(&error), "outer: middle: invalid digit found in string");
        assert_eq!(error_chain(&error).count(), 3);
        assert!(error_chain(&error).any(|cause| cause.is::<Middle>()));
    }
}
