//! Errors of a request that is not executed.

use async_graphql::{ErrorExtensionValues, Pos, ServerError};

/// Creates an error with a code under `extensions.code`.
pub(crate) fn request_error(code: &str, message: impl Into<String>, at: Option<Pos>) -> ServerError {
    let mut extensions = ErrorExtensionValues::default();
    extensions.set("code", code);
    ServerError { extensions: Some(extensions), ..ServerError::new(message, at) }
}
