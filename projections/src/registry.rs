//! Looks up the projections of this program, whose list is in `lib.rs`, below their modules.

use crate::all;
use crate::projection::Projection;
use crate::state::StateTopic;

/// Returns the projection with a name, if there is one.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static dyn Projection> {
    all().into_iter().find(|projection| projection.name() == name)
}

/// Returns the state topics of all projections that have one.
#[must_use]
pub fn state_topics() -> Vec<StateTopic> {
    all().into_iter().filter_map(Projection::state_topic).collect()
}
