//! The correction of a call, as arguments of the command line state it, and as GraphQL takes it.

use anyhow::{Context as _, bail, ensure};
use chrono::{DateTime, SubsecRound as _, Utc};
use domain::call::{CallFacts, CallKind, CallSpan, Field, Outcome, ReportedCost, Tags};
use domain::{AgentId, Body, DagId, Meter, Money, Name, Quantity, TaskId, Usage};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::str::FromStr;
use uuid::Uuid;

/// A field, or a part of one, with its value as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum Assignment {
    Field(Field, String),
    Meter(Meter, Quantity),
    Tag(String, String),
}

impl FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once('=').ok_or("expected FIELD=VALUE, such as model=gpt-4o")?;
        let value = value.to_owned();
        match name.split_once('.') {
            Some(("tags", key)) => Ok(Self::Tag(key.to_owned(), value)),
            Some(("usage", meter)) => {
                let meter: Meter = meter.parse().map_err(|error: domain::UnknownMeter| error.to_string())?;
                let quantity = value.parse::<u64>().map_err(|error| format!("{name}: {error}"))?;
                Ok(Self::Meter(meter, Quantity::new(quantity).map_err(|error| format!("{name}: {error}"))?))
            }
            _ => match parse_field(name)? {
                Field::Usage => Err("name a meter, such as usage.input=1000".to_owned()),
                Field::Tags => Err("name a key, such as tags.team=search".to_owned()),
                field => Ok(Self::Field(field, value)),
            },
        }
    }
}

/// A field by its name in events.
pub(in crate::cli) fn parse_field(name: &str) -> Result<Field, String> {
    let known = Field::ALL.iter().copied().find(|field| field.name() == name);
    known.ok_or_else(|| {
        let names: Vec<_> = Field::ALL.iter().map(|field| field.name()).collect();
        format!("there is no field {:?}: the fields are {}", clipped(name), names.join(", "))
    })
}

fn clipped(text: &str) -> String {
    text.chars().take(64).collect()
}

/// Fields to correct, with their values. Those without a value are removed.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) struct Correction {
    pub(in crate::cli) fields: BTreeSet<Field>,
    pub(in crate::cli) values: CallFacts,
}

impl Correction {
    /// # Errors
    /// If a value is not valid, a field is named twice, or one is removed that every call has.
    pub(in crate::cli) fn new(set: Vec<Assignment>, removed: &[Field]) -> anyhow::Result<Self> {
        let values = CallFacts::new(CallKind::Llm, DateTime::<Utc>::UNIX_EPOCH, Name::new("correction")?);
        let mut correction = Self { fields: BTreeSet::new(), values };
        let (mut usage, mut meters, mut tags) = (Usage::default(), BTreeSet::new(), Vec::new());
        for assignment in set {
            match assignment {
                Assignment::Field(field, text) => {
                    correction.add(field)?;
                    correction.set(field, &text).with_context(|| format!("the value of {}", field.name()))?;
                }
                Assignment::Meter(meter, quantity) => {
                    ensure!(meters.insert(meter.name()), "usage.{} is set more than once", meter.name());
                    usage.set(meter, quantity);
                }
                Assignment::Tag(key, value) => tags.push((key, value)),
            }
        }
        for field in removed {
            let is_required = matches!(field, Field::StartedAt | Field::Usage);
            ensure!(!is_required, "{} cannot be removed: every call has one", field.name());
            ensure!(*field != Field::Tags || tags.is_empty(), "tags are both set and removed");
            correction.add(*field)?;
        }
        if !meters.is_empty() {
            correction.add(Field::Usage)?;
            correction.values.usage = usage;
        }
        if !tags.is_empty() {
            correction.add(Field::Tags)?;
            correction.values.tags = Some(Tags::new(tags)?);
        }
        Ok(correction)
    }

    fn add(&mut self, field: Field) -> anyhow::Result<()> {
        ensure!(self.fields.insert(field), "{} is named more than once", field.name());
        Ok(())
    }

