//! Random histories of budgets, compared with a reference model of the rule in decision record 4, through the read model
//! on a real database. The model test in `domain/src/spending.rs` covers the rule alone; this one also covers counting by
//! month, time zones, scopes and the stored rows.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use domain::budget::{BudgetClosed, BudgetDefined, BudgetEvent, BudgetScope, BudgetTerms, Threshold};
use domain::call::{CallAmended, CallEvent, CallFacts, CallKind, ChargedCall, Provenance, Reporters};
use domain::price_book::Charge;
use domain::{Currency, Event, EventCodec as _, Meter, Money, Quantity, TenantId, Usage};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::collections::{BTreeMap, BTreeSet};
use streams::{Append, Expected, Log, Metadata, NewEvent, StreamAppend};
use testkit::{TIMEOUT, TestDatabase, name};
use uuid::Uuid;

/// The number of histories that are equal in every run; the planted faults must be found among them.
const FIXED_HISTORIES: usize = 16;
/// The number of histories that differ from run to run.
const RANDOM_HISTORIES: usize = 10;

/// Times near the ends of months, and one far in the future.
const MOMENTS: [&str; 9] = [
    "2023-07-15T12:00:00Z",
    "2023-07-31T21:59:59Z",
    "2023-07-31T22:15:00Z",
    "2023-08-31T11:00:00Z",
    "2023-08-31T23:59:59Z",
    "2023-09-01T00:00:00Z",
    "2023-09-30T22:30:00Z",
    "2023-10-15T12:00:00Z",
    "2099-01-15T12:00:00Z",
];
const ZONES: [Tz; 4] = [Tz::UTC, Tz::Europe__Berlin, Tz::Pacific__Kiritimati, Tz::Pacific__Pago_Pago];

#[derive(Debug, Clone)]
struct Terms {
    limit: u32,
    percents: Vec<u16>,
    zone: Tz,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Spent {
    moment: usize,
    model: bool,
    /// The cost of the call; `None` is a call without a price.
    dollars: Option<u32>,
}

#[derive(Debug, Clone)]
enum Step {
    /// Defines the budget the first time, and revises it from then on.
    Terms(Terms),
    Close,
    /// Records a call the first time, and amends it from then on.
    Call(usize, Spent),
}

#[derive(Debug, Clone)]
struct History {
    /// Whether the budget counts calls of one model only.
    of_model: bool,
    steps: Vec<Step>,
}

fn histories() -> impl Strategy<Value = History> {
    let percents = prop::sample::subsequence(vec![30_u16, 50, 100, 150], 0..=4);
    let terms = (1_u32..=20, percents, prop::sample::select(&ZONES[..]));
    let terms = terms.prop_map(|(limit, percents, zone)| Step::Terms(Terms { limit, percents, zone }));
    let dollars = prop_oneof![1 => Just(None), 6 => (0_u32..=8).prop_map(Some)];
    let spent = (0..MOMENTS.len(), prop::bool::weighted(0.8), dollars);
    let call = (0_usize..8, spent)
        .prop_map(|(call, (moment, model, dollars))| Step::Call(call, Spent { moment, model, dollars }));
    let step = prop_oneof![4 => call, 2 => terms];
    (any::<bool>(), prop::collection::vec(step, 4..28), prop::option::weighted(0.5, any::<prop::sample::Index>()))
        .prop_map(|(of_model, mut steps, closed)| {
            if let Some(place) = closed {
                steps.insert(place.index(steps.len()), Step::Close);
            }
            History { of_model, steps }
        })
}

/// A budget that is closed before any spending, which is rare among random histories.
fn closed_early() -> History {
    let terms = Terms { limit: 10, percents: vec![50, 100], zone: Tz::UTC };
    let spent = Spent { moment: 0, model: true, dollars: Some(8) };
    History { of_model: false, steps: vec![Step::Terms(terms), Step::Close, Step::Call(0, spent)] }
}

fn at(moment: usize) -> DateTime<Utc> {
    MOMENTS[moment].parse().unwrap()
}

/// A crossing in whole dollars: month, percent, version of the terms, spent, limit, and whether an alert is raised.
type Crossing = (String, u16, i64, i64, i64, bool);

/// A planted fault of the reference model.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    OnlyCallsCross,
    OnlyTheLatestMonthIsRevised,
    AmendmentsRearm,
    RevisionsNeverRearm,
    ZoneChangesAreIgnored,
    ClosedBudgetsCount,
    TheFutureIsTheLatestMonth,
    EveryMonthIsDelivered,
}

