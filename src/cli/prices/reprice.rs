//! `apex prices reprice`

mod print;
mod server;

#[cfg(test)]
pub(in crate::cli) use server::DOCUMENTS;

use super::super::output::Format;
use super::super::point::parse_time;
use super::super::report::catch_up;
use super::super::session::interruptible;
use crate::client::Client;
use crate::rooms::Rooms;
use chrono::{DateTime, Utc};
use commands::{RecordRepricing, Repriced};
use domain::Body;
use domain::permissions::{Action, ReadCalls};
use projections::calls::{self, CallFilter};
use std::process::ExitCode;
use std::time::Duration;
use uuid::Uuid;

/// The most rows that are kept in memory: differences by model and day, models without a price, and versions of the price book. A
/// command that finds more ends before the other calls.
const MAX_ROWS: usize = 200_000;
/// The most calls that could not be charged again which are named. The others are counted.
const MAX_NAMED: usize = 1_000;
/// How long the command waits for the read model of calls.
const WAIT: Duration = Duration::from_secs(600);
/// The exit code if calls could not be charged again, as that of an import with refused records.
const SOME_REFUSED: u8 = 3;
/// The exit code if calls were not looked at, because there are too many differences.
const CUT_SHORT: u8 = 5;

/// Charge calls again by the prices that the price book has now
///
/// Prints what it would change, by model and day, and changes nothing; with --apply, it records for each of these calls an
/// event with the charge before and after, and the reason. What a call was charged before stays in the log: `apex replay`, the
/// history of the call and `apex report cost --known-at` show it, and other reports have the sums with the new charges from then
/// on. A call that has no price now keeps its charge; such calls are counted and named.
///
/// What was done is kept if the command is interrupted; run it again to go on. Charging calls again by the same prices changes
/// nothing.
///
/// Exits with 0; with 3 if calls could not be charged again, of which the first 1,000 are named: the rest was charged; and with 5
/// if it ended before all calls were looked at, because it had found 200,000 differences: run it again with the given --from.
#[derive(Debug, clap::Args)]
pub(super) struct Reprice {
    /// Only calls that started at or after this day or time
    #[arg(long, value_parser = parse_time)]
    from: Option<DateTime<Utc>>,
    /// Only calls that started before this day or time
    #[arg(long, value_parser = parse_time)]
    to: Option<DateTime<Utc>>,
    /// Only calls of this model, as the calls name it
    #[arg(long)]
    model: Option<String>,
    /// Change the charges
    #[arg(long, requires = "reason")]
    apply: bool,
    /// Why the calls are charged again, which the events state: at most 1 KiB
    #[arg(long, value_parser = commands::Reprice::reason, requires = "apply")]
    reason: Option<Body>,
    /// The format of the list of differences
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// What was done with some calls, wherever it is done.
struct Part<C> {
    repriced: Repriced,
    /// The calls that refused, with the reasons.
    failed: Vec<(Uuid, String)>,
    /// If calls are left, where to go on, and the start of the last call.
    next: Option<(C, DateTime<Utc>)>,
}

/// What was done with all calls.
#[derive(Debug, Default)]
struct Done {
    repriced: Repriced,
    /// The first [`MAX_NAMED`] calls that could not be charged again, with the reasons.
    failed: Vec<(Uuid, String)>,
    /// The number of those that are not among them.
    more_failed: usize,
    /// If calls are left, the earliest start that they can have.
    left_from: Option<DateTime<Utc>>,
}

impl Reprice {
    /// The action of the subcommand.
    pub(super) fn action(&self) -> Action {
        if self.apply { Action::SendCommand } else { Action::ReadData }
    }

    /// Does it on the database.
    pub(super) async fn run_here(self, rooms: &mut Rooms) -> anyhow::Result<ExitCode> {
        let head = rooms.log.head().await?;
        catch_up(rooms, &["calls"], head, WAIT).await?;
        let rooms: &Rooms = rooms;
        let record = self.reason.clone().map(|reason| RecordRepricing {
            reason,
            at: Utc::now(),
            correlation_id: Uuid::now_v7(),
        });
        let reprice = commands::Reprice { principal: rooms.principal.clone(), record };
        let access = rooms.principal.authorise::<ReadCalls>()?;
        let filter = CallFilter::to_reprice(self.model.clone(), self.from, self.to);
        let part = async |after| {
            let max = commands::Reprice::MAX_CALLS;
            let (ids, next) = calls::part(&rooms.reads, &access, &filter, after, max).await?;
            let mut repriced = rooms.commands.reprice(&reprice, &ids).await?;
            let failed = std::mem::take(&mut repriced.failed);
            let failed = failed.into_iter().map(|failed| (failed.call_id.0, failed.reason.to_string())).collect();
            Ok(Part { repriced, failed, next: next.map(|next| (next, next.0)) })
        };
        let (done, result) = all_parts(MAX_ROWS, part).await;
        self.end(&done, result)
    }

