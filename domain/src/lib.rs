//! The rules of Apex, as values: aggregates, events, money, prices, usage.
//!
//! Everything here is pure and total. Time and new ids arrive inside commands, so the same command on the
//! same state gives the same events on any machine and in any year. Deliberately absent: I/O, async, clocks,
//! randomness, SQL and GraphQL types.

mod aggregate;
mod codec;
mod compatibility;
mod error_chain;
mod ids;
mod moment;
mod money;
mod schema;
mod sum;
mod text;
mod usage;

pub mod agent;
pub mod budget;
pub mod call;
pub mod memory;
pub mod price_book;
pub mod spending;
pub mod task;

#[cfg(test)]
mod testing;

pub use aggregate::{Aggregate, Event, EventTypeInfo, SNAPSHOT_FORMAT, State};
pub use codec::{DecodeError, EncodeError, EventCodec, EventType, UpcastError};
pub use compatibility::breaking_changes;
pub use error_chain::{error_chain, error_with_causes};
pub use ids::{AgentId, BudgetId, CallId, DagId, MemoryId, TaskId, TenantId, TenantIdError, derived_id};
pub use moment::without_leap_second;
pub use money::{Currency, Money, MoneyError};
pub use schema::{EventSchema, Kept, ShapeChanged};
pub use sum::Sum;
pub use text::{Body, Labels, Name, TextError, normalized};
pub use usage::{Tokens, TokensError, Usage, UsageError};
