//! The events of a call, and the call that they carry: its facts with the charge.

use super::fields::{CallFacts, DataClass, Field};
use super::join::{GATEWAY_SOURCE, Provenance};
use super::reporters::Reporters;
use super::values::{CallKind, Tags};
use crate::codec::events;
use crate::ids::{CallId, ImportId, ReservationId};
use crate::money::Money;
use crate::price_book::Charge;
use crate::text::{Body, Name, TagKey};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The facts of a call with its charge.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
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
    /// The keys of the tags by whose values the call is counted: those that were declared when it was reported or corrected.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(extend("minItems" = 1, "maxItems" = 16))]
    pub counted_tags: BTreeSet<TagKey>,
    /// The reservation that the call settled, in whose periods budgets count it; absent if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation_id: Option<ReservationId>,
    /// Who reported the call; absent if the import that the correlation id of the event names did, and no one else.
    #[serde(default = "Reporters::of_event", skip_serializing_if = "Reporters::is_of_event")]
    pub reported_by: Reporters,
}

impl ChargedCall {
    /// The charged amount; none if the call has no charge.
    #[must_use]
    pub fn cost(&self) -> Option<Money> {
        self.charge.as_ref().map(|charge| charge.amount)
    }

    /// The version of the price book that the call was charged by; none if it has no charge.
    pub(super) fn book_version(&self) -> Option<u64> {
        self.charge.as_ref().map(|charge| charge.book_version)
    }

    /// The tags by whose values the call is counted.
    pub fn counted(&self) -> impl Iterator<Item = (&TagKey, &Name)> {
        let tags = self.facts.tags.iter().flat_map(Tags::iter);
        tags.filter(|(key, _)| self.counted_tags.contains(*key))
    }

    /// Whether the calls are the same but for who reported them.
    pub(super) fn is_same_but_for_reporters(&self, other: &Self) -> bool {
        let Self { facts, provenance, charge, counted_tags, reservation_id, reported_by: _ } = self;
        (facts, provenance, charge, counted_tags, reservation_id)
            == (&other.facts, &other.provenance, &other.charge, &other.counted_tags, &other.reservation_id)
    }

    /// Whether the gateway passed the call on, and does not know what it used.
    #[must_use]
    pub fn is_assumed_by_gateway(&self) -> bool {
        let is_of_client = self.provenance.origins.iter().any(|origin| origin.fields.contains(&Field::Usage));
        self.facts.usage_assumed && !is_of_client && self.facts.source.as_str() == GATEWAY_SOURCE
    }

    /// Whether it is an LLM call without a known price.
    #[must_use]
    pub fn is_unpriced(&self) -> bool {
        self.facts.kind == CallKind::Llm && self.charge.is_none()
    }
}

/// A call that became a part of another one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AbsorbedCall {
    /// The id that the call had, which is voided by the same command.
    pub id: CallId,
    /// The facts and charge that were recorded under the id.
    pub before: ChargedCall,
}

/// The payload of `call.recorded`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CallRecorded {
    /// The facts and charge.
    #[serde(flatten)]
    pub after: ChargedCall,
    /// The calls of higher ids that became a part of this one, ordered by id; absent if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absorbed: Vec<AbsorbedCall>,
    /// The reservation that the event settles: budgets are charged in the same append. Absent if the charging policy charges them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settles: Option<ReservationId>,
    /// Whether the same append charges only the periods that were reserved in, because there are too many others: the charging policy
    /// charges these. Absent if all are charged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_part: bool,
}

impl From<ChargedCall> for CallRecorded {
    fn from(after: ChargedCall) -> Self {
        Self { after, absorbed: Vec::new(), settles: None, in_part: false }
    }
}

/// The payload of `call.amended`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CallAmended {
    /// The facts and charge before the amendment.
    pub before: ChargedCall,
    /// The facts and charge after the amendment.
    pub after: ChargedCall,
    /// The calls of higher ids that became a part of this one, ordered by id; absent if there are none. The call itself may
    /// be the same as before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absorbed: Vec<AbsorbedCall>,
    /// The reservation that the event settles: budgets are charged in the same append. Absent if the charging policy charges them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settles: Option<ReservationId>,
    /// Whether the same append charges only the periods that were reserved in, because there are too many others: the charging policy
    /// charges these. Absent if all are charged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_part: bool,
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

