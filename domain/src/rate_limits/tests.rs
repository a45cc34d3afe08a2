use super::*;
use crate::testing::{at, given};
use uuid::Uuid;

const KEY: ApiKeyId = ApiKeyId(Uuid::from_u128(1));
const OTHER_KEY: ApiKeyId = ApiKeyId(Uuid::from_u128(2));

fn acme() -> TenantId {
    "acme".parse().unwrap()
}
fn requests(amount: u32) -> LimitValues {
    LimitValues { requests_per_minute: Some(amount.try_into().unwrap()), ..LimitValues::default() }
}
fn set(scope: LimitScope, limits: LimitValues) -> RateLimitsCommand {
    RateLimitsCommand::Set { tenant_id: acme(), scope, limits, at: at(1) }
}
fn was_set(scope: LimitScope, limits: LimitValues) -> RateLimitsEvent {
    RateLimitsEvent::Set(RateLimitsSet { tenant_id: acme(), scope, limits, at: at(1) })
}
fn of_key(api_key_id: ApiKeyId) -> LimitScope {
    LimitScope::ApiKey { api_key_id }
}

#[test]
fn limits_replace_those_of_their_scope_only() {
    let tenant = was_set(LimitScope::Tenant, requests(100));
    let set_twice = given::<RateLimits>([tenant.clone()]).when(set(LimitScope::Tenant, requests(100)));
    set_twice.then([]);
    let key = was_set(of_key(KEY), requests(5));
    let limits = given::<RateLimits>([tenant.clone()]).when(set(of_key(KEY), requests(5))).then([key.clone()]);
    assert_eq!(limits.tenant, requests(100));
    assert_eq!(limits.of_scope(of_key(KEY)), requests(5));
    assert_eq!(limits.of_scope(of_key(OTHER_KEY)), LimitValues::default());
    // Limits that are all absent are removed.
    let removed = given::<RateLimits>([tenant, key]).when(set(of_key(KEY), LimitValues::default()));
    let limits = removed.then([was_set(of_key(KEY), LimitValues::default())]);
    assert!(limits.api_keys.is_empty());
}

#[test]
fn a_credential_has_its_own_limits_else_those_of_each_one() {
    let bytes = LimitValues { ingest_bytes_per_minute: Some(9.try_into().unwrap()), ..LimitValues::default() };
    let events = [was_set(LimitScope::EachSubject, requests(10)), was_set(of_key(KEY), bytes)];
    let limits = given::<RateLimits>(events).when(set(LimitScope::EachSubject, requests(10))).then([]);
    let own = limits.of_subject(Some(LimitedSubject::ApiKey(KEY)));
    assert_eq!(own, bytes.or(requests(10)));
    for other in [None, Some(LimitedSubject::ApiKey(OTHER_KEY)), Some(LimitedSubject::User(UserId(KEY.0)))] {
        assert_eq!(limits.of_subject(other), requests(10), "{other:?}");
    }
}

#[test]
fn the_number_of_credentials_with_limits_is_bounded() {
    let max = u128::try_from(RateLimits::MAX_SUBJECTS).unwrap();
    let key = |n: u128| of_key(ApiKeyId(Uuid::from_u128(n)));
    let full: Vec<_> = (1..=max).map(|n| was_set(key(n), requests(1))).collect();
    let user = LimitScope::User { user_id: UserId(Uuid::nil()) };
    given::<RateLimits>(full.clone()).when(set(user, requests(1))).then_rejected(RateLimitsError::TooManySubjects);
    given::<RateLimits>(full.clone()).when(set(key(1), requests(2))).then([was_set(key(1), requests(2))]);
    let room = full.into_iter().chain([was_set(key(7), LimitValues::default())]);
    given::<RateLimits>(room).when(set(user, requests(1))).then([was_set(user, requests(1))]);
}

#[test]
fn a_stream_is_that_of_one_tenant_and_the_installation_has_none() {
    let command = |tenant_id: TenantId| RateLimitsCommand::Set {
        tenant_id,
        scope: LimitScope::Tenant,
        limits: requests(1),
        at: at(1),
    };
    let known = [was_set(LimitScope::Tenant, requests(100))];
    let other = given::<RateLimits>(known).when(command("other".parse().unwrap()));
    other.then_rejected(RateLimitsError::OtherTenant(acme()));
    let reserved = given::<RateLimits>([]).when(command(TenantId::installation()));
    reserved.then_rejected(RateLimitsError::Reserved(TenantId::installation()));
}

#[test]
fn an_amount_is_positive_and_bounded() {
    assert!("1".parse::<LimitAmount>().is_ok() && "1000000000".parse::<LimitAmount>().is_ok());
    for wrong in ["0", "1000000001", "-1", "", "1.5", "99999999999999999999"] {
        let message = wrong.parse::<LimitAmount>().unwrap_err().to_string();
        assert!(message.contains("1 to 1000000000"), "{message}");
    }
    assert!(serde_json::from_str::<LimitAmount>("0").is_err());
}
