use super::*;
use crate::ids::BudgetId;
use crate::money::{Currency, Money};
use crate::sum::Sum;
use crate::testing::{at, body, given, name, uuid};
use chrono::TimeZone;
use chrono_tz::Tz;
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
        control: None,
    }
}
fn defined() -> BudgetEvent {
    BudgetEvent::Defined(BudgetDefined { terms: terms(), reason: None, at: at(0) })
}
fn closed() -> BudgetEvent {
    BudgetEvent::Closed(BudgetClosed { at: at(1) })
}

#[test]
fn an_id_holds_one_budget() {
    let define = |terms| BudgetCommand::Define { terms, at: at(0) };
    given::<Budget>([]).when(define(terms())).then([defined()]);
    given::<Budget>([defined()]).when(define(terms())).then([]);
    given::<Budget>([defined()])
        .when(define(BudgetTerms { limit: money("11"), ..terms() }))
        .then_rejected(BudgetError::AlreadyDefined);
}

#[test]
fn the_version_of_the_terms_changes_with_the_terms_and_with_raises() {
    let suspended = BudgetEvent::Suspended(BudgetSuspended { reason: body("why"), at: at(1) });
    let resumed = BudgetEvent::Resumed(BudgetResumed { reason: None, at: at(2) });
    let raised =
        BudgetEvent::Raised(BudgetRaised { amount: Amount::units(5), until: at(9), reason: body("why"), at: at(3) });
    let revised = BudgetEvent::Revised(BudgetDefined { terms: terms(), reason: None, at: at(4) });
    let mut budget = Budget::default();
    let events = [defined(), suspended, resumed, raised, revised, closed()];
    let versions = events.map(|event| {
        budget = std::mem::take(&mut budget).evolve(&event);
        budget.terms_version
    });
    assert_eq!(versions, [1, 1, 1, 4, 5, 5]);
}

#[test]
fn a_limit_of_zero_or_below_is_rejected() {
    for bad in ["0", "-5"] {
        given::<Budget>([])
            .when(BudgetCommand::Define { terms: BudgetTerms { limit: money(bad), ..terms() }, at: at(0) })
            .then_rejected(BudgetError::LimitNotPositive(money(bad)));
    }
}

#[test]
fn terms_can_be_revised_but_not_the_scope() {
    let revise = |terms| BudgetCommand::Revise { reason: None, terms, at: at(1) };
    let higher = BudgetTerms { limit: money("20"), ..terms() };
    given::<Budget>([defined()]).when(revise(higher.clone())).then([BudgetEvent::Revised(BudgetDefined {
        terms: higher,
        reason: None,
        at: at(1),
    })]);
    let other = BudgetTerms { scope: BudgetScope::Model { model: name("m") }, ..terms() };
    given::<Budget>([defined()]).when(revise(other)).then_rejected(BudgetError::ScopeImmutable);
    given::<Budget>([]).when(revise(terms())).then_rejected(BudgetError::NotDefined);
}

#[test]
fn a_closed_budget_stays_closed() {
    given::<Budget>([defined()]).when(BudgetCommand::Close { at: at(1) }).then([closed()]);
    given::<Budget>([defined(), closed()]).when(BudgetCommand::Close { at: at(1) }).then([]);
    given::<Budget>([defined(), closed()])
        .when(BudgetCommand::Define { terms: terms(), at: at(2) })
        .then_rejected(BudgetError::Closed);
    given::<Budget>([defined(), closed()])
        .when(BudgetCommand::Revise { terms: terms(), reason: None, at: at(2) })
        .then_rejected(BudgetError::Closed);
}

#[test]
fn a_threshold_is_reached_exactly_at_its_share() {
    let fifty = Threshold::try_from(50).unwrap();
    assert!(!fifty.is_reached(&sum("4.999999"), money("10")));
    assert!(fifty.is_reached(&sum("5"), money("10")));
    // Multiplied by 100, neither of these fits into a decimal of fixed size.
    let (limit, ten_times) = (money("999999999999999.999999999999"), Threshold::try_from(1000).unwrap());
    assert!(!ten_times.is_reached(&sum("9999999999999999.999999999989"), limit));
    assert!(ten_times.is_reached(&sum("9999999999999999.99999999999"), limit));
    assert_eq!(Threshold::try_from(0), Err(BudgetError::InvalidThreshold(0)));
    assert_eq!(Threshold::try_from(1001), Err(BudgetError::InvalidThreshold(1001)));
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
        .then_rejected(BudgetPeriodError::NotCrossed { spent: sum("5"), limit: money("10") });
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
fn a_month_may_start_after_midnight() {
    // Paraguay put its clocks forward at midnight of 1 October 2017.
    let october: Month = "2017-10".parse().unwrap();
    assert_eq!(october.bounds(Tz::America__Asuncion).0.to_rfc3339(), "2017-10-01T04:00:00+00:00");
}

#[test]
fn text_that_is_not_a_month_is_rejected() {
    for bad in ["", "2023", "2023-13", "2023-09-01", "x"] {
        assert!(bad.parse::<Month>().is_err(), "{bad:?}");
    }
}

proptest! {
    #[test]
    fn every_time_is_inside_its_month(
        seconds in 0_i64..4_000_000_000,
        zone in prop::sample::select(&chrono_tz::TZ_VARIANTS[..]),
    ) {
        let moment = Utc.timestamp_opt(seconds, 0).unwrap();
        let (from, to) = Month::containing(moment, zone).bounds(zone);
        prop_assert!(from <= moment && moment < to, "{moment} in {zone}: {from} to {to}");
    }
}
