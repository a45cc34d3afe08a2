//! Charging budgets for the calls that settle no reservation.
//!
//! A budget counts what the events of calls change: what each subtracts and adds. An event that settles a reservation is charged in
//! its own append; of one that changes many further periods, only those of the reservation are. All others are charged by a policy
//! that follows the log. How far it has come is a stream of its own, one a
//! tenant, and a batch is one append that advances it and adds to every period touched: so each event is charged exactly once,
//! however often the policy runs.
//!
//! What cannot be decoded stops no other tenant. An event that names a reservation that cannot be decoded, or that cannot be decoded
//! itself, is *parked*: its position stays in the stream until it is charged. If the catalogue or a period cannot be decoded, the
//! charging of the tenant is *held*: the position up to which events were read stays in the stream until they are charged.

mod difference;
mod hold;
mod opening;
mod parked;
mod plan;
mod settle;

pub use difference::{CallAmounts, Differences, differences};
pub(crate) use difference::{charged_by_policy, periods_of};
pub use hold::hold;
pub use opening::{Opening, counted};
pub use parked::charge_parked;
pub use plan::{ChargeBatch, ChargeEvents, LoggedEvent, MAX_BATCH_PERIODS, charge};
pub use settle::{MAX_SETTLEMENT_PERIODS, Settlement, settle};

use crate::aggregate::Aggregate;
use crate::codec::events;
use crate::ids::derived_id;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use thiserror::Error;
use uuid::Uuid;

/// A part of an event that is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct PartlyCharged {
    /// The position of the event.
    pub position: u64,
    /// The periods with ids up to this one are charged.
    pub balance_id: Uuid,
}

/// An event that the charging has passed and that is not charged, or not wholly: it, or a reservation that it names, cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ParkedCharge {
    /// The position of the event.
    pub position: u64,
    /// The periods with ids up to this one are charged; absent if none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance_id: Option<Uuid>,
}

/// The most events of a tenant that are parked. Beyond it, the charging of the tenant is held.
pub const MAX_PARKED: usize = 100;

/// The payload of `charging.advanced`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChargingAdvanced {
    /// The position up to which every event is charged.
    pub through: u64,
    /// The next event, if it changes more periods than one append may, and some of them are charged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partly: Option<PartlyCharged>,
    /// The events up to `through` that are still to be charged, in order of position.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("minItems" = 1, "maxItems" = 100))]
    pub parked: Vec<ParkedCharge>,
    /// The position up to which the policy has read, and charges nothing after `through`, because what it needs of the tenant cannot
    /// be decoded. Absent if it charges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_through: Option<u64>,
}

events! {
    /// An event of the charging of a tenant.
    pub enum ChargingEvent {
        /// The differences of events up to a position are charged, in the same append.
        "charging.advanced" v 1 => Advanced(ChargingAdvanced),
    }
}

/// The charging has no commands of its own: it follows the log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the charging of budgets takes no commands")]
pub struct ChargingError;

/// How far the calls of a tenant are charged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Charging {
    /// The position up to which every event is charged, or changes no budget.
    pub through: u64,
    /// The next event, if some of the periods that it changes are charged.
    pub partly: Option<PartlyCharged>,
    /// The events up to that position that are still to be charged.
    #[serde(default)]
    pub parked: Vec<ParkedCharge>,
    /// The position up to which events are put off, and are to be read again; none if none are.
    #[serde(default)]
    pub held_through: Option<u64>,
}

impl Charging {
    /// The id of the stream. It is the same for every tenant, as streams are separate by tenant.
    #[must_use]
    pub fn id() -> Uuid {
        derived_id(&["charging"])
    }

    /// Whether calls that the policy has read are still to be charged.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.held_through.is_some() || !self.parked.is_empty()
    }

    /// The event after which the state is this one.
    fn advanced(self) -> ChargingEvent {
        let Self { through, partly, parked, held_through } = self;
        ChargingEvent::Advanced(ChargingAdvanced { through, partly, parked, held_through })
    }
}

fn restore(event: &ChargingEvent) -> Charging {
    let ChargingEvent::Advanced(ChargingAdvanced { through, partly, parked, held_through }) = event;
    Charging { through: *through, partly: *partly, parked: parked.clone(), held_through: *held_through }
}

impl Aggregate for Charging {
    const CATEGORY: &'static str = "charging";
    const RESTORE: Option<fn(&ChargingEvent) -> Self> = Some(restore);
    type Command = Infallible;
    type Event = ChargingEvent;
    type Error = ChargingError;

    fn decide(&self, command: Infallible) -> Result<Vec<ChargingEvent>, ChargingError> {
        match command {}
    }

    fn evolve(self, event: &ChargingEvent) -> Self {
        restore(event)
    }
}

#[cfg(test)]
mod tests;
