//! Calls: one LLM or tool call, charged once, regardless of how many sources report it and how often.
//!
//! Agents report one call in several records: one log line per content block, one span per layer, retries of an
//! exporter. The state is the join of all records, which does not depend on their order or repetition. The price is
//! that of the version of the price book that first had one. An amendment carries the facts before and after it, so
//! that a reader of the log can subtract the one and add the other without keeping state per call.

use crate::aggregate::Aggregate;
use crate::codec::events;
use crate::ids::{AgentId, TaskId};
use crate::money::{Money, MoneyError};
use crate::price_book::{Charge, ChargeError, PriceBook, PricingContext};
use crate::text::{Body, Name};
use crate::timestamp::{ACCEPTED_YEARS, without_leap_second};
use crate::usage::{Usage, UsageError};
use chrono::{DateTime, Datelike, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The kind of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallKind {
    /// A call to a language model.
    Llm,
    /// A call to a tool.
    Tool,
}

impl CallKind {
    /// The kind as it is written in JSON, SQL and GraphQL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Llm => "llm",
            Self::Tool => "tool",
        }
    }
}

/// The longest latency that is accepted, in milliseconds: 30 days.
const MAX_LATENCY_MS: u64 = 30 * 24 * 3_600_000;

/// The facts that are known about a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CallFacts {
    /// Whether a model or a tool was called.
    pub kind: CallKind,
    /// The agent that made the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    /// The task that the call was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// The provider that served the call, such as `openai`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Name>,
    /// The model that was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Name>,
    /// The tool that was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<Name>,
    /// What the call used, by meter.
    pub usage: Usage,
    /// When the call started. Budgets count the call in the month of this time.
    #[serde(deserialize_with = "crate::timestamp::deserialize")]
    pub started_at: DateTime<Utc>,
    /// The duration of the call in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// The cost in US dollars that the source reported. It is informational and never replaces the charge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported_cost: Option<Money>,
    /// The error, if the call failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Body>,
    /// The source that reported the call first, such as `claude-code`.
    pub source: Name,
}

impl CallFacts {
    /// Checks the facts on their own, independent of the state of the call.
    ///
    /// # Errors
    /// The [`CallError`] that every [`Call`] would reject these facts with.
    pub fn check(&self) -> Result<(), CallError> {
        self.usage.check()?;
        match self.kind {
            CallKind::Llm if self.model.is_none() => return Err(CallError::NoModel),
            CallKind::Tool if self.tool.is_none() => return Err(CallError::NoTool),
            CallKind::Llm | CallKind::Tool => {}
        }
        if !ACCEPTED_YEARS.contains(&self.started_at.year()) {
            return Err(CallError::StartOutOfRange(self.started_at));
        }
        match self.latency_ms {
            Some(ms) if ms > MAX_LATENCY_MS => Err(CallError::LatencyTooLong(ms)),
            _ => match self.reported_cost {
                Some(cost) if cost.is_negative() => Err(CallError::NegativeCost(cost)),
                _ => Ok(()),
            },
        }
    }

    /// What the charge depends on; none without a model.
    #[must_use]
    pub fn pricing(&self) -> Option<PricingContext<'_>> {
        Some(PricingContext {
            provider: self.provider.as_ref(),
            model: self.model.as_ref()?,
            usage: &self.usage,
            started_at: self.started_at,
            service_tier: None,
            speed: None,
            region: None,
        })
    }

    /// The charge by a version of a price book; none if the call has no price.
    fn charge(&self, prices: &PriceBook, version: u64) -> Result<Option<Charge>, CallError> {
        match self.pricing().map(|pricing| prices.charge(&pricing, Some(version))).transpose() {
            Ok(charge) => Ok(charge),
            Err(ChargeError::Unpriced(_)) => Ok(None),
            Err(ChargeError::Money(error)) => Err(error.into()),
        }
    }

    /// Joins two records of one call: the larger counts, the earlier start, and for each other field the first value
    /// that is present.
    fn join(&self, other: &Self) -> Self {
        Self {
            kind: self.kind,
            agent_id: self.agent_id.or(other.agent_id),
            task_id: self.task_id.or(other.task_id),
            provider: self.provider.clone().or_else(|| other.provider.clone()),
            model: self.model.clone().or_else(|| other.model.clone()),
            tool: self.tool.clone().or_else(|| other.tool.clone()),
            usage: self.usage.join(&other.usage),
            started_at: self.started_at.min(other.started_at),
            latency_ms: self.latency_ms.max(other.latency_ms),
            reported_cost: self.reported_cost.max(other.reported_cost),
            error: self.error.clone().or_else(|| other.error.clone()),
            source: self.source.clone(),
        }
    }
}

