use crate::format::{Defaults, Format};
use crate::formats::testing::{calls, defaults, into_records, records, refusals, totals};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::call::CostSource;
use domain::{Meter, Name};

fn usage(text: &str) -> Vec<(Meter, u64)> {
    totals(calls(&records(Format::Responses, text)).values())
}

const OPENAI: &str = r#"{"id":"chatcmpl-908MD9ivBBLb6EaIjlqwFokntayQK","object":"chat.completion","created":1709819153,
    "model":"gpt-4o","choices":7,"usage":{"prompt_tokens":15,"completion_tokens":19,"total_tokens":34,
    "prompt_tokens_details":{"cached_tokens":5},"completion_tokens_details":{"reasoning_tokens":9}}}"#;

#[test]
fn bodies_state_their_usage_in_the_notation_of_their_api() {
    use Meter::{
        AudioInput, AudioOutput, CacheRead, CacheWrite1Hour, CacheWrite5Min, ImageInput, ImageOutput, Input, Output,
        Reasoning,
    };
    assert_eq!(usage(OPENAI), [(Input, 10), (Output, 19), (CacheRead, 5), (Reasoning, 9)]);
    for (body, right) in [
        (
            r#"{"id":"resp_1","object":"response","created_at":1709819153,"model":"m","usage":{"input_tokens":20,
            "input_tokens_details":{"cached_tokens":4},"output_tokens":7,"output_tokens_details":{"reasoning_tokens":0}}}"#,
            vec![(Input, 16), (Output, 7), (CacheRead, 4)],
        ),
        (
            r#"{"id":"msg_1","type":"message","model":"c","usage":{"input_tokens":4,"cache_creation_input_tokens":30,
            "cache_read_input_tokens":11,"cache_creation":{"ephemeral_1h_input_tokens":10},"output_tokens":50}}"#,
            vec![(Input, 4), (Output, 50), (CacheRead, 11), (CacheWrite5Min, 20), (CacheWrite1Hour, 10)],
        ),
        (
            r#"{"output":{"message":{}},"usage":{"inputTokens":20,"outputTokens":72,"cacheReadInputTokens":3,"totalTokens":95}}"#,
            vec![(Input, 20), (Output, 72), (CacheRead, 3)],
        ),
        (
            r#"{"candidates":[],"modelVersion":"gemini-2.5-flash","responseId":"x","usageMetadata":{"promptTokenCount":9,
            "candidatesTokenCount":20,"thoughtsTokenCount":100,"cachedContentTokenCount":4,"totalTokenCount":129}}"#,
            vec![(Input, 5), (Output, 120), (CacheRead, 4), (Reasoning, 100)],
        ),
        (
            r#"{"candidates":[],"modelVersion":"gemini-2.5-flash","usageMetadata":{"promptTokenCount":1000,"cachedContentTokenCount":300,
            "toolUsePromptTokenCount":50,"candidatesTokenCount":60,"thoughtsTokenCount":7,
            "promptTokensDetails":[{"modality":"TEXT","tokenCount":100},{"modality":"AUDIO","tokenCount":500},
            {"modality":"IMAGE","tokenCount":258},{"modality":"VIDEO","tokenCount":142}],
            "cacheTokensDetails":[{"modality":"AUDIO","tokenCount":200},{"modality":"TEXT","tokenCount":100}],
            "toolUsePromptTokensDetails":[{"modality":"IMAGE","tokenCount":50}],
            "candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":20},{"modality":"IMAGE","tokenCount":30}]}}"#,
            vec![
                (Input, 750),
                (Output, 67),
                (CacheRead, 300),
                (Reasoning, 7),
                (AudioInput, 300),
                (AudioOutput, 20),
                (ImageInput, 308),
                (ImageOutput, 30),
            ],
        ),
        (
            r#"{"inputTextTokenCount":28.0,"results":[{"tokenCount":197.0},{"tokenCount":3}]}"#,
            vec![(Input, 28), (Output, 200)],
        ),
        (r#"{"prompt_token_count":8,"generation_token_count":9}"#, vec![(Input, 8), (Output, 9)]),
    ] {
        assert_eq!(usage(&body.replace('\n', "")), right, "{body}");
    }
}

