//! `apex alerts`

use super::arguments::body;
use super::backend::{self, AddressFields, Backend, DeliveryState, EndpointMove, ShownDelivery, ShownEndpoint, Work};
use super::output::{self, ListFormat, time};
use super::session::Session;
use crate::config::Secret;
use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};
use commands::OutcomeKind;
use domain::alert_endpoints::{AlertEndpointKind, AlertEndpointTerms};
use domain::permissions::Action;
use domain::{AlertEndpointId, Body, BudgetId, Name};
use identity::MAX_LISTED;
use serde_json::json;
use std::process::ExitCode;
use std::time::Duration;
use uuid::Uuid;

/// Send alerts of budgets to webhooks, chats, on-call services and e-mail addresses.
///
/// Servers deliver alerts, each under an id that stays the same in every attempt, and retry for days. docs/alerts.md says how a
/// receiver checks the signature of a webhook.
#[derive(Debug, clap::Args)]
pub(super) struct Alerts {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// An HTTP endpoint by the Standard Webhooks specification, with a signature
    Webhook,
    /// An incoming webhook of Slack
    Slack,
    /// A workflow of Microsoft Teams
    Teams,
    /// The Events API of PagerDuty
    PagerDuty,
    /// An e-mail address
    Email,
}

impl From<Kind> for AlertEndpointKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Webhook => Self::Webhook,
            Kind::Slack => Self::Slack,
            Kind::Teams => Self::Teams,
            Kind::PagerDuty => Self::PagerDuty,
            Kind::Email => Self::Email,
        }
    }
}

/// An address. A dash reads a secret part of it from standard input, which other users of the machine do not see.
#[derive(Debug, clap::Args)]
struct Address {
    /// The URL that alerts are posted to; `-` reads it from standard input
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<Secret>,
    /// The routing key of PagerDuty; `-` reads it from standard input
    #[arg(long, value_name = "KEY")]
    routing_key: Option<Secret>,
    /// The e-mail address
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Terms {
    /// The display name
    #[arg(long, value_parser = super::arguments::name)]
    name: Name,
    /// The UUID of a budget whose alerts are sent; may be given more than once [default: all budgets]
    #[arg(long = "budget", value_name = "BUDGET")]
    budgets: Vec<Uuid>,
    /// Why
    #[arg(long, value_parser = body)]
    reason: Option<Body>,
}

#[derive(Debug, clap::Args)]
struct Target {
    /// The UUID of the endpoint
    id: Uuid,
    /// Why
    #[arg(long, value_parser = body)]
    reason: Option<Body>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Define an endpoint; prints its id, and the secret of a webhook
    Define {
        #[command(flatten)]
        terms: Terms,
        /// The kind, which decides the form of what is sent
        #[arg(long, value_enum)]
        kind: Kind,
        #[command(flatten)]
        address: Address,
    },
    /// Replace the name, the budgets and, if one is given, the address of an endpoint
    Revise {
        /// The UUID of the endpoint
        id: Uuid,
        #[command(flatten)]
        terms: Terms,
        #[command(flatten)]
        address: Address,
    },
    /// List the endpoints
    List {
        /// The format of the list
        #[arg(long, value_enum, default_value_t = ListFormat::Table)]
        format: ListFormat,
    },
    /// Give a webhook another secret, and print it
    Rotate {
        #[command(flatten)]
        target: Target,
        /// For how long deliveries are signed with the secret before too, at most 7d
        #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = humantime::parse_duration)]
        overlap: Duration,
    },
    /// Send nothing to an endpoint until it is enabled
    Disable(Target),
    /// Enable an endpoint: it is told of alerts that are raised after it
    Enable(Target),
    /// Remove an endpoint for good
    Remove(Target),
    /// Let alerts to an endpoint wait until a time; without a time, end that
    Silence {
        #[command(flatten)]
        target: Target,
        /// Until when, such as 2026-11-04T06:00:00Z, at most 30 days from now
        #[arg(long, value_name = "TIME")]
        until: Option<DateTime<Utc>>,
    },
    /// Send an endpoint a message that says that it is a test
    Test {
        /// The UUID of the endpoint
        id: Uuid,
    },
    /// List deliveries, the last one first
    Deliveries {
        /// Only to the endpoint with this UUID
        #[arg(long, value_name = "ENDPOINT")]
        endpoint: Option<Uuid>,
        /// Only in this state
        #[arg(long, value_enum)]
        state: Option<DeliveryState>,
        /// The format of the list
        #[arg(long, value_enum, default_value_t = ListFormat::Table)]
        format: ListFormat,
    },
    /// Try deliveries to an endpoint again that are dead letters
    Redeliver {
        #[command(flatten)]
        target: Target,
        /// The UUID of a delivery [default: all dead letters of the endpoint]
        #[arg(long, value_name = "DELIVERY")]
        delivery: Option<Uuid>,
    },
}

impl Alerts {
    /// The action of the subcommand.
    pub(super) fn action(&self) -> Action {
        match self.command {
            Command::List { .. } | Command::Deliveries { .. } => Action::ReadData,
            Command::Define { .. }
            | Command::Revise { .. }
            | Command::Rotate { .. }
            | Command::Disable(_)
            | Command::Enable(_)
            | Command::Remove(_)
            | Command::Silence { .. }
            | Command::Test { .. }
            | Command::Redeliver { .. } => Action::SendCommand,
        }
    }

    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        backend::run(session, self.command).await
    }
}

