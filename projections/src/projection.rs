//! What a read model is to the runtime: the events it wants, how they are divided, and what they do to its tables.

use domain::Event;
use futures::future::BoxFuture;
use sqlx::postgres::PgConnection;
use std::sync::Arc;
use streams::RecordedEvent;
use thiserror::Error;
use uuid::Uuid;

/// An event that is being applied.
#[derive(Debug, Clone)]
pub struct Applied {
    /// As it stands in the log.
    pub recorded: Arc<RecordedEvent>,
    /// As the domain knows it.
    pub event: Arc<Event>,
}

impl Applied {
    /// The tenant.
    #[must_use]
    pub fn tenant(&self) -> &str {
        self.recorded.stream.tenant.as_str()
    }

    /// The position in the form of the tables.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.recorded.position.as_i64()
    }

    /// The version in the form of the tables.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.recorded.version.as_i64()
    }
}

/// Why a batch could not be applied.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// The database failed or refused.
    #[error("the read model cannot be written")]
    Database(#[from] sqlx::Error),
    /// An amount leaves the range.
    #[error(transparent)]
    Money(#[from] domain::MoneyError),
    /// A stored row is not one that this code wrote.
    #[error("a row of the read model cannot be read: {0}")]
    Row(String),
    /// Another worker moved the checkpoint in the meantime; nothing was written.
    #[error("another worker has overtaken this one")]
    Overtaken,
}

impl ApplyError {
    /// Whether the events are to blame, rather than the moment.
    pub(crate) fn is_permanent(&self) -> bool {
        match self {
            Self::Money(_) | Self::Row(_) => true,
            // Classes 22 (data exception) and 23 (integrity constraint violation).
            Self::Database(sqlx::Error::Database(error)) => {
                error.code().is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
            }
            Self::Database(_) | Self::Overtaken => false,
        }
    }
}

/// What keeps events together when a projection is worked on in shards at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharding {
    /// One shard: what an event does may depend on any other.
    Single,
    /// Events of a stream stay in order, in so many shards.
    ByStream(u16),
    /// Events of a tenant stay in order, in so many shards.
    ByTenant(u16),
}

impl Sharding {
    /// How many shards there are; at least one.
    #[must_use]
    pub fn shard_count(self) -> u16 {
        match self {
            Self::Single => 1,
            Self::ByStream(shards) | Self::ByTenant(shards) => shards.max(1),
        }
    }

    /// The shard that a tenant's stream belongs to. The same in every process and for as long as the version lives.
    #[must_use]
    pub fn shard_of(self, tenant: &str, stream: Uuid) -> u16 {
        let hash = match self {
            Self::Single => return 0,
            // The end of an id is chance in all versions that are in use.
            Self::ByStream(_) => stream.as_u64_pair().1,
            Self::ByTenant(_) => domain::derived_id(&[tenant]).as_u64_pair().1,
        };
        u16::try_from(hash % u64::from(self.shard_count())).unwrap_or(0)
    }

    /// The name of the checkpoint of a shard.
    pub(crate) fn checkpoint(self, follower: &str, shard: u16) -> String {
        if self.shard_count() > 1 { format!("{follower}/{shard}") } else { follower.to_owned() }
    }

    /// What the checkpoints of several shards say of how they are divided.
    pub(crate) fn key(self) -> Option<&'static str> {
        match self {
            Self::ByStream(2..) => Some("stream"),
            Self::ByTenant(2..) => Some("tenant"),
            Self::Single | Self::ByStream(_) | Self::ByTenant(_) => None,
        }
    }

    /// What so many checkpoints with such a key mean.
    pub(crate) fn of_key(key: Option<&str>, shards: u16) -> Self {
        match key {
            Some("stream") => Self::ByStream(shards),
            Some("tenant") => Self::ByTenant(shards),
            _ => Self::Single,
        }
    }
}