const FAULTS: [Fault; 8] = [
    Fault::OnlyCallsCross,
    Fault::OnlyTheLatestMonthIsRevised,
    Fault::AmendmentsRearm,
    Fault::RevisionsNeverRearm,
    Fault::ZoneChangesAreIgnored,
    Fault::ClosedBudgetsCount,
    Fault::TheFutureIsTheLatestMonth,
    Fault::EveryMonthIsDelivered,
];

/// The reference model: applies the rule from scratch after each step.
fn model(history: &History, fault: Option<Fault>) -> BTreeSet<Crossing> {
    let this_month = Utc::now().format("%Y-%m").to_string();
    let mut calls: BTreeMap<usize, Spent> = BTreeMap::new();
    let (mut terms, mut version, mut is_closed): (Option<Terms>, i64, bool) = (None, 0, false);
    let mut crossed: BTreeSet<(String, u16)> = BTreeSet::new();
    let mut crossings = BTreeSet::new();
    for step in &history.steps {
        let mut is_revised = false;
        let mut is_amended = false;
        match step {
            Step::Terms(_) | Step::Close if is_closed => continue,
            Step::Close if terms.is_none() => continue,
            Step::Close => is_closed = true,
            Step::Terms(new) => {
                let zone = terms
                    .as_ref()
                    .filter(|_| fault == Some(Fault::ZoneChangesAreIgnored))
                    .map_or(new.zone, |old| old.zone);
                terms = Some(Terms { zone, ..new.clone() });
                (version, is_revised) = (version + 1, true);
            }
            Step::Call(call, spent) => is_amended = calls.insert(*call, *spent).is_some(),
        }
        let Some(terms) = &terms else { continue };
        if is_closed && fault != Some(Fault::ClosedBudgetsCount) {
            continue;
        }
        let counted = calls.values().filter(|spent| spent.model || !history.of_model);
        let months = spending_by_month(counted, terms.zone);
        let is_past = |month: &String| *month <= this_month || fault == Some(Fault::TheFutureIsTheLatestMonth);
        let latest: Vec<_> =
            months.iter().filter(|(month, spent)| **spent > 0 && is_past(month)).map(|row| row.0).collect();
        let oldest = latest.iter().rev().nth(1);
        let limit = i64::from(terms.limit);
        let reached = |month: &str, percent: u16| {
            months.get(month).is_some_and(|spent| *spent > 0 && spent * 100 >= limit * i64::from(percent))
        };
        if (is_revised && fault != Some(Fault::RevisionsNeverRearm))
            || (is_amended && fault == Some(Fault::AmendmentsRearm))
        {
            crossed.retain(|(month, percent)| reached(month, *percent));
        }
        for (month, spent) in &months {
            for percent in terms.percents.iter().filter(|percent| reached(month, **percent)) {
                if !crossed.insert((month.clone(), *percent)) {
                    continue;
                }
                let is_missed = match fault {
                    Some(Fault::OnlyCallsCross) => is_revised,
                    Some(Fault::OnlyTheLatestMonthIsRevised) => is_revised && latest.last() != Some(&month),
                    _ => false,
                };
                let is_delivered =
                    fault == Some(Fault::EveryMonthIsDelivered) || oldest.is_none_or(|oldest| month >= *oldest);
                if !is_missed {
                    crossings.insert((month.clone(), *percent, version, *spent, limit, is_delivered));
                }
            }
        }
    }
    crossings
}

