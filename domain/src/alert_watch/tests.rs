use super::*;
use crate::budget_catalogue::{BudgetCatalogueEvent, CatalogueBudgetSet};
use crate::testing::{at, given, uuid};
use std::collections::BTreeSet;

const BUDGET: BudgetId = BudgetId(uuid(1));
const HOUR: i64 = 3600;

fn terms(kinds: &[WatchKind], renotify_hours: Option<u16>) -> WatchTerms {
    WatchTerms { kinds: kinds.iter().copied().collect(), renotify_hours, no_data_minutes: None }
}

fn set(terms: WatchTerms, second: i64) -> WatchSet {
    WatchSet { budget_id: BUDGET, terms, reason: None, at: at(second) }
}

fn watching(kinds: &[WatchKind], renotify_hours: Option<u16>) -> AlertWatchesEvent {
    AlertWatchesEvent::Set(set(terms(kinds, renotify_hours), 0))
}

/// What is observed at a time, under a version of the terms, in the period with a number.
fn observation(second: i64, terms_version: u64, period: u128, findings: &[(WatchKind, bool)]) -> Observation {
    let finding = |(kind, holds): &(WatchKind, bool)| Finding {
        kind: *kind,
        holds: *holds,
        observed: Amount::units(9),
        reference: Amount::units(5),
    };
    Observation {
        budget_id: BUDGET,
        balance_id: uuid(period),
        span: Span { starts_at: at(0), ends_at: at(100 * HOUR) },
        terms_version,
        measure: Measure::Money,
        findings: findings.iter().map(finding).collect(),
        at: at(second),
    }
}

/// Observes, and returns the state after it with the kinds and numbers that were raised, and the kinds that were resolved.
fn observe(watches: AlertWatches, given: Observation) -> (AlertWatches, Vec<(WatchKind, u32)>, Vec<WatchKind>) {
    let events = watches.decide(AlertWatchesCommand::Observe(given)).unwrap();
    let (mut raised, mut resolved) = (Vec::new(), Vec::new());
    for event in &events {
        match event {
            AlertWatchesEvent::Raised(of) => raised.push((of.key.kind, of.number)),
            AlertWatchesEvent::Resolved(of) => resolved.push(of.key.kind),
            AlertWatchesEvent::Set(_) | AlertWatchesEvent::Acknowledged(_) => panic!("{event:?}"),
        }
    }
    (events.iter().fold(watches, |state, event| state.evolve(event)), raised, resolved)
}

fn state(events: &[AlertWatchesEvent]) -> AlertWatches {
    events.iter().fold(AlertWatches::default(), |state, event| state.evolve(event))
}

fn key(kind: WatchKind) -> SignalKey {
    SignalKey { balance_id: uuid(7), terms_version: 1, kind }
}

#[test]
fn an_alert_is_raised_once_for_a_period_a_version_of_the_terms_and_a_kind() {
    use WatchKind::{Assumed, Exhausted};
    let watches = state(&[watching(&[Exhausted, Assumed], None)]);
    let (watches, raised, _) = observe(watches, observation(1, 1, 7, &[(Exhausted, true), (Assumed, false)]));
    assert_eq!(raised, [(Exhausted, 1)]);
    // Again, also after it was resolved.
    let (watches, raised, _) = observe(watches, observation(2, 1, 7, &[(Exhausted, true)]));
    assert!(raised.is_empty());
    let (watches, raised, resolved) = observe(watches, observation(3, 1, 7, &[(Exhausted, false), (Assumed, true)]));
    assert_eq!((raised, resolved), (vec![(Assumed, 1)], vec![Exhausted]));
    let (watches, raised, resolved) = observe(watches, observation(4, 1, 7, &[(Exhausted, true)]));
    assert_eq!((raised, resolved), (vec![], vec![]));
    // Other terms, and another period.
    let (watches, raised, resolved) = observe(watches, observation(5, 2, 7, &[(Exhausted, true)]));
    assert_eq!((raised, resolved), (vec![(Exhausted, 1)], vec![Assumed]), "that of the terms before is over");
    let (_, raised, _) = observe(watches, observation(6, 2, 8, &[(Exhausted, true)]));
    assert_eq!(raised, [(Exhausted, 1)]);
}

