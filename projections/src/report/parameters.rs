//! The parameters of a statement, and the periods of time as expressions over them.

use super::period::{Start, Unit};
use super::usage_source::UsageSource;
use super::zone::Offsets;
use chrono::TimeDelta;
use sqlx::postgres::{PgArguments, Postgres};
use sqlx::{Arguments as _, Encode, Type};

/// The parameters of a statement.
pub(super) struct Parameters {
    pub(super) arguments: PgArguments,
    /// The offsets of the time zone in the time range of the report.
    offsets: Offsets,
    /// The names of the parameters with them, once they are needed: a parameter that the statement does not have is an error.
    names: Option<(String, String)>,
}

impl Parameters {
    pub(super) fn new(offsets: Offsets) -> Self {
        Self { arguments: PgArguments::default(), offsets, names: None }
    }

    /// Adds a parameter, and returns its name in the statement.
    pub(super) fn add<'t, T: Encode<'t, Postgres> + Type<Postgres>>(
        &mut self,
        value: T,
    ) -> Result<String, sqlx::Error> {
        self.arguments.add(value).map_err(sqlx::Error::Encode)?;
        Ok(format!("${}", self.arguments.len()))
    }

    /// Adds where a period of time begins, of the type of its column.
    pub(super) fn add_start(&mut self, start: Start) -> Result<String, sqlx::Error> {
        match start {
            Start::At(at) => self.add(at),
            Start::Midnight(midnight) => self.add(midnight),
        }
    }

    /// Adds where periods of one unit begin.
    pub(super) fn add_starts(&mut self, unit: Unit, starts: &[Start]) -> Result<String, sqlx::Error> {
        let at = |start: &Start| if let Start::At(at) = start { Some(*at) } else { None };
        let midnight = |start: &Start| if let Start::Midnight(midnight) = start { Some(*midnight) } else { None };
        match unit.minutes() {
            Some(_) => self.add(starts.iter().filter_map(at).collect::<Vec<_>>()),
            None => self.add(starts.iter().filter_map(midnight).collect::<Vec<_>>()),
        }
    }

    /// The names of the parameters with the changes of the offset, and with the offsets.
    fn zone(&mut self) -> Result<(String, String), sqlx::Error> {
        if let Some(names) = &self.names {
            return Ok(names.clone());
        }
        let Offsets { changes, seconds } = self.offsets.clone();
        let names = (format!("{}::timestamptz[]", self.add(changes)?), format!("{}::integer[]", self.add(seconds)?));
        self.names = Some(names.clone());
        Ok(names)
    }

    /// Where the period begins that a row `u` of a source is in, as [`Unit::at`] has it: a time, or a local midnight.
    pub(super) fn period(&mut self, unit: Unit, source: UsageSource) -> Result<String, sqlx::Error> {
        let time = source.time();
        let is_utc_by = |minutes| self.offsets.are_multiples_of(TimeDelta::minutes(minutes));
        // These columns are in the index of their source.
        match unit {
            Unit::Hour if is_utc_by(60) => return Ok("u.hour".to_owned()),
            Unit::QuarterHour if is_utc_by(15) => return Ok("u.quarter".to_owned()),
            Unit::Minute if is_utc_by(1) => return Ok(format!("date_trunc('minute', {time}, 'UTC')")),
            _ => {}
        }
        if self.offsets.are_none() {
            return Ok(format!("date_trunc('{}', {time} at time zone 'UTC')", unit.sql_name()));
        }
        let (changes, seconds) = self.zone()?;
        let index = format!("width_bucket({time}, {changes})");
        let offset = format!("({seconds})[{index} + 1] * interval '1 second'");
        let local = format!("({time} at time zone 'UTC' + {offset})");
        let Some(minutes) = unit.minutes() else { return Ok(format!("date_trunc('{}', {local})", unit.sql_name())) };
        let began = format!("date_bin('{minutes} minutes', {local}, timestamp '1970-01-01')");
        // A change of the offset begins a new period; there is none before the first.
        Ok(format!("greatest(({began} - {offset}) at time zone 'UTC', ({changes})[{index}])"))
    }
}
