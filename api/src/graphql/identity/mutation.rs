//! Commands to service accounts and API keys. They are those that the command line gives.

use super::error::Executed;
use super::query;
use super::start::Start;
use super::types::{ApiKey, Role, ServiceAccount};
use crate::graphql::ids::Kind;
use crate::graphql::input::{self, Invalid};
use crate::graphql::scalars::{Timestamp, Uid};
use crate::graphql::services::services;
use async_graphql::{ComplexObject, Context, ID, InputObject, Object, OneofObject, Result, SimpleObject};
use chrono::{DateTime, TimeDelta, Utc};
use domain::api_key::KeyTerms;
use domain::permissions::{Permission, Scopes};
use domain::service_account::ServiceAccountCommand;
use domain::{AgentId, ApiKeyId, ServiceAccountId, TeamId};
use identity::{IdentityError, NewKey};
use std::collections::BTreeSet;
use uuid::Uuid;

/// How long a key that is replaced is accepted by default, in seconds: a day.
const DEFAULT_OVERLAP_SECONDS: i32 = 86_400;
/// The most scopes in one command.
const MAX_LISTED: usize = 100;

/// Input of `createServiceAccount`.
#[derive(Debug, InputObject)]
pub(crate) struct CreateServiceAccountInput {
    /// Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one.
    command_id: Option<Uid>,
    /// What the account is for, such as `nightly-import`: one line of at most 256 bytes. It is recorded for ever: not the name
    /// of a person.
    name: String,
    /// Roles of the account in the tenant. Default: none.
    roles: Option<Vec<Role>>,
}

/// Input of `disableServiceAccount`.
#[derive(Debug, InputObject)]
pub(crate) struct DisableServiceAccountInput {
    /// Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one.
    command_id: Option<Uid>,
    /// Global id or UUID of the service account.
    id: ID,
    /// Reason for disabling the account: text of at most 64 KiB, which is recorded.
    reason: Option<String>,
}

/// Input of `enableServiceAccount`.
#[derive(Debug, InputObject)]
pub(crate) struct EnableServiceAccountInput {
    /// Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one.
    command_id: Option<Uid>,
    /// Global id or UUID of the service account.
    id: ID,
}

/// Permissions of a new API key. Give exactly one of the two.
#[derive(Debug, OneofObject)]
pub(crate) enum ApiKeyScopesInput {
    /// All permissions of the account. The value must be true.
    All(bool),
    /// Only these permissions, at least one, such as `command:calls`.
    Only(Vec<String>),
}

/// How long a new API key is accepted. Give exactly one of the two.
#[derive(Debug, Clone, Copy, OneofObject)]
pub(crate) enum ApiKeyLifetimeInput {
    /// Until it is revoked. The value must be true.
    NeverExpires(bool),
    /// Until this time.
    ExpiresAt(Timestamp),
}

/// Input of `createApiKey`.
#[derive(Debug, InputObject)]
pub(crate) struct CreateApiKeyInput {
    /// Idempotency key of the command: a UUID. A retry creates no second key, and does not return the secret again. Default: a
    /// new one.
    command_id: Option<Uid>,
    /// Global id or UUID of the service account whose credential the key is.
    service_account_id: ID,
    /// Permissions that the key has of those of its account.
    scopes: ApiKeyScopesInput,
    /// How long the key is accepted.
    lifetime: ApiKeyLifetimeInput,
    /// Binds the key to an agent: it reaches nothing that belongs to other agents. Global id or UUID. Default: not bound.
    agent_id: Option<ID>,
    /// Binds the key to the agents of a team: it reaches nothing that belongs to other agents. Global id or UUID. It cannot be given
    /// with `agentId`. Default: not bound.
    team_id: Option<ID>,
}

/// Input of `rotateApiKey`.
#[derive(Debug, InputObject)]
pub(crate) struct RotateApiKeyInput {
    /// Idempotency key of the command: a UUID. A retry creates no second key, and does not return the secret again. Default: a
    /// new one.
    command_id: Option<Uid>,
    /// Global id or UUID of the key that is replaced.
    id: ID,
    /// How long the new key is accepted. It is not taken over from the key that is replaced.
    lifetime: ApiKeyLifetimeInput,
    /// How long the key that is replaced is still accepted, in seconds. Default: 86400, which is a day.
    overlap_seconds: Option<i32>,
}

/// Input of `revokeApiKey`.
#[derive(Debug, InputObject)]
pub(crate) struct RevokeApiKeyInput {
    /// Idempotency key of the command: a UUID. Send the same one again to retry safely. Default: a new one.
    command_id: Option<Uid>,
    /// Global id or UUID of the key.
    id: ID,
    /// Reason for revoking the key: text of at most 64 KiB, which is recorded.
    reason: Option<String>,
}

