//! Imports under pressure: large input, a small or busy connection pool, and closed output.

use crate::import::{import, line, many_calls};

use apex::rooms::Rooms;
use domain::price_book::PriceBook;
use ingest::{Defaults, Format, ImportOutcome, Importer, prices, read_records};
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;
use std::io::Write;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use testkit::{POLL_INTERVAL, TIMEOUT, TestDatabase, memory_kb};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

/// The most memory that an import of any file allocates, in kB: a line of 16 MiB, what was looked at before it, and what is around
/// them or is free and still with the allocator, of which there may be as much again. One that holds a line of 300 MB has more than
/// this for the line alone.
const MAX_IMPORT_KB: u64 = 200_000;

#[tokio::test]
async fn a_line_of_300_mb_is_refused_without_being_buffered() {
    let database = TestDatabase::new().await;
    let mut child =
        database.apex(&["import", "autogpt", "-", "--format", "json"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let pid = child.id().unwrap();
    let feeding = tokio::spawn(async move {
        let megabyte = vec![b'x'; 1_000_000];
        let mut peak_kb = 0;
        for _ in 0..300 {
            stdin.write_all(&megabyte).await.unwrap();
            peak_kb = peak_kb.max(memory_kb(pid, "RssAnon"));
        }
        let last = line("good", "10", "0.1");
        stdin.write_all(format!("\n{last}\n").as_bytes()).await.unwrap();
        peak_kb
    });
    let output = tokio::time::timeout(TIMEOUT, child.wait_with_output()).await.unwrap().unwrap();
    let peak_kb = feeding.await.unwrap();
    assert_eq!(output.status.code(), Some(3));
    let counts: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&counts[0]["imported"], &counts[0]["refused"]), (&json!(1), &json!(1)));
    assert!(String::from_utf8_lossy(&output.stderr).contains("line 1: the line is longer than 16777216 bytes"));
    assert!(peak_kb < MAX_IMPORT_KB, "{peak_kb} kB were allocated at the peak");
}

/// Waits until a statement waits for a lock with this `wait_event` of `pg_stat_activity`.
async fn until_blocked(owner: &mut sqlx::PgConnection, kind: &str) {
    let deadline = std::time::Instant::now() + TIMEOUT;
    let find = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
        and wait_event = $1 and state = 'active'";
    loop {
        let blocked: i64 = sqlx::query_scalar(find).bind(kind).fetch_one(&mut *owner).await.unwrap();
        if blocked > 0 {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "no statement waits for a lock");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// The log and the commands on a pool of two connections with a short acquire timeout.
async fn rooms_on_a_small_pool(database: &TestDatabase, acquire_timeout: Duration) -> Rooms {
    let options = (*database.pool.connect_options()).clone();
    let pool = PgPoolOptions::new().max_connections(2).acquire_timeout(acquire_timeout).connect_with(options);
    Rooms::on(pool.await.unwrap(), testkit::operator()).await.unwrap()
}

/// Many concurrent loads, as in an import, queue before the pool, whose acquire timeout would fail them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_loads_do_not_time_out_on_a_small_pool() {
    const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(4);
    let database = TestDatabase::new().await;
    import(&database, "autogpt.jsonl").await.assert_success();
    let rooms = rooms_on_a_small_pool(&database, ACQUIRE_TIMEOUT).await;
    let (mut owner, mut locker) = (database.owner().await, database.owner().await);
    sqlx::query("begin").execute(&mut locker).await.unwrap();
    sqlx::query("lock table apex.events in access exclusive mode").execute(&mut locker).await.unwrap();
    let mut loads = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let commands = rooms.commands.clone();
        loads.spawn(async move { commands.load::<PriceBook>(&testkit::operator(), PriceBook::id()).await });
    }
    until_blocked(&mut owner, "relation").await;
    // The database is slower than the acquire timeout.
    tokio::time::sleep(ACQUIRE_TIMEOUT * 2).await;
    sqlx::query("rollback").execute(&mut locker).await.unwrap();
    for loaded in loads.join_all().await {
        assert!(loaded.unwrap().version.get() > 10);
    }
    rooms.close().await.unwrap();
}

/// All connections are in use until the import reports that it waits for one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_waits_while_the_pool_is_exhausted() {
    let database = TestDatabase::new().await;
    let rooms = rooms_on_a_small_pool(&database, Duration::from_secs(4)).await;
    let prices = prices::load_or_init(&rooms.commands, &testkit::operator()).await.unwrap();
    let held = Arc::new(Mutex::new(Vec::new()));
    let waits = Arc::new(AtomicUsize::new(0));
    let (released, counted) = (held.clone(), waits.clone());
    let importer = Importer::new(rooms.commands.clone(), testkit::operator(), prices, Uuid::now_v7().into());
    let importer = importer.on_retry(Arc::new(move |error| {
        assert!(error.to_string().contains("cannot be read"), "{error}");
        counted.fetch_add(1, Ordering::Relaxed);
        released.lock().unwrap().clear();
    }));
    let import_line = async || {
        let input = std::io::Cursor::new(line("a", "10", "0.1"));
        let record = read_records(Format::Autogpt, Defaults::default(), Box::new(input)).unwrap().next();
        importer
            .prepare(record.unwrap().unwrap().into_records().remove(0).unwrap())
            .await
            .unwrap()
            .send()
            .await
            .unwrap()
            .outcome
    };
    assert_eq!(import_line().await, ImportOutcome::Imported);
    for _ in 0..2 {
        let connection = rooms.pool.acquire().await.unwrap();
        held.lock().unwrap().push(connection);
    }
    assert_eq!(import_line().await, ImportOutcome::Duplicate);
    assert!(waits.load(Ordering::Relaxed) > 0, "the import did not wait: the test proves nothing");
    rooms.close().await.unwrap();
}

