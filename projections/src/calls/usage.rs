//! Usage and cost of calls: by quarter of an hour and the dimensions with few values, by day and one of those with many, and
//! by hour and one declared tag.

use super::rollup::{Counted, Key, Rollup, Sign, Table};
use crate::projection::ApplyError;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use domain::call::{CallEvent, CallFacts, ChargedCall};
use domain::{Name, derived_id};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

/// The version of the read model that these tables are a part of. It is increased when the same events result in other
/// rows of any of its tables.
pub(super) const VERSION: i32 = 3;

/// Sums by quarter of an hour × all dimensions with few values.
const QUARTERS: Table<2, 1, 8> = Table {
    name: "usage_quarter_hourly",
    times: ["hour", "quarter"],
    ids: ["agent_id"],
    texts: ["user_id", "team", "key", "provider", "model", "tool", "outcome", "source"],
    derived_id: Some(("cell", cell)),
    cell: "tenant_id, hour, quarter, cell",
};

/// Sums by day (UTC) × one dimension with many values, which the column `dimension` names.
const DAYS: Table<1, 2, 2> = Table {
    name: "usage_daily",
    times: ["day"],
    ids: ["task_id", "dag_id"],
    texts: ["dimension", "conversation"],
    derived_id: None,
    cell: "tenant_id, dimension, day, task_id, dag_id, conversation",
};

/// Sums by hour × one tag under which calls are counted.
const TAGS: Table<1, 0, 2> = Table {
    name: "usage_hourly_by_tag",
    times: ["hour"],
    ids: [],
    texts: ["tag_key", "tag_value"],
    derived_id: None,
    cell: "tenant_id, tag_key, hour, tag_value",
};

/// The usage tables, with the columns of their keys.
pub(super) const TABLES: [(&str, &str); 3] =
    [(QUARTERS.name, QUARTERS.cell), (DAYS.name, DAYS.cell), (TAGS.name, TAGS.cell)];

/// What a batch adds to the usage tables.
pub(super) struct UsageSums<'e> {
    quarters: Rollup<'e, 2, 1, 8>,
    tags: Rollup<'e, 1, 0, 2>,
    days: Rollup<'e, 1, 2, 2>,
}

impl<'e> UsageSums<'e> {
    pub(super) fn new() -> Self {
        Self { quarters: Rollup::new(&QUARTERS), tags: Rollup::new(&TAGS), days: Rollup::new(&DAYS) }
    }

    /// Adds the usage of the call after the event, and subtracts that of the calls that it replaces.
    pub(super) fn add(&mut self, tenant: &'e str, event: &'e CallEvent) -> Result<(), ApplyError> {
        let (befores, after) = event.befores_and_after();
        for before in befores {
            self.count(tenant, before, Sign::Minus)?;
        }
        match after {
            Some(after) => self.count(tenant, after, Sign::Plus),
            None => Ok(()),
        }
    }

    fn count(&mut self, tenant: &'e str, charged: &'e ChargedCall, sign: Sign) -> Result<(), ApplyError> {
        let (facts, counted) = (&charged.facts, Counted::of(charged)?);
        self.quarters.count(quarter_key(tenant, facts)?, &counted, sign);
        for (key, value) in charged.counted() {
            let (times, texts) = ([start(facts, TimeDelta::hours(1))?], [Some(key.as_str()), Some(value.as_str())]);
            self.tags.count(Key { tenant, times, ids: [], texts }, &counted, sign);
        }
        for key in day_keys(tenant, facts)? {
            self.days.count(key, &counted, sign);
        }
        Ok(())
    }

    /// Adds the sums to the tables. Most batches of a tenant lock the same rows of the daily one, those of the calls without
    /// a task, task graph or conversation: it comes last, shortly before the commit.
    pub(super) async fn save(&self, connection: &mut PgConnection) -> Result<(), ApplyError> {
        self.quarters.save(connection).await?;
        self.tags.save(connection).await?;
        self.days.save(connection).await
    }
}

fn quarter_key<'e>(tenant: &'e str, facts: &'e CallFacts) -> Result<Key<'e, 2, 1, 8>, ApplyError> {
    let texts = [
        text(facts.user.as_ref()),
        text(facts.team.as_ref()),
        text(facts.key.as_ref()),
        text(facts.provider.as_ref()),
        text(facts.model.as_ref()),
        text(facts.tool.as_ref()),
        facts.outcome.map(|outcome| outcome.as_str()),
        Some(facts.source.as_str()),
    ];
    let times = [start(facts, TimeDelta::hours(1))?, start(facts, TimeDelta::minutes(15))?];
    Ok(Key { tenant, times, ids: [facts.agent_id.map(Uuid::from)], texts })
}

