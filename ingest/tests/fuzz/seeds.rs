//! The inputs that fuzzing starts from: the samples of the repository, and a small file of each other format.

use crate::protobuf::encoded;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ingest::Format;
use serde_json::{Value, json};

const SAMPLE_TRACES: &str = include_str!("../../../samples/otlp.json");
const SAMPLE_AUTOGPT: &str = include_str!("../../../samples/autogpt.jsonl");
const SAMPLE_AZURE: &str = include_str!("../../../samples/azure-llm.csv");
const SAMPLE_CLAUDE: &str = include_str!("../../../samples/claude-code.jsonl");
/// The document that names every attribute that is read.
const ATTRIBUTES: &str = include_str!("../../../docs/opentelemetry.md");

/// The most bytes of a sample that is a seed: short inputs are changed more often in the places that matter.
const MAX_SAMPLE_BYTES: usize = 4_096;

/// An archive of Inspect with a sample.
const INSPECT_ARCHIVE: &str = "\
    UEsDBBQAAAAIAAAAIVqGxFs0MgAAADUAAAALAAAAaGVhZGVyLmpzb26rVipLLSrOzM9TsjLSUUotS8xRsqoG0/GZKUpWSmFKOkolicXZQGZSUX\
    55cWqRUm0tAFBLAwQUAAAACAAAACFaLf3UuscAAABAAQAAFgAAAHNhbXBsZXMvMV9lcG9jaF8xLmpzb25VUEtuwyAQvcusTTogbCMu0At0V1UW\
    ckYJqg0o4G4s7p4h7ifdjd5fs4M/g5UdUIrz9XFtW4PgFRj8olAy2Pf9OBle45kWpopfKRe3JsYUql5gL6R6U2jVaLU+oZEDDgK1RWT5YbMQEw\
    XnXy6pCB3F6oNnMm4lbRy+/8qeeMHpWuAopPmuBYsnwzuzu1Az+cDuqcRPCrxV9oP5ifwDR7bG4pYnmem7f9ZpdvOVphu59hEurbWD2S1L67hR\
    TjHko6+9B6HW+lHvUEsBAhQDFAAAAAgAAAAhWobEWzQyAAAANQAAAAsAAAAAAAAAAAAAAIABAAAAAGhlYWRlci5qc29uUEsBAhQDFAAAAAgAAA\
    AhWi391LrHAAAAQAEAABYAAAAAAAAAAAAAAIABWwAAAHNhbXBsZXMvMV9lcG9jaF8xLmpzb25QSwUGAAAAAAIAAgB9AAAAVgEAAAAA";

