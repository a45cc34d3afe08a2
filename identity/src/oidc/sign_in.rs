//! Signing in by a provider: sending the browser there, and what happens when it comes back.

use super::attempt::{Attempt, StartedAttempt};
use super::claims::person;
use super::error::{ProviderError, ProviderSignInError, Refused};
use super::protocol::{Said, authorize, is_issuer, redeem};
use super::provider::{Provider, ProviderSummary, Providers};
use super::return_path::ReturnPath;
use super::used_states;
use crate::identities::Identities;
use crate::sessions::{Client, SessionTokens};
use chrono::Utc;
use std::time::Duration;

/// How long everything that a provider is asked for a request may take.
const PROVIDER_TIMEOUT: Duration = Duration::from_secs(15);
/// The longest code that is sent on, in bytes.
const MAX_CODE_BYTES: usize = 4096;
/// The errors of providers that are repeated to the person: those of RFC 6749 and OpenID Connect.
const KNOWN_ERRORS: [&str; 11] = [
    "access_denied",
    "account_selection_required",
    "consent_required",
    "interaction_required",
    "invalid_request",
    "invalid_scope",
    "login_required",
    "server_error",
    "temporarily_unavailable",
    "unauthorized_client",
    "unsupported_response_type",
];

/// What a browser brings back from a provider.
#[derive(Clone, Copy, Default)]
pub struct Callback<'a> {
    /// The text that the browser kept since the sign-in was started.
    pub cookie: Option<&'a str>,
    /// The state.
    pub state: Option<&'a str>,
    /// The code.
    pub code: Option<&'a str>,
    /// The issuer, if the answer names it (RFC 9207).
    pub issuer: Option<&'a str>,
    /// The error, if there is one.
    pub error: Option<&'a str>,
}

/// A sign-in that came back.
pub struct FinishedAttempt {
    /// The provider; none if the browser has not started the sign-in.
    pub provider: Option<ProviderSummary>,
    /// The session, and the path to go to.
    pub result: Result<(SessionTokens, ReturnPath), ProviderSignInError>,
}

impl Identities {
    /// Starts a sign-in: the browser keeps a text and is sent to a URL of the provider.
    ///
    /// # Errors
    /// [`ProviderSignInError`] if there is no such provider, it cannot be reached, or the path is not one of this server.
    pub async fn start_provider_sign_in(
        &self,
        providers: &Providers,
        id: &str,
        return_path: Option<&str>,
        client: &Client,
    ) -> Result<StartedAttempt, ProviderSignInError> {
        self.take_provider_attempt(client)?;
        let return_path: ReturnPath = return_path.map(str::parse).transpose()?.unwrap_or_default();
        let provider = providers.find(id).ok_or(ProviderSignInError::NoProvider)?;
        let authorization = within_timeout(async { Ok(authorize(provider).await?) }).await?;
        let attempt = Attempt {
            provider: provider.config.id,
            state: authorization.state,
            nonce: authorization.nonce,
            verifier: authorization.verifier,
            return_path: return_path.to_string(),
            started_at: Utc::now(),
        };
        Ok(StartedAttempt { url: authorization.url, cookie: attempt.seal(self.secrets()).await? })
    }

    /// Finishes a sign-in: the person becomes the user that it is linked to, or a new one, with the roles of its groups, and a
    /// session begins.
    pub async fn finish_provider_sign_in(
        &self,
        providers: &Providers,
        callback: Callback<'_>,
        client: &Client,
    ) -> FinishedAttempt {
        let (provider, attempt) = match self.take_attempt(providers, callback, client).await {
            Ok(taken) => taken,
            Err(error) => return FinishedAttempt { provider: None, result: Err(error) },
        };
        let return_path = attempt.return_path();
        let result = self.finish(provider, attempt, callback, client).await;
        FinishedAttempt { provider: Some(provider.summary()), result: result.map(|tokens| (tokens, return_path)) }
    }

    fn take_provider_attempt(&self, client: &Client) -> Result<(), ProviderSignInError> {
        let taken = self.throttle().take_address(client.address);
        taken.map_err(|retry_after| ProviderSignInError::Throttled { retry_after })
    }

    /// The sign-in that a browser comes back from, once. Wrong ones are counted as attempts of the client.
    async fn take_attempt<'p>(
        &self,
        providers: &'p Providers,
        callback: Callback<'_>,
        client: &Client,
    ) -> Result<(&'p Provider, Attempt), ProviderSignInError> {
        let opened = match callback.cookie {
            Some(cookie) => Attempt::open(self.secrets(), cookie, Utc::now()).await?,
            None => None,
        };
        let has_state = |attempt: &Attempt| callback.state.is_some_and(|state| attempt.has_state(state));
        let opened = opened.filter(|(_, attempt)| has_state(attempt));
        let provider = opened.as_ref().and_then(|(_, attempt)| providers.find(attempt.provider.as_str()));
        let (Some((id, attempt)), Some(provider)) = (opened, provider) else {
            self.take_provider_attempt(client)?;
            return Err(Refused::Attempt.into());
        };
        if used_states::use_once(&self.secrets().pool, id, attempt.expires_at()).await? {
            return Ok((provider, attempt));
        }
        self.take_provider_attempt(client)?;
        Err(Refused::Attempt.into())
    }

    async fn finish(
        &self,
        provider: &Provider,
        attempt: Attempt,
        callback: Callback<'_>,
        client: &Client,
    ) -> Result<SessionTokens, ProviderSignInError> {
        let said = within_timeout(ask(provider, attempt, callback)).await?;
        let person = person(&said.token, said.userinfo.as_ref(), &provider.config)?;
        let user = self.admit(provider, &person).await?;
        let tenant = &provider.config.tenant;
        // It may have been disabled meanwhile.
        if self.directory().active_user(tenant, user).is_err() {
            return Err(Refused::NotActive.into());
        }
        Ok(self.start_session_of(tenant, user, client, provider.config.session_lifetime).await?)
    }
}

/// Exchanges the code that a browser brings back.
async fn ask(provider: &Provider, attempt: Attempt, callback: Callback<'_>) -> Result<Said, ProviderSignInError> {
    if !is_issuer(provider, callback.issuer).await? {
        return Err(Refused::OtherIssuer.into());
    }
    if let Some(error) = callback.error {
        let known = KNOWN_ERRORS.into_iter().find(|known| *known == error);
        return Err(Refused::ByProvider(known.unwrap_or("another error")).into());
    }
    let code = callback.code.filter(|code| !code.is_empty() && code.len() <= MAX_CODE_BYTES).ok_or(Refused::Code)?;
    redeem(provider, code, attempt.verifier, attempt.nonce).await
}

async fn within_timeout<T>(
    asking: impl Future<Output = Result<T, ProviderSignInError>>,
) -> Result<T, ProviderSignInError> {
    let answered = tokio::time::timeout(PROVIDER_TIMEOUT, asking).await;
    answered.unwrap_or_else(|_| Err(ProviderError::Timeout(PROVIDER_TIMEOUT).into()))
}
