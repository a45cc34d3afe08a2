//! Compares Apex with other event stores: the same event, durability and number of appends in flight, on one machine, in
//! one run. `make bench-peers` starts a private PostgreSQL and runs this; README.md describes what is measured.

mod child;
mod contenders;
mod crates;
mod ours;
mod report;
mod store;
mod umadb;

use anyhow::{Context, Result, ensure};
use contenders::Contender;
use report::{Finding, Measured, Order};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use store::{Load, Outcome, Setting, Storage};
use uuid::Uuid;

/// The numbers of appends in flight that are measured.
const MANY: usize = 64;
const ONE: usize = 1;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// The settings and the server of one run.
struct Run {
    server: PgConnection,
    url: String,
    folder: PathBuf,
    warm_up: Duration,
    measured: Duration,
    rounds: u64,
}

/// A contender with its storage and its measurements.
struct Entry {
    contender: Contender,
    storage: Storage,
    setting: Setting,
    acknowledged: u64,
    many: Vec<f64>,
    one: Vec<f64>,
    retries: u64,
}

impl Run {
    async fn new(folder: PathBuf) -> Result<Self> {
        let url = std::env::var("APEX_TEST_DATABASE_URL").context("run `make bench-peers`")?;
        let server = PgConnectOptions::from_str(&url)?.connect().await?;
        let measured = Duration::from_secs(number("SECONDS_PER_CASE", 3));
        let warm_up = Duration::from_millis(500);
        Ok(Self { server, url, folder, warm_up, measured, rounds: number("ROUNDS", 3).max(1) })
    }

    /// Creates a database and names a folder.
    async fn create_storage(&mut self) -> Result<Storage> {
        let name = format!("peers_{}", Uuid::new_v4().simple());
        sqlx::query(AssertSqlSafe(format!("create database {name}"))).execute(&mut self.server).await?;
        let server = self.url.rsplit_once('/').context("a URL with a database")?.0;
        Ok(Storage { url: format!("{server}/{name}"), folder: self.folder.join(name) })
    }

    async fn drop_storage(&mut self, storage: &Storage) -> Result<()> {
        let name = storage.url.rsplit_once('/').context("a URL with a database")?.1;
        sqlx::query(AssertSqlSafe(format!("drop database if exists {name} with (force)")))
            .execute(&mut self.server)
            .await?;
        if storage.folder.exists() {
            std::fs::remove_dir_all(&storage.folder)?;
        }
        Ok(())
    }

    /// Puts load on a contender. A checkpoint first, so that it does not pay for dirty pages of another one, and an ANALYZE,
    /// because without statistics PostgreSQL plans for an empty table.
    async fn load(&mut self, entry: &mut Entry, in_flight: usize, measured: Duration, setting: Setting) -> Result<f64> {
        sqlx::query("checkpoint").execute(&mut self.server).await?;
        let mut database = PgConnectOptions::from_str(&entry.storage.url)?.connect().await?;
        sqlx::query("analyze").execute(&mut database).await?;
        drop(database);
        let load = Load { in_flight, warm_up: self.warm_up, measured };
        let outcome = entry.contender.store.load(&entry.storage, load, setting).await?;
        entry.acknowledged += outcome.acknowledged;
        entry.retries += outcome.retries;
        Ok(outcome.rate)
    }

    /// Creates a contender's schema, and finds its best setting on this machine.
    async fn prepare(&mut self, contender: Contender) -> Result<Entry> {
        let storage = self.create_storage().await?;
        contender.store.create(&storage).await.context("the schema cannot be created")?;
        let settings = contender.store.settings();
        let setting = *settings.first().context("a setting")?;
        let mut entry = Entry { contender, storage, setting, acknowledged: 0, many: vec![], one: vec![], retries: 0 };
        let mut rates = vec![0.0_f64; settings.len()];
        // Each setting twice, not in a row, so that one slow moment does not decide.
        for _ in 0..if settings.len() > 1 { 2 } else { 0 } {
            for (rate, &setting) in rates.iter_mut().zip(&settings) {
                match self.load(&mut entry, MANY, Duration::from_secs(1), setting).await {
                    Ok(measured) => *rate = rate.max(measured),
                    // A setting may fail on this machine while others work.
                    Err(error) => println!("  with {}: {error:#}", report::setting(setting)),
                }
            }
        }
        let best = rates.iter().enumerate().max_by(|one, other| one.1.total_cmp(other.1));
        let (best, &rate) = best.context("a setting")?;
        ensure!(settings.len() == 1 || rate > 0.0, "every setting failed");
        entry.setting = settings[best];
        for (rate, &setting) in rates.iter().zip(&settings).filter(|_| settings.len() > 1) {
            println!("  {rate:>8.0} appends/s with {}", report::setting(setting));
        }
        entry.retries = 0;
        Ok(entry)
    }

