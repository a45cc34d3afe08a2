//! Budgets: how much may be spent, by whom, in which month, and when to say so.
//!
//! A budget is one stream; each of its months is another, under an id derived from both, so that a new month is a
//! new stream and nothing is ever set back to zero.

use crate::codec::events;
use crate::{AgentId, Aggregate, BudgetId, Currency, Money, Name, Sum, UpcastError, derived_id};
use bigdecimal::BigDecimal;
use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;
use uuid::Uuid;

/// Whose spending a budget counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum BudgetScope {
    /// All of the tenant's.
    Tenant,
    /// One agent's.
    Agent {
        /// Which.
        agent_id: AgentId,
    },
    /// One model's, whoever sells it.
    Model {
        /// Which.
        model: Name,
    },
}

/// A share of the limit at which an alert is raised: 1 to 1000 percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u16", into = "u16")]
#[schemars(extend("minimum" = 1, "maximum" = 1000))]
pub struct Threshold(u16);

impl Threshold {
    /// The share in percent.
    #[must_use]
    pub fn percent(self) -> u16 {
        self.0
    }

    /// Whether `spent` has reached this share of `limit`.
    #[must_use]
    pub fn is_reached(self, spent: &Sum, limit: Money) -> bool {
        spent.as_number() * BigDecimal::from(100) >= limit.as_number() * BigDecimal::from(self.0)
    }
}

impl TryFrom<u16> for Threshold {
    type Error = BudgetError;

    fn try_from(percent: u16) -> Result<Self, Self::Error> {
        if (1..=1000).contains(&percent) { Ok(Self(percent)) } else { Err(BudgetError::BadThreshold(percent)) }
    }
}

impl From<Threshold> for u16 {
    fn from(threshold: Threshold) -> Self {
        threshold.0
    }
}

/// A calendar month, such as `2023-09`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^[+-]?[0-9]{4,6}-(0[1-9]|1[0-2])$"))]
pub struct Month {
    first: NaiveDate,
}

impl Month {
    /// The month that a moment belongs to in a time zone.
    #[must_use]
    pub fn containing(at: DateTime<Utc>, zone: Tz) -> Self {
        let local = at.with_timezone(&zone).date_naive();
        Self { first: local.with_day(1).unwrap_or(local) }
    }

    /// Its first moment in a time zone, and the next month's. Where midnight does not exist (a clock put forward),
    /// the month begins with the first moment that does.
    #[must_use]
    pub fn bounds(self, zone: Tz) -> (DateTime<Utc>, DateTime<Utc>) {
        (first_moment(self.first, zone), first_moment(self.next().first, zone))
    }

    fn next(self) -> Self {
        let next = self.first.checked_add_days(Days::new(31)).and_then(|day| day.with_day(1));
        Self { first: next.unwrap_or(self.first) }
    }
}

fn first_moment(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let midnight = day.and_time(NaiveTime::MIN);
    // Clocks are put forward by at most a day (Samoa, 2011), in steps of a quarter of an hour.
    (0..=96)
        .filter_map(|quarter| midnight.checked_add_signed(chrono::TimeDelta::minutes(15 * quarter)))
        .find_map(|local| zone.from_local_datetime(&local).earliest())
        .map_or_else(|| midnight.and_utc(), |moment| moment.with_timezone(&Utc))
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first.format("%Y-%m"))
    }
}

impl FromStr for Month {
    type Err = BudgetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d")
            .map(|first| Self { first })
            .map_err(|_| BudgetError::BadMonth(text.chars().take(32).collect()))
    }
}

impl TryFrom<String> for Month {
    type Error = BudgetError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Month> for String {
    fn from(month: Month) -> Self {
        month.to_string()
    }
}

/// What a budget is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetTerms {
    /// Its name.
    pub name: Name,
    /// Whose spending it counts.
    pub scope: BudgetScope,
    /// How much may be spent in a month; above zero.
    pub limit: Money,
    /// The limit's currency.
    #[serde(default)]
    pub currency: Currency,
    /// Where the month begins, as an IANA time zone name.
    #[schemars(with = "String")]
    pub time_zone: Tz,
    /// When to raise alerts; at most 16.
    pub thresholds: BTreeSet<Threshold>,
}