/// Payload of the mutations of a service account.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct ServiceAccountPayload {
    /// Idempotency key of the command. Send it again to retry safely.
    command_id: Uid,
    #[graphql(flatten)]
    executed: Executed,
    #[graphql(skip)]
    account: Option<Uuid>,
}

#[ComplexObject]
impl ServiceAccountPayload {
    /// The account as it is now. Null if the command was rejected.
    async fn service_account(&self, ctx: &Context<'_>) -> Result<Option<ServiceAccount>> {
        match self.account {
            Some(id) => query::account(ctx, id).await,
            None => Ok(None),
        }
    }
}

/// Payload of the mutations of an API key.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct ApiKeyPayload {
    /// Idempotency key of the command. Send it again to retry safely.
    command_id: Uid,
    #[graphql(flatten)]
    executed: Executed,
    /// Text of the new key, which clients send as `Authorization: Bearer …`. It is returned only here and only once: it is not
    /// stored. Null if no key was created.
    secret: Option<String>,
    #[graphql(skip)]
    key: Option<Uuid>,
}

#[ComplexObject]
impl ApiKeyPayload {
    /// The new key, or the key that was revoked, as it is now. Null if the command was rejected.
    #[graphql(complexity = "10 + child_complexity")]
    async fn api_key(&self, ctx: &Context<'_>) -> Result<Option<ApiKey>> {
        match self.key {
            Some(id) => query::key(ctx, id).await,
            None => Ok(None),
        }
    }
}

/// The payloads of keys.
impl Start {
    fn key_payload(&self, executed: Executed, key: Option<Uuid>, secret: Option<String>) -> ApiKeyPayload {
        ApiKeyPayload { command_id: self.command_id.into(), executed, secret, key }
    }

    /// The payload with a new key, whose text is in no other place.
    fn new_key(&self, created: Result<NewKey, IdentityError>) -> Result<ApiKeyPayload> {
        Ok(match created {
            Ok(new) => {
                let executed = Executed::done(commands::OutcomeKind::Done, new.position);
                self.key_payload(executed, Some(new.id.0), Some(new.text.reveal().to_owned()))
            }
            Err(error) => self.key_payload(Executed::failed(error)?, None, None),
        })
    }
}

fn scopes(given: ApiKeyScopesInput) -> Result<Scopes, Invalid> {
    let invalid = |message: String| Invalid::new("scopes", message);
    match given {
        ApiKeyScopesInput::All(true) => Ok(Scopes::All),
        ApiKeyScopesInput::All(false) => Err(invalid("`all` must be true; name the permissions in `only`".to_owned())),
        ApiKeyScopesInput::Only(names) if names.len() > MAX_LISTED => {
            Err(invalid(format!("{} permissions, at most {MAX_LISTED} are allowed", names.len())))
        }
        ApiKeyScopesInput::Only(names) => {
            let parse = |name: String| name.parse::<Permission>().map_err(|error| invalid(error.to_string()));
            // That there is at least one is checked by the command.
            Ok(Scopes::Only(names.into_iter().map(parse).collect::<Result<_, _>>()?))
        }
    }
}

fn expires_at(given: ApiKeyLifetimeInput) -> Result<Option<DateTime<Utc>>, Invalid> {
    match given {
        ApiKeyLifetimeInput::NeverExpires(true) => Ok(None),
        ApiKeyLifetimeInput::NeverExpires(false) => {
            Err(Invalid::new("lifetime", "`neverExpires` must be true; give the time in `expiresAt`"))
        }
        ApiKeyLifetimeInput::ExpiresAt(at) => Ok(Some(at.0)),
    }
}

fn overlap(seconds: Option<i32>) -> Result<TimeDelta, Invalid> {
    match seconds.unwrap_or(DEFAULT_OVERLAP_SECONDS) {
        seconds @ 0.. => Ok(TimeDelta::seconds(seconds.into())),
        negative => Err(Invalid::new("overlapSeconds", format!("{negative} is negative"))),
    }
}

/// The payload of a command to an account, with the account if the command was executed.
fn account_payload(start: &Start, executed: Executed, account: Option<Uuid>) -> ServiceAccountPayload {
    let account = account.filter(|_| executed.error.is_none());
    ServiceAccountPayload { command_id: start.command_id.into(), executed, account }
}

/// Commands to service accounts and API keys.
#[derive(Default)]
pub(crate) struct AccountMutation;

#[Object]
impl AccountMutation {
    /// Creates a service account with roles.
    async fn create_service_account(
        &self,
        ctx: &Context<'_>,
        input: CreateServiceAccountInput,
    ) -> Result<ServiceAccountPayload> {
        let start = Start::new(ctx, input.command_id)?;
        let context = start.context(ctx, None)?;
        let roles: BTreeSet<_> = input.roles.unwrap_or_default().into_iter().map(Into::into).collect();
        let roles: Vec<_> = roles.into_iter().collect();
        let (executed, account) = match input::name("name", input.name) {
            Err(invalid) => (Executed::rejected(invalid), None),
            Ok(name) => match services(ctx)?.identities.create_account(&context, name, &roles, start.at).await {
                Ok(created) => (Executed::done(created.kind, created.position), Some(created.id.0)),
                Err(error) => (Executed::failed(error)?, None),
            },
        };
        Ok(account_payload(&start, executed, account))
    }

