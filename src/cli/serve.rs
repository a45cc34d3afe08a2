//! `apex serve`

mod jobs;

use super::session::{AndThenClose as _, Session, opened, stop_signal};
use crate::config::{Common, Kafka, Secret, Server};
use crate::credentials::Credentials;
use crate::database::Database;
use crate::mail::{JobQueue, MailHandler, Transport};
use crate::readiness::{Readiness, Standstill};
use crate::rooms::Rooms;
use crate::telemetry;
use crate::tokens::Tokens;
use anyhow::Context as _;
use commands::{Component, Principal};
use gateway::Gateway;
use identity::Identities;
use policies::JobHandler;
#[cfg(feature = "kafka")]
use projections::StateTopic;
use projections::spans::SpanStore;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
#[cfg(feature = "kafka")]
use streams::relay::{Relay, StateRelay};
use tokio::net::TcpListener;

/// Run everything in one process: the API, projections, policies, and the relay if Kafka is configured.
///
/// Listens on loopback by default. Stops on Ctrl-C or SIGTERM, after it has completed open requests. Fails if one of
/// its workers fails.
#[derive(Debug, clap::Args)]
pub(super) struct Serve {
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    kafka: Kafka,
}

/// The interval between updates of the gauges that are read from the database.
const GAUGE_INTERVAL: Duration = Duration::from_secs(5);

/// The maximum number of open files other than client connections: the database, Kafka, archives.
const OTHER_FILES: u64 = 500;

