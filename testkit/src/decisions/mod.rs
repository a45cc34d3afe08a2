//! Decisions over one to five aggregates: money is paid into accounts and moved among them while a switch is on, which
//! every payment only reads. One pure function decides, for the executor and for the checker of what it wrote.

mod accounts;
mod checker;
mod decision;
mod execute;

pub use accounts::{Account, Moved, Refused, Set, Switch};
pub use checker::{Answer, Attempt, Entry, Violation, check, streams_of};
pub use decision::{ACCOUNTS, Change, Decision, FEES, ReadStates, SWITCH, account};
pub use execute::{execute, open_accounts, turn};
