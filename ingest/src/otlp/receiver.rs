//! Reports what requests export, many records at a time.

use super::{Export, Received};
use crate::connection::Connection;
use crate::importer::Importer;
use crate::item::Item;
use crate::outcome::{ImportError, ImportOutcome};
use crate::owners::Owners;
use crate::record::Location;
use crate::retry::RetryPolicy;
use crate::traces::{SpanResult, TraceResult};
use commands::{Commands, Error, Principal};
use domain::Aggregate as _;
use domain::call::Call;
use domain::permissions::{Forbidden, SendCommand};
use domain::price_book::PriceBook;
use std::sync::Arc;
use thiserror::Error as ThisError;
use tokio::task::JoinSet;
use uuid::Uuid;

/// The maximum number of reports of one request in flight.
const MAX_IN_FLIGHT: usize = 256;

/// Why a request was not received. Some of it may be in the log; a retry of all of it changes nothing about that.
#[derive(Debug, ThisError)]
pub enum ReceiveError {
    /// The principal may not report calls, or not those of another agent.
    #[error(transparent)]
    Forbidden(Forbidden),
    /// The log is busy or unreachable: a retry may succeed.
    #[error("the log is busy or unreachable; retry")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Something failed that a retry does not help.
    #[error("the request could not be recorded")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Receives requests.
#[derive(Clone)]
pub struct Receiver {
    commands: Commands,
    owners: Arc<Owners>,
}

impl Receiver {
    /// A receiver that reports by these commands.
    #[must_use]
    pub fn new(commands: Commands) -> Self {
        Self { commands, owners: Arc::default() }
    }

    /// Reports what a request exports, as a principal. If its credential is bound to an agent, all calls are of that agent.
    ///
    /// The request is an import, which can be taken back.
    ///
    /// # Errors
    /// [`ReceiveError`] if not all of it could be recorded.
    pub async fn receive(&self, principal: Arc<Principal>, export: Export) -> Result<Received, ReceiveError> {
        let import_id = export.import_id(principal.agent());
        let decoded = export.decoded;
        let mut received = Received::of(decoded.count, import_id);
        decoded.refusals.iter().for_each(|refusal| received.refuse(refusal));
        received.warn_of_unread(&decoded.unread);
        if decoded.unmeasured > 0 {
            received.warn(format!(
                "{} spans are calls to models, but state no usage, nor do spans inside of them: these calls were not counted",
                decoded.unmeasured
            ));
        }
        for metric in &decoded.usage_metrics {
            received.warn(format!("the metric {metric:?} is a sum over calls, which are charged by their spans or events: it was not counted"));
        }
        // Also a request without calls needs the right to report some.
        principal.authorise_on::<SendCommand>(Call::CATEGORY, Uuid::nil()).map_err(ReceiveError::Forbidden)?;
        if decoded.items.is_empty() {
            return Ok(received);
        }
        let agent = principal.agent();
        let prices = self.commands.load::<PriceBook>(&principal.charging(), PriceBook::id()).await.map_err(failed)?;
        let (commands, retry, run_id) = (self.commands.clone(), RetryPolicy::none(), Uuid::now_v7());
        let connection = Connection { commands, principal, retry, import_id, run_id };
        let importer = Importer::of(connection, prices, self.owners.clone());
        let importer = Arc::new(importer);
        let (mut reports, mut failure) = (JoinSet::new(), None);
        let mut items = decoded.items.into_iter();
        loop {
            while failure.is_none() && reports.len() < MAX_IN_FLIGHT {
                let Some(mut item) = items.next() else { break };
                if let Some(agent) = agent {
                    item.bind(agent);
                }
                let importer = importer.clone();
                reports.spawn(async move { report(&importer, item).await });
            }
            // Those in flight are completed, also after a failure: what they recorded is recorded.
            match reports.join_next().await {
                None => break,
                Some(Ok(result)) => {
                    if let Err(error) = count(&mut received, result) {
                        failure.get_or_insert(error);
                    }
                }
                Some(Err(panicked)) => _ = failure.get_or_insert(ReceiveError::Internal(panicked.into())),
            }
        }
        failure.map_or(Ok(received), Err)
    }
}

/// The result of an item.
enum Reported {
    Call(Location, Result<SpanResult, ImportError>),
    Trace(Result<TraceResult, ImportError>),
}

async fn report(importer: &Importer, item: Item) -> Reported {
    match item {
        Item::Call(record) => {
            let location = record.location;
            let sent = match importer.prepare(*record).await {
                Ok(prepared) => prepared.send().await.map(SpanResult::Imported),
                Err(error) => Err(error),
            };
            Reported::Call(location, sent)
        }
        Item::Trace(trace) => match importer.prepare_trace(trace).await {
            Ok(prepared) => Reported::Trace(Ok(prepared.send().await)),
            Err(error) => Reported::Trace(Err(error)),
        },
    }
}

fn count(received: &mut Received, reported: Reported) -> Result<(), ReceiveError> {
    match reported {
        Reported::Call(location, Err(ImportError::Refused(error))) => {
            received.refuse_at(location, &crate::error::RefusalReason::Call(error));
            Ok(())
        }
        Reported::Call(location, Ok(result)) => {
            count_span(received, location, &result);
            Ok(())
        }
        Reported::Call(_, Err(error)) | Reported::Trace(Err(error)) => Err(classified(error)),
        Reported::Trace(Ok(result)) => {
            received.position = received.position.max(result.position);
            result.spans.iter().for_each(|(location, span)| count_span(received, *location, span));
            result.mismatches.iter().for_each(|mismatch| received.warn_of_mismatch(mismatch));
            if result.dropped_links > 0 {
                received.warn_of_dropped_links(result.dropped_links);
            }
            result.error.map_or(Ok(()), |error| Err(classified(error)))
        }
    }
}

fn count_span(received: &mut Received, location: Location, result: &SpanResult) {
    match result {
        SpanResult::Repeat => received.repeats += 1,
        SpanResult::Refused(reason) => received.refuse_at(location, reason),
        SpanResult::Imported(imported) => {
            received.position = received.position.max(imported.position);
            match imported.outcome {
                ImportOutcome::Imported => received.recorded += 1,
                ImportOutcome::Amended => received.amended += 1,
                ImportOutcome::Duplicate => received.duplicate += 1,
            }
        }
    }
}

fn classified(error: ImportError) -> ReceiveError {
    match error {
        ImportError::Call(error) => failed(error),
        ImportError::Trace(error) => failed(error),
        ImportError::Agent(error) => failed(error),
        ImportError::Task(error) => failed(error),
        ImportError::TagKeys(error) => failed(error),
        ImportError::Refused(error) => ReceiveError::Internal(error.into()),
    }
}

fn failed<E: std::error::Error + Send + Sync + 'static>(error: Error<E>) -> ReceiveError {
    match error {
        Error::Forbidden(forbidden) => ReceiveError::Forbidden(forbidden),
        error if error.is_retryable() => ReceiveError::Unavailable(error.into()),
        error => ReceiveError::Internal(error.into()),
    }
}
