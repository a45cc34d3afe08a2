//! Corrections of calls.

use super::facts::{self, CallOutcome, CallSpanInput, CostSource, TagInput};
use crate::graphql::ids::Kind;
use crate::graphql::input::{self, Invalid};
use crate::graphql::scalars::{Decimal, Long, Timestamp};
use crate::graphql::usage::UsageInput;
use async_graphql::{ID, InputObject, MaybeUndefined, Result};
use chrono::DateTime;
use domain::call::{CallFacts, CallKind, Field, ReportedCost};
use domain::{AgentId, DagId, Money, Name, TaskId};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Fields of a call to correct, with their values. A field that is not given is not corrected; null removes the value of a
/// field, for good.
#[derive(Debug, InputObject)]
pub(crate) struct CallCorrection {
    /// Global id or UUID of the agent that made the call.
    agent_id: MaybeUndefined<ID>,
    /// Global id or UUID of the task that the call was made for.
    task_id: MaybeUndefined<ID>,
    /// Global id or UUID of the task graph that the call was made for.
    dag_id: MaybeUndefined<ID>,
    /// Conversation that the call is a part of: one line of at most 256 bytes.
    conversation: MaybeUndefined<String>,
    /// User that the call was made for: one line of at most 256 bytes.
    user: MaybeUndefined<String>,
    /// Team that the call was made for: one line of at most 256 bytes.
    team: MaybeUndefined<String>,
    /// Name or id of the API key that the call was made with, never the secret: one line of at most 256 bytes.
    key: MaybeUndefined<String>,
    /// Provider that served the call: one line of at most 256 bytes.
    provider: MaybeUndefined<String>,
    /// Model that served the call: one line of at most 256 bytes.
    model: MaybeUndefined<String>,
    /// Tool that was called: one line of at most 256 bytes.
    tool: MaybeUndefined<String>,
    /// Service tier that the call was served in: one line of at most 256 bytes.
    service_tier: MaybeUndefined<String>,
    /// Speed that the call was served at: one line of at most 256 bytes.
    speed: MaybeUndefined<String>,
    /// Region that the call was served in: one line of at most 256 bytes.
    region: MaybeUndefined<String>,
    /// How the call ended.
    outcome: MaybeUndefined<CallOutcome>,
    /// Duration of the call, in milliseconds, at most 30 days.
    latency_ms: MaybeUndefined<Long>,
    /// Time from the start of the call to the first token of the response, in milliseconds, at most 30 days.
    first_token_ms: MaybeUndefined<Long>,
    /// Cost that the reporting source states, in US dollars. It is informative and never charged.
    reported_cost: MaybeUndefined<Decimal>,
    /// Where the reported cost comes from. It has no effect without `reportedCost`.
    reported_cost_source: Option<CostSource>,
    /// Error with which the call failed: text of at most 64 KiB.
    error: MaybeUndefined<String>,
    /// Tags of the call, at most 16.
    tags: MaybeUndefined<Vec<TagInput>>,
    /// Span that the call was.
    span: MaybeUndefined<CallSpanInput>,
    /// Id that the provider gave the response: one line of at most 256 bytes.
    response_id: MaybeUndefined<String>,
    /// Id that the provider gave the request: one line of at most 256 bytes.
    request_id: MaybeUndefined<String>,
    /// Usage of the call, all meters together.
    usage: Option<UsageInput>,
    /// Time at which the call started.
    started_at: Option<Timestamp>,
}

/// Fields to correct, with their values.
#[derive(Debug)]
pub(super) struct Correction {
    pub(super) fields: BTreeSet<Field>,
    pub(super) values: CallFacts,
}

impl Correction {
    /// Errors of the response for ids that are not valid, and an error of the command for other fields.
    pub(super) fn new(given: CallCorrection) -> Result<Result<Self, Invalid>> {
        let id = |kind: Kind, id: &MaybeUndefined<ID>| id.as_opt_ref().map(|id| kind.parse_opt(id)).transpose();
        let agent = id(Kind::Agent, &given.agent_id)?;
        let task = id(Kind::Task, &given.task_id)?;
        let dag = id(Kind::Dag, &given.dag_id)?;
        Ok(Self::checked(given, agent, task, dag))
    }

