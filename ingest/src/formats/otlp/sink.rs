//! What a front end hands on of an export, whatever its signal and its encoding.

use super::attributes::Attributes;
use crate::error::InputError;
use crate::text::quoted;

/// Why a front end must stop reading.
#[derive(Debug)]
pub(crate) enum Stop {
    TooManySpans { span: u64, limit_bytes: usize },
    NotTraces { found: String },
    Misspelled { found: String, expected: &'static str },
}

impl From<Stop> for InputError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::TooManySpans { span, limit_bytes } => Self::TooManySpans { span, limit_bytes },
            Stop::NotTraces { found } => Self::NotTraces { found },
            Stop::Misspelled { found, expected } => Self::Misspelled { found, expected },
        }
    }
}

/// Takes the resources and scopes of an export in their order. The items of the signal follow their scope.
pub(crate) trait Sink {
    /// Starts a resource: the items that follow belong to it.
    fn start_resource(&mut self);

    /// Sets the attributes of the current resource. In JSON they may follow its items.
    fn set_resource(&mut self, attributes: Attributes) -> Result<(), &'static str>;

    /// Starts an instrumentation scope: the items that follow belong to it.
    fn start_scope(&mut self);

    /// Sets the name of the current scope.
    fn set_scope(&mut self, name: &str);

    /// Set when a method returned an error: a parser's own errors can carry no more than text.
    fn stop(&mut self) -> &mut Option<Stop>;

    /// Notes that the input holds nothing of the signal, but an object with this key. Returns an error to stop with.
    fn not_of_signal(&mut self, key: &str) -> &'static str {
        *self.stop() = Some(Stop::NotTraces { found: quoted(key) });
        "not of the signal"
    }

    /// Notes that a key is written in another way than OTLP's JSON has it. Returns an error to stop with.
    fn misspelled(&mut self, key: &str, expected: &'static str) -> &'static str {
        *self.stop() = Some(Stop::Misspelled { found: quoted(key), expected });
        "a misspelled key"
    }
}
