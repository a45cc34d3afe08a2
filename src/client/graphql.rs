//! GraphQL requests.

use super::credentials::CredentialsFile;
use super::error::{ClientError, CredentialsError};
use super::http::{Answer, Http};
use super::session::SessionStore;
use crate::config::{Remote, Secret};
use reqwest::{StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use streams::Position;

/// Asks for the last position of the log.
pub(crate) const HEAD: &str = "query { head }";

/// What is presented to the server.
#[derive(Debug, Clone)]
enum Credential {
    Token(Secret),
    Session(SessionStore),
}

/// A client of a server.
#[derive(Debug, Clone)]
pub struct Client {
    http: Http,
    credential: Credential,
}

impl Client {
    /// A client of a server, with the token of the settings, else with the session that is stored for the server.
    ///
    /// # Errors
    /// [`ClientError`] if the settings cannot be used. Nothing is sent.
    pub fn new(url: Url, settings: &Remote) -> Result<Self, ClientError> {
        let http = Http::new(url, settings)?;
        let credential = match &settings.token {
            Some(token) => Credential::Token(token.clone()),
            None => {
                let file = settings.credentials_file().ok_or(CredentialsError::NoHome)?;
                Credential::Session(SessionStore::new(CredentialsFile::at(file)))
            }
        };
        Ok(Self { http, credential })
    }

    /// Executes an operation, and returns its data.
    ///
    /// # Errors
    /// [`ClientError`] if the server does not execute all of it.
    pub async fn execute(&self, document: &str, variables: Value) -> Result<Value, ClientError> {
        let body = json!({ "query": document, "variables": variables });
        let token = self.token().await?;
        let mut answer = self.http.post_json("/graphql", token.as_ref(), &body).await?;
        if let Some(renewed) = self.renewed(&answer, token.as_ref()).await? {
            answer = self.http.post_json("/graphql", Some(&renewed), &body).await?;
        }
        if let Some(refused) = self.unauthenticated(&answer, token.is_some()) {
            return Err(refused);
        }
        if answer.body.get("errors").is_some() {
            return Err(self.http.refused(&answer));
        }
        match answer.body {
            Value::Object(mut body) if answer.status.is_success() && body.get("data").is_some_and(Value::is_object) => {
                Ok(body.remove("data").unwrap_or_default())
            }
            _ => Err(self.http.not_apex(answer.status)),
        }
    }

    /// What is presented to the server; none if there is nothing.
    pub(super) async fn token(&self) -> Result<Option<Secret>, ClientError> {
        match &self.credential {
            Credential::Token(token) => Ok(Some(token.clone())),
            Credential::Session(session) => session.access_token(&self.http).await,
        }
    }

    /// A new token in place of one that an answer refuses, if there can be one.
    pub(super) async fn renewed(
        &self,
        answer: &Answer,
        refused: Option<&Secret>,
    ) -> Result<Option<Secret>, ClientError> {
        match (answer.status, &self.credential, refused) {
            // The token ended on the way, or by a clock that is not that of this machine; or the session has ended.
            (StatusCode::UNAUTHORIZED, Credential::Session(session), Some(refused)) => {
                session.renewed(&self.http, Some(refused)).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    pub(super) fn http(&self) -> &Http {
        &self.http
    }

    /// The error of an answer that refuses the credential, or that there is none.
    pub(super) fn unauthenticated(&self, answer: &Answer, has_token: bool) -> Option<ClientError> {
        let url = self.http.server();
        (answer.status == StatusCode::UNAUTHORIZED && is_apex(answer)).then(|| match &self.credential {
            Credential::Token(_) => ClientError::TokenRefused,
            Credential::Session(_) if has_token => ClientError::SessionEnded { url },
            Credential::Session(_) => ClientError::NotSignedIn { url },
        })
    }

    /// Executes an operation, and returns the value at a path of its data.
    ///
    /// # Errors
    /// As [`Client::execute`], and [`ClientError::Incomplete`] if there is no such value.
    pub async fn get<T: DeserializeOwned>(
        &self,
        document: &str,
        variables: Value,
        path: &str,
    ) -> Result<T, ClientError> {
        self.take(&mut self.execute(document, variables).await?, path)
    }

    /// The last position of the server's log.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn head(&self) -> Result<Position, ClientError> {
        let head: String = self.get(HEAD, json!({}), "/head").await?;
        self.position(&head, "head")
    }

    /// Takes the value at a path out of the data of an answer.
    ///
    /// # Errors
    /// [`ClientError::Incomplete`] if there is no such value.
    pub fn take<T: DeserializeOwned>(&self, data: &mut Value, path: &str) -> Result<T, ClientError> {
        let found = data.pointer_mut(path).map(Value::take);
        let found = found.and_then(|found| serde_json::from_value(found).ok());
        found.ok_or_else(|| self.incomplete(path))
    }

    /// A position of the log in an answer.
    ///
    /// # Errors
    /// [`ClientError::Incomplete`] if the text is none.
    pub fn position(&self, text: &str, what: &str) -> Result<Position, ClientError> {
        text.parse::<u64>().map(Position::from).map_err(|_| self.incomplete(what))
    }

    /// The error of an answer that lacks something.
    #[must_use]
    pub fn incomplete(&self, what: &str) -> ClientError {
        ClientError::Incomplete { url: self.http.server(), what: what.trim_start_matches('/').to_owned() }
    }
}

fn is_apex(answer: &Answer) -> bool {
    answer.body.pointer("/errors/0/extensions/code").is_some_and(Value::is_string)
}
