//! The prompts, responses and other texts that spans carry, where they are kept.

use super::errors;
use super::loaders::{self, Rows};
use super::scalars::{Long, Timestamp};
use super::services::authorise_content;
use async_graphql::dataloader::Loader;
use async_graphql::{Context, Enum, Result, SimpleObject};
use chrono::{DateTime, Utc};
use domain::AgentId;
use domain::call::TraceId;
use domain::permissions::ReadContents;
use domain::span_contents::{SpanContent, StoredContents};
use projections::DatabaseError;
use projections::spans::{self, SpanKey};
use std::collections::HashMap;
use std::sync::Arc;

/// Where a text of a span comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::span_contents::ContentSource")]
pub(crate) enum SpanTextSource {
    /// An attribute of the span.
    Attribute,
    /// An event of the span.
    SpanEvent,
    /// A record of a log that names the span.
    LogRecord,
}

/// A text that a span carries.
#[derive(Debug, SimpleObject)]
pub(crate) struct SpanText {
    /// Where it comes from.
    source: SpanTextSource,
    /// Name of the event that it comes from. Null for an attribute of the span, and for a record that names no event.
    event: Option<String>,
    /// Time of the event, if it says one.
    occurred_at: Option<Timestamp>,
    /// Name of the attribute, such as `gen_ai.input.messages`.
    name: String,
    /// Text; of a value that is no text, its JSON. It may be cut.
    text: String,
    /// Number of bytes of the whole text.
    total_bytes: Long,
    /// Whether the text is not whole: the texts of a span, or of a record, have at most 65536 bytes together, and the longest ones
    /// are cut.
    is_cut: bool,
}

/// The texts that a span carries.
#[derive(Debug, SimpleObject)]
pub(crate) struct SpanContents {
    /// Texts, at most 256: those of the span, in its order, then those of records of logs, in the order of their times.
    texts: Vec<SpanText>,
    /// Number of texts that were left out, because the span has more than 256 with those of its records of logs.
    left_out_count: Long,
}

impl From<SpanContent> for SpanText {
    fn from(content: SpanContent) -> Self {
        let is_cut = content.is_cut();
        let SpanContent { source, event, time_ns, name, text, total_bytes } = content;
        Self {
            source: source.into(),
            event,
            occurred_at: time_ns.map(|ns| DateTime::<Utc>::from_timestamp_nanos(ns).into()),
            name,
            text,
            total_bytes: Long::from_unsigned(total_bytes),
            is_cut,
        }
    }
}

impl From<StoredContents> for SpanContents {
    fn from(stored: StoredContents) -> Self {
        Self {
            texts: stored.contents.into_iter().map(Into::into).collect(),
            left_out_count: Long::from_unsigned(stored.left_out),
        }
    }
}

/// Which span the texts are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct ContentsKey(TraceId, SpanKey);

/// The texts of a span that belongs to an agent, and notes that they were read. None if none are kept.
///
/// # Errors
/// `FORBIDDEN` if the principal of the request may not read them.
pub(super) async fn of_span(
    ctx: &Context<'_>,
    (trace_id, key): (TraceId, SpanKey),
    agent: Option<AgentId>,
) -> Result<Option<SpanContents>> {
    authorise_content(ctx, |reader| Some(reader) == agent)?;
    let loader = loaders::of::<ReadContents>(ctx)?;
    let stored = loader.load_one(ContentsKey(trace_id, key)).await.map_err(errors::loader)?;
    Ok(stored.map(Into::into))
}

impl Loader<ContentsKey> for Rows {
    type Value = StoredContents;
    type Error = Arc<DatabaseError>;

    async fn load(&self, keys: &[ContentsKey]) -> Result<HashMap<ContentsKey, StoredContents>, Self::Error> {
        let Some(access) = self.access() else { return Ok(HashMap::new()) };
        let keys: Vec<_> = keys.iter().map(|ContentsKey(trace_id, key)| (*trace_id, *key)).collect();
        let found = spans::contents_of(&self.reads, &access, &keys).await?;
        Ok(found.into_iter().map(|((trace_id, key), stored)| (ContentsKey(trace_id, key), stored)).collect())
    }
}
