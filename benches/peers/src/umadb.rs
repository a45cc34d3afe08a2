//! UmaDB: its server in a separate process, like PostgreSQL, and its client over gRPC.

use crate::store::{Load, Outcome, Setting, Storage, Store, drive, follow_pages, payload};
use anyhow::{Context, Result, anyhow};
use futures::StreamExt;
use futures::future::BoxFuture;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{Mutex, oneshot};
use umadb_client::AsyncUmaDbClient;
use umadb_core::mvcc::StorageOptions;
use umadb_dcb::{DcbAppendCondition, DcbEvent, DcbEventStoreAsync, DcbQuery, DcbQueryItem};
use umadb_server::{ServerOptions, start_server_with_options};
use uuid::Uuid;

/// The subcommand of this program that runs the server.
pub(crate) const SERVE: &str = "umadb-serve";
/// The number of attempts to connect to a new server, 50 ms apart.
const START_ATTEMPTS: u32 = 100;

/// Runs the server until standard input ends.
pub(crate) async fn serve(folder: &str, address: &str, pipelined: bool) -> Result<()> {
    let (stop, stopped) = oneshot::channel();
    std::thread::spawn(move || {
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).ok();
        stop.send(()).ok();
    });
    let storage = StorageOptions::default().db_path(Path::new(folder)).pipelined_writer(pipelined);
    let options = ServerOptions { listen_addr: address.to_owned(), tls: None, api_key: None, storage };
    start_server_with_options(options, stopped).await.map_err(|error| anyhow!("{error}"))
}

/// UmaDB, with its running server, if any: loads and readers share it.
#[derive(Default)]
pub(crate) struct UmaDb {
    running: Mutex<Weak<Server>>,
}

struct Server {
    process: Child,
    url: String,
}

/// Kills the server without a shutdown: acknowledged events must survive that.
impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Server {
    async fn start(storage: &Storage, pipelined: bool) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let process = Command::new(std::env::current_exe()?)
            .args([SERVE, storage.folder.to_str().context("the path of the folder is not UTF-8")?, &address])
            .arg(pipelined.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let server = Self { process, url: format!("http://{address}") };
        for _ in 0..START_ATTEMPTS {
            if tokio::net::TcpStream::connect(&address).await.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        server.client().await.context("UmaDB cannot be reached")?;
        Ok(server)
    }

    async fn client(&self) -> Result<AsyncUmaDbClient> {
        Ok(AsyncUmaDbClient::connect(self.url.clone(), None, None, None).await?)
    }
}

impl UmaDb {
    async fn server(&self, storage: &Storage, pipelined: bool) -> Result<Arc<Server>> {
        let mut running = self.running.lock().await;
        if let Some(server) = running.upgrade() {
            return Ok(server);
        }
        let server = Arc::new(Server::start(storage, pipelined).await?);
        *running = Arc::downgrade(&server);
        Ok(server)
    }
}

async fn append(client: &AsyncUmaDbClient, n: u64) -> Result<u64> {
    let tag = format!("call:{}", Uuid::now_v7());
    let event = DcbEvent::new()
        .event_type("call.recorded")
        .tags([tag.clone()])
        .data(payload(n))
        .uuid(Uuid::now_v7())
        .metadata_entry("actor", "bench")
        .metadata_entry("command_id", Uuid::now_v7().to_string());
    // The condition: no event of this call exists.
    let condition = DcbAppendCondition::new(DcbQuery::new().item(DcbQueryItem::new().tags([tag])));
    client.append(vec![event], Some(condition), None).await?;
    Ok(0)
}

async fn read(client: &AsyncUmaDbClient, after: i64) -> Result<(Vec<i64>, i64)> {
    let start = u64::try_from(after)? + 1;
    let mut events = client.read(None, Some(start), false, Some(1000)).await?;
    let mut positions = Vec::new();
    while let Some(event) = events.next().await {
        positions.push(i64::try_from(event?.position)?);
    }
    let next = positions.last().copied().unwrap_or(after);
    Ok((positions, next))
}

impl Store for UmaDb {
    fn create<'a>(&'a self, storage: &'a Storage) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { Ok(std::fs::create_dir_all(&storage.folder)?) })
    }

    /// Connections are HTTP/2 connections, each with an equal share of the appends in flight.
    fn load<'a>(&'a self, storage: &'a Storage, load: Load, setting: Setting) -> BoxFuture<'a, Result<Outcome>> {
        Box::pin(async move {
            let server = self.server(storage, setting.pipelined).await?;
            let mut clients = Vec::new();
            for _ in 0..setting.connections.min(load.in_flight) {
                clients.push(Arc::new(server.client().await?));
            }
            let outcome = drive(load, move |n| {
                let client = clients[usize::try_from(n).unwrap_or(0) % clients.len()].clone();
                async move { append(&client, n).await }
            })
            .await?;
            drop(server);
            Ok(outcome)
        })
    }

    fn count<'a>(&'a self, storage: &'a Storage) -> BoxFuture<'a, Result<u64>> {
        Box::pin(async move {
            let server = self.server(storage, false).await?;
            let client = server.client().await?;
            let mut events = client.read(None, None, false, None).await?;
            let mut count = 0;
            while let Some(event) = events.next().await {
                event?;
                count += 1;
            }
            Ok(count)
        })
    }

    fn follow<'a>(&'a self, _: &'a Storage, stop: Arc<AtomicBool>) -> BoxFuture<'a, Result<Option<u64>>> {
        Box::pin(async move {
            // The load starts the server, for it knows the setting.
            let server = loop {
                if let Some(server) = self.running.lock().await.upgrade() {
                    break server;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            };
            let client = server.client().await?;
            follow_pages(stop, |after| read(&client, after)).await
        })
    }

    fn settings(&self) -> Vec<Setting> {
        let settings = [1, 4, 16].into_iter().map(Setting::pool);
        settings.clone().chain(settings.map(|setting| Setting { pipelined: true, ..setting })).collect()
    }
}