/// A small file of each format that has no sample.
const FILES: [(Format, &str); 24] = [
    (
        Format::Csv,
        "time,input,cache_read,out,who,stage,usd,latency_ms\n2025-05-01 10:00:00,1200,1000,80,planner,prod,0.01,7\n1746093601,5,,7,,,,\n",
    ),
    (Format::Csv, "time;prompt;out;who;stage;usd\n2025-05-01T10:00:00Z;1;2;a;b;0.1\n"),
    (
        Format::Jsonl,
        "{\"time\":\"2025-05-01T10:00:00Z\",\"input\":1200,\"out\":80,\"who\":\"planner\",\"usd\":0.01}\n{\"time\":1746093601,\"input\":\"5\",\"out\":7.0}\n",
    ),
    (Format::Jsonl, "[{\"time\":\"2025-05-01T10:00:00Z\",\"input\":1}]"),
    (
        Format::Mooncake,
        "{\"timestamp\": 0, \"input_length\": 6758, \"output_length\": 500, \"hash_ids\": [0, 1]}\n{\"timestamp\":27000,\"input_length\":7322,\"output_length\":490,\"hash_ids\":[0,14]}\n",
    ),
    (
        Format::Codex,
        r#"{"timestamp":"2025-10-01T12:00:00.000Z","type":"session_meta","payload":{"id":"s1","model_provider":"openai"}}
{"timestamp":"2025-10-01T12:00:01.000Z","type":"turn_context","payload":{"turn_id":"t1","model":"gpt-5-codex"}}
{"timestamp":"2025-10-01T12:01:01.000Z","type":"event_msg","payload":{"type":"token_count","info":{"total_token_usage":{"input_tokens":100,"cached_input_tokens":50,"output_tokens":10,"reasoning_output_tokens":2,"total_tokens":110},"last_token_usage":{"input_tokens":100,"cached_input_tokens":50,"output_tokens":10,"reasoning_output_tokens":2,"total_tokens":110}},"rate_limits":null}}"#,
    ),
    (
        Format::Codex,
        r#"{"timestamp":"2025-10-01T12:00:00.000Z","type":"session_meta","payload":{"id":"s1","model_provider":"openai"}}
{"timestamp":"2025-10-01T12:00:01.000Z","type":"turn_context","payload":{"turn_id":"t1","model":"gpt-5-codex"}}
{"timestamp":"2025-10-01T12:01:01.000Z","type":"event_msg","payload":{"type":"token_count","info":{"total_token_usage":{"input_tokens":300,"cached_input_tokens":150,"output_tokens":40,"total_tokens":340},"last_token_usage":{}}}}"#,
    ),
    (
        Format::Inspect,
        r#"{"version":2,"status":"success","eval":{"eval_id":"V","task":"browser"},"samples":[{"id":1,"epoch":1,"uuid":"G","events":[{"event":"model","timestamp":"2025-05-12T20:27:44.081606-04:00","model":"openai/gpt-4o-mini","output":{"model":"gpt-4o-mini-2024-07-18","time":0.8,"usage":{"input_tokens":1568,"output_tokens":17,"total_tokens":1585,"input_tokens_cache_read":1024}},"call":{"response":{"id":"chatcmpl-BWXmipTxD4cDLdyOstlMxEDCtd0dj"}}}]}]}"#,
    ),
    (
        Format::Jaeger,
        r#"{"data":[{"traceID":"f07651916cd43dd8448eb211c80319c","spans":[{"traceID":"f07651916cd43dd8448eb211c80319c","spanID":"c728e555894414d","operationName":"openai.chat","references":[{"refType":"CHILD_OF","traceID":"f07651916cd43dd8448eb211c80319c","spanID":"7ad6b7169203331"}],"startTime":1771237534579946,"duration":1000000,"processID":"p1","tags":[{"key":"gen_ai.usage.prompt_tokens","type":"int64","value":1820},{"key":"gen_ai.usage.completion_tokens","value":13},{"key":"gen_ai.response.model","value":"gpt-4.1-mini"},{"key":"error","value":true}]}],"processes":{"p1":{"serviceName":"helm","tags":[]}}}]}"#,
    ),
    (
        Format::Langfuse,
        r#"{"trace":{"id":"080130871f53145aecf7c29d5dfb6e4c","name":"run","sessionId":"s","userId":"u"},"observations":[{"id":"b38a82eaa62b551e","traceId":"080130871f53145aecf7c29d5dfb6e4c","parentObservationId":"","type":"GENERATION","name":"n","model":"gpt-4o-mini","startTime":"2025-06-11T14:01:32.600Z","endTime":"2025-06-11T14:01:33.560Z","usageDetails":{"input":1568,"output":423,"total":1991},"costDetails":{"input":8.13e-05,"total":0.0002223},"totalCost":0.0002223,"level":"DEFAULT","metadata":{"attributes":{"gen_ai.system":"OpenAI"}}}]}"#,
    ),
    (
        Format::LiteLlm,
        r#"{"request_id":"chatcmpl-8f14e45f-ceea-467f-a8b9-0b2a3c4d5e6f","call_type":"acompletion","api_key":"0","spend":0.0123,"prompt_tokens":1200,"completion_tokens":80,"total_tokens":1280,"startTime":"2025-05-01T10:00:00.100Z","endTime":"2025-05-01T10:00:02.350Z","completionStartTime":"2025-05-01T10:00:00.600Z","model":"azure/gpt-4o","custom_llm_provider":"azure","user":"u1","team_id":"t1","session_id":"s1","metadata":{"user_api_key_alias":"ci","usage_object":{"prompt_tokens":1200,"completion_tokens":80,"total_tokens":1280,"prompt_tokens_details":{"cached_tokens":1000}}},"request_tags":["env:prod","nightly"]}"#,
    ),
    (
        Format::OpenHands,
        r#"[{"id":3,"timestamp":"2025-01-27T22:45:13.764487","source":"agent","action":"edit","tool_call_metadata":{"model_response":{"id":"chatcmpl-6814daca-5c62-431d-8c88-9dafead244f1","created":1738046713,"model":"claude-3-5-sonnet-20241022","usage":{"completion_tokens":1135,"prompt_tokens":3486,"prompt_tokens_details":{"audio_tokens":null,"cached_tokens":100},"cache_creation_input_tokens":3000}}}}]"#,
    ),
    (
        Format::SweAgent,
        r#"{"environment":"main","trajectory":[{"action":"ls"}],"history":[],"replay_config":{"agent":{"name":"astropy","model":{"name":"anthropic/claude-3-7"}}},"info":{"exit_status":"submitted","model_stats":{"instance_cost":0.01952,"tokens_sent":7141,"tokens_received":243,"api_calls":5}}}"#,
    ),
    (
        Format::Responses,
        r#"{"id":"chatcmpl-908MD9ivBBLb6EaIjlqwFokntayQK","object":"chat.completion","created":1709819153,"model":"gpt-4o","choices":7,"usage":{"prompt_tokens":15,"completion_tokens":19,"total_tokens":34,"prompt_tokens_details":{"cached_tokens":5},"completion_tokens_details":{"reasoning_tokens":9}}}"#,
    ),
    (
        Format::Responses,
        r#"{"id":"msg_1","type":"message","model":"c","usage":{"input_tokens":4,"cache_creation_input_tokens":30,"cache_read_input_tokens":11,"cache_creation":{"ephemeral_1h_input_tokens":10},"output_tokens":50}}"#,
    ),
    (
        Format::Responses,
        r#"{"output":{"message":{}},"usage":{"inputTokens":20,"outputTokens":72,"cacheReadInputTokens":3,"totalTokens":95}}"#,
    ),
    (
        Format::Responses,
        r#"[{"candidates":[],"modelVersion":"gemini-2.5-flash","usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":20,"thoughtsTokenCount":100,"cachedContentTokenCount":4,"totalTokenCount":129,"promptTokensDetails":[{"modality":"AUDIO","tokenCount":3}],"cacheTokensDetails":[{"modality":"AUDIO","tokenCount":1}]}}]"#,
    ),
    (
        Format::Responses,
        r#"{"id":"gen-1","object":"chat.completion","model":"m","usage":{"prompt_tokens":15,"completion_tokens":19,"cost":0.0002,"is_byok":false}}"#,
    ),
    (Format::Responses, r#"{"inputTextTokenCount":28.0,"results":[{"tokenCount":197.0},{"tokenCount":3}]}"#),
    (
        Format::Responses,
        "data: {\"id\":\"chatcmpl-x\",\"object\":\"chat.completion.chunk\",\"created\":1709819153,\"model\":\"m\",\"usage\":null}\n\ndata: {\"id\":\"chatcmpl-x\",\"choices\":[],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":89}}\n\ndata: [DONE]\n\n",
    ),
    (
        Format::Responses,
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"model\":\"c\",\"usage\":{\"input_tokens\":17,\"cache_read_input_tokens\":2,\"output_tokens\":1}}}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":108,\"input_tokens\":null}}\n\n",
    ),
    (Format::Responses, CASSETTE),
    (
        Format::Otlp,
        r#"{"batches":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeSpans":[{"spans":[{"traceId":"3a8f16d9764f0ca8fbb82b5ae4d117d9","spanId":"2d81177bc4f2e235","name":"chat","startTimeUnixNano":"1789369241001000000","attributes":[{"key":"gen_ai.response.model","value":{"stringValue":"m"}},{"key":"gen_ai.usage.input_tokens","value":{"intValue":"954"}}]}]}]}]}"#,
    ),
    (Format::TauBench, r#"[{"task_id":0,"reward":1.0,"traj":[]}]"#),
];

