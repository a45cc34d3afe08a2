//! The settings of a provider, as the operator of the installation gives them.

use super::http::{is_allowed, is_loopback};
use domain::permissions::Role;
use domain::role_assignment::AssignedRole;
use domain::{Name, ProviderId, TenantId};
use openidconnect::url::Url;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;
use thiserror::Error;

/// The maximum number of providers of an installation.
pub(super) const MAX_PROVIDERS: usize = 32;
/// The maximum number of groups that give roles, and of their roles together: fewer than a user may have.
const MAX_GROUPS: usize = 1000;
const MAX_ROLES: usize = 32;
/// The maximum number of scopes and of domains.
const MAX_LISTED: usize = 64;
/// The longest issuer, and the longest of the other texts, in bytes.
const MAX_ISSUER_BYTES: usize = 512;
const MAX_TEXT_BYTES: usize = 256;

/// The secret of a client, which is redacted in `Debug` output.
#[derive(Clone)]
pub struct ClientSecretText(pub String);

impl fmt::Debug for ClientSecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// How the client authenticates itself at the token endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TokenAuthentication {
    /// In the header `Authorization` (`client_secret_basic`).
    #[default]
    Basic,
    /// In the body of the request (`client_secret_post`).
    Post,
}

/// Where the groups of a person are in what a provider says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupsClaim {
    /// In a claim with this name.
    Name(String),
    /// At a place inside of a claim, as a JSON pointer (RFC 6901), such as `/realm_access/roles`.
    Pointer(String),
}

impl From<String> for GroupsClaim {
    fn from(text: String) -> Self {
        if text.starts_with('/') { Self::Pointer(text) } else { Self::Name(text) }
    }
}

/// The settings of a provider.
#[derive(Debug, Clone)]
pub struct ProviderConfig {
    /// The id, which is part of URLs and of the actor `oidc:ID`.
    pub id: ProviderId,
    /// The name that people read.
    pub name: Name,
    /// The tenant whose users sign in by the provider.
    pub tenant: TenantId,
    /// The issuer, exactly as the provider names it.
    pub issuer: String,
    /// The id of the client that is registered at the provider.
    pub client_id: String,
    /// The secret of the client; none for a public client.
    pub client_secret: Option<ClientSecretText>,
    /// How the client authenticates itself.
    pub token_authentication: TokenAuthentication,
    /// The scopes that are asked for, in addition to `openid`.
    pub scopes: Vec<String>,
    /// The certificates of authorities that are trusted in addition to those of the Mozilla list, in DER.
    pub authorities: Vec<Vec<u8>>,
    /// Whether what the ID token does not say is asked from the userinfo endpoint, if there is one.
    pub asks_userinfo: bool,
    /// Whether a person who is no user becomes one.
    pub creates_users: bool,
    /// Whether a person becomes the user who has the same address, if the provider says that it verified it.
    pub links_by_email: bool,
    /// The domains of verified addresses that may sign in; all people if empty.
    pub domains: BTreeSet<String>,
    /// Where the groups are.
    pub groups_claim: GroupsClaim,
    /// The roles that groups give.
    pub roles: BTreeMap<String, BTreeSet<AssignedRole>>,
    /// Whether only people may sign in whose groups give a role.
    pub requires_group: bool,
    /// How long a session lasts at most: groups are looked at when it begins.
    pub session_lifetime: Duration,
}

/// Why the settings of providers are not valid.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProviderConfigError {
    /// There are too many providers.
    #[error("there are {found} providers, and the limit is {MAX_PROVIDERS}")]
    TooMany {
        /// The number of providers.
        found: usize,
    },
    /// Two providers have one id.
    #[error("two providers have the id {0}")]
    Duplicate(ProviderId),
    /// The URL that people reach the server by is not valid.
    #[error(
        "the public URL {0:?} is not one of https without path, query and fragment, such as https://apex.example.com; http is \
         accepted for a loopback address"
    )]
    PublicUrl(String),
    /// A setting of a provider is not valid.
    #[error("provider {id}: {setting}: {message}")]
    Setting {
        /// The provider.
        id: ProviderId,
        /// The setting.
        setting: &'static str,
        /// Why it is not valid.
        message: String,
    },
}

impl ProviderConfig {
    /// Checks the settings, and returns the issuer as a URL.
    pub(super) fn check(&self) -> Result<Url, ProviderConfigError> {
        let error = |setting, message: &str| self.error(setting, message);
        let texts = [("client_id", &self.client_id), ("issuer", &self.issuer)];
        for (setting, text) in texts {
            let limit = if setting == "issuer" { MAX_ISSUER_BYTES } else { MAX_TEXT_BYTES };
            if text.is_empty() || text.len() > limit || text.contains(|c: char| c.is_control() || c.is_whitespace()) {
                return Err(error(setting, &format!("it must have 1 to {limit} bytes without white space")));
            }
        }
        if self.client_secret.as_ref().is_some_and(|secret| secret.0.is_empty()) {
            return Err(error("client_secret", "it is empty"));
        }
        if self.scopes.len() > MAX_LISTED || self.domains.len() > MAX_LISTED {
            return Err(error("scopes", &format!("there are more than {MAX_LISTED} scopes or domains")));
        }
        let is_scope = |scope: &String| {
            (1..=MAX_TEXT_BYTES).contains(&scope.len()) && scope.bytes().all(|b| b.is_ascii_graphic() && b != b'"')
        };
        if !self.scopes.iter().all(is_scope) {
            return Err(error("scopes", "a scope has 1 to 256 visible ASCII characters"));
        }
        // The provider has to send a refresh token then, which is not used.
        if self.scopes.iter().any(|scope| scope == "offline_access") {
            return Err(error(
                "scopes",
                "offline_access gives refresh tokens of the provider, which are not used: remove it",
            ));
        }
        self.check_roles()?;
        let issuer: Url = self.issuer.parse().map_err(|_| error("issuer", "it is not a URL"))?;
        let is_plain = issuer.query().is_none() && issuer.fragment().is_none() && issuer.username().is_empty();
        if !is_allowed(&issuer, is_loopback(&issuer)) || !is_plain {
            let message =
                "it must be a URL of https without query, fragment and user; http is accepted for a loopback address";
            return Err(error("issuer", message));
        }
        Ok(issuer)
    }