impl BudgetTerms {
    fn check(&self) -> Result<(), BudgetError> {
        if self.limit <= Money::ZERO {
            return Err(BudgetError::LimitNotPositive(self.limit));
        }
        if self.thresholds.len() > MAX_THRESHOLDS {
            return Err(BudgetError::TooManyThresholds(self.thresholds.len()));
        }
        Ok(())
    }
}

/// The most thresholds a budget may have.
const MAX_THRESHOLDS: usize = 16;

/// What may be asked of a budget.
#[derive(Debug, Clone, PartialEq)]
pub enum BudgetCommand {
    /// Set it up.
    Define {
        /// What it is.
        terms: BudgetTerms,
        /// When.
        at: DateTime<Utc>,
    },
    /// Change its terms. A threshold that the new terms leave unreached is armed again.
    Revise {
        /// What it is from now on.
        terms: BudgetTerms,
        /// When.
        at: DateTime<Utc>,
    },
    /// Count no more.
    Close {
        /// When.
        at: DateTime<Utc>,
    },
}

/// `budget.defined`, `budget.revised`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetDefined {
    /// What it is.
    #[serde(flatten)]
    pub terms: BudgetTerms,
    /// When.
    pub at: DateTime<Utc>,
}

/// `budget.closed`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetClosed {
    /// When.
    pub at: DateTime<Utc>,
}

events! {
    /// What may have happened to a budget.
    pub enum BudgetEvent {
        /// It was set up.
        "budget.defined" v 1 => Defined(BudgetDefined),
        /// Its terms changed.
        "budget.revised" v 1 => Revised(BudgetDefined),
        /// It counts no more.
        "budget.closed" v 1 => Closed(BudgetClosed),
    }
}

/// Why a command to a budget is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BudgetError {
    /// No budget has this id.
    #[error("the budget is not defined")]
    NotDefined,
    /// The id belongs to a budget with other terms.
    #[error("a budget with other terms is defined under this id")]
    AlreadyDefined,
    /// It was closed.
    #[error("the budget is closed")]
    Closed,
    /// Whose spending is counted cannot change: that is another budget.
    #[error("the scope of a budget cannot change; define another budget")]
    ScopeFixed,
    /// Zero or less.
    #[error("a limit is above 0, not {0}")]
    LimitNotPositive(Money),
    /// Outside 1 to 1000.
    #[error("a threshold is 1 to 1000 percent, not {0}")]
    BadThreshold(u16),
    /// Too many.
    #[error("{0} thresholds, 16 are allowed")]
    TooManyThresholds(usize),
    /// Not a month.
    #[error("{0:?} is not a month; write it like 2023-09")]
    BadMonth(String),
}

/// A budget's state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// What it is, once defined.
    pub terms: Option<BudgetTerms>,
    /// Whether it counts no more.
    pub closed: bool,
}

impl Aggregate for Budget {
    const CATEGORY: &'static str = "budget";
    type Command = BudgetCommand;
    type Event = BudgetEvent;
    type Error = BudgetError;

    fn decide(&self, command: BudgetCommand) -> Result<Vec<BudgetEvent>, BudgetError> {
        match (command, &self.terms) {
            (BudgetCommand::Define { terms, at }, None) => {
                terms.check()?;
                Ok(vec![BudgetEvent::Defined(BudgetDefined { terms, at })])
            }
            // That it is defined would be no answer to who wants it to count.
            (BudgetCommand::Define { .. }, Some(_)) if self.closed => Err(BudgetError::Closed),
            (BudgetCommand::Define { terms, .. }, Some(known)) => {
                if *known == terms {
                    Ok(Vec::new())
                } else {
                    Err(BudgetError::AlreadyDefined)
                }
            }
            (BudgetCommand::Revise { .. } | BudgetCommand::Close { .. }, None) => Err(BudgetError::NotDefined),
            (BudgetCommand::Revise { .. }, Some(_)) if self.closed => Err(BudgetError::Closed),
            (BudgetCommand::Revise { terms, at }, Some(known)) => {
                terms.check()?;
                if known.scope != terms.scope {
                    return Err(BudgetError::ScopeFixed);
                }
                if *known == terms {
                    return Ok(Vec::new());
                }
                Ok(vec![BudgetEvent::Revised(BudgetDefined { terms, at })])
            }
            (BudgetCommand::Close { .. }, Some(_)) if self.closed => Ok(Vec::new()),
            (BudgetCommand::Close { at }, Some(_)) => Ok(vec![BudgetEvent::Closed(BudgetClosed { at })]),
        }
    }

