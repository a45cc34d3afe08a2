//! The projections of this program.

use crate::projection::Projection;
use crate::state::StateTopic;
use crate::{agents, budgets, calls, memories, tasks};

/// Returns every projection. A new one is added here.
#[must_use]
pub fn all() -> Vec<&'static dyn Projection> {
    vec![&agents::Agents, &tasks::Tasks, &calls::Calls, &memories::Memories, &budgets::Budgets]
}

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
