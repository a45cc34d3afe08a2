//! The prompts, responses and other texts that spans carry, where they are kept.

use super::{SpanKey, span_column, trace_column};
use domain::call::TraceId;
use domain::permissions::{Access, ReadContents};
use domain::span_contents::{MAX_CONTENTS, StoredContents};
use sqlx::FromRow;
use std::collections::HashMap;
use streams::{DatabaseError, TenantReads};

/// The texts of a span, with the number of the span in the list, from 1.
#[derive(FromRow)]
struct OfSpan {
    place: i64,
    contents: String,
}

/// The texts of spans: at most [`MAX_CONTENTS`] of each, with those of its records. Those of which none are kept are missing.
/// Whether the reader may see those of the agents that the spans belong to is for the caller to check: which agent that is
/// follows from the spans around them.
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn contents_of(
    reads: &TenantReads,
    access: &Access<ReadContents>,
    spans: &[(TraceId, SpanKey)],
) -> Result<HashMap<(TraceId, SpanKey), StoredContents>, DatabaseError> {
    let rows: Vec<OfSpan> = sqlx::query_as(include_str!("contents.sql"))
        .bind(access.tenant().as_str())
        .bind(spans.iter().map(|(trace_id, _)| trace_column(*trace_id)).collect::<Vec<_>>())
        .bind(spans.iter().map(|(_, key)| key.sent_by).collect::<Vec<_>>())
        .bind(spans.iter().map(|(_, key)| span_column(key.span_id)).collect::<Vec<_>>())
        .fetch_all(&mut *reads.acquire(access).await?)
        .await?;
    let mut found: HashMap<_, StoredContents> = HashMap::new();
    for OfSpan { place, contents } in rows {
        let at = usize::try_from(place).ok().and_then(|place| place.checked_sub(1));
        let key = at.and_then(|at| spans.get(at));
        if let (Some(key), Some(more)) = (key, StoredContents::parse(&contents)) {
            add(found.entry(*key).or_default(), more);
        }
    }
    Ok(found)
}

/// Adds the texts of a record to those of its span, as far as it has not too many. The others are counted.
fn add(all: &mut StoredContents, mut more: StoredContents) {
    let room = MAX_CONTENTS.saturating_sub(all.contents.len());
    let beyond = more.contents.len().saturating_sub(room) as u64;
    more.contents.truncate(room);
    all.contents.extend(more.contents);
    all.left_out = all.left_out.saturating_add(more.left_out).saturating_add(beyond);
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::span_contents::{ContentSource, SpanContent};

    fn texts(count: usize, left_out: u64) -> StoredContents {
        let text = |number: usize| SpanContent {
            source: ContentSource::LogRecord,
            event: Some("gen_ai.choice".to_owned()),
            time_ns: None,
            name: number.to_string(),
            text: "x".to_owned(),
            total_bytes: 1,
        };
        StoredContents { contents: (0..count).map(text).collect(), left_out }
    }

    #[test]
    fn a_span_with_many_records_has_no_more_texts_than_one_without() {
        let mut all = StoredContents::default();
        for (count, left_out) in [(100, 1), (MAX_CONTENTS, 0), (5, 2)] {
            add(&mut all, texts(count, left_out));
        }
        assert_eq!((all.contents.len(), all.left_out), (MAX_CONTENTS, 100 + 5 + 1 + 2));
        // Those that come first stay, in their order.
        let last = all.contents.last().map(|content| content.name.as_str());
        assert_eq!(last, Some(&*(MAX_CONTENTS - 101).to_string()));
    }
}
