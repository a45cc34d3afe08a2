//! Executing commands: authorise, load the aggregates, decide, append the events, and retry when another writer was faster.
//!
//! A decision may rest on several aggregates and change several of them: its events are written in one append, which
//! depends on the versions of all. A command id makes every retry safe: the log keeps a receipt of what the command
//! appended, and answers a retry with the positions of the first execution. Deliberately absent: business rules. They
//! belong to the aggregates.

mod append;
mod approvals;
mod assignment;
mod attempts;
mod budget_status;
mod budgets;
mod cache;
mod calls;
mod charging;
mod context;
mod error;
mod event_id;
mod executor;
mod kind;
mod loaded;
mod loader;
mod locks;
mod observe;
mod outcome;
mod principal;
mod receipts;
mod repricing;
mod reservations;
mod retry;
mod settlements;
mod snapshots;
mod states;
mod taking_back;
mod traces;

pub use approvals::ListedApproval;
pub use budget_status::BudgetStatus;
pub use calls::{CallChange, CallOutcome};
pub use charging::Charged;
pub use context::{Context, current_trace_id};
pub use error::Error;
pub use executor::{Commands, CommandsConfig};
pub use loaded::{AsOf, Loaded};
pub use observe::{MAX_MODEL_LABELS, register_metrics};
pub use outcome::{Outcome, OutcomeKind};
pub use principal::{Component, Principal, ReservedActor, Subject, is_reserved_actor};
pub use repricing::{
    NotRepriced, NotRepricedReason, PriceDifference, RecordRepricing, Reprice, Repriced, UnpricedBy, UnpricedCount,
};
pub use settlements::Settlement;
pub use states::{MAX_DECISION_AGGREGATES, NotLoaded, OtherStates, States, Undecided, WrongVersion};
pub use streams::{Backoff, Position};
pub use taking_back::{NotTakenBack, TakeBack, TakenBack};
pub use traces::{SpanBatch, SpanOutcome, TraceOutcome};
