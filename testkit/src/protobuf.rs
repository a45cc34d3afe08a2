//! Fields of protobuf, as the wire format has them: <https://protobuf.dev/programming-guides/encoding/>. Tests write messages
//! by hand, because what hostile senders write is not what a library would.

/// A number in base 128, the lowest digits first.
pub fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(10);
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
    bytes
}

/// A field with bytes, a text or a message.
pub fn field(number: u8, content: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2][..], &varint(content.len() as u64), content].concat()
}

/// A field with an integer.
pub fn integer(number: u8, value: u64) -> Vec<u8> {
    [&[number << 3][..], &varint(value)].concat()
}

/// A field with an integer of 8 bytes.
pub fn fixed64(number: u8, value: u64) -> Vec<u8> {
    [&[number << 3 | 1][..], &value.to_le_bytes()].concat()
}

/// A field with an OpenTelemetry `KeyValue`, whose value has these fields of an `AnyValue`.
pub fn attribute(number: u8, key: &str, value: &[u8]) -> Vec<u8> {
    field(number, &[field(1, key.as_bytes()), field(2, value)].concat())
}
