//! API keys: what looking one up costs with a hundred and with a hundred thousand of them, and what the time of a refusal
//! tells.
//!
//! The first cases are the medians of checking the same kind of credential in a process with many keys, beside one with few.
//! The others are the medians of checking a wrong key, beside one whose id nobody knows: all of them in one process, in turns.
//! A time tells something if the times of both overlap little; the overlap is printed beside each: of all pairs of one time
//! of each kind, the share in which the wrong key took longer, which is 0.5 if the times cannot be told apart.
//!
//! `KEYS` sets the larger number of keys (default: 100 000), `SAMPLES` the number of times of each kind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark that cannot continue has failed"
)]

use apex::rooms::Rooms;
use chrono::Utc;
use commands::Context;
use domain::api_key::KeyTerms;
use domain::permissions::{Role, Scopes};
use domain::tenant::{Tenant, TenantCommand};
use domain::{ServiceAccountId, TenantId};
use identity::Identities;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use streams::{Append, Expected, NewEvent, StreamAppend, Version};
use testkit::bench::{Bench, Table, metadata, setting};
use testkit::{append_all, name, operator, tenant};
use uuid::Uuid;

/// The smaller number of keys.
const FEW: u64 = 100;
/// The number of events that are submitted at once.
const SUBMITTED: usize = 5000;
/// Before anything is measured, each credential is checked so often.
const WARM_UP: usize = 200;

/// What is wrong with a key, if anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Presented {
    Valid,
    WrongSecret,
    Revoked,
    Unknown,
    WrongPrefix,
}

/// A process with credentials, on a database of its own.
struct Process {
    bench: Bench,
    rooms: Rooms,
    identities: Identities,
    texts: BTreeMap<Presented, String>,
    _folder: tempfile::TempDir,
}

/// Creates the keys of an account that are only there to be many: their events by the log, and rows that have hashes.
async fn create_many(bench: &Bench, account: ServiceAccountId, keys: u64) {
    let ids: Vec<_> = (0..keys).map(|_| Uuid::now_v7()).collect();
    let payload =
        format!("{{\"service_account_id\":\"{account}\",\"scopes\":\"all\",\"at\":\"2025-11-03T09:30:00Z\"}}");
    let append = |id: &Uuid| {
        let event =
            NewEvent { event_id: Uuid::now_v7(), name: "api_key.created", schema_version: 1, payload: payload.clone() };
        let expected = Expected::Exact(Version::ZERO);
        let streams = vec![StreamAppend { category: "api_key".into(), id: *id, expected, events: vec![event] }];
        Append {
            tenant: tenant(),
            metadata: metadata(Uuid::now_v7()),
            request: None,
            streams,
            may_change_others: false,
        }
    };
    for ids in ids.chunks(SUBMITTED) {
        for answer in append_all(&bench.log, ids.iter().map(append)).await {
            answer.unwrap();
        }
    }
    sqlx::query(
        "insert into apex.api_key_secrets (key_id, tenant_id, key_encryption_key, hash, is_confirmed)
         select id, $2, 1, sha256(uuid_send(id)), true from unnest($1::uuid[]) id",
    )
    .bind(&ids)
    .bind(tenant().as_str())
    .execute(&bench.raw)
    .await
    .unwrap();
}

