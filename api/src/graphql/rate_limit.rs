//! Rate limits: what is left of those of the caller, and the command that sets those of a tenant.

use super::command_error::command_error;
use super::command_options::{CommandOptions, MaySend};
use super::errors;
use super::ids::Kind;
use super::input::Invalid;
use super::payload::{self, CommandResult, Outcome};
use super::scalars::{Long, Position, Timestamp, Uid, or_now};
use super::services::{authorise, requester, services};
use crate::rate_limits::{LimitUsage, Scope};
use async_graphql::{Context, Enum, ID, InputObject, Object, OneofObject, Result, SimpleObject};
use domain::permissions::{ReadAny, SendCommand};
use domain::rate_limits::{
    LimitAmount, LimitScope, LimitValues, LimitedResource, RateLimits, RateLimitsCommand, RateLimitsError,
};
use domain::{Aggregate as _, ApiKeyId, TenantId, UserId};
use std::sync::Arc;

command_error! {
    /// Reason for which `setRateLimits` was rejected.
    RateLimitCommandError,
    /// Reasons for which `setRateLimits` is rejected.
    RateLimitErrorCode {
        /// As many keys and users of the tenant have limits of their own as may have.
        TooManySubjects,
        /// The tenant is not one whose limits can be set.
        WrongTenant,
    }
}

impl From<RateLimitsError> for RateLimitCommandError {
    fn from(error: RateLimitsError) -> Self {
        let code = match error {
            RateLimitsError::TooManySubjects => RateLimitErrorCode::TooManySubjects,
            RateLimitsError::OtherTenant(_) | RateLimitsError::Reserved(_) => RateLimitErrorCode::WrongTenant,
        };
        Self::new(code, error)
    }
}

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum RateLimitResource {
    /// Requests, and operations over a WebSocket, each minute.
    Requests,
    /// Bytes of requests with mutations, each minute.
    IngestBytes,
    /// Complexity of the documents that are executed, each minute.
    Complexity,
    /// Subscriptions and event streams that are open at the same time.
    Subscriptions,
}

impl From<LimitedResource> for RateLimitResource {
    fn from(resource: LimitedResource) -> Self {
        match resource {
            LimitedResource::Requests => Self::Requests,
            LimitedResource::IngestBytes => Self::IngestBytes,
            LimitedResource::Complexity => Self::Complexity,
            LimitedResource::Subscriptions => Self::Subscriptions,
        }
    }
}

/// Whose requests are limited together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum RateLimitScope {
    /// Those of the address that the request comes from.
    Address,
    /// Those of the tenant, of all its credentials together.
    Tenant,
    /// Those of the API key or user of the request. All shared tokens of a server are one.
    Key,
}

impl From<Scope> for RateLimitScope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Address => Self::Address,
            Scope::Tenant => Self::Tenant,
            Scope::Subject => Self::Key,
        }
    }
}

/// A limit that applies to the request, and what is left of it.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct RateLimit {
    /// Whose requests are limited together.
    scope: RateLimitScope,
    /// What is limited.
    resource: RateLimitResource,
    /// The most that is allowed in the window, or at the same time.
    limit: Long,
    /// What is left of it now, in the process that answers. A process counts for itself.
    remaining: Long,
    /// Time in which a limit that is used up is available again as a whole, in seconds; it is refilled evenly. Null for what
    /// may be open at the same time.
    window_seconds: Option<Long>,
}

impl From<LimitUsage> for RateLimit {
    fn from(usage: LimitUsage) -> Self {
        Self {
            scope: usage.scope.into(),
            resource: usage.resource.into(),
            limit: Long::from_unsigned(usage.limit.get().into()),
            remaining: Long::from_unsigned(usage.remaining.into()),
            window_seconds: usage.window.map(|window| Long::from_unsigned(window.as_secs())),
        }
    }
}

/// Whose requests the limits apply to. Give exactly one of them.
#[derive(Debug, OneofObject)]
pub(crate) enum RateLimitScopeInput {
    /// All requests of the tenant together. The value must be true.
    Tenant(bool),
    /// The requests of each API key and user of the tenant without limits of its own. The value must be true.
    EachKey(bool),
    /// The requests of one API key of the tenant: its global id or UUID.
    ApiKeyId(ID),
    /// The requests of one user: the user's UUID.
    UserId(Uid),
}

impl RateLimitScopeInput {
    fn parse(&self) -> Result<Result<LimitScope, Invalid>> {
        let stated =
            |stated: bool, scope| if stated { Ok(scope) } else { Err(Invalid::new("scope", "it must be true")) };
        Ok(match self {
            Self::Tenant(is_stated) => stated(*is_stated, LimitScope::Tenant),
            Self::EachKey(is_stated) => stated(*is_stated, LimitScope::EachSubject),
            Self::ApiKeyId(id) => Ok(LimitScope::ApiKey { api_key_id: ApiKeyId(Kind::ApiKey.parse(id)?) }),
            Self::UserId(id) => Ok(LimitScope::User { user_id: UserId(id.0) }),
        })
    }
}

/// Limits, each from 1 to 1000000000. One that is absent or null has the default of each server.
#[derive(Debug, InputObject)]
pub(crate) struct RateLimitValuesInput {
    /// Requests, and operations over a WebSocket, each minute.
    requests_per_minute: Option<Long>,
    /// Bytes of requests with mutations, each minute.
    ingest_bytes_per_minute: Option<Long>,
    /// Complexity of the documents that are executed, each minute.
    complexity_per_minute: Option<Long>,
    /// Subscriptions and event streams that are open at the same time.
    subscriptions: Option<Long>,
}