    /// Lets a server do it.
    pub(super) async fn run_at(self, client: &Client) -> anyhow::Result<ExitCode> {
        interruptible(async {
            let head = client.head().await?.to_string();
            let part = async |after| server::part(client, &self, &head, after).await;
            let (done, result) = all_parts(MAX_ROWS, part).await;
            self.end(&done, result)
        })
        .await
    }

    /// Prints what was done, also if the rest failed.
    fn end(&self, done: &Done, result: anyhow::Result<()>) -> anyhow::Result<ExitCode> {
        if done.repriced.calls == 0 {
            result?;
            self.print(done)?;
            return Ok(ExitCode::SUCCESS);
        }
        self.print(done)?;
        result
            .map_err(|error| error.context("stopped before all calls were looked at; what was done before is kept"))?;
        Ok(done.exit_code())
    }
}

impl Done {
    fn add(&mut self, repriced: Repriced, failed: Vec<(Uuid, String)>) {
        self.repriced.add(repriced);
        let mut failed = failed.into_iter();
        self.failed.extend(failed.by_ref().take(MAX_NAMED.saturating_sub(self.failed.len())));
        self.more_failed += failed.count();
    }

    /// The number of rows in memory, but for the calls that could not be charged again.
    fn rows(&self) -> usize {
        let Repriced { differences, unpriced, book_versions, .. } = &self.repriced;
        differences.len() + unpriced.len() + book_versions.len()
    }

    fn exit_code(&self) -> ExitCode {
        match (self.failed.is_empty(), self.left_from) {
            (_, Some(_)) => ExitCode::from(CUT_SHORT),
            (false, None) => ExitCode::from(SOME_REFUSED),
            (true, None) => ExitCode::SUCCESS,
        }
    }
}

/// Does one part after the other, until no calls are left, a part fails, or there are more rows than fit into memory.
async fn all_parts<C: Clone>(
    max_rows: usize,
    part: impl AsyncFn(Option<C>) -> anyhow::Result<Part<C>>,
) -> (Done, anyhow::Result<()>) {
    let (mut done, mut after) = (Done::default(), None);
    loop {
        let Part { repriced, failed, next } = match part(after).await {
            Ok(part) => part,
            Err(error) => return (done, Err(error)),
        };
        done.add(repriced, failed);
        done.left_from = next.as_ref().map(|(_, started_at)| *started_at);
        let Some((cursor, _)) = next else { return (done, Ok(())) };
        if done.rows() >= max_rows {
            return (done, Ok(()));
        }
        after = Some(cursor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use commands::PriceDifference;
    use domain::{Money, Name};

    fn at(hour: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + chrono::TimeDelta::hours(hour)
    }

    /// A part with one call, of a model and a day of its own.
    fn part_of(number: i64, is_last: bool) -> Part<i64> {
        let mut repriced = Repriced { calls: 1, book_versions: [(7, 1)].into(), ..Repriced::default() };
        let cost = |text: &str| domain::Sum::from(Money::parse(text).unwrap());
        let difference = PriceDifference { calls: 1, unpriced: 0, before: cost("3"), after: cost("2.5") };
        repriced.differences.insert((Name::new(format!("m{number}")).ok(), at(0).date_naive()), difference);
        Part { repriced, failed: Vec::new(), next: (!is_last).then(|| (number + 1, at(number))) }
    }

    #[tokio::test]
    async fn parts_follow_one_another_until_no_calls_are_left() {
        let (done, result) = all_parts(100, async |after| Ok(part_of(after.unwrap_or(0), after == Some(4)))).await;
        result.unwrap();
        assert_eq!((done.repriced.calls, done.repriced.changed(), done.left_from), (5, 5, None));
    }

    #[tokio::test]
    async fn what_is_left_is_known_if_there_are_too_many_differences_or_a_part_fails() {
        // Three differences, and the version.
        let (done, result) = all_parts(4, async |after| Ok(part_of(after.unwrap_or(0), false))).await;
        result.unwrap();
        assert_eq!((done.repriced.calls, done.left_from), (3, Some(at(2))));
        assert_eq!(done.exit_code(), ExitCode::from(CUT_SHORT));
        let fails = async |after: Option<i64>| match after {
            Some(2) => anyhow::bail!("no connection"),
            after => Ok(part_of(after.unwrap_or(0), false)),
        };
        let (done, result) = all_parts(100, fails).await;
        assert_eq!(result.unwrap_err().to_string(), "no connection");
        assert_eq!((done.repriced.calls, done.left_from), (2, Some(at(1))));
    }

    #[tokio::test]
    async fn calls_that_could_not_be_charged_again_are_named_up_to_a_limit_and_counted() {
        let part = async |after: Option<i64>| {
            let mut part = part_of(after.unwrap_or(0), after == Some(2));
            part.failed = (0..450).map(|n| (Uuid::from_u128(n), "contended".to_owned())).collect();
            Ok(part)
        };
        let (done, result) = all_parts(100, part).await;
        result.unwrap();
        assert_eq!((done.failed.len(), done.more_failed), (MAX_NAMED, 3 * 450 - MAX_NAMED));
        assert_eq!(done.exit_code(), ExitCode::from(SOME_REFUSED));
    }
}