impl Process {
    async fn new(keys: u64) -> Self {
        let bench = Bench::new().await;
        let folder = tempfile::tempdir().unwrap();
        let key_file = folder.path().join("identity.keys");
        let rooms = Rooms::on(bench.pool.clone(), operator()).await.unwrap();
        let open = || Identities::open(rooms.pool.clone(), rooms.commands.clone(), key_file.clone());
        let first = open().await.unwrap();
        let context = || Context::new(operator(), Uuid::now_v7());
        create_tenant(&rooms, tenant()).await;
        let account = first.create_account(&context(), name("bench"), &[Role::Operator], Utc::now()).await.unwrap().id;
        let terms = || KeyTerms {
            service_account_id: account,
            scopes: Scopes::All,
            agent_id: None,
            team_id: None,
            expires_at: None,
        };
        let new = async || first.create_key(&context(), terms(), Utc::now()).await.unwrap();
        let (valid, other, revoked) = (new().await, new().await, new().await);
        first.revoke_key(&context(), revoked.id, None, Utc::now()).await.unwrap();
        let started = Instant::now();
        create_many(&bench, account, keys).await;
        let created = started.elapsed();
        let started = Instant::now();
        let identities = open().await.unwrap();
        println!(
            "{keys} keys were written in {created:.1?}, and a process that starts reads them in {:.1?}",
            started.elapsed()
        );
        tokio::spawn(identities.clone().run(std::future::pending()));
        let (valid, other) = (valid.text.reveal().to_owned(), other.text.reveal().to_owned());
        let secret = other.rsplit_once('_').unwrap().1;
        let texts = [
            (Presented::WrongSecret, format!("{}_{secret}", valid.rsplit_once('_').unwrap().0)),
            (Presented::Valid, valid),
            (Presented::Revoked, revoked.text.reveal().to_owned()),
            (Presented::Unknown, format!("apex_{}_{secret}", Uuid::now_v7().simple())),
            (Presented::WrongPrefix, format!("apax_{}_{secret}", Uuid::now_v7().simple())),
        ];
        let process = Self { bench, rooms, identities, texts: texts.into(), _folder: folder };
        for _ in 0..WARM_UP {
            for presented in process.texts.keys() {
                process.check(*presented).await;
            }
        }
        process
    }

    /// How long the check of a credential takes.
    async fn check(&self, presented: Presented) -> Duration {
        let started = Instant::now();
        let checked = self.identities.authenticate(&self.texts[&presented]).await;
        let took = started.elapsed();
        assert_eq!(checked.is_ok(), presented == Presented::Valid, "{presented:?}");
        took
    }

    async fn end(self) {
        self.rooms.close().await.unwrap();
        self.bench.drop_database().await;
    }
}

async fn create_tenant(rooms: &Rooms, tenant_id: TenantId) {
    let context = Context::new(operator().in_installation(), Uuid::now_v7());
    let create = TenantCommand::Create { tenant_id: tenant_id.clone(), at: Utc::now() };
    rooms.commands.execute::<Tenant>(&context, tenant_id.stream_id(), create).await.unwrap();
}

/// The share of pairs in which the first time is the longer one; equal ones count half.
fn overlap(longer: &[Duration], shorter: &[Duration]) -> f64 {
    let mut sorted = shorter.to_vec();
    sorted.sort_unstable();
    let below =
        |time: &Duration| sorted.partition_point(|other| other < time) + sorted.partition_point(|other| other <= time);
    longer.iter().map(|time| below(time) as f64 / 2.0).sum::<f64>() / (longer.len() * shorter.len()) as f64
}

fn median(times: &[Duration]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2].as_secs_f64() * 1e6
}

#[tokio::main]
async fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let (many, samples) = (setting("KEYS", 100_000), setting("SAMPLES", 20_000));
    let (small, large) = (Process::new(FEW).await, Process::new(many).await);
    let mut times: BTreeMap<(Presented, bool), Vec<Duration>> = BTreeMap::new();
    for _ in 0..samples {
        for presented in small.texts.keys() {
            for (is_large, process) in [(false, &small), (true, &large)] {
                times.entry((*presented, is_large)).or_default().push(process.check(*presented).await);
            }
        }
    }
    let mut table = Table::new();
    for presented in small.texts.keys() {
        let of = |is_large| median(&times[&(*presented, is_large)]);
        table.figure(&format!("{presented:?}: with {many} keys; with {FEW}"), "µs", of(true), of(false));
    }
    let unknown = &times[&(Presented::Unknown, true)];
    for presented in [Presented::WrongSecret, Presented::Revoked, Presented::WrongPrefix, Presented::Valid] {
        let own = &times[&(presented, true)];
        table.figure(&format!("{presented:?}; Unknown"), "µs", median(own), median(unknown));
        println!("  takes longer in {:.3} of the pairs", overlap(own, unknown));
    }
    table.write("keys");
    small.end().await;
    large.end().await;
}
