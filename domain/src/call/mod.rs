//! Calls: one LLM or tool call, charged once, regardless of how many sources report it and how often.
//!
//! Agents report one call in several records: one log line per content block, one span per layer, retries of an
//! exporter. The facts are the [join](join) of all records, which does not depend on their order or repetition. The charge
//! is a function of the facts and of the version of the price book that first had a price for the call. An amendment
//! carries the facts before and after it, so that a reader of the log can subtract the one and add the other without
//! keeping state per call.
//!
//! [`CallKey`] says which records are of one call.

mod error;
mod fields;
mod identity;
mod join;
mod values;

pub use error::CallError;
pub use fields::{CallFacts, DataClass, Field};
pub use identity::CallKey;
pub use join::{Origin, Provenance, RecordKey};
pub use values::{
    CallKind, CallSpan, CostSource, Outcome, ReportedCost, SpanId, Tags, TagsError, TraceId, TraceIdError,
};

use crate::aggregate::Aggregate;
use crate::call::join::Joined;
use crate::codec::events;
use crate::money::Money;
use crate::price_book::{Charge, ChargeError, PriceBook};
use crate::text::Body;
use crate::timestamp::without_leap_second;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

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
    /// Corrects fields. No later record changes them; a later correction may.
    Correct {
        /// The corrected fields.
        fields: BTreeSet<Field>,
        /// The values of the corrected fields. Other fields are ignored.
        values: CallFacts,
        /// Why the call is corrected.
        reason: Option<Body>,
        /// When the call was corrected.
        at: DateTime<Utc>,
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
    /// Which records the facts were taken from; absent if all are from the first one.
    #[serde(default, skip_serializing_if = "Provenance::is_single_record")]
    pub provenance: Provenance,
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

/// The payload of `call.corrected`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CallCorrected {
    /// The facts and charge before the correction.
    pub before: ChargedCall,
    /// The facts and charge after the correction.
    pub after: ChargedCall,
    /// Why the call was corrected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-apex-data" = DataClass::Content.as_str()))]
    pub reason: Option<Body>,
    /// When the call was corrected.
    pub at: DateTime<Utc>,
}

events! {
    /// An event of a call.
    pub enum CallEvent {
        /// The call was reported for the first time.
        "call.recorded" v 1 => Recorded(ChargedCall),
        /// A later record changed the facts or the charge.
        "call.amended" v 1 => Amended(CallAmended),
        /// A correction replaced facts.
        "call.corrected" v 1 => Corrected(CallCorrected),
    }
}

impl CallEvent {
    /// The call before and after the event. A sum over calls subtracts the one and adds the other.
    #[must_use]
    pub fn before_and_after(&self) -> (Option<&ChargedCall>, &ChargedCall) {
        match self {
            Self::Recorded(charged) => (None, charged),
            Self::Amended(CallAmended { before, after }) => (Some(before), after),
            Self::Corrected(CallCorrected { before, after, .. }) => (Some(before), after),
        }
    }
}

/// The state of a call.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The facts and the charge; none before the first report.
    pub charged: Option<ChargedCall>,
}

impl Call {
    fn report(&self, facts: CallFacts, prices: &PriceBook) -> Result<Vec<CallEvent>, CallError> {
        let facts = normalized(facts);
        facts.check()?;
        let record = Joined::of_record(facts);
        let Some(before) = &self.charged else {
            return Ok(vec![CallEvent::Recorded(charge(record, None, prices)?)]);
        };
        if before.facts.kind != record.facts.kind {
            return Err(CallError::KindMismatch);
        }
        let after = charge(joined(before).join(&record), before.charge.as_ref(), prices)?;
        if after == *before {
            return Ok(Vec::new());
        }
        Ok(vec![CallEvent::Amended(CallAmended { before: before.clone(), after })])
    }

    fn correct(
        &self,
        fields: &BTreeSet<Field>,
        values: CallFacts,
        prices: &PriceBook,
    ) -> Result<Option<(ChargedCall, ChargedCall)>, CallError> {
        let before = self.charged.as_ref().ok_or(CallError::NotReported)?;
        if fields.is_empty() {
            return Err(CallError::NothingToCorrect);
        }
        let corrected = joined(before).correct(fields, &normalized(values));
        corrected.facts.check()?;
        let after = charge(corrected, before.charge.as_ref(), prices)?;
        Ok((after != *before).then(|| (before.clone(), after)))
    }
}

/// Removes leap seconds, and what is said about a usage that is absent.
fn normalized(facts: CallFacts) -> CallFacts {
    CallFacts {
        started_at: without_leap_second(facts.started_at),
        usage_assumed: facts.usage_assumed && !facts.usage.is_empty(),
        ..facts
    }
}

fn joined(call: &ChargedCall) -> Joined {
    Joined { facts: call.facts.clone(), provenance: call.provenance.clone() }
}

/// Charges a call by the version of the price book that it was charged by before, or else by the newest one.
fn charge(call: Joined, before: Option<&Charge>, prices: &PriceBook) -> Result<ChargedCall, CallError> {
    let given = prices.version();
    let version = before.map_or(given, |charge| charge.book_version);
    if version > given {
        return Err(CallError::PriceBookOutdated { charged_by: version, given });
    }
    let Joined { facts, provenance } = call;
    let charge = match facts.pricing().map(|pricing| prices.charge(&pricing, Some(version))).transpose() {
        Ok(charge) => charge,
        Err(ChargeError::Unpriced(_)) => None,
        Err(ChargeError::Money(error)) => return Err(error.into()),
    };
    Ok(ChargedCall { facts, provenance, charge })
}

impl Aggregate for Call {
    const CATEGORY: &'static str = "call";
    type Command = CallCommand;
    type Event = CallEvent;
    type Error = CallError;

    fn decide(&self, command: CallCommand) -> Result<Vec<CallEvent>, CallError> {
        match command {
            CallCommand::Report { facts, prices } => self.report(facts, &prices),
            CallCommand::Correct { fields, values, reason, at, prices } => {
                let corrected = self.correct(&fields, values, &prices)?;
                let event = |(before, after)| CallEvent::Corrected(CallCorrected { before, after, reason, at });
                Ok(corrected.map(event).into_iter().collect())
            }
        }
    }

    fn evolve(self, event: &CallEvent) -> Self {
        let (_, after) = event.before_and_after();
        Self { charged: Some(after.clone()) }
    }
}

#[cfg(test)]
mod tests;
