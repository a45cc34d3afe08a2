//! A stub of providers of models: the APIs of OpenAI and Anthropic, plain and streamed, with what goes wrong with them.
//!
//! How a call is answered is said by the name of its user: `user` of OpenAI, `metadata.user_id` of Anthropic. What the responses
//! state is counted: the truth that Apex is compared with.

use crate::http::{HttpRequest, read_request};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// The tokens that each prompt has, and that a response has at most.
const PROMPT_TOKENS: u64 = 30;
const ANSWER_TOKENS: u64 = 40;
/// The tokens of each prompt that were read from the cache.
const CACHED_TOKENS: u64 = 10;

/// A request that the provider received.
#[derive(Debug, Clone)]
pub struct ProviderRequest {
    /// The path, with the query.
    pub path: String,
    /// The headers, by their names in small letters.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Value,
    /// The body as text.
    pub text: String,
}

/// What complete responses stated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProviderUsage {
    /// The number of calls.
    pub calls: u64,
    /// Tokens of prompts that were not read from the cache.
    pub input: u64,
    /// Tokens of prompts that were read from the cache.
    pub cached: u64,
    /// Tokens of responses.
    pub output: u64,
}

#[derive(Default)]
struct Shared {
    requests: Mutex<Vec<ProviderRequest>>,
    usage: Mutex<ProviderUsage>,
    /// Requests whose client hung up before their end.
    abandoned: AtomicU64,
    /// How often held requests were answered.
    released: watch::Sender<u64>,
}

/// A running stub, which ends when it is dropped.
pub struct ProviderStub {
    /// Its URL, without a path.
    pub address: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for ProviderStub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ProviderStub {
    /// Starts a stub on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared::default());
        let state = shared.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = state.clone();
                tokio::spawn(async move { drop(serve(stream, &state).await) });
            }
        });
        Self { address, shared, task }
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<ProviderRequest> {
        lock(&self.shared.requests).clone()
    }

    /// What complete responses stated so far.
    pub fn usage(&self) -> ProviderUsage {
        *lock(&self.shared.usage)
    }

    /// The requests whose client hung up before their end.
    pub fn abandoned(&self) -> u64 {
        self.shared.abandoned.load(Ordering::Relaxed)
    }

    /// Answers the requests that are held now.
    pub fn release(&self) {
        self.shared.released.send_modify(|count| *count += 1);
    }
}

