//! Endpoints for alerts, and deliveries, on the database.

use super::super::alerts::{AddressFields, DeliveryState, EndpointMove, ShownDelivery, ShownEndpoint};
use super::super::operations::{AlertOperations, Listed};
use super::{OnDatabase, listed, now};
use crate::config::Secret;
use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};
use commands::{Context, OutcomeKind};
use domain::alert_endpoints::{
    AlertDestination, AlertEndpoint, AlertEndpointDefined, AlertEndpointDisabled, AlertEndpointMoved,
    AlertEndpointRevised, AlertEndpointSilenced, AlertEndpointTerms, AlertEndpoints, AlertEndpointsCommand,
    AlertRedeliveryRequested, AlertTestRequested, DisabledCause, SigningKey,
};
use domain::{AlertEndpointId, Body};
use identity::{AlertTarget, MAX_LISTED};
use projections::alert_deliveries::{self, AlertDeliveryFilter, AlertDeliveryRow};
use std::sync::Arc;
use uuid::Uuid;

fn shown(id: AlertEndpointId, of: &AlertEndpoint) -> ShownEndpoint {
    let previous = of.previous_signing.filter(|(_, until)| *until > Utc::now());
    ShownEndpoint {
        id,
        name: of.terms.name.to_string(),
        kind: of.destination.kind.as_str().to_owned(),
        host: of.destination.host.to_string(),
        budgets: of.terms.budget_ids.iter().map(|id| id.0).collect(),
        previous_secret_until: previous.map(|(_, until)| until),
        silent_until: of.silent_until.filter(|until| *until > Utc::now()),
        disabled_by: of.disabled.as_ref().map(|disabled| disabled.cause.as_str().to_owned()),
        disabled_reason: of.disabled.as_ref().and_then(|disabled| disabled.reason.as_ref()).map(ToString::to_string),
        defined_at: of.defined_at,
        changed_at: of.changed_at,
    }
}

fn shown_delivery(row: AlertDeliveryRow) -> anyhow::Result<ShownDelivery> {
    let state = DeliveryState::of_stored(&row.state);
    let state = state.with_context(|| format!("the delivery {} has the state {:?}", row.delivery_id, row.state))?;
    Ok(ShownDelivery {
        id: row.delivery_id,
        endpoint_id: AlertEndpointId(row.endpoint_id),
        alert_type: row.alert_type,
        budget_id: row.budget_id,
        threshold_percent: row.threshold_percent,
        state: state.as_str().to_owned(),
        attempts: row.attempts,
        error: row.last_error,
        created_at: row.created_at,
        next_attempt_at: (state == DeliveryState::Waiting).then_some(row.available_at),
        finished_at: row.finished_at,
    })
}

impl OnDatabase<'_> {
    async fn endpoints(&self) -> anyhow::Result<Arc<AlertEndpoints>> {
        let (commands, principal) = (&self.rooms.commands, &self.rooms.principal);
        Ok(commands.load::<AlertEndpoints>(principal, AlertEndpoints::id()).await?.state.clone())
    }

    async fn command_alerts(&self, context: &Context, command: AlertEndpointsCommand) -> anyhow::Result<OutcomeKind> {
        let executed = self.rooms.commands.execute::<AlertEndpoints>(context, AlertEndpoints::id(), command).await;
        Ok(executed?.kind)
    }

    async fn destination(&self, context: &Context, target: &AlertTarget) -> anyhow::Result<AlertDestination> {
        let (host, kind) = (target.host()?, target.kind());
        Ok(AlertDestination { kind, destination_id: self.identities.store_alert_target(context, target).await?, host })
    }

    async fn secret(&self, id: AlertEndpointId, key: SigningKey) -> anyhow::Result<Secret> {
        let secret = self.identities.webhook_secret(self.rooms.principal.tenant(), id, key).await?;
        Ok(Secret::from(secret.reveal().to_owned()))
    }
}