/// One id for all dimensions of a row of [`QUARTERS`], so that its unique index is short.
fn cell(key: &Key<'_, 2, 1, 8>) -> Uuid {
    let mut hyphenated = [0; uuid::fmt::Hyphenated::LENGTH];
    // No name is empty, so that an absent one is written like no other.
    let agent = key.ids[0].map_or("", |id| id.hyphenated().encode_lower(&mut hyphenated));
    let [user, team, key, provider, model, tool, outcome, source] = key.texts.map(Option::unwrap_or_default);
    derived_id(&["cell", agent, user, team, key, provider, model, tool, outcome, source])
}

fn day_keys<'e>(tenant: &'e str, facts: &'e CallFacts) -> Result<[Key<'e, 1, 2, 2>; 3], ApplyError> {
    let times = [start(facts, TimeDelta::days(1))?];
    let key = |dimension, ids, conversation| Key { tenant, times, ids, texts: [Some(dimension), conversation] };
    Ok([
        key("task", [facts.task_id.map(Uuid::from), None], None),
        key("dag", [None, facts.dag_id.map(Uuid::from)], None),
        key("conversation", [None, None], text(facts.conversation.as_ref())),
    ])
}

fn text(name: Option<&Name>) -> Option<&str> {
    name.map(Name::as_str)
}

/// The start of the period (UTC) in which a call started.
fn start(facts: &CallFacts, period: TimeDelta) -> Result<DateTime<Utc>, ApplyError> {
    let at = facts.started_at;
    at.duration_trunc(period).map_err(|_| ApplyError::Row(format!("time {at} is out of range")))
}

#[cfg(test)]
mod tests {
    use super::super::rollup::Sums;
    use super::*;
    use crate::testing::recorded;
    use domain::{Event, Meter};
    use std::collections::BTreeSet;