/// Reads a request and answers it. The connection is closed after that.
async fn serve(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let Some(HttpRequest { path, headers, body: bytes }) = read_request(&mut reader).await? else { return Ok(()) };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    // Before others see the request, so that none is released before it waits.
    let mut released = shared.released.subscribe();
    lock(&shared.requests).push(ProviderRequest { path: path.clone(), headers, body: body.clone(), text });
    let answering = answer(shared, &path, &body, &mut writer, &mut released);
    let mut rest = [0; 1];
    tokio::select! {
        answered = answering => answered,
        // The client closes its side only if it hangs up.
        _ = reader.read(&mut rest) => {
            shared.abandoned.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }
}

/// How a call is to be answered.
fn behaviour(body: &Value) -> &str {
    body["user"].as_str().or_else(|| body["metadata"]["user_id"].as_str()).unwrap_or_default()
}

async fn answer(
    shared: &Shared,
    path: &str,
    body: &Value,
    writer: &mut OwnedWriteHalf,
    released: &mut watch::Receiver<u64>,
) -> std::io::Result<()> {
    let behaviour = behaviour(body);
    if behaviour == "hold" {
        drop(released.changed().await);
    }
    if behaviour == "break" {
        return Ok(());
    }
    if let Some(status) = behaviour.strip_prefix("status ") {
        let error = json!({ "message": "secret prompt", "type": "stub_error", "code": "stub_error" });
        let error = json!({ "type": "error", "error": error });
        // Of a redirect, too.
        return respond(writer, &format!("{status} Stub\r\nlocation: http://127.0.0.1:9/other"), &error).await;
    }
    let (events, mut whole) = match path.split('?').next().unwrap_or_default() {
        "/v1/chat/completions" => (chat_events(body), chat(body)),
        "/v1/responses" => (response_events(body), response(body)),
        "/v1/messages" => (message_events(body), message(body)),
        "/v1/embeddings" => (Vec::new(), embeddings(body)),
        "/v1/messages/count_tokens" => {
            return respond(writer, "200 Stub", &json!({ "input_tokens": PROMPT_TOKENS })).await;
        }
        _ => {
            return respond(
                writer,
                "404 Stub",
                &json!({ "error": { "message": "no such path", "type": "not_found" } }),
            )
            .await;
        }
    };
    let is_streamed = body["stream"] == true && !events.is_empty();
    if !is_streamed {
        if behaviour == "no usage" {
            whole.as_object_mut().unwrap().remove("usage");
            return respond(writer, "200 Stub", &whole).await;
        }
        count(shared, path, output_tokens(body));
        return respond(writer, "200 Stub", &whole).await;
    }
    stream(shared, path, body, events, (writer, released)).await
}

async fn stream(
    shared: &Shared,
    path: &str,
    body: &Value,
    events: Vec<String>,
    (writer, released): (&mut OwnedWriteHalf, &mut watch::Receiver<u64>),
) -> std::io::Result<()> {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    writer.write_all(head.as_bytes()).await?;
    let half = events.len() / 2;
    for (index, event) in events.iter().enumerate() {
        if index == half {
            match behaviour(body) {
                "hold stream" | "hold many" => drop(released.changed().await),
                "break stream" => return Ok(()),
                _ => {}
            }
        }
        // Events are cut anywhere.
        let (start, end) = event.split_at(event.len() / 2);
        for part in [start, end] {
            writer.write_all(format!("{:x}\r\n{part}\r\n", part.len()).as_bytes()).await?;
            writer.flush().await?;
        }
    }
    writer.write_all(b"0\r\n\r\n").await?;
    count(shared, path, output_tokens(body));
    Ok(())
}

/// Responds with a status, its reason, and what headers follow it.
async fn respond(writer: &mut OwnedWriteHalf, status: &str, body: &Value) -> std::io::Result<()> {
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nx-request-id: stub\r\nset-cookie: a=b\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    writer.write_all(head.as_bytes()).await?;
    writer.write_all(body.as_bytes()).await
}

fn count(shared: &Shared, path: &str, output: u64) {
    let mut usage = lock(&shared.usage);
    usage.calls += 1;
    if path.contains("embeddings") {
        usage.input += PROMPT_TOKENS;
    } else {
        usage.input += PROMPT_TOKENS - CACHED_TOKENS;
        usage.cached += CACHED_TOKENS;
        usage.output += output;
    }
}

/// A response is as long as its limit allows.
fn output_tokens(body: &Value) -> u64 {
    let limits = ["max_completion_tokens", "max_tokens", "max_output_tokens"].map(|name| body[name].as_u64());
    limits.into_iter().flatten().min().unwrap_or(ANSWER_TOKENS).min(ANSWER_TOKENS)
}

fn chat_usage(body: &Value) -> Value {
    let output = output_tokens(body);
    json!({ "prompt_tokens": PROMPT_TOKENS, "completion_tokens": output, "total_tokens": PROMPT_TOKENS + output,
            "prompt_tokens_details": { "cached_tokens": CACHED_TOKENS },
            "completion_tokens_details": { "reasoning_tokens": 0 } })
}

fn has_tools(body: &Value) -> bool {
    body["tools"].as_array().is_some_and(|tools| !tools.is_empty())
}

fn chat(body: &Value) -> Value {
    let call = json!({ "id": "call_1", "type": "function", "function": { "name": "weather", "arguments": "{}" } });
    let message = match has_tools(body) {
        true => json!({ "role": "assistant", "content": null, "tool_calls": [call] }),
        false if behaviour(body) == "long" => json!({ "role": "assistant", "content": "Sunny. ".repeat(50_000) }),
        false => json!({ "role": "assistant", "content": "Sunny." }),
    };
    let reason = if has_tools(body) { "tool_calls" } else { "stop" };
    let choice = json!({ "index": 0, "message": message, "finish_reason": reason, "logprobs": null });
    json!({ "id": chat_id(body), "object": "chat.completion", "created": 1_700_000_000, "model": body["model"],
            "choices": [choice], "usage": chat_usage(body) })
}

/// Some servers take the id of a response from the request.
fn chat_id(body: &Value) -> String {
    let stated = body["request_id"].as_str().map(str::to_owned);
    format!("chatcmpl-{}", stated.unwrap_or_else(|| Uuid::new_v4().simple().to_string()))
}

fn data(event: &Value) -> String {
    format!("data: {event}\n\n")
}

fn named(event: &Value) -> String {
    format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap())
}

