//! The time zone, the time range and the compared period of a report as the command line names them.

use anyhow::Context as _;
use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use domain::{parse_day, parse_time};
use projections::{BasePeriod, start_of_day, time_zone};
use std::str::FromStr;

/// A time zone: an IANA name, or that of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ZoneName {
    Local,
    Named(Tz),
}

impl FromStr for ZoneName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "local" {
            return Ok(Self::Local);
        }
        let named = time_zone(text).map(Self::Named);
        named.map_err(|error| format!("{error}; \"local\" is the time zone of this machine"))
    }
}

impl ZoneName {
    /// The time zone.
    ///
    /// # Errors
    /// If it is that of this machine, and that is not known.
    pub(super) fn zone(&self) -> anyhow::Result<Tz> {
        match self {
            Self::Named(zone) => Ok(*zone),
            Self::Local => {
                let name = iana_time_zone::get_timezone();
                let name =
                    name.context("the time zone of this machine is not known: name one, such as Europe/Berlin")?;
                time_zone(&name).with_context(|| format!("the time zone of this machine is {name:?}: name another one"))
            }
        }
    }
}

/// A limit of a time range: a time, or the start of a day or month of the time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    At(DateTime<Utc>),
    Day(NaiveDate),
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(day) = parse_day(text).or_else(|| parse_day(&format!("{text}-01"))) {
            return Ok(Self::Day(day));
        }
        parse_time(text).map(Self::At).ok_or_else(|| {
            "expected a day such as 2023-09-24, a month such as 2023-09, or a time such as 2023-09-24T13:00:00Z or \
             2023-09-24T13:00:00+02:00"
                .to_owned()
        })
    }
}

impl Limit {
    /// The time in a zone.
    ///
    /// # Errors
    /// If the calendar does not have it.
    pub(super) fn time(self, zone: Tz) -> anyhow::Result<DateTime<Utc>> {
        match self {
            Self::At(time) => Ok(time),
            Self::Day(day) => start_of_day(zone, day).with_context(|| format!("{day} is out of range")),
        }
    }
}

/// The period that a report is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compared {
    Previous,
    With(Limit, Limit),
}

impl FromStr for Compared {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "previous" {
            return Ok(Self::Previous);
        }
        let limits = "expected previous, or two times such as 2023-08..2023-09 or 2023-08-24..2023-08-31";
        let (from, to) = text.split_once("..").ok_or(limits)?;
        Ok(Self::With(from.parse()?, to.parse()?))
    }
}

impl Compared {
    /// The period in a zone.
    pub(super) fn period(self, zone: Tz) -> anyhow::Result<BasePeriod> {
        Ok(match self {
            Self::Previous => BasePeriod::Previous,
            Self::With(from, to) => BasePeriod::With { from: from.time(zone)?, to: to.time(zone)? },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_days_and_months_of_the_zone_or_times() {
        let time = |text: &str, zone| text.parse::<Limit>().unwrap().time(zone).unwrap().to_rfc3339();
        assert_eq!(time("2026-10-25", Tz::UTC), "2026-10-25T00:00:00+00:00");
        assert_eq!(time("2026-10-25", Tz::Europe__Berlin), "2026-10-24T22:00:00+00:00");
        assert_eq!(time("2026-10-26", Tz::Europe__Berlin), "2026-10-25T23:00:00+00:00");
        assert_eq!(time("2026-11", Tz::America__New_York), "2026-11-01T04:00:00+00:00");
        assert_eq!(time("2026-11-01T00:00:00+01:00", Tz::Asia__Kathmandu), "2026-10-31T23:00:00+00:00");
        for bad in ["", "2026", "2026-13", "2026-02-30", "yesterday", "2026-10-25T13:00"] {
            assert!(bad.parse::<Limit>().unwrap_err().starts_with("expected a day"), "{bad}");
        }
    }

    #[test]
    fn zones_and_compared_periods_are_named() {
        assert_eq!("local".parse(), Ok(ZoneName::Local));
        assert_eq!("Asia/Kathmandu".parse::<ZoneName>().unwrap().zone().unwrap(), Tz::Asia__Kathmandu);
        assert!("Berlin".parse::<ZoneName>().unwrap_err().contains("\"Berlin\" is not a time zone"));
        assert_eq!("previous".parse(), Ok(Compared::Previous));
        let with = "2026-09..2026-10".parse::<Compared>().unwrap().period(Tz::Europe__Berlin).unwrap();
        let [from, to] = ["2026-08-31T22:00:00Z", "2026-09-30T22:00:00Z"].map(|text| text.parse().unwrap());
        assert_eq!(with, BasePeriod::With { from, to });
        for bad in ["", "next", "2026-09", "2026-09..", "a..b"] {
            assert!(bad.parse::<Compared>().is_err(), "{bad}");
        }
    }
}