#[test]
fn what_is_not_watched_raises_nothing_and_watching_it_again_repeats_nothing() {
    use WatchKind::{Exhausted, Unpriced};
    let holds = |second| observation(second, 1, 7, &[(Exhausted, true), (Unpriced, true)]);
    assert!(observe(AlertWatches::default(), holds(1)).1.is_empty());
    let (watches, raised, _) = observe(state(&[watching(&[Exhausted], None)]), holds(1));
    assert_eq!(raised, [(Exhausted, 1)]);
    let watches = watches.evolve(&AlertWatchesEvent::Set(set(terms(&[], None), 2)));
    assert_eq!(watches.get(BUDGET).unwrap().signals[0].status, AlertStatus::Resolved);
    let (watches, raised, _) = observe(watches, holds(3));
    assert!(raised.is_empty());
    let watches = watches.evolve(&AlertWatchesEvent::Set(set(terms(&[Exhausted, Unpriced], None), 4)));
    assert_eq!(observe(watches, holds(5)).1, [(Unpriced, 1)]);
}

#[test]
fn an_alert_that_is_firing_is_sent_again_until_it_is_acknowledged() {
    let kind = WatchKind::Forecast;
    let holds = |second| observation(second, 1, 7, &[(kind, true)]);
    let (watches, ..) = observe(state(&[watching(&[kind], Some(2))]), holds(0));
    let (watches, raised, _) = observe(watches, holds(2 * HOUR - 1));
    assert!(raised.is_empty());
    let (watches, raised, _) = observe(watches, holds(2 * HOUR));
    assert_eq!(raised, [(kind, 2)]);
    let (watches, raised, _) = observe(watches, holds(3 * HOUR));
    assert!(raised.is_empty(), "the time begins anew");
    let answer = SignalAnswered { budget_id: BUDGET, key: key(kind), reason: None, at: at(3 * HOUR) };
    let answered = watches.decide(AlertWatchesCommand::Acknowledge(answer.clone())).unwrap();
    assert_eq!(answered, [AlertWatchesEvent::Acknowledged(answer.clone())]);
    let watches = watches.evolve(&answered[0]);
    assert_eq!(watches.decide(AlertWatchesCommand::Acknowledge(answer.clone())), Ok(vec![]));
    let (watches, raised, _) = observe(watches, holds(9 * HOUR));
    assert!(raised.is_empty());
    let (watches, _, resolved) = observe(watches, observation(10 * HOUR, 1, 7, &[(kind, false)]));
    assert_eq!(resolved, [kind]);
    let late = watches.decide(AlertWatchesCommand::Acknowledge(answer));
    assert_eq!(late, Err(AlertWatchesError::NotFiring));
}

#[test]
fn an_alert_is_resolved_when_its_period_is_over() {
    let kind = WatchKind::Exhausted;
    let (watches, ..) = observe(state(&[watching(&[kind], None)]), observation(1, 1, 7, &[(kind, true)]));
    let signal = &watches.get(BUDGET).unwrap().signals[0];
    let statuses = [100 * HOUR - 1, 100 * HOUR].map(|second| signal.status_at(at(second)));
    assert_eq!(statuses, [AlertStatus::Firing, AlertStatus::Resolved]);
    let late = SignalAnswered { budget_id: BUDGET, key: key(kind), reason: None, at: at(100 * HOUR) };
    assert_eq!(watches.decide(AlertWatchesCommand::Acknowledge(late)), Err(AlertWatchesError::NotFiring));
}

#[test]
fn the_alerts_that_are_kept_are_the_latest() {
    let kind = WatchKind::Exhausted;
    let mut watches = state(&[watching(&[kind], None)]);
    let last = u128::try_from(MAX_SIGNALS).unwrap() + 10;
    for period in 10..=last {
        watches = observe(watches, observation(1, 1, period, &[(kind, true)])).0;
    }
    let signals = &watches.get(BUDGET).unwrap().signals;
    assert_eq!((signals.len(), signals[0].key.balance_id), (MAX_SIGNALS, uuid(11)));
    assert!(observe(watches.clone(), observation(2, 1, last, &[(kind, true)])).1.is_empty());
}