/// The appender, the tail, the read models and the reads of an import share one connection limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_stays_within_its_connection_limit() {
    const LIMIT: usize = 8;
    let database = TestDatabase::new().await;
    let file = many_calls(1000);
    let path = file.path().to_str().unwrap();
    let mut owner = database.owner().await;
    // Autovacuum has no part in the limit.
    let own = "select pid from pg_stat_activity where datname = current_database() and backend_type = 'client backend'";
    let mut peak = 0;
    // In the second run every record is a duplicate, which takes a read.
    for _ in 0..2 {
        let before: Vec<i32> = sqlx::query_scalar(own).fetch_all(&mut owner).await.unwrap();
        let mut command = database.apex(&["import", "autogpt", path]);
        let mut child = command.env("APEX_DATABASE_CONNECTIONS", LIMIT.to_string()).spawn().unwrap();
        while child.try_wait().unwrap().is_none() {
            let now: Vec<i32> = sqlx::query_scalar(own).fetch_all(&mut owner).await.unwrap();
            peak = peak.max(now.iter().filter(|pid| !before.contains(pid)).count());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(child.wait().await.unwrap().code(), Some(0));
    }
    assert!(peak > 2, "only {peak} connections were seen: the test proves nothing");
    assert!(peak <= LIMIT, "{peak} connections, but the limit is {LIMIT}");
}

#[tokio::test]
async fn a_closed_stderr_or_stdout_does_not_stop_a_command() {
    let database = TestDatabase::new().await;
    let mut file = many_calls(50);
    for n in 0..30 {
        writeln!(file, "{}", line(&format!("bad-{n}"), "-1", "0.1")).unwrap();
    }
    for n in 0..50 {
        writeln!(file, "{}", line(&format!("later-{n}"), "1000", "0.003")).unwrap();
    }
    let path = file.path().to_str().unwrap();
    let closed_error = async |arguments: &[&str]| {
        let mut child = database.apex(arguments).stdout(Stdio::null()).spawn().unwrap();
        drop(child.stderr.take());
        tokio::time::timeout(TIMEOUT, child.wait()).await.unwrap().unwrap().code()
    };
    // Refusals, log messages and an error message are written to a closed stderr.
    assert_eq!(closed_error(&["import", "autogpt", path]).await, Some(3));
    assert_eq!(database.total().await["calls"], 100);
    assert_eq!(closed_error(&["report", "cost", "--log", "debug"]).await, Some(0));
    assert_eq!(closed_error(&["import", "autogpt", "/no/such/file"]).await, Some(1));

    for arguments in [&["report", "cost"][..], &["import", "autogpt", path], &["replay"]] {
        let mut child = database.apex(arguments).spawn().unwrap();
        drop(child.stdout.take());
        let output = tokio::time::timeout(TIMEOUT, child.wait_with_output()).await.unwrap().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        let code = if arguments[0] == "import" { 3 } else { 0 };
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("panicked") && !stderr.contains("Broken pipe"), "{arguments:?}: {stderr}");
    }
}

/// 40 MB of empty objects, which compress to a hundredth of that.
#[tokio::test]
async fn a_file_of_empty_objects_is_read_in_bounded_memory() {
    let database = TestDatabase::new().await;
    let mut child = database.apex(&["import", "otlp", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let pid = child.id().unwrap();
    let feeding = tokio::spawn(async move {
        // The line break makes the import read the file as one document.
        stdin.write_all(b"{\"resourceSpans\": [\n").await.unwrap();
        let (megabyte, mut peak_kb) = ("{},".repeat(333_333), 0);
        for _ in 0..40 {
            stdin.write_all(megabyte.as_bytes()).await.unwrap();
            // The process has read everything except what the pipe buffers.
            peak_kb = peak_kb.max(memory_kb(pid, "RssAnon"));
        }
        stdin.write_all(b"{}]}").await.unwrap();
        peak_kb
    });
    let output = tokio::time::timeout(3 * TIMEOUT, child.wait_with_output()).await.unwrap().unwrap();
    let peak_kb = feeding.await.unwrap();
    assert!(peak_kb < MAX_IMPORT_KB, "{peak_kb} kB were allocated at the peak");
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_import_counts_what_it_has_recorded() {
    let database = TestDatabase::new().await;
    let rooms = database.rooms().await;
    let prices = prices::load_or_init(&rooms.commands, &testkit::operator()).await.unwrap();
    let mut importer = Importer::new(rooms.commands.clone(), testkit::operator(), prices, Uuid::now_v7().into());
    // The pipe stays open: without the cancellation the import would wait for the next line.
    let (reader, mut writer) = std::io::pipe().unwrap();
    std::io::Write::write_all(&mut writer, format!("{}\n", line("a", "10", "0.1")).as_bytes()).unwrap();
    let source = ingest::Source { format: Format::Autogpt, defaults: Defaults::default(), reader: Box::new(reader) };
    let (sender, recorded) = tokio::sync::oneshot::channel();
    let mut sender = Some(sender);
    let on_progress = |progress: ingest::Progress<'_>| {
        if let ingest::Progress::Counted(counts) = progress
            && counts.recorded() == 1
            && let Some(sender) = sender.take()
        {
            sender.send(()).unwrap();
        }
    };
    let (mut unpriced, cancel) = (ingest::UnpricedCalls::default(), async { recorded.await.unwrap() });
    let result = ingest::import(&mut importer, source, &mut unpriced, on_progress, cancel).await;
    assert!(matches!(result.stopped, Some(ingest::ImportStopped::Cancelled)), "{result:?}");
    assert_eq!((result.counts.recorded(), result.counts.refused), (1, 0));
    drop(writer);
    rooms.close().await.unwrap();
}
