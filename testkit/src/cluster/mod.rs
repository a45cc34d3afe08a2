//! A private PostgreSQL cluster of one test, into which faults can be injected without harm to other tests.
//!
//! The server is a child of this process and in its process group: a signal to the group ends it too.

mod faults;

pub use faults::{DATA_SYNCS_TO_FAIL, StorageFaults, WAL_SYNCS_TO_FAIL, WalVolume};

use crate::database::connect_patiently;
use crate::{POLL_INTERVAL, ReservedPort, TIMEOUT, send_signal};
use apex::database::MIGRATIONS;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::sync::{LazyLock, Mutex, OnceLock};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use uuid::Uuid;

/// Durable as in production. Small, with frequent checkpoints, so that crashes hit them.
const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=on",
    "max_connections=100",
    "shared_buffers=32MB",
    "min_wal_size=32MB",
    "max_wal_size=64MB",
    "checkpoint_timeout=30s",
    "log_min_messages=warning",
];

/// How a cluster differs from the default.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ClusterConfig {
    /// Further settings, of the form `name=value`.
    pub settings: &'static [&'static str],
    /// Whether faults can be injected into its storage and its clock.
    pub has_storage_faults: bool,
    /// Whether its WAL is on a volume of its own, which can be made too small.
    pub has_wal_volume: bool,
    /// SQL that plants a bug, executed by the owner once the cluster runs.
    pub bug: Option<&'static str>,
}

/// A private cluster, stopped and removed when dropped.
pub struct Cluster {
    /// Declared before the folder that contains it, so that it is unmounted first.
    wal_volume: Option<WalVolume>,
    faults: Option<StorageFaults>,
    folder: TempDir,
    binaries: PathBuf,
    /// The user that runs the server if this process is root: PostgreSQL refuses to run as root.
    user: Option<(u32, u32)>,
    port: ReservedPort,
    settings: Vec<String>,
    server: Mutex<Option<Child>>,
}

/// The password of all clusters of this process.
static PASSWORD: LazyLock<String> = LazyLock::new(|| Uuid::new_v4().simple().to_string());
/// A stopped cluster with a migrated database, which the others are copies of. `None` after [`remove_template`].
static TEMPLATE: OnceLock<Mutex<Option<Cluster>>> = OnceLock::new();

/// Removes the template that all clusters of this process are copied from. Called before the process exits, which drops
/// no statics.
pub fn remove_template() {
    if let Some(template) = TEMPLATE.get() {
        drop(template.lock().unwrap().take());
    }
}

impl Cluster {
    /// Starts a cluster with a migrated database `chaos`, and an empty one, `other`.
    pub async fn start(config: ClusterConfig) -> Self {
        let cluster = Self::prepare(config);
        if cluster.wal_volume.is_some() {
            cluster.initialize().await;
        } else {
            cluster.copy_template();
            cluster.start_server().await;
        }
        if let Some(bug) = config.bug {
            sqlx::raw_sql(bug).execute(&mut cluster.owner().await).await.unwrap();
        }
        cluster
    }

    fn copy_template(&self) {
        let template = TEMPLATE.get_or_init(|| {
            let create = || tokio::runtime::Runtime::new().unwrap().block_on(Self::create_template());
            Mutex::new(Some(std::thread::spawn(create).join().expect("the template can be created")))
        });
        let copied = {
            let template = template.lock().unwrap();
            Command::new("cp").arg("-a").arg(template.as_ref().unwrap().data()).arg(self.data()).status()
        };
        assert!(copied.unwrap().success());
    }