    async fn round(&mut self, entry: &mut Entry) -> Result<()> {
        let many = self.load(entry, MANY, self.measured, entry.setting).await?;
        let single = Setting { connections: 1, processes: 1, ..entry.setting };
        let one = self.load(entry, ONE, self.measured, single).await?;
        entry.many.push(many);
        entry.one.push(one);
        let stored = entry.contender.store.count(&entry.storage).await?;
        let acknowledged = entry.acknowledged;
        ensure!(stored == acknowledged, "{stored} events are stored, but {acknowledged} were acknowledged");
        Ok(())
    }

    /// Runs a reader while many append. Events that it never saw were skipped.
    async fn check_order(&mut self, entry: &Entry) -> Result<Order> {
        let storage = self.create_storage().await?;
        let store = &entry.contender.store;
        store.create(&storage).await?;
        let stop = Arc::new(AtomicBool::new(false));
        let load = Load { in_flight: MANY, warm_up: self.warm_up, measured: self.measured * 2 };
        let loading = async {
            let outcome: Result<Outcome> = store.load(&storage, load, entry.setting).await;
            stop.store(true, Ordering::Relaxed);
            outcome
        };
        let (outcome, seen) = tokio::join!(loading, store.follow(&storage, stop.clone()));
        let (written, seen) = (outcome?.acknowledged, seen?);
        self.drop_storage(&storage).await?;
        Ok(Order { written, seen })
    }
}

/// The settings that durability depends on; an error if one of them is off.
async fn durability(server: &mut PgConnection) -> Result<String> {
    let mut settings = Vec::new();
    for name in ["fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "server_version"] {
        let value: String = sqlx::query_scalar("select current_setting($1)").bind(name).fetch_one(&mut *server).await?;
        settings.push(format!("{name} = {value}"));
    }
    ensure!(
        settings[..3].iter().all(|setting| setting.ends_with(" = on")),
        "commits are not durable: {}",
        settings.join(", ")
    );
    Ok(settings.join(", "))
}

/// The contenders of this run: all, or Apex, the baseline and the peers that `PEERS` names.
fn selected() -> Vec<Contender> {
    let names = std::env::var("PEERS").unwrap_or_default();
    let is_selected = |peer: &Contender| names.is_empty() || names.split(',').any(|name| peer.name.starts_with(name));
    [contenders::apex(), contenders::raw()]
        .into_iter()
        .chain(contenders::peers().into_iter().filter(is_selected))
        .collect()
}

/// Measures all contenders. One that fails is reported with its error.
async fn measure(run: &mut Run) -> Result<Vec<Measured>> {
    let (mut entries, mut measured) = (Vec::new(), Vec::new());
    for (index, contender) in selected().into_iter().enumerate() {
        println!("setting up {}", contender.name);
        let about = report::About::of(&contender, index);
        match run.prepare(contender).await {
            Ok(entry) => entries.push((about, entry)),
            Err(error) => measured.push(Measured { about, finding: Err(format!("{error:#}")) }),
        }
    }
    for round in 0..run.rounds {
        println!("round {} of {}", round + 1, run.rounds);
        let mut left = Vec::new();
        for (about, mut entry) in entries {
            match run.round(&mut entry).await {
                Ok(()) => left.push((about, entry)),
                Err(error) => measured.push(Measured { about, finding: Err(format!("{error:#}")) }),
            }
        }
        // Another contender goes first in the next round.
        let first = usize::from(left.len() > 1);
        left.rotate_left(first);
        entries = left;
    }
    for (about, mut entry) in entries {
        println!("following {}", entry.contender.name);
        let order = run.check_order(&entry).await;
        run.drop_storage(&entry.storage).await?;
        let finding = order.map_err(|error| format!("{error:#}")).map(|order| Finding {
            many: report::median(&mut entry.many),
            one: report::median(&mut entry.one),
            setting: entry.setting,
            retries: entry.retries,
            acknowledged: entry.acknowledged,
            order,
        });
        measured.push(Measured { about, finding });
    }
    measured.sort_by_key(|one| one.about.index);
    Ok(measured)
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [command, folder, address, pipelined] = arguments.as_slice()
        && command == umadb::SERVE
    {
        return umadb::serve(folder, address, pipelined == "true").await;
    }
    let target = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/bench"));
    std::fs::create_dir_all(&target)?;
    let folder = tempfile::Builder::new().prefix("peers-").tempdir_in(&target)?;
    let mut run = Run::new(folder.path().to_owned()).await?;
    println!("PostgreSQL: {}", durability(&mut run.server).await?);
    let measured = measure(&mut run).await?;
    report::print(&measured, run.rounds);
    let path = target.join("peers.json");
    std::fs::write(&path, serde_json::to_string_pretty(&report::rows(&measured, run.rounds))?)?;
    println!("written to {}", path.display());
    Ok(())
}