const CASSETTE: &str = "interactions:\n- request:\n    body: '{}'\n    method: POST\n    uri: https://api.openai.com/v1/chat/completions\n  response:\n    body:\n      string: '{\"id\":\"chatcmpl-908MD9ivBBLb6EaIjlqwFokntayQK\",\"object\":\"chat.completion\",\"created\":1709819153,\"model\":\"gpt-4o\",\"usage\":{\"prompt_tokens\":15,\"completion_tokens\":19}}'\n    headers:\n      Date:\n      - Tue, 11 Jun 2024 00:34:37 GMT\n      Content-Type:\n      - application/json\n    status:\n      code: 200\n      message: OK\nversion: 1\n";

/// Lines of Apex's own, some of them in one input.
const LINES: [&str; 6] = [
    r#"{"type":"call","id":"call-1","task":"build-17","agent":"builder","provider":"openai","model":"gpt-4o","usage":{"input":1200,"output":80,"cache_read":1000},"tags":{"env":"prod"},"started_at":"2026-03-10T10:00:00Z"}"#,
    r#"{"type":"call","kind":"tool","tool":"grep","agent":"2f1c6a5e-6d1b-4c53-9a52-0a4a2f7b9b10","span":{"trace_id":"3a8f16d9764f0ca8fbb82b5ae4d117d9","span_id":"2d81177bc4f2e235"},"outcome":"failed","error":"no such file","latency_ms":7}"#,
    r#"{"type":"call","response_id":"msg_01XFDUDYJgAACzvnptvVoYEL","provider":"anthropic","model":"claude-sonnet-4-5","usage":{"input":4,"cache_write_1hour":10,"output":50},"reported_cost":"0.0123","reported_cost_source":"gateway","usage_assumed":true}"#,
    r#"{"type":"task","id":"build-17","title":"Fix the build","agent":"builder","status":"failed","error":"it does not link","submitted_at":"2026-03-10T10:00:00Z","started_at":"2026-03-10T10:00:01Z","ended_at":"2026-03-10T10:00:09Z"}"#,
    r#"{"type":"memory","id":"note-1","agent":"builder","content":"The build needs Java 17","tags":["build"],"realm":"village"}"#,
    "{\"type\":\"task\",\"id\":\"t\",\"title\":\"T\",\"agent\":\"a\"}\n\n{\"type\":\"call\",\"id\":\"c\",\"model\":\"m\",\"usage\":{\"input\":1}}\n",
];