    /// Reserves folder and port; creates no data and starts no server.
    fn prepare(config: ClusterConfig) -> Self {
        let (binaries, user) = (binaries(), server_user());
        let folder = tempfile::Builder::new().prefix("apex-chaos-").tempdir().unwrap();
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid)).unwrap();
        }
        let settings = SETTINGS.iter().chain(config.settings).map(|setting| (*setting).to_owned()).collect();
        let wal_volume = config.has_wal_volume.then(|| WalVolume::create(folder.path(), user));
        let faults = config.has_storage_faults.then(|| StorageFaults::prepare(folder.path(), user));
        let (port, server) = (ReservedPort::of(12_000..16_000), Mutex::new(None));
        Self { wal_volume, faults, folder, binaries, user, port, settings, server }
    }

    async fn create_template() -> Self {
        let cluster = Self::prepare(ClusterConfig::default());
        cluster.initialize().await;
        cluster.stop("fast").await;
        cluster
    }

    /// Creates the data folder and the databases, and starts the server.
    async fn initialize(&self) {
        let password = self.file("password");
        std::fs::write(&password, &*PASSWORD).unwrap();
        if let Some((uid, gid)) = self.user {
            chown(&password, Some(uid), Some(gid)).unwrap();
        }
        let mut initdb = self.program("initdb");
        if let Some(wal_volume) = &self.wal_volume {
            // Small segments, so that new ones are often needed.
            initdb.arg("--wal-segsize=1").arg("--waldir").arg(wal_volume.folder());
        }
        initdb.arg("-D").arg(self.data()).arg("--pwfile").arg(&password);
        initdb.args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]);
        let made = initdb.args(["--data-checksums", "--no-sync", "--no-instructions"]).output().unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        self.start_server().await;
        for database in ["chaos", "other"] {
            let create = AssertSqlSafe(format!("create database {database}"));
            sqlx::query(create).execute(&mut self.owner_of("postgres").await).await.unwrap();
        }
        MIGRATIONS.run(&mut self.owner().await).await.unwrap();
    }

    /// The faults of its storage and its clock, of a cluster that was configured to have them.
    pub fn storage_faults(&self) -> &StorageFaults {
        self.faults.as_ref().expect("a cluster with `has_storage_faults`")
    }

    /// The volume of its WAL, of a cluster that was configured to have one.
    pub fn wal_volume(&self) -> &WalVolume {
        self.wal_volume.as_ref().expect("a cluster with `has_wal_volume`")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A program of PostgreSQL, such as `pg_dump`, to be run as the user who owns the cluster.
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.binaries.join(name));
        // That user may not be allowed to enter the checkout.
        command.current_dir("/").env_clear().env("LC_ALL", "C").stdin(Stdio::null());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// The port that the server listens on.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// A path in the cluster's folder, for files of the test.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The URL of the database `chaos` through another port, such as that of a proxy.
    pub fn url_through(&self, port: u16) -> String {
        format!("postgres://postgres:{}@127.0.0.1:{port}/chaos?sslmode=disable", *PASSWORD)
    }

    /// The URL of the database `chaos`, with all rights.
    pub fn url(&self) -> String {
        self.url_through(self.port())
    }

    /// Opens a pool with the rights of the application.
    pub async fn application(&self) -> PgPool {
        connect_patiently(&self.url(), 4).await
    }

    /// Opens a connection with all rights to the database `chaos`. Waits until the server accepts it.
    pub async fn owner(&self) -> PgConnection {
        self.owner_of("chaos").await
    }

    /// Opens a connection with all rights to a database. Waits until the server accepts it.
    pub async fn owner_of(&self, database: &str) -> PgConnection {
        let options = PgConnectOptions::from_str(&self.url()).unwrap().database(database);
        let deadline = Instant::now() + TIMEOUT;
        loop {
            match options.connect().await {
                Ok(connection) => return connection,
                Err(error) => assert!(Instant::now() < deadline, "no connection: {error}\n{}", self.log_tail()),
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Starts the server and waits until it accepts connections.
    pub async fn start_server(&self) {
        let log = std::fs::File::options().create(true).append(true).open(self.file("postgres.log")).unwrap();
        let mut command = self.program("postgres");
        command.arg("-D").arg(self.data()).args(["-p", &self.port().to_string()]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        if let Some(faults) = &self.faults {
            command.envs(faults.environment());
        }
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        *self.server.lock().unwrap() = Some(child);
        self.owner_of("postgres").await.close().await.unwrap();
    }

    /// Runs `pg_ctl stop -m immediate`: every process exits at once, without a checkpoint.
    pub async fn stop_immediately(&self) {
        self.stop("immediate").await;
    }

    async fn stop(&self, mode: &str) {
        let mut stop = self.program("pg_ctl");
        stop.args(["stop", "-m", mode, "-D"]).arg(self.data()).stdout(Stdio::null());
        let stopped = tokio::task::spawn_blocking(move || stop.status().unwrap()).await.unwrap();
        assert!(stopped.success(), "pg_ctl stop failed\n{}", self.log_tail());
        let server = self.server.lock().unwrap().take();
        server.unwrap().wait().unwrap();
    }

    /// Waits until the server accepts connections again, and starts it if it has exited.
    pub async fn ensure_running(&self) {
        let deadline = Instant::now() + TIMEOUT;
        let options = PgConnectOptions::from_str(&self.url()).unwrap().database("postgres");
        loop {
            let has_ended =
                self.server.lock().unwrap().as_mut().is_some_and(|server| server.try_wait().unwrap().is_some());
            if has_ended {
                return self.start_server().await;
            }
            if options.connect().await.is_ok() {
                return;
            }
            assert!(Instant::now() < deadline, "the server does not recover\n{}", self.log_tail());
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// How many times a text occurs in the server's log.
    pub fn count_in_log(&self, what: &str) -> usize {
        std::fs::read_to_string(self.file("postgres.log")).unwrap_or_default().matches(what).count()
    }

    /// The last 20 lines of the server's log.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(self.file("postgres.log")).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let Some(mut server) = self.server.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take() else {
            return;
        };
        send_signal(server.id(), rustix::process::Signal::QUIT);
        let deadline = Instant::now() + Duration::from_secs(10);
        while server.try_wait().is_ok_and(|ended| ended.is_none()) {
            if Instant::now() > deadline {
                drop(server.kill());
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }
}

/// The programs of the newest PostgreSQL where Debian installs it, or of the one in `PATH`.
fn binaries() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = folders.filter_map(|folder| Some((folder.file_name().to_str()?.parse::<u32>().ok()?, folder.path())));
    let in_path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&in_path).find(|folder| folder.join("initdb").exists());
    let debian = debian.map(|(version, folder)| (version, folder.join("bin")));
    let newest = debian.filter(|(_, folder)| folder.join("initdb").exists()).max();
    newest.map(|(_, folder)| folder).or(in_path).expect("PostgreSQL's server is not installed (Debian: postgresql)")
}

/// User and group that run the server if this process is root.
fn server_user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = std::fs::read_to_string(Path::new("/etc/passwd")).unwrap();
    let find = |name: &str| {
        let mut fields = users.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?.split(':').skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    Some(find("postgres").or_else(|| find("nobody")).expect("root needs the user postgres or nobody"))
}
