//! Signing in by a provider: sending the browser there, and what happens when it comes back.

use super::attempt::{Attempt, StartedAttempt};
use super::claims::person;
use super::error::{ProviderError, ProviderSignInError, Refused};
use super::protocol::{Said, authorize, is_issuer, redeem};
use super::provider::{Provider, ProviderSummary, Providers};
use super::return_path::ReturnPath;
use super::used_states;
use crate::client::Client;
use crate::directory::NoPrincipal;
use crate::error::IdentityError;
use crate::identities::Identities;
use crate::people;
use crate::sessions::{SessionTokens, UserCredentials};
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
        let provider = providers.find(id);
        let started = self.start(provider, return_path, client).await;
        self.note_provider_attempt(provider, started, client)
    }

    async fn start(
        &self,
        provider: Option<&Provider>,
        return_path: Option<&str>,
        client: &Client,
    ) -> Result<StartedAttempt, ProviderSignInError> {
        self.throttle().take_address(client.address())?;
        let return_path: ReturnPath = return_path.map(str::parse).transpose()?.unwrap_or_default();
        let provider = provider.ok_or(ProviderSignInError::NoProvider)?;
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
            Err(error) => {
                let result = self.note_provider_attempt(None, Err(error), client);
                return FinishedAttempt { provider: None, result };
            }
        };
        let return_path = attempt.return_path();
        let result = self.finish(provider, attempt, callback, client).await;
        let result = self.note_provider_attempt(Some(provider), result, client);
        FinishedAttempt { provider: Some(provider.summary()), result: result.map(|tokens| (tokens, return_path)) }
    }

    /// Notes for the access log that an attempt was refused, and returns its result: in that of the tenant that the provider is
    /// of, if it is known.
    fn note_provider_attempt<T>(
        &self,
        provider: Option<&Provider>,
        result: Result<T, ProviderSignInError>,
        client: &Client,
    ) -> Result<T, ProviderSignInError> {
        if let Some(reason) = result.as_ref().err().and_then(ProviderSignInError::reason) {
            let provider = provider.map(|provider| (&provider.config.tenant, provider.config.id));
            self.note_refused_attempt(people::Attempt::by_provider(provider, client), reason);
        }
        result
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
            self.throttle().take_address(client.address())?;
            return Err(Refused::Attempt.into());
        };
        if used_states::use_once(&self.secrets().pool, id, attempt.expires_at()).await? {
            return Ok((provider, attempt));
        }
        self.throttle().take_address(client.address())?;
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
        let known = match self.directory().active_user(tenant, user) {
            Ok(known) => known,
            Err(NoPrincipal::Refused) => return Err(Refused::NotActive.into()),
            Err(NoPrincipal::Unreadable) => return Err(IdentityError::Unreadable.into()),
        };
        let user = (user, UserCredentials::of(&known));
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
