use super::*;
use domain::Meter;
use proptest::prelude::*;

/// A field with a message, a text or bytes.
fn bytes_field(number: u32, content: &[u8]) -> Vec<u8> {
    let mut field = Vec::new();
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, &mut field);
    prost::encoding::encode_varint(content.len() as u64, &mut field);
    field.extend_from_slice(content);
    field
}

fn varint_field(number: u32, value: u64) -> Vec<u8> {
    let mut field = Vec::new();
    prost::encoding::encode_key(number, prost::encoding::WireType::Varint, &mut field);
    prost::encoding::encode_varint(value, &mut field);
    field
}

fn fixed_field(number: u32, value: u64) -> Vec<u8> {
    let mut field = Vec::new();
    prost::encoding::encode_key(number, prost::encoding::WireType::SixtyFourBit, &mut field);
    field.extend_from_slice(&value.to_le_bytes());
    field
}

fn attribute(key: &str, value: &[u8]) -> Vec<u8> {
    bytes_field(9, &[bytes_field(1, key.as_bytes()), bytes_field(2, value)].concat())
}

fn encoded_span(id: u8, attributes: &[Vec<u8>]) -> Vec<u8> {
    let start = fixed_field(7, 1_700_000_000_000_000_000);
    [bytes_field(1, &[7; 16]), bytes_field(2, &[id; 8]), start, attributes.concat()].concat()
}

fn body(spans: &[Vec<u8>]) -> Vec<u8> {
    let spans: Vec<u8> = spans.iter().flat_map(|span| bytes_field(2, span)).collect();
    bytes_field(1, &bytes_field(2, &spans))
}

fn collected(body: &[u8]) -> Result<SpanCollector, BodyError> {
    let mut collector = SpanCollector::new(1 << 24);
    read(body, &mut collector).map(|()| collector)
}

#[test]
fn a_span_is_read_with_its_attributes() {
    let attributes = [
        attribute("gen_ai.response.model", &bytes_field(1, b"m")),
        attribute("gen_ai.usage.input_tokens", &varint_field(3, 10)),
        attribute("gen_ai.usage.output_tokens", &fixed_field(4, 2_f64.to_bits())),
        attribute("other", &bytes_field(5, &[])),
    ];
    let forest = collected(&body(&[encoded_span(1, &attributes)])).unwrap().into_forest();
    let details = forest.nodes()[0].details.as_ref().unwrap();
    let usage = details.usage.unwrap().usage;
    assert_eq!([Meter::Input, Meter::Output].map(|meter| usage.get(meter).get()), [10, 2]);
}

#[test]
fn a_malformed_span_is_refused_alone() {
    let valid = encoded_span(1, &[attribute("gen_ai.usage.input_tokens", &varint_field(3, 1))]);
    let short_id = [bytes_field(1, &[7; 3]), bytes_field(2, &[1; 8])].concat();
    let truncated = encoded_span(2, &[vec![0x4a, 0x20]]);
    let not_utf8 = encoded_span(3, &[attribute("gen_ai.response.model", &bytes_field(1, &[0xff]))]);
    let negative = encoded_span(4, &[attribute("gen_ai.usage.input_tokens", &varint_field(3, u64::MAX))]);
    let many = encoded_span(5, &vec![attribute("k", &varint_field(3, 1)); MAX_ATTRIBUTES + 1]);
    let no_trace = bytes_field(2, &[1; 8]);
    let spans = [valid, short_id, truncated, not_utf8, negative, many, no_trace];
    let mut collector = collected(&body(&spans)).unwrap();
    let refusals: Vec<_> = collector.take_refusals().iter().map(ToString::to_string).collect();
    let expected = [
        "span 2: traceId is \"070707\", which is not an id",
        "span 3: not the protobuf of OTLP: a field is truncated",
        "span 4: not the protobuf of OTLP: the value",
        "span 5: gen_ai.usage.input_tokens: -1 is negative",
        "span 6: 4097 attributes, which is more than the limit of 4096",
        "span 7: traceId is missing",
    ];
    assert_eq!(refusals.len(), expected.len(), "{refusals:?}");
    for (refusal, expected) in refusals.iter().zip(expected) {
        assert!(refusal.starts_with(expected), "{refusal} instead of {expected}");
    }
}

#[test]
fn a_malformed_body_is_refused() {
    assert!(collected(&[]).is_ok());
    for bad in [&[0x0a, 0xff][..], &[0x0b], b"{\"resourceSpans\":[]}", &[0xff; 32]] {
        assert!(matches!(collected(bad), Err(BodyError::Malformed(_))), "{bad:?}");
    }
}

proptest! {
    #[test]
    fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(collected(&body));
        drop(collected(&bytes_field(1, &bytes_field(2, &bytes_field(2, &body)))));
    }
}
