//! Streams: events go to the client as they arrive, and are read on the way. The last event waits until the call is settled: a client
//! that takes it for the end, and calls again, finds the budget as it is.

use crate::answer::Broken;
use crate::config::GatewayLimits;
use crate::events::{Splitter, data_of};
use crate::shared::OpenCall;
use crate::top_up::TopUp;
use bytes::Bytes;
use ingest::StreamedResponse;
use reqwest::Response;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

/// The parts of a stream that wait for a slow client.
pub(crate) const MAX_WAITING_PARTS: usize = 16;

/// How long what follows the last event is waited for: the end of the response, at which a connection can be used again.
const TAIL_TIMEOUT: Duration = Duration::from_secs(1);

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamEnd {
    /// The upstream has sent all of it.
    Whole,
    /// The client hung up, or read nothing for too long.
    HungUp,
    /// The upstream broke it off, or sent what is too long.
    Broken,
    /// The upstream took too long.
    TimedOut,
    /// All calls together hold too many bytes.
    NoRoom,
}

/// A stream that is passed on.
pub(crate) struct Passing {
    pub(crate) sender: mpsc::Sender<Result<Bytes, Broken>>,
    /// Whether the chunk with the usage is not for the client, which did not ask for it.
    pub(crate) hides_usage: bool,
    pub(crate) deadline: Instant,
    pub(crate) idle_timeout: Duration,
    splitter: Splitter,
    pub(crate) read: StreamedResponse,
    /// When the first event arrived.
    pub(crate) first_at: Option<Instant>,
    /// What extends the reservation; none if its output has a limit.
    pub(crate) top_up: Option<TopUp>,
    open: Arc<OpenCall>,
    /// The lengths of the parts that were sent last, some of which the client has not taken.
    waiting: VecDeque<usize>,
    /// The last event, and what follows it.
    held: Vec<Bytes>,
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    choices: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
}

/// Whether SDKs take an event for the end of the stream.
fn is_last(data: &str) -> bool {
    let data = data.trim();
    let is_kind =
        |kind: &str| matches!(kind, "message_stop" | "response.completed" | "response.incomplete" | "response.failed");
    data == "[DONE]"
        || serde_json::from_str::<Kind<'_>>(data).is_ok_and(|event| event.kind.is_some_and(|kind| is_kind(&kind)))
}

/// Whether the data of an event is the chunk of a chat that has the usage and nothing else.
fn is_usage_alone(data: &str) -> bool {
    let chunk = serde_json::from_str::<Chunk<'_>>(data);
    chunk.is_ok_and(|chunk| {
        chunk.choices.is_some_and(|choices| choices.is_empty())
            && chunk.usage.is_some_and(|usage| usage.get().starts_with('{'))
    })
}

impl Passing {
    pub(crate) fn new(
        sender: mpsc::Sender<Result<Bytes, Broken>>,
        hides_usage: bool,
        deadline: Instant,
        limits: &GatewayLimits,
        open: Arc<OpenCall>,
    ) -> Self {
        Self {
            sender,
            hides_usage,
            deadline,
            idle_timeout: limits.idle_timeout,
            splitter: Splitter::new(limits.max_response_bytes),
            read: StreamedResponse::default(),
            first_at: None,
            top_up: None,
            open,
            waiting: VecDeque::new(),
            held: Vec::new(),
        }
    }

    /// Passes the stream on until its end. The last event and the end are not told to the client yet.
    pub(crate) async fn run(&mut self, response: &mut Response) -> StreamEnd {
        let end = self.run_to_end(response).await;
        match end {
            // The response is whole, whatever happens to the connection.
            StreamEnd::Broken | StreamEnd::TimedOut if !self.held.is_empty() => StreamEnd::Whole,
            StreamEnd::Whole | StreamEnd::HungUp | StreamEnd::Broken | StreamEnd::TimedOut | StreamEnd::NoRoom => end,
        }
    }

    async fn run_to_end(&mut self, response: &mut Response) -> StreamEnd {
        let mut tail = None;
        loop {
            if !self.held.is_empty() {
                tail.get_or_insert_with(|| Instant::now() + TAIL_TIMEOUT);
            }
            let limit = self.deadline.min(tail.unwrap_or_else(|| Instant::now() + self.idle_timeout));
            let received = tokio::select! {
                biased;
                () = self.sender.closed() => return StreamEnd::HungUp,
                received = timeout_at(limit, response.chunk()) => received,
            };
            let events = match received {
                Err(_) => return StreamEnd::TimedOut,
                Ok(Err(_)) => return StreamEnd::Broken,
                Ok(Ok(None)) => {
                    let rest = self.splitter.rest();
                    return self.pass_all(vec![rest]).await.err().unwrap_or(StreamEnd::Whole);
                }
                Ok(Ok(Some(bytes))) => match self.splitter.push(&bytes) {
                    Ok(events) => events,
                    Err(_) => return StreamEnd::Broken,
                },
            };
            if !self.covers(0) {
                return StreamEnd::NoRoom;
            }
            if let Err(end) = self.pass_all(events).await {
                return end;
            }
        }
    }

    /// Passes events on, or says why not. Those after one that was not passed on are read, since they may have the usage.
    async fn pass_all(&mut self, events: Vec<Bytes>) -> Result<(), StreamEnd> {
        let mut passed = Ok(());
        for event in events {
            if passed.is_ok() {
                passed = self.pass(event).await;
            } else {
                self.read.add(&data_of(&event));
            }
        }
        passed
    }