/// Batches of Langfuse's SDKs.
const BATCHES: [&str; 5] = [
    r#"{"batch":[{"id":"e1","type":"trace-create","timestamp":"2026-03-10T10:00:00.000Z","body":{"id":"t-1","name":"support","sessionId":"s-1","userId":"ada"}},{"id":"e2","type":"generation-create","timestamp":"2026-03-10T10:00:01.000Z","body":{"id":"g-1","traceId":"t-1","name":"answer","model":"gpt-4o","startTime":"2026-03-10T10:00:01.000Z"}},{"id":"e3","type":"generation-update","timestamp":"2026-03-10T10:00:03.000Z","body":{"id":"g-1","traceId":"t-1","endTime":"2026-03-10T10:00:03.500Z","usage":{"input":1000,"output":100,"total":1100,"unit":"TOKENS"}}}],"metadata":{"sdk_name":"python"}}"#,
    r#"{"batch":[{"id":"e1","type":"span-create","timestamp":"2026-03-10T10:00:00.000Z","body":{"id":"s-1","traceId":"t-1","name":"agent","startTime":"2026-03-10T10:00:00.000Z"}},{"id":"e2","type":"generation-create","timestamp":"2026-03-10T10:00:01.000Z","body":{"id":"g-1","traceId":"t-1","parentObservationId":"s-1","model":"gpt-4o","startTime":"2026-03-10T10:00:01.000Z","usageDetails":{"input":10,"output":5,"total":15},"costDetails":{"total":0.01}}}]}"#,
    r#"{"batch":[{"id":"e1","type":"score-create","timestamp":"2026-03-10T10:00:00.000Z","body":{"id":"x","traceId":"t-1","name":"good","value":1}}]}"#,
    r#"{"batch":[{"id":"e1","type":"observation-create","timestamp":"2026-03-10T10:00:00.000Z","body":{"id":"g-1","traceId":"3a8f16d9764f0ca8fbb82b5ae4d117d9","type":"GENERATION","model":"m","startTime":"2026-03-10T10:00:01.000Z","usage":{"promptTokens":1,"completionTokens":2,"totalTokens":3}}}]}"#,
    r#"{"batch":[],"metadata":{}}"#,
];

