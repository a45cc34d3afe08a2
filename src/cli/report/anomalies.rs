//! `apex report anomalies`

mod print;
mod server;
mod view;

#[cfg(test)]
pub(in crate::cli) use server::DOCUMENT;

use self::view::View;
use super::dimension::DimensionParser;
use super::freshness::{catch_up, warn_of_parked};
use super::period::Limit;
use super::series::SeriesArguments;
use crate::cli::backend::{self, now};
use crate::cli::exports;
use crate::cli::session::{Session, interruptible, with_rooms};
use crate::rooms::Rooms;
use clap::ValueEnum;
use projections::NamedDimension;
use projections::outlook::{AnomalyPage, AnomalyQuery, AnomalyStep, cost_anomalies};
use std::process::ExitCode;

/// The most anomalies that are printed.
const MAX_ANOMALIES: usize = 1_000;

/// The step in which anomalies are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    /// Hours of the time zone
    Hour,
    /// Days of the time zone
    Day,
}

impl From<Step> for AnomalyStep {
    fn from(step: Step) -> Self {
        match step {
            Step::Hour => Self::Hour,
            Step::Day => Self::Day,
        }
    }
}

/// Find hours or days whose cost is not in the band in which it was expected, with who caused it.
///
/// Two naive bands (moving_median, last_period) and two seasonal ones (seasonal, seasonal_by_hour) are tested on the history before
/// the time range: on at most 84 days, or 182 if steps are days. The naive one of the lowest score is used, unless another one is better
/// by more than chance. The expected cost is split by the values of --by in proportion to what they cost in the same hour of the 28 days
/// before, or on these days; those that contribute most to the difference are shown, and the rest, so that the parts add up. Costs are
/// charged ones, in US dollars; calls without a known price are counted, and are in no cost.
///
/// The history needs four weeks. Hours and days that have not ended are left out.
#[derive(Debug, clap::Args)]
pub(super) struct Anomalies {
    #[command(flatten)]
    series: SeriesArguments,

    /// The start of the time range: a day, month or hour
    #[arg(long, value_name = "TIME")]
    from: Limit,

    /// The end of the time range: a day, month or hour, at most 31 days later, or 92 with --step day
    #[arg(long, value_name = "TIME")]
    to: Limit,

    /// The step in which anomalies are looked for
    #[arg(long, value_enum, default_value_t = Step::Hour)]
    step: Step,

    /// The dimension whose values are the causes; a tag with its key, such as tag:team
    #[arg(long, default_value = "agent", value_parser = DimensionParser, value_name = "DIMENSION")]
    by: NamedDimension,

    /// The number of causes of each anomaly before the rest
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=20))]
    causes: u8,
}

impl Anomalies {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        match backend::client(session)? {
            Some(client) => interruptible(server::anomalies(&client, &self)).await?,
            None => with_rooms(session, async |rooms| self.on_database(rooms).await).await?,
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn on_database(&self, rooms: &mut Rooms) -> anyhow::Result<()> {
        let head = rooms.log.head().await?;
        if exports::is_export(self.series.format) {
            exports::record(rooms, "cost_anomalies").await;
        }
        let zone = self.series.time_zone.zone()?;
        let by = std::slice::from_ref(&self.by);
        let query = AnomalyQuery {
            series: self.series.query(rooms, by).await?,
            from: self.from.time(zone)?,
            to: self.to.time(zone)?,
            step: self.step.into(),
            by: self.by.dimension(),
            causes: self.causes.into(),
            now: now(),
        };
        if !self.series.no_wait {
            catch_up(rooms, &query.projections(), head, self.series.wait).await?;
        }
        let page = AnomalyPage { after: None, size: MAX_ANOMALIES };
        let found = cost_anomalies(&rooms.reads, &query, page).await?;
        print::print(&View::new(found, zone, head), &self.by, self.series.format)?;
        warn_of_parked(rooms).await
    }
}
