//! The providers of an installation.

use super::config::{MAX_PROVIDERS, ProviderConfig, ProviderConfigError};
use super::http::{HttpClient, is_allowed, is_loopback};
use super::metadata::MetadataCache;
use domain::{Name, ProviderId, TenantId};
use openidconnect::url::Url;
use openidconnect::{IssuerUrl, RedirectUrl};
use rustls::pki_types::CertificateDer;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// The path that providers send browsers back to.
const CALLBACK_PATH: &str = "/auth/callback";

/// A provider in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderSummary {
    /// The id.
    pub id: ProviderId,
    /// The name that people read.
    pub name: Name,
    /// The tenant whose users sign in by it.
    pub tenant: TenantId,
}

/// A provider, and what is known of it.
pub(super) struct Provider {
    pub(super) config: ProviderConfig,
    pub(super) http: HttpClient,
    pub(super) metadata: MetadataCache,
    pub(super) redirect_url: RedirectUrl,
    /// Whether the issuer has a loopback address.
    pub(super) is_loopback: bool,
}

impl Provider {
    fn new(config: ProviderConfig, redirect_url: RedirectUrl) -> Result<Self, ProviderConfigError> {
        let issuer = config.check()?;
        let invalid = |setting, message: String| ProviderConfigError::Setting { id: config.id, setting, message };
        let is_loopback = is_loopback(&issuer);
        let authorities: Vec<_> = config.authorities.iter().cloned().map(CertificateDer::from).collect();
        let http = HttpClient::new(&authorities, is_loopback);
        let http = http.map_err(|error| invalid("ca_file", domain::error_with_causes(&error)))?;
        let issuer = IssuerUrl::new(config.issuer.clone()).map_err(|error| invalid("issuer", error.to_string()))?;
        Ok(Self { config, http, metadata: MetadataCache::new(issuer), redirect_url, is_loopback })
    }

    pub(super) fn summary(&self) -> ProviderSummary {
        let ProviderConfig { id, name, tenant, .. } = &self.config;
        ProviderSummary { id: *id, name: name.clone(), tenant: tenant.clone() }
    }
}

/// The providers of an installation; cheap to clone. There are none by default.
#[derive(Clone, Default)]
pub struct Providers(Arc<[Provider]>);

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(Provider::summary)).finish()
    }
}

impl Providers {
    /// Providers that send browsers back to a server with a public URL. Nothing is asked of them until a person signs in.
    ///
    /// # Errors
    /// [`ProviderConfigError`] if a setting is not valid.
    pub fn new(configs: Vec<ProviderConfig>, public_url: &str) -> Result<Self, ProviderConfigError> {
        if configs.len() > MAX_PROVIDERS {
            return Err(ProviderConfigError::TooMany { found: configs.len() });
        }
        let mut ids = BTreeSet::new();
        if let Some(twice) = configs.iter().find(|config| !ids.insert(config.id)) {
            return Err(ProviderConfigError::Duplicate(twice.id));
        }
        let redirect_url = redirect_url(public_url)?;
        let providers: Result<Vec<_>, _> =
            configs.into_iter().map(|config| Provider::new(config, redirect_url.clone())).collect();
        Ok(Self(providers?.into()))
    }

    /// The providers, in the order of the settings.
    #[must_use]
    pub fn list(&self) -> Vec<ProviderSummary> {
        self.0.iter().map(Provider::summary).collect()
    }

    pub(super) fn find(&self, id: &str) -> Option<&Provider> {
        self.0.iter().find(|provider| provider.config.id.as_str() == id)
    }
}

/// The URL that providers send browsers back to.
fn redirect_url(public_url: &str) -> Result<RedirectUrl, ProviderConfigError> {
    let invalid = || ProviderConfigError::PublicUrl(public_url.to_owned());
    let mut url: Url = public_url.parse().map_err(|_| invalid())?;
    let is_plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if !is_plain || !is_allowed(&url, is_loopback(&url)) {
        return Err(invalid());
    }
    url.set_path(CALLBACK_PATH);
    Ok(RedirectUrl::from_url(url))
}

#[cfg(test)]
mod tests {
    use super::super::config::example;
    use super::*;

    #[test]
    fn providers_are_found_by_their_ids() {
        let other = ProviderConfig { id: "entra".parse().unwrap(), ..example() };
        let providers = Providers::new(vec![example(), other], "https://apex.example.com").unwrap();
        let ids: Vec<_> = providers.list().into_iter().map(|provider| provider.id.to_string()).collect();
        assert_eq!(ids, ["okta", "entra"]);
        assert!(providers.find("okta").is_some() && providers.find("Okta").is_none());
        assert_eq!(providers.find("okta").unwrap().redirect_url.as_str(), "https://apex.example.com/auth/callback");
        let twice = Providers::new(vec![example(), example()], "https://apex.example.com");
        assert_eq!(twice.unwrap_err(), ProviderConfigError::Duplicate("okta".parse().unwrap()));
        assert!(!format!("{providers:?}").contains("tea"));
    }

    #[test]
    fn the_public_url_is_a_plain_one() {
        for url in
            ["https://apex.example.com", "https://apex.example.com:8443/", "http://127.0.0.1:8080", "http://[::1]:1"]
        {
            assert!(redirect_url(url).is_ok(), "{url}");
        }
        for url in
            ["", "apex.example.com", "http://apex.example.com", "https://apex.example.com/x", "https://a@b.example"]
        {
            assert!(redirect_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_certificate_that_is_none_is_refused() {
        let config = ProviderConfig { authorities: vec![vec![1, 2, 3]], ..example() };
        let refused = Providers::new(vec![config], "https://apex.example.com").unwrap_err();
        assert!(matches!(refused, ProviderConfigError::Setting { setting: "ca_file", .. }), "{refused:?}");
    }
}
