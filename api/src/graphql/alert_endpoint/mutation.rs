//! Commands to endpoints.

use super::input::{
    AlertEndpointInput, AlertQuietHoursInput, DefineAlertEndpointInput, RedeliverAlertsInput, ReviseAlertEndpointInput,
    RotateAlertEndpointSecretInput, SetAlertEndpointQuietHoursInput, SilenceAlertEndpointInput, TestAlertEndpointInput,
    terms,
};
use super::types::{AlertEndpoint, AlertEndpointCommandError, endpoints};
use crate::graphql::command_options::CommandOptions;
use crate::graphql::input::{self, Invalid};
use crate::graphql::payload::{self, CommandResult, Outcome};
use crate::graphql::scalars::{Position, Uid};
use crate::graphql::services::{requester, services, state};
use crate::graphql::{connection, errors};
use async_graphql::{ComplexObject, Context, Object, Result, SimpleObject};
use chrono::{DateTime, TimeDelta, Utc};
use domain::alert_endpoints::{
    AlertDestination, AlertEndpointDefined, AlertEndpointDisabled, AlertEndpointMoved, AlertEndpointRevised,
    AlertEndpointSilenced, AlertEndpoints, AlertEndpointsCommand, AlertEndpointsError, AlertQuietHoursSet,
    AlertRedeliveryRequested, AlertTestRequested, DisabledCause, SigningKey,
};
use domain::permissions::SendCommand;
use domain::{Aggregate as _, AlertEndpointId, derived_id};
use identity::AlertTarget;
use std::sync::Arc;

/// For how long both secrets are used by default, in seconds: a day.
const OVERLAP_SECONDS: u32 = 86_400;
/// By how much the clock of a client may be ahead where a time of limited length begins, in minutes.
const MAX_AHEAD_MINUTES: i64 = 5;

/// Payload of the mutations of an endpoint.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct AlertEndpointPayload {
    /// Idempotency key of the command. Send it again to retry safely.
    command_id: Uid,
    /// Outcome of the command.
    outcome: Outcome,
    /// Position of the command's last event. Null if the command was rejected.
    position: Option<Position>,
    /// Reason for which the command was rejected. Null unless `outcome` is `REJECTED`.
    error: Option<AlertEndpointCommandError>,
    /// New secret of a webhook, for the libraries of the Standard Webhooks specification. A retry returns it again, until the
    /// secret is rotated. Null of commands that make no secret.
    secret: Option<String>,
    #[graphql(skip)]
    endpoint: AlertEndpointId,
}

#[ComplexObject]
impl AlertEndpointPayload {
    /// The endpoint as it is now. Null if there is none, or it was removed.
    #[graphql(complexity = "connection::STATEMENT_COST + child_complexity")]
    async fn alert_endpoint(&self, ctx: &Context<'_>) -> Result<Option<AlertEndpoint>> {
        Ok(endpoints(ctx).await?.get(self.endpoint).map(|endpoint| AlertEndpoint::new(self.endpoint, endpoint)))
    }
}

/// Why a command is rejected before it is decided about.
enum Unfit {
    Input(Invalid),
    Domain(AlertEndpointsError),
}

impl From<Invalid> for Unfit {
    fn from(invalid: Invalid) -> Self {
        Self::Input(invalid)
    }
}

impl From<Unfit> for AlertEndpointCommandError {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Input(invalid) => invalid.into(),
            Unfit::Domain(error) => error.into(),
        }
    }
}

/// Stores an address, and returns what the event says of it.
async fn stored(
    ctx: &Context<'_>,
    context: &commands::Context,
    target: &AlertTarget,
) -> Result<Result<AlertDestination, Unfit>> {
    let host = match target.host() {
        Ok(host) => host,
        Err(error) => return Ok(Err(Invalid::new("address", error).into())),
    };
    let id = services(ctx)?.identities.store_alert_target(context, target).await;
    let destination_id = id.map_err(|error| errors::identities(&error))?;
    Ok(Ok(AlertDestination { kind: target.kind(), destination_id, host }))
}

