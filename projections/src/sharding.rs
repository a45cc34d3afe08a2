//! How the events of a projection are divided into shards, each with a worker and a checkpoint.

use uuid::Uuid;

/// How the events of a projection are divided into shards. Each event belongs to one shard, which applies its events in
/// order; shards are applied concurrently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharding {
    /// One shard, for a projection in which the effect of an event may depend on any other event.
    Single,
    /// This many shards; the events of a stream belong to one shard.
    ByStream(u16),
    /// This many shards; the events of a tenant belong to one shard.
    ByTenant(u16),
}

impl Sharding {
    /// Returns the number of shards, at least 1.
    #[must_use]
    pub fn shard_count(self) -> u16 {
        match self {
            Self::Single => 1,
            Self::ByStream(count) | Self::ByTenant(count) => count.max(1),
        }
    }

    /// Returns the shard that a stream belongs to. It is the same in every process and release.
    #[must_use]
    pub fn shard_of(self, tenant: &str, stream: Uuid) -> u16 {
        let hash = match self {
            Self::Single => return 0,
            // The last 64 bits of an id are random in all UUID versions that are in use.
            Self::ByStream(_) => stream.as_u64_pair().1,
            Self::ByTenant(_) => domain::derived_id(&[tenant]).as_u64_pair().1,
        };
        u16::try_from(hash % u64::from(self.shard_count())).unwrap_or(0)
    }

    /// The name of the checkpoint of a shard.
    pub(crate) fn checkpoint(self, follower: &str, shard: u16) -> String {
        if self.shard_count() > 1 { format!("{follower}/{shard}") } else { follower.to_owned() }
    }

    /// The sharding key as the column `partitioned_by` of the checkpoints stores it; none if there is one shard.
    pub(crate) fn key(self) -> Option<&'static str> {
        match self {
            Self::ByStream(2..) => Some("stream"),
            Self::ByTenant(2..) => Some("tenant"),
            Self::Single | Self::ByStream(_) | Self::ByTenant(_) => None,
        }
    }

    /// The sharding of stored checkpoints, from their key and their number.
    pub(crate) fn from_key(key: Option<&str>, count: u16) -> Self {
        match key {
            Some("stream") => Self::ByStream(count),
            Some("tenant") => Self::ByTenant(count),
            _ => Self::Single,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn events_with_the_same_sharding_key_belong_to_one_shard() {
        let shards = |sharding: Sharding, streams: &[(String, Uuid)]| -> BTreeSet<u16> {
            streams.iter().map(|(tenant, id)| sharding.shard_of(tenant, *id)).collect()
        };
        let one_tenant: Vec<_> = (0..100).map(|id| ("ada".to_owned(), Uuid::from_u128(id))).collect();
        assert_eq!(shards(Sharding::Single, &one_tenant), BTreeSet::from([0]));
        assert_eq!(shards(Sharding::ByTenant(5), &one_tenant).len(), 1);
        assert_eq!(shards(Sharding::ByStream(5), &one_tenant), (0..5).collect());
        let many_tenants: Vec<_> = (0..100).map(|tenant| (format!("tenant-{tenant}"), Uuid::from_u128(7))).collect();
        assert_eq!(shards(Sharding::ByTenant(5), &many_tenants), (0..5).collect());
        assert_eq!(shards(Sharding::ByStream(5), &many_tenants).len(), 1);
    }

    /// Checkpoints are stored by shard: a stream that moved to another shard would skip or repeat events.
    #[test]
    fn the_shard_of_a_stream_never_changes() {
        let stream = Uuid::from_u128(0x0190_d5a2_7c3e_7a41_9b52_3f6d_1c8e_2a01);
        assert_eq!(Sharding::ByStream(16).shard_of("default", stream), 1);
        assert_eq!(Sharding::ByTenant(16).shard_of("default", stream), 10);
    }

    #[test]
    fn the_stored_key_and_count_give_back_the_sharding() {
        for sharding in [Sharding::Single, Sharding::ByStream(2), Sharding::ByTenant(7)] {
            assert_eq!(Sharding::from_key(sharding.key(), sharding.shard_count()), sharding);
        }
        assert_eq!(Sharding::ByStream(1).key(), None);
    }

    #[test]
    fn no_shards_count_as_one() {
        assert_eq!(Sharding::ByStream(0).shard_count(), 1);
        assert_eq!(Sharding::ByTenant(0).shard_of("ada", Uuid::from_u128(7)), 0);
        assert_eq!(Sharding::ByStream(0).checkpoint("calls", 0), "calls");
        assert_eq!(Sharding::ByStream(2).checkpoint("calls", 1), "calls/1");
    }
}
