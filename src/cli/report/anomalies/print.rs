//! Printing anomalies.

use super::view::{AnomalyView, BandView, CauseView, DeviationView, View};
use crate::cli::output::{self, Format, time};
use projections::NamedDimension;
use serde_json::{Value, json};

/// The columns of the causes, and of an anomaly as a whole.
const COLUMNS: [&str; 10] =
    ["when", "kind", "value", "name", "actual", "expected", "excess", "lower", "upper", "is_rest"];

/// Prints anomalies, and says how they were found. In tables and CSV an anomaly is a row, which its causes and the rest follow.
pub(super) fn print(view: &View, by: &NamedDimension, format: Format) -> anyhow::Result<()> {
    let rows: Vec<_> = view.anomalies.iter().flat_map(|anomaly| rows(anomaly, by)).collect();
    match format {
        Format::Json => output::json(&document(view, by))?,
        // Whether a row is the rest is its kind, too.
        Format::Table => {
            let rows: Vec<Vec<String>> = rows.into_iter().map(|row| row.into_iter().take(9).collect()).collect();
            output::table(&COLUMNS[..9].iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), &rows, 4..9)?;
        }
        Format::Csv => {
            let more = ["band", "position", "head", "events_behind"];
            let header: Vec<_> = COLUMNS.into_iter().chain(more).map(str::to_owned).collect();
            let more =
                [view.band.clone(), view.position.to_string(), view.head.to_string(), view.events_behind().to_string()];
            let rows: Vec<Vec<String>> =
                rows.into_iter().map(|row| row.into_iter().chain(more.clone()).collect()).collect();
            output::csv(&header, &rows)?;
        }
    }
    describe(view);
    Ok(())
}

fn rows(anomaly: &AnomalyView, by: &NamedDimension) -> Vec<Vec<String>> {
    let row = |kind: &str, (value, name): (&str, &str), of: &DeviationView, limits: [&str; 2], is_rest: bool| {
        let texts = [anomaly.key.as_str(), kind, value, name, &of.actual, &of.expected, &of.excess];
        let texts = texts.into_iter().chain(limits).map(str::to_owned);
        texts.chain([is_rest.to_string()]).collect::<Vec<_>>()
    };
    let limits = [anomaly.lower.as_str(), anomaly.upper.as_str()];
    let whole = row("anomaly", ("", ""), &anomaly.deviation, limits, false);
    let name = by.to_string();
    let cause = |cause: &CauseView| {
        let texts = [cause.value.as_deref(), cause.name.as_deref()].map(Option::unwrap_or_default);
        row(&name, (texts[0], texts[1]), &cause.deviation, ["", ""], false)
    };
    let causes = anomaly.causes.iter().map(cause);
    let rest = anomaly.rest.iter().map(|rest| row("(rest)", ("", ""), rest, ["", ""], true));
    [whole].into_iter().chain(causes).chain(rest).collect()
}

fn describe(view: &View) {
    say!("Anomalies as of position {} of {}, up to {}.", view.position, view.head, time(view.to));
    let behind = view.events_behind();
    if behind > 0 {
        say!("The costs are {behind} events behind the log.");
    }
    say!("Summed from: {}.", view.summed_from);
    say!("Bands tested on {} steps of the history from {}.", view.tested_steps, time(view.history_from));
    for BandView { band, is_naive, score } in &view.bands {
        let kind = if *is_naive { ", naive" } else { "" };
        let used = if *band == view.band { ", used" } else { "" };
        say!("  {band}{kind}: score {}{used}", score.as_deref().unwrap_or("unknown"));
    }
    let shown = u64::try_from(view.anomalies.len()).unwrap_or(u64::MAX);
    if shown < view.count {
        say!("The first {shown} of {} anomalies are shown: choose a shorter time range to see the others.", view.count);
    }
    if view.unpriced_calls > 0 {
        say!("{} calls have no known price, and are in no cost.", view.unpriced_calls);
    }
}

fn deviation(of: &DeviationView) -> Value {
    json!({ "actual": of.actual, "expected": of.expected, "excess": of.excess })
}

fn document(view: &View, by: &NamedDimension) -> Value {
    let cause = |cause: &CauseView| json!({ "value": cause.value, "name": cause.name, "deviation": deviation(&cause.deviation) });
    let anomaly = |anomaly: &AnomalyView| {
        json!({
            "key": anomaly.key,
            "from": anomaly.from,
            "to": anomaly.to,
            "deviation": deviation(&anomaly.deviation),
            "lower": anomaly.lower,
            "upper": anomaly.upper,
            "causes": anomaly.causes.iter().map(cause).collect::<Vec<_>>(),
            "rest": anomaly.rest.as_ref().map(deviation),
        })
    };
    let band = |of: &BandView| json!({ "band": of.band, "is_naive": of.is_naive, "score": of.score });
    json!({
        "anomalies": view.anomalies.iter().map(anomaly).collect::<Vec<_>>(),
        "count": view.count,
        "by": by.to_string(),
        "ended_at": view.to,
        "band": view.band,
        "bands": view.bands.iter().map(band).collect::<Vec<_>>(),
        "history_from": view.history_from,
        "tested_steps": view.tested_steps,
        "unpriced_calls": view.unpriced_calls,
        "currency": "USD",
        "time_zone": view.time_zone,
        "position": view.position,
        "head": view.head,
        "events_behind": view.events_behind(),
        "summed_from": view.summed_from,
    })
}