/// Checks that the principal may give commands to endpoints.
fn may_command(ctx: &Context<'_>) -> Result<()> {
    let allowed = requester(ctx)?.principal.authorise_on::<SendCommand>(AlertEndpoints::CATEGORY, AlertEndpoints::id());
    allowed.map(drop).map_err(|forbidden| errors::forbidden(&forbidden))
}

async fn new_key(ctx: &Context<'_>, context: &commands::Context) -> Result<SigningKey> {
    let key = services(ctx)?.identities.new_signing_key(context).await;
    key.map_err(|error| errors::identities(&error))
}

/// The endpoints of the tenant, to decide about a command that the principal may give.
async fn known(ctx: &Context<'_>) -> Result<Arc<AlertEndpoints>> {
    may_command(ctx)?;
    state(ctx, AlertEndpoints::id()).await
}

/// Executes a command. If it made a secret, the secret is returned as long as it is that of the endpoint.
async fn execute(
    ctx: &Context<'_>,
    options: CommandOptions,
    endpoint: AlertEndpointId,
    command: Result<AlertEndpointsCommand, Unfit>,
) -> Result<AlertEndpointPayload> {
    let made = match &command {
        Ok(AlertEndpointsCommand::Define(defined)) => defined.signing,
        Ok(AlertEndpointsCommand::RotateSecret { signing, .. }) => Some(*signing),
        Ok(_) | Err(_) => None,
    };
    let result = payload::execute::<AlertEndpoints, AlertEndpointCommandError>(ctx, options, command).await?;
    let CommandResult { command_id, outcome, position, error, .. } = result;
    let mut secret = None;
    if let (Some(made), None) = (made, &error) {
        let tenant = requester(ctx)?.principal.tenant();
        let current = known(ctx).await?.get(endpoint).and_then(|endpoint| endpoint.signing);
        if let Some(current) = current.filter(|current| current.secret_id == made.secret_id) {
            let text = services(ctx)?.identities.webhook_secret(tenant, endpoint, current).await;
            secret = Some(text.map_err(|error| errors::identities(&error))?.reveal().to_owned());
        }
    }
    Ok(AlertEndpointPayload { command_id: command_id.into(), outcome, position, error, secret, endpoint })
}

async fn defined(
    ctx: &Context<'_>,
    options: CommandOptions,
    endpoint_id: AlertEndpointId,
    input: DefineAlertEndpointInput,
) -> Result<Result<AlertEndpointsCommand, Unfit>> {
    let parsed = input.address.parse(input.kind).and_then(|target| {
        Ok((target, terms(input.name, input.budget_ids)?, input::body_opt("reason", input.reason)?))
    });
    let (target, terms, reason) = match parsed {
        Ok(parsed) => parsed,
        Err(invalid) => return Ok(Err(invalid.into())),
    };
    let context = options.context(ctx)?;
    let destination = match stored(ctx, &context, &target).await? {
        Ok(destination) => destination,
        Err(unfit) => return Ok(Err(unfit)),
    };
    let signing = if target.kind().is_signed() { Some(new_key(ctx, &context).await?) } else { None };
    let at = options.at;
    let defined = AlertEndpointDefined { endpoint_id, terms, destination, signing, reason, at };
    Ok(Ok(AlertEndpointsCommand::Define(defined)))
}

async fn revised(
    ctx: &Context<'_>,
    options: CommandOptions,
    input: ReviseAlertEndpointInput,
) -> Result<Result<AlertEndpointsCommand, Unfit>> {
    let endpoint_id = AlertEndpointId(input.endpoint_id.0);
    let context = options.context(ctx)?;
    let known = known(ctx).await?;
    let Some(known) = known.get(endpoint_id) else {
        return Ok(Err(Unfit::Domain(AlertEndpointsError::NotDefined(endpoint_id))));
    };
    let target = input.address.map(|address| address.parse(known.destination.kind.into())).transpose();
    let parsed = target.and_then(|target| {
        Ok((target, terms(input.name, input.budget_ids)?, input::body_opt("reason", input.reason)?))
    });
    let (target, terms, reason) = match parsed {
        Ok(parsed) => parsed,
        Err(invalid) => return Ok(Err(invalid.into())),
    };
    let destination = match target {
        None => known.destination.clone(),
        Some(target) => match stored(ctx, &context, &target).await? {
            Ok(destination) => destination,
            Err(unfit) => return Ok(Err(unfit)),
        },
    };
    let revised = AlertEndpointRevised { endpoint_id, terms, destination, reason, at: options.at };
    Ok(Ok(AlertEndpointsCommand::Revise(revised)))
}