    /// A call of the model `prototype-7b` without a price.
    fn call(output_tokens: u64, started_at: &str, reported_cost: &str) -> String {
        format!(
            r#"{{"kind":"llm","model":"prototype-7b","usage":{{"input":7,"output":{output_tokens}}},
                "started_at":"{started_at}","reported_cost":{{"amount":"{reported_cost}"}},
                "source":"simulation"}}"#
        )
    }

    /// Decodes events of one call.
    fn decode(events: &[(&str, String)]) -> Vec<Event> {
        events.iter().map(|(name, payload)| recorded(1, "call", 7, name, payload).decode().unwrap()).collect()
    }

    fn sums_of(events: &[Event]) -> UsageSums<'_> {
        let mut usage = UsageSums::new();
        for event in events {
            let Event::Call(event) = event else { panic!("an event of a call") };
            usage.add("default", event).unwrap();
        }
        usage
    }

    /// The quarter of an hour, the calls, the input and output tokens, and the reported cost in cents.
    type Row = (String, [i64; 5], [i128; 2], i128);

    fn usage_of(events: &[(&str, String)]) -> Vec<Row> {
        let events = decode(events);
        let usage = sums_of(&events);
        let row = |(time, sums): (DateTime<Utc>, &Sums)| {
            let counted = [Meter::Input, Meter::Output].map(|meter| sums.quantities[meter as usize]);
            assert_eq!(counted.iter().sum::<i128>(), sums.quantities.iter().sum::<i128>(), "nothing else is counted");
            (time.to_rfc3339(), sums.calls, counted, sums.reported_cost_picodollars / 10_i128.pow(10))
        };
        usage.quarters.rows.iter().map(|(key, sums)| row((key.times[1], sums))).collect()
    }

    fn amended(before: &str, after: &str) -> (&'static str, String) {
        ("call.amended", format!(r#"{{"before":{before},"after":{after}}}"#))
    }

    #[test]
    fn an_amendment_in_the_same_batch_replaces_what_was_recorded() {
        let (before, after) = (call(40, "2023-09-01T07:10:00Z", "0.5"), call(300, "2023-09-01T07:10:00Z", "0.75"));
        let usage = usage_of(&[("call.recorded", before.clone()), amended(&before, &after)]);
        let quarter = "2023-09-01T07:00:00+00:00".to_owned();
        assert_eq!(usage, [(quarter, [1, 0, 0, 1, 0], [7, 300], 75)]);
    }

    #[test]
    fn an_amendment_in_a_later_batch_adds_the_difference() {
        let (before, after) = (call(300, "2023-09-01T07:10:00Z", "0.75"), call(40, "2023-09-01T07:10:00Z", "0.5"));
        let usage = usage_of(&[amended(&before, &after)]);
        let quarter = "2023-09-01T07:00:00+00:00".to_owned();
        assert_eq!(usage, [(quarter, [0, 0, 0, 0, 0], [0, -260], -25)]);
    }

    #[test]
    fn an_amendment_of_the_start_moves_the_call_to_another_quarter_of_an_hour() {
        let (before, after) = (call(40, "2023-09-01T07:44:59Z", "0.5"), call(40, "2023-09-01T07:45:00Z", "0.5"));
        let usage = usage_of(&[amended(&before, &after)]);
        assert_eq!(
            usage.iter().map(|row| (&*row.0, row.1[0], row.2[1], row.3)).collect::<Vec<_>>(),
            [("2023-09-01T07:30:00+00:00", -1, -40, -50), ("2023-09-01T07:45:00+00:00", 1, 40, 50)]
        );
    }

    #[test]
    fn a_call_counts_once_by_each_dimension_with_many_values_also_without_a_value() {
        let in_a_conversation = call(40, "2023-09-01T23:59:59Z", "0").replace(
            r#""source":"#,
            r#""conversation":"c1","dag_id":"00000000-0000-0000-0000-00000000000d","source":"#,
        );
        let events = decode(&[("call.recorded", in_a_conversation)]);
        let usage = sums_of(&events);
        let rows = usage.days.rows.iter().map(|(key, sums)| {
            assert_eq!(key.times[0].to_rfc3339(), "2023-09-01T00:00:00+00:00");
            assert_eq!(sums.calls, [1, 0, 0, 1, 0]);
            (key.texts[0].unwrap(), key.ids.map(|id| id.map(|id| id.as_u128())), key.texts[1])
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort_unstable();
        assert_eq!(
            rows,
            [
                ("conversation", [None, None], Some("c1")),
                ("dag", [None, Some(0xD)], None),
                ("task", [None, None], None),
            ]
        );
    }

    /// The hour, key and value, and the calls and input tokens.
    fn tags_of(events: &[(&str, String)]) -> Vec<(String, String, i64, i128)> {
        let events = decode(events);
        let usage = sums_of(&events);
        let row = |(key, sums): (&Key<'_, 1, 0, 2>, &Sums)| {
            let tag = key.texts.map(Option::unwrap).join("=");
            (key.times[0].to_rfc3339(), tag, sums.calls[0], sums.quantities[Meter::Input as usize])
        };
        usage.tags.rows.iter().map(row).collect()
    }

    #[test]
    fn a_call_counts_once_under_each_of_its_counted_tags_and_no_other() {
        let call = |minute: &str, team: &str, counted: &str| {
            call(40, &format!("2023-09-01T{minute}:00Z"), "0").replace(
                r#""source":"#,
                &format!(r#""tags":{{"env":"prod","team":"{team}","pull":"17"}},"counted_tags":[{counted}],"source":"#),
            )
        };
        let both = r#""env","team""#;
        let recorded = ("call.recorded", call("07:10", "search", both));
        let row = |hour: &str, tag: &str, calls: i64| {
            (format!("2023-09-01T{hour}:00:00+00:00"), tag.to_owned(), calls, i128::from(calls) * 7)
        };
        let rows = tags_of(std::slice::from_ref(&recorded));
        assert_eq!(rows, [row("07", "env=prod", 1), row("07", "team=search", 1)]);
        // A later record moves the call to another value and hour, and it is counted under one key less.
        let rows = tags_of(&[amended(&recorded.1, &call("08:00", "ads", r#""team""#))]);
        assert_eq!(rows, [row("07", "env=prod", -1), row("07", "team=search", -1), row("08", "team=ads", 1)]);
        assert_eq!(tags_of(&[("call.recorded", call("07:10", "search", "").replace(r#""counted_tags":[],"#, ""))]), []);
    }

    #[test]
    fn the_cell_tells_every_dimension_apart() {
        let plain = call(40, "2023-09-01T07:10:00Z", "0").replace("prototype-7b", "x").replace("simulation", "y");
        let with = |field: &str| plain.replace(r#""kind":"#, &format!(r#"{field},"kind":"#));
        let mut variants: Vec<_> = ["user", "team", "key", "provider", "tool"]
            .into_iter()
            .flat_map(|name| ["x", "y"].map(|value| with(&format!(r#""{name}":"{value}""#))))
            .collect();
        variants.extend(["ok", "error"].map(|outcome| with(&format!(r#""outcome":"{outcome}""#))));
        variants.extend([1, 2].map(|n| with(&format!(r#""agent_id":"00000000-0000-0000-0000-00000000000{n}""#))));
        variants.extend([
            plain.replace(r#""model":"x""#, r#""model":"y""#),
            plain.replace("\"y\"", "\"x\""),
            plain.clone(),
        ]);
        let events = decode(&variants.iter().map(|call| ("call.recorded", call.clone())).collect::<Vec<_>>());
        let usage = sums_of(&events);
        let cells: BTreeSet<_> = usage.quarters.rows.keys().map(cell).collect();
        assert_eq!((cells.len(), usage.quarters.rows.len()), (variants.len(), variants.len()));
    }
}
