use super::*;
use crate::codec::EventCodec as _;
use crate::permissions::PermissionSet;
use crate::testing::{at, body, given, uuid};
use proptest::prelude::*;

fn key(number: u128) -> ApiKeyId {
    ApiKeyId(uuid(number))
}
fn terms() -> KeyTerms {
    KeyTerms {
        service_account_id: ServiceAccountId(uuid(1)),
        scopes: Scopes::All,
        agent_id: None,
        team_id: None,
        expires_at: Some(at(100)),
    }
}
fn create(terms: KeyTerms) -> ApiKeyCommand {
    ApiKeyCommand::Create { terms, at: at(0) }
}
fn created(terms: KeyTerms) -> ApiKeyEvent {
    ApiKeyEvent::Created(ApiKeyCreated { terms, at: at(0) })
}
fn rotate(successor: u128, expires: i64, now: i64) -> ApiKeyCommand {
    ApiKeyCommand::Rotate { successor: key(successor), expires_at: at(expires), at: at(now) }
}
fn rotated(successor: u128, expires: i64, now: i64) -> ApiKeyEvent {
    ApiKeyEvent::Rotated(ApiKeyRotated { successor: key(successor), expires_at: at(expires), at: at(now) })
}
fn revoke(reason: Option<&str>) -> ApiKeyCommand {
    ApiKeyCommand::Revoke { reason: reason.map(body), at: at(5) }
}
fn revoked(reason: Option<&str>) -> ApiKeyEvent {
    ApiKeyEvent::Revoked(ApiKeyRevoked { reason: reason.map(body), at: at(5) })
}

#[test]
fn a_key_is_created_once() {
    given::<ApiKey>([]).when(create(terms())).then([created(terms())]);
    given::<ApiKey>([created(terms())]).when(create(terms())).then([]);
    let other = KeyTerms { expires_at: None, ..terms() };
    given::<ApiKey>([created(terms())]).when(create(other)).then_rejected(ApiKeyError::AlreadyCreated);
}

#[test]
fn a_key_expires_at_the_time_of_its_terms() {
    let key = given::<ApiKey>([]).when(create(terms())).then([created(terms())]);
    assert_eq!(key.usable_at(at(99)), Ok(&terms()));
    assert_eq!(key.usable_at(at(100)), Err(ApiKeyError::Expired(at(100))));
    let forever = KeyTerms { expires_at: None, ..terms() };
    let key = given::<ApiKey>([]).when(create(forever.clone())).then([created(forever.clone())]);
    assert_eq!(key.usable_at(at(1_000_000)), Ok(&forever));
    assert_eq!(ApiKey::default().usable_at(at(0)), Err(ApiKeyError::NotCreated));
}

#[test]
fn a_key_that_would_expire_at_once_is_not_created() {
    let expired = KeyTerms { expires_at: Some(at(0)), ..terms() };
    given::<ApiKey>([])
        .when(create(expired))
        .then_rejected(ApiKeyError::ExpiresTooSoon { expires_at: at(0), at: at(0) });
}

#[test]
fn scopes_are_about_the_data_of_a_tenant() {
    let only = |scope: &str| Scopes::Only([scope.parse().unwrap()].into_iter().collect());
    let with = |scope: &str| KeyTerms { scopes: only(scope), ..terms() };
    given::<ApiKey>([]).when(create(with("command:calls"))).then([created(with("command:calls"))]);
    for scope in ["read:tenants", "run:installation"] {
        let rejected = ApiKeyError::ScopeOutsideTenant(scope.parse().unwrap());
        given::<ApiKey>([]).when(create(with(scope))).then_rejected(rejected);
    }
}

