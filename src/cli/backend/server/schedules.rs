//! Schedules at a server.

use super::super::correction::camel_case;
use super::super::operations::{ScheduleMove, ScheduleOperations, ShownRun, ShownSchedule};
use super::super::schedules::{SHOWN_RUNS, definition};
use super::{Listed, OnServer, documents};
use chrono::{DateTime, NaiveDate, Utc};
use commands::OutcomeKind;
use domain::schedule::ScheduleDefinition;
use domain::{Body, ScheduleId};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    uuid: Uuid,
    name: String,
    status: String,
    definition: Map<String, Value>,
    owner: String,
    failure: Option<String>,
    last_ran_at: Option<DateTime<Utc>>,
    next_run_at: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    outcome: String,
    due_at: Option<DateTime<Utc>>,
    request: Option<i64>,
    last_due_at: Option<DateTime<Utc>>,
    skipped: Option<i64>,
    period: Option<String>,
    file: Option<String>,
    bytes: Option<i64>,
    sha256: Option<String>,
    rows: Option<i64>,
    known_at: Option<String>,
    reason: Option<String>,
    at: DateTime<Utc>,
}

/// The fields of a definition whose values are names of the schema.
const NAMES: [&str; 6] = ["content", "format", "by", "every", "weekday", "period"];

fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 2);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

fn with_case(value: Value, change: fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => change(&text).into(),
        Value::Array(values) => values.into_iter().map(|value| with_case(value, change)).collect(),
        other => other,
    }
}

/// The filters, with the dimensions in another case.
fn filters(value: Value, change: fn(&str) -> String) -> Value {
    let filter = |mut filter: Value| {
        let dimension = with_case(filter["dimension"].take(), change);
        filter["dimension"] = dimension;
        filter
    };
    match value {
        Value::Array(values) => values.into_iter().map(filter).collect(),
        other => other,
    }
}

fn lower(text: &str) -> String {
    text.to_lowercase()
}

fn upper(text: &str) -> String {
    text.to_uppercase()
}

impl From<Found> for ShownSchedule {
    fn from(found: Found) -> Self {
        let field = |(name, value): (String, Value)| {
            let value = match name.as_str() {
                "filters" => filters(value, lower),
                known if NAMES.contains(&known) => with_case(value, lower),
                _ => value,
            };
            (snake_case(&name), value)
        };
        Self {
            id: ScheduleId(found.uuid),
            name: found.name,
            status: found.status.to_lowercase(),
            definition: Value::Object(found.definition.into_iter().map(field).collect()),
            owner: found.owner,
            failure: found.failure,
            last_ran_at: found.last_ran_at,
            next_run_at: found.next_run_at,
        }
    }
}

impl From<Run> for ShownRun {
    fn from(run: Run) -> Self {
        Self {
            outcome: run.outcome.to_lowercase(),
            due_at: run.due_at,
            request: run.request,
            last_due_at: run.last_due_at,
            skipped: run.skipped,
            period: run.period,
            file: run.file,
            bytes: run.bytes,
            sha256: run.sha256,
            rows: run.rows,
            known_at: run.known_at.and_then(|position| position.parse().ok()),
            reason: run.reason,
            at: run.at,
        }
    }
}

/// The definition as the input of GraphQL has it.
fn input(of: &ScheduleDefinition) -> Value {
    let Value::Object(shown) = definition(of) else { return Value::Null };
    let field = |(name, value): (String, Value)| match name.as_str() {
        "filters" => ("filter".to_owned(), filters(value, upper)),
        known if NAMES.contains(&known) => (camel_case(&name), with_case(value, upper)),
        _ => (camel_case(&name), value),
    };
    let mut input: Map<String, Value> = shown.into_iter().map(field).collect();
    input.insert("name".to_owned(), json!(of.name));
    Value::Object(input)
}

impl ScheduleOperations for OnServer {
    async fn schedules(&self) -> anyhow::Result<Listed<ShownSchedule>> {
        self.list::<Found, _>(documents::SCHEDULES, json!({}), "/schedules").await
    }

    async fn schedule(&self, id: ScheduleId) -> anyhow::Result<Option<(ShownSchedule, Vec<ShownRun>)>> {
        let variables = json!({ "id": id.0, "first": SHOWN_RUNS });
        let mut found: Value = self.client.get(documents::SCHEDULE, variables, "/schedule").await?;
        if found.is_null() {
            return Ok(None);
        }
        let runs: Vec<Run> = self.client.take(&mut found, "/runs/nodes")?;
        let found: Found = self.client.take(&mut found, "")?;
        Ok(Some((found.into(), runs.into_iter().map(ShownRun::from).collect())))
    }

    async fn define_schedule(
        &self,
        definition: ScheduleDefinition,
        reason: Option<Body>,
    ) -> anyhow::Result<ScheduleId> {
        let given = json!({ "definition": input(&definition), "reason": reason });
        let id: Uuid = self.created(documents::DEFINE_SCHEDULE, given, ("/defineSchedule", "/schedule/uuid")).await?;
        Ok(ScheduleId(id))
    }

    async fn change_schedule(
        &self,
        id: ScheduleId,
        definition: ScheduleDefinition,
        reason: Option<Body>,
    ) -> anyhow::Result<OutcomeKind> {
        let given = json!({ "id": id.0, "definition": input(&definition), "reason": reason });
        self.done(documents::CHANGE_SCHEDULE, given, "/changeSchedule").await
    }

    async fn move_schedule(
        &self,
        id: ScheduleId,
        to: ScheduleMove,
        reason: Option<Body>,
    ) -> anyhow::Result<OutcomeKind> {
        let (document, path) = match to {
            ScheduleMove::Pause => (documents::PAUSE_SCHEDULE, "/pauseSchedule"),
            ScheduleMove::Resume => (documents::RESUME_SCHEDULE, "/resumeSchedule"),
            ScheduleMove::Delete => (documents::DELETE_SCHEDULE, "/deleteSchedule"),
        };
        self.done(document, json!({ "id": id.0, "reason": reason }), path).await
    }

    async fn run_schedule(&self, id: ScheduleId, day: Option<NaiveDate>) -> anyhow::Result<()> {
        self.done(documents::RUN_SCHEDULE, json!({ "id": id.0, "day": day }), "/runSchedule").await.map(drop)
    }
}
