//! A migrated database for each test, copied from one template.

use crate::{TIMEOUT, required_variable};
use apex::config::Secret;
use apex::database::{MIGRATIONS, connect};
use apex::rooms::Rooms;
use projections::Comparison;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use std::str::FromStr;
use std::time::Instant;
use streams::TenantReads;
use tokio::sync::OnceCell;
use uuid::Uuid;

/// The database of one test. It stays until the cluster of the test run is removed.
pub struct TestDatabase {
    /// The connection URL, with the privileges of the owner of the database.
    pub url: String,
    /// Connections with the rights of the application.
    pub pool: PgPool,
    /// Connections of reads on behalf of tenants.
    pub reads: TenantReads,
    /// Whether the read models are compared with a rebuild when the test ends.
    is_verified: bool,
}

/// After every test that succeeds, live read models must equal rebuilt ones.
impl Drop for TestDatabase {
    fn drop(&mut self) {
        if !self.is_verified || std::thread::panicking() {
            return;
        }
        let url = self.url.clone();
        // On a thread of its own, since the test's runtime may be shutting down.
        let verified = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(verify(url));
        });
        if let Err(panic) = verified.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

async fn verify(url: String) {
    let pool = connect_patiently(&url, 4).await;
    let archived: i64 = sqlx::query_scalar("select count(*) from apex.archives").fetch_one(&pool).await.unwrap();
    if archived > 0 {
        // Only the test knows where the archived files are.
        return;
    }
    let log = streams::Log::open(pool.clone(), streams::LogConfig::default()).await.unwrap();
    for status in projections::statuses(&crate::access(), &pool).await.unwrap() {
        let projection = projections::by_name(&status.name).unwrap();
        // Small batches are slow, so they are for short logs.
        let batch_events = match status.position {
            0 => continue,
            1..=30 => 1,
            31..=300 => 7,
            _ => 1000,
        };
        if status.is_current() {
            let settings = projections::SessionSettings::different_locale(batch_events);
            let comparison = projections::verify(&crate::access(), &pool, &log, projection, &settings).await.unwrap();
            assert!(comparison.is_same(), "{} in batches of {batch_events}: {comparison:#?}", status.name);
        }
    }
}

/// Connects as the program does, and waits longer for connections than it: nothing may fail because a machine is busy.
pub(crate) async fn connect_patiently(url: &str, connections: u32) -> PgPool {
    let deadline = Instant::now() + TIMEOUT;
    let pool = loop {
        match connect(&Secret::from(url.to_owned()), connections).await {
            Ok(pool) => break pool,
            Err(error) => assert!(Instant::now() < deadline, "no connection to the database of a test: {error:#}"),
        }
    };
    let patient = pool.options().clone().acquire_timeout(TIMEOUT);
    let patient = patient.connect_lazy_with(PgConnectOptions::clone(&pool.connect_options()));
    pool.close().await;
    patient
}

static TEMPLATE: OnceCell<String> = OnceCell::const_new();

async fn connect_as_owner(url: &str) -> PgConnection {
    PgConnectOptions::from_str(url).unwrap().connect().await.unwrap()
}

fn url_of(name: &str) -> String {
    let url = required_variable("APEX_TEST_DATABASE_URL");
    let (server, _) = url.rsplit_once('/').unwrap();
    format!("{server}/{name}")
}

/// Connects to the server of the tests with a lock that one connection has at a time, until it is closed: PostgreSQL makes one copy
/// of a template at a time, and databases are migrated one after the other, since migrations grant roles, which all databases of
/// a server share.
async fn lock_server() -> PgConnection {
    let mut server = connect_as_owner(&required_variable("APEX_TEST_DATABASE_URL")).await;
    sqlx::query("select pg_advisory_lock(1)").execute(&mut server).await.unwrap();
    server
}

/// The migrated database that the others are copied from. Each process creates one.
async fn template() -> &'static str {
    TEMPLATE
        .get_or_init(|| async {
            let name = format!("template_{}", std::process::id());
            let mut server = lock_server().await;
            sqlx::query(AssertSqlSafe(format!("drop database if exists {name}"))).execute(&mut server).await.unwrap();
            sqlx::query(AssertSqlSafe(format!("create database {name}"))).execute(&mut server).await.unwrap();
            let mut template = connect_as_owner(&url_of(&name)).await;
            MIGRATIONS.run(&mut template).await.unwrap();
            template.close().await.unwrap();
            server.close().await.unwrap();
            name
        })
        .await
}

