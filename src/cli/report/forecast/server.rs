//! A forecast that a server makes.

use super::Forecast;
use super::view::{MethodView, View};
use crate::cli::backend::while_late;
use crate::cli::report::messages::{MAX_WAIT, incomplete};
use crate::cli::report::period::Limit;
use crate::cli::report::series::with;
use crate::cli::report::server::warn_of_parked;
use crate::client::Client;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;

/// The document of a forecast.
pub(in crate::cli) const DOCUMENT: &str =
    "query($at: DateTime, $until: DateTime, $filter: [UsageFilter!], $tagKey: String, $timeZone: String, $percent: Int,
        $minPosition: Position) {
        costForecast(at: $at, until: $until, filter: $filter, tagKey: $tagKey, timeZone: $timeZone, percent: $percent,
            minPosition: $minPosition) {
            from at until spent expected lower upper percent method methods { method isNaive error }
            historyFrom historyHours forecastHours testedHours spans independentSpans unpricedCalls timeZone position
            summedFrom
        }
    }";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    from: DateTime<Utc>,
    at: DateTime<Utc>,
    until: DateTime<Utc>,
    spent: String,
    expected: String,
    lower: Option<String>,
    upper: Option<String>,
    percent: u32,
    method: String,
    methods: Vec<Method>,
    history_from: DateTime<Utc>,
    history_hours: u64,
    forecast_hours: u64,
    tested_hours: u64,
    spans: u64,
    independent_spans: u64,
    unpriced_calls: i64,
    time_zone: String,
    position: String,
    summed_from: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Method {
    method: String,
    is_naive: bool,
    error: Option<String>,
}

/// Prints a forecast that a server makes. The server waits for its read models, and is asked again until the time is over.
pub(super) async fn forecast(client: &Client, command: &Forecast) -> anyhow::Result<()> {
    let series = &command.series;
    let zone = series.time_zone.zone()?;
    let time = |limit: Option<Limit>| limit.map(|limit| limit.time(zone)).transpose();
    let head = client.head().await?;
    let variables = json!({
        "at": time(command.at)?,
        "until": time(command.until)?,
        "percent": command.percent,
        "minPosition": (!series.no_wait).then(|| head.to_string()),
    });
    let variables = with(series.variables(&[])?, variables);
    let ask = async || Ok(client.get::<Answer>(DOCUMENT, variables.clone(), "/costForecast").await?);
    let made = while_late(series.wait.min(MAX_WAIT), &incomplete(series.wait, ""), ask).await?;
    let position = client.position(&made.position, "position")?;
    let method = |of: Method| MethodView { method: of.method.to_lowercase(), is_naive: of.is_naive, error: of.error };
    let view = View {
        from: made.from,
        at: made.at,
        until: made.until,
        spent: made.spent,
        expected: made.expected,
        interval: made.lower.zip(made.upper),
        percent: made.percent,
        method: made.method.to_lowercase(),
        methods: made.methods.into_iter().map(method).collect(),
        history_from: made.history_from,
        history_hours: made.history_hours,
        forecast_hours: made.forecast_hours,
        tested_hours: made.tested_hours,
        spans: made.spans,
        independent_spans: made.independent_spans,
        unpriced_calls: made.unpriced_calls,
        time_zone: made.time_zone,
        head: head.max(position),
        position,
        summed_from: made.summed_from,
    };
    view.print(series.format)?;
    warn_of_parked(client).await
}
