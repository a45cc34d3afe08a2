//! Who gives a command, under which id, and for which tenant.

use domain::TenantId;
use opentelemetry::trace::TraceContextExt;
use streams::{Metadata, RequestHash, Version};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use uuid::Uuid;

/// Actor names that only this program itself uses.
const RESERVED_ACTORS: [&str; 3] = ["apex", "demo", "simulation"];
/// Prefixes of the names of its components, such as `policy:budget-alerts` and `import:otlp`. Those without a component
/// are reserved for later.
const RESERVED_ACTOR_PREFIXES: [&str; 4] = ["apex:", "import:", "policy:", "system:"];

/// Whether an actor name is reserved for this program. No caller may use it: otherwise the log would attribute the
/// caller's command to a component such as a policy.
#[must_use]
pub fn is_reserved_actor(name: &str) -> bool {
    let name = name.trim().to_ascii_lowercase();
    RESERVED_ACTORS.contains(&name.as_str()) || RESERVED_ACTOR_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The tenant, actor and ids that a command is executed with.
#[derive(Debug, Clone)]
pub struct Context {
    /// The tenant whose streams the command changes.
    pub tenant: TenantId,
    /// The person, agent or policy that gives the command.
    pub actor: String,
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

/// The current span as a W3C `traceparent`; none if it is not part of a trace.
fn current_traceparent() -> Option<String> {
    let context = tracing::Span::current().context();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8()))
}
