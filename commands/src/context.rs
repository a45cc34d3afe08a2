//! On whose behalf a command runs.

use domain::TenantId;
use opentelemetry::trace::TraceContextExt;
use streams::{Metadata, RequestHash, Version};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use uuid::Uuid;

/// Names that this program itself acts under.
const RESERVED_ACTORS: [&str; 3] = ["apex", "demo", "simulation"];
/// What the names of its parts begin with: `policy:budget-alerts`, `import:otlp`. The others are kept for later.
const RESERVED_ACTOR_PREFIXES: [&str; 4] = ["apex:", "import:", "policy:", "system:"];

/// Whether a name is one that only this program itself acts under: no caller may claim it, or the log would say of the
/// caller's command that a policy gave it.
#[must_use]
pub fn is_reserved_actor(name: &str) -> bool {
    let name = name.trim().to_ascii_lowercase();
    RESERVED_ACTORS.contains(&name.as_str()) || RESERVED_ACTOR_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Who gives a command, under which id, and in which larger whole.
#[derive(Debug, Clone)]
pub struct Context {
    /// Whose data it is about.
    pub tenant: TenantId,
    /// The person, agent or policy.
    pub actor: String,
    /// The command's id; the same for each retry.
    pub command_id: Uuid,
    /// What it all belongs to; the command itself where nothing larger is known.
    pub correlation_id: Uuid,
    /// The event that it reacts to.
    pub causation_id: Option<Uuid>,
    /// The version that the aggregate must have for the command to be decided at all; any if none is given.
    pub expected_version: Option<Version>,
    /// What the client sent, where that is known: tells another command under the same id from a retry.
    pub request: Option<RequestHash>,
}

impl Context {
    /// A command that belongs to nothing larger.
    #[must_use]
    pub fn new(tenant: TenantId, actor: impl Into<String>, command_id: Uuid) -> Self {
        Self {
            tenant,
            actor: actor.into(),
            command_id,
            correlation_id: command_id,
            causation_id: None,
            expected_version: None,
            request: None,
        }
    }

    pub(crate) fn metadata(&self) -> Metadata {
        Metadata {
            actor: self.actor.clone(),
            command_id: self.command_id,
            correlation_id: self.correlation_id,
            causation_id: self.causation_id,
            traceparent: current_traceparent(),
        }
    }
}

/// The current span in the form of W3C Trace Context, if it is part of a trace.
#[must_use]
pub fn current_traceparent() -> Option<String> {
    let context = tracing::Span::current().context();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8()))
}
