//! Versions of a projection, and the shards of a version.

use crate::projection::Projection;
use streams::RecordedEvent;

/// Where a version of a projection stores its tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The version that queries read.
    Live,
    /// The version under construction.
    Next,
    /// A temporary version, built to verify the live one.
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
    pub(crate) fn live(projection: &'static dyn Projection) -> Self {
        Self { projection, slot: Slot::Live }
    }

    pub(crate) fn next(projection: &'static dyn Projection) -> Self {
        Self { projection, slot: Slot::Next }
    }

    /// The name of the version, under which its checkpoints (column `follower`) and its parked events are stored.
    pub(crate) fn follower(&self) -> String {
        let name = self.projection.name();
        match self.slot {
            Slot::Live => name.to_owned(),
            Slot::Next => format!("{name}@next"),
            Slot::Check => format!("{name}@check"),
        }
    }

    pub(crate) fn shards(&self) -> Vec<Shard> {
        (0..self.projection.sharding().shard_count()).map(|number| Shard { target: *self, number }).collect()
    }

    /// Whether the projection consumes an event.
    pub(crate) fn wants(&self, event: &RecordedEvent) -> bool {
        self.projection.categories().contains(&&*event.stream.category)
    }
}

/// One shard of one version of a projection.
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

    /// Whether an event belongs to this shard.
    pub(crate) fn wants(&self, event: &RecordedEvent) -> bool {
        let (sharding, stream) = (self.target.projection.sharding(), &event.stream);
        self.target.wants(event) && sharding.shard_of(stream.tenant.as_str(), stream.id) == self.number
    }
}