impl Serve {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        let database = opened(Database::open(session.common())).await?;
        let served = async {
            let mut rooms = Rooms::open(&database, session.principal()).await?;
            let address = start(&mut rooms, session.common(), &self.server, &self.kafka).await?;
            announce(address, &self.server);
            rooms.run_until(stop_signal()).await
        };
        let served = served.await;
        served.and_then_close(database.close().await)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// What a server listens on, and how.
pub(super) struct Opened {
    listeners: api::Listeners,
    address: SocketAddr,
    tls: Option<api::Tls>,
}

/// Checks the settings of a server, and listens.
pub(super) async fn open(server: &Server) -> anyhow::Result<Opened> {
    for address in server.otlp_listen.iter().chain([&server.listen]) {
        anyhow::ensure!(
            address.ip().is_loopback() || server.token.is_some(),
            "listening on {address}, which other machines can reach, requires a token: set APEX_TOKEN"
        );
    }
    anyhow::ensure!(
        server.token.is_some() || server.edge.proxies().networks.is_empty(),
        "behind a reverse proxy, requests of other machines come from this one: set APEX_TOKEN with APEX_TRUSTED_PROXIES"
    );
    anyhow::ensure!(
        !server.span_contents || server.span_retention_days > 0,
        "APEX_SPAN_CONTENTS keeps texts with spans, and APEX_SPAN_RETENTION_DAYS=0 keeps no spans: set a number of days"
    );
    check_tokens(server)?;
    let tls = server.edge.tls().context("TLS cannot be used")?;
    raise_file_limit(u64::from(server.max_connections) + u64::from(server.max_http_connections) + OTHER_FILES)?;
    let listen = async |address: SocketAddr| {
        TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
    };
    let mut listeners = api::Listeners::from(listen(server.listen).await?);
    for address in &server.otlp_listen {
        listeners.otlp.push(listen(*address).await?);
    }
    let address = listeners.all.local_addr()?;
    Ok(Opened { listeners, address, tls })
}

/// Starts everything in this process, and returns the address that the API listens on.
pub(super) async fn start(
    rooms: &mut Rooms,
    common: &Common,
    server: &Server,
    kafka: &Kafka,
) -> anyhow::Result<SocketAddr> {
    let gateway = server.gateway.open(&rooms.commands)?;
    let opened = open(server).await?;
    let metrics = telemetry::metrics()?;
    ingest::prices::load_or_init(&rooms.commands, &rooms.component(Component::Apex)).await?;
    let (identities, handlers) = identities(rooms, common, server).await?;
    rooms.start_server_workers(handlers, server.span_retention_days);
    jobs::start_runs_and_deliveries(rooms, &identities, server)?;
    rooms.start_maintenance();
    start_gauges(rooms);
    start_relay(rooms, kafka)?;
    follow_identities(rooms, &identities, server).await;
    start_api(rooms, server, opened, (gateway, api::Served::All), (identities, metrics))
}

/// Starts the worker that follows who may do what.
pub(super) async fn follow_identities(rooms: &mut Rooms, identities: &Identities, server: &Server) {
    prepare_keys(identities, server).await;
    let (following, stop) = (identities.clone(), rooms.stop_signal());
    rooms.spawn("identities", async move {
        following.run(stop).await;
        Ok(())
    });
}

/// Starts the API, or a part of it, and returns the address that it listens on.
pub(super) fn start_api(
    rooms: &mut Rooms,
    server: &Server,
    opened: Opened,
    (gateway, served): (Option<Gateway>, api::Served),
    (identities, metrics): (Identities, telemetry::Metrics),
) -> anyhow::Result<SocketAddr> {
    let Opened { listeners, address, tls } = opened;
    let config = api::ApiConfig { served, ..api_config(server, tls, rooms, address)? };
    let tokens = Tokens::of_settings(rooms.principal.tenant().clone(), server);
    let deps = api::Deps {
        commands: rooms.commands.clone(),
        authenticator: Arc::new(Credentials { tokens, identities: identities.clone() }),
        identities,
        pool: rooms.pool.clone(),
        reads: rooms.reads.clone(),
        span_store: span_store(rooms, server),
        gateway,
        metrics: Arc::new(move || metrics.render()),
        ready: Arc::new(Readiness::new(rooms.pool.clone(), rooms.log.clone(), &rooms.principal)?),
    };
    let stop = rooms.stop_signal();
    rooms.spawn("api", async move { Ok(api::serve(listeners, config, deps, stop).await?) });
    Ok(address)
}

/// What keeps the spans that exporters send; none if they are not kept.
fn span_store(rooms: &Rooms, server: &Server) -> Option<SpanStore> {
    if server.span_retention_days == 0 {
        return None;
    }
    let store = SpanStore::new(rooms.pool.clone());
    Some(if server.span_contents { store.with_contents() } else { store })
}

/// Who may do what, and the handlers of the jobs that send mail.
async fn identities(
    rooms: &Rooms,
    common: &Common,
    server: &Server,
) -> anyhow::Result<(Identities, Vec<Arc<dyn JobHandler>>)> {
    let identities = rooms.identities_with(common, server.sign_in(common.tenant.clone())).await?;
    let (Some(transport), Some(url)) = (Transport::of_settings(&server.mail)?, &server.mail.public_url) else {
        return Ok((identities, Vec::new()));
    };
    let queue = JobQueue::new(rooms.pool.clone(), rooms.jobs.clone());
    let identities = identities.with_mail(Arc::new(queue));
    let handler = MailHandler::new(identities.clone(), transport, url.clone());
    Ok((identities, vec![Arc::new(handler)]))
}

/// The settings of the API.
fn api_config(
    server: &Server,
    tls: Option<api::Tls>,
    rooms: &Rooms,
    address: SocketAddr,
) -> anyhow::Result<api::ApiConfig> {
    let limits = api::Limits {
        max_connections: usize::try_from(server.max_connections)?,
        max_http_connections: usize::try_from(server.max_http_connections)?,
        max_connections_per_address: server.edge.max_connections_per_address.map(usize::try_from).transpose()?,
        handshake_timeout: Duration::from_millis(server.edge.tls_handshake_timeout_ms),
        head_timeout: Duration::from_millis(server.head_timeout_ms),
        keepalive: Duration::from_millis(server.keepalive_ms),
        send_timeout: Duration::from_millis(server.send_timeout_ms),
        ..api::Limits::default()
    };
    let public_url = &server.mail.public_url;
    let sign_in = api::SignIn {
        tenant: Some(rooms.principal.tenant().clone()),
        open_registration: server.open_registration,
        secure_cookies: tls.is_some() || server.secure_cookies.unwrap_or(!server.listen.ip().is_loopback()),
        public_url: public_url.clone(),
        providers: server.oidc.providers(rooms.principal.tenant(), public_url.as_deref(), (address, tls.is_some()))?,
    };
    Ok(api::ApiConfig {
        served: api::Served::All,
        graphiql: server.graphiql,
        limits,
        tls,
        origins: server.edge.cors_origins.clone(),
        proxies: server.edge.proxies(),
        rate_limits: server.edge.rate_limits,
        sign_in,
    })
}

/// Creates the file of key-encryption keys at the first start of an installation, and warns about settings with which API
/// keys are of little use. They may be intended: no client need have a key.
async fn prepare_keys(identities: &Identities, server: &Server) {
    match identities.prepare_key_file().await {
        Ok(None) => {}
        Ok(Some(file)) => tracing::info!(
            file = %file.display(),
            "created the key-encryption key: back this file up, apart from the database; all processes need it"
        ),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(
                error,
                "API keys cannot be created, or cannot be checked: requests with one may get UNAVAILABLE"
            );
        }
    }
    if identities.directory().has_keys() && server.token.is_none() {
        tracing::warn!("there are API keys, and clients without any are admitted too: set APEX_TOKEN");
    }
}