    fn evolve(mut self, event: &BudgetEvent) -> Self {
        match event {
            BudgetEvent::Defined(defined) | BudgetEvent::Revised(defined) => self.terms = Some(defined.terms.clone()),
            BudgetEvent::Closed(_) => self.closed = true,
        }
        self
    }
}

/// A crossed threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ThresholdCrossed {
    /// Whose.
    pub budget_id: BudgetId,
    /// In which month.
    pub month: Month,
    /// Which share of the limit.
    pub threshold_percent: Threshold,
    /// The version of the budget that set the terms under which it was crossed; where there is none, the first.
    #[serde(default = "first_terms", skip_serializing_if = "is_first_terms")]
    pub terms_version: u64,
    /// What was spent when it was crossed.
    pub spent: Sum,
    /// The limit at that time.
    pub limit: Money,
    /// The currency of both.
    #[serde(default)]
    pub currency: Currency,
    /// The position of the event that crossed it.
    pub crossed_at_position: u64,
}

/// The version of a budget that was never revised.
const FIRST_TERMS: u64 = 1;

fn first_terms() -> u64 {
    FIRST_TERMS
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_first_terms(version: &u64) -> bool {
    *version == FIRST_TERMS
}

/// A crossed threshold as it was written first: what was spent had the bounds of a single amount.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ThresholdCrossedV1 {
    /// Whose.
    pub budget_id: BudgetId,
    /// In which month.
    pub month: Month,
    /// Which share of the limit.
    pub threshold_percent: Threshold,
    /// What was spent when it was crossed.
    // Larger sums were written, too, and can be read.
    #[schemars(with = "Money")]
    pub spent: Sum,
    /// The limit at that time.
    pub limit: Money,
    /// The currency of both.
    #[serde(default)]
    pub currency: Currency,
    /// The position of the event that crossed it.
    pub crossed_at_position: u64,
}

/// A sum of amounts does not always fit into one amount, and each alert was raised once whatever became of the terms: it
/// counts for the first ones.
fn crossed_upcast_v1(old: ThresholdCrossedV1) -> Result<ThresholdCrossed, UpcastError> {
    Ok(ThresholdCrossed {
        budget_id: old.budget_id,
        month: old.month,
        threshold_percent: old.threshold_percent,
        terms_version: FIRST_TERMS,
        spent: old.spent,
        limit: old.limit,
        currency: old.currency,
        crossed_at_position: old.crossed_at_position,
    })
}

/// What may be asked of a month of a budget.
#[derive(Debug, Clone, PartialEq)]
pub enum BudgetPeriodCommand {
    /// Raise an alert for a threshold that was crossed: once under each version of the terms, however often it is asked
    /// for.
    RaiseAlert {
        /// Which.
        crossed: ThresholdCrossed,
    },
}

events! {
    /// What may have happened in a month of a budget.
    pub enum BudgetPeriodEvent {
        /// A threshold was crossed.
        "budget.threshold_crossed" v 2 => ThresholdCrossed(ThresholdCrossed),
            from v 1 (ThresholdCrossedV1) by crossed_upcast_v1,
    }
}

/// Why a command to a month of a budget is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BudgetPeriodError {
    /// Nothing was crossed.
    #[error("{spent} of {limit} does not reach the threshold")]
    NotCrossed {
        /// What was spent.
        spent: Sum,
        /// The limit.
        limit: Money,
    },
}

/// A month of a budget.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BudgetPeriod {
    /// The thresholds that alerts were raised for, each with the version of the terms under which it was crossed.
    pub raised: BTreeSet<(Threshold, u64)>,
}

