//! The spans of a request as they are kept so that a trace can be drawn: without attributes, but for the agent that they name.

use super::attributes::Attributes;
use super::conventions::Slot;
use super::records::agent_in;
use super::span::{Span, SpanTime};
use crate::format::Format;
use crate::record::AgentRef;
use crate::text::{clipped_error, clipped_name};
use domain::call::{CallSpan, TraceId};
use domain::telemetry::ExportedSpan;
use domain::{AgentId, Name};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The most spans of a request that are kept. They take up to 30 MB.
pub(crate) const MAX_EXPORTED_SPANS: usize = 50_000;

/// The most traces of a request that are marked because spans of them are left out. Each takes 16 bytes.
const MAX_TRUNCATED_TRACES: usize = 10_000;

/// The spans of a request that are kept, and which are not.
#[derive(Debug, Default, PartialEq)]
pub struct KeptSpans {
    /// The spans, in their order.
    pub spans: Vec<ExportedSpan>,
    /// The traces of which spans are left out, because the request has too many spans. At most 10,000 are named.
    pub truncated: BTreeSet<TraceId>,
    /// The number of spans that are left out.
    pub left_out: u64,
}

/// Collects the spans of a request. What their resources say is added at the end: in JSON it may follow the spans.
#[derive(Debug, Default)]
pub(super) struct ExportedSpans {
    spans: Vec<(ExportedSpan, usize)>,
    /// The instrumentation that wrote the spans that follow.
    scope: Option<Arc<Name>>,
    truncated: BTreeSet<TraceId>,
    left_out: u64,
}

impl ExportedSpans {
    pub(super) fn set_scope(&mut self, name: Option<&str>) {
        self.scope = name.and_then(clipped_name).map(Arc::new);
    }

    /// Adds a span of the resource with an index.
    pub(super) fn push(&mut self, span: &Span, resource: usize) {
        let Some(ids) = span.call_span() else { return };
        if self.spans.len() >= MAX_EXPORTED_SPANS {
            self.left_out += 1;
            if self.truncated.len() < MAX_TRUNCATED_TRACES {
                self.truncated.insert(ids.trace_id);
            }
            return;
        }
        self.spans.push((exported(span, &ids, self.scope.clone()), resource));
    }

    /// The spans, with what their resources say, and what was left out.
    pub(super) fn take(&mut self, resources: &[Attributes]) -> KeptSpans {
        let resources: Vec<_> = resources.iter().map(of_resource).collect();
        let spans = std::mem::take(&mut self.spans).into_iter().map(|(mut span, resource)| {
            if let Some((service, agent)) = resources.get(resource) {
                (span.service, span.resource_agent_id) = (service.clone(), *agent);
            }
            span
        });
        let (truncated, left_out) = (std::mem::take(&mut self.truncated), std::mem::take(&mut self.left_out));
        KeptSpans { spans: spans.collect(), truncated, left_out }
    }
}

fn exported(span: &Span, ids: &CallSpan, scope: Option<Arc<Name>>) -> ExportedSpan {
    ExportedSpan {
        trace_id: ids.trace_id,
        span_id: ids.span_id,
        parent_span_id: ids.parent_span_id,
        name: span.name.as_deref().and_then(clipped_name),
        kind: span.kind,
        start_ns: known(span.start.as_ref()),
        end_ns: known(span.end.as_ref()),
        status: span.status,
        status_message: span.status_error.as_deref().and_then(clipped_error),
        agent_id: agent_in(&span.attributes).map(|agent| agent.id),
        resource_agent_id: None,
        service: None,
        scope,
    }
}

fn known(time: Option<&SpanTime>) -> Option<i64> {
    match time {
        Some(SpanTime::UnixNanos(ns)) => Some(*ns),
        Some(SpanTime::Invalid(_)) | None => None,
    }
}

/// The service of a resource, and the agent that it names, which is the service if it names no other. A service with the
/// default name of the SDKs names nobody.
fn of_resource(attributes: &Attributes) -> (Option<Arc<Name>>, Option<AgentId>) {
    let service = attributes.text(Slot::Service);
    let of_service = || {
        let named = service.filter(|name| !name.starts_with(super::forest::UNKNOWN_SERVICE))?;
        AgentRef::new(Format::Otlp, named, named)
    };
    let agent = agent_in(attributes).or_else(of_service);
    (service.and_then(clipped_name).map(Arc::new), agent.map(|agent| agent.id))
}