/// A secret that is given, or read from standard input in place of `-`.
fn secret(given: Option<Secret>) -> anyhow::Result<Option<Secret>> {
    match given {
        Some(given) if given.reveal() == "-" => {
            let text = std::io::read_to_string(std::io::stdin().lock()).context("standard input cannot be read")?;
            Ok(Some(Secret::from(text.trim().to_owned())))
        }
        given => Ok(given),
    }
}

impl Address {
    fn read(self) -> anyhow::Result<AddressFields> {
        Ok(AddressFields { url: secret(self.endpoint_url)?, routing_key: secret(self.routing_key)?, email: self.email })
    }

    fn is_given(&self) -> bool {
        self.endpoint_url.is_some() || self.routing_key.is_some() || self.email.is_some()
    }
}

impl Terms {
    fn split(self) -> (AlertEndpointTerms, Option<Body>) {
        let budget_ids = self.budgets.into_iter().map(BudgetId).collect();
        (AlertEndpointTerms { name: self.name, budget_ids }, self.reason)
    }
}

impl Work for Command {
    async fn run(self, backend: &impl Backend) -> anyhow::Result<()> {
        match self {
            Self::Define { terms, kind, address } => define(backend, terms, kind, address).await,
            Self::Revise { id, terms, address } => {
                let address = if address.is_given() { Some(address.read()?) } else { None };
                let (terms, reason) = terms.split();
                let done = backend.revise_alert_endpoint(AlertEndpointId(id), terms, address, reason).await?;
                said(done, "The endpoint is revised.", "The endpoint is so already.");
                Ok(())
            }
            Self::List { format } => list(&backend.alert_endpoints().await?, format),
            Self::Rotate { target, overlap } => {
                let (id, overlap) = (AlertEndpointId(target.id), TimeDelta::from_std(overlap)?);
                let secret = backend.rotate_alert_secret(id, overlap, target.reason).await?;
                say!("The endpoint has a new secret:");
                print_secret(Some(&secret))
            }
            Self::Disable(target) => moved(backend, target, EndpointMove::Disable).await,
            Self::Enable(target) => moved(backend, target, EndpointMove::Enable).await,
            Self::Remove(target) => moved(backend, target, EndpointMove::Remove).await,
            Self::Silence { target, until } => {
                let id = AlertEndpointId(target.id);
                let done = backend.silence_alert_endpoint(id, until, target.reason).await?;
                match until {
                    Some(until) => {
                        let at = time(until);
                        said(done, &format!("Alerts wait until {at}."), &format!("Alerts wait until {at} already."));
                    }
                    None => said(done, "Alerts do not wait any more.", "Alerts do not wait."),
                }
                Ok(())
            }
            Self::Test { id } => {
                backend.test_alert_endpoint(AlertEndpointId(id)).await?;
                say!("A test is requested: see `apex alerts deliveries --endpoint {id}`.");
                Ok(())
            }
            Self::Deliveries { endpoint, state, format } => {
                let found = backend.alert_deliveries(endpoint.map(AlertEndpointId), state).await?;
                if found.is_cut {
                    say!("Only the last {MAX_LISTED} deliveries are listed.");
                }
                list_deliveries(&found.items, format)
            }
            Self::Redeliver { target, delivery } => {
                backend.redeliver_alerts(AlertEndpointId(target.id), delivery, target.reason).await?;
                say!("It is requested: see `apex alerts deliveries --endpoint {}`.", target.id);
                Ok(())
            }
        }
    }
}

