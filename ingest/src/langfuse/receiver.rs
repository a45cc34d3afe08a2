//! Reports what batches say: first what is known of their calls is looked up, then they are completed, and then reported.

use super::batch::{Batch, BatchAnswer};
use crate::format::Format;
use crate::formats::langfuse::Trace;
use crate::item::Item;
use crate::outcome::ImportError;
use crate::receiver::{ReceiveError, Receiver, of_content};
use crate::record::Location;
use crate::reporting::{Reported, report_all};
use crate::traces::SpanResult;
use commands::Principal;
use domain::ImportId;
use domain::call::{CallFacts, CallKey};
use std::sync::Arc;
use tokio::task::JoinSet;

/// The maximum number of calls of one batch that are looked up at the same time.
const MAX_LOOKUPS: usize = 16;

/// What is known of the observations of a batch: nothing, by default.
#[derive(Debug, Default)]
pub struct KnownOfBatch {
    /// Of each observation, the facts of the call that a former batch began.
    calls: Vec<Option<CallFacts>>,
    /// The names of their traces.
    traces: Vec<(String, Trace)>,
}

/// What a batch reports.
#[derive(Debug)]
pub struct BatchReports {
    batch: Batch,
    items: Vec<Item>,
}

impl BatchReports {
    /// The answer to a batch of which everything is recorded that can be read, and what is to be recorded.
    #[must_use]
    pub fn into_parts(self) -> (BatchAnswer, Vec<Item>) {
        (self.batch.answer(), self.items)
    }
}

impl Batch {
    /// Completes the batch by what is known of it. It is CPU-bound.
    #[must_use]
    pub fn into_reports(mut self, known: KnownOfBatch) -> BatchReports {
        let texts = self.complete(&known.calls);
        let mut observations = self.observations(&texts);
        known.traces.into_iter().for_each(|(id, trace)| observations.add_trace(id, trace));
        let mut items = Vec::new();
        for item in observations.batch_items() {
            match item {
                Ok(item) => items.push(item),
                Err(refusal) => self.refuse_at(refusal.location, &refusal.reason.to_string()),
            }
        }
        BatchReports { batch: self, items }
    }

    fn refuse_at(&mut self, location: Location, reason: &str) {
        if let Location::Item(number) = location
            && let Some(at) = usize::try_from(number).ok().and_then(|number| number.checked_sub(1))
        {
            self.refuse(at, reason);
        }
    }

    /// Takes note of the result of an item.
    fn count(&mut self, reported: Reported) -> Result<(), ReceiveError> {
        match reported {
            Reported::Call(_, Ok(_)) => Ok(()),
            Reported::Call(location, Err(ImportError::Refused(error))) => {
                self.refuse_at(location, &error.to_string());
                Ok(())
            }
            Reported::Call(_, Err(error)) | Reported::Trace(Err(error)) => Err(ReceiveError::of_import(error)),
            Reported::Trace(Ok(result)) => {
                for (location, span) in result.spans {
                    if let SpanResult::Refused(reason) = span {
                        self.refuse_at(location, &reason.to_string());
                    }
                }
                result.error.map_or(Ok(()), |error| Err(ReceiveError::of_import(error)))
            }
        }
    }
}

impl Receiver {
    /// What is known of the observations of a batch.
    ///
    /// # Errors
    /// [`ReceiveError`] if the principal may not report calls, or the log cannot be read.
    pub async fn look_up_batch(&self, principal: &Arc<Principal>, batch: &Batch) -> Result<KnownOfBatch, ReceiveError> {
        Self::authorise(principal).map_err(ReceiveError::Forbidden)?;
        let mut calls: Vec<Option<CallFacts>> = batch.observations.iter().map(|_| None).collect();
        let incomplete = batch.observations.iter().enumerate().filter(|(_, observed)| observed.is_incomplete_call());
        let mut keys = incomplete.filter_map(|(at, observed)| {
            let trace = observed.text("traceId").unwrap_or_default();
            Some((at, CallKey::of_request(Format::Langfuse.as_str(), &trace, &observed.id, "")?))
        });
        let mut lookups = JoinSet::new();
        loop {
            while lookups.len() < MAX_LOOKUPS {
                let Some((at, key)) = keys.next() else { break };
                let (receiver, principal) = (self.clone(), principal.clone());
                lookups.spawn(async move { (at, receiver.known(&principal, &key).await) });
            }
            let Some(looked_up) = lookups.join_next().await else { break };
            let (at, known) = looked_up.map_err(|panicked| ReceiveError::Internal(panicked.into()))?;
            calls[at] = known?;
        }
        Ok(KnownOfBatch { calls, traces: self.traces_of(principal, batch) })
    }

    /// Reports a batch, as a principal, and returns the import that it is, which can be taken back. If its credential is bound to
    /// an agent, all calls are of that agent.
    ///
    /// # Errors
    /// [`ReceiveError`] if not all of it could be recorded.
    pub async fn report_batch(
        &self,
        principal: Arc<Principal>,
        reports: BatchReports,
        import_id: Option<ImportId>,
    ) -> Result<(BatchAnswer, ImportId), ReceiveError> {
        let BatchReports { mut batch, items } = reports;
        let import_id = import_id.unwrap_or_else(|| of_content(batch.content_id, principal.agent()));
        if !items.is_empty() {
            report_all(self.importer(principal, Some(import_id)).await?, items, |reported| batch.count(reported))
                .await?;
        }
        Ok((batch.answer(), import_id))
    }

    /// The names of the traces of a batch, with those that former batches gave, which are remembered.
    fn traces_of(&self, principal: &Principal, batch: &Batch) -> Vec<(String, Trace)> {
        let mut traces = batch.traces.clone();
        for observed in &batch.observations {
            if let Some(trace) = observed.text("traceId") {
                traces.entry(trace).or_default();
            }
        }
        traces
            .into_iter()
            .map(|(id, trace)| (id.clone(), self.remembered_trace(principal.tenant(), &id, trace)))
            .collect()
    }

    /// What the log knows of the call that a former batch began.
    async fn known(&self, principal: &Principal, key: &CallKey) -> Result<Option<CallFacts>, ReceiveError> {
        let loaded = self.commands.load_call(&principal.charging(), key.call_id(), None).await;
        let (_, call) = loaded.map_err(ReceiveError::of)?;
        Ok(call.state.charged.as_ref().map(|charged| charged.facts.clone()))
    }
}