impl RateLimitValuesInput {
    fn parse(&self) -> Result<LimitValues, Invalid> {
        Ok(LimitValues {
            requests_per_minute: amount("requestsPerMinute", self.requests_per_minute)?,
            ingest_bytes_per_minute: amount("ingestBytesPerMinute", self.ingest_bytes_per_minute)?,
            complexity_per_minute: amount("complexityPerMinute", self.complexity_per_minute)?,
            subscriptions: amount("subscriptions", self.subscriptions)?,
        })
    }
}

fn amount(field: &'static str, given: Option<Long>) -> Result<Option<LimitAmount>, Invalid> {
    // What is larger than the type is larger than the limit, too.
    let parse = |number: Long| LimitAmount::try_from(u32::try_from(number.unsigned()).unwrap_or(u32::MAX));
    given.map(parse).transpose().map_err(|error| Invalid::new(field, error))
}

/// Input of `setRateLimits`.
#[derive(Debug, InputObject)]
pub(crate) struct SetRateLimitsInput {
    /// Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one.
    command_id: Option<Uid>,
    /// Id of the tenant whose limits are set. Default: the tenant of the request.
    tenant_id: Option<String>,
    /// Whose requests the limits apply to.
    scope: RateLimitScopeInput,
    /// All limits of the scope. Those that were set before are replaced.
    limits: RateLimitValuesInput,
    /// Version that the limits of the tenant must have, which is the number of their events. The command is rejected with
    /// `WRONG_VERSION` if they have another one. Default: any version.
    expected_version: Option<Long>,
    /// Time at which this happened. Default: the current time of the server.
    at: Option<Timestamp>,
}

/// Payload of `setRateLimits`.
#[derive(SimpleObject)]
pub(crate) struct RateLimitPayload {
    /// Idempotency key of the command. Send it again to retry safely.
    command_id: Uid,
    /// Outcome of the command. It is `ALREADY_DONE` if the scope has these limits.
    outcome: Outcome,
    /// Position of the command's last event. Null if the command was rejected.
    position: Option<Position>,
    /// Reason for which the command was rejected. Null unless `outcome` is `REJECTED`.
    error: Option<RateLimitCommandError>,
}

impl From<CommandResult<RateLimitCommandError>> for RateLimitPayload {
    fn from(result: CommandResult<RateLimitCommandError>) -> Self {
        let CommandResult { command_id, outcome, position, error, .. } = result;
        Self { command_id: command_id.into(), outcome, position, error }
    }
}

/// Commands to rate limits.
#[derive(Default)]
pub(crate) struct RateLimitMutation;

#[Object]
impl RateLimitMutation {
    /// Sets the rate limits of a tenant, of each of its keys and users, or of one of them. Only the operator of the
    /// installation may. They hold in every process within a second, and each process counts for itself.
    async fn set_rate_limits(&self, ctx: &Context<'_>, input: SetRateLimitsInput) -> Result<RateLimitPayload> {
        let principal = &requester(ctx)?.principal;
        let installation = Arc::new(principal.in_installation());
        let authorised = installation.authorise_on::<SendCommand>(RateLimits::CATEGORY, principal.tenant().stream_id());
        authorised.map_err(|forbidden| errors::forbidden(&forbidden))?;
        let may_send = MaySend::check(ctx)?;
        let tenant = match &input.tenant_id {
            None => Ok(principal.tenant().clone()),
            Some(id) => id.parse::<TenantId>().map_err(|error| Invalid::new("tenantId", error)),
        };
        let target = tenant.as_ref().unwrap_or(principal.tenant()).stream_id();
        let at = or_now(input.at);
        let (command_id, expected_version) = (input.command_id, input.expected_version);
        let options = CommandOptions { may_send, target, command_id, expected_version, at };
        let context = commands::Context { principal: installation, ..options.context(ctx)? };
        let scope = input.scope.parse()?;
        let command = || {
            let (tenant_id, scope, limits) = (tenant?, scope?, input.limits.parse()?);
            Ok::<_, Invalid>(RateLimitsCommand::Set { tenant_id, scope, limits, at })
        };
        let command = match command() {
            Ok(command) => command,
            Err(invalid) => return Ok(CommandResult::rejected(&context, target, invalid).into()),
        };
        let services = services(ctx)?;
        let executed = services.commands.execute::<RateLimits>(&context, target, command).await;
        if let Ok(done) = &executed {
            // They hold here at once; if that cannot be, then as in other processes.
            drop(services.identities.directory().refresh_to(done.position).await);
        }
        let result = executed.map(|done| (done.kind, done.position));
        payload::command_result::<_, RateLimitCommandError>(&context, target, result).map(Into::into)
    }
}

/// The query for rate limits.
#[derive(Default)]
pub(crate) struct RateLimitQuery;

#[Object]
impl RateLimitQuery {
    /// Lists the rate limits and quotas of the caller: those of its tenant and of its API key or user, with what is left of
    /// them after this request. Nothing is listed that is not limited.
    async fn rate_limits(&self, ctx: &Context<'_>) -> Result<Vec<RateLimit>> {
        authorise::<ReadAny>(ctx)?;
        let usage = services(ctx)?.rate_limiter.usage(&requester(ctx)?.principal);
        Ok(usage.into_iter().map(Into::into).collect())
    }
}
