//! The spans of a request as they are kept so that a trace can be drawn: without attributes, but for the agent that they name,
//! and, where they are kept, the texts that they carry.

use super::attributes::Attributes;
use super::conventions::Slot;
use super::records::agent_in;
use super::span::{Span, SpanTime};
use crate::format::Format;
use crate::record::AgentRef;
use crate::text::{clipped_error, clipped_name};
use domain::call::{CallSpan, TraceId};
use domain::span_contents::{RecordContents, SpanContents};
use domain::telemetry::ExportedSpan;
use domain::{AgentId, Name};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The most spans of a request that are kept. They take up to 30 MB.
pub(crate) const MAX_EXPORTED_SPANS: usize = 50_000;

/// The most bytes of texts of a request that are kept: 8 MiB, with the names of attributes, as JSON.
pub(crate) const MAX_EXPORTED_CONTENT_BYTES: usize = 8 * 1024 * 1024;

/// The most records of logs of a request whose texts are kept.
pub(crate) const MAX_EXPORTED_RECORDS: usize = 10_000;

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
    /// The number of spans that are kept without their texts, because the request has too many of them.
    pub without_contents: u64,
    /// The records of logs that carry texts for spans, in their order.
    pub records: Vec<RecordContents>,
    /// The number of such records that are left out, because the request has too many, or too long ones.
    pub records_left_out: u64,
}

impl KeptSpans {
    /// Adds a record, if the request does not have too many. `content_bytes` is how many bytes those before have.
    pub(super) fn push_record(&mut self, record: RecordContents, content_bytes: &mut usize) {
        let bytes = *content_bytes + record.contents.json().len();
        if self.records.len() >= MAX_EXPORTED_RECORDS || bytes > MAX_EXPORTED_CONTENT_BYTES {
            self.records_left_out += 1;
            return;
        }
        *content_bytes = bytes;
        self.records.push(record);
    }
}

/// Collects the spans of a request. What their resources say is added at the end: in JSON it may follow the spans.
#[derive(Debug, Default)]
pub(super) struct ExportedSpans {
    spans: Vec<(ExportedSpan, usize)>,
    /// The instrumentation that wrote the spans that follow.
    scope: Option<Arc<Name>>,
    truncated: BTreeSet<TraceId>,
    left_out: u64,
    content_bytes: usize,
    without_contents: u64,
}

impl ExportedSpans {
    pub(super) fn set_scope(&mut self, name: Option<&str>) {
        self.scope = name.and_then(clipped_name).map(Arc::new);
    }

    /// Adds a span of the resource with an index.
    pub(super) fn push(&mut self, span: &mut Span, resource: usize) {
        let contents = span.contents.take();
        let Some(ids) = span.call_span() else { return };
        if self.spans.len() >= MAX_EXPORTED_SPANS {
            self.left_out += 1;
            if self.truncated.len() < MAX_TRUNCATED_TRACES {
                self.truncated.insert(ids.trace_id);
            }
            return;
        }
        let contents = contents.and_then(|contents| self.within_limit(contents));
        let exported = ExportedSpan { contents, ..exported(span, &ids, self.scope.clone()) };
        self.spans.push((exported, resource));
    }

    fn within_limit(&mut self, contents: SpanContents) -> Option<SpanContents> {
        let content_bytes = self.content_bytes + contents.json().len();
        if content_bytes > MAX_EXPORTED_CONTENT_BYTES {
            self.without_contents += 1;
            return None;
        }
        self.content_bytes = content_bytes;
        Some(contents)
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
        let spans = spans.collect();
        let Self { truncated, left_out, without_contents, .. } = std::mem::take(self);
        KeptSpans { spans, truncated, left_out, without_contents, ..KeptSpans::default() }
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
        contents: None,
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