    /// Disables a service account: its keys are refused until it is enabled. Refused as `LAST_ADMIN` if no other account or user
    /// could decide who may do what then.
    async fn disable_service_account(
        &self,
        ctx: &Context<'_>,
        input: DisableServiceAccountInput,
    ) -> Result<ServiceAccountPayload> {
        let start = Start::new(ctx, input.command_id)?;
        let id = Kind::ServiceAccount.parse(&input.id)?;
        let context = start.context(ctx, Some(id))?;
        let reason = match input::body_opt("reason", input.reason) {
            Ok(reason) => reason,
            Err(invalid) => return Ok(account_payload(&start, Executed::rejected(invalid), None)),
        };
        let disable = ServiceAccountCommand::Disable { reason, at: start.at };
        let disabled = services(ctx)?.identities.command_account(&context, ServiceAccountId(id), disable).await;
        Ok(account_payload(&start, Executed::of(disabled)?, Some(id)))
    }

    /// Enables a service account that was disabled: its keys are accepted again.
    async fn enable_service_account(
        &self,
        ctx: &Context<'_>,
        input: EnableServiceAccountInput,
    ) -> Result<ServiceAccountPayload> {
        let start = Start::new(ctx, input.command_id)?;
        let id = Kind::ServiceAccount.parse(&input.id)?;
        let context = start.context(ctx, Some(id))?;
        let enable = ServiceAccountCommand::Enable { at: start.at };
        let enabled = services(ctx)?.identities.command_account(&context, ServiceAccountId(id), enable).await;
        Ok(account_payload(&start, Executed::of(enabled)?, Some(id)))
    }

    /// Creates an API key of a service account, and returns its text, once.
    async fn create_api_key(&self, ctx: &Context<'_>, input: CreateApiKeyInput) -> Result<ApiKeyPayload> {
        let start = Start::new(ctx, input.command_id)?;
        let context = start.context(ctx, None)?;
        let service_account_id = ServiceAccountId(Kind::ServiceAccount.parse(&input.service_account_id)?);
        let agent_id = Kind::Agent.parse_opt(input.agent_id.as_ref())?.map(AgentId);
        let team_id = Kind::Team.parse_opt(input.team_id.as_ref())?.map(TeamId);
        let terms = || {
            let (scopes, expires_at) = (scopes(input.scopes)?, expires_at(input.lifetime)?);
            Ok::<_, Invalid>(KeyTerms { service_account_id, scopes, agent_id, team_id, expires_at })
        };
        match terms() {
            Ok(terms) => start.new_key(services(ctx)?.identities.create_key(&context, terms, start.at).await),
            Err(invalid) => Ok(start.key_payload(Executed::rejected(invalid), None, None)),
        }
    }

    /// Creates an API key with the account, the scopes, and the agent or the team of another one, which it replaces, and returns its text,
    /// once. Both are accepted until the overlap ends.
    async fn rotate_api_key(&self, ctx: &Context<'_>, input: RotateApiKeyInput) -> Result<ApiKeyPayload> {
        let start = Start::new(ctx, input.command_id)?;
        let old = Kind::ApiKey.parse(&input.id)?;
        let context = start.context(ctx, Some(old))?;
        let times = || Ok::<_, Invalid>((overlap(input.overlap_seconds)?, expires_at(input.lifetime)?));
        match times() {
            Ok((overlap, expires_at)) => {
                let identities = &services(ctx)?.identities;
                start.new_key(identities.rotate_key(&context, ApiKeyId(old), overlap, expires_at, start.at).await)
            }
            Err(invalid) => Ok(start.key_payload(Executed::rejected(invalid), None, None)),
        }
    }

    /// Revokes an API key: it is refused from now on.
    async fn revoke_api_key(&self, ctx: &Context<'_>, input: RevokeApiKeyInput) -> Result<ApiKeyPayload> {
        let start = Start::new(ctx, input.command_id)?;
        let id = Kind::ApiKey.parse(&input.id)?;
        let context = start.context(ctx, Some(id))?;
        let reason = match input::body_opt("reason", input.reason) {
            Ok(reason) => reason,
            Err(invalid) => return Ok(start.key_payload(Executed::rejected(invalid), None, None)),
        };
        match services(ctx)?.identities.revoke_key(&context, ApiKeyId(id), reason, start.at).await {
            Ok((kind, position)) => Ok(start.key_payload(Executed::done(kind, position), Some(id), None)),
            Err(error) => Ok(start.key_payload(Executed::failed(error)?, None, None)),
        }
    }
}
