//! Endpoints for alerts, and deliveries, at a server.

use super::super::alerts::{AddressFields, DeliveryState, EndpointMove, ShownDelivery, ShownEndpoint};
use super::super::operations::{AlertOperations, Listed};
use super::{OnServer, documents};
use crate::config::Secret;
use chrono::{DateTime, TimeDelta, Utc};
use commands::OutcomeKind;
use domain::alert_endpoints::AlertEndpointTerms;
use domain::{AlertEndpointId, Body};
use identity::AlertTarget;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

#[derive(Deserialize)]
struct FoundDisabled {
    cause: String,
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FoundEndpoint {
    uuid: Uuid,
    name: String,
    kind: String,
    host: String,
    budget_ids: Vec<Uuid>,
    previous_secret_until: Option<DateTime<Utc>>,
    silent_until: Option<DateTime<Utc>>,
    disabled: Option<FoundDisabled>,
    defined_at: DateTime<Utc>,
    changed_at: DateTime<Utc>,
}

impl From<FoundEndpoint> for ShownEndpoint {
    fn from(found: FoundEndpoint) -> Self {
        let (disabled_by, disabled_reason) =
            found.disabled.map_or((None, None), |disabled| (Some(disabled.cause.to_lowercase()), disabled.reason));
        Self {
            id: AlertEndpointId(found.uuid),
            name: found.name,
            kind: found.kind.to_lowercase(),
            host: found.host,
            budgets: found.budget_ids,
            previous_secret_until: found.previous_secret_until,
            silent_until: found.silent_until,
            disabled_by,
            disabled_reason,
            defined_at: found.defined_at,
            changed_at: found.changed_at,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FoundDelivery {
    uuid: Uuid,
    endpoint_uuid: Uuid,
    #[serde(rename = "type")]
    alert_type: String,
    budget_uuid: Option<Uuid>,
    threshold_percent: Option<i32>,
    state: DeliveryState,
    attempts: i32,
    error: Option<String>,
    created_at: DateTime<Utc>,
    next_attempt_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
}

impl From<FoundDelivery> for ShownDelivery {
    fn from(found: FoundDelivery) -> Self {
        Self {
            id: found.uuid,
            endpoint_id: AlertEndpointId(found.endpoint_uuid),
            alert_type: found.alert_type,
            budget_id: found.budget_uuid,
            threshold_percent: found.threshold_percent,
            state: found.state.as_str().to_owned(),
            attempts: found.attempts,
            error: found.error,
            created_at: found.created_at,
            next_attempt_at: found.next_attempt_at,
            finished_at: found.finished_at,
        }
    }
}

/// The address as GraphQL takes it.
fn address(url: Option<&str>, routing_key: Option<&str>, email: Option<&str>) -> Value {
    json!({ "url": url, "routingKey": routing_key, "email": email })
}

impl AlertOperations for OnServer {
    async fn alert_endpoints(&self) -> anyhow::Result<Vec<ShownEndpoint>> {
        let found: Vec<FoundEndpoint> =
            self.client.get(documents::ALERT_ENDPOINTS, json!({}), "/alertEndpoints").await?;
        Ok(found.into_iter().map(Into::into).collect())
    }

    async fn define_alert_endpoint(
        &self,
        terms: AlertEndpointTerms,
        target: AlertTarget,
        reason: Option<Body>,
    ) -> anyhow::Result<(AlertEndpointId, Option<Secret>)> {
        let id = Uuid::now_v7();
        let input = json!({
            "endpointId": id,
            "name": terms.name,
            "kind": target.kind().as_str().to_uppercase(),
            "address": address(target.url(), target.routing_key(), target.address()),
            "budgetIds": terms.budget_ids,
            "reason": reason,
        });
        let path = ("/defineAlertEndpoint", "/secret");
        let secret: Option<String> = self.created(documents::DEFINE_ALERT_ENDPOINT, input, path).await?;
        Ok((AlertEndpointId(id), secret.map(Secret::from)))
    }

    async fn revise_alert_endpoint(
        &self,
        id: AlertEndpointId,
        terms: AlertEndpointTerms,
        given: Option<AddressFields>,
        reason: Option<Body>,
    ) -> anyhow::Result<OutcomeKind> {
        let given = given.map(|AddressFields { url, routing_key, email }| {
            address(url.as_ref().map(Secret::reveal), routing_key.as_ref().map(Secret::reveal), email.as_deref())
        });
        let input = json!({
            "endpointId": id,
            "name": terms.name,
            "address": given,
            "budgetIds": terms.budget_ids,
            "reason": reason,
        });
        self.done(documents::REVISE_ALERT_ENDPOINT, input, "/reviseAlertEndpoint").await
    }

    async fn rotate_alert_secret(
        &self,
        id: AlertEndpointId,
        overlap: TimeDelta,
        reason: Option<Body>,
    ) -> anyhow::Result<Secret> {
        let input = json!({ "endpointId": id, "overlapSeconds": overlap.num_seconds(), "reason": reason });
        let path = ("/rotateAlertEndpointSecret", "/secret");
        let secret: String = self.created(documents::ROTATE_ALERT_ENDPOINT_SECRET, input, path).await?;
        Ok(secret.into())
    }

    async fn move_alert_endpoint(
        &self,
        id: AlertEndpointId,
        to: EndpointMove,
        reason: Option<Body>,
    ) -> anyhow::Result<OutcomeKind> {
        let (document, path) = match to {
            EndpointMove::Disable => (documents::DISABLE_ALERT_ENDPOINT, "/disableAlertEndpoint"),
            EndpointMove::Enable => (documents::ENABLE_ALERT_ENDPOINT, "/enableAlertEndpoint"),
            EndpointMove::Remove => (documents::REMOVE_ALERT_ENDPOINT, "/removeAlertEndpoint"),
        };
        self.done(document, json!({ "endpointId": id, "reason": reason }), path).await
    }

    async fn silence_alert_endpoint(
        &self,
        id: AlertEndpointId,
        until: Option<DateTime<Utc>>,
        reason: Option<Body>,
    ) -> anyhow::Result<OutcomeKind> {
        let input = json!({ "endpointId": id, "until": until, "reason": reason });
        self.done(documents::SILENCE_ALERT_ENDPOINT, input, "/silenceAlertEndpoint").await
    }

    async fn test_alert_endpoint(&self, id: AlertEndpointId) -> anyhow::Result<()> {
        let input = json!({ "endpointId": id });
        self.done(documents::TEST_ALERT_ENDPOINT, input, "/testAlertEndpoint").await.map(drop)
    }

    async fn alert_deliveries(
        &self,
        endpoint: Option<AlertEndpointId>,
        state: Option<DeliveryState>,
    ) -> anyhow::Result<Listed<ShownDelivery>> {
        let variables = json!({ "endpoint": endpoint, "state": state.map(DeliveryState::graphql) });
        self.list::<FoundDelivery, _>(documents::ALERT_DELIVERIES, variables, "/alertDeliveries").await
    }

    async fn redeliver_alerts(
        &self,
        id: AlertEndpointId,
        delivery: Option<Uuid>,
        reason: Option<Body>,
    ) -> anyhow::Result<()> {
        let input = json!({ "endpointId": id, "deliveryId": delivery, "reason": reason });
        self.done(documents::REDELIVER_ALERTS, input, "/redeliverAlerts").await.map(drop)
    }
}
