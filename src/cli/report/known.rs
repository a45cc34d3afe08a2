//! Costs as they were known at an earlier time: sums over the events of the log up to it.

use super::super::output::{self, Format};
use super::super::point::{Point, before};
use super::arguments::Cost;
use super::dimension::Named;
use crate::rooms::Rooms;
use anyhow::{Context as _, bail};
use chrono::{DateTime, Utc};
use domain::call::{CallKind, ChargedCall};
use domain::permissions::ReadData;
use domain::{Aggregate, Event, Money, Sum};
use projections::{CostPolicy, Dimension};
use serde_json::json;
use std::collections::BTreeMap;
use streams::{Position, TenantFilter};

/// The number of events read at a time.
const PAGE_EVENTS: usize = 1000;
/// The maximum number of rows: each is kept in memory.
const MAX_ROWS: usize = 1_000_000;

/// The sums of a row.
#[derive(Debug, Default)]
struct Known {
    calls: i64,
    unpriced_calls: i64,
    cost: Sum,
    reported_cost: Sum,
}

impl Known {
    fn add(&mut self, call: &ChargedCall) {
        self.calls += i64::from(call.facts.kind == CallKind::Llm);
        self.unpriced_calls += i64::from(call.is_unpriced());
        self.cost += call.cost().unwrap_or(Money::ZERO);
        self.reported_cost += reported(call);
    }

    fn subtract(&mut self, call: &ChargedCall) {
        self.calls -= i64::from(call.facts.kind == CallKind::Llm);
        self.unpriced_calls -= i64::from(call.is_unpriced());
        self.cost -= call.cost().unwrap_or(Money::ZERO);
        self.reported_cost -= reported(call);
    }

    fn is_zero(&self) -> bool {
        self.calls == 0 && self.cost.is_zero() && self.reported_cost.is_zero()
    }

    fn cells(&self) -> [String; 4] {
        [self.calls.to_string(), self.unpriced_calls.to_string(), self.cost.to_string(), self.reported_cost.to_string()]
    }
}

fn reported(call: &ChargedCall) -> Money {
    call.facts.reported_cost.map_or(Money::ZERO, |cost| cost.amount)
}

/// Prints the costs as they were known at a point of the log.
pub(super) async fn report(rooms: &Rooms, cost: &Cost, known_at: Point) -> anyhow::Result<()> {
    if !cost.filters.is_empty() || CostPolicy::from(cost.cost) != CostPolicy::Charged {
        bail!("--known-at sums up the events of the log: it can be combined with --by, --from and --to only");
    }
    let end = match known_at {
        Point::Position(position) => position,
        Point::Time(time) => before(rooms.log.position_at(time).await?),
    };
    let (mut rows, mut total) = (BTreeMap::<Vec<Option<String>>, Known>::new(), Known::default());
    let (access, log) = (rooms.principal.authorise::<ReadData>()?, rooms.log.of_tenants(rooms.reads.clone()));
    let filter = TenantFilter::new(&access, Some(domain::call::Call::CATEGORY.to_owned()), Vec::new(), None);
    let mut pages = log.pages(Position::from(0), filter, PAGE_EVENTS);
    'pages: while let Some(page) = pages.next_page().await? {
        for event in &page {
            if event.position > end {
                break 'pages;
            }
            let decoded = event.decode().with_context(|| format!("the event at position {}", event.position))?;
            let Event::Call(event) = &decoded else { continue };
            let (befores, after) = event.befores_and_after();
            for call in befores.into_iter().filter(|call| is_in(cost, call.facts.started_at)) {
                rows.entry(keys(call, &cost.by)?).or_default().subtract(call);
                total.subtract(call);
            }
            if let Some(call) = after.filter(|call| is_in(cost, call.facts.started_at)) {
                rows.entry(keys(call, &cost.by)?).or_default().add(call);
                total.add(call);
            }
            if rows.len() > MAX_ROWS {
                bail!("more than {MAX_ROWS} rows: group by fewer dimensions, or name a shorter time");
            }
        }
    }
    rows.retain(|_, known| !known.is_zero());
    print(&rows, &total, cost, end)
}

fn is_in(cost: &Cost, at: DateTime<Utc>) -> bool {
    cost.from.is_none_or(|from| at >= from) && cost.to.is_none_or(|to| at < to)
}

fn keys(call: &ChargedCall, by: &[Named]) -> anyhow::Result<Vec<Option<String>>> {
    by.iter().map(|named| key(call, named)).collect()
}

/// The value of a dimension, as other reports write it.
fn key(call: &ChargedCall, by: &Named) -> anyhow::Result<Option<String>> {
    let facts = &call.facts;
    let text = |name: &Option<domain::Name>| name.as_ref().map(ToString::to_string);
    Ok(match by.dimension {
        Dimension::Agent => facts.agent_id.map(|id| id.to_string()),
        Dimension::Task => facts.task_id.map(|id| id.to_string()),
        Dimension::Dag => facts.dag_id.map(|id| id.to_string()),
        Dimension::User => text(&facts.user),
        Dimension::Team => text(&facts.team),
        Dimension::Key => text(&facts.key),
        Dimension::Provider => text(&facts.provider),
        Dimension::Model => text(&facts.model),
        Dimension::Tool => text(&facts.tool),
        Dimension::Conversation => text(&facts.conversation),
        Dimension::Outcome => facts.outcome.map(|outcome| outcome.as_str().to_owned()),
        Dimension::Source => Some(facts.source.to_string()),
        Dimension::Hour | Dimension::Day | Dimension::Month => by.dimension.key_at(facts.started_at),
        Dimension::Tag | Dimension::QuarterHour => bail!("--known-at does not group by {by}"),
    })
}

fn print(rows: &BTreeMap<Vec<Option<String>>, Known>, total: &Known, cost: &Cost, end: Position) -> anyhow::Result<()> {
    const SUMS: [&str; 4] = ["calls", "unpriced_calls", "cost", "reported_cost"];
    let names: Vec<String> = cost.by.iter().map(ToString::to_string).collect();
    let header: Vec<String> = names.iter().cloned().chain(SUMS.map(str::to_owned)).collect();
    let line = |(keys, known): (&Vec<Option<String>>, &Known)| -> Vec<String> {
        let keys = keys.iter().map(|key| key.clone().unwrap_or_else(|| "–".to_owned()));
        keys.chain(known.cells()).collect()
    };
    match cost.format {
        Format::Json => {
            let sums = |known: &Known| {
                let cells = SUMS.iter().zip(known.cells()).map(|(name, cell)| ((*name).to_owned(), json!(cell)));
                cells.collect::<serde_json::Map<_, _>>()
            };
            let object = |(keys, known): (&Vec<Option<String>>, &Known)| {
                let mut object: serde_json::Map<_, _> =
                    names.iter().cloned().zip(keys.iter().map(|key| json!(key))).collect();
                object.extend(sums(known));
                object
            };
            let rows: Vec<_> = rows.iter().map(object).collect();
            output::json(&json!({ "known_at": end, "currency": "USD", "rows": rows, "total": sums(total) }))?;
        }
        Format::Csv => output::csv(&header, &rows.iter().map(line).collect::<Vec<_>>())?,
        Format::Table => {
            let mut lines: Vec<_> = rows.iter().map(line).collect();
            let total_keys = (0..names.len()).map(|n| if n == 0 { "total".to_owned() } else { String::new() });
            lines.push(total_keys.chain(total.cells()).collect());
            output::table(&header, &lines, names.len()..header.len())?;
        }
    }
    say!("Costs as they were known at position {end} of the log.");
    Ok(())
}
