//! What is done at a server after an import: waiting for its read models, and taking an import back.

use super::step::{Failed, Step};
use crate::cli::backend::{GlobalId, ask_while, is_late};
use crate::cli::session::READ_MODELS_TIMEOUT;
use crate::client::{Client, ClientError};
use anyhow::{Context as _, bail};
use commands::Position;
use domain::Body;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

/// What is answered once the read models have everything up to a position.
const REACHED: &str = "query($position: Position) {
    agents(first: 1, minPosition: $position) { nodes { uuid } }
    tasks(first: 1, minPosition: $position) { nodes { uuid } }
    calls(first: 1, minPosition: $position) { nodes { uuid } }
}";
/// A step of taking an import back.
const TAKE_BACK: &str = "mutation($input: TakeBackImportInput!) {
    takeBackImport(input: $input) {
        position error { message } reversed kept agents tasks searchedTo isComplete failed { call message }
    }
}";
/// The documents, for a test that checks each against the schema.
#[cfg(test)]
pub(in crate::cli) const DOCUMENTS: &[(&str, &str)] = &[("REACHED", REACHED), ("TAKE_BACK", TAKE_BACK)];

/// Waits until the read models of a server have what is in its log now. A credential that may report calls, but not read them,
/// does not learn that.
pub(super) async fn wait_for_read_models(client: &Client) -> anyhow::Result<()> {
    match reached(client).await {
        Ok(()) => Ok(()),
        Err(ClientError::Forbidden { .. }) => {
            say!("The calls are in the log. When the read models have them is told to those who may read calls only.");
            Ok(())
        }
        Err(error) => Err(error).context("the events are in the log, but the read models are behind"),
    }
}

async fn reached(client: &Client) -> Result<(), ClientError> {
    let head = client.head().await?.to_string();
    let ask = async || client.execute(REACHED, json!({ "position": head })).await;
    ask_while(READ_MODELS_TIMEOUT, is_late, || {}, ask).await.map(drop)
}

/// The payload of a step.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    position: Option<String>,
    error: Option<Message>,
    reversed: Vec<GlobalId>,
    kept: Vec<GlobalId>,
    agents: Vec<GlobalId>,
    tasks: Vec<GlobalId>,
    searched_to: Option<String>,
    is_complete: bool,
    failed: Vec<Refused>,
}

#[derive(Deserialize)]
struct Message {
    message: String,
}

#[derive(Deserialize)]
struct Refused {
    call: Option<GlobalId>,
    message: String,
}

/// Takes back what a part of the log after a position says of an import. Returns the end of the log, too.
pub(super) async fn take_back(
    client: &Client,
    import_id: Uuid,
    reason: &Body,
    after: Position,
) -> anyhow::Result<(Step, Position)> {
    let input = json!({ "importId": import_id, "reason": reason.as_str(), "after": after.to_string() });
    let payload: Payload = client.get(TAKE_BACK, json!({ "input": input }), "/takeBackImport").await?;
    if let Some(Message { message }) = payload.error {
        bail!(message);
    }
    let head = client.head().await?;
    let searched_to = payload.searched_to.as_deref().unwrap_or_default();
    let uuids = |ids: Vec<GlobalId>| ids.into_iter().map(|GlobalId(id)| id).collect();
    let failed = |refused: Refused| Failed { call: refused.call.map(|GlobalId(id)| id), reason: refused.message };
    let step = Step {
        reversed: payload.reversed.len() as u64,
        kept: uuids(payload.kept),
        agents: uuids(payload.agents),
        tasks: uuids(payload.tasks),
        failed: payload.failed.into_iter().map(failed).collect(),
        is_written: payload.position.is_some(),
        searched_to: client.position(searched_to, "/takeBackImport/searchedTo")?,
        is_complete: payload.is_complete,
    };
    Ok((step, head))
}