fn spending_by_month<'a>(calls: impl Iterator<Item = &'a Spent>, zone: Tz) -> BTreeMap<String, i64> {
    let mut months = BTreeMap::new();
    for spent in calls {
        let month = at(spent.moment).with_timezone(&zone).format("%Y-%m").to_string();
        *months.entry(month).or_default() += i64::from(spent.dollars.unwrap_or(0));
    }
    months
}

fn charged(spent: Spent) -> ChargedCall {
    let model = name(if spent.model { "m" } else { "other" });
    let millions = spent.dollars.unwrap_or(1);
    ChargedCall {
        facts: CallFacts {
            provider: Some(name("p")),
            model: Some(model),
            usage: Usage::default().with(Meter::Input, Quantity::new(u64::from(millions) * 1_000_000).unwrap()),
            ..CallFacts::new(CallKind::Llm, at(spent.moment), name("test"))
        },
        provenance: Provenance::default(),
        charge: spent.dollars.map(|dollars| Charge {
            amount: Money::from_decimal(dollars.into()),
            book_version: 1,
            effective_from: at(0),
            seller: None,
            matched: None,
            contract: false,
            discount: None,
            lines: vec![],
            unbilled: vec![],
        }),
        counted_tags: BTreeSet::new(),
        reservation_id: None,
        reported_by: Reporters::default(),
    }
}

/// A tenant with one budget and its calls, whose history is appended event by event.
struct Tenant {
    id: TenantId,
    history: History,
    budget: Uuid,
    calls: BTreeMap<usize, (Uuid, ChargedCall)>,
    is_defined: bool,
    is_closed: bool,
}

impl Tenant {
    fn new(number: usize, history: History) -> Self {
        let id = format!("tenant-{number}").parse().unwrap();
        Self { id, history, budget: Uuid::now_v7(), calls: BTreeMap::new(), is_defined: false, is_closed: false }
    }

    /// The event of a step: its category, its stream id and itself; `None` if the step has no effect.
    fn event(&mut self, step: usize) -> Option<(&'static str, Uuid, Event)> {
        match self.history.steps.get(step)?.clone() {
            Step::Call(number, spent) => {
                let after = charged(spent);
                let event = match self.calls.get(&number) {
                    Some((_, before)) => {
                        let (before, after) = (before.clone(), after.clone());
                        CallEvent::Amended(CallAmended {
                            before,
                            after,
                            absorbed: Vec::new(),
                            settles: None,
                            in_part: false,
                        })
                    }
                    None => CallEvent::Recorded(after.clone().into()),
                };
                let entry = self.calls.entry(number).or_insert_with(|| (Uuid::now_v7(), after.clone()));
                entry.1 = after;
                Some(("call", entry.0, Event::Call(event)))
            }
            Step::Terms(_) | Step::Close if self.is_closed => None,
            Step::Close if !self.is_defined => None,
            Step::Close => {
                self.is_closed = true;
                let closed = BudgetClosed { at: at(0) };
                Some(("budget", self.budget, Event::Budget(BudgetEvent::Closed(closed))))
            }
            Step::Terms(terms) => {
                let scope =
                    if self.history.of_model { BudgetScope::Model { model: name("m") } } else { BudgetScope::Tenant };
                let terms = BudgetTerms {
                    name: name("monthly"),
                    scope,
                    limit: Money::from_decimal(terms.limit.into()),
                    currency: Currency::Usd,
                    time_zone: terms.zone,
                    thresholds: terms.percents.iter().map(|percent| Threshold::try_from(*percent).unwrap()).collect(),
                    control: None,
                };
                let defined = BudgetDefined { terms, reason: None, at: at(0) };
                let is_first = !std::mem::replace(&mut self.is_defined, true);
                let event = if is_first { BudgetEvent::Defined(defined) } else { BudgetEvent::Revised(defined) };
                Some(("budget", self.budget, Event::Budget(event)))
            }
        }
    }