    /// Reads an event and passes it on.
    async fn pass(&mut self, event: Bytes) -> Result<(), StreamEnd> {
        if event.is_empty() {
            return Ok(());
        }
        self.first_at.get_or_insert_with(Instant::now);
        let data = data_of(&event);
        self.read.add(&data);
        if let Some(top_up) = &mut self.top_up {
            top_up.note(&data);
        }
        if self.hides_usage && is_usage_alone(&data) {
            return Ok(());
        }
        if !self.covers(event.len()) {
            return Err(StreamEnd::NoRoom);
        }
        if !self.held.is_empty() || is_last(&data) {
            self.held.push(event);
            return Ok(());
        }
        self.send(event, self.deadline).await
    }

    /// Whether there is room for an event beside what is held of the stream already.
    fn covers(&mut self, event_bytes: usize) -> bool {
        // Those before them were taken.
        let in_queue = self.sender.max_capacity() - self.sender.capacity();
        while self.waiting.len() > in_queue {
            self.waiting.pop_front();
        }
        let held: usize = self.held.iter().map(Bytes::len).chain(self.waiting.iter().copied()).sum();
        self.open.covers(held.saturating_add(self.splitter.buffered()).saturating_add(event_bytes))
    }

    async fn send(&mut self, event: Bytes, deadline: Instant) -> Result<(), StreamEnd> {
        let limit = deadline.min(Instant::now() + self.idle_timeout);
        self.waiting.push_back(event.len());
        match timeout_at(limit, self.sender.send(Ok(event))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(StreamEnd::HungUp),
        }
    }

    /// Passes the last event on, and what follows it, once the call is settled.
    pub(crate) async fn finish(mut self) {
        let deadline = Instant::now() + self.idle_timeout;
        for event in std::mem::take(&mut self.held) {
            // A client that hung up need not be told.
            if self.send(event, deadline).await.is_err() {
                return;
            }
        }
    }

    /// Tells the client that the stream was broken off.
    pub(crate) async fn break_off(&self) {
        // A client that hung up need not be told.
        drop(timeout(self.idle_timeout, self.sender.send(Err(Broken))).await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::tests::open_call;

    fn passing(max_bytes: u64) -> (Passing, mpsc::Receiver<Result<Bytes, Broken>>) {
        let (sender, parts) = mpsc::channel(MAX_WAITING_PARTS);
        let (limits, open) = (GatewayLimits::default(), Arc::new(open_call(max_bytes)));
        (Passing::new(sender, false, Instant::now() + limits.call_timeout, &limits, open), parts)
    }

    #[tokio::test]
    async fn the_last_event_is_passed_on_once_the_call_is_settled() {
        for (last, after) in [
            ("[DONE]", None),
            (r#"{"type":"message_stop"}"#, None),
            (r#"{"type":"response.completed"}"#, Some("[DONE]")),
        ] {
            let (mut passing, mut parts) = passing(0);
            let event = |data: &str| Bytes::from(format!("data: {data}\n\n"));
            let first = event(r#"{"type":"content_block_delta","delta":{"text":"message_stop [DONE]"}}"#);
            let events: Vec<_> = [first.clone(), event(last)].into_iter().chain(after.map(event)).collect();
            assert_eq!(passing.pass_all(events.clone()).await, Ok(()));
            assert_eq!(parts.try_recv().unwrap().unwrap(), first);
            assert!(parts.try_recv().is_err(), "{last} waits");
            passing.finish().await;
            for event in &events[1..] {
                assert_eq!(parts.recv().await.unwrap().as_ref().unwrap(), event);
            }
            assert!(parts.recv().await.is_none());
        }
    }

    #[tokio::test]
    async fn events_that_a_slow_client_does_not_take_are_counted() {
        let (mut passing, mut parts) = passing(0);
        let event = || Bytes::from(vec![b'a'; 30_000]);
        assert_eq!(passing.pass_all(vec![event(), event()]).await, Ok(()));
        assert_eq!(passing.pass_all(vec![event()]).await, Err(StreamEnd::NoRoom));
        drop(parts.recv().await.unwrap());
        assert_eq!(passing.pass_all(vec![event()]).await, Ok(()), "one was taken");
    }

    #[tokio::test]
    async fn the_usage_is_read_that_arrives_with_what_the_client_does_not_take() {
        let (mut passing, parts) = passing(0);
        drop(parts);
        let usage = r#"{"id":"c","choices":[],"usage":{"prompt_tokens":2,"completion_tokens":7}}"#;
        let events = [r#"{"id":"c","choices":[{"index":0,"delta":{"content":"a"}}]}"#, usage];
        let events = events.map(|data| Bytes::from(format!("data: {data}\n\n")));
        assert_eq!(passing.pass_all(events.into()).await, Err(StreamEnd::HungUp));
        let passed_on = ingest::PassedOn {
            provider: domain::Name::new("openai").unwrap(),
            model: domain::Name::new("m").unwrap(),
            request_id: None,
            started_at: chrono::Utc::now(),
            key: "one".to_owned(),
        };
        assert!(passed_on.read_stream(passing.read).unwrap().has_usage);
    }

    #[test]
    fn only_the_chunk_that_has_nothing_but_the_usage_is_hidden() {
        assert!(is_usage_alone(r#"{"id":"c","choices":[],"usage":{"prompt_tokens":1}}"#));
        for other in [
            r#"{"id":"c","choices":[{"index":0}],"usage":{"prompt_tokens":1}}"#,
            r#"{"id":"c","choices":[],"usage":null}"#,
            r#"{"id":"c","choices":[],"prompt_filter_results":[]}"#,
            r#"{"usage":{"prompt_tokens":1}}"#,
            "[DONE]",
            "",
        ] {
            assert!(!is_usage_alone(other), "{other}");
        }
    }
}
