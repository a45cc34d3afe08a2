//! Where alerts are sent: the address of an endpoint, with what is needed to use it.

use crate::people::Email;
use domain::alert_endpoints::AlertEndpointKind;
use domain::{Name, TextError};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// The longest URL and routing key, in bytes.
const MAX_URL_BYTES: usize = 2_048;
const MAX_ROUTING_KEY_BYTES: usize = 256;
/// Where PagerDuty takes events.
const PAGER_DUTY_URL: &str = "https://events.pagerduty.com/v2/enqueue";

/// Where alerts are sent. It is redacted in `Debug` output: it may be secret or personal.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertTarget {
    kind: AlertEndpointKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    routing_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
}

impl fmt::Debug for AlertTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [redacted]", self.kind.as_str())
    }
}

/// Why an address is not one of a kind of endpoint. It does not repeat the address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AlertTargetError {
    /// A field is missing that the kind demands.
    #[error("an endpoint of the kind {kind} needs a {field}")]
    Missing {
        /// The kind.
        kind: &'static str,
        /// What is missing.
        field: &'static str,
    },
    /// A field is given that the kind does not have.
    #[error("an endpoint of the kind {kind} has no {field}")]
    Unused {
        /// The kind.
        kind: &'static str,
        /// What is given.
        field: &'static str,
    },
    /// The text is not a URL that alerts can be sent to.
    #[error(
        "the URL is not one that alerts can be sent to: expected https://HOST/PATH without a user name, a password and a \
         fragment, of at most {MAX_URL_BYTES} bytes"
    )]
    Url,
    /// The text is not a routing key.
    #[error("the routing key is not one: expected visible ASCII characters, at most {MAX_ROUTING_KEY_BYTES}")]
    RoutingKey,
    /// The text is not an e-mail address.
    #[error("the address is not an e-mail address: expected NAME@DOMAIN, of at most 254 bytes and without spaces")]
    Address,
}

impl AlertTarget {
    /// Checks an address of a kind of endpoint. That it exists is not checked.
    ///
    /// # Errors
    /// [`AlertTargetError`] if it is not one of the kind.
    pub fn new(
        kind: AlertEndpointKind,
        url: Option<&str>,
        routing_key: Option<&str>,
        address: Option<&str>,
    ) -> Result<Self, AlertTargetError> {
        let (has_url, has_key, has_address) = match kind {
            AlertEndpointKind::Webhook | AlertEndpointKind::Slack | AlertEndpointKind::Teams => (true, false, false),
            AlertEndpointKind::PagerDuty => (true, true, false),
            AlertEndpointKind::Email => (false, false, true),
        };
        let name = kind.as_str();
        let url = if kind == AlertEndpointKind::PagerDuty { url.or(Some(PAGER_DUTY_URL)) } else { url };
        for (field, is_given, is_needed) in [
            ("URL", url.is_some(), has_url),
            ("routing key", routing_key.is_some(), has_key),
            ("address", address.is_some(), has_address),
        ] {
            match (is_given, is_needed) {
                (false, true) => return Err(AlertTargetError::Missing { kind: name, field }),
                (true, false) => return Err(AlertTargetError::Unused { kind: name, field }),
                (true, true) | (false, false) => {}
            }
        }
        let address = address.map(Email::parse).transpose().map_err(|_| AlertTargetError::Address)?;
        Ok(Self {
            kind,
            url: url.map(checked_url).transpose()?,
            routing_key: routing_key.map(checked_key).transpose()?,
            address: address.map(|address| address.as_str().to_owned()),
        })
    }

    /// The kind of the endpoint.
    #[must_use]
    pub const fn kind(&self) -> AlertEndpointKind {
        self.kind
    }

    /// The URL that alerts are posted to; none of an e-mail address.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// The routing key of PagerDuty.
    #[must_use]
    pub fn routing_key(&self) -> Option<&str> {
        self.routing_key.as_deref()
    }

