//! Settings of sign-in by identity providers (OpenID Connect), and the file that lists the providers.

use super::file::text;
use crate::pem;
use anyhow::Context as _;
use clap::Args;
use domain::role_assignment::AssignedRole;
use domain::{Name, ProviderId, TenantId};
use identity::{ClientSecretText, GroupsClaim, ProviderConfig, Providers, TokenAuthentication};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a session lasts at most, in hours, and where the file does not say it. Groups are looked at when a session begins.
const MAX_SESSION_HOURS: u32 = 720;
const SESSION_HOURS: u32 = 24;

/// Settings of sign-in by identity providers.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Server options")]
pub struct Oidc {
    /// The file that lists the identity providers (OpenID Connect) by which people sign in, in TOML.
    #[arg(long, env = "APEX_OIDC_PROVIDERS", value_name = "FILE")]
    pub oidc_providers: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    provider: Vec<Entry>,
}

/// A provider in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: ProviderId,
    name: Option<String>,
    tenant: Option<String>,
    issuer: String,
    client_id: String,
    client_secret_file: Option<PathBuf>,
    client_secret_env: Option<String>,
    #[serde(default)]
    token_authentication: Authentication,
    scopes: Option<Vec<String>>,
    ca_file: Option<PathBuf>,
    #[serde(default = "yes")]
    userinfo: bool,
    #[serde(default)]
    create_users: bool,
    #[serde(default)]
    link_by_email: bool,
    #[serde(default)]
    domains: Vec<String>,
    groups_claim: Option<String>,
    #[serde(default)]
    roles: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    require_group: bool,
    session_hours: Option<u32>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Authentication {
    #[default]
    Basic,
    Post,
}

const fn yes() -> bool {
    true
}

impl Oidc {
    /// The providers of the file; none without one. Relative paths in it are below its folder. They send browsers back to the
    /// public URL, or to a loopback address that the server listens on.
    ///
    /// # Errors
    /// If the file, or a file that it names, cannot be read, a setting is not valid, or it is not known where browsers reach the
    /// server.
    pub fn providers(
        &self,
        tenant: &TenantId,
        public_url: Option<&str>,
        (address, has_tls): (SocketAddr, bool),
    ) -> anyhow::Result<Providers> {
        let Some(file) = &self.oidc_providers else { return Ok(Providers::default()) };
        let read = || -> anyhow::Result<Providers> {
            let folder = file.parent().unwrap_or(Path::new("."));
            let configs = parse(&text(file)?, folder, tenant, |name| std::env::var(name).ok())?;
            Ok(Providers::new(configs, &server_url(public_url, address, has_tls)?)?)
        };
        read().with_context(|| format!("the identity providers in {} cannot be used", file.display()))
    }
}

/// The URL that browsers reach the server at.
fn server_url(public_url: Option<&str>, address: SocketAddr, has_tls: bool) -> anyhow::Result<String> {
    if let Some(url) = public_url {
        return Ok(url.to_owned());
    }
    anyhow::ensure!(
        address.ip().is_loopback() && !has_tls,
        "it is not known by which URL browsers reach the server: set APEX_PUBLIC_URL, such as https://apex.example.com"
    );
    Ok(format!("http://{address}"))
}

/// The providers that a text lists. A message about one never has a secret, since the text has none.
fn parse(
    text: &str,
    folder: &Path,
    tenant: &TenantId,
    variable: impl Fn(&str) -> Option<String>,
) -> anyhow::Result<Vec<ProviderConfig>> {
    let file: File = toml::from_str(text)?;
    let configs = file.provider.into_iter().map(|entry| {
        let id = entry.id;
        config(entry, folder, tenant, &variable).with_context(|| format!("provider {id}"))
    });
    configs.collect()
}

fn config(
    entry: Entry,
    folder: &Path,
    tenant: &TenantId,
    variable: &impl Fn(&str) -> Option<String>,
) -> anyhow::Result<ProviderConfig> {
    let secret = match (entry.client_secret_file, entry.client_secret_env) {
        (Some(_), Some(_)) => anyhow::bail!("set either client_secret_file or client_secret_env"),
        (Some(file), None) => Some(text(&folder.join(file)).context("client_secret_file")?),
        (None, Some(name)) => {
            Some(variable(&name).with_context(|| format!("client_secret_env: the variable {name} is not set"))?)
        }
        (None, None) => None,
    };
    let authorities = match entry.ca_file {
        Some(file) => certificates(&folder.join(file)).context("ca_file")?,
        None => Vec::new(),
    };
    let tenant =
        entry.tenant.map_or_else(|| Ok(tenant.clone()), |text| super::tenant(&text).map_err(anyhow::Error::msg));
    let roles = entry.roles.into_iter().map(|(group, roles)| {
        let roles: Result<BTreeSet<AssignedRole>, _> = roles.iter().map(|role| role.parse()).collect();
        Ok::<_, anyhow::Error>((group, roles.context("roles")?))
    });
    let hours = entry.session_hours.unwrap_or(SESSION_HOURS);
    anyhow::ensure!((1..=MAX_SESSION_HOURS).contains(&hours), "session_hours: use 1 to {MAX_SESSION_HOURS}");
    let default_scopes = || vec!["profile".to_owned(), "email".to_owned()];
    Ok(ProviderConfig {
        id: entry.id,
        name: Name::new(entry.name.unwrap_or_else(|| entry.id.to_string())).context("name")?,
        tenant: tenant.context("tenant")?,
        issuer: entry.issuer,
        client_id: entry.client_id,
        client_secret: secret.map(|secret| ClientSecretText(secret.trim().to_owned())),
        token_authentication: match entry.token_authentication {
            Authentication::Basic => TokenAuthentication::Basic,
            Authentication::Post => TokenAuthentication::Post,
        },
        scopes: entry.scopes.unwrap_or_else(default_scopes).into_iter().filter(|scope| scope != "openid").collect(),
        authorities,
        asks_userinfo: entry.userinfo,
        creates_users: entry.create_users,
        links_by_email: entry.link_by_email,
        domains: entry.domains.iter().map(|domain| domain.trim().to_lowercase()).collect(),
        groups_claim: GroupsClaim::from(entry.groups_claim.unwrap_or_else(|| "groups".to_owned())),
        roles: roles.collect::<anyhow::Result<_>>()?,
        requires_group: entry.require_group,
        session_lifetime: Duration::from_hours(u64::from(hours)),
    })
}

