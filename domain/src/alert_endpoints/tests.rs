use super::*;
use crate::ids::BudgetId;
use crate::testing::{at, body, given, name, uuid};
use std::collections::BTreeSet;

const ID: AlertEndpointId = AlertEndpointId(uuid(1));

fn destination(kind: AlertEndpointKind, number: u128) -> AlertDestination {
    AlertDestination { kind, destination_id: uuid(number), host: name("https://hooks.example.com") }
}

fn terms(text: &str) -> AlertEndpointTerms {
    AlertEndpointTerms { name: name(text), budget_ids: BTreeSet::new() }
}

fn key(number: u128) -> SigningKey {
    SigningKey { secret_id: uuid(number), key_version: 1 }
}

fn define(id: u128, kind: AlertEndpointKind) -> AlertEndpointDefined {
    AlertEndpointDefined {
        endpoint_id: AlertEndpointId(uuid(id)),
        terms: terms("on call"),
        destination: destination(kind, 100 + id),
        signing: kind.is_signed().then(|| key(200 + id)),
        reason: None,
        at: at(id.try_into().unwrap()),
    }
}

fn defined() -> AlertEndpointsEvent {
    AlertEndpointsEvent::Defined(define(1, AlertEndpointKind::Webhook))
}

fn moved(second: i64) -> AlertEndpointMoved {
    AlertEndpointMoved { endpoint_id: ID, reason: Some(body("why")), at: at(second) }
}

fn disabled(cause: DisabledCause, second: i64) -> AlertEndpointDisabled {
    AlertEndpointDisabled { endpoint_id: ID, cause, reason: None, at: at(second) }
}

fn rotate(number: u128, overlap_seconds: u32, second: i64) -> AlertEndpointsCommand {
    AlertEndpointsCommand::RotateSecret {
        endpoint_id: ID,
        signing: key(number),
        overlap_seconds,
        reason: None,
        at: at(second),
    }
}

#[test]
fn an_endpoint_is_defined_once() {
    let define = |kind| AlertEndpointsCommand::Define(define(1, kind));
    let state = given::<AlertEndpoints>([]).when(define(AlertEndpointKind::Webhook)).then([defined()]);
    assert!(state.has_destination(uuid(101)) && !state.has_destination(uuid(102)));
    given::<AlertEndpoints>([defined()]).when(define(AlertEndpointKind::Webhook)).then([]);
    let other = given::<AlertEndpoints>([defined()]).when(define(AlertEndpointKind::Slack));
    other.then_rejected(AlertEndpointsError::AlreadyDefined(ID));
}

#[test]
fn a_tenant_has_at_most_fifty_endpoints_of_at_most_fifty_budgets_each() {
    let event = |number| AlertEndpointsEvent::Defined(define(number, AlertEndpointKind::Slack));
    let full = || (1..=50).map(event);
    let one_more = || AlertEndpointsCommand::Define(define(51, AlertEndpointKind::Slack));
    given::<AlertEndpoints>(full()).when(one_more()).then_rejected(AlertEndpointsError::TooMany);
    let room = full().chain([AlertEndpointsEvent::Removed(moved(60))]);
    given::<AlertEndpoints>(room).when(one_more()).then([event(51)]);
    let mut wide = define(1, AlertEndpointKind::Slack);
    wide.terms.budget_ids = (0..51).map(|number| BudgetId(uuid(number))).collect();
    let wide = given::<AlertEndpoints>([]).when(AlertEndpointsCommand::Define(wide));
    wide.then_rejected(AlertEndpointsError::TooManyBudgets(51));
}