#[test]
fn the_cost_that_a_response_states_is_reported_with_its_source() {
    let shown = |usage: &str| {
        let body = format!(r#"{{"id":"gen-1","object":"chat.completion","model":"m","usage":{usage}}}"#);
        let found = records(Format::Responses, &body);
        let cost = found[0].facts.reported_cost.map(|cost| (cost.amount.to_string(), cost.source));
        (cost, found[0].ignored.clone().unwrap_or_default())
    };
    let provider = |amount: &str| Some((amount.to_owned(), Some(CostSource::Provider)));
    let usage = |cost: &str| format!(r#"{{"prompt_tokens":9,"completion_tokens":1,"cost":{cost}}}"#);
    let none = String::new;
    assert_eq!(shown(&usage("0.00014")), (provider("0.00014"), none()));
    assert_eq!(shown(&usage("1.5e-05")), (provider("0.000015"), none()));
    let perplexity = r#"{"input_tokens_cost":0.1,"output_tokens_cost":0.2,"request_cost":0.005,"total_cost":0.305}"#;
    assert_eq!(shown(&usage(perplexity)), (provider("0.305"), none()));
    assert_eq!(shown(&usage("null")), (None, none()));
    // A cost that is none does not cost the record its tokens.
    assert_eq!(shown(&usage("-1")), (None, "usage.cost: -1 is negative".to_owned()));
    let (cost, ignored) = shown(&usage("\"x\""));
    assert!(cost.is_none() && ignored.starts_with("usage.cost"), "{ignored}");
    // In a stream, the last event has it.
    let chunk = |usage: &str| {
        format!("data: {{\"id\":\"gen-1\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"usage\":{usage}}}\n\n")
    };
    let stream = [chunk("null"), chunk(&usage("0.25"))].concat();
    let found = records(Format::Responses, &stream);
    assert_eq!(found[0].facts.reported_cost.map(|cost| cost.amount.to_string()).as_deref(), Some("0.25"));
}

#[test]
fn streams_state_their_usage_in_some_of_their_events() {
    use Meter::{CacheRead, Input, Output};
    let chunks = "data: {\"id\":\"chatcmpl-x\",\"object\":\"chat.completion.chunk\",\"created\":1709819153,\"model\":\"m\",\"usage\":null}\n\n\
        data: {\"id\":\"chatcmpl-x\",\"choices\":[],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":89}}\n\ndata: [DONE]\n\n";
    assert_eq!(usage(chunks), [(Input, 12), (Output, 89)]);
    let message = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"model\":\"c\",\
        \"usage\":{\"input_tokens\":17,\"cache_read_input_tokens\":2,\"output_tokens\":1}}}\n\n\
        event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":108,\"input_tokens\":null}}\n\n";
    assert_eq!(usage(message), [(Input, 17), (Output, 108), (CacheRead, 2)]);
    let responses = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"usage\":null}}\n\n\
        event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"object\":\"response\",\
        \"created_at\":1709819153,\"model\":\"m\",\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}}\n\n";
    assert_eq!(usage(responses), [(Input, 1), (Output, 2)]);
    let gemini = r#"[{"candidates":[],"usageMetadata":{"promptTokenCount":3}},{"candidates":[],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":8}}]"#;
    assert_eq!(usage(gemini), [(Input, 3), (Output, 8)]);
    let without =
        "data: {\"id\":\"chatcmpl-x\",\"object\":\"chat.completion.chunk\",\"created\":1709819153,\"model\":\"m\"}\n\n";
    assert_eq!(refusals(Format::Responses, without), ["item 1: the response states no usage"]);
}

fn aws(payload: &str) -> Vec<u8> {
    let headers = b"\x0b:event-type\x07\x00\x05chunk";
    let [headers_len, len] = [headers.len(), 16 + headers.len() + payload.len()].map(|len| u32::try_from(len).unwrap());
    [&len.to_be_bytes()[..], &headers_len.to_be_bytes(), &[0; 4], headers, payload.as_bytes(), &[0; 4]].concat()
}

fn interaction(uri: &str, headers: &str, body: &str) -> String {
    format!(
        "interactions:\n- request:\n    body: '{{}}'\n    method: POST\n    uri: {uri}\n  response:\n    body:\n      string: {body}\n    \
         headers:\n      Date:\n      - Tue, 11 Jun 2024 00:34:37 GMT\n{headers}    status:\n      code: 200\n      message: OK\nversion: 1\n"
    )
}

const NOVA: &str = "https://bedrock-runtime.us-east-1.amazonaws.com/model/amazon.nova-lite-v1%3A0/converse-stream";
const EVENT_STREAM: &str = "      Content-Type:\n      - application/vnd.amazon.eventstream\n      x-amzn-requestid:\n      - 998dab0e-94b2-49e4-aa03-ee2ee25437f0\n";

#[test]
fn a_cassette_says_who_answered_and_when() {
    let body = [aws("{\"role\":\"assistant\"}"), aws("{\"usage\":{\"inputTokens\":236,\"outputTokens\":58}}")].concat();
    let cassette = interaction(NOVA, EVENT_STREAM, &format!("!!binary |\n        {}", STANDARD.encode(body)));
    let found = records(Format::Responses, &cassette);
    let facts = &found[0].facts;
    assert_eq!(totals(calls(&found).values()), [(Meter::Input, 236), (Meter::Output, 58)]);
    let text = |name: &Option<Name>| name.as_ref().map(ToString::to_string).unwrap_or_default();
    let named = [&facts.provider, &facts.model, &facts.region, &facts.request_id].map(text);
    assert_eq!(named, ["bedrock", "amazon.nova-lite-v1:0", "us-east-1", "998dab0e-94b2-49e4-aa03-ee2ee25437f0"]);
    assert_eq!(facts.started_at.to_rfc3339(), "2024-06-11T00:34:37+00:00");
    assert_eq!(calls(&[found.clone(), records(Format::Responses, cassette)].concat()).len(), 1);
}

