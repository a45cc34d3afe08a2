//! The facts of a call as types of the schema.

use crate::graphql::input::Invalid;
use crate::graphql::scalars::Timestamp;
use async_graphql::{Enum, InputObject, SimpleObject};
use domain::call::{self, Field, SpanId, Tags, TraceId};

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::call::Outcome")]
pub(crate) enum CallOutcome {
    /// The call returned a result.
    Ok,
    /// The call failed.
    Error,
    /// The caller gave up waiting for the result.
    Timeout,
    /// The caller cancelled the call.
    Cancelled,
    /// The provider or a policy refused to serve the call.
    Refused,
}

pub(super) const OUTCOMES: [call::Outcome; 5] =
    [call::Outcome::Ok, call::Outcome::Error, call::Outcome::Timeout, call::Outcome::Cancelled, call::Outcome::Refused];

/// Where a reported cost comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::call::CostSource")]
pub(crate) enum CostSource {
    /// The provider stated it.
    Provider,
    /// A gateway between the caller and the provider computed it.
    Gateway,
    /// The caller computed it, from prices of its own.
    Client,
}

pub(super) const COST_SOURCES: [call::CostSource; 3] =
    [call::CostSource::Provider, call::CostSource::Gateway, call::CostSource::Client];

/// A tag of a call.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
pub(crate) struct Tag {
    /// Key of the tag, unique within the call.
    key: String,
    /// Value of the tag.
    value: String,
}

pub(super) fn tags_of(tags: Option<Tags>) -> Vec<Tag> {
    let tag = |(key, value): (&domain::TagKey, &domain::Name)| Tag { key: key.to_string(), value: value.to_string() };
    tags.iter().flat_map(Tags::iter).map(tag).collect()
}

/// A tag to attach to a call.
#[derive(Debug, Clone, InputObject)]
pub(crate) struct TagInput {
    /// Key of the tag: one line of at most 64 bytes. A key may occur once.
    key: String,
    /// Value of the tag: one line of at most 256 bytes.
    value: String,
}

pub(crate) fn tags(field: &'static str, given: Option<Vec<TagInput>>) -> Result<Option<Tags>, Invalid> {
    let given = given.filter(|tags| !tags.is_empty());
    let tags = given.map(|tags| Tags::new(tags.into_iter().map(|tag| (tag.key, tag.value))));
    tags.transpose().map_err(|error| Invalid::new(field, error))
}

/// The span that a call was, with ids as in W3C Trace Context.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject)]
pub(crate) struct CallSpan {
    /// Id of the trace: 32 hexadecimal digits.
    pub(super) trace_id: String,
    /// Id of the span: 16 hexadecimal digits.
    pub(super) span_id: String,
    /// Id of the span that this one is a part of. Null for the root of a trace.
    pub(super) parent_span_id: Option<String>,
}

/// The span that a call was, with ids as in W3C Trace Context.
#[derive(Debug, Clone, InputObject)]
pub(crate) struct CallSpanInput {
    /// Id of the trace: 32 lower-case hexadecimal digits.
    trace_id: String,
    /// Id of the span: 16 lower-case hexadecimal digits.
    span_id: String,
    /// Id of the span that this one is a part of: 16 lower-case hexadecimal digits. Null for the root of a trace.
    parent_span_id: Option<String>,
}

impl TryFrom<CallSpanInput> for call::CallSpan {
    type Error = Invalid;

    fn try_from(input: CallSpanInput) -> Result<Self, Invalid> {
        let span = |field, text: String| text.parse::<SpanId>().map_err(|error| Invalid::new(field, error));
        let trace_id = input.trace_id.parse::<TraceId>().map_err(|error| Invalid::new("span.traceId", error))?;
        let parent = input.parent_span_id.map(|text| span("span.parentSpanId", text));
        Ok(Self { trace_id, span_id: span("span.spanId", input.span_id)?, parent_span_id: parent.transpose()? })
    }
}

/// A record other than the first one that facts of a call were taken from.
#[derive(Debug, Clone, PartialEq, SimpleObject)]
pub(crate) struct CallOrigin {
    /// Time at which the call started, as the record states it.
    at: Timestamp,
    /// Source of the record.
    source: String,
    /// Id of the record in its source.
    record_id: Option<String>,
    /// Names of the fields that were taken from the record, as they are in events, such as `usage`.
    fields: Vec<String>,
}

fn names<'a>(fields: impl IntoIterator<Item = &'a Field>) -> Vec<String> {
    fields.into_iter().map(ToString::to_string).collect()
}

/// The origins and the names of the corrected fields.
pub(super) fn provenance_of(provenance: Option<call::Provenance>) -> (Vec<CallOrigin>, Vec<String>) {
    let provenance = provenance.unwrap_or_default();
    let origin = |origin: &call::Origin| CallOrigin {
        at: origin.record.at.into(),
        source: origin.record.source.to_string(),
        record_id: origin.record.id.as_ref().map(ToString::to_string),
        fields: names(&origin.fields),
    };
    (provenance.origins.iter().map(origin).collect(), names(provenance.corrected.keys()))
}