#[test]
fn a_revision_keeps_the_kind_and_the_secret() {
    let revise = |kind, text: &str| AlertEndpointRevised {
        endpoint_id: ID,
        terms: terms(text),
        destination: destination(kind, 101),
        reason: None,
        at: at(5),
    };
    let webhook = AlertEndpointKind::Webhook;
    let revised = revise(webhook, "platform");
    let state = given::<AlertEndpoints>([defined()])
        .when(AlertEndpointsCommand::Revise(revised.clone()))
        .then([AlertEndpointsEvent::Revised(revised)]);
    let endpoint = state.get(ID).unwrap();
    assert_eq!((endpoint.terms.name.as_str(), endpoint.signing), ("platform", Some(key(201))));
    let same = AlertEndpointsCommand::Revise(revise(webhook, "on call"));
    given::<AlertEndpoints>([defined()]).when(same).then([]);
    let other = AlertEndpointsCommand::Revise(revise(AlertEndpointKind::Slack, "on call"));
    given::<AlertEndpoints>([defined()]).when(other).then_rejected(AlertEndpointsError::KindImmutable);
}

#[test]
fn two_secrets_are_used_until_the_overlap_ends() {
    let rotated = |number, until, second| {
        let (signing, previous_until, at) = (key(number), at(until), at(second));
        AlertEndpointsEvent::SecretRotated(AlertEndpointSecretRotated {
            endpoint_id: ID,
            signing,
            previous_until,
            reason: None,
            at,
        })
    };
    let state = given::<AlertEndpoints>([defined()]).when(rotate(7, 60, 10)).then([rotated(7, 70, 10)]);
    let keys = |state: &AlertEndpoints, second| state.get(ID).unwrap().signing_keys(at(second)).collect::<Vec<_>>();
    assert_eq!(keys(&state, 69), [key(7), key(201)]);
    assert_eq!(keys(&state, 70), [key(7)]);
    // Of three secrets, the first one is not used any more.
    let state =
        given::<AlertEndpoints>([defined(), rotated(7, 70, 10)]).when(rotate(8, 60, 20)).then([rotated(8, 80, 20)]);
    assert_eq!(keys(&state, 21), [key(8), key(7)]);
    let too_long = MAX_OVERLAP_SECONDS + 1;
    given::<AlertEndpoints>([defined()])
        .when(rotate(7, too_long, 10))
        .then_rejected(AlertEndpointsError::OverlapTooLong(too_long));
    let slack = AlertEndpointsEvent::Defined(define(1, AlertEndpointKind::Slack));
    given::<AlertEndpoints>([slack]).when(rotate(7, 60, 10)).then_rejected(AlertEndpointsError::NotSigned);
}

#[test]
fn a_disabled_endpoint_is_told_nothing_until_it_is_enabled() {
    let disable = |cause, second| AlertEndpointsCommand::Disable(disabled(cause, second));
    let by_answer = AlertEndpointsEvent::Disabled(disabled(DisabledCause::Gone, 5));
    let state = given::<AlertEndpoints>([defined()]).when(disable(DisabledCause::Gone, 5)).then([by_answer.clone()]);
    let budget = BudgetId(uuid(9));
    assert!(!state.get(ID).unwrap().is_told_of(budget));
    given::<AlertEndpoints>([defined(), by_answer.clone()]).when(disable(DisabledCause::Command, 6)).then([]);
    let test = || AlertEndpointsCommand::SendTest(AlertTestRequested { endpoint_id: ID, at: at(6) });
    given::<AlertEndpoints>([defined(), by_answer.clone()])
        .when(test())
        .then_rejected(AlertEndpointsError::Disabled(ID));
    let enabled = AlertEndpointsEvent::Enabled(moved(7));
    let state =
        given::<AlertEndpoints>([defined(), by_answer]).when(AlertEndpointsCommand::Enable(moved(7))).then([enabled]);
    assert!(state.get(ID).unwrap().is_told_of(budget));
    given::<AlertEndpoints>([defined()]).when(AlertEndpointsCommand::Enable(moved(7))).then([]);
}

#[test]
fn an_endpoint_of_some_budgets_is_told_of_no_other() {
    let mut limited = define(1, AlertEndpointKind::Webhook);
    limited.terms.budget_ids = [BudgetId(uuid(9))].into();
    let state = AlertEndpoints::default().evolve(&AlertEndpointsEvent::Defined(limited));
    let endpoint = state.get(ID).unwrap();
    assert!(endpoint.is_told_of(BudgetId(uuid(9))) && !endpoint.is_told_of(BudgetId(uuid(10))));
}

