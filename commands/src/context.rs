//! Who gives a command, and under which id.

use crate::principal::Principal;
use opentelemetry::trace::TraceContextExt;
use std::sync::Arc;
use streams::{Metadata, RequestHash, Version};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use uuid::Uuid;

/// The principal and the ids that a command is executed with.
#[derive(Debug, Clone)]
pub struct Context {
    /// Who gives the command, in the tenant whose streams it changes.
    pub principal: Arc<Principal>,
    /// The id of the command; the same for each retry.
    pub command_id: Uuid,
    /// The id shared by all commands and events of one larger operation; the command id if there is none.
    pub correlation_id: Uuid,
    /// The id of the event that the command reacts to, if any.
    pub causation_id: Option<Uuid>,
    /// The version that the aggregate must have for the command to be decided; none accepts any version.
    pub expected_version: Option<Version>,
    /// The hash of what the client sent, if known. It distinguishes a retry from a different command under the same id.
    pub request: Option<RequestHash>,
}

impl Context {
    /// A command on its own: its correlation id is the command id, and nothing caused it.
    #[must_use]
    pub fn new(principal: impl Into<Arc<Principal>>, command_id: Uuid) -> Self {
        Self {
            principal: principal.into(),
            command_id,
            correlation_id: command_id,
            causation_id: None,
            expected_version: None,
            request: None,
        }
    }

    pub(crate) fn metadata(&self) -> Metadata {
        Metadata {
            actor: self.principal.actor(),
            command_id: self.command_id,
            correlation_id: self.correlation_id,
            causation_id: self.causation_id,
            traceparent: current_traceparent(),
        }
    }
}

/// The id of the trace of the current span, in hexadecimal; none if it is not part of a trace.
#[must_use]
pub fn current_trace_id() -> Option<String> {
    let context = tracing::Span::current().context();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| span.trace_id().to_string())
}

/// The current span as a W3C `traceparent`; none if it is not part of a trace.
fn current_traceparent() -> Option<String> {
    let context = tracing::Span::current().context();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8()))
}