    fn checked(
        given: CallCorrection,
        agent: Option<Option<Uuid>>,
        task: Option<Option<Uuid>>,
        dag: Option<Option<Uuid>>,
    ) -> Result<Self, Invalid> {
        let source = input::name("source", "correction".to_owned())?;
        let mut correction =
            Self { fields: BTreeSet::new(), values: CallFacts::new(CallKind::Llm, DateTime::UNIX_EPOCH, source) };
        correction.set_ids(agent, task, dag);
        let cost_source = given.reported_cost_source.map(Into::into);
        correction.set_names([
            (Field::Conversation, "values.conversation", given.conversation, |facts| &mut facts.conversation),
            (Field::User, "values.user", given.user, |facts| &mut facts.user),
            (Field::Team, "values.team", given.team, |facts| &mut facts.team),
            (Field::Key, "values.key", given.key, |facts| &mut facts.key),
            (Field::Provider, "values.provider", given.provider, |facts| &mut facts.provider),
            (Field::Model, "values.model", given.model, |facts| &mut facts.model),
            (Field::Tool, "values.tool", given.tool, |facts| &mut facts.tool),
            (Field::ServiceTier, "values.serviceTier", given.service_tier, |facts| &mut facts.service_tier),
            (Field::Speed, "values.speed", given.speed, |facts| &mut facts.speed),
            (Field::Region, "values.region", given.region, |facts| &mut facts.region),
            (Field::ResponseId, "values.responseId", given.response_id, |facts| &mut facts.response_id),
            (Field::RequestId, "values.requestId", given.request_id, |facts| &mut facts.request_id),
        ])?;
        let cost = |amount: Decimal| {
            let amount = Money::try_from(&amount).map_err(|error| Invalid::new("values.reportedCost", error))?;
            Ok(ReportedCost { amount, source: cost_source })
        };
        correction.set(Field::ReportedCost, given.reported_cost, |facts| &mut facts.reported_cost, cost)?;
        let outcome = |outcome: CallOutcome| Ok(outcome.into());
        correction.set(Field::Outcome, given.outcome, |facts| &mut facts.outcome, outcome)?;
        let ms = |ms: Long| Ok(ms.unsigned());
        correction.set(Field::LatencyMs, given.latency_ms, |facts| &mut facts.latency_ms, ms)?;
        correction.set(Field::FirstTokenMs, given.first_token_ms, |facts| &mut facts.first_token_ms, ms)?;
        let error = |text| input::body("values.error", text);
        correction.set(Field::Error, given.error, |facts| &mut facts.error, error)?;
        correction.set(Field::Span, given.span, |facts| &mut facts.span, TryInto::try_into)?;
        // No tags are the same as null.
        let tags = match given.tags {
            MaybeUndefined::Value(tags) => {
                facts::tags("values.tags", Some(tags))?.map_or(MaybeUndefined::Null, MaybeUndefined::Value)
            }
            MaybeUndefined::Null => MaybeUndefined::Null,
            MaybeUndefined::Undefined => MaybeUndefined::Undefined,
        };
        correction.set(Field::Tags, tags, |facts| &mut facts.tags, Ok)?;
        if let Some(usage) = given.usage {
            correction.values.usage = usage.try_into()?;
            correction.fields.insert(Field::Usage);
        }
        if let Some(started_at) = given.started_at {
            correction.values.started_at = started_at.0;
            correction.fields.insert(Field::StartedAt);
        }
        Ok(correction)
    }

    fn set_ids(&mut self, agent: Option<Option<Uuid>>, task: Option<Option<Uuid>>, dag: Option<Option<Uuid>>) {
        self.values.agent_id = agent.flatten().map(AgentId);
        self.values.task_id = task.flatten().map(TaskId);
        self.values.dag_id = dag.flatten().map(DagId);
        let given = [(Field::AgentId, agent), (Field::TaskId, task), (Field::DagId, dag)];
        self.fields.extend(given.into_iter().filter_map(|(field, id)| id.map(|_| field)));
    }

    fn set_names<const N: usize>(&mut self, names: [NameField; N]) -> Result<(), Invalid> {
        for (field, path, given, value) in names {
            self.set(field, given, value, |text| input::name(path, text))?;
        }
        Ok(())
    }

    fn set<T, V>(
        &mut self,
        field: Field,
        given: MaybeUndefined<T>,
        value: impl Fn(&mut CallFacts) -> &mut Option<V>,
        check: impl Fn(T) -> Result<V, Invalid>,
    ) -> Result<(), Invalid> {
        *value(&mut self.values) = match given {
            MaybeUndefined::Undefined => return Ok(()),
            MaybeUndefined::Null => None,
            MaybeUndefined::Value(given) => Some(check(given)?),
        };
        self.fields.insert(field);
        Ok(())
    }
}

/// A field that is a name: the field, its path in the input, what is given, and where its value is.
type NameField = (Field, &'static str, MaybeUndefined<String>, fn(&mut CallFacts) -> &mut Option<Name>);
