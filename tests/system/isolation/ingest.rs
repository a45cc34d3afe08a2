//! Routes by which data comes in: what is sent to them names a tenant and its objects in every way that a route might read,
//! and comes into the tenant of the credential nevertheless.

use super::actors::Actor;
use super::rows::{rows_of, wait_for_read_models};
use super::world::World;
use super::{Matrix, routes};
use crate::otlp::{chat, span, with};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// What is sent to a route.
pub(super) struct Body {
    pub(super) content_type: &'static str,
    pub(super) bytes: Vec<u8>,
}

/// Makes a body that a route accepts, with values of a tenant in it. Each call makes one of a record that was not sent before.
pub(super) type MakeBody = fn(&World) -> Body;

/// Texts of a tenant that an export has, beside those of its objects. They are searched for.
pub(super) const TEXTS: [&str; 2] = ["service", "exportuser"];

fn json_body(body: &Value) -> Body {
    Body { content_type: "application/json", bytes: body.to_string().into_bytes() }
}

/// Attributes that name a tenant.
fn naming(world: &World) -> Value {
    let named = ["tenant", "tenant_id", "tenant.id", "apex.tenant", "apex.tenant_id", "service.namespace"];
    named.into_iter().map(|name| (name.to_owned(), json!(world.tenant))).collect::<Map<_, _>>().into()
}

/// Attributes of a resource.
fn resource(world: &World) -> Value {
    with(naming(world), &json!({ "service.name": format!("{}-service", world.mark) }))
}

/// Attributes of a call that name objects of a tenant.
fn call(world: &World) -> Value {
    let text = |what: &str| json!(format!("{}-{what}", world.mark));
    let objects = json!({
        "user.id": text("exportuser"), "session.id": text("exportsession"), "gen_ai.conversation.id": text("conversation"),
        "gen_ai.response.id": text("responseid"), "apex.agent_id": world.ids.get("Agent").map(|id| &id.uuid),
        "apex.task_id": world.ids.get("Task").map(|id| &id.uuid),
    });
    with(with(chat("gpt-4o", 10, 1), &naming(world)), &objects)
}

/// An export of one trace, and the id of the trace.
pub(super) fn trace(world: &World) -> (Body, String) {
    let trace = Uuid::new_v4().simple().to_string();
    let mut span = span(&trace[..16], "", &call(world));
    span["traceId"] = json!(trace);
    let resource = json!({ "attributes": attributes(&resource(world)) });
    let scope = json!({ "scope": { "name": "test" }, "spans": [span] });
    (json_body(&json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [scope] }] })), trace)
}

/// Attributes in JSON.
fn attributes(attributes: &Value) -> Value {
    span("", "", attributes)["attributes"].clone()
}

pub(super) fn otlp_traces(world: &World) -> Body {
    trace(world).0
}

pub(super) fn otlp_logs(world: &World) -> Body {
    let record = json!({ "timeUnixNano": "1773136800000000000", "body": { "stringValue": "claude_code.api_request" },
                         "attributes": attributes(&request_event(world)) });
    let resource = json!({ "attributes": attributes(&resource(world)) });
    json_body(&json!({ "resourceLogs": [{ "resource": resource, "scopeLogs": [{ "logRecords": [record] }] }] }))
}

/// The attributes of an event of a coding agent, which is a call.
fn request_event(world: &World) -> Value {
    let event = json!({ "event.name": "api_request", "session.id": Uuid::new_v4().to_string(), "model": "gpt-4o",
                        "user.id": format!("{}-exportuser", world.mark), "input_tokens": 4, "output_tokens": 10 });
    with(event, &naming(world))
}

pub(super) fn otlp_metrics(world: &World) -> Body {
    let resource = json!({ "attributes": attributes(&resource(world)) });
    let metric = json!({ "name": "http.client.duration", "histogram": { "dataPoints": [{ "count": "2", "sum": 3 }] } });
    json_body(&json!({ "resourceMetrics": [{ "resource": resource, "scopeMetrics": [{ "metrics": [metric] }] }] }))
}

/// Messages of protobuf.
mod protobuf {
    use serde_json::Value;

