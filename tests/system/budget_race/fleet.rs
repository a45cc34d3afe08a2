//! Server processes on one database, any of which may be killed at any time, and requests whose replies may be lost.

use reqwest::Client;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use testkit::cluster::{Cluster, ClusterConfig};
use testkit::{POLL_INTERVAL, Server, TIMEOUT, TestDatabase, apex_binary};
use tokio::sync::{Mutex, Notify};

pub(super) const SERVERS: usize = 3;
/// After this time a reply counts as lost, and the command is sent to another server.
const REPLY_TIMEOUT: Duration = Duration::from_secs(20);
/// Connections for all servers, and checkpoints as in production: the runs with many operations last long.
const SETTINGS: &[&str] = &["max_connections=300", "max_wal_size=1GB", "checkpoint_timeout=5min"];

/// What happens to the reply to the first attempt of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// It arrives.
    None,
    /// It is lost: the server has executed the command, and the client does not know.
    Reply,
    /// The client hangs up when another client gets a reply, so that the server may be in the middle of the command.
    HangUp,
}

/// A command as it is sent, and sent again.
pub(super) struct Request<'a> {
    pub(super) query: &'static str,
    pub(super) variables: &'a Value,
    /// The server that gets it first.
    pub(super) server: usize,
    pub(super) loss: Loss,
}

/// How often the faults were injected.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) kills: AtomicU64,
    pub(super) database_restarts: AtomicU64,
    pub(super) lost_replies: AtomicU64,
    /// Attempts without an answer, because a server was killed or could not reach the database.
    pub(super) failed_attempts: AtomicU64,
}

impl Counts {
    pub(super) fn increment(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

pub(super) struct Fleet {
    /// Declared before the cluster, so that it is dropped first.
    servers: Mutex<Vec<Option<Server>>>,
    addresses: RwLock<Vec<String>>,
    pub(super) database: TestDatabase,
    cluster: Cluster,
    binary: OsString,
    client: Client,
    /// Notified at each reply.
    replies: Notify,
    pub(super) counts: Counts,
}

impl Fleet {
    /// Starts the database, with a planted bug if one is given, and the servers.
    pub(super) async fn start(bug: Option<&'static str>) -> Self {
        let cluster = Cluster::start(ClusterConfig { settings: SETTINGS, bug, ..ClusterConfig::default() }).await;
        let database = TestDatabase::at(cluster.url()).await;
        let given = std::env::var_os("APEX_TEST_RACE_BINARY").filter(|path| !path.is_empty());
        let binary = given.unwrap_or_else(|| apex_binary().into_os_string());
        let client = Client::builder().timeout(REPLY_TIMEOUT).build().unwrap();
        let fleet = Self {
            servers: Mutex::new((0..SERVERS).map(|_| None).collect()),
            addresses: RwLock::new(vec![String::new(); SERVERS]),
            database,
            cluster,
            binary,
            client,
            replies: Notify::new(),
            counts: Counts::default(),
        };
        fleet.start_missing(true).await;
        fleet
    }

    /// Starts the servers that have exited by themselves, and, if asked for, those that were killed.
    pub(super) async fn start_missing(&self, with_killed: bool) {
        let mut servers = self.servers.lock().await;
        for (index, place) in servers.iter_mut().enumerate() {
            let is_missing = match place {
                Some(server) => server.child.try_wait().unwrap().is_some(),
                None => with_killed,
            };
            if !is_missing {
                continue;
            }
            let server = self.database.serve_with(&self.binary, &[]).await;
            self.addresses.write().unwrap()[index].clone_from(&server.address);
            *place = Some(server);
        }
    }

    /// Kills a server. Clients get no answer from it until it is started again.
    pub(super) async fn kill(&self, index: usize) {
        let server = self.servers.lock().await[index % SERVERS].take();
        if let Some(server) = server {
            server.kill().await;
            Counts::increment(&self.counts.kills);
        }
    }

    /// Stops the database without a checkpoint, with all of its connections, and starts it again.
    pub(super) async fn restart_database(&self) {
        self.cluster.stop_immediately().await;
        self.cluster.start_server().await;
        Counts::increment(&self.counts.database_restarts);
    }

    /// The URL of GraphQL at a server.
    fn url(&self, index: usize) -> String {
        format!("{}/graphql", self.addresses.read().unwrap()[index % SERVERS])
    }

    /// Sends a command until a server answers it: to the next one if there is no reply, under the same command id.
    ///
    /// # Panics
    /// If no server answers within [`TIMEOUT`].
    pub(super) async fn send(&self, request: &Request<'_>) -> Value {
        let body = json!({ "query": request.query, "variables": request.variables });
        let deadline = Instant::now() + TIMEOUT;
        let mut loss = request.loss;
        for server in request.server.. {
            let sent = self.client.post(self.url(server)).json(&body).send();
            let response = match std::mem::replace(&mut loss, Loss::None) {
                Loss::None => sent.await,
                Loss::Reply => {
                    if sent.await.is_ok() {
                        Counts::increment(&self.counts.lost_replies);
                    }
                    continue;
                }
                Loss::HangUp => {
                    tokio::select! {
                        response = sent => response,
                        () = self.replies.notified() => {
                            Counts::increment(&self.counts.lost_replies);
                            continue;
                        }
                    }
                }
            };
            match data(response).await {
                Ok(data) => {
                    self.replies.notify_waiters();
                    return data;
                }
                Err(error) => assert!(Instant::now() < deadline, "no server answers: {error}"),
            }
            Counts::increment(&self.counts.failed_attempts);
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        unreachable!("the attempts have no end")
    }

    /// Stops the servers in order, as an operator would.
    pub(super) async fn terminate(&self) {
        for place in self.servers.lock().await.iter_mut() {
            if let Some(server) = place.take() {
                server.terminate().await;
            }
        }
    }
}

/// The data of a response without errors; else what it is instead.
async fn data(response: reqwest::Result<reqwest::Response>) -> Result<Value, String> {
    let response = response.map_err(|error| error.to_string())?;
    let mut response: Value = response.json().await.map_err(|error| error.to_string())?;
    if response.get("errors").is_some() { Err(response.to_string()) } else { Ok(response["data"].take()) }
}
