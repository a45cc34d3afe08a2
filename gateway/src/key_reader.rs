//! Keys of upstreams that change while the gateway runs.

use reqwest::header::{HeaderName, HeaderValue};
use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// The header that carries a key, and its value, which is marked as sensitive.
pub type KeyHeader = (HeaderName, HeaderValue);

/// Why a key cannot be read. It has no part of the key.
pub type KeyError = Box<dyn Error + Send + Sync>;

/// Reads the key of an upstream anew. It may block.
#[derive(Clone)]
pub struct KeyReader(Arc<dyn Fn() -> Result<KeyHeader, KeyError> + Send + Sync>);

impl KeyReader {
    /// A reader that calls a function.
    #[must_use]
    pub fn new(read: impl Fn() -> Result<KeyHeader, KeyError> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    pub(crate) fn read(&self) -> Result<KeyHeader, KeyError> {
        (self.0)()
    }
}

impl fmt::Debug for KeyReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyReader")
    }
}
