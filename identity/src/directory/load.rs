//! Folding what is in the log at the start of a process. The streams are found by an index of their own, so that it takes
//! as long as there are identities, however many other events there are.

use super::state::State;
use crate::error::IdentityError;
use domain::TenantId;
use sqlx::postgres::PgPool;
use streams::{Log, Position, ReadError, RecordedEvent, StreamKey, StreamTail, Version};
use uuid::Uuid;

/// The number of streams that are read at once.
const PAGE_STREAMS: i64 = 200;
/// The number of events of a stream that are read with those of other streams. More take reads of their own.
const STREAM_EVENTS: usize = 20;
/// The number of events that a read of one stream returns.
const PAGE_EVENTS: usize = 1000;

/// Folds the events of all streams about identities, up to the head.
pub(super) async fn load(pool: &PgPool, log: &Log, head: Position) -> Result<State, IdentityError> {
    let mut state = State::default();
    let mut last = (String::new(), String::new(), Uuid::nil());
    loop {
        let page = streams_after(pool, &last).await?;
        let Some(end) = page.last() else { break };
        last = (end.category.to_string(), end.tenant.to_string(), end.id);
        let asked: Vec<_> = page.iter().map(|key| (key, Version::ZERO)).collect();
        for (key, tail) in page.iter().zip(log.read_tails(&asked, STREAM_EVENTS).await?) {
            let events = if is_complete(&tail) { Some(tail.events) } else { whole_stream(log, key).await? };
            let Some(events) = events else {
                state.set_unreadable(key);
                continue;
            };
            // Later ones are applied in the order of the log.
            events.iter().filter(|event| event.position <= head).for_each(|event| state.apply(event));
        }
    }
    Ok(state)
}

/// The streams after one of them, in the order of the index. Its condition is that of the index.
async fn streams_after(pool: &PgPool, last: &(String, String, Uuid)) -> Result<Vec<StreamKey>, IdentityError> {
    let rows: Vec<(String, String, Uuid)> = sqlx::query_as(
        "select category, tenant_id, stream_id from apex.streams
         where category in ('tenant', 'service_account', 'role_assignment', 'api_key', 'user', 'invitation', 'team', 'role', 'rate_limits')
             and (category, tenant_id, stream_id) > ($1, $2, $3)
         order by category, tenant_id, stream_id
         limit $4",
    )
    .bind(&last.0)
    .bind(&last.1)
    .bind(last.2)
    .bind(PAGE_STREAMS)
    .fetch_all(pool)
    .await?;
    let key = |(category, tenant, id): (String, String, Uuid)| StreamKey {
        tenant: TenantId::from_stored(tenant),
        category: category.into(),
        id,
    };
    Ok(rows.into_iter().map(key).collect())
}

/// Whether a tail from the first event on has the whole stream: it is short, and nothing of it is archived.
fn is_complete(tail: &StreamTail) -> bool {
    usize::try_from(tail.version.get()).is_ok_and(|version| version == tail.events.len())
}

/// All events of a stream; none if some are archived and cannot be read.
async fn whole_stream(log: &Log, key: &StreamKey) -> Result<Option<Vec<RecordedEvent>>, IdentityError> {
    let mut pages = log.stream_pages(key.clone(), Version::ZERO, PAGE_EVENTS);
    let mut events = Vec::new();
    loop {
        match pages.next_page().await {
            Ok(Some(page)) => events.extend(page),
            Ok(None) => return Ok(Some(events)),
            Err(error @ ReadError::Archived { .. }) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(
                    error,
                    stream = %key,
                    "events about identities are archived: what they are about gives no access; set APEX_ARCHIVE"
                );
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        }
    }
}