#[test]
fn a_cassette_has_bodies_with_gzip_and_interactions_that_are_no_calls() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut gzip, OPENAI.as_bytes()).unwrap();
    let body = format!("!!binary |\n        {}", STANDARD.encode(gzip.finish().unwrap()));
    let uri = "https://api.openai.com/v1/chat/completions";
    let found = records(Format::Responses, interaction(uri, "", &body));
    assert_eq!(found[0].facts.provider.as_ref().map(Name::as_str), Some("openai"));
    assert_eq!(records(Format::Responses, interaction("https://api.openai.com/v1/files", "", &body)), []);
    assert_eq!(records(Format::Responses, interaction(uri, "", &body).replace("code: 200", "code: 429")), []);
    assert_eq!(
        records(Format::Responses, interaction("http://localhost:1/v1/completions", "", &body))[0].facts.provider,
        None
    );
    let cut = refusals(Format::Responses, interaction(NOVA, EVENT_STREAM, "!!binary |\n        AAAA"));
    assert_eq!(cut, ["item 1: the body cannot be decoded: an event is cut off"]);
    let none = refusals(Format::Responses, interaction(uri, "", "'{\"id\":\"x\"}'"));
    assert_eq!(none, ["item 1: the response of api.openai.com/v1/chat/completions states no usage"]);
}

#[test]
fn headers_state_the_usage_where_the_body_does_not() {
    let headers = "      X-Amzn-Bedrock-Input-Token-Count:\n      - '26'\n      X-Amzn-Bedrock-Output-Token-Count:\n      - '42'\n";
    let uri = "https://bedrock-runtime.us-east-1.amazonaws.com/model/ai21.j2-mid-v1/invoke";
    assert_eq!(usage(&interaction(uri, headers, "'{\"id\":1234}'")), [(Meter::Input, 26), (Meter::Output, 42)]);
}

#[test]
fn an_option_gives_what_a_body_does_not_say_and_never_its_identity() {
    let body = r#"{"id":"msg_1","type":"message","model":"c","usage":{"input_tokens":4,"output_tokens":5}}"#;
    let read = |defaults: Defaults| {
        let records = crate::formats::read_records(Format::Responses, defaults, Box::new(body.as_bytes())).unwrap();
        records.flat_map(into_records).next().unwrap()
    };
    let error = read(Defaults::default()).unwrap_err().to_string();
    assert!(error.contains("--at"), "{error}");
    let plain = read(defaults()).unwrap();
    let named = read(Defaults { provider: Name::new("bedrock").ok(), ..defaults() }).unwrap();
    assert_eq!((plain.facts.provider.clone(), &plain.call_ids), (None, &named.call_ids));
}

#[test]
fn a_response_says_how_it_was_served_and_what_of_its_usage_is_not_read() {
    let usage = r#""usage":{"input_tokens":4,"output_tokens":5,"service_tier":"batch","speed":"fast","inference_geo":"us","new_tokens":3}"#;
    let whole = format!(r#"{{"id":"msg_1","type":"message","model":"c",{usage}}}"#);
    let stream = format!(
        "data: {{\"type\":\"message_start\",\"message\":{whole}}}\n\ndata: {{\"type\":\"message_delta\",\"usage\":{{\"output_tokens\":5}}}}\n\n"
    );
    for text in [&whole, &stream] {
        let record = records(Format::Responses, text).remove(0);
        let named = [&record.facts.service_tier, &record.facts.speed, &record.facts.region];
        assert_eq!(
            named.map(|name| name.as_ref().map(Name::as_str)),
            [Some("batch"), Some("fast"), Some("us")],
            "{text}"
        );
        assert_eq!(
            record.ignored.as_deref(),
            Some("usage.new_tokens is not understood, and was not counted"),
            "{text}"
        );
        assert_eq!(totals([&record.facts.usage]), [(Meter::Input, 4), (Meter::Output, 5)]);
    }
    let plain = whole.replace("\"us\"", "\"not_available\"").replace("new_tokens", "total_tokens");
    let record = records(Format::Responses, plain).remove(0);
    assert_eq!((record.facts.region, record.ignored), (None, None));
}

/// The request id is in a header, and is that of the telemetry of the client.
#[test]
fn a_cassette_names_the_request() {
    let body = r#"'{"id":"msg_bdrk_1","type":"message","model":"c","usage":{"input_tokens":4,"output_tokens":5}}'"#;
    let header = "      request-id:\n      - req_011CStqPRADRX9fx9ReRNWHf\n";
    let record =
        records(Format::Responses, interaction("https://api.anthropic.com/v1/messages", header, body)).remove(0);
    let of_request = domain::call::CallKey::of_provider_request("req_011CStqPRADRX9fx9ReRNWHf").unwrap().call_id();
    assert!(record.call_ids.iter().any(|id| id == of_request) && record.call_ids.single().is_none());
}
