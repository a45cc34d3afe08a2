//! What the subcommands do at a server, over GraphQL.

mod alerts;
mod allocation;
mod budgets;
mod calls;
mod documents;
mod grants;
mod invoice;
mod people;
mod schedules;
mod teams;
mod values;

use self::values::Outcome;
use super::operations::{Listed, TagOperations};
use crate::client::{Client, Page};
use chrono::{DateTime, Utc};
use commands::OutcomeKind;
use domain::TagKey;
use domain::permissions::Role;
use identity::MAX_LISTED;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

#[cfg(test)]
pub(in crate::cli) use documents::ALL as DOCUMENTS;
pub(in crate::cli) use values::GlobalId;

/// The number of objects on a page.
const PAGE: usize = 200;

/// The operations at a server.
pub(super) struct OnServer {
    client: Client,
}

/// A page of a list.
impl OnServer {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    /// A page of the list at a path of the data, after a cursor, and the cursor of the next one.
    async fn page<T: DeserializeOwned>(
        &self,
        document: &str,
        mut variables: Value,
        path: &str,
        after: Option<String>,
    ) -> anyhow::Result<(Vec<T>, Option<String>)> {
        variables["first"] = PAGE.into();
        variables["after"] = after.into();
        let page: Page<T> = self.client.get(document, variables, path).await?;
        Ok((page.nodes, page.page_info.next()))
    }

    /// The first [`MAX_LISTED`] objects of the list at a path of the data.
    async fn list<W: DeserializeOwned, T: From<W>>(
        &self,
        document: &str,
        variables: Value,
        path: &str,
    ) -> anyhow::Result<Listed<T>> {
        let (mut items, mut after) = (Vec::new(), None);
        loop {
            let (nodes, next) = self.page::<W>(document, variables.clone(), path, after).await?;
            items.extend(nodes.into_iter().map(T::from));
            after = next;
            if after.is_none() || items.len() >= MAX_LISTED {
                let is_cut = after.is_some();
                items.truncate(MAX_LISTED);
                return Ok(Listed { items, is_cut });
            }
        }
    }

    /// Gives a command: the payload at a path of the data. Each command has an id of its own.
    ///
    /// # Errors
    /// The reason if the command is rejected.
    async fn command(&self, document: &str, mut input: Value, path: &str) -> anyhow::Result<(Outcome, Value)> {
        input["commandId"] = Uuid::now_v7().to_string().into();
        let payload: Value = self.client.get(document, json!({ "input": input }), path).await?;
        let outcome = payload.get("outcome").and_then(|outcome| Outcome::deserialize(outcome).ok());
        match outcome.ok_or_else(|| self.client.incomplete("outcome"))? {
            Outcome::Rejected => {
                let reason = payload.pointer("/error/message").and_then(Value::as_str);
                Err(anyhow::anyhow!("{}", reason.unwrap_or("the server rejects the command without a reason")))
            }
            outcome => Ok((outcome, payload)),
        }
    }

    /// As [`OnServer::command`], and the value at a path of the payload.
    async fn created<T: DeserializeOwned>(
        &self,
        document: &str,
        input: Value,
        (path, of): (&str, &str),
    ) -> anyhow::Result<T> {
        let (_, mut payload) = self.command(document, input, path).await?;
        self.value(&mut payload, of)
    }

    fn value<T: DeserializeOwned>(&self, payload: &mut Value, path: &str) -> anyhow::Result<T> {
        Ok(self.client.take(payload, path)?)
    }

    async fn done(&self, document: &str, input: Value, path: &str) -> anyhow::Result<OutcomeKind> {
        self.command(document, input, path).await.map(|(outcome, _)| outcome.into())
    }
}

/// Built-in roles as GraphQL names them.
fn role_names(roles: &[Role]) -> Vec<String> {
    roles.iter().map(|role| role.to_string().to_uppercase()).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeclaredKey {
    key: TagKey,
    declared_at: DateTime<Utc>,
}

/// The tag keys that are declared at a server.
pub(in crate::cli) async fn tag_keys(client: &Client) -> anyhow::Result<Vec<(TagKey, DateTime<Utc>)>> {
    let keys: Vec<DeclaredKey> = client.get(documents::TAG_KEYS, json!({}), "/tagKeys").await?;
    Ok(keys.into_iter().map(|found| (found.key, found.declared_at)).collect())
}

impl TagOperations for OnServer {
    async fn tag_keys(&self) -> anyhow::Result<Vec<(TagKey, DateTime<Utc>)>> {
        tag_keys(&self.client).await
    }

    async fn declare_tag_key(&self, key: TagKey) -> anyhow::Result<OutcomeKind> {
        self.done(documents::DECLARE_TAG_KEY, json!({ "key": key.as_str() }), "/declareTagKey").await
    }

    async fn withdraw_tag_key(&self, key: TagKey) -> anyhow::Result<()> {
        self.done(documents::WITHDRAW_TAG_KEY, json!({ "key": key.as_str() }), "/withdrawTagKey").await.map(|_| ())
    }
}

/// Who sends the requests of a client.
pub(in crate::cli) async fn viewer(client: &Client) -> anyhow::Result<Value> {
    Ok(client.get(documents::VIEWER, json!({}), "/viewer").await?)
}