/// The certificates of a file in PEM, in DER.
fn certificates(file: &Path) -> anyhow::Result<Vec<Vec<u8>>> {
    let certificates = pem::certificates(file).with_context(|| format!("{} cannot be used", file.display()))?;
    Ok(certificates.into_iter().map(|certificate| certificate.to_vec()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::permissions::Role;

    fn parsed(text: &str) -> anyhow::Result<Vec<ProviderConfig>> {
        let variable = |name: &str| (name == "OKTA").then(|| " tea\n".to_owned());
        parse(text, Path::new("/nonexistent"), &"default".parse().unwrap(), variable)
    }

    const OKTA: &str = "[[provider]]\nid = 'okta'\nissuer = 'https://id.example.com'\nclient_id = 'apex'\n";

    #[test]
    fn a_file_lists_providers() {
        let text = format!(
            "{OKTA}name = 'Okta'\nclient_secret_env = 'OKTA'\ndomains = ['Example.com']\ncreate_users = true\n\
             [provider.roles]\n'Apex admins' = ['admin']\nstaff = ['viewer', '018bd12c-58b0-7683-8a5b-8752d0e86651']\n\
             {}tenant = 'acme'\nsession_hours = 1\n",
            OKTA.replace("'okta'", "'entra'")
        );
        let [okta, entra] = parsed(&text).unwrap().try_into().unwrap();
        assert_eq!((okta.name.as_str(), okta.tenant.as_str(), okta.creates_users), ("Okta", "default", true));
        assert_eq!(okta.client_secret.unwrap().0, "tea");
        assert_eq!(okta.domains, BTreeSet::from(["example.com".to_owned()]));
        assert_eq!(okta.roles["Apex admins"], BTreeSet::from([AssignedRole::BuiltIn(Role::Admin)]));
        assert_eq!(okta.roles["staff"].len(), 2);
        assert_eq!((entra.name.as_str(), entra.tenant.as_str(), entra.creates_users), ("entra", "acme", false));
        assert!(entra.client_secret.is_none() && !entra.links_by_email && entra.asks_userinfo);
        assert_eq!(entra.session_lifetime, Duration::from_hours(1));
    }

    #[test]
    fn what_is_wrong_in_a_file_is_named() {
        for (line, named) in [
            ("client_secret = 'tea'", "client_secret"),
            ("client_secret_env = 'NOT_SET'", "NOT_SET"),
            ("client_secret_file = 'a'\nclient_secret_env = 'OKTA'", "either"),
            ("client_secret_file = 'a'", "/nonexistent/a"),
            ("ca_file = 'a'", "/nonexistent/a"),
            ("tenant = 'installation'", "reserved"),
            ("session_hours = 0", "session_hours"),
            ("token_authentication = 'none'", "none"),
            ("[provider.roles]\nstaff = ['chief']", "chief"),
        ] {
            let error = parsed(&format!("{OKTA}{line}\n")).unwrap_err();
            assert!(format!("{error:#}").contains(named), "{line}: {error:#}");
        }
        assert!(format!("{:#}", parsed("[[provider]]\nid = 'Okta'").unwrap_err()).contains("Okta"));
    }

    #[test]
    fn the_public_url_is_that_of_a_loopback_address_by_default() {
        let url = |address: &str, has_tls| server_url(None, address.parse().unwrap(), has_tls);
        assert_eq!(url("127.0.0.1:8080", false).unwrap(), "http://127.0.0.1:8080");
        assert!(url("127.0.0.1:8080", true).is_err());
        assert!(url("0.0.0.0:8080", false).unwrap_err().to_string().contains("APEX_PUBLIC_URL"));
        let given = server_url(Some("https://apex.example"), "0.0.0.0:8080".parse().unwrap(), true);
        assert_eq!(given.unwrap(), "https://apex.example");
    }
}
