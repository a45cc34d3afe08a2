//! A dump taken while the log is written to is restored into another cluster, which continues the log. The steps are those
//! of docs/backup.md.

use crate::history::{Command, Outcome};
use crate::rng::SeededRng;
use crate::worker::{append, outcome};
use crate::{SEED, runtime};
use sqlx::{Connection, PgConnection};
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use streams::{Log, LogConfig};
use testkit::TIMEOUT;
use testkit::cluster::{Cluster, ClusterConfig};
use tokio::task::JoinHandle;

const WRITERS: usize = 4;

/// Acknowledged commands, each with its first and last position.
type Written = Vec<(Command, u64, u64)>;

struct Writers {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Written>>,
}

impl Writers {
    async fn start(cluster: &Cluster) -> Self {
        let log = Log::open(cluster.application().await, LogConfig::default()).await.unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let writer =
            |number: usize| write(log.clone(), SeededRng::new(*SEED, &format!("writer {number}")), stop.clone());
        let tasks = (0..WRITERS).map(|number| tokio::spawn(writer(number))).collect();
        Self { stop, tasks }
    }

    async fn finish(self) -> Written {
        self.stop.store(true, Ordering::SeqCst);
        let mut written = Written::new();
        for task in self.tasks {
            written.extend(task.await.unwrap());
        }
        written.sort_unstable_by_key(|(_, first, _)| *first);
        written
    }
}

/// Writes to new streams and to an existing one, so that there are receipts of both kinds.
async fn write(log: Log, mut rng: SeededRng, stop: Arc<AtomicBool>) -> Written {
    let mut written = Written::new();
    let own = rng.id();
    while !stop.load(Ordering::SeqCst) {
        let change = rng.change(own, None);
        let command = if rng.one_in(3) { rng.command(vec![change]) } else { rng.command_on_new_stream() };
        let Outcome::Ok { first, last, duplicate: false } = outcome(log.append(append(&command)).await) else {
            panic!("an append without faults failed")
        };
        written.push((command, first, last));
    }
    written
}

#[track_caller]
fn assert_success(output: &Output) {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
}

async fn program(cluster: &Cluster, name: &str, url: &str, arguments: &[&str], file: &Path) -> Output {
    let mut program = cluster.program(name);
    program.args(["--dbname", url]).args(arguments).arg(file);
    tokio::task::spawn_blocking(move || program.output().unwrap()).await.unwrap()
}

async fn dump(cluster: &Cluster, arguments: &[&str], file: &Path) {
    let arguments: Vec<_> =
        ["--format=custom"].into_iter().chain(arguments.iter().copied()).chain(["--file"]).collect();
    assert_success(&program(cluster, "pg_dump", &cluster.url(), &arguments, file).await);
}

/// Restores dumps into a new cluster, which has nothing of Apex but its roles.
async fn restore(files: &[&Path], from: &Cluster) -> Cluster {
    let cluster = Cluster::start(ClusterConfig::default()).await;
    let mut server = cluster.owner_of("postgres").await;
    for statement in [
        "drop database chaos",
        "drop role apex_app, apex_reader",
        "create role apex_reader nologin",
        "create role apex_app nologin in role apex_reader",
        "create database chaos",
    ] {
        sqlx::query(statement).execute(&mut server).await.unwrap();
    }
    server.close().await.unwrap();
    for file in files {
        assert_success(&program(from, "pg_restore", &cluster.url(), &["--no-owner", "--exit-on-error"], file).await);
    }
    cluster
}

async fn apex(cluster: &Cluster, arguments: &[&str]) -> Output {
    let mut apex = tokio::process::Command::new(testkit::apex_binary());
    apex.env_clear().env("APEX_DATABASE_URL", cluster.url()).args(arguments).output().await.unwrap()
}

async fn head(owner: &mut PgConnection) -> u64 {
    let head: i64 = sqlx::query_scalar("select position from apex.head").fetch_one(owner).await.unwrap();
    u64::try_from(head).unwrap()
}

/// Waits until the log has grown by a number of events.
async fn grow(cluster: &Cluster, events: u64) {
    let mut owner = cluster.owner().await;
    let wanted_head = head(&mut owner).await + events;
    let deadline = Instant::now() + TIMEOUT;
    while head(&mut owner).await < wanted_head {
        assert!(Instant::now() < deadline, "the log does not grow to {wanted_head}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) const TRIALS: testkit::Trials =
    testkit::trials![a_restored_dump_continues_the_log, planted_dumps_of_two_snapshots_are_detected];

fn a_restored_dump_continues_the_log() {
    runtime().block_on(async {
        let old = Cluster::start(ClusterConfig::default()).await;
        let writers = Writers::start(&old).await;
        grow(&old, 100).await;
        let file = old.file("apex.dump");
        dump(&old, &[], &file).await;
        // These events are not in the dump.
        grow(&old, 100).await;
        let written = writers.finish().await;

        let new = restore(&[&file], &old).await;
        assert_success(&apex(&new, &["log", "verify"]).await);
        let restored = head(&mut new.owner().await).await;
        check_retries(&new, &written, restored).await;
        assert_success(&apex(&new, &["log", "verify"]).await);
        assert_success(&apex(&new, &["projections", "verify"]).await);
        let mut owner = new.owner().await;
        let refused = sqlx::query("delete from apex.events").execute(&mut owner).await.unwrap_err();
        assert_eq!(refused.as_database_error().and_then(|error| error.code()).as_deref(), Some("42501"));
    });
}

/// Retries all commands. Those in the dump must have their positions; the others are written after them, without gaps.
async fn check_retries(new: &Cluster, written: &Written, restored: u64) {
    let (before, after): (Vec<_>, Vec<_>) = written.iter().partition(|(_, _, last)| *last <= restored);
    assert!(!before.is_empty() && !after.is_empty(), "the dump was not taken under load");
    assert_eq!(before.last().map(|(_, _, last)| *last), Some(restored), "the dump is not the log up to a position");
    let log = Log::open(new.application().await, LogConfig::default()).await.unwrap();
    let mut next = restored + 1;
    for (command, first, last) in before.into_iter().chain(after) {
        let retried = outcome(log.append(append(command)).await);
        let expected = if *last <= restored {
            Outcome::Ok { first: *first, last: *last, duplicate: true }
        } else {
            let first = next;
            next += command.events().count() as u64;
            Outcome::Ok { first, last: next - 1, duplicate: false }
        };
        assert_eq!(retried, expected, "the retry of {command:?}");
    }
}

/// The control: a dump whose tables are from different snapshots fails the verification.
fn planted_dumps_of_two_snapshots_are_detected() {
    runtime().block_on(async {
        let old = Cluster::start(ClusterConfig::default()).await;
        let writers = Writers::start(&old).await;
        grow(&old, 50).await;
        let (most, rest) = (old.file("most.dump"), old.file("rest.dump"));
        dump(&old, &["--exclude-table-data=apex.head"], &most).await;
        grow(&old, 50).await;
        dump(&old, &["--data-only", "--table=apex.head"], &rest).await;
        writers.finish().await;
        let new = restore(&[&most, &rest], &old).await;
        let verified = apex(&new, &["log", "verify"]).await;
        let stderr = String::from_utf8_lossy(&verified.stderr);
        assert!(verified.status.code() == Some(1) && stderr.contains("its head is at"), "{stderr}");
    });
}