    fn set(&mut self, field: Field, text: &str) -> anyhow::Result<()> {
        let values = &mut self.values;
        if let Some(name) = name_of(values, field) {
            *name = Some(Name::new(text)?);
            return Ok(());
        }
        match field {
            Field::AgentId => values.agent_id = Some(AgentId(uuid(text)?)),
            Field::TaskId => values.task_id = Some(TaskId(uuid(text)?)),
            Field::DagId => values.dag_id = Some(DagId(uuid(text)?)),
            Field::Outcome => values.outcome = Some(outcome(text)?),
            Field::LatencyMs => values.latency_ms = Some(text.parse()?),
            Field::FirstTokenMs => values.first_token_ms = Some(text.parse()?),
            Field::ReportedCost => {
                values.reported_cost = Some(ReportedCost { amount: Money::parse(text)?, source: None });
            }
            Field::Error => values.error = Some(Body::new(text)?),
            Field::Span => values.span = Some(span(text)?),
            Field::StartedAt => {
                let time = text.parse::<DateTime<Utc>>().ok();
                let time = time.context("expected a time in RFC 3339, such as 2026-03-01T12:00:00Z")?;
                values.started_at = time.trunc_subsecs(6);
            }
            other => bail!("{} cannot be set", other.name()),
        }
        Ok(())
    }

    /// The values as the input of `correctCall` has them.
    pub(super) fn graphql(&self) -> anyhow::Result<Value> {
        let facts = serde_json::to_value(&self.values)?;
        let mut values = Map::new();
        for field in &self.fields {
            let stored = facts.get(field.name()).cloned().unwrap_or_default();
            let value = match (field, stored) {
                (Field::Outcome, Value::String(outcome)) => outcome.to_uppercase().into(),
                (Field::ReportedCost, Value::Object(mut cost)) => cost.remove("amount").unwrap_or_default(),
                (Field::Tags, Value::Object(tags)) => {
                    tags.into_iter().map(|(key, value)| json!({ "key": key, "value": value })).collect()
                }
                (Field::Usage | Field::Span, Value::Object(parts)) => {
                    parts.into_iter().map(|(name, value)| (camel_case(&name), value)).collect()
                }
                (_, other) => other,
            };
            values.insert(camel_case(field.name()), value);
        }
        Ok(values.into())
    }
}

/// The value of a field that is a name; none for others.
fn name_of(values: &mut CallFacts, field: Field) -> Option<&mut Option<Name>> {
    Some(match field {
        Field::Conversation => &mut values.conversation,
        Field::User => &mut values.user,
        Field::Team => &mut values.team,
        Field::Key => &mut values.key,
        Field::Provider => &mut values.provider,
        Field::Model => &mut values.model,
        Field::Tool => &mut values.tool,
        Field::ServiceTier => &mut values.service_tier,
        Field::Speed => &mut values.speed,
        Field::Region => &mut values.region,
        Field::ResponseId => &mut values.response_id,
        Field::RequestId => &mut values.request_id,
        Field::AgentId
        | Field::TaskId
        | Field::DagId
        | Field::Outcome
        | Field::LatencyMs
        | Field::FirstTokenMs
        | Field::ReportedCost
        | Field::Error
        | Field::Tags
        | Field::Span
        | Field::Usage
        | Field::StartedAt => return None,
    })
}

fn uuid(text: &str) -> anyhow::Result<Uuid> {
    Uuid::try_parse(text).ok().context("expected a UUID")
}

fn outcome(text: &str) -> anyhow::Result<Outcome> {
    let known = Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == text);
    known.with_context(|| format!("expected one of {}", Outcome::ALL.map(Outcome::as_str).join(", ")))
}

fn span(text: &str) -> anyhow::Result<CallSpan> {
    let mut parts = text.splitn(3, ':');
    let (Some(trace), Some(span)) = (parts.next(), parts.next()) else {
        bail!("expected TRACE:SPAN or TRACE:SPAN:PARENT")
    };
    let parent_span_id = parts.next().map(str::parse).transpose()?;
    Ok(CallSpan { trace_id: trace.parse()?, span_id: span.parse()?, parent_span_id })
}