#[test]
fn what_was_removed_is_not_there_any_more() {
    let removed = || AlertEndpointsEvent::Removed(moved(5));
    let state = given::<AlertEndpoints>([defined()]).when(AlertEndpointsCommand::Remove(moved(5))).then([removed()]);
    assert_eq!(state, AlertEndpoints::default());
    for command in [
        AlertEndpointsCommand::Remove(moved(6)),
        AlertEndpointsCommand::Enable(moved(6)),
        AlertEndpointsCommand::Disable(disabled(DisabledCause::Command, 6)),
        rotate(7, 0, 6),
        AlertEndpointsCommand::SendTest(AlertTestRequested { endpoint_id: ID, at: at(6) }),
    ] {
        given::<AlertEndpoints>([defined(), removed()])
            .when(command)
            .then_rejected(AlertEndpointsError::NotDefined(ID));
    }
}

#[test]
fn a_silence_ends_within_a_month_or_is_ended() {
    let silence = |until: Option<i64>, second| AlertEndpointSilenced {
        endpoint_id: ID,
        until: until.map(at),
        reason: None,
        at: at(second),
    };
    let of = |until, second| AlertEndpointsCommand::Silence(silence(until, second));
    let silenced = |until, second| AlertEndpointsEvent::Silenced(silence(until, second));
    let state = given::<AlertEndpoints>([defined()]).when(of(Some(60), 10)).then([silenced(Some(60), 10)]);
    assert_eq!(state.get(ID).unwrap().silent_until, Some(at(60)));
    let both = || [defined(), silenced(Some(60), 10)];
    given::<AlertEndpoints>(both()).when(of(Some(60), 20)).then([]);
    let state = given::<AlertEndpoints>(both()).when(of(None, 20)).then([silenced(None, 20)]);
    assert_eq!(state.get(ID).unwrap().silent_until, None);
    for wrong in [10, 5, 10 + 31 * 86_400] {
        given::<AlertEndpoints>([defined()])
            .when(of(Some(wrong), 10))
            .then_rejected(AlertEndpointsError::SilenceLength);
    }
}

#[test]
fn alerts_wait_for_the_end_of_a_silence_and_of_quiet_hours() {
    // The first second of the tests is a Tuesday, 22:13:20 in UTC.
    let quiet_hours = QuietHours { time_zone: chrono_tz::UTC, days: [2].into(), from_minute: 22 * 60, minutes: 120 };
    let set = |quiet_hours| AlertQuietHoursSet { endpoint_id: ID, quiet_hours, reason: None, at: at(1) };
    let command = |quiet_hours| AlertEndpointsCommand::SetQuietHours(set(quiet_hours));
    let event = AlertEndpointsEvent::QuietHoursSet(set(Some(quiet_hours.clone())));
    let state = given::<AlertEndpoints>([defined()]).when(command(Some(quiet_hours.clone()))).then([event.clone()]);
    given::<AlertEndpoints>([defined(), event]).when(command(Some(quiet_hours.clone()))).then([]);
    let midnight = at(0) + TimeDelta::minutes(106) + TimeDelta::seconds(40);
    assert_eq!(state.get(ID).unwrap().waits_until(at(2)), Some(midnight));
    assert_eq!(state.get(ID).unwrap().waits_until(midnight), None);
    // The silence ends within the hours, or after them.
    let silenced = |until| {
        let silenced = AlertEndpointSilenced { endpoint_id: ID, until: Some(until), reason: None, at: at(2) };
        state.clone().evolve(&AlertEndpointsEvent::Silenced(silenced)).get(ID).unwrap().waits_until(at(3))
    };
    assert_eq!(silenced(at(60)), Some(midnight));
    assert_eq!(silenced(midnight + TimeDelta::hours(5)), Some(midnight + TimeDelta::hours(5)));
    let never = QuietHours { minutes: 0, ..quiet_hours };
    given::<AlertEndpoints>([defined()]).when(command(Some(never))).then_rejected(AlertEndpointsError::QuietHours);
    given::<AlertEndpoints>([]).when(command(None)).then_rejected(AlertEndpointsError::NotDefined(ID));
}
