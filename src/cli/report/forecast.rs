//! `apex report forecast`

mod server;
mod view;

#[cfg(test)]
pub(in crate::cli) use server::DOCUMENT;

use self::view::View;
use super::freshness::{catch_up, warn_of_parked};
use super::period::Limit;
use super::series::SeriesArguments;
use crate::cli::backend::{self, now};
use crate::cli::exports;
use crate::cli::session::{Session, interruptible, with_rooms};
use crate::rooms::Rooms;
use projections::outlook::{ForecastQuery, cost_forecast};
use std::process::ExitCode;

/// Forecast what the month will have cost at its end, with an interval.
///
/// The charged cost by the hour of at most 182 days before is continued by two naive methods (last_month, moving_average) and three
/// others (seasonal, drift, ets). All of them forecast spans of the history that are over; the naive one of the lowest error is used,
/// unless another one is better by more than chance. The interval is that of the errors of the method. What was spent is exact, in US
/// dollars; calls without a known price are counted, and are in no cost.
///
/// The history needs two weeks and four days. How wrong each method was is written to standard error, and in JSON as
/// `methods`.
#[derive(Debug, clap::Args)]
pub(super) struct Forecast {
    #[command(flatten)]
    series: SeriesArguments,

    /// The time from which on the cost is forecast: a day, month or hour [default: the start of the present hour]
    #[arg(long, value_name = "TIME")]
    at: Option<Limit>,

    /// The end of the span: a day, month or hour, at most 92 days later [default: the end of the month]
    #[arg(long, value_name = "TIME")]
    until: Option<Limit>,

    /// The probability of the interval in per cent
    #[arg(long, default_value_t = 80, value_parser = clap::value_parser!(u32).range(50..=95))]
    percent: u32,
}

impl Forecast {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        match backend::client(session)? {
            Some(client) => interruptible(server::forecast(&client, &self)).await?,
            None => with_rooms(session, async |rooms| self.on_database(rooms).await).await?,
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn on_database(&self, rooms: &mut Rooms) -> anyhow::Result<()> {
        let head = rooms.log.head().await?;
        if exports::is_export(self.series.format) {
            exports::record(rooms, "cost_forecast").await;
        }
        if !self.series.no_wait {
            catch_up(rooms, &ForecastQuery::PROJECTIONS, head, self.series.wait).await?;
        }
        let zone = self.series.time_zone.zone()?;
        let time = |limit: Option<Limit>| limit.map(|limit| limit.time(zone)).transpose();
        let query = ForecastQuery {
            series: self.series.query(rooms, &[]).await?,
            at: time(self.at)?,
            until: time(self.until)?,
            percent: self.percent,
            now: now(),
        };
        let made = cost_forecast(&rooms.reads, &query).await?;
        View::new(made, zone, head).print(self.series.format)?;
        warn_of_parked(rooms).await
    }
}
