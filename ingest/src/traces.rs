//! Reports the spans of traces: the one way from a file or a request to a trace and its calls.

use crate::connection::Connection;
use crate::error::RefusalReason;
use crate::item::{TraceSpans, TracedSpan};
use crate::outcome::{ImportError, ImportOutcome, Imported};
use crate::record::Location;
use crate::unpriced::UnpricedModel;
use commands::{Error, Position, SpanBatch, SpanOutcome, TraceOutcome};
use domain::call::{CallError, Reporters};
use domain::price_book::{ChargeError, PriceBook, Unpriced};
use domain::trace::{Mismatch, SpanReport, Trace, TraceError};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

/// The most appends for what a batch of spans has left to do. Each changes several calls.
const MAX_FURTHER_APPENDS: usize = 1_024;

/// Spans of a trace that are ready to be sent.
pub struct PreparedTrace {
    pub(crate) connection: Connection,
    pub(crate) prices: PriceBook,
    pub(crate) trace: TraceSpans,
}

/// What a span of a trace that states usage is.
#[derive(Debug)]
pub enum SpanResult {
    /// It is a call.
    Imported(Imported),
    /// It repeats the usage of calls inside of it, and is not charged.
    Repeat,
    /// It would be a call, and is refused.
    Refused(RefusalReason),
}

/// The result of a trace. What is in it is in the log, however it ended.
#[derive(Debug, Default)]
pub struct TraceResult {
    /// What each span with usage is, with its location.
    pub spans: Vec<(Location, SpanResult)>,
    /// The summaries whose usage is not the sum of the calls inside of them, as far as they are known.
    pub mismatches: Vec<Mismatch>,
    /// The number of spans without usage that were not recorded, because the trace has too many.
    pub dropped_links: u64,
    /// The position of the last event.
    pub position: Position,
    /// Why the spans that are not in the result were not recorded.
    pub error: Option<ImportError>,
}

impl PreparedTrace {
    /// Sends the spans, inner ones first, in as many appends as it takes.
    pub async fn send(self) -> TraceResult {
        let Self { connection, prices, trace } = self;
        let TraceSpans { trace_id, mut spans } = trace;
        let mut result = TraceResult::default();
        let links = spans.extract_if(.., |span| span.report.usage.is_none()).map(|link| link.report).collect();
        // An outer span starts before those inside of it: what it repeats is known by the time that it is decided about.
        spans.sort_by_key(|span| Reverse(span.facts().map(|facts| facts.started_at)));
        let mut sender = Sender { connection, prices, trace_id, trace: None };
        result.error = sender.send_all(spans, links, &mut result).await.err();
        result.mismatches = sender.trace.map(|trace| trace.repeats().mismatches().to_vec()).unwrap_or_default();
        result.spans.sort_by_key(|(location, _)| *location);
        result
    }
}

struct Sender {
    connection: Connection,
    prices: PriceBook,
    trace_id: domain::call::TraceId,
    /// The trace after the last append.
    trace: Option<Arc<Trace>>,
}

/// Divides spans without usage into those that lead up from others, and the rest.
fn divide(spans: &[TracedSpan], links: Vec<SpanReport>) -> (Vec<SpanReport>, Vec<SpanReport>) {
    let reports = spans.iter().map(|span| &span.report).chain(&links);
    let parents: BTreeMap<_, _> = reports.map(|report| (report.span_id, report.parent_span_id)).collect();
    let mut leading = BTreeSet::new();
    for span in spans {
        let mut above = span.report.parent_span_id;
        while let Some(id) = above.filter(|id| leading.insert(*id)) {
            above = parents.get(&id).copied().flatten();
        }
    }
    links.into_iter().partition(|link| leading.contains(&link.span_id))
}

impl Sender {
    /// Sends all spans: those that lead up from the spans with usage first, because what these repeat follows from them, and
    /// last the links that may name the agent of calls that came before, or come later.
    async fn send_all(
        &mut self,
        spans: Vec<TracedSpan>,
        links: Vec<SpanReport>,
        result: &mut TraceResult,
    ) -> Result<(), ImportError> {
        let (mut leading, others) = divide(&spans, links);
        while leading.len() > SpanBatch::MAX_LINKS {
            let rest = leading.split_off(SpanBatch::MAX_LINKS);
            self.send(Vec::new(), std::mem::replace(&mut leading, rest), result).await?;
        }
        let mut spans = spans.into_iter().peekable();
        while spans.peek().is_some() {
            let chunk = spans.by_ref().take(SpanBatch::MAX_WITH_USAGE).collect();
            self.send(chunk, std::mem::take(&mut leading), result).await?;
        }
        for chunk in others.chunks(SpanBatch::MAX_LINKS) {
            self.send(Vec::new(), chunk.to_vec(), result).await?;
        }
        Ok(())
    }