/// A read model: which events it wants, and what they do to its tables.
pub trait Projection: Send + Sync {
    /// Its name, and that of its checkpoint.
    fn name(&self) -> &'static str;
    /// The version of its code: raised when the same events come to other rows, or are divided in another way, unless
    /// a migration divides the checkpoints.
    fn version(&self) -> i32 {
        1
    }
    /// How its events may be divided.
    fn sharding(&self) -> Sharding {
        Sharding::Single
    }
    /// Whether it needs the events of different streams in the order of the log, rather than of each stream alone.
    fn needs_log_order(&self) -> bool {
        true
    }
    /// The categories it wants events of.
    fn categories(&self) -> &'static [&'static str];
    /// Its tables, without a schema, each with the columns that order its rows.
    fn tables(&self) -> &'static [(&'static str, &'static str)];
    /// Applies events in order, on one transaction. Statements name tables without a schema: the transaction says
    /// whether the live ones are meant. The result must not depend on how events are cut into batches.
    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        events: &'a [Applied],
    ) -> BoxFuture<'a, Result<(), ApplyError>>;
}

/// Which of its versions a projection is applied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    /// What queries read.
    Live,
    /// What is under construction.
    Next,
    /// What verifying builds and drops again.
    Check,
}

impl Slot {
    pub(crate) fn schema(self) -> &'static str {
        match self {
            Self::Live => "apex",
            Self::Next => "apex_next",
            Self::Check => "apex_check",
        }
    }
}

/// One version of a projection.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub(crate) projection: &'static dyn Projection,
    pub(crate) slot: Slot,
}

impl Target {
    /// What its checkpoints have in common, and what its parked events are kept under.
    pub(crate) fn follower(&self) -> String {
        let name = self.projection.name();
        match self.slot {
            Slot::Live => name.to_owned(),
            Slot::Next => format!("{name}@next"),
            Slot::Check => format!("{name}@check"),
        }
    }

    /// What it is worked on in at the same time.
    pub(crate) fn shards(&self) -> Vec<Shard> {
        (0..self.projection.sharding().shard_count()).map(|number| Shard { target: *self, number }).collect()
    }

    /// Whether it applies an event.
    pub(crate) fn wants(&self, event: &RecordedEvent) -> bool {
        self.projection.categories().contains(&&*event.stream.category)
    }
}

/// One shard of one version of a projection: what a worker works on.
#[derive(Clone, Copy)]
pub(crate) struct Shard {
    pub(crate) target: Target,
    pub(crate) number: u16,
}

impl Shard {
    /// The name of its checkpoint.
    pub(crate) fn checkpoint(&self) -> String {
        self.target.projection.sharding().checkpoint(&self.target.follower(), self.number)
    }

    /// Whether it is the one to apply an event.
    pub(crate) fn wants(&self, event: &RecordedEvent) -> bool {
        let (by, stream) = (self.target.projection.sharding(), &event.stream);
        self.target.wants(event) && by.shard_of(stream.tenant.as_str(), stream.id) == self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn what_belongs_together_is_in_one_part() {
        let shards = |by: Sharding, streams: &[(String, Uuid)]| -> BTreeSet<u16> {
            streams.iter().map(|(tenant, id)| by.shard_of(tenant, *id)).collect()
        };
        let of_one: Vec<_> = (0..100).map(|id| ("ada".to_owned(), Uuid::from_u128(id))).collect();
        assert_eq!(shards(Sharding::Single, &of_one), BTreeSet::from([0]));
        assert_eq!(shards(Sharding::ByTenant(5), &of_one).len(), 1);
        assert_eq!(shards(Sharding::ByStream(5), &of_one), (0..5).collect());
        let of_many: Vec<_> = (0..100).map(|tenant| (format!("tenant-{tenant}"), Uuid::from_u128(7))).collect();
        assert_eq!(shards(Sharding::ByTenant(5), &of_many), (0..5).collect());
        assert_eq!(shards(Sharding::ByStream(5), &of_many).len(), 1);
    }

    /// Checkpoints are kept by shard: what changes this moves events behind the checkpoint of another shard.
    #[test]
    fn the_part_of_a_stream_never_changes() {
        let stream = Uuid::from_u128(0x0190_d5a2_7c3e_7a41_9b52_3f6d_1c8e_2a01);
        assert_eq!(Sharding::ByStream(16).shard_of("default", stream), 1);
        assert_eq!(Sharding::ByTenant(16).shard_of("default", stream), 10);
    }

    #[test]
    fn what_checkpoints_say_of_parts_is_what_they_are_divided_by() {
        for by in [Sharding::Single, Sharding::ByStream(2), Sharding::ByTenant(7)] {
            assert_eq!(Sharding::of_key(by.key(), by.shard_count()), by);
        }
        assert_eq!(Sharding::ByStream(1).key(), None);
    }
}
