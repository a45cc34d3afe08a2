//! The rules by which the costs of a tenant are allocated to its cost centres.
//!
//! There is one stream of them per tenant. A command replaces the rules as a whole, from a date on, so that cost centres and
//! the rules that name them never contradict each other. Each set is a version, the version of the stream, and stays in the log:
//! a statement names the version that it used and can be made again with it, whatever was set later.
//!
//! [`Allocator`] computes statements from sums of usage. Where those sums come from is not decided here.

mod allocator;
mod dimension;
mod error;
mod limits;
mod rules;
mod statement;

pub use allocator::Allocator;
pub use dimension::{AllocationDimension, AllocationDimensionError};
pub use error::{AllocationError, NotInForce};
pub use limits::{
    MAX_ALLOCATION_BYTES, MAX_ALLOCATION_PERIODS, MAX_ALLOCATION_RULES, MAX_ALLOCATION_VALUES, MAX_COST_CENTRES,
    MAX_WEIGHT,
};
pub use rules::{AllocationRule, AllocationRuleSet, CostCentre, SharedCost};
pub use statement::{AllocatedUsage, Allocation, CostStatement, DirectLine, SharedPart, SharedPool};

use crate::aggregate::Aggregate;
use crate::codec::events;
use crate::ids::derived_id;
use crate::text::Body;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use uuid::Uuid;

/// A command to the allocation rules of a tenant.
#[derive(Debug, Clone, PartialEq)]
pub enum AllocationRulesCommand {
    /// Replaces the rules from a date on, and those that would take effect later. Rules that are the latest ones already change
    /// nothing.
    Set {
        /// The rules.
        rules: AllocationRuleSet,
        /// From when on costs are allocated by them; always, if none is given.
        effective_from: Option<DateTime<Utc>>,
        /// Why they were set.
        reason: Option<Body>,
        /// When they were set.
        at: DateTime<Utc>,
    },
}

/// The payload of `allocation_rules.set`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AllocationRulesSet {
    /// The rules, which replace those that were in force or would take effect later.
    pub rules: AllocationRuleSet,
    /// From when on costs are allocated by them; always, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_from: Option<DateTime<Utc>>,
    /// Why they were set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Body>,
    /// When they were set.
    pub at: DateTime<Utc>,
}

events! {
    /// An event of the allocation rules of a tenant.
    pub enum AllocationRulesEvent {
        /// The cost centres and the rules that assign and share costs were replaced, from a date on.
        "allocation_rules.set" v 1 => Set(AllocationRulesSet),
    }
}

/// From when on a version of the rules is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesInForce {
    /// From when on; always, if none.
    pub effective_from: Option<DateTime<Utc>>,
    /// The version.
    pub version: u64,
}

/// The allocation rules of a tenant: which version is in force when, and the latest one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AllocationRules {
    /// The number of sets of rules that were ever set.
    version: u64,
    /// The versions that are in force, in the order in which they take effect.
    in_force: Vec<RulesInForce>,
    /// The set of rules of the last version.
    #[serde(with = "latest")]
    latest: Option<Arc<AllocationRuleSet>>,
}

/// The latest rules as a part of a snapshot.
mod latest {
    use super::AllocationRuleSet;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::sync::Arc;

    pub(super) fn serialize<S: Serializer>(
        rules: &Option<Arc<AllocationRuleSet>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        rules.as_deref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Arc<AllocationRuleSet>>, D::Error> {
        Ok(Option::deserialize(deserializer)?.map(Arc::new))
    }
}

impl AllocationRules {
    /// The stream id of the rules. It is the same for every tenant, as streams are separate by tenant.
    #[must_use]
    pub fn id() -> Uuid {
        derived_id(&["allocation_rules"])
    }

    /// The number of sets of rules that were ever set, which is the version of the latest one.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The rules of the latest version; none before any were set.
    #[must_use]
    pub fn latest(&self) -> Option<&Arc<AllocationRuleSet>> {
        self.latest.as_ref()
    }

    /// The versions that are in force, in the order in which they take effect.
    #[must_use]
    pub fn in_force(&self) -> &[RulesInForce] {
        &self.in_force
    }

    /// The version that is in force in the whole of a time range, which does not include its end; a version that is named is
    /// used whenever it is in force.
    ///
    /// # Errors
    /// [`NotInForce`] if there is none.
    pub fn version_for(&self, from: DateTime<Utc>, to: DateTime<Utc>, named: Option<u64>) -> Result<u64, NotInForce> {
        if let Some(requested) = named {
            let exists = (1..=self.version).contains(&requested);
            return if exists {
                Ok(requested)
            } else {
                Err(NotInForce::NoVersion { requested, versions: self.version })
            };
        }
        let started = |rules: &&RulesInForce| rules.effective_from.is_none_or(|start| start <= from);
        let number = self.in_force.iter().take_while(started).count();
        let next = self.in_force.get(number).and_then(|rules| Some((rules.version, rules.effective_from?)));
        let current = number.checked_sub(1).and_then(|last| self.in_force.get(last));
        match (current, next) {
            (None, None) => Err(NotInForce::NoRules),
            (None, Some((_, first))) => Err(NotInForce::Later { from, first }),
            (Some(_), Some((version, at))) if at < to => Err(NotInForce::Changed { version, at }),
            (Some(current), _) => Ok(current.version),
        }
    }

    /// The number of versions that take effect before a date, and so stay in force before it.
    fn before(&self, effective_from: Option<DateTime<Utc>>) -> usize {
        // Without a date is before any date.
        self.in_force.iter().take_while(|rules| rules.effective_from < effective_from).count()
    }
}

impl Aggregate for AllocationRules {
    const CATEGORY: &'static str = "allocation_rules";
    type Command = AllocationRulesCommand;
    type Event = AllocationRulesEvent;
    type Error = AllocationError;

    fn decide(&self, command: AllocationRulesCommand) -> Result<Vec<AllocationRulesEvent>, AllocationError> {
        let AllocationRulesCommand::Set { rules, effective_from, reason, at } = command;
        rules.check()?;
        let last = self.in_force.last().map(|last| last.effective_from);
        if self.latest.as_deref() == Some(&rules) && last == Some(effective_from) {
            return Ok(Vec::new());
        }
        if self.before(effective_from) >= MAX_ALLOCATION_PERIODS {
            return Err(AllocationError::TooManyPeriods);
        }
        Ok(vec![AllocationRulesEvent::Set(AllocationRulesSet { rules, effective_from, reason, at })])
    }

    fn evolve(mut self, event: &AllocationRulesEvent) -> Self {
        let AllocationRulesEvent::Set(AllocationRulesSet { rules, effective_from, .. }) = event;
        self.version += 1;
        self.in_force.truncate(self.before(*effective_from));
        self.in_force.push(RulesInForce { effective_from: *effective_from, version: self.version });
        self.latest = Some(Arc::new(rules.clone()));
        self
    }
}

#[cfg(test)]
mod tests;