fn chat_events(body: &Value) -> Vec<String> {
    let id = chat_id(body);
    let asks = body["stream_options"]["include_usage"] == true;
    let chunk = |choices: Value, usage: Value| {
        let mut chunk = json!({ "id": id, "object": "chat.completion.chunk", "created": 1_700_000_000,
                                "model": body["model"], "choices": choices });
        if asks {
            chunk["usage"] = usage;
        }
        data(&chunk)
    };
    let delta = |delta: Value, reason: Value| json!([{ "index": 0, "delta": delta, "finish_reason": reason }]);
    let texts = ["", "Sun", "ny", "."].map(|text| chunk(delta(json!({ "content": text }), Value::Null), Value::Null));
    let mut events: Vec<_> = texts.into();
    if behaviour(body) == "hold many" {
        events = vec![chunk(delta(json!({ "content": "a" }), Value::Null), Value::Null); 400];
    }
    events.push(chunk(delta(json!({}), "stop".into()), Value::Null));
    if asks {
        events.push(chunk(json!([]), chat_usage(body)));
    }
    events.push("data: [DONE]\n\n".to_owned());
    events
}

fn response(body: &Value) -> Value {
    let output = output_tokens(body);
    let usage = json!({ "input_tokens": PROMPT_TOKENS, "input_tokens_details": { "cached_tokens": CACHED_TOKENS },
                        "output_tokens": output, "output_tokens_details": { "reasoning_tokens": 0 },
                        "total_tokens": PROMPT_TOKENS + output });
    let part = json!({ "type": "output_text", "text": "Sunny.", "annotations": [] });
    let item =
        json!({ "id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part] });
    json!({ "id": format!("resp_{}", Uuid::new_v4().simple()), "object": "response", "created_at": 1_700_000_000,
            "model": body["model"], "status": "completed", "output": [item], "error": null, "incomplete_details": null,
            "instructions": null, "metadata": {}, "parallel_tool_calls": true, "tools": [], "tool_choice": "auto",
            "temperature": 1.0, "top_p": 1.0, "usage": usage })
}

fn response_events(body: &Value) -> Vec<String> {
    let whole = response(body);
    let mut begun = whole.clone();
    begun["status"] = "in_progress".into();
    begun["output"] = json!([]);
    begun["usage"] = Value::Null;
    let delta = json!({ "type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0,
                        "delta": "Sunny.", "logprobs": [], "sequence_number": 1 });
    let events = [
        json!({ "type": "response.created", "response": begun, "sequence_number": 0 }),
        delta,
        json!({ "type": "response.completed", "response": whole, "sequence_number": 2 }),
    ];
    events.iter().map(named).collect()
}

fn message_usage(body: &Value) -> Value {
    json!({ "input_tokens": PROMPT_TOKENS - CACHED_TOKENS, "cache_read_input_tokens": CACHED_TOKENS,
            "cache_creation_input_tokens": 0, "output_tokens": output_tokens(body) })
}

fn message(body: &Value) -> Value {
    let content = match has_tools(body) {
        true => json!({ "type": "tool_use", "id": "toolu_1", "name": "weather", "input": {} }),
        false => json!({ "type": "text", "text": "Sunny." }),
    };
    let reason = if has_tools(body) { "tool_use" } else { "end_turn" };
    json!({ "id": format!("msg_{}", Uuid::new_v4().simple()), "type": "message", "role": "assistant",
            "model": body["model"], "content": [content], "stop_reason": reason, "stop_sequence": null,
            "usage": message_usage(body) })
}

fn message_events(body: &Value) -> Vec<String> {
    let mut start = message(body);
    start["content"] = json!([]);
    start["stop_reason"] = Value::Null;
    start["usage"]["output_tokens"] = 1.into();
    let delta = json!({ "type": "text_delta", "text": "Sunny." });
    let stop = json!({ "stop_reason": "end_turn", "stop_sequence": null });
    let events = [
        json!({ "type": "message_start", "message": start }),
        json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
        json!({ "type": "ping" }),
        json!({ "type": "content_block_delta", "index": 0, "delta": delta }),
        json!({ "type": "content_block_stop", "index": 0 }),
        json!({ "type": "message_delta", "delta": stop, "usage": { "output_tokens": output_tokens(body) } }),
        json!({ "type": "message_stop" }),
    ];
    events.iter().map(named).collect()
}

fn embeddings(body: &Value) -> Value {
    let embedding = json!({ "object": "embedding", "index": 0, "embedding": [0.5, -0.25] });
    json!({ "object": "list", "model": body["model"], "data": [embedding],
            "usage": { "prompt_tokens": PROMPT_TOKENS, "total_tokens": PROMPT_TOKENS } })
}
