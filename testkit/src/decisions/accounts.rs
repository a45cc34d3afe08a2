//! The aggregates.

use domain::{Aggregate, DecodeError, EncodeError, EventCodec, EventSchema, EventType};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// An account. Every event carries the balance after it, so that the last event is the state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The amount that is on the account; never negative.
    pub balance: i64,
}

/// The balance of an account has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// What was added; negative if money was taken.
    pub amount: i64,
    /// The balance after it.
    pub balance: i64,
}

/// A switch that payments only read: they are refused while it is off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// Whether payments are refused.
    pub is_off: bool,
}

/// The switch was turned on or off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Set {
    /// Whether payments are refused from now on.
    pub is_off: bool,
}

/// Why a decision was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Error)]
#[serde(rename_all = "snake_case")]
pub enum Refused {
    /// The switch is off.
    #[error("the switch is off")]
    Off,
    /// An account has less than was to be taken from it.
    #[error("the balance is too low")]
    TooLow,
    /// The balances of several accounts are not of one moment.
    #[error("the balances are of different moments")]
    Torn,
}

macro_rules! event_codec {
    ($event:ty, $name:literal) => {
        impl EventCodec for $event {
            const TYPES: &'static [EventType] = &[EventType { name: $name, schema_version: 1 }];
            fn event_type(&self) -> EventType {
                Self::TYPES[0]
            }
            fn encode(&self) -> Result<String, EncodeError> {
                Ok(serde_json::to_string(self).unwrap())
            }
            fn decode(_: &str, _: u16, payload: &str) -> Result<Self, DecodeError> {
                serde_json::from_str(payload).map_err(|source| DecodeError::Payload { name: $name, source })
            }
            fn schemas() -> Vec<EventSchema> {
                Vec::new()
            }
        }
    };
}

event_codec!(Moved, "account.moved");
event_codec!(Set, "switch.set");

impl Aggregate for Account {
    const CATEGORY: &'static str = "account";
    const RESTORE: Option<fn(&Moved) -> Self> = Some(|moved| Self { balance: moved.balance });
    type Command = i64;
    type Event = Moved;
    type Error = Refused;

    fn decide(&self, amount: i64) -> Result<Vec<Moved>, Refused> {
        let balance = self.balance + amount;
        if balance < 0 { Err(Refused::TooLow) } else { Ok(vec![Moved { amount, balance }]) }
    }

    fn evolve(self, moved: &Moved) -> Self {
        Self { balance: moved.balance }
    }
}

impl Aggregate for Switch {
    const CATEGORY: &'static str = "switch";
    type Command = bool;
    type Event = Set;
    type Error = Refused;

    fn decide(&self, is_off: bool) -> Result<Vec<Set>, Refused> {
        Ok(if is_off == self.is_off { Vec::new() } else { vec![Set { is_off }] })
    }

    fn evolve(self, set: &Set) -> Self {
        Self { is_off: set.is_off }
    }
}
