//! What a provider says of a person, as far as it counts. Pure, so that its tests need no provider.

use super::config::{GroupsClaim, ProviderConfig};
use super::error::Refused;
use crate::people::Email;
use domain::Name;
use domain::role_assignment::AssignedRole;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The longest subject of an issuer, in bytes, as OpenID Connect limits it.
const MAX_SUBJECT_BYTES: usize = 255;

/// A person whom a provider has authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    /// Who the person is at the issuer.
    pub(super) subject: String,
    /// The address, if the provider says that it verified it.
    pub(super) email: Option<Email>,
    /// The name of the person, if it can be stored.
    pub(super) display_name: Option<Name>,
    /// The roles that the groups of the person give.
    pub(super) roles: BTreeSet<AssignedRole>,
}

/// Whether an ID token lacks something that the userinfo endpoint may say.
pub(super) fn is_incomplete(token: &Map<String, Value>, config: &ProviderConfig) -> bool {
    let lacks = |name: &str| !token.contains_key(name);
    let lacks_groups = !config.roles.is_empty() && groups(token, &config.groups_claim).is_none();
    lacks("email") || lacks("email_verified") || lacks("name") || lacks_groups
}

/// The person of an ID token that was verified, with what the userinfo endpoint says of the same subject. What the token says
/// counts first.
///
/// # Errors
/// [`Refused`] if the provider's people with such an address or such groups may not sign in.
pub(super) fn person(
    token: &Map<String, Value>,
    userinfo: Option<&Map<String, Value>>,
    config: &ProviderConfig,
) -> Result<Person, Refused> {
    let sources: Vec<_> = std::iter::once(token).chain(userinfo).collect();
    let subject = token.get("sub").and_then(Value::as_str).unwrap_or_default();
    if subject.is_empty() || subject.len() > MAX_SUBJECT_BYTES || subject.contains('\0') {
        return Err(Refused::Token);
    }
    // The address and that it was verified have to be said by the same source.
    let email = sources.iter().find_map(|claims| verified_email(claims));
    let name = sources.iter().find_map(|claims| claims.get("name").and_then(Value::as_str));
    let display_name = name.and_then(|name| Name::new(name.trim()).ok());
    if !config.domains.is_empty() && !email.as_ref().is_some_and(|email| is_of_domains(email, &config.domains)) {
        return Err(Refused::Domain);
    }
    let groups = sources.iter().find_map(|claims| groups(claims, &config.groups_claim)).unwrap_or_default();
    let roles: BTreeSet<_> = groups.iter().filter_map(|group| config.roles.get(*group)).flatten().copied().collect();
    if config.requires_group && roles.is_empty() {
        return Err(Refused::NoGroup);
    }
    Ok(Person { subject: subject.to_owned(), email, display_name, roles })
}

fn verified_email(claims: &Map<String, Value>) -> Option<Email> {
    // Some providers write it as text.
    let is_verified = match claims.get("email_verified")? {
        Value::Bool(is_verified) => *is_verified,
        Value::String(text) => text == "true",
        Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => false,
    };
    Email::parse(claims.get("email")?.as_str()?).ok().filter(|_| is_verified)
}

fn is_of_domains(email: &Email, domains: &BTreeSet<String>) -> bool {
    email.as_str().rsplit_once('@').is_some_and(|(_, domain)| domains.contains(domain))
}

