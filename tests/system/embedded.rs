//! The embedded PostgreSQL cluster and its life cycle. Several guards in one process act like several processes, since
//! `flock` belongs to the open file; tests that need a separate process run [`child`] in one.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use apex::embedded::{Embedded, EmbeddedError};
use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;

const CHILD_HOME: &str = "APEX_TEST_EMBEDDED_HOME";

#[tokio::test]
async fn data_survives_a_restart_and_secrets_stay_private() {
    let home = TestHome::new();
    let first = home.start().await;
    let pid = postmaster(first.data_dir());
    execute(&first, "CREATE TABLE kept AS SELECT 42 AS answer").await;
    assert_eq!(query(&first, "SHOW data_checksums").await, "on");
    assert_eq!(query(&first, "SHOW server_encoding").await, "UTF8");
    assert_eq!(query(&first, "SHOW listen_addresses").await, "127.0.0.1");
    assert_eq!(query(&first, "SHOW unix_socket_directories").await, "");
    assert_eq!(query(&first, "SHOW fsync").await, "on");
    assert_eq!(query(&first, "SHOW timezone").await, "UTC");

    let password = fs::read_to_string(home.path().join("password")).unwrap();
    assert!(first.url().contains(&password));
    assert!(!format!("{first:?}").contains(&password));
    for secret in ["password", "postgres.log"] {
        assert_eq!(mode(&home.path().join(secret)), 0o600, "{secret}");
    }
    assert_eq!(mode(first.data_dir()), 0o700);
    assert!(!home.path().join("data.pw").exists());
    let wrong = first.url().replace(&password, "wrong");
    assert!(PgConnection::connect(&wrong).await.is_err(), "a wrong password is accepted");

    first.stop().await.unwrap();
    assert_gone(pid);
    let second = home.start().await;
    assert_eq!(query(&second, "SELECT answer::text FROM kept").await, "42");
    second.stop().await.unwrap();
}

#[tokio::test]
async fn only_the_last_process_stops_the_server() {
    let home = TestHome::new();
    // Concurrently on an empty home: one creates the cluster, the other waits and joins.
    let (first, second) = tokio::join!(home.start(), home.start());
    assert_eq!(first.url(), second.url());
    let pid = postmaster(first.data_dir());
    first.stop().await.unwrap();
    assert!(is_running(pid));
    assert_eq!(query(&second, "SELECT 'still here'").await, "still here");
    drop(second);
    // Dropping the guard stops the server like `stop`.
    assert_gone(pid);
}

#[tokio::test]
async fn concurrent_starts_and_stops_always_find_a_server() {
    let home = TestHome::new();
    home.start().await.stop().await.unwrap();
    let users: Vec<_> = (0..4)
        .map(|user| {
            let path = home.path();
            tokio::spawn(async move {
                for round in 0..4 {
                    let guard = Embedded::start(&path).await.unwrap();
                    assert_eq!(query(&guard, "SELECT 'here'").await, "here");
                    // Different pauses, so that starts coincide with stops.
                    tokio::time::sleep(Duration::from_millis(40 * ((user + round) % 3))).await;
                    guard.stop().await.unwrap();
                }
            })
        })
        .collect();
    for user in users {
        user.await.unwrap();
    }
    assert!(!home.path().join("data/postmaster.pid").exists());
}

#[tokio::test]
async fn processes_share_one_server() {
    let home = TestHome::new();
    let mut children = [TestChild::spawn(&home), TestChild::spawn(&home)];
    let pids = children.each_mut().map(TestChild::wait_ready);
    assert_eq!(pids[0], pids[1]);
    let [first, second] = children;
    first.finish();
    assert!(is_running(pids[0]));
    second.finish();
    assert_gone(pids[0]);
}

#[tokio::test]
async fn a_killed_process_leaves_a_server_that_the_next_one_adopts() {
    let home = TestHome::new();
    let mut child = TestChild::spawn(&home);
    let pid = child.wait_ready();
    child.kill();
    assert!(is_running(pid));
    let next = home.start().await;
    assert_eq!(postmaster(next.data_dir()), pid);
    next.stop().await.unwrap();
    assert_gone(pid);
}

