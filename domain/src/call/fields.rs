//! The facts of a call. One table declares the optional ones; the struct, its JSON Schema, the names of the fields and how
//! they are joined follow from it.

use crate::call::error::CallError;
use crate::call::values::{CallKind, CallSpan, Outcome, ReportedCost, Tags};
use crate::ids::{AgentId, DagId, TaskId};
use crate::price_book::PricingContext;
use crate::text::{Body, Name};
use crate::timestamp::ACCEPTED_YEARS;
use crate::usage::Usage;
use chrono::{DateTime, Datelike, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a field may hold, which decides how it is protected. The JSON Schema of an event states it as `x-apex-data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DataClass {
    /// Technical data about the call.
    Plain,
    /// Data that identifies a person.
    Personal,
    /// Contents of requests, responses and errors, and free text of users, any of which may hold anything.
    Content,
}

impl DataClass {
    /// The class as it is written in JSON Schemas.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Personal => "personal",
            Self::Content => "content",
        }
    }
}

/// Joins one optional field of two records. It is a trait because the fields have different types, and a closure has one.
pub(super) trait JoinField {
    /// Sets `joined` to the value of `one` or `other`.
    fn join<T: Ord + Clone>(&mut self, field: Field, one: &Option<T>, other: &Option<T>, joined: &mut Option<T>);
}

/// Passes the optional fields to a macro: documentation, variant of [`Field`], name, type, and [`DataClass`].
macro_rules! with_call_fields {
    ($then:ident) => {
        $then! {
            /// The agent that made the call.
            AgentId => agent_id: AgentId, Plain;
            /// The task that the call was made for.
            TaskId => task_id: TaskId, Plain;
            /// The task graph that the call was made for.
            DagId => dag_id: DagId, Plain;
            /// The conversation that the call is a part of, such as a session or a thread, by its id in the source.
            Conversation => conversation: Name, Plain;
            /// The user that the call was made for, by an id that the source gives.
            User => user: Name, Personal;
            /// The team that the call was made for.
            Team => team: Name, Plain;
            /// The API key that the call was made with: its name or id, never the secret.
            Key => key: Name, Plain;
            /// The provider that served the call, such as `openai`.
            Provider => provider: Name, Plain;
            /// The model that was called.
            Model => model: Name, Plain;
            /// The tool that was called.
            Tool => tool: Name, Plain;
            /// The service tier that the call was served in, such as `batch`.
            ServiceTier => service_tier: Name, Plain;
            /// The speed that the call was served at, such as `fast`.
            Speed => speed: Name, Plain;
            /// The region that the call was served in.
            Region => region: Name, Plain;
            /// How the call ended.
            Outcome => outcome: Outcome, Plain;
            /// The duration of the call in milliseconds.
            LatencyMs => latency_ms: u64, Plain;
            /// The time from the start of the call to the first token of the response, in milliseconds.
            FirstTokenMs => first_token_ms: u64, Plain;
            /// The cost that the source reported. It is informational and never replaces the charge.
            ReportedCost => reported_cost: ReportedCost, Plain;
            /// The error, if the call failed.
            Error => error: Body, Content;
            /// The tags of the call.
            Tags => tags: Tags, Content;
            /// The span that the call was.
            Span => span: CallSpan, Plain;
            /// The id that the provider gave the response.
            ResponseId => response_id: Name, Plain;
            /// The id that the provider gave the request.
            RequestId => request_id: Name, Plain;
        }
    };
}
pub(super) use with_call_fields;

/// Declares the facts and the names of their fields.
macro_rules! declare_facts {
    ($($(#[$doc:meta])* $variant:ident => $name:ident: $type:ty, $class:ident;)+) => {
        /// The facts that are known about a call: those of one record, or of several that are joined.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        pub struct CallFacts {
            /// Whether a model or a tool was called.
            pub kind: CallKind,
            $(
                $(#[$doc])*
                #[serde(default, skip_serializing_if = "Option::is_none")]
                #[schemars(extend("x-apex-data" = DataClass::$class.as_str()))]
                pub $name: Option<$type>,
            )+
            /// What the call used, by meter.
            pub usage: Usage,
            /// Whether the reader of the record derived the usage, which the record does not state.
            #[serde(default, skip_serializing_if = "std::ops::Not::not")]
            pub usage_assumed: bool,
            /// When the call started. Budgets count the call in the month of this time.
            #[serde(deserialize_with = "crate::timestamp::deserialize")]
            pub started_at: DateTime<Utc>,
            /// The source of the first record of the call, such as `claude-code`.
            pub source: Name,
            /// The id of the first record in its source.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub record_id: Option<Name>,
        }

        impl CallFacts {
            /// The facts of a call of which only the kind, the start and the source are known.
            #[must_use]
            pub fn new(kind: CallKind, started_at: DateTime<Utc>, source: Name) -> Self {
                Self {
                    kind,
                    $($name: None,)+
                    usage: Usage::default(),
                    usage_assumed: false,
                    started_at,
                    source,
                    record_id: None,
                }
            }

            /// Takes one field from other facts.
            pub(super) fn copy_field(&mut self, field: Field, from: &Self) {
                match field {
                    $(Field::$variant => self.$name.clone_from(&from.$name),)+
                    Field::Usage => {
                        self.usage = from.usage;
                        self.usage_assumed = from.usage_assumed;
                    }
                    Field::StartedAt => self.started_at = from.started_at,
                }
            }

            /// Sets each optional field to that of `one` or `other`.
            pub(super) fn join_fields(&mut self, one: &Self, other: &Self, join: &mut impl JoinField) {
                $(join.join(Field::$variant, &one.$name, &other.$name, &mut self.$name);)+
            }
        }

        /// A field of a call that is taken from one of its records, or corrected.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Field {
            $($(#[$doc])* $variant,)+
            /// The usage, all meters together.
            Usage,
            /// When the call started.
            StartedAt,
        }

        impl Field {
            /// Every field.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+ Self::Usage, Self::StartedAt];

            /// The name of the field in events.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($name),)+
                    Self::Usage => "usage",
                    Self::StartedAt => "started_at",
                }
            }

            /// What the field may hold.
            #[must_use]
            pub const fn data_class(self) -> DataClass {
                match self {
                    $(Self::$variant => DataClass::$class,)+
                    Self::Usage | Self::StartedAt => DataClass::Plain,
                }
            }
        }
    };
}

with_call_fields!(declare_facts);

/// The longest latency that is accepted, in milliseconds: 30 days.
pub const MAX_LATENCY_MS: u64 = 30 * 24 * 3_600_000;

impl CallFacts {
    /// Checks the facts on their own, independent of the state of the call.
    ///
    /// # Errors
    /// The [`CallError`] that every call would reject these facts with.
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
        if let Some(ms) = self.latency_ms.max(self.first_token_ms).filter(|ms| *ms > MAX_LATENCY_MS) {
            return Err(CallError::LatencyTooLong(ms));
        }
        match self.reported_cost {
            Some(cost) if cost.amount.is_negative() => Err(CallError::NegativeCost(cost.amount)),
            _ => Ok(()),
        }
    }

    /// Whether the call failed: its outcome says so, or else that it has an error.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.outcome.map_or(self.error.is_some(), Outcome::is_failure)
    }

    /// What the charge depends on; none without a model.
    #[must_use]
    pub fn pricing(&self) -> Option<PricingContext<'_>> {
        Some(PricingContext {
            provider: self.provider.as_ref(),
            model: self.model.as_ref()?,
            usage: &self.usage,
            started_at: self.started_at,
            service_tier: self.service_tier.as_ref(),
            speed: self.speed.as_ref(),
            region: self.region.as_ref(),
        })
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::EventSchema;
    use serde_json::Value;

    #[test]
    fn the_outcome_says_whether_a_call_failed_and_the_error_only_without_it() {
        let failed = |outcome, error: Option<&str>| {
            let error = error.map(|error| Body::new(error).unwrap());
            let source = Name::new("test").unwrap();
            CallFacts { outcome, error, ..CallFacts::new(CallKind::Llm, DateTime::UNIX_EPOCH, source) }.failed()
        };
        let failing: Vec<_> = Outcome::ALL.into_iter().filter(|outcome| failed(Some(*outcome), None)).collect();
        assert_eq!(failing, [Outcome::Error, Outcome::Timeout, Outcome::Refused]);
        for outcome in Outcome::ALL {
            assert_eq!(failed(Some(outcome), Some("retried")), outcome.is_failure(), "{outcome:?}");
        }
        assert!(failed(None, Some("overloaded")) && !failed(None, None));
    }

    #[test]
    fn the_schema_has_every_field_and_says_what_it_may_hold() {
        let schema = EventSchema::of::<CallFacts>("test.happened", 1).schema;
        for &field in Field::ALL {
            assert_eq!(serde_json::to_value(field).unwrap(), field.name());
            let property = &schema["properties"][field.name()];
            assert!(property.is_object(), "{field} is no field of the facts");
            let class = property.get("x-apex-data").and_then(Value::as_str).unwrap_or(DataClass::Plain.as_str());
            assert_eq!(class, field.data_class().as_str(), "{field}");
        }
        let of_class =
            |class| Field::ALL.iter().filter(move |field| field.data_class() == class).map(|field| field.name());
        assert_eq!(of_class(DataClass::Personal).collect::<Vec<_>>(), ["user"]);
        assert_eq!(of_class(DataClass::Content).collect::<Vec<_>>(), ["error", "tags"]);
    }
}
