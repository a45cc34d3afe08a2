//! Reports what requests export, many records at a time.

use super::{Export, Received};
use crate::importer::Importer;
use crate::item::Item;
use crate::outcome::{ImportError, ImportOutcome};
use crate::receiver::{ReceiveError, Receiver};
use crate::record::Location;
use crate::retry::RetryPolicy;
use crate::traces::{SpanResult, TraceResult};
use commands::Principal;
use std::sync::Arc;
use tokio::task::JoinSet;

/// The maximum number of reports of one request in flight.
const MAX_IN_FLIGHT: usize = 256;

impl Receiver {
    /// Reports what a request exports, as a principal. If its credential is bound to an agent, all calls are of that agent.
    ///
    /// # Errors
    /// [`ReceiveError`] if not all of it could be recorded.
    pub async fn receive(&self, principal: Arc<Principal>, export: Export) -> Result<Received, ReceiveError> {
        let decoded = export.decoded;
        let mut received = Received::of(decoded.count);
        decoded.refusals.iter().for_each(|refusal| received.refuse(refusal));
        received.warn_of_unread(&decoded.unread);
        for metric in &decoded.usage_metrics {
            received.warn(format!("the metric {metric:?} is a sum over calls, which are charged by their spans or events: it was not counted"));
        }
        // Also a request without calls needs the right to report some.
        Self::authorise(&principal).map_err(ReceiveError::Forbidden)?;
        if decoded.items.is_empty() {
            return Ok(received);
        }
        let importer = Arc::new(self.importer_with(principal, RetryPolicy::none()).await?);
        let (mut reports, mut failure) = (JoinSet::new(), None);
        let mut items = decoded.items.into_iter();
        loop {
            while failure.is_none() && reports.len() < MAX_IN_FLIGHT {
                let Some(mut item) = items.next() else { break };
                importer.bind(&mut item);
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
        Reported::Call(_, Err(error)) | Reported::Trace(Err(error)) => Err(ReceiveError::of_import(error)),
        Reported::Trace(Ok(result)) => {
            received.position = received.position.max(result.position);
            result.spans.iter().for_each(|(location, span)| count_span(received, *location, span));
            result.mismatches.iter().for_each(|mismatch| received.warn_of_mismatch(mismatch));
            result.error.map_or(Ok(()), |error| Err(ReceiveError::of_import(error)))
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