    fn check_roles(&self) -> Result<(), ProviderConfigError> {
        let all: BTreeSet<_> = self.roles.values().flatten().collect();
        if self.roles.len() > MAX_GROUPS || all.len() > MAX_ROLES {
            let message = format!("there are more than {MAX_GROUPS} groups, or more than {MAX_ROLES} roles");
            return Err(self.error("roles", &message));
        }
        if self.roles.keys().any(|group| group.is_empty() || group.len() > MAX_TEXT_BYTES) {
            return Err(self.error("roles", &format!("the name of a group has 1 to {MAX_TEXT_BYTES} bytes")));
        }
        let of_installation = all.iter().find_map(|role| match role {
            AssignedRole::BuiltIn(role) if !role.is_of_tenant() => Some(*role),
            AssignedRole::BuiltIn(_) | AssignedRole::Custom(_) => None,
        });
        match of_installation {
            Some(role) => {
                let of_tenant = Role::ALL.into_iter().filter(|role| role.is_of_tenant()).map(|role| role.to_string());
                let of_tenant = of_tenant.collect::<Vec<_>>().join(", ");
                Err(self
                    .error("roles", &format!("the role {role} cannot be granted in a tenant: use one of {of_tenant}")))
            }
            None if self.requires_group && self.roles.is_empty() => {
                Err(self.error("require_group", "no group gives a role, so that nobody could sign in"))
            }
            None => Ok(()),
        }
    }

    fn error(&self, setting: &'static str, message: &str) -> ProviderConfigError {
        ProviderConfigError::Setting { id: self.id, setting, message: message.to_owned() }
    }
}

#[cfg(test)]
pub(super) fn example() -> ProviderConfig {
    ProviderConfig {
        id: "okta".parse().unwrap(),
        name: Name::new("Okta").unwrap(),
        tenant: "acme".parse().unwrap(),
        issuer: "https://id.example.com".to_owned(),
        client_id: "apex".to_owned(),
        client_secret: Some(ClientSecretText("tea".to_owned())),
        token_authentication: TokenAuthentication::Basic,
        scopes: vec!["email".to_owned()],
        authorities: Vec::new(),
        asks_userinfo: true,
        creates_users: true,
        links_by_email: false,
        domains: BTreeSet::new(),
        groups_claim: GroupsClaim::from("groups".to_owned()),
        roles: BTreeMap::from([
            ("admins".to_owned(), BTreeSet::from([AssignedRole::BuiltIn(Role::Admin)])),
            ("staff".to_owned(), BTreeSet::from([AssignedRole::BuiltIn(Role::Viewer)])),
        ]),
        requires_group: false,
        session_lifetime: Duration::from_hours(24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes settings wrong.
    type Spoil = fn(&mut ProviderConfig);

    #[test]
    fn settings_that_are_not_valid_are_named() {
        assert!(example().check().is_ok());
        let wrong: [(&str, Spoil); 11] = [
            ("issuer", |c| c.issuer = "id.example.com".to_owned()),
            ("issuer", |c| c.issuer = "http://id.example.com".to_owned()),
            ("issuer", |c| c.issuer = "https://id.example.com?x=1".to_owned()),
            ("issuer", |c| c.issuer = "https://ada@id.example.com".to_owned()),
            ("issuer", |c| c.issuer = format!("https://id.example.com/{}", "a".repeat(MAX_ISSUER_BYTES))),
            ("client_id", |c| c.client_id = String::new()),
            ("client_secret", |c| c.client_secret = Some(ClientSecretText(String::new()))),
            ("scopes", |c| c.scopes = vec!["a b".to_owned()]),
            ("scopes", |c| c.scopes = vec!["offline_access".to_owned()]),
            ("roles", |c| {
                let operator = AssignedRole::BuiltIn(Role::InstallationOperator);
                c.roles = BTreeMap::from([("a".to_owned(), BTreeSet::from([operator]))]);
            }),
            ("require_group", |c| (c.roles, c.requires_group) = (BTreeMap::new(), true)),
        ];
        for (named, change) in wrong {
            let mut config = example();
            change(&mut config);
            assert!(
                matches!(config.check(), Err(ProviderConfigError::Setting { setting, .. }) if setting == named),
                "{named}: {config:?}"
            );
        }
        let loopback = ProviderConfig { issuer: "http://127.0.0.1:4711".to_owned(), ..example() };
        assert!(loopback.check().is_ok());
    }

    #[test]
    fn the_secret_is_never_in_debug_output() {
        assert!(!format!("{:?}", example()).contains("tea"));
    }
}
