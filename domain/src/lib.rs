//! The domain model of Apex: aggregates, events, permissions, meters, money, prices and usage.
//!
//! Everything here is pure and total. Times and new ids arrive in commands, so the same command on the same state always
//! returns the same events. Deliberately absent: I/O, async, clocks, randomness, SQL and GraphQL types.

mod aggregate;
mod codec;
mod compatibility;
mod delegating;
mod difference;
mod dimension;
mod error_chain;
mod ids;
mod loopback;
mod meter;
mod money;
mod provider_id;
mod registry;
mod schema;
mod sum;
mod text;
mod timestamp;
mod usage;

pub mod access_log;
pub mod agent;
pub mod alert;
pub mod alert_endpoints;
pub mod alert_watch;
pub mod allocation;
pub mod api_key;
pub mod approval;
pub mod approval_queue;
pub mod assignment;
pub mod budget;
pub mod budget_balance;
pub mod budget_catalogue;
pub mod call;
pub mod charging;
pub mod custom_role;
pub mod excess;
pub mod invitation;
pub mod invoice;
pub mod memory;
pub mod permissions;
pub mod price_book;
mod provider;
pub mod rate_limits;
pub mod receipt;
pub mod reservation;
pub mod role_assignment;
pub mod schedule;
pub mod service_account;
pub mod span_contents;
pub mod spend_audit;
pub mod spending;
pub mod split;
pub mod tag_keys;
pub mod task;
pub mod team;
pub mod telemetry;
pub mod tenant;
pub mod trace;
pub mod user;

#[cfg(test)]
mod testing;

pub use aggregate::{Abridged, Aggregate};
pub use codec::{DecodeError, EncodeError, EventCodec, EventType, UpcastError};
pub use compatibility::breaking_changes;
pub use difference::{ChangedField, Difference, MAX_CHANGED_FIELDS};
pub use error_chain::{error_chain, error_with_causes};
pub use ids::{
    AgentId, AlertEndpointId, ApiKeyId, ApprovalId, BudgetId, CallId, DagId, DelegationId, ImportId, InvitationId,
    InvoiceId, MemoryId, OriginId, ReservationId, RoleId, ScheduleId, ServiceAccountId, SessionId, TaskId, TeamId,
    TenantId, TenantIdError, UserId, content_id, derived_id,
};
pub use loopback::is_loopback_host;
pub use meter::{Meter, Unit, UnknownMeter};
pub use money::{Currency, Money, MoneyError};
pub use provider::provider_name;
pub use provider_id::{ProviderId, ProviderIdError};
pub use registry::{AggregateVisitor, EventTypeInfo, SNAPSHOT_FORMAT};
pub use schema::{EventSchema, SchemaChanged, SchemaMatch};
pub use sum::Sum;
pub use text::{Body, CostCentreCode, Labels, Name, TagKey, TextError, normalized};
pub use timestamp::{ACCEPTED_YEARS, parse_day, parse_time, without_leap_second};
pub use usage::{Quantity, QuantityError, Usage, UsageError};

// Every aggregate: its variant of `Event` and `State`, and its type.
registry::register! {
    Agent(agent::Agent),
    Task(task::Task),
    Call(call::Call),
    Trace(trace::Trace),
    PriceBook(price_book::PriceBook),
    Memory(memory::Memory),
    Budget(budget::Budget),
    BudgetPeriod(budget::BudgetPeriod),
    BudgetCatalogue(budget_catalogue::BudgetCatalogue),
    BudgetBalance(budget_balance::BudgetBalance),
    Reservation(reservation::Reservation),
    Approval(approval::Approval),
    ApprovalQueue(approval_queue::ApprovalQueue),
    Charging(charging::Charging),
    TagKeys(tag_keys::TagKeys),
    AllocationRules(allocation::AllocationRules),
    Invoice(invoice::Invoice),
    Schedule(schedule::Schedule),
    AlertEndpoints(alert_endpoints::AlertEndpoints),
    Alert(alert::Alert),
    AlertWatches(alert_watch::AlertWatches),
    Tenant(tenant::Tenant),
    ServiceAccount(service_account::ServiceAccount),
    RoleAssignment(role_assignment::RoleAssignment),
    ApiKey(api_key::ApiKey),
    AccessLog(access_log::AccessLog),
    RateLimits(rate_limits::RateLimits),
    Team(team::Team),
    CustomRole(custom_role::CustomRole),
    User(user::User),
    Invitation(invitation::Invitation),
}