    /// The e-mail address.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    /// What of it is shown: the scheme, host and port of a URL, or the domain of an e-mail address.
    ///
    /// # Errors
    /// [`TextError`] if the host is longer than a name may be.
    pub fn host(&self) -> Result<Name, TextError> {
        let of_url = self.url.as_deref().and_then(|url| url.parse::<Url>().ok());
        let domain = self.address.as_deref().and_then(|address| address.split_once('@'));
        Name::new(match (of_url, domain) {
            (Some(url), _) => url.origin().ascii_serialization(),
            (None, domain) => domain.map(|(_, domain)| domain.to_owned()).unwrap_or_default(),
        })
    }

    /// The text that is sealed.
    pub(super) fn encode(&self) -> String {
        serde_json::json!(self).to_string()
    }

    pub(super) fn decode(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }
}

fn checked_url(text: &str) -> Result<String, AlertTargetError> {
    let url: Url = text.trim().parse().map_err(|_| AlertTargetError::Url)?;
    let is_web = matches!(url.scheme(), "https" | "http") && url.host_str().is_some_and(|host| !host.is_empty());
    let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    if !is_web || !is_plain || url.as_str().len() > MAX_URL_BYTES {
        return Err(AlertTargetError::Url);
    }
    Ok(url.into())
}

fn checked_key(text: &str) -> Result<String, AlertTargetError> {
    let text = text.trim();
    let is_key = !text.is_empty() && text.len() <= MAX_ROUTING_KEY_BYTES && text.bytes().all(|c| c.is_ascii_graphic());
    if is_key { Ok(text.to_owned()) } else { Err(AlertTargetError::RoutingKey) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AlertEndpointKind::{Email as Mail, PagerDuty, Slack, Webhook};

    #[test]
    fn what_is_shown_has_no_secret() {
        let slack = AlertTarget::new(Slack, Some("https://hooks.slack.com/services/T/B/tea"), None, None).unwrap();
        assert_eq!(slack.host().unwrap().as_str(), "https://hooks.slack.com");
        let mail = AlertTarget::new(Mail, None, None, Some("Ada@Example.org")).unwrap();
        assert_eq!((mail.host().unwrap().as_str(), mail.address()), ("example.org", Some("ada@example.org")));
        let pager = AlertTarget::new(PagerDuty, None, Some("tea"), None).unwrap();
        assert_eq!((pager.url(), pager.routing_key()), (Some(PAGER_DUTY_URL), Some("tea")));
        for target in [slack, mail, pager] {
            let shown = format!("{target:?} {}", target.host().unwrap());
            assert!(!shown.contains("tea") && !shown.contains("ada"), "{shown}");
            assert_eq!(AlertTarget::decode(target.encode().as_bytes()), Some(target));
        }
    }

    #[test]
    fn an_address_of_another_kind_is_refused() {
        let url = Some("https://hooks.example.com");
        for (kind, url, key, address) in [
            (Webhook, None, None, None),
            (Webhook, url, Some("tea"), None),
            (Slack, url, None, Some("ada@example.org")),
            (PagerDuty, url, None, None),
            (Mail, url, None, Some("ada@example.org")),
            (Mail, None, None, None),
        ] {
            assert!(AlertTarget::new(kind, url, key, address).is_err(), "{kind:?}");
        }
        let long = format!("https://hooks.example.com/{}", "a".repeat(MAX_URL_BYTES));
        for wrong in
            ["", "hooks.example.com", "ftp://a.example", "https://", "https://a:b@c.example", "https://c/#d", &long]
        {
            assert_eq!(AlertTarget::new(Webhook, Some(wrong), None, None), Err(AlertTargetError::Url), "{wrong}");
        }
        assert_eq!(AlertTarget::new(PagerDuty, None, Some("a b"), None), Err(AlertTargetError::RoutingKey));
        assert_eq!(AlertTarget::new(Mail, None, None, Some("ada")), Err(AlertTargetError::Address));
    }
}