/// Price tables, each with the reader of its format.
const TABLES: [(u8, &str); 5] = [
    (
        0,
        r#"{"plain": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 3e-06, "output_cost_per_token": 0.000015, "cache_read_input_token_cost": 3e-07, "input_cost_per_token_above_200k_tokens": 2.5e-06, "output_cost_per_token_batches": 5e-06, "regional_processing_uplift_multiplier_eu": 1.1, "search_context_cost_per_query": {"search_context_size_low": 0.01}}}"#,
    ),
    (
        0,
        r#"{"tiers": {"litellm_provider": "dashscope", "mode": "chat", "tiered_pricing": [{"range": [0, 32000.0], "input_cost_per_token": 3e-07, "output_cost_per_token": 1.5e-06}, {"range": [32000, 128000], "input_cost_per_token": 5e-07}]}, "peak": {"litellm_provider": "deepseek", "input_cost_per_token": 3e-07, "off_peak_pricing": {"input_cost_per_token": 1.5e-07, "windows": [{"hours_utc": ["04:00-06:00", "10:00-00:00"], "weekdays": [1, 2]}]}}}"#,
    ),
    (
        0,
        r#"{"speech": {"litellm_provider": "x", "mode": "audio_transcription", "input_cost_per_second": 0.0001, "output_cost_per_second": NaN}}"#,
    ),
    (
        1,
        r#"{"source": "genai-prices 9", "licence": "MIT", "dated": "2026-11-29", "providers": [{"id": "openai", "models": [{"id": "gpt-x", "match": {"or": [{"equals": "gpt-x"}, {"starts_with": "gpt-x-"}]}, "prices": [{"prices": {"input_mtok": 10, "output_mtok": 40}}, {"constraint": {"start_date": "2025-06-01"}, "prices": {"input_mtok": {"base": 2, "tiers": [{"start": 200000, "price": 4}]}, "cache_read_mtok": 0.5, "output_mtok": 8}}], "price_variants": [{"when": {"processing": "batch"}, "constraint": {"start_date": "2026-10-14"}, "prices": {"input_mtok": 1}}]}]}, {"id": "deepseek", "models": [{"id": "chat", "match": {"contains": "chat"}, "prices": [{"prices": {"input_mtok": 0.1, "output_mtok": 1}}, {"constraint": {"start_time": "16:30:00Z", "end_time": "00:30:00Z"}, "prices": {"input_mtok": 0.05, "output_mtok": 0.5}}]}]}]}"#,
    ),
    (
        2,
        r#"[{"id": "1", "modelName": "gpt-x", "matchPattern": "(?i)^(openai/)?(gpt-x)(-\\d{4})?$", "tokenizerId": "openai", "createdAt": "2026-01-01T00:00:00Z", "pricingTiers": [{"name": "Standard", "isDefault": true, "priority": 0, "conditions": [], "prices": {"input": 2.5e-6, "input_cache_read": 1.25e-6, "output": 10e-6}}, {"name": "Large", "isDefault": false, "priority": 2, "conditions": [{"usageDetailPattern": "(input)", "operator": "gt", "value": 272000, "caseSensitive": false}], "prices": {"input": 5e-6, "output": 15e-6}}, {"name": "Fast", "isDefault": false, "priority": 1, "conditions": [{"source": "model_parameters", "key": "service_tier", "operator": "in", "values": ["fast", "priority"]}], "prices": {"input": 9e-6, "output": 20e-6}}]}]"#,
    ),
];

/// The place of something in a list, as the first byte of an input.
fn selector<T: PartialEq>(list: &[T], item: &T) -> u8 {
    list.iter().position(|known| known == item).and_then(|at| u8::try_from(at).ok()).unwrap_or_default()
}

fn selected(selector: u8, content: &[u8]) -> Vec<u8> {
    [&[selector], content].concat()
}