    pub(super) fn varint(mut number: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while number >= 0x80 {
            bytes.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        bytes.push((number & 0x7f) as u8);
        bytes
    }

    /// A field that is text, bytes or a message.
    pub(super) fn field(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag << 3 | 2][..], &varint(content.len() as u64), content].concat()
    }

    /// A field of 64 bits.
    pub(super) fn fixed(tag: u8, number: u64) -> Vec<u8> {
        [&[tag << 3 | 1][..], &number.to_le_bytes()].concat()
    }

    /// Attributes, each in a field.
    pub(super) fn attributes(tag: u8, attributes: &Value) -> Vec<u8> {
        let attribute = |(key, value): (&String, &Value)| {
            let value = match value.as_u64() {
                Some(number) => [vec![3 << 3], varint(number)].concat(),
                None => field(1, value.as_str().unwrap_or_default().as_bytes()),
            };
            field(tag, &[field(1, key.as_bytes()), field(2, &value)].concat())
        };
        attributes.as_object().unwrap().iter().flat_map(attribute).collect()
    }
}

/// A call over gRPC of what one resource exports.
fn grpc(world: &World, exported: &[u8]) -> Body {
    use protobuf::{attributes, field};
    let resource = field(1, &attributes(1, &resource(world)));
    let message = field(1, &[resource, field(2, exported)].concat());
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    Body { content_type: "application/grpc", bytes: [&[0][..], &length, &message].concat() }
}

pub(super) fn grpc_traces(world: &World) -> Body {
    use protobuf::{attributes, field, fixed};
    let (trace, time) = (Uuid::new_v4().into_bytes(), 1_773_136_800_000_000_000);
    let parts = [
        field(1, &trace),
        field(2, &trace[..8]),
        field(5, b"chat"),
        vec![6 << 3, 3],
        fixed(7, time),
        fixed(8, time + 1_000_000_000),
        attributes(9, &call(world)),
    ];
    grpc(world, &field(2, &parts.concat()))
}

pub(super) fn grpc_logs(world: &World) -> Body {
    use protobuf::{attributes, field, fixed};
    let body = field(5, &field(1, b"claude_code.api_request"));
    let parts = [fixed(1, 1_773_136_800_000_000_000), body, attributes(6, &request_event(world))];
    grpc(world, &field(2, &parts.concat()))
}

pub(super) fn grpc_metrics(world: &World) -> Body {
    use protobuf::field;
    grpc(world, &field(2, &field(1, b"http.client.duration")))
}

/// Lines that state a task, a call and a memory. They name objects of the tenant, and have ids of their own, so that what
/// commands are given to later is not created by them.
pub(super) fn lines(world: &World) -> Body {
    let text = |what: &str| json!(format!("{}-{what}", world.mark));
    let uuid = |kind| world.ids.get(kind).map(|id: &super::world::Id| &id.uuid);
    let (id, agent) = (Uuid::new_v4().to_string(), uuid("Agent"));
    let lines = [
        json!({ "type": "task", "id": id, "title": text("service"), "agent": agent, "dag": uuid("Dag"), "status": "running" }),
        json!({ "type": "call", "id": id, "agent": agent, "task": uuid("Task"), "dag": uuid("Dag"), "model": "gpt-4o",
                "user": text("exportuser"), "team": text("service"), "key": text("service"), "usage": { "input": 10 },
                "conversation": text("conversation"), "tags": naming(world) }),
        json!({ "type": "call", "id": Uuid::new_v4().to_string(), "agent": text("service"), "tool": "search" }),
        json!({ "type": "memory", "id": id, "agent": agent, "content": text("service"), "tags": [text("service")] }),
    ];
    let bytes = lines.iter().map(|line| format!("{line}\n")).collect::<String>().into_bytes();
    Body { content_type: "application/x-ndjson", bytes }
}

/// A payload of the callbacks of LiteLLM.
pub(super) fn litellm(world: &World) -> Body {
    let text = |what: &str| json!(format!("{}-{what}", world.mark));
    let metadata = json!({ "user_api_key_alias": text("service"), "user_api_key_team_alias": text("service"),
                           "user_api_key_user_id": text("exportuser"), "requester_metadata": naming(world) });
    json_body(&json!({
        "id": format!("chatcmpl-{}", Uuid::new_v4()), "trace_id": text("conversation"), "call_type": "acompletion",
        "status": "success", "custom_llm_provider": "openai", "model": "gpt-4o", "startTime": 1_773_136_800.0,
        "endTime": 1_773_136_801.0, "prompt_tokens": 10, "completion_tokens": 1, "response_cost": 0.1,
        "end_user": text("exportuser"), "request_tags": [text("service")], "metadata": metadata,
    }))
}