    /// Sends a part of the spans, divided further if their calls have too many ids for one append. If the trace has too many
    /// spans, those without usage are left out, so that the calls are charged.
    async fn send(
        &mut self,
        spans: Vec<TracedSpan>,
        links: Vec<SpanReport>,
        result: &mut TraceResult,
    ) -> Result<(), ImportError> {
        let mut parts = vec![(spans, links)];
        while let Some((mut spans, links)) = parts.pop() {
            let reports: Vec<_> = spans.iter().map(|span| span.report.clone()).chain(links.iter().cloned()).collect();
            match self.execute(reports).await {
                Ok(outcome) => self.finish(spans, outcome, result).await?,
                Err(Error::TooManyAggregates { .. }) if spans.len() > 1 => {
                    let rest = spans.split_off(spans.len() / 2);
                    parts.push((rest, Vec::new()));
                    parts.push((spans, links));
                }
                Err(Error::Rejected(TraceError::TooManySpans | TraceError::TooManyLinks)) if !links.is_empty() => {
                    let (leading, others) = divide(&spans, links);
                    if spans.is_empty() {
                        result.dropped_links += others.len() as u64;
                    } else if others.is_empty() {
                        result.dropped_links += leading.len() as u64;
                        parts.push((spans, Vec::new()));
                    } else {
                        parts.push((Vec::new(), others));
                        parts.push((spans, leading));
                    }
                }
                Err(Error::Rejected(error)) => {
                    let refused = |span: TracedSpan| (span.location, SpanResult::Refused(reason(&error)));
                    result.spans.extend(spans.into_iter().map(refused));
                }
                Err(error) => return Err(ImportError::Trace(error)),
            }
        }
        Ok(())
    }

    async fn execute(&mut self, spans: Vec<SpanReport>) -> Result<TraceOutcome, Error<TraceError>> {
        let Connection { commands, principal, retry, import_id, .. } = &self.connection;
        let reported_by = Reporters::of(*import_id);
        let context = self.connection.context(Uuid::now_v7());
        let mut batch = SpanBatch { trace_id: self.trace_id, spans, prices: self.prices.clone(), reported_by };
        let executed = retry.run(|| commands.record_spans(&context, &batch)).await;
        match executed {
            Err(Error::Rejected(TraceError::Call(outdated @ CallError::PriceBookOutdated { .. }))) => {
                let newest = commands.load::<PriceBook>(&principal.charging(), PriceBook::id()).await;
                // A load is never rejected.
                let newest = newest.map_err(|error| error.map_rejected(|_| TraceError::Call(outdated)))?;
                self.prices = PriceBook::clone(&newest.state);
                batch.prices = self.prices.clone();
                retry.run(|| commands.record_spans(&context, &batch)).await
            }
            executed => executed,
        }
    }

    /// Notes the results, and changes the charge of spans of earlier batches.
    async fn finish(
        &mut self,
        spans: Vec<TracedSpan>,
        outcome: TraceOutcome,
        result: &mut TraceResult,
    ) -> Result<(), ImportError> {
        let TraceOutcome { position, spans: outcomes, mut has_more, trace } = outcome;
        result.position = result.position.max(position);
        self.trace = Some(trace);
        for (span, (span_id, outcome)) in spans.into_iter().zip(outcomes) {
            debug_assert_eq!(span.report.span_id, span_id, "outcomes are in the order of the batch");
            let location = span.location;
            result.spans.push((location, self.result_of(span, outcome, position)));
        }
        for _ in 0..MAX_FURTHER_APPENDS {
            if !has_more {
                return Ok(());
            }
            let outcome = self.execute(Vec::new()).await.map_err(ImportError::Trace)?;
            result.position = result.position.max(outcome.position);
            has_more = outcome.has_more;
        }
        Ok(())
    }

    fn result_of(&self, span: TracedSpan, outcome: SpanOutcome, position: Position) -> SpanResult {
        match outcome {
            SpanOutcome::Repeat => SpanResult::Repeat,
            SpanOutcome::Incomplete => {
                SpanResult::Refused(span.missing.unwrap_or(RefusalReason::Missing("gen_ai.response.model")))
            }
            SpanOutcome::Refused(error) => SpanResult::Refused(RefusalReason::Call(error)),
            SpanOutcome::Charged { call_id, call, is_new, is_changed, voided } => {
                let charged = call.charged.as_ref().filter(|charged| charged.is_unpriced());
                let unpriced =
                    charged.map(|charged| UnpricedModel::of(&charged.facts, self.unpriced(&charged.facts).as_ref()));
                let outcome = match (is_new, is_changed) {
                    (true, _) => ImportOutcome::Imported,
                    (false, true) => ImportOutcome::Amended,
                    (false, false) => ImportOutcome::Duplicate,
                };
                SpanResult::Imported(Imported { outcome, position, call_id, voided, unpriced })
            }
        }
    }

    fn unpriced(&self, facts: &domain::call::CallFacts) -> Option<Unpriced> {
        match self.prices.charge(&facts.pricing()?, None) {
            Err(ChargeError::Unpriced(reason)) => Some(reason),
            Err(ChargeError::Money(_)) | Ok(_) => None,
        }
    }
}

fn reason(error: &TraceError) -> RefusalReason {
    RefusalReason::Trace(error.clone())
}