/// A list of scopes that is missing or empty is an error wherever it comes from, and never means all.
#[test]
fn no_scopes_are_never_all_scopes() {
    let none = KeyTerms { scopes: Scopes::Only(PermissionSet::default()), ..terms() };
    given::<ApiKey>([]).when(create(none)).then_rejected(ApiKeyError::NoScopes);
    let decode = |scopes: &str| {
        let payload = format!(
            r#"{{"service_account_id":"018bd12c-58b0-7683-8a5b-8752d0e86651"{scopes},"at":"2025-11-03T09:30:00Z"}}"#
        );
        ApiKeyEvent::decode("api_key.created", 1, &payload).map(|event| match event {
            ApiKeyEvent::Created(created) => created.terms.scopes,
            ApiKeyEvent::Rotated(_) | ApiKeyEvent::Revoked(_) => panic!("{event:?}"),
        })
    };
    for refused in ["", r#","scopes":[]"#, r#","scopes":null"#, r#","scopes":{"only":[]}"#, r#","scopes":"none""#] {
        assert!(decode(refused).is_err(), "{refused}");
    }
    // Controls: both forms, as they are written.
    assert_eq!(decode(r#","scopes":"all""#).unwrap(), Scopes::All);
    let only = decode(r#","scopes":{"only":["command:calls"]}"#).unwrap();
    assert!(only.contain("command:calls".parse().unwrap()) && !only.contain("command:tasks".parse().unwrap()));
}

#[test]
fn a_rotated_key_is_accepted_until_the_overlap_ends() {
    let key = given::<ApiKey>([created(terms())]).when(rotate(2, 20, 10)).then([rotated(2, 20, 10)]);
    assert_eq!(key.usable_at(at(19)), Ok(&terms()));
    assert_eq!(key.usable_at(at(20)), Err(ApiKeyError::Expired(at(20))));
    // The overlap never extends the time of the terms.
    let key = given::<ApiKey>([created(terms())]).when(rotate(2, 200, 10)).then([rotated(2, 200, 10)]);
    assert_eq!(key.expires_at(), Some(at(100)));
}

#[test]
fn a_key_is_rotated_once_and_only_while_it_is_usable() {
    given::<ApiKey>([created(terms()), rotated(2, 20, 10)]).when(rotate(2, 30, 11)).then([]);
    given::<ApiKey>([created(terms()), rotated(2, 20, 10)])
        .when(rotate(3, 30, 11))
        .then_rejected(ApiKeyError::AlreadyRotated(key(2)));
    given::<ApiKey>([created(terms())]).when(rotate(2, 200, 100)).then_rejected(ApiKeyError::Expired(at(100)));
    given::<ApiKey>([created(terms()), revoked(None)]).when(rotate(2, 20, 10)).then_rejected(ApiKeyError::Revoked);
    given::<ApiKey>([created(terms())])
        .when(rotate(2, 9, 10))
        .then_rejected(ApiKeyError::ExpiresTooSoon { expires_at: at(9), at: at(10) });
    given::<ApiKey>([]).when(rotate(2, 20, 10)).then_rejected(ApiKeyError::NotCreated);
}

#[test]
fn a_revoked_key_stays_revoked() {
    let key = given::<ApiKey>([created(terms())]).when(revoke(Some("leaked"))).then([revoked(Some("leaked"))]);
    assert_eq!(key.usable_at(at(6)), Err(ApiKeyError::Revoked));
    let revoked = || [created(terms()), revoked(Some("leaked"))];
    given::<ApiKey>(revoked()).when(revoke(Some("leaked"))).then([]);
    given::<ApiKey>(revoked()).when(revoke(None)).then([]);
    given::<ApiKey>(revoked()).when(revoke(Some("unused"))).then_rejected(ApiKeyError::AlreadyRevoked);
    given::<ApiKey>([]).when(revoke(None)).then_rejected(ApiKeyError::NotCreated);
}

fn any_command() -> impl Strategy<Value = ApiKeyCommand> {
    prop_oneof![
        Just(create(terms())),
        (2_u128..4, 0_i64..200, 0_i64..200).prop_map(|(successor, expires, now)| rotate(successor, expires, now)),
        Just(revoke(Some("leaked"))),
        Just(revoke(None)),
    ]
}

proptest! {
    /// A command that was accepted appends nothing when it is given again, a revoked key stays revoked, and no command
    /// makes a key expire later.
    #[test]
    fn accepted_commands_hold(commands in proptest::collection::vec(any_command(), 0..20)) {
        let mut key = ApiKey::default();
        for command in commands {
            let (was_revoked, expired_at) = (key.is_revoked, key.expires_at());
            if let Ok(events) = key.decide(command.clone()) {
                key = events.iter().fold(key, |key, event| key.evolve(event));
                prop_assert_eq!(key.decide(command), Ok(vec![]));
            }
            prop_assert!(!was_revoked || key.is_revoked);
            prop_assert!(expired_at.is_none() || key.expires_at() <= expired_at);
        }
    }
}

/// A key is bound to an agent or to the agents of a team. A program that does not know the latter does not read such a key: it
/// would not limit it.
#[test]
fn a_key_is_bound_to_an_agent_or_to_a_team() {
    let of_team = KeyTerms { team_id: Some(TeamId(uuid(5))), ..terms() };
    given::<ApiKey>([]).when(create(of_team.clone())).then([created(of_team.clone())]);
    let both = KeyTerms { agent_id: Some(AgentId(uuid(4))), ..of_team.clone() };
    given::<ApiKey>([]).when(create(both)).then_rejected(ApiKeyError::AgentAndTeam);
    given::<ApiKey>([created(of_team.clone())]).when(create(terms())).then_rejected(ApiKeyError::AlreadyCreated);
    let event = created(of_team);
    assert_eq!(event.event_type().schema_version, 2);
    for before in [terms(), KeyTerms { agent_id: Some(AgentId(uuid(4))), ..terms() }] {
        let payload = created(before.clone()).encode().unwrap();
        assert_eq!(ApiKeyEvent::decode("api_key.created", 1, &payload).unwrap(), created(before));
    }
}