#[test]
fn terms_that_are_not_valid_are_rejected() {
    let refused = |terms: WatchTerms, error| {
        given::<AlertWatches>([]).when(AlertWatchesCommand::Set(set(terms, 0))).then_rejected(error);
    };
    refused(terms(&[WatchKind::Assumed], Some(0)), AlertWatchesError::RenotifyHours(0));
    refused(terms(&[WatchKind::NoData], None), AlertWatchesError::NoDataIncomplete);
    let minutes = |kinds: &[WatchKind], minutes| WatchTerms { no_data_minutes: Some(minutes), ..terms(kinds, None) };
    refused(minutes(&[WatchKind::NoData], 4), AlertWatchesError::NoDataMinutes(4));
    refused(minutes(&[WatchKind::Assumed], 5), AlertWatchesError::NoDataIncomplete);
    assert_eq!(AlertWatchesError::RenotifyHours(0).to_string(), "an alert is sent again after 1 to 720 hours, not 0");
}

fn catalogue(budgets: u128, unit: &str) -> BudgetCatalogue {
    let entry = serde_json::from_value(serde_json::json!({
        "enforcement": "soft", "measure": "money", "limit": "10", "since": "2020-01-01T00:00:00Z",
        "segments": [{ "unit": unit, "time_zone": "UTC", "anchor": "2024-01-01" }],
    }));
    let entry: crate::budget_catalogue::CatalogueEntry = entry.unwrap();
    (1..=budgets).fold(BudgetCatalogue::default(), |catalogue, number| {
        let set = CatalogueBudgetSet { budget_id: BudgetId(uuid(number)), entry: entry.clone() };
        catalogue.evolve(&BudgetCatalogueEvent::Set(set))
    })
}

#[test]
fn only_budgets_with_an_enforcement_are_watched_and_a_pace_needs_an_end() {
    let watches = AlertWatches::default();
    let wanted = |kind| set(terms(&[kind], None), 0);
    let unknown = watches.set(wanted(WatchKind::Assumed), &BudgetCatalogue::default());
    assert_eq!(unknown, Err(AlertWatchesError::NotControlled(BUDGET)));
    let endless = watches.set(wanted(WatchKind::Forecast), &catalogue(1, "total"));
    assert_eq!(endless, Err(AlertWatchesError::NeedsEnd(WatchKind::Forecast)));
    assert_eq!(watches.set(wanted(WatchKind::Assumed), &catalogue(1, "total")).unwrap().len(), 1);
    assert_eq!(watches.set(wanted(WatchKind::Forecast), &catalogue(1, "month")).unwrap().len(), 1);
}

#[test]
fn a_tenant_watches_a_limited_number_of_budgets() {
    let most = u128::try_from(MAX_WATCHES).unwrap();
    let catalogue = catalogue(most + 1, "month");
    let of = |number, kinds: &[WatchKind]| WatchSet { budget_id: BudgetId(uuid(number)), ..set(terms(kinds, None), 0) };
    let kinds = [WatchKind::Assumed];
    let watches = (1..=most).fold(AlertWatches::default(), |watches, number| {
        let events = watches.set(of(number, &kinds), &catalogue).unwrap();
        events.iter().fold(watches, |watches, event| watches.evolve(event))
    });
    assert_eq!(watches.set(of(most + 1, &kinds), &catalogue), Err(AlertWatchesError::TooMany));
    // One that is watched may change, and one that is watched no more makes room.
    assert_eq!(watches.set(of(1, &[WatchKind::Exhausted]), &catalogue).unwrap().len(), 1);
    let watches = watches.evolve(&AlertWatchesEvent::Set(of(1, &[])));
    assert_eq!(watches.set(of(most + 1, &kinds), &catalogue).unwrap().len(), 1);
    let names: BTreeSet<_> = WatchKind::ALL.map(WatchKind::as_str).into();
    assert_eq!(names.len(), WatchKind::ALL.len());
}

