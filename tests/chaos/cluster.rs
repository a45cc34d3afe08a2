//! A PostgreSQL cluster of one run, so that it can be struck without hurting anybody else.
//!
//! The server is a child of this process and in its process group: whoever ends the group, ends it too.

use crate::strikes::{Strikes, WalRoom};
use apex::database::{MIGRATIONS, connect};
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

/// How long anything may take that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// Everything as in earnest; small, and with frequent checkpoints, so that crashes meet them.
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

/// What is special about a cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Setup {
    /// Further settings, of the form `name=value`.
    pub(crate) settings: &'static [&'static str],
    /// Whether its storage and its clock can be struck.
    pub(crate) has_strikes: bool,
    /// Whether its WAL has a room of its own, which can get too small.
    pub(crate) has_wal_room: bool,
    /// A bug, as the owner plants it.
    pub(crate) bug: Option<&'static str>,
}

pub(crate) struct Cluster {
    /// Before the folder, which it lies in.
    room: Option<WalRoom>,
    strikes: Option<Strikes>,
    folder: TempDir,
    binaries: PathBuf,
    /// Whom root lends the server to; PostgreSQL refuses to run as root.
    user: Option<(u32, u32)>,
    port: u16,
    settings: Vec<String>,
    server: Mutex<Option<Child>>,
}

/// The password of all clusters of this process.
static PASSWORD: LazyLock<String> = LazyLock::new(|| Uuid::new_v4().simple().to_string());
/// A stopped cluster with a migrated database, which the others are copies of; none once the process is about to end.
static TEMPLATE: OnceLock<Mutex<Option<Cluster>>> = OnceLock::new();

/// Removes what all runs had in common.
pub(crate) fn clean_up() {
    if let Some(template) = TEMPLATE.get() {
        drop(template.lock().unwrap().take());
    }
}

impl Cluster {
    /// A running cluster with a migrated database `chaos`, and others.
    pub(crate) async fn start(setup: Setup) -> Self {
        let cluster = Self::prepare(setup);
        if cluster.room.is_some() {
            cluster.initialize().await;
        } else {
            cluster.copy_template();
            cluster.start_server().await;
        }
        if let Some(bug) = setup.bug {
            sqlx::raw_sql(bug).execute(&mut cluster.owner().await).await.unwrap();
        }
        cluster
    }

    fn copy_template(&self) {
        let template = TEMPLATE.get_or_init(|| {
            let made = std::thread::spawn(|| crate::runtime().block_on(Self::make_template()));
            Mutex::new(Some(made.join().expect("a cluster can be made")))
        });
        let copied = {
            let template = template.lock().unwrap();
            Command::new("cp").arg("-a").arg(template.as_ref().unwrap().data()).arg(self.data()).status()
        };
        assert!(copied.unwrap().success());
    }

