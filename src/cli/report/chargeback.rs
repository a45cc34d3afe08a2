//! `apex report chargeback`

mod print;
mod server;
mod view;

#[cfg(test)]
pub(in crate::cli) use server::document;

use self::view::View;
use super::freshness::{catch_up, warn_of_parked};
use crate::cli::output::{Format, Sink};
use crate::cli::point::{Point, parse_time};
use crate::cli::session::{Session, interruptible, with_rooms};
use crate::cli::{backend, exports};
use crate::rooms::Rooms;
use anyhow::Context as _;
use chrono::{DateTime, Utc};
use commands::AsOf;
use domain::CostCentreCode;
use domain::allocation::{AllocationRuleSet, AllocationRules};
use domain::split::MONEY_DIGITS;
use domain::tag_keys::TagKeys;
use projections::{
    CostStatements, KnownAt, KnownLimits, KnownReport, NamedFilter, ReportQuery, StatementQuery, tag_key,
};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Allocate the charged cost of a period to cost centres, by the allocation rules (see `apex allocation`).
///
/// Each cost centre has a statement: the usage that rules assign to it, and its part of the cost that no rule assigns. The
/// statements add up to the total that `apex report cost` has for the same period and filters, to the last digit. Rounded totals
/// add up to the rounded total: what is left over by rounding down goes to the largest remainders. Calls without a known price
/// are counted, and are part of no cost.
///
/// The version of the rules that was used is written to standard error, and in JSON as `rules_version`; with it, the statements
/// can be made again after the rules were changed.
#[derive(Debug, clap::Args)]
pub(super) struct Chargeback {
    /// Only calls that started at or after this day or quarter of an hour, such as 2023-09-01 (UTC) or 2023-09-01T13:15:00Z
    #[arg(long, value_parser = parse_time)]
    from: DateTime<Utc>,
    /// Only calls that started before this day or quarter of an hour
    #[arg(long, value_parser = parse_time)]
    to: DateTime<Utc>,
    /// Only calls with this value of a dimension, as of `apex report cost`
    #[arg(long = "filter", value_parser = str::parse::<NamedFilter>, value_name = "DIMENSION=VALUE")]
    filters: Vec<NamedFilter>,
    /// Only the statement of the cost centre with this code, with its lines
    #[arg(long, value_parser = parse_code, value_name = "CODE")]
    cost_centre: Option<CostCentreCode>,
    /// The version of the allocation rules [default: the one that is in force in the period]
    #[arg(long, value_name = "VERSION")]
    rules_version: Option<u64>,
    /// Usage as it was known at this position of the log, or at this time, by the rules that were set then
    ///
    /// So the statements of a closed month can be made again, whatever was reported, corrected or set since. Each call is under the
    /// value of its tag, whenever its key was declared. The read models are not waited for.
    #[arg(long, value_name = "POSITION|TIME")]
    known_at: Option<Point>,
    /// The decimal places of rounded totals
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=i64::from(MONEY_DIGITS)))]
    digits: u32,
    /// The format of the statements
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// The timeout for the read models to catch up, such as 30s or 5m
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    wait: Duration,
    /// Use the present state of the read models, which may be behind the log
    #[arg(long, conflicts_with = "wait")]
    no_wait: bool,
}

fn parse_code(text: &str) -> Result<CostCentreCode, domain::TextError> {
    CostCentreCode::new(text)
}

/// Writes the statements of all cost centres into a file. Returns their number.
pub(super) fn write(
    sink: Sink<'_>,
    (made, rules_version): (&CostStatements, u64),
    digits: u32,
    format: Format,
) -> anyhow::Result<u64> {
    let view = View::new(made, rules_version, digits)?;
    print::write_statements(sink, &view, format)?;
    Ok(u64::try_from(view.statements.len())?)
}

