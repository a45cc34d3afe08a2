//! Why a command to a call is rejected.

use crate::ids::CallId;
use crate::money::{Money, MoneyError};
use crate::usage::UsageError;
use chrono::{DateTime, Utc};
use thiserror::Error;

/// Why a command to a call is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CallError {
    /// The facts of an LLM call name no model.
    #[error("an LLM call needs a model")]
    NoModel,
    /// The facts of a tool call name no tool.
    #[error("a tool call needs the name of its tool")]
    NoTool,
    /// The kind differs from the kind under which the call was reported before.
    #[error("the call was reported before as a call of the other kind")]
    KindMismatch,
    /// The start is before 1970 or after 2199, usually because of a wrong clock or unit.
    #[error("the call started at {0}, which is not between 1970 and 2199")]
    StartOutOfRange(DateTime<Utc>),
    /// The latency is longer than 30 days.
    #[error("a latency of {0} ms is longer than 30 days")]
    LatencyTooLong(u64),
    /// The reported cost is below zero.
    #[error("the reported cost {0} is negative")]
    NegativeCost(Money),
    /// The quantities of the usage contradict each other.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// The charge is out of range.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// The price book of the command is older than the one that the call was charged by.
    #[error(
        "the call was charged by version {charged_by} of the price book, the command has version {given}: load it again"
    )]
    PriceBookOutdated {
        /// The version that the call was charged by.
        charged_by: u64,
        /// The version in the command.
        given: u64,
    },
    /// The corrected call was never reported.
    #[error("there is no such call to correct; report it first")]
    NotReported,
    /// The call was voided into another one, which has all that is known of it.
    #[error("the call was voided into the call {0}: send the command to that one")]
    Voided(CallId),
    /// A command voided the call, for good.
    #[error("the call was voided by a command, for good: a report or correction changes nothing of it")]
    Void,
    /// The ids of the command were voided into others again and again.
    #[error(
        "the ids of the command were voided into others more than {limit} times: use the id of the call that remains"
    )]
    TooManyIds {
        /// The most ids that a command may follow.
        limit: usize,
    },
    /// The report ties calls together that the gateway passed on one after the other.
    #[error("the gateway passed several of the calls on that the report names: each of them is a call of its own")]
    PassedOnApart,
    /// The report ties a call that the gateway passed on to one that was corrected.
    #[error(
        "the gateway passed one of the calls on that the report names, and another one was corrected, which would change what the \
         gateway charges: void the corrected one, if it is the same call"
    )]
    CorrectedApart,
    /// A correction names no field.
    #[error("the correction names no field")]
    NothingToCorrect,
}
