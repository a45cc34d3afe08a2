//! The schemas of what is sent and answered.

use domain::Meter;
use domain::call::{CallKind, CostSource, Outcome};
use domain::memory::Realm;
use domain::task::TaskStatus;
use ingest::ndjson::{self, LineStatus};
use ingest::{Format, response_providers};
use serde_json::{Map, Value, json};

/// What an operation takes in its body.
pub(super) enum Sent {
    Nothing,
    /// Lines of Apex's own form.
    Lines,
    /// A file of a format.
    File,
    /// An export of OpenTelemetry.
    Otlp,
    /// An object with these fields.
    Object {
        media_type: &'static str,
        required: &'static [&'static str],
        optional: &'static [&'static str],
    },
}

/// What an operation answers if it succeeds.
pub(super) enum Answer {
    Lines,
    FileLines,
    Batch,
    Otlp,
    Json,
    Tokens,
    /// An object of OAuth, whose errors have a form of their own (RFC 6749, 5.2).
    OAuth,
    Text,
    /// What a provider answers, and errors in its form.
    Provider,
    /// A file of a media type.
    File(&'static str),
    Html,
    EventStream,
    /// A file in one of the formats of exports.
    Export,
    Status(u16),
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn text() -> Value {
    json!({ "type": "string" })
}

impl Sent {
    /// The request body; none if there is none.
    pub(super) fn body(&self) -> Option<Value> {
        let content = match self {
            Self::Nothing => return None,
            Self::Lines => json!({ "application/x-ndjson": { "schema": reference("IngestLine") } }),
            Self::File => json!({ "application/octet-stream": { "schema": { "type": "string", "format": "binary" } },
                                  "application/json": {}, "application/x-ndjson": {} }),
            Self::Otlp => json!({ "application/x-protobuf": { "schema": { "type": "string", "format": "binary" } },
                                  "application/json": { "schema": { "type": "object" } } }),
            Self::Object { media_type, required, optional } => {
                let fields = required.iter().chain(*optional);
                let properties: Map<_, _> = fields.map(|field| ((*field).to_owned(), field_schema(field))).collect();
                let mut schema = json!({ "type": "object", "properties": properties });
                if !required.is_empty() {
                    schema["required"] = json!(required);
                }
                json!({ (*media_type): { "schema": schema } })
            }
        };
        Some(json!({ "required": true, "content": content }))
    }
}

/// Fields of sign-in are text, but for a few.
fn field_schema(field: &str) -> Value {
    match field {
        "batch" => json!({ "type": "array", "items": { "type": "object" } }),
        "metadata" | "variables" | "extensions" => json!({ "type": "object" }),
        "cookies" => json!({ "type": "boolean" }),
        _ => text(),
    }
}

impl Answer {
    /// The status and the response.
    pub(super) fn response(&self) -> (u16, Value) {
        let of = |status: u16, description: &str, media_type: &str, schema: Value| {
            (status, json!({ "description": description, "content": { media_type: { "schema": schema } } }))
        };
        match self {
            Self::Lines => of(
                200,
                "An answer a line, in the order of the lines. If the rest of the body is not read, the last line is an error.",
                "application/x-ndjson",
                json!({ "anyOf": [reference("LineAnswer"), reference("StreamError")] }),
            ),
            Self::FileLines => of(
                200,
                "What was refused, and at the end the counts.",
                "application/x-ndjson",
                json!({ "anyOf": [reference("FileLine"), reference("StreamError")] }),
            ),
            Self::Batch => of(207, "What was accepted and refused.", "application/json", reference("BatchAnswer")),
            Self::Otlp => {
                let content = otlp_content(json!({ "type": "object" }));
                (200, json!({ "description": "What was rejected, if anything was.", "content": content }))
            }
            Self::OAuth => of(200, "The result.", "application/json", json!({ "type": "object" })),
            Self::Provider => {
                let content =
                    json!({ "application/json": { "schema": {} }, "text/event-stream": { "schema": text() } });
                (200, json!({ "description": "What the provider answered.", "content": content }))
            }
            Self::File(media_type) => of(200, "The file.", media_type, json!({})),
            Self::Json => of(200, "The result.", "application/json", json!({ "type": "object" })),
            Self::Tokens => of(200, "The tokens of a session.", "application/json", json!({ "type": "object" })),
            Self::Text => of(200, "The text.", "text/plain", text()),
            Self::Html => of(200, "The page.", "text/html", text()),
            Self::EventStream => of(200, "The events.", "text/event-stream", text()),
            Self::Export => {
                let content: Map<_, _> = ["text/csv", "application/x-ndjson", "application/vnd.apache.parquet"]
                    .map(|media_type| (media_type.to_owned(), json!({ "schema": {} })))
                    .into_iter()
                    .collect();
                let description = "The file. A connection that is aborted means that the rest cannot be had.";
                (200, json!({ "description": description, "content": content }))
            }
            Self::Status(status) => (*status, json!({ "description": "There is no body." })),
        }
    }
}

impl Answer {
    /// Whether a request is an import, which has an id.
    pub(super) fn is_of_import(&self) -> bool {
        match self {
            Self::Lines | Self::FileLines | Self::Batch | Self::Otlp => true,
            Self::Json
            | Self::Tokens
            | Self::OAuth
            | Self::Provider
            | Self::Text
            | Self::File(_)
            | Self::Html
            | Self::EventStream
            | Self::Export
            | Self::Status(_) => false,
        }
    }

    /// What an operation answers if it fails.
    pub(super) fn failure(&self) -> Value {
        match self {
            // The status of gRPC, in the encoding of the request.
            Self::Otlp => otlp_content(json!({ "type": "object", "required": ["code", "message"],
                "properties": { "code": { "type": "integer" }, "message": text() } })),
            Self::OAuth => json!({ "application/json": { "schema": { "type": "object", "required": ["error"],
                "properties": { "error": text(), "error_description": text() } } } }),
            Self::Provider => json!({ "application/json": { "schema": { "type": "object" } } }),
            Self::Html => json!({ "text/html": { "schema": text() }, "text/plain": { "schema": text() },
                                  "application/json": { "schema": reference("Error") } }),
            Self::Lines
            | Self::FileLines
            | Self::Batch
            | Self::Json
            | Self::Tokens
            | Self::Text
            | Self::File(_)
            | Self::EventStream
            | Self::Export
            | Self::Status(_) => json!({ "application/json": { "schema": reference("Error") } }),
        }
    }
}

/// A message of OpenTelemetry in both encodings.
fn otlp_content(schema: Value) -> Value {
    json!({ "application/json": { "schema": schema }, "application/x-protobuf": { "schema": {} } })
}

/// The schemas that others refer to.
pub(super) fn components() -> Value {
    let schemas = [lines(), answers()].into_iter().flatten();
    Value::Object(schemas.map(|(name, schema)| (name.to_owned(), schema)).collect())
}

/// The schemas of lines of Apex's own form.
fn lines() -> Vec<(&'static str, Value)> {
    let quantity = |meter: &Meter| json!({ "type": "integer", "minimum": 0, "description": meter.description() });
    let usage: Map<_, _> = Meter::ALL.iter().map(|meter| (meter.name().to_owned(), quantity(meter))).collect();
    let line = |name: &str, required: &[&str]| {
        let fields = ndjson::fields_of(name);
        let properties: Map<_, _> = fields.iter().map(|field| ((*field).to_owned(), line_field(name, field))).collect();
        json!({ "type": "object", "additionalProperties": false, "properties": properties, "required": required })
    };
    let of_type = ["CallLine", "TaskLine", "MemoryLine"].map(reference);
    vec![
        ("IngestLine", json!({ "oneOf": of_type })),
        ("CallLine", line("call", &["type"])),
        ("TaskLine", line("task", &["type", "id", "title", "agent"])),
        ("MemoryLine", line("memory", &["type", "id", "agent", "content"])),
        ("Usage", json!({ "type": "object", "additionalProperties": false, "properties": usage })),
    ]
}

/// The schemas of answers.
fn answers() -> Vec<(&'static str, Value)> {
    let object = |required: &[&str], properties: Value| json!({ "type": "object", "required": required, "properties": properties });
    let described = |kind: &str, description: &str| json!({ "type": kind, "description": description });
    let answer = json!({
        "line": described("integer", "The number of the line, from 1, counting blank lines."),
        "status": { "enum": LineStatus::ALL.map(LineStatus::as_str) },
        "id": { "type": "string", "format": "uuid" },
        "position": described("string", "The position of its last event, for `minPosition`."),
        "error": reference("Problem")
    });
    let problem = json!({ "code": text(), "message": text(), "retry_after_s": { "type": "integer" } });
    let file_line = json!({
        "event": { "enum": ["counted", "refused", "ignored", "ended"] },
        "number": { "type": "integer" },
        "reason": text(),
        "counts": { "type": "object" },
        "stopped": { "type": "object" },
        "unpriced": { "type": "array" }
    });
    let mut stream_error = object(&["error"], json!({ "error": reference("Problem") }));
    stream_error["description"] =
        "The rest of the body was not read. Lines without an answer are to be sent again.".into();
    let error = json!({ "message": text(), "extensions": { "type": "object", "properties": { "code": text() } } });
    let errors = json!({ "type": "array", "items": { "type": "object", "properties": error } });
    let batch = json!({ "successes": { "type": "array" }, "errors": { "type": "array" } });
    vec![
        ("LineAnswer", object(&["line", "status"], answer)),
        ("Problem", object(&["code", "message"], problem)),
        ("StreamError", stream_error),
        ("FileLine", object(&["event"], file_line)),
        ("BatchAnswer", object(&["successes", "errors"], batch)),
        ("Error", object(&["errors"], json!({ "errors": errors }))),
    ]
}

/// The schema of a field of a line.
fn line_field(line: &str, field: &str) -> Value {
    let described = |mut schema: Value, description: &str| {
        schema["description"] = description.into();
        schema
    };
    let time = json!({ "type": "string", "format": "date-time" });
    match field {
        "type" => json!({ "const": line }),
        "id" => described(text(), "What identifies it: a key that the client chooses, or a UUID, which is its id."),
        "agent" => described(text(), "The name of the agent, which is registered if it is new, or its UUID."),
        "task" => described(text(), "The id that the line of the task has."),
        "dag" => json!({ "type": "string", "format": "uuid" }),
        "kind" => json!({ "enum": CallKind::ALL.map(CallKind::as_str) }),
        "outcome" => json!({ "enum": Outcome::ALL.map(Outcome::as_str) }),
        "status" => json!({ "enum": TaskStatus::ALL.map(TaskStatus::as_str) }),
        "realm" => json!({ "enum": Realm::ALL.map(Realm::as_str) }),
        "usage" => reference("Usage"),
        "usage_assumed" => json!({ "type": "boolean" }),
        "tags" if line == "call" => json!({ "type": "object", "additionalProperties": text(), "maxProperties": 16 }),
        "tags" => json!({ "type": "array", "items": text(), "maxItems": 32 }),
        "latency_ms" | "first_token_ms" => json!({ "type": "integer", "minimum": 0 }),
        "reported_cost" => described(
            json!({ "type": ["string", "number"] }),
            "US dollars that the source states, as decimal digits. It is shown beside the charge.",
        ),
        "reported_cost_source" => json!({ "enum": CostSource::ALL.map(CostSource::as_str) }),
        "span" => json!({
            "type": "object", "required": ["trace_id", "span_id"],
            "properties": { "trace_id": text(), "span_id": text(), "parent_span_id": text() }
        }),
        field if field.ends_with("_at") => time,
        _ => text(),
    }
}

/// The names that a path may have in the place of `{format}`.
pub(super) fn formats() -> Vec<&'static str> {
    let formats = Format::ALL.iter().map(|format| format.as_str());
    std::iter::once("file").chain(formats).chain(response_providers()).collect()
}