/// A batch of an SDK of Langfuse, of one generation.
pub(super) fn langfuse(world: &World) -> Body {
    let text = |what: &str| json!(format!("{}-{what}", world.mark));
    let (trace, id) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
    let event = |kind: &str, body: Value| json!({ "id": Uuid::new_v4().to_string(), "type": kind, "timestamp": "2026-03-10T10:00:02.000Z", "body": body });
    let created = json!({ "id": trace, "name": text("service"), "sessionId": text("conversation"),
                          "userId": text("exportuser"), "metadata": naming(world) });
    let generation = json!({ "id": id, "traceId": trace, "model": "gpt-4o", "startTime": "2026-03-10T10:00:01.000Z",
                             "metadata": naming(world), "usage": { "input": 10, "output": 1, "unit": "TOKENS" } });
    json_body(&json!({ "batch": [event("trace-create", created), event("generation-create", generation)],
                       "metadata": naming(world) }))
}

/// What a client says that sends every ingest route something about a tenant: it may be told that later.
pub(super) fn told(about: &World) -> String {
    let bodies = routes::ingest().map(|(_, _, make)| String::from_utf8_lossy(&make(about).bytes).into_owned());
    bodies.collect()
}

/// Sends every ingest route, as each actor and as nobody, what names the own tenant and what names the other one. Actors that
/// may report calls are answered; nothing of the other tenant is in any answer, and none of its rows changes.
pub(super) async fn check(matrix: &Matrix, actors: &[Actor]) -> Vec<String> {
    let mut problems = Vec::new();
    let (own, foreign) = (&matrix.own, &matrix.foreign);
    let database = &matrix.installation.database;
    wait_for_read_models(database).await;
    let own_before = rows_of(database, &own.tenant).await;
    for (route, taken, make) in routes::ingest() {
        let path = route.replace("{format}", "litellm");
        let before = rows_of(database, &foreign.tenant).await;
        for actor in actors.iter().map(Some).chain([None]) {
            let credential = actor.map(|actor| actor.credential.as_str());
            for world in [own, foreign] {
                let body = make(world);
                let headers =
                    ["x-apex-tenant", "x-tenant", "x-tenant-id", "x-scope-orgid"].map(|name| (name, &*world.tenant));
                let answer = matrix.client.send_body(credential, &path, &body, &headers).await;
                let sent = String::from_utf8_lossy(&body.bytes).into_owned();
                let name = format!("{} {route} about {}", actor.map_or("nobody", |actor| &actor.name), world.tenant);
                let found = foreign.canaries.found_in(&answer.text, &sent);
                if !found.is_empty() {
                    problems.push(format!("{name} shows {found:?}"));
                }
                let may = actor.is_some_and(|actor| actor.may(taken));
                let may_be_refused = actor.is_some_and(Actor::is_limited_to_an_agent);
                if answer.is_accepted() != may && !(may && may_be_refused && answer.is_forbidden()) {
                    let answered = if may { "refused" } else { "accepted" };
                    problems.push(format!("{name} is {answered}: {} {}", answer.status, answer.text));
                }
            }
        }
        let changed = rows_of(database, &foreign.tenant).await.differences(&before);
        if !changed.is_empty() {
            problems.push(format!("{route} changed another tenant: {changed:?}"));
        }
    }
    let changed = rows_of(database, &own.tenant).await.differences(&own_before);
    assert!(changed.iter().any(|table| table.contains("events")), "nothing that was sent came in: {changed:?}");
    problems
}

#[test]
fn numbers_and_fields_are_written_as_protobuf_does() {
    assert_eq!(protobuf::varint(300), [0xac, 2]);
    assert_eq!(protobuf::field(2, b"tea"), [0x12, 3, b't', b'e', b'a']);
    assert_eq!(protobuf::fixed(1, 1), [9, 1, 0, 0, 0, 0, 0, 0, 0]);
}