fn check_tokens(server: &Server) -> anyhow::Result<()> {
    let text = |token: &Option<Secret>| token.as_ref().map(|token| token.reveal().trim().to_owned());
    let tokens = [
        ("APEX_TOKEN", text(&server.token)),
        ("APEX_OPERATOR_TOKEN", text(&server.operator_token)),
        ("APEX_METRICS_TOKEN", text(&server.metrics_token)),
    ];
    for (name, token) in &tokens {
        anyhow::ensure!(token.as_deref() != Some(""), "{name} is empty: set a token, or unset the variable");
        let is_like_a_key = token.as_deref().is_some_and(|token| token.starts_with(identity::PREFIX));
        let is_like_an_access_token = token.as_deref().is_some_and(identity::looks_like_access_token);
        anyhow::ensure!(
            !is_like_an_access_token,
            "{name} has the form of a JSON Web Token, as access tokens of sessions do: use another token"
        );
        anyhow::ensure!(!is_like_a_key, "{name} begins with {}, as API keys do: use another token", identity::PREFIX);
    }
    for (index, (name, token)) in tokens.iter().enumerate() {
        for (other_name, other) in tokens.iter().skip(index + 1) {
            anyhow::ensure!(
                token.is_none() || token != other,
                "{name} and {other_name} are the same, so that each grants the rights of both: use different tokens"
            );
        }
    }
    Ok(())
}

/// Raises the limit of open files of this process. Each connection is an open file.
fn raise_file_limit(needed: u64) -> anyhow::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    // Root can raise the hard limit too.
    let maximum = limit.maximum.map(|maximum| maximum.max(needed));
    setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum }).with_context(|| {
        let allowed = limit.maximum.map_or_else(|| "unlimited".to_owned(), |maximum| maximum.to_string());
        format!(
            "{needed} open files are required, and the limit is {allowed}: raise it (ulimit -n, LimitNOFILE=), or lower \
             APEX_MAX_CONNECTIONS or APEX_MAX_HTTP_CONNECTIONS"
        )
    })
}

pub(super) fn announce(address: SocketAddr, server: &Server) {
    for line in announcement(address, server.graphiql, server.edge.has_tls()) {
        say!("{line}");
    }
}

fn announcement(address: SocketAddr, graphiql: bool, has_tls: bool) -> Vec<String> {
    let (http, ws) = if has_tls { ("https", "wss") } else { ("http", "ws") };
    let mut lines = vec![
        format!("Apex listens on {http}://{address}"),
        format!("  web page       {http}://{address}/"),
        format!("  GraphQL        {http}://{address}/graphql"),
        format!("  subscriptions  {ws}://{address}/graphql/ws"),
    ];
    if graphiql {
        lines.push(format!("  GraphiQL       {http}://{address}/graphiql"));
    }
    lines.push(format!("  OpenTelemetry  {http}://{address} (OTLP over HTTP and gRPC)"));
    lines.extend([
        format!("  events         {http}://{address}/events"),
        format!("  metrics        {http}://{address}/metrics"),
        format!("  readiness      {http}://{address}/readyz"),
    ]);
    lines
}

