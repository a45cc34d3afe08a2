//! Printing what changed between two moments.

use super::{Changes, EventView, RowView, Side, View};
use crate::cli::output::{self, Format, time};
use serde_json::{Map, Value, json};

/// What is shown of a cost that is not known.
const UNPRICED: &str = "unpriced";

fn shown(side: &Side) -> [String; 2] {
    [side.calls.to_string(), side.cost.clone().unwrap_or_else(|| UNPRICED.to_owned())]
}

/// The columns after the keys.
const SUMS: [&str; 5] = ["calls_before", "cost_before", "calls_after", "cost_after", "cost_difference"];

pub(super) fn print(of: &Changes, view: &View) -> anyhow::Result<()> {
    match (of.format, &view.events) {
        (Format::Json, _) => output::json(&document(of, view))?,
        (format, Some((events, _))) => events_table(view, events, format)?,
        (format, None) => rows_table(of, view, format)?,
    }
    say!("Costs as they were known at position {} and at position {} of the log.", view.from, view.to);
    if let Some((events, true)) = &view.events {
        let last = events.last().map_or(view.from, |last| last.position);
        say!("There are further events after position {last}: list them with --between {last}..{}.", view.to);
    }
    Ok(())
}

fn sums(before: &Side, after: &Side, difference: &str) -> impl Iterator<Item = String> {
    shown(before).into_iter().chain(shown(after)).chain([difference.to_owned()])
}

fn rows_table(of: &Changes, view: &View, format: Format) -> anyhow::Result<()> {
    let header: Vec<_> = of.by.iter().map(ToString::to_string).chain(SUMS.map(str::to_owned)).collect();
    let is_table = format == Format::Table;
    let key = |(key, name): (&Option<String>, &Option<String>)| match (key, name) {
        (_, Some(name)) if is_table => name.clone(),
        (Some(key), _) => key.clone(),
        (None, _) => if is_table { "–" } else { "" }.to_owned(),
    };
    let row = |row: &RowView| {
        let keys = row.keys.iter().zip(&row.names).map(key);
        keys.chain(sums(&row.before, &row.after, &row.cost_difference)).collect::<Vec<_>>()
    };
    let mut rows: Vec<_> = view.rows.iter().map(row).collect();
    if is_table || of.by.is_empty() {
        let keys = (0..of.by.len()).map(|n| if n == 0 { "total".to_owned() } else { String::new() });
        rows.push(keys.chain(sums(&view.before, &view.after, &view.cost_difference)).collect());
    }
    if is_table {
        return Ok(output::table(&header, &rows, of.by.len()..header.len())?);
    }
    output::csv(&header, &rows)
}

fn events_table(view: &View, events: &[EventView], format: Format) -> anyhow::Result<()> {
    let header =
        ["position", "type", "recorded_at", "call", "actor", "calls_difference", "cost_difference"].map(str::to_owned);
    let row = |event: &EventView| {
        vec![
            event.position.to_string(),
            event.name.clone(),
            time(event.recorded_at),
            event.call_id.to_string(),
            event.actor.clone().unwrap_or_default(),
            event.calls_difference.to_string(),
            event.cost_difference.clone(),
        ]
    };
    let mut rows: Vec<_> = events.iter().map(row).collect();
    if format == Format::Table {
        let mut total = vec![String::new(); header.len()];
        "total".clone_into(&mut total[0]);
        total[5] = (view.after.calls - view.before.calls).to_string();
        total[6].clone_from(&view.cost_difference);
        rows.push(total);
        return Ok(output::table(&header, &rows, 5..7)?);
    }
    output::csv(&header, &rows)
}

fn document(of: &Changes, view: &View) -> Value {
    let side = |side: &Side| json!({ "calls": i64::try_from(side.calls).ok(), "cost": side.cost });
    let row = |row: &RowView| {
        let mut keys = Map::new();
        for ((named, key), name) in of.by.iter().zip(&row.keys).zip(&row.names) {
            keys.insert(named.to_string(), json!(key));
            if name.is_some() {
                keys.insert(format!("{named}_name"), json!(name));
            }
        }
        keys.extend([
            ("before".to_owned(), side(&row.before)),
            ("after".to_owned(), side(&row.after)),
            ("cost_difference".to_owned(), json!(row.cost_difference)),
        ]);
        Value::Object(keys)
    };
    let event = |event: &EventView| {
        json!({
            "position": event.position,
            "type": event.name,
            "recorded_at": time(event.recorded_at),
            "call": event.call_id,
            "actor": event.actor,
            "calls_difference": i64::try_from(event.calls_difference).ok(),
            "cost_difference": event.cost_difference,
        })
    };
    let mut document = json!({
        "from": view.from,
        "to": view.to,
        "before": side(&view.before),
        "after": side(&view.after),
        "cost_difference": view.cost_difference,
    });
    match &view.events {
        Some((events, is_cut)) => {
            document["events"] = events.iter().map(event).collect();
            document["has_more_events"] = (*is_cut).into();
        }
        None => document["rows"] = view.rows.iter().map(row).collect(),
    }
    document
}
