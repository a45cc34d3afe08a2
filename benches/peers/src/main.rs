//! Peer libraries beside Apex: the same event, the same durability, as many appends in flight, on one machine, in one
//! run. `make bench-peers` starts a PostgreSQL of its own and runs this; README.md beside it says what is measured.

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
use store::{Load, Outcome, Place, Setting};
use uuid::Uuid;

/// Appends in flight of the two cases.
const MANY: usize = 64;
const ONE: usize = 1;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// One run.
struct Run {
    server: PgConnection,
    url: String,
    folder: PathBuf,
    warm_up: Duration,
    measured: Duration,
    rounds: u64,
}

/// A contender, where it writes, and what came of it.
struct Entry {
    contender: Contender,
    place: Place,
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

    /// A database of its own, and a folder.
    async fn place(&mut self) -> Result<Place> {
        let name = format!("peers_{}", Uuid::new_v4().simple());
        sqlx::query(AssertSqlSafe(format!("create database {name}"))).execute(&mut self.server).await?;
        let server = self.url.rsplit_once('/').context("a URL with a database")?.0;
        Ok(Place { url: format!("{server}/{name}"), folder: self.folder.join(name) })
    }

    async fn give_up(&mut self, place: &Place) -> Result<()> {
        let name = place.url.rsplit_once('/').context("a URL with a database")?.1;
        sqlx::query(AssertSqlSafe(format!("drop database if exists {name} with (force)")))
            .execute(&mut self.server)
            .await?;
        if place.folder.exists() {
            std::fs::remove_dir_all(&place.folder)?;
        }
        Ok(())
    }

    /// Loads one contender after a checkpoint, so that nobody pays for what another has left to write, and with
    /// statistics, without which PostgreSQL plans for an empty table.
    async fn load(&mut self, entry: &mut Entry, in_flight: usize, measured: Duration, setting: Setting) -> Result<f64> {
        sqlx::query("checkpoint").execute(&mut self.server).await?;
        let mut database = PgConnectOptions::from_str(&entry.place.url)?.connect().await?;
        sqlx::query("analyze").execute(&mut database).await?;
        drop(database);
        let load = Load { in_flight, warm_up: self.warm_up, measured };
        let outcome = entry.contender.store.load(&entry.place, load, setting).await?;
        entry.acknowledged += outcome.acknowledged;
        entry.retries += outcome.retries;
        Ok(outcome.rate)
    }

    /// Makes a contender ready: its schema, and the setting that is best for it on this machine.
    async fn enter(&mut self, contender: Contender) -> Result<Entry> {
        let place = self.place().await?;
        contender.store.create(&place).await.context("its schema")?;
        let settings = contender.store.settings();
        let setting = *settings.first().context("a setting")?;
        let mut entry = Entry { contender, place, setting, acknowledged: 0, many: vec![], one: vec![], retries: 0 };
        let mut rates = vec![0.0_f64; settings.len()];
        // Twice, with the others in between, so that one bad moment does not decide.
        for _ in 0..if settings.len() > 1 { 2 } else { 0 } {
            for (rate, &setting) in rates.iter_mut().zip(&settings) {
                match self.load(&mut entry, MANY, Duration::from_secs(1), setting).await {
                    Ok(measured) => *rate = rate.max(measured),
                    // A setting may need what this machine does not have; the others need not.
                    Err(error) => println!("  with {}: {error:#}", report::setting(setting)),
                }
            }
        }
        let best = rates.iter().enumerate().max_by(|one, other| one.1.total_cmp(other.1));
        let (best, &rate) = best.context("a setting")?;
        ensure!(settings.len() == 1 || rate > 0.0, "no setting works");
        entry.setting = settings[best];
        for (rate, &setting) in rates.iter().zip(&settings).filter(|_| settings.len() > 1) {
            println!("  {rate:>8.0} a second with {}", report::setting(setting));
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
        let there = entry.contender.store.count(&entry.place).await?;
        let acknowledged = entry.acknowledged;
        ensure!(there == acknowledged, "{there} events are there, but {acknowledged} were acknowledged");
        Ok(())
    }

    /// A reader follows while many append: events that it never saw were passed by.
    async fn watch(&mut self, entry: &Entry) -> Result<Order> {
        let place = self.place().await?;
        let store = &entry.contender.store;
        store.create(&place).await?;
        let stop = Arc::new(AtomicBool::new(false));
        let load = Load { in_flight: MANY, warm_up: self.warm_up, measured: self.measured * 2 };
        let loading = async {
            let outcome: Result<Outcome> = store.load(&place, load, entry.setting).await;
            stop.store(true, Ordering::Relaxed);
            outcome
        };
        let (outcome, seen) = tokio::join!(loading, store.follow(&place, stop.clone()));
        let (written, seen) = (outcome?.acknowledged, seen?);
        self.give_up(&place).await?;
        Ok(Order { written, seen })
    }
}

/// The settings that decide whether a commit is durable.
async fn durability(server: &mut PgConnection) -> Result<String> {
    let mut shown = Vec::new();
    for name in ["fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "server_version"] {
        let value: String = sqlx::query_scalar("select current_setting($1)").bind(name).fetch_one(&mut *server).await?;
        shown.push(format!("{name} = {value}"));
    }
    ensure!(shown[..3].iter().all(|setting| setting.ends_with(" = on")), "not durable: {}", shown.join(", "));
    Ok(shown.join(", "))
}

/// The contenders of this run: all, or Apex, the baseline and those that `PEERS` names.
fn chosen() -> Vec<Contender> {
    let names = std::env::var("PEERS").unwrap_or_default();
    let is_chosen = |peer: &Contender| names.is_empty() || names.split(',').any(|name| peer.name.starts_with(name));
    [contenders::apex(), contenders::raw()]
        .into_iter()
        .chain(contenders::peers().into_iter().filter(is_chosen))
        .collect()
}

/// Measures all of them; one that fails is out, and why is told.
async fn measure(run: &mut Run) -> Result<Vec<Measured>> {
    let (mut entries, mut measured) = (Vec::new(), Vec::new());
    for (place, contender) in chosen().into_iter().enumerate() {
        println!("setting up {}", contender.name);
        let about = report::About::of(&contender, place);
        match run.enter(contender).await {
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
        // Who goes first changes.
        let first = usize::from(left.len() > 1);
        left.rotate_left(first);
        entries = left;
    }
    for (about, mut entry) in entries {
        println!("following {}", entry.contender.name);
        let order = run.watch(&entry).await;
        run.give_up(&entry.place).await?;
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
    measured.sort_by_key(|one| one.about.place);
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
