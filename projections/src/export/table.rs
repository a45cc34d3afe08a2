//! The columns and the values of an export, whatever its format.

use bytes::Bytes;
use uuid::Uuid;

/// What a column holds. Every value may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// Text that is JSON.
    Json,
    Uuid,
    /// A time in UTC, in microseconds.
    Time,
    Integer,
    Boolean,
    /// A decimal number with at most this many decimal places.
    Decimal(u32),
}

/// A column of an export.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Whether few values occur in it, so that each is stored once.
    pub(super) repeats: bool,
    /// Whether text has a decimal point in every decimal number, so that readers that guess types do not take it for integers.
    pub(super) has_point: bool,
}

impl Column {
    pub(super) const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, repeats: true, has_point: false }
    }

    /// A column in which nearly every row has another value.
    pub(super) const fn distinct(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, repeats: false, has_point: false }
    }

    pub(super) const fn with_point(self) -> Self {
        Self { has_point: true, ..self }
    }
}

/// A value. Its variant is that of the kind of its column, or [`Value::Null`].
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    /// Text in UTF-8, or JSON.
    Text(Bytes),
    Uuid(Uuid),
    /// Microseconds since 1970.
    Time(i64),
    Integer(i64),
    Boolean(bool),
    /// In units of the scale of the column.
    Decimal(i128),
}

impl Value {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(Bytes::from(text.into()))
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl From<Bytes> for Value {
    fn from(text: Bytes) -> Self {
        Self::Text(text)
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(Bytes::from_static(text.as_bytes()))
    }
}

impl From<Uuid> for Value {
    fn from(id: Uuid) -> Self {
        Self::Uuid(id)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for Value {
    fn from(is: bool) -> Self {
        Self::Boolean(is)
    }
}

/// A time as text, in RFC 3339 with microseconds where it has them.
pub(super) fn time_text(micros: i64) -> String {
    match chrono::DateTime::from_timestamp_micros(micros) {
        Some(time) => time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
        None => micros.to_string(),
    }
}