/// Exports of every signal, each with its selector.
fn exports() -> Vec<(u8, Value)> {
    // Each line of the sample is an export.
    let traces = SAMPLE_TRACES.lines().filter_map(|line| serde_json::from_str(line).ok());
    let mut exports: Vec<(u8, Value)> = traces.map(|export| (0, export)).collect();
    let attribute = |key: &str, value: Value| json!({ "key": key, "value": value });
    let text = |text: &str| json!({ "stringValue": text });
    let message = json!({ "kvlistValue": { "values": [
        attribute("role", text("user")), attribute("parts", json!({ "arrayValue": { "values": [text("hi"), { "intValue": "7" }] } })),
    ] } });
    let spoken = json!({ "traceId": "3a8f16d9764f0ca8fbb82b5ae4d117d9", "spanId": "2d81177bc4f2e235", "attributes": [
        attribute("gen_ai.response.model", text("gpt-4o")), attribute("gen_ai.usage.input_tokens", json!({ "intValue": "12" })),
        attribute("gen_ai.input.messages", message.clone()), attribute("gen_ai.completion.0.content", text("yes")),
    ], "events": [{ "name": "gen_ai.choice", "timeUnixNano": "1773136801000000000", "attributes": [attribute("message", message.clone())] }] });
    exports.push((0, json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [spoken] }] }] })));
    let record = json!({ "timeUnixNano": "1773136801000000000", "body": text("claude_code.api_request"), "attributes": [
        attribute("event.name", text("api_request")), attribute("model", text("claude-sonnet-4-5")),
        attribute("input_tokens", json!({ "intValue": "12" })), attribute("output_tokens", json!({ "intValue": "7" })),
        attribute("cost_usd", json!({ "doubleValue": 0.01 })), attribute("duration_ms", json!({ "intValue": "1500" })),
    ] });
    let event = json!({ "timeUnixNano": "1773136801000000000", "traceId": "3a8f16d9764f0ca8fbb82b5ae4d117d9",
        "spanId": "2d81177bc4f2e235", "eventName": "gen_ai.client.inference.operation.details", "body": message, "attributes": [
        attribute("gen_ai.output.messages", text("yes")),
        attribute("gen_ai.response.model", text("gpt-4o")),
        attribute("gen_ai.usage.input_tokens", json!({ "intValue": "12" })),
    ] });
    for record in [record, event] {
        let resource = json!({ "attributes": [attribute("service.name", text("claude-code"))] });
        let scope_logs = json!([{ "scope": { "name": "events" }, "logRecords": [record] }]);
        exports.push((1, json!({ "resourceLogs": [{ "resource": resource, "scopeLogs": scope_logs }] })));
    }
    let metric = json!({ "name": "gen_ai.client.token.usage", "histogram": { "dataPoints": [{ "asInt": "5" }] } });
    exports.push((2, json!({ "resourceMetrics": [{ "scopeMetrics": [{ "metrics": [metric] }] }] })));
    exports
}

/// The lines of a sample up to [`MAX_SAMPLE_BYTES`], the first one at least.
fn beginning(sample: &str) -> &str {
    let mut ends = sample.match_indices('\n').map(|(at, _)| at + 1);
    let first = ends.next().unwrap_or(sample.len());
    let end = ends.take_while(|end| *end <= MAX_SAMPLE_BYTES).last().unwrap_or(first);
    &sample[..end.max(first)]
}

fn files() -> Vec<Vec<u8>> {
    let samples = [
        (Format::Autogpt, beginning(SAMPLE_AUTOGPT)),
        (Format::AzureLlm, beginning(SAMPLE_AZURE)),
        (Format::ClaudeCode, beginning(SAMPLE_CLAUDE)),
        (Format::Otlp, beginning(SAMPLE_TRACES)),
    ];
    let of_format = |(format, text): (Format, &str)| selected(selector(Format::ALL, &format), text.as_bytes());
    let mut files: Vec<_> = samples.into_iter().chain(FILES).map(of_format).collect();
    let archive = STANDARD.decode(INSPECT_ARCHIVE).unwrap_or_default();
    files.push(selected(selector(Format::ALL, &Format::Inspect), &archive));
    files
}