/// The payload of `call.repriced`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CallRepriced {
    /// The facts and the charge as it was before.
    pub before: ChargedCall,
    /// The same facts, with the charge by a later version of the price book.
    pub after: ChargedCall,
    /// Why the call was charged again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-apex-data" = DataClass::Content.as_str()))]
    pub reason: Option<Body>,
    /// When the call was charged again.
    pub at: DateTime<Utc>,
}

/// The payload of `call.voided`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CallVoided {
    /// The call that the id is one more id of from now on. Its own id is lower than the voided one. If a call was recorded
    /// under the voided id, the event of the other call has it as absorbed.
    pub into: CallId,
}

/// The payload of `call.reversed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CallReversed {
    /// The facts and charge before the reversal, of which nothing is counted any more.
    pub before: ChargedCall,
    /// The import that was taken back, which alone had reported the call; absent if the call was reversed for another cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import_id: Option<ImportId>,
    /// Why the call was voided, or the import taken back; absent if the call repeats others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-apex-data" = DataClass::Content.as_str()))]
    pub reason: Option<Body>,
    /// When the call was voided, or the import taken back; absent if the call repeats others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<DateTime<Utc>>,
}

impl CallReversed {
    /// The reversal of a call that repeats others.
    #[must_use]
    pub fn repeat(before: ChargedCall) -> Self {
        Self { before, import_id: None, reason: None, at: None }
    }

    /// Whether the call was reversed because it repeats others.
    #[must_use]
    pub fn is_repeat(&self) -> bool {
        self.reason.is_none() && self.import_id.is_none()
    }

    /// Whether a command voided the call, which is final: no later report records it anew.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.reason.is_some() && self.import_id.is_none()
    }
}

/// The payload of `call.confirmed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CallConfirmed {
    /// Who reported the call, and had not done so before: no import if a report did that belongs to none.
    pub reported_by: Reporters,
}

/// The payload of `call.report_withdrawn`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CallReportWithdrawn {
    /// The import that was taken back.
    pub import_id: ImportId,
    /// Who reported the call beside that import: no import if only reports did that belong to none, and if nobody did of a call
    /// that is not counted because it repeats others.
    pub reported_by: Reporters,
    /// Why the import was taken back.
    #[schemars(extend("x-apex-data" = DataClass::Content.as_str()))]
    pub reason: Body,
    /// When the import was taken back.
    pub at: DateTime<Utc>,
}

events! {
    /// An event of a call.
    pub enum CallEvent {
        /// The call was reported for the first time, or for the first time since it was reversed.
        "call.recorded" v 1 => Recorded(CallRecorded),
        /// A later record changed the facts or the charge.
        "call.amended" v 1 => Amended(CallAmended),
        /// A correction replaced facts.
        "call.corrected" v 1 => Corrected(CallCorrected),
        /// The call was charged by a later version of the price book.
        "call.repriced" v 1 => Repriced(CallRepriced),
        /// A record had the keys of two calls: this id is another id of the call with the lower id. Written again when the
        /// id is used after that call was voided too.
        "call.voided" v 1 => Voided(CallVoided),
        /// The call is not counted any more: its record repeats the usage of other calls, the import that alone reported it was
        /// taken back, or a command voided it. After a repeat, it is recorded anew if another record of it is reported, and if its
        /// trace charges it; after an import that was taken back, if it is reported again.
        "call.reversed" v 1 => Reversed(CallReversed),
        /// An import that had not reported the call before, or a report that belongs to no import, said nothing new about it.
        "call.confirmed" v 1 => Confirmed(CallConfirmed),
        /// An import that reported the call was taken back. The call stays, because others reported it too; or it is not
        /// counted already, because it repeats others.
        "call.report_withdrawn" v 1 => ReportWithdrawn(CallReportWithdrawn),
    }
}