/// A name in the letters of GraphQL: `cache_write_5min` is `cacheWrite5Min`.
pub(super) fn camel_case(name: &str) -> String {
    let (mut camel, mut is_start) = (String::with_capacity(name.len()), false);
    for letter in name.chars() {
        match letter {
            '_' => is_start = true,
            letter if is_start => {
                camel.push(letter.to_ascii_uppercase());
                is_start = letter.is_ascii_digit();
            }
            letter => camel.push(letter),
        }
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::*;

    fn correction(set: &[&str], removed: &[Field]) -> anyhow::Result<Correction> {
        let set = set.iter().map(|text| text.parse().map_err(anyhow::Error::msg)).collect::<Result<_, _>>()?;
        Correction::new(set, removed)
    }

    #[test]
    fn fields_are_set_and_removed_as_graphql_takes_them() {
        let set = [
            "model=a=b",
            "latency_ms=120",
            "outcome=timeout",
            "reported_cost=0.25",
            "started_at=2026-03-01T12:00:00Z",
            "usage.input=1000",
            "usage.cache_write_5min=7",
            "tags.team=search",
            "tags.a.b=c=d",
            "span=0af7651916cd43dd8448eb211c80319c:b7ad6b7169203331",
            "agent_id=018bd12c-58b0-7683-8a5b-8752d0e86651",
        ];
        let values = correction(&set, &[Field::User]).unwrap().graphql().unwrap();
        assert_eq!(
            values,
            json!({
                "model": "a=b", "latencyMs": 120, "outcome": "TIMEOUT", "reportedCost": "0.25",
                "startedAt": "2026-03-01T12:00:00Z", "usage": { "input": 1000, "cacheWrite5Min": 7 },
                "tags": [{ "key": "a.b", "value": "c=d" }, { "key": "team", "value": "search" }],
                "span": { "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331" },
                "agentId": "018bd12c-58b0-7683-8a5b-8752d0e86651", "user": null
            })
        );
    }

    /// Every field and meter has the name that the schema has.
    #[test]
    fn every_field_and_meter_is_in_the_schema() {
        let sdl = api::schema_sdl();
        let input =
            |name: &str| sdl.split_once(&format!("input {name} {{")).unwrap().1.split_once('}').unwrap().0.to_owned();
        let (fields, meters) = (input("CallCorrection"), input("UsageInput"));
        for field in Field::ALL {
            let name = camel_case(field.name());
            assert!(fields.contains(&format!("\n  {name}: ")), "{name}");
        }
        for meter in Meter::ALL {
            let name = camel_case(meter.name());
            assert!(meters.contains(&format!("\n  {name}: ")), "{name}");
        }
    }

    #[test]
    fn what_is_no_correction_says_why() {
        let refused = |set: &[&str], removed: &[Field]| format!("{:#}", correction(set, removed).unwrap_err());
        for (set, message) in [
            (&["model"][..], "expected FIELD=VALUE"),
            (&["colour=red"], "there is no field \"colour\": the fields are agent_id"),
            (&["usage=5"], "name a meter"),
            (&["usage.coins=5"], "coins"),
            (&["usage.input=-5"], "usage.input: invalid digit"),
            (&["usage.input=9007199254740992"], "is too large"),
            (&["usage.input=5", "usage.input=6"], "usage.input is set more than once"),
            (&["model=a", "model=b"], "model is named more than once"),
            (&["model="], "the value of model"),
            (&["agent_id=x"], "the value of agent_id: expected a UUID"),
            (&["outcome=bad"], "expected one of ok, error"),
            (&["span=1"], "expected TRACE:SPAN"),
            (&["started_at=soon"], "expected a time"),
            (&["tags.a=1", "tags.a=2"], "the tag a occurs twice"),
        ] {
            assert!(refused(set, &[]).contains(message), "{set:?}: {}", refused(set, &[]));
        }
        assert!(refused(&[], &[Field::Usage]).contains("usage cannot be removed"));
        assert!(refused(&["model=a"], &[Field::Model]).contains("model is named more than once"));
        assert!(refused(&["tags.a=b"], &[Field::Tags]).contains("both set and removed"));
    }
}