async fn define(backend: &impl Backend, terms: Terms, kind: Kind, address: Address) -> anyhow::Result<()> {
    let target = address.read()?.target(kind.into())?;
    let (terms, reason) = terms.split();
    let (id, secret) = backend.define_alert_endpoint(terms, target, reason).await?;
    say!("The endpoint is defined. Its id{}:", if secret.is_some() { " and its secret" } else { "" });
    output::write(&format!("{id}\n"))?;
    print_secret(secret.as_ref())
}

async fn moved(backend: &impl Backend, target: Target, to: EndpointMove) -> anyhow::Result<()> {
    let done = backend.move_alert_endpoint(AlertEndpointId(target.id), to, target.reason).await?;
    let word = match to {
        EndpointMove::Disable => "disabled",
        EndpointMove::Enable => "enabled",
        EndpointMove::Remove => "removed",
    };
    said(done, &format!("The endpoint is {word}."), &format!("The endpoint is {word} already."));
    Ok(())
}

fn print_secret(secret: Option<&Secret>) -> anyhow::Result<()> {
    match secret {
        Some(secret) => Ok(output::write(&format!("{}\n", secret.reveal()))?),
        None => Ok(()),
    }
}

fn said(done: OutcomeKind, changed: &str, already: &str) {
    match done {
        OutcomeKind::Done | OutcomeKind::Duplicate => say!("{changed}"),
        OutcomeKind::AlreadyDone => say!("{already}"),
    }
}

fn list(endpoints: &[ShownEndpoint], format: ListFormat) -> anyhow::Result<()> {
    match format {
        ListFormat::Json => output::json(&json!({ "endpoints": endpoints })),
        ListFormat::Table => {
            let header = ["id", "name", "kind", "host", "budgets", "disabled_by", "silent_until", "changed_at"];
            let row = |endpoint: &ShownEndpoint| {
                vec![
                    endpoint.id.to_string(),
                    endpoint.name.clone(),
                    endpoint.kind.clone(),
                    endpoint.host.clone(),
                    if endpoint.budgets.is_empty() { "all".to_owned() } else { endpoint.budgets.len().to_string() },
                    endpoint.disabled_by.clone().unwrap_or_default(),
                    endpoint.silent_until.map(time).unwrap_or_default(),
                    time(endpoint.changed_at),
                ]
            };
            Ok(output::table(&header.map(str::to_owned), &endpoints.iter().map(row).collect::<Vec<_>>(), 4..5)?)
        }
    }
}

fn list_deliveries(deliveries: &[ShownDelivery], format: ListFormat) -> anyhow::Result<()> {
    match format {
        ListFormat::Json => output::json(&json!({ "deliveries": deliveries })),
        ListFormat::Table => {
            let header = ["id", "type", "threshold", "state", "attempts", "created_at", "next_attempt_at", "error"];
            let row = |delivery: &ShownDelivery| {
                vec![
                    delivery.id.to_string(),
                    delivery.alert_type.clone(),
                    delivery.threshold_percent.map(|percent| percent.to_string()).unwrap_or_default(),
                    delivery.state.clone(),
                    delivery.attempts.to_string(),
                    time(delivery.created_at),
                    delivery.next_attempt_at.map(time).unwrap_or_default(),
                    delivery.error.clone().unwrap_or_default(),
                ]
            };
            Ok(output::table(&header.map(str::to_owned), &deliveries.iter().map(row).collect::<Vec<_>>(), 4..5)?)
        }
    }
}