/// Starts the relay, if Kafka brokers are configured.
#[cfg(feature = "kafka")]
pub(super) fn start_relay(rooms: &mut Rooms, kafka: &Kafka) -> anyhow::Result<()> {
    let Some(config) = kafka.relay()? else { return Ok(()) };
    if kafka.kafka_state_topics {
        for StateTopic { table, .. } in projections::state_topics() {
            let (pool, tail, config) = (rooms.pool.clone(), rooms.log.tail().clone(), config.clone());
            let (relay, stop) = (StateRelay { pool, tail, config, table }, rooms.stop_signal());
            rooms.spawn(table.checkpoint, async move { Ok(relay.run(stop).await?) });
        }
    }
    let relay = Relay { pool: rooms.pool.clone(), tail: rooms.log.tail().clone(), config };
    let stop = rooms.stop_signal();
    rooms.spawn("relay", async move { Ok(relay.run(stop).await?) });
    Ok(())
}

/// Fails if Kafka brokers are configured, because this build cannot publish to them.
#[cfg(not(feature = "kafka"))]
pub(super) fn start_relay(_: &mut Rooms, kafka: &Kafka) -> anyhow::Result<()> {
    anyhow::ensure!(
        kafka.kafka_brokers.is_none(),
        "this apex was built without Kafka, and Kafka brokers are configured: build it with `make build`, or unset \
         APEX_KAFKA_BROKERS"
    );
    Ok(())
}

fn start_gauges(rooms: &mut Rooms) {
    let (principal, pool, log) = (rooms.principal.clone(), rooms.pool.clone(), rooms.log.clone());
    let mut stop = Box::pin(rooms.stop_signal());
    let standstill = Standstill::default();
    rooms.spawn("gauges", async move {
        loop {
            if let Err(error) = read_gauges(&principal, &pool, &standstill).await {
                tracing::warn!(error = &*error as &dyn std::error::Error, "the gauges cannot be read");
            }
            if let Ok(room) = log.headroom().await {
                metrics::gauge!("apex_log_partition_headroom").set(room.positions as f64);
                metrics::gauge!("apex_log_partition_size").set(room.partition_size as f64);
            }
            tokio::select! {
                () = &mut stop => return Ok(()),
                () = tokio::time::sleep(GAUGE_INTERVAL) => {}
            }
        }
    });
}

/// Reads the lags here rather than in the workers, because a worker that hangs would not set them.
async fn read_gauges(principal: &Principal, pool: &projections::Pool, standstill: &Standstill) -> anyhow::Result<()> {
    let access = principal.authorise()?;
    set_gauges(projections::gauges(&access, pool).await?);
    for status in projections::statuses(&principal.authorise()?, pool).await? {
        let seconds = standstill.duration(&status).as_secs_f64();
        metrics::gauge!("apex_projection_standstill_seconds", "projection" => status.name.clone()).set(seconds);
        metrics::gauge!("apex_projection_lag_events", "projection" => status.name).set(status.lag_events as f64);
    }
    for jobs in policies::gauges(&access, pool, &policies::KINDS).await? {
        metrics::gauge!("apex_jobs_waiting", "kind" => jobs.kind.clone()).set(jobs.waiting as f64);
        metrics::gauge!("apex_jobs_dead_letters", "kind" => jobs.kind.clone()).set(jobs.dead_letters as f64);
        metrics::gauge!("apex_jobs_lag_seconds", "kind" => jobs.kind).set(jobs.lag_seconds);
    }
    Ok(())
}

fn set_gauges(values: projections::GaugeValues) {
    metrics::gauge!("apex_active_agents").set(values.active_agents as f64);
    metrics::gauge!("apex_queue_depth").set(values.queued_tasks as f64);
    let utilization = values.busy_agents as f64 / values.active_agents.max(1) as f64;
    metrics::gauge!("apex_worker_utilization").set(utilization.min(1.0));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_has_the_startup_message_of_the_server() {
        let readme = include_str!("../../README.md");
        let lines = announcement(SocketAddr::from(([127, 0, 0, 1], 8080)), true, false).join("\n");
        assert!(readme.contains(&lines), "README.md lacks:\n{lines}");
    }
}
