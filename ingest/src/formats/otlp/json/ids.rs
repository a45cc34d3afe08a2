//! Ids of traces and spans in JSON.

use crate::error::RefusalReason;
use crate::formats::otlp::attributes::AttributeValue;
use crate::text::quoted;
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The id of a trace, 16 bytes: hex as OTLP's JSON has it, or base64 as JSON generated from protobuf has it.
pub(crate) fn trace_id(field: &'static str, value: Option<&AttributeValue>) -> Result<Option<u128>, RefusalReason> {
    bytes(field, value).map(|bytes| bytes.map(u128::from_be_bytes))
}

/// The id of a span, 8 bytes, likewise. An id of zeros means that there is none.
pub(crate) fn span_id(field: &'static str, value: Option<&AttributeValue>) -> Result<Option<u64>, RefusalReason> {
    bytes(field, value).map(|bytes| bytes.map(u64::from_be_bytes).filter(|id| *id != 0))
}

fn bytes<const N: usize>(
    field: &'static str,
    value: Option<&AttributeValue>,
) -> Result<Option<[u8; N]>, RefusalReason> {
    let text = match value {
        None => return Ok(None),
        Some(AttributeValue::Text(text)) if text.is_empty() => return Ok(None),
        Some(AttributeValue::Text(text)) => text,
        Some(other) => return Err(RefusalReason::Id { field, found: other.display() }),
    };
    let decoded = if text.len() == 2 * N { hex(text) } else { BASE64.decode(text).ok() };
    let found = decoded.and_then(|bytes| bytes.try_into().ok());
    found.map(Some).ok_or_else(|| RefusalReason::Id { field, found: quoted(text) })
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    text.as_bytes().chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}