impl BudgetPeriod {
    /// The stream of a budget's month.
    #[must_use]
    pub fn id(budget_id: BudgetId, month: Month) -> Uuid {
        derived_id(&["budget_period", &budget_id.to_string(), &month.to_string()])
    }
}

impl Aggregate for BudgetPeriod {
    const CATEGORY: &'static str = "budget_period";
    type Command = BudgetPeriodCommand;
    type Event = BudgetPeriodEvent;
    type Error = BudgetPeriodError;

    fn decide(&self, command: BudgetPeriodCommand) -> Result<Vec<BudgetPeriodEvent>, BudgetPeriodError> {
        let BudgetPeriodCommand::RaiseAlert { crossed } = command;
        if !crossed.threshold_percent.is_reached(&crossed.spent, crossed.limit) {
            return Err(BudgetPeriodError::NotCrossed { spent: crossed.spent, limit: crossed.limit });
        }
        if self.raised.contains(&(crossed.threshold_percent, crossed.terms_version)) {
            return Ok(Vec::new());
        }
        Ok(vec![BudgetPeriodEvent::ThresholdCrossed(crossed)])
    }

    fn evolve(mut self, event: &BudgetPeriodEvent) -> Self {
        let BudgetPeriodEvent::ThresholdCrossed(crossed) = event;
        self.raised.insert((crossed.threshold_percent, crossed.terms_version));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, given, name, uuid};
    use proptest::prelude::*;

    fn money(text: &str) -> Money {
        Money::parse(text).unwrap()
    }
    fn sum(text: &str) -> Sum {
        Sum::parse(text).unwrap()
    }
    fn terms() -> BudgetTerms {
        BudgetTerms {
            name: name("team"),
            scope: BudgetScope::Tenant,
            limit: money("10"),
            currency: Currency::Usd,
            time_zone: Tz::Europe__Berlin,
            thresholds: [50, 80, 100].into_iter().map(|p| Threshold::try_from(p).unwrap()).collect(),
        }
    }
    fn defined() -> BudgetEvent {
        BudgetEvent::Defined(BudgetDefined { terms: terms(), at: at(0) })
    }
    fn closed() -> BudgetEvent {
        BudgetEvent::Closed(BudgetClosed { at: at(1) })
    }

    #[test]
    fn a_budget_is_defined_once() {
        let define = |terms| BudgetCommand::Define { terms, at: at(0) };
        given::<Budget>([]).when(define(terms())).then([defined()]);
        given::<Budget>([defined()]).when(define(terms())).then([]);
        given::<Budget>([defined()])
            .when(define(BudgetTerms { limit: money("11"), ..terms() }))
            .then_refused(BudgetError::AlreadyDefined);
    }

    #[test]
    fn a_limit_is_above_zero() {
        for bad in ["0", "-5"] {
            given::<Budget>([])
                .when(BudgetCommand::Define { terms: BudgetTerms { limit: money(bad), ..terms() }, at: at(0) })
                .then_refused(BudgetError::LimitNotPositive(money(bad)));
        }
    }

    #[test]
    fn terms_can_be_revised_but_not_the_scope() {
        let revise = |terms| BudgetCommand::Revise { terms, at: at(1) };
        let higher = BudgetTerms { limit: money("20"), ..terms() };
        given::<Budget>([defined()])
            .when(revise(higher.clone()))
            .then([BudgetEvent::Revised(BudgetDefined { terms: higher, at: at(1) })]);
        let other = BudgetTerms { scope: BudgetScope::Model { model: name("m") }, ..terms() };
        given::<Budget>([defined()]).when(revise(other)).then_refused(BudgetError::ScopeFixed);
        given::<Budget>([]).when(revise(terms())).then_refused(BudgetError::NotDefined);
    }