/// Checks the time at which a silence, or the overlap of two secrets, begins: one in the future would make it longer than it may be.
fn check_begin(at: DateTime<Utc>) -> Result<(), Invalid> {
    if at > Utc::now() + TimeDelta::minutes(MAX_AHEAD_MINUTES) {
        return Err(Invalid::new("at", "is in the future: leave it out"));
    }
    Ok(())
}

fn moved(options: CommandOptions, input: AlertEndpointInput) -> Result<AlertEndpointMoved, Unfit> {
    let (endpoint_id, reason) = (AlertEndpointId(input.endpoint_id.0), input::body_opt("reason", input.reason)?);
    Ok(AlertEndpointMoved { endpoint_id, reason, at: options.at })
}

/// Commands to endpoints.
#[derive(Default)]
pub(crate) struct AlertEndpointMutation;

#[Object]
impl AlertEndpointMutation {
    /// Defines an endpoint. It is told of alerts that are raised after it, and a webhook gets a secret.
    async fn define_alert_endpoint(
        &self,
        ctx: &Context<'_>,
        input: DefineAlertEndpointInput,
    ) -> Result<AlertEndpointPayload> {
        let options = input.options(ctx)?;
        let command = options.command_id.map(|id| id.0.to_string()).unwrap_or_default();
        let derived = || AlertEndpointId(derived_id(&["alert_endpoint", &command]));
        let id = input.endpoint_id.map_or_else(derived, |id| AlertEndpointId(id.0));
        let command = defined(ctx, options, id, input).await?;
        execute(ctx, options, id, command).await
    }

    /// Replaces the name, the budgets and, if one is given, the address of an endpoint. Its kind and secret stay.
    async fn revise_alert_endpoint(
        &self,
        ctx: &Context<'_>,
        input: ReviseAlertEndpointInput,
    ) -> Result<AlertEndpointPayload> {
        let (options, id) = (input.options(ctx)?, AlertEndpointId(input.endpoint_id.0));
        let command = revised(ctx, options, input).await?;
        execute(ctx, options, id, command).await
    }

    /// Gives a webhook another secret. Deliveries are signed with both for a time.
    async fn rotate_alert_endpoint_secret(
        &self,
        ctx: &Context<'_>,
        input: RotateAlertEndpointSecretInput,
    ) -> Result<AlertEndpointPayload> {
        let (options, endpoint_id) = (input.options(ctx)?, AlertEndpointId(input.endpoint_id.0));
        let context = options.context(ctx)?;
        let overlap = input.overlap_seconds.map_or(Ok(OVERLAP_SECONDS), u32::try_from);
        let overlap = overlap.map_err(|_| Invalid::new("overlapSeconds", "is below 0"));
        let parsed = check_begin(options.at)
            .and(overlap)
            .and_then(|overlap| Ok((overlap, input::body_opt("reason", input.reason)?)));
        let command = match parsed {
            Ok((overlap_seconds, reason)) => {
                let signing = new_key(ctx, &context).await?;
                Ok(AlertEndpointsCommand::RotateSecret {
                    endpoint_id,
                    signing,
                    overlap_seconds,
                    reason,
                    at: options.at,
                })
            }
            Err(invalid) => Err(invalid.into()),
        };
        execute(ctx, options, endpoint_id, command).await
    }

    /// Disables an endpoint: nothing is sent to it until it is enabled. What waits becomes a dead letter.
    async fn disable_alert_endpoint(
        &self,
        ctx: &Context<'_>,
        input: AlertEndpointInput,
    ) -> Result<AlertEndpointPayload> {
        let (options, id) = (input.options(ctx)?, AlertEndpointId(input.endpoint_id.0));
        let command = moved(options, input).map(|AlertEndpointMoved { endpoint_id, reason, at }| {
            let cause = DisabledCause::Command;
            AlertEndpointsCommand::Disable(AlertEndpointDisabled { endpoint_id, cause, reason, at })
        });
        execute(ctx, options, id, command).await
    }