impl AlertOperations for OnDatabase<'_> {
    async fn alert_endpoints(&self) -> anyhow::Result<Vec<ShownEndpoint>> {
        Ok(self.endpoints().await?.iter().map(|(id, endpoint)| shown(id, endpoint)).collect())
    }

    async fn define_alert_endpoint(
        &self,
        terms: AlertEndpointTerms,
        target: AlertTarget,
        reason: Option<Body>,
    ) -> anyhow::Result<(AlertEndpointId, Option<Secret>)> {
        let (context, endpoint_id) = (self.context(), AlertEndpointId(Uuid::now_v7()));
        let destination = self.destination(&context, &target).await?;
        let signing = match target.kind().is_signed() {
            true => Some(self.identities.new_signing_key(&context).await?),
            false => None,
        };
        let defined = AlertEndpointDefined { endpoint_id, terms, destination, signing, reason, at: now() };
        self.command_alerts(&context, AlertEndpointsCommand::Define(defined)).await?;
        let secret = match signing {
            Some(key) => Some(self.secret(endpoint_id, key).await?),
            None => None,
        };
        Ok((endpoint_id, secret))
    }

    async fn revise_alert_endpoint(
        &self,
        id: AlertEndpointId,
        terms: AlertEndpointTerms,
        address: Option<AddressFields>,
        reason: Option<Body>,
    ) -> anyhow::Result<OutcomeKind> {
        let (context, endpoints) = (self.context(), self.endpoints().await?);
        let known = endpoints.get(id).with_context(|| format!("there is no endpoint {id}, or it was removed"))?;
        let destination = match address {
            None => known.destination.clone(),
            Some(given) => self.destination(&context, &given.target(known.destination.kind)?).await?,
        };
        let revised = AlertEndpointRevised { endpoint_id: id, terms, destination, reason, at: now() };
        self.command_alerts(&context, AlertEndpointsCommand::Revise(revised)).await
    }

    async fn rotate_alert_secret(
        &self,
        id: AlertEndpointId,
        overlap: TimeDelta,
        reason: Option<Body>,
    ) -> anyhow::Result<Secret> {
        let context = self.context();
        let signing = self.identities.new_signing_key(&context).await?;
        let overlap_seconds = u32::try_from(overlap.num_seconds()).context("the overlap is too long")?;
        let (endpoint_id, at) = (id, now());
        let rotate = AlertEndpointsCommand::RotateSecret { endpoint_id, signing, overlap_seconds, reason, at };
        self.command_alerts(&context, rotate).await?;
        self.secret(id, signing).await
    }

    async fn move_alert_endpoint(
        &self,
        id: AlertEndpointId,
        to: EndpointMove,
        reason: Option<Body>,
    ) -> anyhow::Result<OutcomeKind> {
        let (endpoint_id, at) = (id, now());
        let command = match to {
            EndpointMove::Disable => {
                let cause = DisabledCause::Command;
                AlertEndpointsCommand::Disable(AlertEndpointDisabled { endpoint_id, cause, reason, at })
            }
            EndpointMove::Enable => AlertEndpointsCommand::Enable(AlertEndpointMoved { endpoint_id, reason, at }),
            EndpointMove::Remove => AlertEndpointsCommand::Remove(AlertEndpointMoved { endpoint_id, reason, at }),
        };
        self.command_alerts(&self.context(), command).await
    }

    async fn silence_alert_endpoint(
        &self,
        id: AlertEndpointId,
        until: Option<DateTime<Utc>>,
        reason: Option<Body>,
    ) -> anyhow::Result<OutcomeKind> {
        let silenced = AlertEndpointSilenced { endpoint_id: id, until, reason, at: now() };
        self.command_alerts(&self.context(), AlertEndpointsCommand::Silence(silenced)).await
    }

    async fn test_alert_endpoint(&self, id: AlertEndpointId) -> anyhow::Result<()> {
        let test = AlertEndpointsCommand::SendTest(AlertTestRequested { endpoint_id: id, at: now() });
        self.command_alerts(&self.context(), test).await.map(drop)
    }

    async fn alert_deliveries(
        &self,
        endpoint: Option<AlertEndpointId>,
        state: Option<DeliveryState>,
    ) -> anyhow::Result<Listed<ShownDelivery>> {
        let filter = AlertDeliveryFilter {
            endpoint_id: endpoint.map(|id| id.0),
            state: state.map(DeliveryState::stored),
            before: None,
        };
        let (access, limit) = (self.rooms.principal.authorise()?, i64::try_from(MAX_LISTED)?);
        let rows = alert_deliveries::list(&self.rooms.reads, &access, &filter, limit).await?;
        Ok(listed(rows.into_iter().map(shown_delivery).collect::<anyhow::Result<_>>()?))
    }

    async fn redeliver_alerts(
        &self,
        id: AlertEndpointId,
        delivery: Option<Uuid>,
        reason: Option<Body>,
    ) -> anyhow::Result<()> {
        let request = AlertRedeliveryRequested { endpoint_id: id, delivery_id: delivery, reason, at: now() };
        self.command_alerts(&self.context(), AlertEndpointsCommand::Redeliver(request)).await.map(drop)
    }
}
