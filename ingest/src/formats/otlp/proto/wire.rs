//! The fields of a protobuf message, without a copy of it.

use prost::encoding::{WireType, decode_key, decode_varint};

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'b> {
    Varint(u64),
    Fixed64(u64),
    /// A message, a text, bytes, or packed numbers.
    Bytes(&'b [u8]),
    /// No field that is read has 32 bits.
    Fixed32,
}

impl<'b> Value<'b> {
    /// The value as text; none if it is a number, or not UTF-8.
    pub(crate) fn text(self) -> Option<&'b str> {
        match self {
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            Self::Varint(_) | Self::Fixed64(_) | Self::Fixed32 => None,
        }
    }
}

/// The fields of a message, with their numbers. Nothing follows an error.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'b>(pub(crate) &'b [u8]);

impl<'b> Fields<'b> {
    fn field(&mut self) -> Result<(u32, Value<'b>), String> {
        let error = |error: prost::DecodeError| error.to_string();
        let (number, wire_type) = decode_key(&mut self.0).map_err(error)?;
        let value = match wire_type {
            WireType::Varint => Value::Varint(decode_varint(&mut self.0).map_err(error)?),
            WireType::SixtyFourBit => {
                let bytes: &[u8; 8] = self.0.first_chunk().ok_or("a number is truncated")?;
                let number = u64::from_le_bytes(*bytes);
                self.0 = &self.0[8..];
                Value::Fixed64(number)
            }
            WireType::LengthDelimited => {
                let length = decode_varint(&mut self.0).map_err(error)?;
                let length = usize::try_from(length).ok().filter(|length| *length <= self.0.len());
                let (bytes, rest) = self.0.split_at(length.ok_or("a field is truncated")?);
                self.0 = rest;
                Value::Bytes(bytes)
            }
            WireType::ThirtyTwoBit => {
                self.0 = self.0.get(4..).ok_or("a number is truncated")?;
                Value::Fixed32
            }
            WireType::StartGroup | WireType::EndGroup => return Err("groups are not used by OTLP".to_owned()),
        };
        Ok((number, value))
    }
}

impl<'b> Iterator for Fields<'b> {
    type Item = Result<(u32, Value<'b>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}
