//! Anomalies that a server finds, read page by page.

use super::view::{AnomalyView, BandView, CauseView, DeviationView, View};
use super::{Anomalies, MAX_ANOMALIES, Step};
use crate::cli::backend::while_late;
use crate::cli::report::messages::{MAX_WAIT, incomplete};
use crate::cli::report::series::with;
use crate::cli::report::server::warn_of_parked;
use crate::client::{Client, PageInfo};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use streams::Position;

/// The number of anomalies of a page.
const PAGE: usize = 50;
/// How many times the pages are read until all of them are of one position.
const ATTEMPTS: usize = 5;

/// The document of a page.
pub(in crate::cli) const DOCUMENT: &str =
    "query($from: DateTime!, $to: DateTime!, $step: AnomalyStep, $by: Dimension, $causes: Int, $filter: [UsageFilter!],
        $tagKey: String, $timeZone: String, $minPosition: Position, $first: Int, $after: String) {
        costAnomalies(from: $from, to: $to, step: $step, by: $by, causes: $causes, filter: $filter, tagKey: $tagKey,
            timeZone: $timeZone, minPosition: $minPosition, first: $first, after: $after) {
            nodes {
                key from to deviation { ...deviation } lower upper
                causes { key { value name } deviation { ...deviation } } rest { ...deviation }
            }
            count endedAt band bands { band isNaive score } historyFrom testedSteps unpricedCalls timeZone position
            summedFrom pageInfo { hasNextPage endCursor }
        }
    }
    fragment deviation on CostDeviation { actual expected excess }";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    nodes: Vec<Anomaly>,
    count: u64,
    ended_at: DateTime<Utc>,
    band: String,
    bands: Vec<Band>,
    history_from: DateTime<Utc>,
    tested_steps: u64,
    unpriced_calls: i64,
    time_zone: String,
    position: String,
    summed_from: String,
    page_info: PageInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Band {
    band: String,
    is_naive: bool,
    score: Option<String>,
}

#[derive(Deserialize)]
struct Anomaly {
    key: String,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    deviation: Deviation,
    lower: String,
    upper: String,
    causes: Vec<Cause>,
    rest: Option<Deviation>,
}

#[derive(Deserialize)]
struct Deviation {
    actual: String,
    expected: String,
    excess: String,
}

#[derive(Deserialize)]
struct Cause {
    key: Key,
    deviation: Deviation,
}

#[derive(Deserialize)]
struct Key {
    value: Option<String>,
    name: Option<String>,
}

impl From<Deviation> for DeviationView {
    fn from(Deviation { actual, expected, excess }: Deviation) -> Self {
        Self { actual, expected, excess }
    }
}

impl From<Anomaly> for AnomalyView {
    fn from(found: Anomaly) -> Self {
        let cause = |Cause { key, deviation }: Cause| CauseView {
            value: key.value,
            name: key.name,
            deviation: deviation.into(),
        };
        Self {
            key: found.key,
            from: found.from,
            to: found.to,
            deviation: found.deviation.into(),
            lower: found.lower,
            upper: found.upper,
            causes: found.causes.into_iter().map(cause).collect(),
            rest: found.rest.map(Into::into),
        }
    }
}

impl Page {
    /// The anomalies, and the cursor of the next page if there is one.
    fn view(self, client: &Client, head: Position) -> anyhow::Result<(View, Option<String>)> {
        let position = client.position(&self.position, "position")?;
        let band = |of: Band| BandView { band: of.band.to_lowercase(), is_naive: of.is_naive, score: of.score };
        let view = View {
            anomalies: self.nodes.into_iter().map(Into::into).collect(),
            count: self.count,
            to: self.ended_at,
            band: self.band.to_lowercase(),
            bands: self.bands.into_iter().map(band).collect(),
            history_from: self.history_from,
            tested_steps: self.tested_steps,
            unpriced_calls: self.unpriced_calls,
            time_zone: self.time_zone,
            head: head.max(position),
            position,
            summed_from: self.summed_from,
        };
        Ok((view, self.page_info.next()))
    }
}

/// Prints anomalies that a server finds. The server waits for its read models, and is asked again until the time is over.
pub(super) async fn anomalies(client: &Client, command: &Anomalies) -> anyhow::Result<()> {
    for _ in 0..ATTEMPTS {
        if let Some(view) = read(client, command).await? {
            super::print::print(&view, &command.by, command.series.format)?;
            return warn_of_parked(client).await;
        }
    }
    anyhow::bail!(
        "the log grew each of {ATTEMPTS} times while the anomalies were read, so that they would not be those of one position: run \
         it again, or choose a time range with fewer than {PAGE} anomalies"
    )
}

/// The anomalies of all pages, at most [`MAX_ANOMALIES`]; none if the pages are of different positions.
async fn read(client: &Client, command: &Anomalies) -> anyhow::Result<Option<View>> {
    let (series, head) = (&command.series, client.head().await?);
    let mut variables = variables(command, (!series.no_wait).then(|| head.to_string()))?;
    let mut read = None::<View>;
    loop {
        let ask = async || Ok(client.get::<Page>(DOCUMENT, variables.clone(), "/costAnomalies").await?);
        let page = while_late(series.wait.min(MAX_WAIT), &incomplete(series.wait, ""), ask).await?;
        let (mut view, next) = page.view(client, head)?;
        if let Some(before) = read.take() {
            if (before.position, before.count) != (view.position, view.count) {
                return Ok(None);
            }
            let mut anomalies = before.anomalies;
            anomalies.append(&mut view.anomalies);
            view.anomalies = anomalies;
        }
        match next {
            Some(next) if view.anomalies.len() < MAX_ANOMALIES => variables["after"] = next.into(),
            _ => return Ok(Some(view)),
        }
        read = Some(view);
    }
}

fn variables(command: &Anomalies, position: Option<String>) -> anyhow::Result<Value> {
    let zone = command.series.time_zone.zone()?;
    let variables = json!({
        "from": command.from.time(zone)?,
        "to": command.to.time(zone)?,
        "step": match command.step {
            Step::Hour => "HOUR",
            Step::Day => "DAY",
        },
        "by": command.by.dimension().as_str().to_uppercase(),
        "causes": command.causes,
        "minPosition": position,
        "first": PAGE,
    });
    Ok(with(command.series.variables(std::slice::from_ref(&command.by))?, variables))
}
