//! What is waited for after an import at a server.

use crate::cli::session::READ_MODELS_TIMEOUT;
use crate::client::{Client, ClientError};
use anyhow::Context as _;
use serde_json::json;
use std::time::{Duration, Instant};

/// The documents that the wait takes. The second one is answered once the read models have everything up to a position.
const HEAD: &str = "query { head }";
const REACHED: &str = "query($position: Position) {
    agents(first: 1, minPosition: $position) { nodes { uuid } }
    tasks(first: 1, minPosition: $position) { nodes { uuid } }
    calls(first: 1, minPosition: $position) { nodes { uuid } }
}";
/// The code of the server's answer if its read models do not catch up while a request may take.
const LATE: &str = "LATE";
/// The pause before it is asked again.
const PAUSE: Duration = Duration::from_millis(200);

/// The documents, for a test that checks each against the schema.
#[cfg(test)]
pub(in crate::cli) const DOCUMENTS: &[(&str, &str)] = &[("HEAD", HEAD), ("REACHED", REACHED)];

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
    let started = Instant::now();
    let head: String = client.get(HEAD, json!({}), "/head").await?;
    loop {
        match client.execute(REACHED, json!({ "position": head })).await {
            Err(ClientError::Refused { code, .. }) if code == LATE && started.elapsed() < READ_MODELS_TIMEOUT => {
                tokio::time::sleep(PAUSE).await;
            }
            answered => return answered.map(|_| ()),
        }
    }
}