/// The groups that claims name; none if they say nothing of groups. A claim may be one text.
fn groups<'a>(claims: &'a Map<String, Value>, claim: &GroupsClaim) -> Option<Vec<&'a str>> {
    let found = match claim {
        GroupsClaim::Name(name) => claims.get(name),
        GroupsClaim::Pointer(pointer) => {
            let (first, rest) = pointer.strip_prefix('/')?.split_once('/').map_or((&pointer[1..], ""), |parts| parts);
            let first = first.replace("~1", "/").replace("~0", "~");
            let found = claims.get(&first)?;
            if rest.is_empty() { Some(found) } else { found.pointer(&format!("/{rest}")) }
        }
    };
    match found? {
        Value::String(group) => Some(vec![group]),
        Value::Array(groups) => Some(groups.iter().filter_map(Value::as_str).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::example;
    use super::*;
    use domain::permissions::Role;
    use serde_json::json;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn an_address_counts_if_the_same_source_says_that_it_is_verified() {
        let email = |token: Value, userinfo: Value| {
            let mut token = map(token);
            token.insert("sub".to_owned(), json!("1"));
            person(&token, Some(&map(userinfo)), &example()).unwrap().email.map(|email| email.as_str().to_owned())
        };
        let ada = Some("ada@example.org".to_owned());
        let verified = json!({ "email": "Ada@Example.org", "email_verified": true });
        assert_eq!(email(verified.clone(), json!({})), ada);
        assert_eq!(email(json!({}), verified.clone()), ada);
        assert_eq!(email(json!({ "email": "eve@example.org" }), verified), ada);
        assert_eq!(email(json!({ "email": "ada@example.org", "email_verified": "true" }), json!({})), ada);
        for unverified in [json!({}), json!({ "email_verified": false }), json!({ "email_verified": 1 })] {
            let mut token = map(unverified);
            token.insert("email".to_owned(), json!("ada@example.org"));
            assert_eq!(email(Value::Object(token), json!({ "email_verified": true })), None);
        }
    }

    #[test]
    fn groups_give_roles_wherever_they_are() {
        let roles = |claims: Value, claim: &str| {
            let config = ProviderConfig { groups_claim: claim.to_owned().into(), ..example() };
            let mut token = map(claims);
            token.insert("sub".to_owned(), json!("1"));
            person(&token, None, &config).unwrap().roles
        };
        let viewer = BTreeSet::from([AssignedRole::BuiltIn(Role::Viewer)]);
        let both = BTreeSet::from([Role::Viewer, Role::Admin].map(AssignedRole::BuiltIn));
        assert_eq!(roles(json!({ "groups": ["staff", "others", 7] }), "groups"), viewer);
        assert_eq!(roles(json!({ "groups": "staff" }), "groups"), viewer);
        assert_eq!(roles(json!({ "groups": ["staff", "admins"] }), "groups"), both);
        assert_eq!(roles(json!({ "https://example.com/groups": ["staff"] }), "https://example.com/groups"), viewer);
        assert_eq!(roles(json!({ "realm_access": { "roles": ["staff"] } }), "/realm_access/roles"), viewer);
        for nothing in
            [json!({}), json!({ "groups": [] }), json!({ "groups": { "staff": true } }), json!({ "x": ["staff"] })]
        {
            assert!(roles(nothing, "groups").is_empty());
        }
        assert!(roles(json!({ "realm_access": ["staff"] }), "/realm_access/roles").is_empty());
    }

    #[test]
    fn domains_and_groups_can_be_required() {
        let domains = BTreeSet::from(["example.org".to_owned()]);
        let config = ProviderConfig { domains, requires_group: true, ..example() };
        let of = |email: &str, is_verified: bool, groups: &[&str]| {
            let claims = json!({ "sub": "1", "email": email, "email_verified": is_verified, "groups": groups });
            person(&map(claims), None, &config).map(drop)
        };
        assert_eq!(of("ada@example.org", true, &["staff"]), Ok(()));
        assert_eq!(of("ada@example.org", false, &["staff"]), Err(Refused::Domain));
        assert_eq!(of("ada@sub.example.org", true, &["staff"]), Err(Refused::Domain));
        assert_eq!(of("ada@example.com", true, &["staff"]), Err(Refused::Domain));
        assert_eq!(of("ada@example.org", true, &["others"]), Err(Refused::NoGroup));
    }

    #[test]
    fn a_person_without_a_usable_subject_is_refused() {
        for wrong in [json!({}), json!({ "sub": "" }), json!({ "sub": "a".repeat(256) }), json!({ "sub": "a\u{0}" })] {
            assert_eq!(person(&map(wrong), None, &example()), Err(Refused::Token));
        }
        let named = json!({ "sub": "1", "name": "\u{202e}evil" });
        assert_eq!(person(&map(named), None, &example()).unwrap().display_name, None);
    }
}
