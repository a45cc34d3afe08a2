//! Reads the calls that events state.
//!
//! All fields of a call are at one level of a payload. Derived code would copy each of them into a buffer before it reads the
//! structs that are flattened, which takes most of the time of reading an event.

use crate::call::event::{AbsorbedCall, CallRecorded, ChargedCall};
use crate::call::fields::{CallFacts, with_call_fields};
use crate::call::join::Provenance;
use crate::call::reporters::Reporters;
use crate::call::values::{CallKind, CallSpan, Outcome, ReportedCost, Tags};
use crate::ids::{AgentId, DagId, ReservationId, TaskId};
use crate::price_book::Charge;
use crate::text::{Body, Name, TagKey};
use crate::usage::Usage;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeSet;

macro_rules! declare_flat_call {
    ($($(#[$doc:meta])* $variant:ident => $name:ident: $type:ty, $class:ident;)+) => {
        /// The fields of [`CallRecorded`], which include those of [`ChargedCall`] and [`CallFacts`].
        #[derive(Deserialize)]
        struct FlatCall {
            kind: CallKind,
            $($name: Option<$type>,)+
            usage: Usage,
            #[serde(default)]
            usage_assumed: bool,
            #[serde(deserialize_with = "crate::timestamp::deserialize")]
            started_at: DateTime<Utc>,
            source: Name,
            record_id: Option<Name>,
            #[serde(default)]
            provenance: Provenance,
            charge: Option<Charge>,
            #[serde(default)]
            counted_tags: BTreeSet<TagKey>,
            reservation_id: Option<ReservationId>,
            #[serde(default = "Reporters::of_event")]
            reported_by: Reporters,
            #[serde(default)]
            absorbed: Vec<AbsorbedCall>,
            settles: Option<ReservationId>,
            #[serde(default)]
            in_part: bool,
        }

        impl From<FlatCall> for CallRecorded {
            fn from(flat: FlatCall) -> Self {
                let facts = CallFacts {
                    kind: flat.kind,
                    $($name: flat.$name,)+
                    usage: flat.usage,
                    usage_assumed: flat.usage_assumed,
                    started_at: flat.started_at,
                    source: flat.source,
                    record_id: flat.record_id,
                };
                let FlatCall { provenance, charge, counted_tags, reservation_id, reported_by, absorbed, settles, in_part, .. } = flat;
                let after = ChargedCall { facts, provenance, charge, counted_tags, reservation_id, reported_by };
                Self { after, absorbed, settles, in_part }
            }
        }
    };
}
with_call_fields!(declare_flat_call);

impl<'de> Deserialize<'de> for CallRecorded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        FlatCall::deserialize(deserializer).map(Into::into)
    }
}

impl<'de> Deserialize<'de> for ChargedCall {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        CallRecorded::deserialize(deserializer).map(|recorded| recorded.after)
    }
}
