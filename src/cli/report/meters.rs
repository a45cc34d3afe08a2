//! `apex report meters`

mod server;

#[cfg(test)]
pub(in crate::cli) use server::document;

use super::columns::has_names;
use super::dimension::DimensionParser;
use super::freshness::{catch_up, warn_of_parked};
use super::messages::say_behind;
use super::period::{Limit, ZoneName};
use crate::cli::exports;
use crate::cli::output::{self, Format};
use crate::client::Client;
use crate::rooms::Rooms;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use domain::Sum;
use domain::price_book::PriceBook;
use projections::{
    CallFilters, MeterCost, MeterCostLimits, MeterCostQuery, MeterCosts, NamedDimension, NamedFilter, OpenMeterCosts,
    tag_key,
};
use serde_json::{Map, Value, json};
use std::time::Duration;
use streams::Position;

/// Report the cost of each meter, such as input and output tokens.
///
/// The costs are those of the components of the charges, as receipts have them: they add up to the cost of `apex report cost` of the
/// same calls, to the last digit. `quantity` is what the calls used of a meter, with its parts; `billed_quantity` is what was billed
/// by its rate, with meters that have none of their own and are billed as it, and without its parts. A meter without a cost was not
/// billed itself. Calls without a price are counted, and are in no cost; `calls` of a meter are those that were charged for it.
///
/// No sums are kept of it: the calls are read, at a server at most 100,000, and at most 10,000 rows.
#[derive(Debug, clap::Args)]
pub(super) struct Meters {
    /// The dimensions to group by, separated by commas; a tag with its key, such as tag:team
    #[arg(long, value_delimiter = ',', value_parser = DimensionParser, value_name = "DIMENSION")]
    by: Vec<NamedDimension>,

    /// Only calls with this value of a dimension other than time, as of `apex report cost`
    #[arg(long = "filter", value_parser = str::parse::<NamedFilter>, value_name = "DIMENSION=VALUE")]
    filters: Vec<NamedFilter>,

    /// The time zone of days and other times: an IANA name such as Europe/Berlin, or local for that of this machine
    #[arg(long, default_value = "UTC", value_name = "ZONE")]
    time_zone: ZoneName,

    /// Only calls that started at or after this day, month or time, such as 2023-09-24, 2023-09 or 2023-09-24T13:15:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<Limit>,

    /// Only calls that started before this day, month or time
    #[arg(long, value_name = "TIME")]
    to: Option<Limit>,

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

/// The time zone and the time range of a report.
struct Times {
    zone: Tz,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
}

/// How far a report is behind the log.
struct Behind {
    head: Position,
    seconds: Option<u64>,
}

impl Meters {
    fn times(&self) -> anyhow::Result<Times> {
        let zone = self.time_zone.zone()?;
        let time = |limit: Option<Limit>| limit.map(|limit| limit.time(zone)).transpose();
        Ok(Times { zone, from: time(self.from)?, to: time(self.to)? })
    }

    /// Prints the costs that a server reports.
    pub(super) async fn at_server(&self, client: &Client) -> anyhow::Result<()> {
        let (costs, behind) = server::read(client, self).await?;
        self.print(&costs, &behind)?;
        super::server::warn_of_parked(client).await
    }

    /// Prints the costs that the database has.
    pub(super) async fn on_database(&self, rooms: &mut Rooms) -> anyhow::Result<()> {
        let Times { zone, from, to } = self.times()?;
        // Several keys are refused before anything is read.
        tag_key(&self.by, &self.filters)?;
        let filters = CallFilters::new(&self.filters)?;
        let mut query = MeterCostQuery::new(rooms.principal.authorise()?, filters).between(from, to);
        query.by = self.by.iter().map(NamedDimension::dimension).collect();
        query.zone = zone;
        query.tag_key = tag_key(&self.by, &[])?.cloned();
        let head = rooms.log.head().await?;
        if exports::is_export(self.format) {
            exports::record(rooms, "meter_costs").await;
        }
        if !self.no_wait {
            let names: Vec<_> = self.by.iter().filter_map(|by| by.dimension().names_projection()).collect();
            catch_up(rooms, &[&OpenMeterCosts::PROJECTIONS[..], &names].concat(), head, self.wait).await?;
        }
        let open = OpenMeterCosts::open(&rooms.reads, query, MeterCostLimits::OF_PROGRAM).await?;
        // After the snapshot, so that it has every version by which a call of the snapshot was charged.
        let book = rooms.commands.load::<PriceBook>(&rooms.principal.charging(), PriceBook::id()).await?;
        let costs = open.sum_up(&rooms.reads, PriceBook::clone(&book.state)).await?;
        let seconds = rooms.log.seconds_behind(costs.position).await?;
        self.print(&costs, &Behind { head, seconds })?;
        warn_of_parked(rooms).await
    }

