//! Receipts: what a command appended.

use crate::append::RequestHash;
use crate::error::ReadError;
use crate::event::{Position, StreamKey};
use sqlx::Row;
use sqlx::postgres::PgPool;
use uuid::Uuid;

/// What a command appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The position of the command's first event.
    pub first: Position,
    /// The position of the command's last event.
    pub last: Position,
    /// The hash of the command's request, where it is known.
    request: Option<Vec<u8>>,
}

impl Receipt {
    /// Whether the command was executed with a different request. An unknown request is taken as the same.
    #[must_use]
    pub fn is_for_different_request(&self, request: Option<&RequestHash>) -> bool {
        request.zip(self.request.as_deref()).is_some_and(|(given, stored)| given.differs_from(stored))
    }
}

/// The receipt of a command that wrote to a stream, if the command was executed.
pub(crate) async fn read_receipt(
    pool: &PgPool,
    stream: &StreamKey,
    command_id: Uuid,
) -> Result<Option<Receipt>, ReadError> {
    let row = sqlx::query(
        // The stream's own receipt first: the same id may have changed another stream and created this one, which counts
        // as two commands.
        "select first_position, event_count, request from (
             select coalesce(s.first_position, e.position) as first_position, s.first_count as event_count,
                    s.first_request as request, 1 as place
             from apex.streams s
             left join apex.events e on e.stream_id = s.stream_id and e.version = 1
                 and e.tenant_id = s.tenant_id and e.category = s.category
             where s.tenant_id = $1 and s.category = $3 and s.stream_id = $4 and s.first_command = $2
             union all
             select first_position, event_count, request, 2 from apex.receipts
             where tenant_id = $1 and command_id = $2
         ) as receipt
         order by place
         limit 1",
    )
    .bind(stream.tenant.as_str())
    .bind(command_id)
    .bind(&*stream.category)
    .bind(stream.id)
    .fetch_optional(pool)
    .await?;
    row.map(|row| {
        let first: i64 = row.try_get("first_position")?;
        let count: i32 = row.try_get("event_count")?;
        Ok(Receipt {
            first: Position::from_i64(first),
            last: Position::from_i64(first + i64::from(count) - 1),
            request: row.try_get("request")?,
        })
    })
    .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(request: Option<&RequestHash>) -> Receipt {
        let request = request.map(|hash| hash.as_bytes().to_vec());
        Receipt { first: 1.into(), last: 1.into(), request }
    }

    #[test]
    fn only_two_known_requests_can_differ() {
        let (one, other) = (RequestHash::of(b"one"), RequestHash::of(b"other"));
        assert!(!receipt(Some(&one)).is_for_different_request(Some(&one)));
        assert!(receipt(Some(&one)).is_for_different_request(Some(&other)));
        assert!(!receipt(None).is_for_different_request(Some(&one)));
        assert!(!receipt(Some(&one)).is_for_different_request(None));
    }
}