#[tokio::test]
async fn a_process_killed_during_cluster_creation_leaves_a_usable_home() {
    for killed_after_ms in [150, 500, 900] {
        let home = TestHome::new();
        let child = TestChild::spawn(&home);
        sleep(Duration::from_millis(killed_after_ms));
        child.kill();
        let next = home.start().await;
        assert_eq!(query(&next, "SELECT 'whole'").await, "whole");
        assert!(!home.path().join("data.new").exists());
        next.stop().await.unwrap();
    }
}

#[tokio::test]
async fn ctrl_c_in_the_terminal_does_not_reach_the_server() {
    let home = TestHome::new();
    let mut child = TestChild::spawn(&home);
    let pid = child.wait_ready();
    signal("INT", &format!("-{}", child.process.id()));
    child.process.wait().unwrap();
    assert!(is_running(pid));
    let next = home.start().await;
    assert_eq!(postmaster(next.data_dir()), pid);
    next.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_is_recovered_on_the_same_port() {
    let home = TestHome::new();
    let living = home.start().await;
    execute(&living, "CREATE TABLE kept AS SELECT 42 AS answer").await;
    // A busy backend outlives its postmaster; the next server must wait for it.
    let begun = Instant::now();
    let mut busy = PgConnection::connect(living.url()).await.unwrap();
    let orphan = tokio::spawn(async move {
        let compute = "DO $$ DECLARE t timestamptz := clock_timestamp() + '4 s';
                       BEGIN WHILE clock_timestamp() < t LOOP END LOOP; END $$";
        busy.execute(compute).await
    });
    let pid = postmaster(living.data_dir());
    wait_until("the statement runs", || children_of(pid).lines().any(|args| args.trim_end().ends_with(" DO")));
    signal("KILL", &pid.to_string());
    assert_gone(pid);

    let next = home.start().await;
    assert!(begun.elapsed() >= Duration::from_secs(4), "the start did not wait for the orphaned backend");
    assert_ne!(postmaster(next.data_dir()), pid);
    assert_eq!(living.url(), next.url(), "the port changed although a process still uses it");
    assert_eq!(query(&living, "SELECT answer::text FROM kept").await, "42");
    drop(orphan);
    living.stop().await.unwrap();
    next.stop().await.unwrap();
}

#[tokio::test]
async fn a_stale_pid_file_does_not_prevent_a_start() {
    let home = TestHome::new();
    let guard = home.start().await;
    let data = guard.data_dir().to_owned();
    guard.stop().await.unwrap();

    // The process id and the port in the file have been reused by other processes.
    let owner = fs::metadata(&data).unwrap();
    let mut other = Command::new("sleep");
    other.arg("600").current_dir("/");
    if owner.uid() != fs::metadata(home.path()).unwrap().uid() {
        other.uid(owner.uid()).gid(owner.gid());
    }
    let mut other = other.spawn().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for stale in [
        format!("{}\n{}\n1\n{port}\n\n127.0.0.1\n 1 1\nready\n", other.id(), data.display()),
        // A power failure can leave the file empty.
        String::new(),
    ] {
        fs::write(data.join("postmaster.pid"), stale).unwrap();
        let guard = home.start().await;
        assert!(!guard.url().contains(&format!(":{port}/")));
        assert_eq!(query(&guard, "SELECT 'up'").await, "up");
        guard.stop().await.unwrap();
    }
    assert!(is_running(other.id()), "an unrelated process was killed");
    other.kill().unwrap();
    other.wait().unwrap();
}

#[tokio::test]
async fn no_second_server_starts_on_a_data_folder_in_use_elsewhere() {
    let home = TestHome::new();
    let guard = home.start().await;
    let pid_file = guard.data_dir().join("postmaster.pid");
    // In another container the process id in the file does not exist.
    let whole = fs::read_to_string(&pid_file).unwrap();
    let (pid, rest) = whole.split_once('\n').unwrap();
    let hidden = format!("4194305\n{rest}");
    fs::write(&pid_file, &hidden).unwrap();
    let error = Embedded::start(&home.path()).await.expect_err("a second server was started");
    assert!(matches!(error, EmbeddedError::ServerOutOfReach { .. }), "{error}");
    fs::write(&pid_file, &whole).unwrap();
    assert!(is_running(pid.parse().unwrap()));
    assert_eq!(query(&guard, "SELECT 'unharmed'").await, "unharmed");
    guard.stop().await.unwrap();
}

#[tokio::test]
async fn data_is_placed_where_the_server_user_has_access() {
    let home = TestHome::new();
    fs::set_permissions(home.dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let is_root = fs::metadata(home.dir.path()).unwrap().uid() == 0;
    let guard = home.start().await;
    let data = guard.data_dir().to_owned();
    execute(&guard, "CREATE TABLE kept AS SELECT 42 AS answer").await;
    guard.stop().await.unwrap();
    // A second start must find the data where the first one put it.
    let guard = home.start().await;
    assert_eq!(query(&guard, "SELECT answer::text FROM kept").await, "42");
    guard.stop().await.unwrap();

    assert_eq!(data.starts_with(home.path().canonicalize().unwrap()), !is_root);
    assert_eq!(mode(&data), 0o700);
    if is_root {
        assert_ne!(fs::metadata(&data).unwrap().uid(), 0);
        assert_eq!(mode(data.parent().unwrap()), 0o711);
        let location = fs::read_to_string(home.path().join("data-location")).unwrap();
        assert_eq!(Path::new(&location), data);
        fs::remove_dir_all(&data).unwrap();
        let error = Embedded::start(&home.path()).await.expect_err("a new cluster was created silently");
        assert!(matches!(error, EmbeddedError::DataMissing { .. }), "{error}");
    }
}

#[tokio::test]
async fn errors_about_postgresql_binaries_include_a_remedy() {
    let home = TestHome::new();
    let empty = tempfile::tempdir().unwrap();
    let error = Embedded::start_with(&home.path(), Some(empty.path())).await.expect_err("no programs");
    assert!(matches!(error, EmbeddedError::BinariesUnusable { .. }), "{error}");
    assert!(error.to_string().contains("APEX_PG_BIN"), "{error}");

    let guard = home.start().await;
    let version = guard.data_dir().join("PG_VERSION");
    guard.stop().await.unwrap();
    fs::write(&version, "9\n").unwrap();
    let error = Embedded::start(&home.path()).await.expect_err("another version");
    assert!(matches!(error, EmbeddedError::VersionMismatch { .. }), "{error}");
    assert!(error.to_string().contains("Install PostgreSQL 9"), "{error}");
}

#[tokio::test]
async fn apex_pg_bin_selects_the_postgresql_binaries() {
    let home = TestHome::new();
    let mut command = TestChild::command(&home);
    let output = command.env("APEX_PG_BIN", "/nowhere").stdin(Stdio::null()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(stderr.contains("BinariesUnusable") && stderr.contains("/nowhere"), "{stderr}");
}

#[tokio::test]
async fn a_failed_start_reports_the_server_log_and_can_be_retried() {
    let home = TestHome::new();
    let guard = home.start().await;
    let conf = guard.data_dir().join("postgresql.conf");
    guard.stop().await.unwrap();
    let settings = fs::read_to_string(&conf).unwrap();
    fs::write(&conf, format!("{settings}\nno_such_setting = 1\n")).unwrap();
    let error = Embedded::start(&home.path()).await.expect_err("a bad setting");
    assert!(matches!(error, EmbeddedError::StartFailed { .. }), "{error}");
    assert!(error.to_string().contains("no_such_setting"), "{error}");
    fs::write(&conf, settings).unwrap();
    home.start().await.stop().await.unwrap();
}

#[tokio::test]
async fn a_missing_or_wrong_password_is_a_specific_error() {
    let home = TestHome::new();
    home.start().await.stop().await.unwrap();
    let file = home.path().join("password");
    fs::write(&file, "wrong").unwrap();
    let error = Embedded::start(&home.path()).await.expect_err("a wrong password");
    assert!(matches!(error, EmbeddedError::PasswordRejected { .. }), "{error}");
    assert!(!home.path().join("data/postmaster.pid").exists(), "the server was left running");
    fs::remove_file(&file).unwrap();
    let error = Embedded::start(&home.path()).await.expect_err("no password");
    assert!(matches!(error, EmbeddedError::PasswordMissing { .. }), "{error}");
}

#[tokio::test]
async fn a_home_that_others_can_write_to_is_refused() {
    let home = TestHome::new();
    fs::create_dir(home.path()).unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let error = Embedded::start(&home.path()).await.expect_err("a world-writable home");
    assert!(matches!(error, EmbeddedError::HomeUnusable { .. }), "{error}");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);

    let odd = home.dir.path().join("a$(touch x)");
    let error = Embedded::start(&odd).await.expect_err("a path that a shell would run");
    assert!(matches!(error, EmbeddedError::HomeUnusable { .. }), "{error}");
}

#[tokio::test]
async fn a_dropped_database_is_recreated() {
    let home = TestHome::new();
    let guard = home.start().await;
    let maintenance = guard.url().replace("/apex?", "/postgres?");
    let mut connection = PgConnection::connect(&maintenance).await.unwrap();
    sqlx::query("DROP DATABASE apex").execute(&mut connection).await.unwrap();
    let again = home.start().await;
    assert_eq!(query(&again, "SELECT current_database()::text").await, "apex");
    again.stop().await.unwrap();
    guard.stop().await.unwrap();
}

/// Not a test: uses the cluster in a separate process until its stdin is closed.
#[tokio::test]
#[ignore = "the tests above run it"]
async fn child() {
    let Some(home) = std::env::var_os(CHILD_HOME) else {
        return;
    };
    let guard = Embedded::start(Path::new(&home)).await.unwrap();
    // Written to stdout directly, which the test harness does not capture.
    writeln!(std::io::stdout(), "ready {}", postmaster(guard.data_dir())).unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    guard.stop().await.unwrap();
}

/// A temporary home folder, accessible to the user that runs the server.
struct TestHome {
    dir: TempDir,
}

impl TestHome {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
        Self { dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    async fn start(&self) -> Embedded {
        Embedded::start(&self.path()).await.unwrap()
    }
}

/// [`child`] in a process group of its own, as a shell would start it.
struct TestChild {
    process: Child,
}

impl TestChild {
    fn command(home: &TestHome) -> Command {
        // Children of a background process inherit that SIGINT is ignored; in a terminal it is not.
        let mut command = Command::new("env");
        command.arg("--default-signal=INT").arg(std::env::current_exe().unwrap());
        command.args(["embedded::child", "--exact", "--ignored", "--nocapture"]);
        command.env(CHILD_HOME, home.path()).process_group(0);
        command
    }

    fn spawn(home: &TestHome) -> Self {
        let process = Self::command(home).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        Self { process }
    }

    /// Waits until the child uses the cluster, and returns the process id of the postmaster.
    fn wait_ready(&mut self) -> u32 {
        let stdout = self.process.stdout.as_mut().unwrap();
        for line in BufReader::new(stdout).lines() {
            if let Some((_, pid)) = line.unwrap().split_once("ready ") {
                return pid.parse().unwrap();
            }
        }
        panic!("the child exited before it was ready");
    }

    fn finish(mut self) {
        drop(self.process.stdin.take());
        // The child still prints the summary of the test harness.
        let mut rest = String::new();
        self.process.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
        assert!(self.process.wait().unwrap().success(), "{rest}");
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for TestChild {
    /// Stops the child after a failed test; otherwise it has exited already.
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        self.process.wait().ok();
    }
}

async fn query(guard: &Embedded, sql: &'static str) -> String {
    let mut connection = PgConnection::connect(guard.url()).await.unwrap();
    sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
}

async fn execute(guard: &Embedded, sql: &'static str) {
    let mut connection = PgConnection::connect(guard.url()).await.unwrap();
    sqlx::query(sql).execute(&mut connection).await.unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

fn postmaster(data: &Path) -> u32 {
    let file = fs::read_to_string(data.join("postmaster.pid")).unwrap();
    file.lines().next().unwrap().parse().unwrap()
}

/// Whether a process runs; a zombie does not.
fn is_running(pid: u32) -> bool {
    let state = ps(&["-o", "stat=", "-p", &pid.to_string()]);
    !state.is_empty() && !state.starts_with('Z')
}

#[track_caller]
fn assert_gone(pid: u32) {
    // The postmaster has released all resources, but may still be exiting.
    wait_until("the postmaster is gone", || !is_running(pid));
}

fn children_of(pid: u32) -> String {
    ps(&["-o", "args=", "--ppid", &pid.to_string()])
}

fn ps(args: &[&str]) -> String {
    let output = Command::new("ps").args(args).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn signal(name: &str, target: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), "--", target]).status().unwrap();
    assert!(status.success());
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + testkit::TIMEOUT;
    while !condition() {
        assert!(Instant::now() < deadline, "timed out waiting until {what}");
        sleep(Duration::from_millis(20));
    }
}