impl CallEvent {
    /// The event with the reporters of all calls that it states changed.
    pub(super) fn with_reporters(mut self, change: impl Fn(&mut Reporters)) -> Self {
        let of_absorbed = |absorbed: &mut Vec<AbsorbedCall>| {
            absorbed.iter_mut().for_each(|absorbed| change(&mut absorbed.before.reported_by));
        };
        match &mut self {
            Self::Recorded(CallRecorded { after, absorbed, .. }) => {
                change(&mut after.reported_by);
                of_absorbed(absorbed);
            }
            Self::Amended(CallAmended { before, after, absorbed, .. }) => {
                change(&mut before.reported_by);
                change(&mut after.reported_by);
                of_absorbed(absorbed);
            }
            Self::Corrected(CallCorrected { before, after, .. })
            | Self::Repriced(CallRepriced { before, after, .. }) => {
                change(&mut before.reported_by);
                change(&mut after.reported_by);
            }
            Self::Reversed(CallReversed { before, .. }) => change(&mut before.reported_by),
            // Events that are about reporters state them.
            Self::Confirmed(_) | Self::ReportWithdrawn(_) | Self::Voided(_) => {}
        }
        self
    }

    /// The calls that the event replaces, and the call after it: a sum over calls subtracts the former and adds the latter.
    /// The call itself comes before those that it absorbed. An event that voids an id changes no sum: the event of the call
    /// that remains has all of the difference, so that sums by a reader of one of the two streams are never off by a call.
    /// Events about who reported the call replace nothing.
    #[must_use]
    pub fn befores_and_after(&self) -> (Vec<&ChargedCall>, Option<&ChargedCall>) {
        match self {
            Self::Recorded(CallRecorded { after, absorbed, .. }) => (befores(None, absorbed), Some(after)),
            Self::Amended(CallAmended { before, after, absorbed, .. }) => {
                (befores(Some(before), absorbed), Some(after))
            }
            Self::Corrected(CallCorrected { before, after, .. })
            | Self::Repriced(CallRepriced { before, after, .. }) => (vec![before], Some(after)),
            Self::Voided(CallVoided { .. }) => (Vec::new(), None),
            Self::Reversed(CallReversed { before, .. }) => (vec![before], None),
            Self::Confirmed(_) | Self::ReportWithdrawn(_) => (Vec::new(), None),
        }
    }
}

impl CallEvent {
    /// The reservation that the event settles, if it settles one: its own append charges budgets.
    #[must_use]
    pub fn settles(&self) -> Option<ReservationId> {
        match self {
            Self::Recorded(CallRecorded { settles, .. }) | Self::Amended(CallAmended { settles, .. }) => *settles,
            Self::Corrected(_)
            | Self::Repriced(_)
            | Self::Voided(_)
            | Self::Reversed(_)
            | Self::Confirmed(_)
            | Self::ReportWithdrawn(_) => None,
        }
    }

    /// Whether the event settles a reservation, and its own append charges only the periods that were reserved in.
    #[must_use]
    pub fn settles_in_part(&self) -> bool {
        match self {
            Self::Recorded(CallRecorded { in_part, settles, .. })
            | Self::Amended(CallAmended { in_part, settles, .. }) => *in_part && settles.is_some(),
            Self::Corrected(_)
            | Self::Repriced(_)
            | Self::Voided(_)
            | Self::Reversed(_)
            | Self::Confirmed(_)
            | Self::ReportWithdrawn(_) => false,
        }
    }

    /// Whether the charging policy charges the event, or a part of it.
    #[must_use]
    pub fn is_charged_by_policy(&self) -> bool {
        self.settles().is_none() || self.settles_in_part()
    }

    /// The event, if it settles a reservation, as one whose append charges only the periods that were reserved in.
    #[must_use]
    pub fn in_part(mut self) -> Self {
        match &mut self {
            Self::Recorded(CallRecorded { in_part, .. }) | Self::Amended(CallAmended { in_part, .. }) => {
                *in_part = true
            }
            Self::Corrected(_)
            | Self::Repriced(_)
            | Self::Voided(_)
            | Self::Reversed(_)
            | Self::Confirmed(_)
            | Self::ReportWithdrawn(_) => {}
        }
        self
    }

    /// Every reservation whose call the event states.
    pub fn reservations(&self) -> impl Iterator<Item = ReservationId> {
        let (befores, after) = self.befores_and_after();
        befores.into_iter().chain(after).filter_map(|call| call.reservation_id)
    }
}

fn befores<'e>(call: Option<&'e ChargedCall>, absorbed: &'e [AbsorbedCall]) -> Vec<&'e ChargedCall> {
    call.into_iter().chain(absorbed.iter().map(|absorbed| &absorbed.before)).collect()
}