    /// Enables an endpoint. It is told of alerts that are raised after it.
    async fn enable_alert_endpoint(
        &self,
        ctx: &Context<'_>,
        input: AlertEndpointInput,
    ) -> Result<AlertEndpointPayload> {
        let (options, id) = (input.options(ctx)?, AlertEndpointId(input.endpoint_id.0));
        execute(ctx, options, id, moved(options, input).map(AlertEndpointsCommand::Enable)).await
    }

    /// Removes an endpoint for good. Its address is deleted within a few hours.
    async fn remove_alert_endpoint(
        &self,
        ctx: &Context<'_>,
        input: AlertEndpointInput,
    ) -> Result<AlertEndpointPayload> {
        let (options, id) = (input.options(ctx)?, AlertEndpointId(input.endpoint_id.0));
        execute(ctx, options, id, moved(options, input).map(AlertEndpointsCommand::Remove)).await
    }

    /// Lets alerts to an endpoint wait until a time. They are delivered then; nothing is left out. Tests do not wait.
    async fn silence_alert_endpoint(
        &self,
        ctx: &Context<'_>,
        input: SilenceAlertEndpointInput,
    ) -> Result<AlertEndpointPayload> {
        let (options, endpoint_id) = (input.options(ctx)?, AlertEndpointId(input.endpoint_id.0));
        let reason = check_begin(options.at).and_then(|()| input::body_opt("reason", input.reason));
        let command = reason.map_err(Unfit::from).map(|reason| {
            let until = input.until.map(|until| until.0);
            AlertEndpointsCommand::Silence(AlertEndpointSilenced { endpoint_id, until, reason, at: options.at })
        });
        execute(ctx, options, endpoint_id, command).await
    }

    /// Lets alerts that are raised in some hours of each week wait until those end. They are delivered then; nothing is left out. What
    /// failed before is tried again nevertheless, and tests do not wait.
    async fn set_alert_endpoint_quiet_hours(
        &self,
        ctx: &Context<'_>,
        input: SetAlertEndpointQuietHoursInput,
    ) -> Result<AlertEndpointPayload> {
        let (options, endpoint_id) = (input.options(ctx)?, AlertEndpointId(input.endpoint_id.0));
        let parsed = || {
            let quiet_hours = input.quiet_hours.map(AlertQuietHoursInput::parse).transpose()?;
            let reason = input::body_opt("reason", input.reason)?;
            Ok::<_, Invalid>(AlertQuietHoursSet { endpoint_id, quiet_hours, reason, at: options.at })
        };
        let command = parsed().map(AlertEndpointsCommand::SetQuietHours).map_err(Unfit::from);
        execute(ctx, options, endpoint_id, command).await
    }

    /// Sends an endpoint a message that says that it is a test. See `deliveries` of the endpoint for the outcome.
    async fn test_alert_endpoint(
        &self,
        ctx: &Context<'_>,
        input: TestAlertEndpointInput,
    ) -> Result<AlertEndpointPayload> {
        let (options, endpoint_id) = (input.options(ctx)?, AlertEndpointId(input.endpoint_id.0));
        let test = AlertEndpointsCommand::SendTest(AlertTestRequested { endpoint_id, at: options.at });
        execute(ctx, options, endpoint_id, Ok(test)).await
    }

    /// Tries deliveries to an endpoint again that are dead letters, with the ids that they had.
    async fn redeliver_alerts(&self, ctx: &Context<'_>, input: RedeliverAlertsInput) -> Result<AlertEndpointPayload> {
        let (options, endpoint_id) = (input.options(ctx)?, AlertEndpointId(input.endpoint_id.0));
        let command = input::body_opt("reason", input.reason).map_err(Unfit::from).map(|reason| {
            let delivery_id = input.delivery_id.map(|id| id.0);
            let request = AlertRedeliveryRequested { endpoint_id, delivery_id, reason, at: options.at };
            AlertEndpointsCommand::Redeliver(request)
        });
        execute(ctx, options, endpoint_id, command).await
    }
}
