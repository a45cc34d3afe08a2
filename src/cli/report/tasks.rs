//! The cost of completed tasks.

use super::columns::object;
use super::freshness::{catch_up, warn_of_parked_in};
use super::messages::{MAX_WAIT, incomplete, say_behind};
use super::period::{Limit, ZoneName};
use super::server::{self, Sums, sums_fragment};
use crate::cli::backend::while_late;
use crate::cli::exports;
use crate::cli::output::{self, Format};
use crate::client::Client;
use crate::rooms::Rooms;
use chrono::{DateTime, Utc};
use domain::Sum;
use projections::{CostPolicy, TaskCosts, completed_task_costs};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use streams::Position;

/// Report the cost of completed tasks, and of one of them on average.
///
/// A task is one of the time range if it was completed in it. It has the cost of all of its calls, whenever they started. Tasks
/// that failed or were cancelled are not included. Costs are charged ones, in US dollars; calls without a known price are not
/// included in them.
#[derive(Debug, clap::Args)]
pub(super) struct Tasks {
    /// The time zone of days: an IANA name such as Europe/Berlin, or local for that of this machine
    #[arg(long, default_value = "UTC", value_name = "ZONE")]
    time_zone: ZoneName,

    /// Only tasks that were completed at or after this day, month or minute
    #[arg(long, value_name = "TIME")]
    from: Limit,

    /// Only tasks that were completed before this day, month or minute
    #[arg(long, value_name = "TIME")]
    to: Limit,

    /// The format of the report
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,

    /// The timeout for the read models to catch up, such as 30s or 5m
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    wait: Duration,

    /// Report the present state of the read models, which may be behind the log
    #[arg(long, conflicts_with = "wait")]
    no_wait: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    tasks: i64,
    totals: Sums,
    position: String,
    seconds_behind: Option<u64>,
}

/// The document of the costs of completed tasks.
pub(in crate::cli) fn document() -> String {
    format!(
        "query($from: DateTime!, $to: DateTime!, $minPosition: Position) {{
            completedTaskCosts(from: $from, to: $to, minPosition: $minPosition) {{
                tasks totals {{ ...sums }} position secondsBehind
            }}
        }}
        {}",
        sums_fragment()
    )
}

impl Tasks {
    fn range(&self) -> anyhow::Result<(DateTime<Utc>, DateTime<Utc>)> {
        let zone = self.time_zone.zone()?;
        Ok((self.from.time(zone)?, self.to.time(zone)?))
    }

    /// Prints the costs that a server reports.
    pub(super) async fn at_server(&self, client: &Client) -> anyhow::Result<()> {
        let (from, to) = self.range()?;
        let head = client.head().await?;
        let position = (!self.no_wait).then(|| head.to_string());
        let variables = json!({ "from": from, "to": to, "minPosition": position });
        let get = async || {
            let answer: Answer = client.get(&document(), variables.clone(), "/completedTaskCosts").await?;
            let totals = answer.totals.totals().ok_or_else(|| client.incomplete("totals of the tasks"))?;
            let position = client.position(&answer.position, "position")?;
            Ok((TaskCosts { tasks: answer.tasks, totals, position }, answer.seconds_behind))
        };
        let (costs, seconds) = while_late(self.wait.min(MAX_WAIT), &incomplete(self.wait, ""), get).await?;
        self.print(&costs, head, seconds)?;
        server::warn_of_parked_in(client, &TaskCosts::PROJECTIONS).await
    }

    /// Prints the costs that the database has.
    pub(super) async fn on_database(&self, rooms: &mut Rooms) -> anyhow::Result<()> {
        let range = self.range()?;
        let head = rooms.log.head().await?;
        if !self.no_wait {
            catch_up(rooms, &TaskCosts::PROJECTIONS, head, self.wait).await?;
        }
        if exports::is_export(self.format) {
            exports::record(rooms, "completed_task_costs").await;
        }
        let costs = completed_task_costs(&rooms.reads, &rooms.principal.authorise()?, range).await?;
        self.print(&costs, head, rooms.log.seconds_behind(costs.position).await?)?;
        warn_of_parked_in(rooms, &TaskCosts::PROJECTIONS).await
    }

    fn print(&self, costs: &TaskCosts, head: Position, seconds: Option<u64>) -> anyhow::Result<()> {
        let (totals, per_task, head) = (&costs.totals, costs.cost_per_task(), head.max(costs.position));
        let behind = head.get().saturating_sub(costs.position.get());
        let seconds = seconds.filter(|_| behind > 0);
        if self.format == Format::Json {
            return output::json(&json!({
                "tasks": costs.tasks,
                "cost_per_task": per_task,
                "total": Value::Object(object(totals, CostPolicy::Charged)),
                "position": costs.position,
                "head": head,
                "events_behind": behind,
                "seconds_behind": seconds,
            }));
        }
        let known = |cost: Option<&Sum>| cost.map_or_else(|| "unpriced".to_owned(), Sum::to_string);
        let per_task = per_task.map_or_else(|| "–".to_owned(), |cost| cost.to_string());
        let counts = [costs.tasks, totals.calls, totals.tool_calls, totals.unpriced_calls, totals.assumed_calls];
        let row = counts.iter().map(ToString::to_string).chain([known(totals.known_cost()), per_task]).collect();
        let header = ["tasks", "calls", "tool_calls", "unpriced_calls", "assumed_calls", "cost", "cost_per_task"];
        output::list(&header, vec![row], 0..header.len(), self.format)?;
        say!("Costs as of position {} of {head}.", costs.position);
        say_behind((behind, seconds));
        Ok(())
    }
}