impl Chargeback {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        if let Some(client) = backend::client(session)? {
            interruptible(server::statements(&client, &self)).await?;
            return Ok(ExitCode::SUCCESS);
        }
        with_rooms(session, async |rooms| {
            self.on_database(rooms).await?;
            Ok(ExitCode::SUCCESS)
        })
        .await
    }

    async fn on_database(&self, rooms: &mut Rooms) -> anyhow::Result<()> {
        let head = rooms.log.head().await?;
        if exports::is_export(self.format) {
            exports::record(rooms, "cost_statements").await;
        }
        if !self.no_wait && self.known_at.is_none() {
            catch_up(rooms, &["calls"], head, self.wait).await?;
        }
        let rules = self.rules(rooms).await?;
        let version = rules.version_for(self.from, self.to, self.rules_version)?;
        let events = rooms.log.of_tenants(rooms.reads.clone());
        let rules = projections::allocation_rules(&events, &rooms.principal.authorise()?, version).await?;
        let rules =
            rules.with_context(|| format!("the log lacks version {version} of the allocation rules"))?.set.rules;
        let declared = rooms.commands.load::<TagKeys>(&rooms.principal, TagKeys::id()).await?;
        let query = StatementQuery {
            access: rooms.principal.authorise()?,
            from: self.from,
            to: self.to,
            filters: self.filters.iter().map(|filter| filter.filter().clone()).collect(),
            filtered_tag: tag_key(&[], &self.filters)?.cloned(),
        };
        let made = match self.known_at {
            Some(known_at) => {
                known_statements(rooms, &query.report(&rules, &declared.state)?, known_at, &rules).await?
            }
            None => projections::cost_statements(&rooms.reads, &query, &rules, &declared.state).await?,
        };
        self.print(View::new(&made, version, self.digits)?)?;
        warn_of_parked(rooms).await
    }

    /// The rules as they are now, or as they were known; a version that is named may have been set later.
    async fn rules(&self, rooms: &Rooms) -> anyhow::Result<Arc<AllocationRules>> {
        let (commands, principal, id) = (&rooms.commands, &rooms.principal, AllocationRules::id());
        let as_of = match self.known_at.filter(|_| self.rules_version.is_none()) {
            None => return Ok(commands.load::<AllocationRules>(principal, id).await?.state.clone()),
            Some(Point::Position(position)) => AsOf::Position(position),
            Some(Point::Time(time)) => AsOf::Time(time),
        };
        Ok(commands.load_as_of::<AllocationRules>(principal, id, as_of).await?.state)
    }

    /// Prints the statements, or that of the requested cost centre.
    fn print(&self, mut view: View) -> anyhow::Result<()> {
        if let Some(code) = &self.cost_centre {
            view.statements.retain(|statement| statement.code == code.as_str());
            let version = view.rules_version;
            let one = view.statements.first();
            let one =
                one.with_context(|| format!("version {version} of the allocation rules has no cost centre {code}"))?;
            print::statement(&view, one, self.format)?;
        } else {
            print::statements(&view, self.format)?;
        }
        print::describe(&view);
        Ok(())
    }
}

/// Makes statements of usage as it was known at a point of the log.
async fn known_statements(
    rooms: &Rooms,
    query: &ReportQuery,
    known_at: Point,
    rules: &AllocationRuleSet,
) -> anyhow::Result<CostStatements> {
    let known_at = match known_at {
        Point::Position(position) => KnownAt::Position(position),
        Point::Time(time) => KnownAt::Time(time),
    };
    let events = rooms.log.of_tenants(rooms.reads.clone());
    let known = KnownReport::read(&rooms.log, &events, query, known_at, KnownLimits::OF_PROGRAM).await?;
    let (total, position) = (known.total.clone(), known.position);
    let rows = known.into_rows(&rooms.reads, query).await?;
    Ok(CostStatements::of_rows(rules, &rows, &total, (position, KnownReport::SUMMED_FROM.to_owned()))?)
}
