//! An append in the queue, and the reply that its caller waits for.

use crate::append::{Append, Appended, Chain, Chains};
use crate::error::AppendError;
use crate::event::{StreamKey, content_hash};
use crate::queue_capacity::QueuePermit;
use domain::TenantId;
use tokio::sync::oneshot;
use uuid::Uuid;

/// An append with everything that can be computed before it is batched.
pub(crate) struct QueuedAppend {
    pub(crate) append: Append,
    /// The keys of the append's streams, in the order of its streams.
    pub(crate) keys: Vec<StreamKey>,
    /// The metadata as JSON text.
    pub(crate) metadata: String,
    /// The content hashes of the events, in the order of the streams and their events.
    pub(crate) hashes: Vec<[u8; 32]>,
    /// The size of payload and metadata of all events.
    pub(crate) bytes: usize,
    pub(crate) chains: Chains,
    /// The caller's span.
    pub(crate) span: tracing::Span,
    /// Queue capacity, held until the append is in a batch.
    pub(crate) permit: Option<QueuePermit>,
    caller: oneshot::Sender<Result<Appended, AppendError>>,
}

impl QueuedAppend {
    /// Checks and encodes an append. This runs in the caller's task, because all callers share one appender.
    pub(crate) fn prepare(append: Append, chains: Chains) -> Result<(Self, PendingAppend), AppendError> {
        // Metadata is strings and ids, which always serialize; empty text would be refused by the database as no JSON.
        let metadata = serde_json::to_string(&append.metadata).unwrap_or_default();
        let bytes = append.check(metadata.len())?;
        let keys: Vec<_> = append.streams.iter().map(|stream| append.key(stream)).collect();
        let streams = keys.iter().zip(&append.streams);
        let events = streams.flat_map(|(key, stream)| stream.events.iter().map(move |event| (key, event)));
        let hashes = events
            .map(|(key, event)| {
                content_hash(key, event.event_id, event.name, event.schema_version, &event.payload, &metadata)
            })
            .collect();
        let (caller, result) = oneshot::channel();
        let span = tracing::Span::current();
        let queued = Self { append, keys, metadata, hashes, bytes, chains, span, permit: None, caller };
        Ok((queued, PendingAppend(result)))
    }

    /// The append's tenant and command id.
    pub(crate) fn command(&self) -> (TenantId, Uuid) {
        (self.append.tenant.clone(), self.append.metadata.command_id)
    }

    /// Records the result. Unless the append was written now, the chains of the streams that it would have changed are
    /// aborted, before any caller gets a reply.
    pub(crate) fn finish(self, result: Result<Appended, AppendError>) -> Reply {
        if !matches!(result, Ok(Appended::New { .. })) {
            self.chains.changed.iter().for_each(Chain::abort);
        }
        Reply { caller: self.caller, result }
    }
}

/// A result that was not sent to its caller yet.
pub(crate) struct Reply {
    caller: oneshot::Sender<Result<Appended, AppendError>>,
    result: Result<Appended, AppendError>,
}

impl Reply {
    pub(crate) fn send(self) {
        // A caller that stopped waiting can find the result by its command id.
        drop(self.caller.send(self.result));
        fail::fail_point!("log_append_handed_out");
    }
}

/// An append that was queued. Dropping it does not cancel the append.
#[derive(Debug)]
pub struct PendingAppend(oneshot::Receiver<Result<Appended, AppendError>>);

impl PendingAppend {
    /// Waits until the append is durable or has failed, and returns its result.
    ///
    /// # Errors
    /// [`AppendError`]; all variants but [`AppendError::Indeterminate`] mean that nothing was written.
    pub async fn result(self) -> Result<Appended, AppendError> {
        // No reply: the appender panicked with this append in flight, before or after the commit.
        self.0.await.unwrap_or_else(|_| Err(AppendError::outcome_unknown()))
    }
}