    /// Without data and server.
    fn prepare(setup: Setup) -> Self {
        let (binaries, user) = (binaries(), lent_user());
        let folder = tempfile::Builder::new().prefix("apex-chaos-").tempdir().unwrap();
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid)).unwrap();
        }
        let settings = SETTINGS.iter().chain(setup.settings).map(|setting| (*setting).to_owned()).collect();
        let room = setup.has_wal_room.then(|| WalRoom::make(folder.path(), user));
        let strikes = setup.has_strikes.then(|| Strikes::prepare(folder.path(), user));
        let (port, server) = (free_port(), Mutex::new(None));
        Self { room, strikes, folder, binaries, user, port, settings, server }
    }

    async fn make_template() -> Self {
        let cluster = Self::prepare(Setup::default());
        cluster.initialize().await;
        cluster.stop("fast").await;
        cluster
    }

    /// Makes its data, and starts it.
    async fn initialize(&self) {
        let password = self.file("password");
        std::fs::write(&password, &*PASSWORD).unwrap();
        if let Some((uid, gid)) = self.user {
            chown(&password, Some(uid), Some(gid)).unwrap();
        }
        let mut initdb = self.program("initdb");
        if let Some(room) = &self.room {
            // Small files, so that they are often new.
            initdb.arg("--wal-segsize=1").arg("--waldir").arg(room.folder());
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

    /// What strikes its storage and its clock.
    pub(crate) fn strikes(&self) -> &Strikes {
        self.strikes.as_ref().expect("a cluster that was set up for it")
    }

    pub(crate) fn room(&self) -> &WalRoom {
        self.room.as_ref().expect("a cluster that was set up for it")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A program of PostgreSQL, as the user who owns the cluster.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.binaries.join(name));
        // The lent user may not enter the checkout.
        command.current_dir("/").env_clear().env("LC_ALL", "C").stdin(Stdio::null());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// A file for what clients of this run write.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The URL of the log's database, by way of a port.
    pub(crate) fn url_by(&self, port: u16) -> String {
        format!("postgres://postgres:{}@127.0.0.1:{port}/chaos?sslmode=disable", *PASSWORD)
    }

    pub(crate) fn url(&self) -> String {
        self.url_by(self.port)
    }

    /// Connections with the rights of the application.
    pub(crate) async fn application(&self) -> PgPool {
        connect(&self.url().into(), 4).await.unwrap()
    }

    /// A connection with all rights; waits for the server if need be.
    pub(crate) async fn owner(&self) -> PgConnection {
        self.owner_of("chaos").await
    }

    pub(crate) async fn owner_of(&self, database: &str) -> PgConnection {
        let options = PgConnectOptions::from_str(&self.url()).unwrap().database(database);
        let deadline = Instant::now() + PATIENCE;
        loop {
            match options.connect().await {
                Ok(connection) => return connection,
                Err(error) => assert!(Instant::now() < deadline, "no connection: {error}\n{}", self.said()),
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Starts the server and waits until it answers.
    pub(crate) async fn start_server(&self) {
        let log = std::fs::File::options().create(true).append(true).open(self.file("postgres.log")).unwrap();
        let mut command = self.program("postgres");
        command.arg("-D").arg(self.data()).args(["-p", &self.port.to_string()]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        if let Some(strikes) = &self.strikes {
            command.envs(strikes.environment());
        }
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        *self.server.lock().unwrap() = Some(child);
        self.owner_of("postgres").await.close().await.unwrap();
    }

    /// `pg_ctl stop -m immediate`: every process ends where it is, and nothing is written down.
    pub(crate) async fn stop_immediately(&self) {
        self.stop("immediate").await;
    }

    async fn stop(&self, mode: &str) {
        let mut stop = self.program("pg_ctl");
        stop.args(["stop", "-m", mode, "-D"]).arg(self.data()).stdout(Stdio::null());
        let stopped = tokio::task::spawn_blocking(move || stop.status().unwrap()).await.unwrap();
        assert!(stopped.success(), "pg_ctl stop failed\n{}", self.said());
        let server = self.server.lock().unwrap().take();
        server.unwrap().wait().unwrap();
    }

    /// Waits until the server answers again, and starts it anew if it has given up.
    pub(crate) async fn revive(&self) {
        let deadline = Instant::now() + PATIENCE;
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
            assert!(Instant::now() < deadline, "the server does not recover\n{}", self.said());
            tokio::time::sleep(POLL).await;
        }
    }

    /// How often the server has said something.
    pub(crate) fn count_said(&self, what: &str) -> usize {
        std::fs::read_to_string(self.file("postgres.log")).unwrap_or_default().matches(what).count()
    }

    /// The last lines that the server said.
    pub(crate) fn said(&self) -> String {
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
        send(server.id(), rustix::process::Signal::QUIT);
        let deadline = Instant::now() + Duration::from_secs(10);
        while server.try_wait().is_ok_and(|ended| ended.is_none()) {
            if Instant::now() > deadline {
                drop(server.kill());
            }
            std::thread::sleep(POLL);
        }
    }
}

/// Sends a signal to a process; it may just have ended.
pub(crate) fn send(pid: u32, signal: rustix::process::Signal) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).expect("a process id");
    let _ended_already = rustix::process::kill_process(pid, signal);
}

/// The newest PostgreSQL of Debian's places, or the one in the path.
fn binaries() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = folders.filter_map(|folder| Some((folder.file_name().to_str()?.parse::<u32>().ok()?, folder.path())));
    let in_path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&in_path).find(|folder| folder.join("initdb").exists());
    let debian = debian.map(|(version, folder)| (version, folder.join("bin")));
    let newest = debian.filter(|(_, folder)| folder.join("initdb").exists()).max();
    newest.map(|(_, folder)| folder).or(in_path).expect("PostgreSQL's server is not installed (Debian: postgresql)")
}

fn lent_user() -> Option<(u32, u32)> {
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

/// Below the range that the kernel hands out to clients, so that it is still free after a restart.
fn free_port() -> u16 {
    let ports = std::iter::repeat_with(|| rand::random_range(12_000..16_000));
    let is_free = |port: &u16| std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, *port)).is_ok();
    ports.take(100).find(is_free).expect("a free port")
}
