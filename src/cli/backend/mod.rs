//! Where a subcommand is done: by this process on the database, or by a server that it asks over GraphQL. What it prints is
//! the same.

mod alerts;
mod budgets;
mod correction;
mod database;
mod invoice;
mod meter;
mod operations;
mod schedules;
mod server;

pub(super) use alerts::{AddressFields, DeliveryState, EndpointMove, ShownDelivery, ShownEndpoint};
pub(super) use budgets::{RefusalSelection, ShownApproval, ShownPreview, ShownStatus};
pub(super) use correction::{Assignment, Correction, parse_field};
pub(super) use database::now;
pub(super) use invoice::{ShownCause, ShownInvoice, ShownReconciliation, ShownVariance};
pub(super) use meter::meter_name;
pub(super) use operations::{Backend, IssuedKey, Listed, ScheduleMove, ShownRules, ShownRun, ShownSchedule};
pub(super) use server::{GlobalId, tag_keys, viewer};

use self::database::OnDatabase;
use self::server::OnServer;
use super::session::{Session, interruptible, with_rooms};
use crate::client::{Client, ClientError};
use crate::rooms::Rooms;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The code of a server's answer if its read models do not catch up while a request may take.
const LATE: &str = "LATE";
/// The pause before it is asked again.
const PAUSE: Duration = Duration::from_millis(200);

/// A subcommand that is done wherever the settings say.
pub(super) trait Work {
    /// Does it.
    async fn run(self, backend: &impl Backend) -> anyhow::Result<()>;
}

/// Does a subcommand: at the server of the settings if they name one, else on the database.
pub(super) async fn run(session: &Session, work: impl Work) -> anyhow::Result<ExitCode> {
    if let Some(client) = client(session)? {
        interruptible(work.run(&OnServer::new(client))).await?;
        return Ok(ExitCode::SUCCESS);
    }
    with_rooms(session, async |rooms| {
        let identities = rooms.identities(session.common()).await?;
        let backend = OnDatabase::new(rooms, &identities);
        work.run(&backend).await?;
        backend.warn_without_admin();
        Ok(ExitCode::SUCCESS)
    })
    .await
}

/// As [`run`]; on the database, something is done first, such as waiting for read models.
pub(super) async fn run_after(
    session: &Session,
    prepare: impl AsyncFnOnce(&mut Rooms) -> anyhow::Result<()>,
    work: impl Work,
) -> anyhow::Result<ExitCode> {
    if let Some(client) = client(session)? {
        interruptible(work.run(&OnServer::new(client))).await?;
        return Ok(ExitCode::SUCCESS);
    }
    with_rooms(session, async |rooms| {
        prepare(&mut *rooms).await?;
        let identities = rooms.identities(session.common()).await?;
        work.run(&OnDatabase::new(rooms, &identities)).await?;
        Ok(ExitCode::SUCCESS)
    })
    .await
}

/// A client of the server of the settings; none if they name none.
pub(super) fn client(session: &Session) -> anyhow::Result<Option<Client>> {
    let remote = &session.common().remote;
    Ok(remote.url.clone().map(|url| Client::new(url, remote)).transpose()?)
}

/// Asks a server, and again while its read models are behind the position that the question names, until a time is over.
///
/// # Errors
/// The error of the question; `late` says what it means that the read models are still behind.
pub(super) async fn while_late<T>(
    wait: Duration,
    late: &str,
    ask: impl AsyncFn() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let is_late = |error: &anyhow::Error| error.downcast_ref().is_some_and(is_late);
    let mut is_waiting = false;
    let on_late = || {
        if !std::mem::replace(&mut is_waiting, true) {
            say!("The read models of the server are behind the log; waiting for them.");
        }
    };
    match ask_while(wait, is_late, on_late, ask).await {
        Err(error) if is_late(&error) => Err(error.context(late.to_owned())),
        answer => answer,
    }
}

/// Asks a server, and again after a pause while an error is of a kind, until a time is over. Returns the last answer.
pub(super) async fn ask_while<T, E>(
    wait: Duration,
    is_of_kind: impl Fn(&E) -> bool,
    mut on_pause: impl FnMut(),
    ask: impl AsyncFn() -> Result<T, E>,
) -> Result<T, E> {
    let started = Instant::now();
    loop {
        match ask().await {
            Err(error) if is_of_kind(&error) && started.elapsed() < wait => {
                on_pause();
                tokio::time::sleep(PAUSE).await;
            }
            answer => return answer,
        }
    }
}

/// Whether a server refused because its read models did not catch up while a request may take.
pub(super) fn is_late(error: &ClientError) -> bool {
    matches!(error, ClientError::Refused { code, .. } if code == LATE)
}

#[cfg(test)]
mod tests {
    use super::server::DOCUMENTS;
    use crate::cli::{import, prices, replay, report, traces};
    use crate::client::HEAD;

    /// Every document of the subcommands, with its name.
    fn documents() -> Vec<(&'static str, String)> {
        let fixed = DOCUMENTS.iter().chain(import::DOCUMENTS).chain(replay::DOCUMENTS);
        let fixed = fixed
            .chain(report::DOCUMENTS)
            .chain(report::CHANGE_DOCUMENTS)
            .chain(prices::DOCUMENTS)
            .chain(traces::DOCUMENTS);
        let mut documents: Vec<_> = fixed.map(|(name, text)| (*name, (*text).to_owned())).collect();
        documents.push(("HEAD", HEAD.to_owned()));
        documents.push(("STATEMENTS", report::statement_document()));
        documents.push(("REPORT", report::document(false)));
        documents.push(("FORECAST", report::FORECAST_DOCUMENT.to_owned()));
        documents.push(("ANOMALIES", report::ANOMALIES_DOCUMENT.to_owned()));
        documents.push(("COMPLETED_TASK_COSTS", report::tasks_document()));
        documents.push(("METER_COSTS", report::meters_document()));
        documents.push(("COMPARED_REPORT", report::document(true)));
        documents
    }

    #[test]
    fn every_document_is_valid_by_the_schema() {
        use apollo_compiler::{ExecutableDocument, Schema};
        let schema = Schema::parse_and_validate(api::schema_sdl(), "schema.graphql").unwrap();
        for (name, text) in documents() {
            let parsed = ExecutableDocument::parse_and_validate(&schema, text.as_str(), name);
            assert!(parsed.is_ok(), "{name}: {}", parsed.unwrap_err());
        }
        // Control: what the schema does not have is found.
        for wrong in
            ["query { viewer { shoeSize } }", "query($a: Int) { apiKeys(first: 1, after: $a) { nodes { uuid } } }"]
        {
            assert!(ExecutableDocument::parse_and_validate(&schema, wrong, "wrong").is_err(), "{wrong}");
        }
    }
}