/// Invoices, each with the byte that selects its reader.
const INVOICES: [(u8, &str); 7] = [
    (
        0,
        "Date,model,meter,Qty,amount,currency,tier,reference\n2026-03-01,gpt-4o,input tokens,1000,0.0025,USD,batch,p\n\
         2026-03-01,gpt-4o,tokens (1K),1,$0.01,,,\n2026-03-02,,all,,\"1,000.5\",,,\n2026-03-02,,total,,3,,,\n",
    ),
    (129, "Date;model;meter;Qty;amount\n01.03.2026;m;output;1.000,5;(0,25)\n02.03.2026;m;cache_read;;1e-7\n"),
    (
        1,
        r#"{"object":"page","data":[{"object":"bucket","start_time":1772323200,"end_time":1772409600,"results":[
            {"object":"organization.usage.completions.result","input_tokens":5000,"output_tokens":1000,
             "input_cached_tokens":4000,"input_audio_tokens":300,"model":"gpt-4o","batch":true,"project_id":"p"}]}],
            "has_more":false,"next_page":null}"#,
    ),
    (
        1,
        r#"[{"data":[{"start_time":1772323200,"results":[{"object":"organization.costs.result",
            "amount":{"value":0.0144299999999999995,"currency":"usd"},"line_item":"gpt-4o, cached input"}]}],"has_more":false}]"#,
    ),
    (1, "start_time,amount_value,amount_currency,line_item\n1772323200,0.5,usd,\"gpt-4o, output\"\n1772409600,,,\n"),
    (
        2,
        r#"{"data":[{"starting_at":"2026-03-01T00:00:00Z","results":[{"uncached_input_tokens":15,"output_tokens":5,
            "cache_creation":{"ephemeral_1h_input_tokens":10},"server_tool_use":{"web_search_requests":1},
            "model":"claude-sonnet-4","service_tier":"batch","context_window":"200k-1M"}]}],"has_more":true,"next_page":"p"}
           {"data":[],"has_more":false}"#,
    ),
    (
        2,
        r#"{"data":[{"starting_at":"2026-03-01T00:00:00Z","results":[{"amount":"123.45","currency":"USD","cost_type":"tokens",
            "token_type":"cache_read_input_tokens","model":"claude-sonnet-4"}]}],"has_more":false}"#,
    ),
];

/// The inputs that a target starts from.
pub(crate) fn of_target(name: &str) -> Vec<Vec<u8>> {
    match name {
        "otlp_json" => {
            exports().into_iter().map(|(signal, export)| selected(signal, export.to_string().as_bytes())).collect()
        }
        "otlp_protobuf" => exports().into_iter().map(|(signal, export)| selected(signal, &encoded(&export))).collect(),
        "lines" => LINES.iter().map(|line| line.as_bytes().to_vec()).collect(),
        "langfuse_batch" => BATCHES.iter().map(|batch| batch.as_bytes().to_vec()).collect(),
        "invoice" => INVOICES.iter().map(|(reader, text)| selected(*reader, text.as_bytes())).collect(),
        "price_table" => TABLES.iter().map(|(reader, table)| selected(*reader, table.as_bytes())).collect(),
        _ => files(),
    }
}

/// Names that readers look for: those of the attributes, and those of the fields around them.
pub(crate) fn dictionary() -> Vec<Vec<u8>> {
    let attributes = ATTRIBUTES.split('`').skip(1).step_by(2);
    let is_name = |name: &&str| name.contains('.') && name.len() < 80 && !name.contains(char::is_whitespace);
    let fields =
        ["traceId", "spanId", "parentSpanId", "startTimeUnixNano", "endTimeUnixNano", "attributes", "key", "value"];
    let values =
        ["stringValue", "intValue", "doubleValue", "boolValue", "arrayValue", "kvlistValue", "bytesValue", "status"];
    let other =
        ["usage", "input_tokens", "output_tokens", "prompt_tokens", "completion_tokens", "total_tokens", "model"];
    let numbers = ["-1", "9007199254740992", "18446744073709551616", "1e308", "NaN", "null", "true", "{}", "[]"];
    let names = attributes.filter(is_name).chain(fields).chain(values).chain(other).chain(numbers);
    let mut names: Vec<_> = names.map(|name| name.as_bytes().to_vec()).collect();
    names.sort_unstable();
    names.dedup();
    names
}