    async fn append(&mut self, log: &Log, step: usize) {
        let Some((category, id, event)) = self.event(step) else { return };
        let (event_type, payload) = match &event {
            Event::Call(event) => (event.event_type(), event.encode()),
            Event::Budget(event) => (event.event_type(), event.encode()),
            other => panic!("{other:?}"),
        };
        let event = NewEvent {
            event_id: Uuid::now_v7(),
            name: event_type.name,
            schema_version: event_type.schema_version,
            payload: payload.unwrap(),
        };
        let command_id = Uuid::now_v7();
        let metadata = Metadata {
            actor: "test".to_owned(),
            command_id,
            correlation_id: command_id,
            causation_id: None,
            traceparent: None,
        };
        let stream = StreamAppend { category: category.into(), id, expected: Expected::Any, events: vec![event] };
        log.append(Append {
            tenant: self.id.clone(),
            metadata,
            request: None,
            streams: vec![stream],
            may_change_others: false,
        })
        .await
        .unwrap();
    }

    /// The crossings that the read model has recorded.
    async fn recorded(&self, database: &TestDatabase) -> BTreeSet<Crossing> {
        let whole = |amount: String| amount.parse::<i64>().unwrap();
        let rows = projections::budgets::crossings(
            &database.reads,
            &testkit::principal(self.id.clone(), "test").authorise().unwrap(),
            Some(self.budget),
            None,
            500,
        )
        .await
        .unwrap();
        let to_crossing = |row: projections::budgets::CrossingRow| {
            let percent = u16::try_from(row.threshold_percent).unwrap();
            (
                row.month,
                percent,
                row.terms_version,
                whole(row.spent.to_string()),
                whole(row.limit_amount.to_string()),
                row.is_delivered,
            )
        };
        rows.into_iter().map(to_crossing).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crossings_match_a_reference_model_over_random_histories() {
    let (mut fixed, mut random) = (TestRunner::deterministic(), TestRunner::default());
    let mut history = |number| {
        if number == 0 {
            return closed_early();
        }
        let runner = if number < FIXED_HISTORIES { &mut fixed } else { &mut random };
        histories().new_tree(runner).unwrap().current()
    };
    let mut tenants: Vec<_> =
        (0..FIXED_HISTORIES + RANDOM_HISTORIES).map(|number| Tenant::new(number, history(number))).collect();
    let database = TestDatabase::new().await;
    let mut rooms = database.rooms().await;
    let budgets = projections::by_name("budgets").unwrap();
    rooms.start_projection(budgets);
    let longest = tenants.iter().map(|tenant| tenant.history.steps.len()).max().unwrap();
    for step in 0..longest {
        for tenant in &mut tenants {
            tenant.append(&rooms.log, step).await;
        }
    }
    let head = rooms.log.head().await.unwrap();
    projections::wait_for(&database.pool, &["budgets"], head, TIMEOUT).await.unwrap();
    let mut crossed = Vec::new();
    for tenant in &tenants {
        let recorded = tenant.recorded(&database).await;
        assert_eq!(recorded, model(&tenant.history, None), "{}: {:#?}", tenant.id, tenant.history);
        crossed.push(recorded);
    }
    // Control: the same comparison finds each planted fault of the model.
    for fault in FAULTS {
        let mut fixed = tenants.iter().zip(&crossed).take(FIXED_HISTORIES);
        let is_detected = fixed.any(|(tenant, recorded)| *recorded != model(&tenant.history, Some(fault)));
        assert!(is_detected, "{fault:?} is not detected");
    }
    for batch_events in [1, 7] {
        let settings = projections::SessionSettings::different_locale(batch_events);
        let comparison =
            projections::verify(&testkit::access(), &database.pool, &rooms.log, budgets, &settings).await.unwrap();
        assert!(comparison.is_same(), "in batches of {batch_events}: {comparison:#?}");
    }
    rooms.close().await.unwrap();
}