/// A command to a call.
#[derive(Debug, Clone, PartialEq)]
pub enum CallCommand {
    /// Reports the facts of one record.
    Report {
        /// The facts of the record.
        facts: CallFacts,
        /// The price book.
        prices: PriceBook,
    },
}

/// The facts of a call with its charge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChargedCall {
    /// The facts that are known about the call.
    #[serde(flatten)]
    pub facts: CallFacts,
    /// The charge; absent while no price is known, which does not mean that the call was free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<Charge>,
}

impl ChargedCall {
    /// The charged amount; none if the call has no charge.
    #[must_use]
    pub fn cost(&self) -> Option<Money> {
        self.charge.as_ref().map(|charge| charge.amount)
    }

    /// Whether it is an LLM call without a known price.
    #[must_use]
    pub fn is_unpriced(&self) -> bool {
        self.facts.kind == CallKind::Llm && self.charge.is_none()
    }
}

/// The payload of `call.amended`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CallAmended {
    /// The facts and charge before the amendment.
    pub before: ChargedCall,
    /// The facts and charge after the amendment.
    pub after: ChargedCall,
}

events! {
    /// An event of a call.
    pub enum CallEvent {
        /// The call was reported for the first time.
        "call.recorded" v 1 => Recorded(ChargedCall),
        /// A later record changed the facts or the charge.
        "call.amended" v 1 => Amended(CallAmended),
    }
}

impl CallEvent {
    /// The call before and after the event. A sum over calls subtracts the one and adds the other.
    #[must_use]
    pub fn before_and_after(&self) -> (Option<&ChargedCall>, &ChargedCall) {
        match self {
            Self::Recorded(charged) => (None, charged),
            Self::Amended(amended) => (Some(&amended.before), &amended.after),
        }
    }
}

/// Why a report of a call is rejected.
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
}

/// The state of a call.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The facts and the charge; none before the first report.
    pub charged: Option<ChargedCall>,
}

impl Aggregate for Call {
    const CATEGORY: &'static str = "call";
    type Command = CallCommand;
    type Event = CallEvent;
    type Error = CallError;

    fn decide(&self, command: CallCommand) -> Result<Vec<CallEvent>, CallError> {
        let CallCommand::Report { facts, prices } = command;
        let facts = CallFacts { started_at: without_leap_second(facts.started_at), ..facts };
        facts.check()?;
        let Some(before) = &self.charged else {
            let charge = facts.charge(&prices, prices.version())?;
            return Ok(vec![CallEvent::Recorded(ChargedCall { facts, charge })]);
        };
        if before.facts.kind != facts.kind {
            return Err(CallError::KindMismatch);
        }
        let facts = before.facts.join(&facts);
        facts.check()?;
        // The version of the price book that first had a price is kept: a later change never changes a charge.
        let (given, charged_by) = (prices.version(), before.charge.as_ref().map(|charge| charge.book_version));
        let version = charged_by.unwrap_or(given);
        if version > given {
            return Err(CallError::PriceBookOutdated { charged_by: version, given });
        }
        let charge = facts.charge(&prices, version)?;
        let after = ChargedCall { facts, charge };
        if after == *before {
            return Ok(Vec::new());
        }
        Ok(vec![CallEvent::Amended(CallAmended { before: before.clone(), after })])
    }

    fn evolve(self, event: &CallEvent) -> Self {
        let (_, after) = event.before_and_after();
        Self { charged: Some(after.clone()) }
    }
}

#[cfg(test)]
mod tests;
