//! The session of `apex login`: its access token is renewed when it ends, by one process at a time.

use super::credentials::{CredentialsFile, LockedFile, StoredSession};
use super::error::ClientError;
use super::http::Http;
use crate::config::Secret;
use chrono::{TimeDelta, Utc};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::json;

/// New tokens, as the routes of sessions answer, and with the names of RFC 6749, as `/auth/token` does.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewTokens {
    #[serde(alias = "user_id")]
    user_id: String,
    #[serde(alias = "session_id")]
    session_id: String,
    #[serde(alias = "access_token")]
    access_token: String,
    #[serde(alias = "refresh_token")]
    refresh_token: String,
    #[serde(alias = "expires_in")]
    expires_in_seconds: u32,
}

impl From<NewTokens> for StoredSession {
    fn from(tokens: NewTokens) -> Self {
        Self {
            actor: format!("user:{}/session:{}", tokens.user_id, tokens.session_id),
            access_token: Secret::from(tokens.access_token),
            access_expires_at: Utc::now() + TimeDelta::seconds(tokens.expires_in_seconds.into()),
            refresh_token: Secret::from(tokens.refresh_token),
        }
    }
}

/// The session at a server, as it is stored.
#[derive(Debug, Clone)]
pub struct SessionStore {
    file: CredentialsFile,
}

impl SessionStore {
    /// The sessions of a file.
    #[must_use]
    pub fn new(file: CredentialsFile) -> Self {
        Self { file }
    }

    /// An access token that is valid for a while; none if nobody has signed in at the server.
    ///
    /// # Errors
    /// [`ClientError::SessionEnded`] if the session has ended, and [`ClientError`] if it cannot be renewed.
    pub async fn access_token(&self, http: &Http) -> Result<Option<Secret>, ClientError> {
        let Some(session) = self.file.session(&http.server())? else { return Ok(None) };
        if !session.has_to_be_renewed(Utc::now()) {
            return Ok(Some(session.access_token));
        }
        self.renewed(http, None).await.map(Some)
    }

    /// A new access token in place of one that the server refuses, or that has to be renewed. Another process may have renewed
    /// it already.
    ///
    /// # Errors
    /// As [`SessionStore::access_token`].
    pub async fn renewed(&self, http: &Http, refused: Option<&Secret>) -> Result<Secret, ClientError> {
        let locked = self.file.lock().await?;
        let ended = || ClientError::SessionEnded { url: http.server() };
        let session = locked.session(&http.server())?.ok_or_else(ended)?;
        let is_refused = refused.is_some_and(|refused| refused.reveal() == session.access_token.reveal());
        if !is_refused && !session.has_to_be_renewed(Utc::now()) {
            return Ok(session.access_token);
        }
        let body = json!({ "refreshToken": session.refresh_token.reveal() });
        let answer = http.post_json("/auth/refresh", None, &body).await?;
        match answer.status {
            StatusCode::OK => {
                let tokens: NewTokens =
                    serde_json::from_value(answer.body).map_err(|_| http.not_apex(StatusCode::OK))?;
                let session = StoredSession::from(tokens);
                locked.store(&http.server(), Some(session.clone()))?;
                Ok(session.access_token)
            }
            StatusCode::UNAUTHORIZED => {
                locked.store(&http.server(), None)?;
                Err(ended())
            }
            _ => Err(http.refused(&answer)),
        }
    }

    /// The right to store or remove the session.
    ///
    /// # Errors
    /// [`ClientError::Credentials`] if the lock cannot be taken.
    pub async fn lock(&self) -> Result<LockedFile<'_>, ClientError> {
        Ok(self.file.lock().await?)
    }
}