#[test]
fn a_time_without_a_charge_is_over_within_every_period() {
    let wanted = |minutes| {
        let terms = WatchTerms { no_data_minutes: Some(minutes), ..terms(&[WatchKind::NoData], None) };
        set(terms, 0)
    };
    let watches = AlertWatches::default();
    // Five minutes less than the shortest period has, so that they are looked at once they are over.
    for (unit, most) in [("hour", 55), ("day", 1375), ("week", 10_015), ("month", 40_255)] {
        let (catalogue, minutes) = (catalogue(1, unit), most + 1);
        assert_eq!(watches.set(wanted(most), &catalogue).unwrap().len(), 1, "{unit}");
        let refused = watches.set(wanted(minutes), &catalogue);
        assert_eq!(refused, Err(AlertWatchesError::NoDataBeyondPeriod { minutes, most }), "{unit}");
    }
    let most = *NO_DATA_MINUTES.end();
    for unit in ["quarter", "year", "total"] {
        assert_eq!(watches.set(wanted(most), &catalogue(1, unit)).unwrap().len(), 1, "{unit}");
    }
}

#[test]
fn of_budgets_that_are_watched_no_more_a_limited_number_is_kept() {
    let kind = WatchKind::Exhausted;
    let most = MAX_ENDED_WATCHES;
    let mut watches = AlertWatches::default();
    for number in 0..=most {
        let budget_id = BudgetId(uuid(u128::try_from(number).unwrap() + 1));
        let of = |kinds: &[WatchKind]| AlertWatchesEvent::Set(WatchSet { budget_id, ..set(terms(kinds, None), 0) });
        let second = i64::try_from(number).unwrap();
        let observed = Observation { budget_id, ..observation(second, 1, 7, &[(kind, true)]) };
        watches = observe(watches.evolve(&of(&[kind])), observed).0.evolve(&of(&[]));
    }
    assert_eq!(watches.iter().count(), most);
    assert!(watches.get(BUDGET).is_none(), "its alert is the oldest one");
    // One that is watched is kept, however many are not.
    let watched = watches.evolve(&watching(&[kind], None));
    assert_eq!((watched.iter().count(), watched.watched().count()), (most + 1, 1));
}

/// A stream to which two processes append what they decided on the state that each knows.
#[derive(Default)]
struct Processes {
    events: Vec<AlertWatchesEvent>,
    /// The versions up to which the processes know the stream.
    known: [usize; 2],
}

impl Processes {
    /// Lets a process propose what it observed. With `compares_versions` it decides anew if the other one has appended meanwhile.
    fn observe(&mut self, process: usize, given: &Observation, compares_versions: bool) {
        if compares_versions {
            self.known[process] = self.events.len();
        }
        let decided = state(&self.events[..self.known[process]]).decide(AlertWatchesCommand::Observe(given.clone()));
        self.events.extend(decided.unwrap());
    }

    /// The alerts that were raised more than once.
    fn repeated(&self) -> Vec<(SignalKey, u32)> {
        let mut raised: Vec<(SignalKey, u32)> = Vec::new();
        let mut repeated = Vec::new();
        for event in &self.events {
            if let AlertWatchesEvent::Raised(of) = event {
                if raised.contains(&(of.key, of.number)) {
                    repeated.push((of.key, of.number));
                }
                raised.push((of.key, of.number));
            }
        }
        repeated
    }
}

proptest::proptest! {
    #[test]
    fn no_history_of_two_processes_raises_an_alert_twice(
        steps in proptest::collection::vec((0..2_usize, 0..3_i64, 1..4_u64, 7..9_u128, 0..2_usize, proptest::bool::ANY), 0..60),
    ) {
        let kinds = [WatchKind::Exhausted, WatchKind::Forecast];
        let mut processes = Processes { events: vec![watching(&kinds, Some(2))], known: [1, 1] };
        let mut second = 0;
        for (process, hours, terms_version, period, kind, holds) in steps {
            second += hours * HOUR;
            let given = observation(second, terms_version, period, &[(kinds[kind], holds)]);
            processes.observe(process, &given, true);
        }
        proptest::prop_assert_eq!(processes.repeated(), vec![]);
    }
}

/// A planted bug: what is appended rests on a state that is outdated.
#[test]
fn versions_that_are_not_compared_raise_an_alert_twice() {
    let kind = WatchKind::Exhausted;
    for (compares_versions, expected) in [(true, vec![]), (false, vec![(key(kind), 1)])] {
        let mut processes = Processes { events: vec![watching(&[kind], None)], known: [1, 1] };
        for process in [0, 1] {
            processes.observe(process, &observation(1, 1, 7, &[(kind, true)]), compares_versions);
        }
        assert_eq!(processes.repeated(), expected);
    }
}