    fn print(&self, costs: &MeterCosts, behind: &Behind) -> anyhow::Result<()> {
        let head = behind.head.max(costs.position);
        let events = head.get() - costs.position.get();
        let seconds = behind.seconds.filter(|_| events > 0);
        match self.format {
            Format::Json => output::json(&self.document(costs, head, (events, seconds))?)?,
            Format::Table | Format::Csv => self.print_rows(costs)?,
        }
        say!("Report as of position {} of {head}.", costs.position);
        say_behind((events, seconds));
        let unpriced = costs.total.unpriced_calls;
        if unpriced > 0 {
            say!("{unpriced} calls have no known price, and are in no cost: see `apex report cost`.");
        }
        Ok(())
    }

    /// The names of the dimensions, each with that of the names beside its ids.
    fn key_columns(&self) -> Vec<String> {
        let columns = |named: &NamedDimension| {
            let name = has_names(named).then(|| format!("{named}_name"));
            std::iter::once(named.to_string()).chain(name)
        };
        self.by.iter().flat_map(columns).collect()
    }

    /// The values of [`Meters::key_columns`].
    fn key_values(&self, keys: &[Option<String>], names: &[Option<String>]) -> Vec<Option<String>> {
        let values = self.by.iter().zip(keys.iter().zip(names)).flat_map(|(named, (key, name))| {
            let name = has_names(named).then(|| name.clone());
            std::iter::once(key.clone()).chain(name)
        });
        values.collect()
    }

    fn print_rows(&self, costs: &MeterCosts) -> anyhow::Result<()> {
        const COLUMNS: [&str; 5] = ["meter", "quantity", "billed_quantity", "calls", "cost"];
        let keys = self.key_columns();
        let is_table = self.format == Format::Table;
        let none = || if is_table { "–".to_owned() } else { String::new() };
        let mut rows = Vec::new();
        for group in &costs.groups {
            let of_group: Vec<_> = self.key_values(&group.row.keys, &group.row.names);
            let of_group: Vec<_> = of_group.into_iter().map(|key| key.unwrap_or_else(none)).collect();
            rows.extend(group.meters.iter().map(|meter| [of_group.clone(), values(meter, none).to_vec()].concat()));
        }
        // A table ends with the total; rows of CSV can be added up.
        if is_table || keys.is_empty() {
            let of_total = |n: usize| if n == 0 { "total".to_owned() } else { String::new() };
            let of_total: Vec<_> = (0..keys.len()).map(of_total).collect();
            rows.extend(costs.meters.iter().map(|meter| [of_total.clone(), values(meter, none).to_vec()].concat()));
        }
        let header: Vec<_> = keys.iter().map(String::as_str).chain(COLUMNS).collect();
        output::list(&header, rows, keys.len() + 1..header.len(), self.format)
    }

    fn document(&self, costs: &MeterCosts, head: Position, behind: (u64, Option<u64>)) -> anyhow::Result<Value> {
        let columns = self.key_columns();
        let mut groups = Vec::new();
        for group in &costs.groups {
            let keys = columns.iter().cloned().zip(self.key_values(&group.row.keys, &group.row.names));
            let mut members: Map<String, Value> = keys.map(|(name, key)| (name, json!(key))).collect();
            members.insert("calls".to_owned(), json!(group.row.totals.calls));
            members.insert("unpriced_calls".to_owned(), json!(group.row.totals.unpriced_calls));
            members.insert("cost".to_owned(), json!(group.row.totals.known_cost()));
            members.insert("meters".to_owned(), meters(&group.meters));
            groups.push(Value::Object(members));
        }
        Ok(json!({
            "groups": groups,
            "meters": meters(&costs.meters),
            "calls": costs.total.calls,
            "unpriced_calls": costs.total.unpriced_calls,
            "cost": costs.total.known_cost(),
            "currency": "USD",
            "time_zone": self.times()?.zone.name(),
            "position": costs.position,
            "head": head,
            "events_behind": behind.0,
            "seconds_behind": behind.1,
        }))
    }
}

/// The name of a meter as in `apex report cost`.
fn name(of: &MeterCost) -> Option<&'static str> {
    of.meter.map(|meter| meter.column())
}

fn values(of: &MeterCost, none: impl Fn() -> String) -> [String; 5] {
    [
        name(of).map_or_else(&none, str::to_owned),
        of.quantity.to_string(),
        of.billed_quantity.to_string(),
        of.calls.to_string(),
        of.cost.as_ref().map_or_else(none, Sum::to_string),
    ]
}

fn meters(of: &[MeterCost]) -> Value {
    let object = |of: &MeterCost| {
        json!({
            "meter": name(of),
            "quantity": of.quantity.to_string(),
            "billed_quantity": of.billed_quantity.to_string(),
            "calls": of.calls,
            "cost": of.cost,
        })
    };
    of.iter().map(object).collect()
}