    #[test]
    fn a_closed_budget_stays_closed() {
        given::<Budget>([defined()]).when(BudgetCommand::Close { at: at(1) }).then([closed()]);
        given::<Budget>([defined(), closed()]).when(BudgetCommand::Close { at: at(1) }).then([]);
        given::<Budget>([defined(), closed()])
            .when(BudgetCommand::Define { terms: terms(), at: at(2) })
            .then_refused(BudgetError::Closed);
        given::<Budget>([defined(), closed()])
            .when(BudgetCommand::Revise { terms: terms(), at: at(2) })
            .then_refused(BudgetError::Closed);
    }

    #[test]
    fn thresholds_are_reached_at_their_share_exactly() {
        let fifty = Threshold::try_from(50).unwrap();
        assert!(!fifty.is_reached(&sum("4.999999"), money("10")));
        assert!(fifty.is_reached(&sum("5"), money("10")));
        // Hundredfold, neither of these has a place in the digits of a decimal of fixed size.
        let (limit, ten_times) = (money("999999999999999.999999999999"), Threshold::try_from(1000).unwrap());
        assert!(!ten_times.is_reached(&sum("9999999999999999.999999999989"), limit));
        assert!(ten_times.is_reached(&sum("9999999999999999.99999999999"), limit));
        assert_eq!(Threshold::try_from(0), Err(BudgetError::BadThreshold(0)));
        assert_eq!(Threshold::try_from(1001), Err(BudgetError::BadThreshold(1001)));
    }

    #[test]
    fn an_alert_is_raised_once_under_each_version_of_the_terms() {
        let crossed = |percent, terms_version, spent| ThresholdCrossed {
            budget_id: BudgetId(uuid(1)),
            month: "2023-09".parse().unwrap(),
            threshold_percent: Threshold::try_from(percent).unwrap(),
            terms_version,
            spent: sum(spent),
            limit: money("10"),
            currency: Currency::Usd,
            crossed_at_position: 4,
        };
        let raise = |crossed| BudgetPeriodCommand::RaiseAlert { crossed };
        let event = BudgetPeriodEvent::ThresholdCrossed(crossed(50, 1, "5"));
        given::<BudgetPeriod>([]).when(raise(crossed(50, 1, "5"))).then([event.clone()]);
        given::<BudgetPeriod>([event.clone()]).when(raise(crossed(50, 1, "6"))).then([]);
        let again = BudgetPeriodEvent::ThresholdCrossed(crossed(50, 2, "6"));
        given::<BudgetPeriod>([event]).when(raise(crossed(50, 2, "6"))).then([again]);
        given::<BudgetPeriod>([])
            .when(raise(crossed(80, 1, "5")))
            .then_refused(BudgetPeriodError::NotCrossed { spent: sum("5"), limit: money("10") });
    }

    #[test]
    fn a_month_follows_the_time_zone() {
        let utc = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        assert_eq!(Month::containing(utc("2023-09-30T22:30:00Z"), Tz::Europe__Berlin).to_string(), "2023-10");
        assert_eq!(Month::containing(utc("2023-09-30T22:30:00Z"), Tz::UTC).to_string(), "2023-09");
        let september: Month = "2023-09".parse().unwrap();
        assert_eq!(september.bounds(Tz::Asia__Kathmandu), (utc("2023-08-31T18:15:00Z"), utc("2023-09-30T18:15:00Z")));
    }

    #[test]
    fn a_month_may_begin_after_midnight() {
        // Paraguay put its clocks forward at midnight of 1 October 2017.
        let october: Month = "2017-10".parse().unwrap();
        assert_eq!(october.bounds(Tz::America__Asuncion).0.to_rfc3339(), "2017-10-01T04:00:00+00:00");
    }

    #[test]
    fn a_month_is_written_like_one() {
        for bad in ["", "2023", "2023-13", "2023-09-01", "x"] {
            assert!(bad.parse::<Month>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn every_moment_is_inside_its_month(
            seconds in 0_i64..4_000_000_000,
            zone in prop::sample::select(&chrono_tz::TZ_VARIANTS[..]),
        ) {
            let moment = Utc.timestamp_opt(seconds, 0).unwrap();
            let (from, to) = Month::containing(moment, zone).bounds(zone);
            prop_assert!(from <= moment && moment < to, "{moment} in {zone}: {from} to {to}");
        }
    }
}