impl TestDatabase {
    /// Creates a migrated database on the server of the tests.
    ///
    /// # Panics
    /// If `APEX_TEST_DATABASE_URL` is not set, or its server refuses.
    pub async fn new() -> Self {
        let template = template().await;
        let name = format!("test_{}", Uuid::new_v4().simple());
        let mut server = lock_server().await;
        sqlx::query(AssertSqlSafe(format!("create database {name} template {template}")))
            .execute(&mut server)
            .await
            .unwrap();
        server.close().await.unwrap();
        let mut database = Self::at(url_of(&name)).await;
        database.is_verified = true;
        database
    }

    /// Creates a database whose migrations are those of a migrator, and not those of the program.
    ///
    /// # Panics
    /// As [`TestDatabase::new`].
    pub async fn migrated_by(migrator: &Migrator) -> Self {
        let name = format!("test_{}", Uuid::new_v4().simple());
        let mut server = lock_server().await;
        sqlx::query(AssertSqlSafe(format!("create database {name}"))).execute(&mut server).await.unwrap();
        let url = url_of(&name);
        // First: the migrations create the role that the pool works as.
        migrator.run(&mut connect_as_owner(&url).await).await.unwrap();
        server.close().await.unwrap();
        Self::at(url).await
    }

    /// Connects to an existing database on another server. Its read models are not compared with a rebuild at the end.
    pub async fn at(url: String) -> Self {
        // For the HTTP clients of tests.
        apex::cli::install_crypto_provider();
        let pool = connect_patiently(&url, 8).await;
        let reads = TenantReads::beside(&pool, 4);
        Self { url, pool, reads, is_verified: false }
    }

    /// Skips the verification at the end, for tests that damage read models or invent checkpoints.
    pub fn unverified(mut self) -> Self {
        self.is_verified = false;
        self
    }

    /// Opens a connection with all rights.
    pub async fn owner(&self) -> PgConnection {
        connect_as_owner(&self.url).await
    }

    /// Opens the log and the commands, without workers.
    pub async fn rooms(&self) -> Rooms {
        Rooms::on(self.pool.clone(), crate::operator()).await.unwrap()
    }

    /// The last position of the log.
    pub async fn head(&self) -> i64 {
        sqlx::query_scalar("select position from apex.head").fetch_one(&self.pool).await.unwrap()
    }

    /// From now on, appends that would reach the position wait. A process that appends can so be killed while it does,
    /// however fast it is.
    pub async fn block_appends_at(&self, position: i64) -> AppendBlock {
        let mut holder = self.owner().await;
        let block = format!(
            "select pg_advisory_lock(11);
             create function apex.block() returns trigger language plpgsql as $block$
             begin
                 if new.position >= {position} then perform pg_advisory_xact_lock(11); end if;
                 return new;
             end
             $block$;
             create trigger block before update on apex.head for each row execute function apex.block()"
        );
        sqlx::raw_sql(AssertSqlSafe(block)).execute(&mut holder).await.unwrap();
        AppendBlock { holder }
    }

    /// Asserts that these read models equal rebuilt ones, in batches of each of these numbers of events, and that no event
    /// is parked. Returns the comparisons.
    ///
    /// # Panics
    /// If one differs or has a parked event, or the database fails.
    pub async fn assert_equals_rebuild(&self, names: &[&str], batch_sizes: &[usize]) -> Vec<Comparison> {
        let log = streams::Log::open(self.pool.clone(), streams::LogConfig::default()).await.unwrap();
        let mut comparisons = Vec::new();
        for name in names {
            let projection = projections::by_name(name).unwrap();
            for &batch_events in batch_sizes {
                let settings = projections::SessionSettings::different_locale(batch_events);
                let compared =
                    projections::verify(&crate::access(), &self.pool, &log, projection, &settings).await.unwrap();
                let is_same = compared.is_same() && compared.parked == (0, 0);
                assert!(is_same, "{name} in batches of {batch_events}: {compared:#?}");
                comparisons.push(compared);
            }
        }
        comparisons
    }
}

/// Appends wait while this exists, see [`TestDatabase::block_appends_at`].
pub struct AppendBlock {
    holder: PgConnection,
}

impl AppendBlock {
    /// Terminates all other connections: killed processes have left some that wait.
    pub async fn terminate_other_connections(&mut self) {
        let terminate = "select count(*) filter (where pg_terminate_backend(pid, 10000)) from pg_stat_activity
                         where datname = current_database() and pid <> pg_backend_pid()";
        sqlx::query_scalar::<_, i64>(terminate).fetch_one(&mut self.holder).await.unwrap();
    }

    /// Unblocks appends. Terminates all other connections first, so that none still waits.
    pub async fn release(mut self) {
        self.terminate_other_connections().await;
        let release = "drop trigger block on apex.head; drop function apex.block()";
        sqlx::raw_sql(release).execute(&mut self.holder).await.unwrap();
        self.holder.close().await.unwrap();
    }
}
