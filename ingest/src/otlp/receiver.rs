//! Reports what requests export, many records at a time.

use super::{Export, Received};
use crate::formats::not_counted;
use crate::outcome::{ImportError, ImportOutcome};
use crate::receiver::{ReceiveError, Receiver};
use crate::record::Location;
use crate::reporting::{Reported, report_all};
use crate::retry::RetryPolicy;
use crate::traces::SpanResult;
use commands::Principal;
use std::sync::Arc;

impl Receiver {
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
        decoded.not_read.into_iter().for_each(|warning| received.warn(warning));
        not_counted::of_unmeasured(decoded.unmeasured).into_iter().for_each(|warning| received.warn(warning));
        for metric in &decoded.usage_metrics {
            received.warn(format!("the metric {metric:?} is a sum over calls, which are charged by their spans or events: it was not counted"));
        }
        // Also a request without calls needs the right to report some.
        Self::authorise(&principal).map_err(ReceiveError::Forbidden)?;
        if decoded.items.is_empty() {
            return Ok(received);
        }
        let importer = self.importer_with(principal, Some(import_id), RetryPolicy::none()).await?;
        report_all(importer, decoded.items, |reported| count(&mut received, reported)).await?;
        Ok(received)
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
            if result.dropped_links > 0 {
                received.warn_of_dropped_links(result.dropped_links);
            }
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
