//! Archiving: what leaves the database is in files that were checked, and is read as if it had stayed.

use crate::partitions::{database_with_partitions_of, of_category};
use chrono::TimeDelta;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPool;
use std::error::Error as _;
use std::path::Path;
use std::time::Duration;
use streams::{
    Appended, ArchiveError, Expected, Log, LogConfig, Manifest, Position, ReadError, ReadFilter, RecordedEvent,
    StreamKey, Version,
};
use tempfile::TempDir;
use testkit::{TestDatabase, append, sample, stream, tenant};
use uuid::Uuid;

const NEW: Expected = Expected::Exact(Version::ZERO);

/// A log in partitions of 50, a folder, and all that the log held before any of it was archived.
struct Case {
    database: TestDatabase,
    folder: TempDir,
    events: Vec<RecordedEvent>,
    /// A stream that has events in every partition.
    long: StreamKey,
}

impl Case {
    /// 330 events: six complete partitions, and one that is open. Everybody has read them.
    async fn new() -> Self {
        let database = database_with_partitions_of(50).await.unverified();
        let log = open(&database.pool, None).await;
        let long = StreamKey { tenant: tenant(), category: "task".into(), id: Uuid::new_v4() };
        for round in 0..33 {
            log.append(append(vec![stream(long.id, Expected::Exact(Version::from(2 * round)), 2)])).await.unwrap();
            log.append(append(vec![stream(Uuid::new_v4(), NEW, 5)])).await.unwrap();
            log.append(of_category(if round % 10 == 0 { "memory" } else { "agent" }, 3)).await.unwrap();
        }
        let events = log.read_after(Position::ZERO, &ReadFilter::default(), 10_000).await.unwrap();
        assert_eq!(events.len(), 330);
        let case = Self { database, folder: tempfile::tempdir().unwrap(), events, long };
        case.everybody_is_at(330).await;
        case
    }

    async fn everybody_is_at(&self, position: i64) {
        let names = projections::all().into_iter().flat_map(|projection| {
            let parts = projection.partitioning().parts();
            let name = projection.name();
            (0..parts).map(move |part| if parts > 1 { format!("{name}/{part}") } else { name.to_owned() })
        });
        let names: Vec<_> = names.collect();
        sqlx::query(
            "insert into apex.checkpoints (name, position) select name, $2 from unnest($1::text[]) as name
             on conflict (name) do update set position = $2",
        )
        .bind(names)
        .bind(position)
        .execute(&self.database.pool)
        .await
        .unwrap();
    }

    fn path(&self) -> &str {
        self.folder.path().to_str().unwrap()
    }

    fn arguments<'a>(&'a self, before: &'a str) -> [&'a str; 7] {
        ["log", "archive", "--before", before, "--to", self.path(), "--yes"]
    }

    async fn archive(&self, before: &str) -> testkit::ProgramOutput {
        self.database.run(&self.arguments(before)).await
    }

    /// The log with the archive, and without.
    async fn logs(&self) -> (Log, Log) {
        let path = Some(self.folder.path());
        (open(&self.database.pool, path).await, open(&self.database.pool, None).await)
    }

    /// The first positions of the archives, and of the partitions in the database.
    async fn places(&self) -> (Vec<i64>, Vec<i64>) {
        let archived = "select first_position from apex.archives order by 1";
        let kept = "select from_position from apex.partitions
                    where from_position <= (select position from apex.head) order by 1";
        let get = async |sql: &'static str| sqlx::query_scalar(sql).fetch_all(&self.database.pool).await.unwrap();
        (get(archived).await, get(kept).await)
    }

    /// That no event is lost, wherever it lies.
    async fn assert_whole(&self) {
        let (log, _) = self.logs().await;
        assert_eq!(all(&log, 70).await.unwrap(), self.events);
        self.database.run(&["log", "verify", "--archive", self.path()]).await.assert_success();
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
}

async fn open(pool: &PgPool, archive: Option<&Path>) -> Log {
    let archive = archive.map(Path::to_owned);
    Log::open(pool.clone(), LogConfig { archive, ..LogConfig::default() }).await.unwrap()
}

async fn all(log: &Log, page_events: usize) -> Result<Vec<RecordedEvent>, ReadError> {
    let mut pages = log.pages(Position::ZERO, ReadFilter::default(), page_events);
    let mut events = Vec::new();
    while let Some(page) = pages.next_page().await? {
        events.extend(page);
    }
    Ok(events)
}

#[track_caller]
fn assert_archived<T: std::fmt::Debug>(read: Result<T, ReadError>, positions: (u64, u64)) {
    let error = read.unwrap_err();
    assert!(error.to_string().contains("APEX_ARCHIVE"), "{error}");
    match error {
        ReadError::Archived { from, to, location } => {
            assert_eq!((from.get(), to.get()), positions);
            assert!(location.extension().is_some_and(|extension| extension == "parquet"), "{}", location.display());
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn archived_events_are_read_from_the_files_as_they_were_read_from_the_table() {
    let case = Case::new().await;
    let list = ["log", "archive", "--before", "230", "--to", case.path()];
    let ran = case.database.run(&list).await.assert_success();
    assert!(ran.stderr.contains("Nothing was changed") && ran.stdout.contains("events_000003"), "{}", ran.stdout);
    assert_eq!(case.places().await, (vec![], vec![1, 51, 101, 151, 201, 251, 301]));
    assert_eq!(std::fs::read_dir(case.folder.path()).unwrap().count(), 0);

    case.archive("230").await.assert_success();
    assert_eq!(case.places().await, (vec![1, 51, 101, 151], vec![201, 251, 301]));
    let manifest = std::fs::read_to_string(case.file("events_000001.manifest.json")).unwrap();
    let manifest: Manifest = serde_json::from_str(&manifest).unwrap();
    assert_eq!((manifest.first_position, manifest.last_position, manifest.events), (51, 100, 50));
    assert_eq!(manifest.first_recorded_at, case.events[50].recorded_at);
    assert_eq!(manifest.last_recorded_at, case.events[99].recorded_at);
    assert_eq!(manifest.bytes, std::fs::metadata(case.file("events_000001.parquet")).unwrap().len());
    case.assert_whole().await;

    let events = &case.events;
    let (log, _) = case.logs().await;
    let filters = [
        ReadFilter::default(),
        ReadFilter { tenant: Some(tenant()), ..ReadFilter::default() },
        ReadFilter { category: Some("memory".to_owned()), ..ReadFilter::default() },
        ReadFilter { category: Some("agent".to_owned()), tenant: Some(tenant()), ..ReadFilter::default() },
        ReadFilter { types: vec!["task.started".to_owned()], ..ReadFilter::default() },
        ReadFilter { stream_id: Some(case.long.id), ..ReadFilter::default() },
        ReadFilter { category: Some("nothing".to_owned()), ..ReadFilter::default() },
    ];
    for filter in &filters {
        for (place, limit) in [(0, 7), (0, 1000), (49, 2), (50, 60), (150, 51), (199, 1), (200, 5), (329, 9)] {
            let wanted: Vec<_> = events[place..].iter().filter(|event| filter.matches(event)).take(limit).collect();
            let page = log.read_after(Position::from(place as u64), filter, limit).await.unwrap();
            assert_eq!(page.iter().collect::<Vec<_>>(), wanted, "{filter:?} after {place}");
            let wanted: Vec<_> =
                events[..place].iter().rev().filter(|event| filter.matches(event)).take(limit).collect();
            let page = log.read_before(Position::from(place as u64 + 1), filter, limit).await.unwrap();
            assert_eq!(page.iter().collect::<Vec<_>>(), wanted, "{filter:?} up to {place}");
        }
    }
    let of_stream: Vec<_> = events.iter().filter(|event| event.stream == case.long).collect();
    for (after, limit) in [(0, 100), (0, 3), (9, 5), (38, 10), (40, 4), (41, 2), (66, 5)] {
        let page = log.read_stream(&case.long, Version::from(after as u64), limit).await.unwrap();
        let wanted: Vec<_> = of_stream[after..].iter().take(limit).copied().collect();
        assert_eq!(page.iter().collect::<Vec<_>>(), wanted, "after version {after}");
    }
    let alone = events[1..].iter().find(|event| event.stream != case.long).unwrap();
    let page = log.read_stream(&alone.stream, Version::ZERO, 100).await.unwrap();
    assert!(page.len() >= 3 && page.iter().all(|event| event.stream == alone.stream), "all of it is archived");
    for event in events.iter().step_by(13) {
        for moment in [event.recorded_at, event.recorded_at + TimeDelta::microseconds(1)] {
            let wanted = events.iter().find(|other| other.recorded_at >= moment).map_or(331, |e| e.position.get());
            assert_eq!(log.position_at(moment).await.unwrap().get(), wanted);
        }
    }
    let listed = case.database.run(&["log", "archives", "--format", "json"]).await.assert_success().json();
    assert_eq!(listed.as_array().unwrap().len(), 4);
    assert_eq!((&listed[3]["first_position"], &listed[3]["last_position"]), (&151.into(), &200.into()));
}

#[tokio::test]
async fn without_the_files_a_read_that_needs_them_is_an_error_and_every_other_works() {
    let case = Case::new().await;
    let early = case.logs().await.1;
    early.read_after(Position::ZERO, &ReadFilter::default(), 10).await.unwrap();
    case.archive("230").await.assert_success();
    let everything = ReadFilter::default();
    let rare = ReadFilter { category: Some("memory".to_owned()), ..ReadFilter::default() };
    let none = ReadFilter { category: Some("nothing".to_owned()), ..ReadFilter::default() };
    // One that was open before, and one that was opened since.
    for log in [early, case.logs().await.1] {
        for filter in [&everything, &rare, &none] {
            assert_archived(log.read_after(Position::ZERO, filter, 5).await, (1, 200));
            assert_archived(log.read_after(Position::from(120), filter, 5).await, (121, 200));
            assert_archived(log.read_before(Position::from(90), filter, 5).await, (1, 89));
        }
        assert_archived(log.read_before(Position::from(331), &rare, 50).await, (1, 200));
        assert_archived(log.read_before(Position::from(210), &everything, 10).await, (1, 200));
        assert_archived(log.read_stream(&case.long, Version::ZERO, 5).await, (1, 200));
        let alone = case.events.iter().find(|event| event.stream != case.long).unwrap();
        assert_archived(log.read_stream(&alone.stream, Version::ZERO, 5).await, (1, 200));
        assert_archived(log.position_at(case.events[60].recorded_at).await, (51, 100));
        assert_archived(log.tail().read_after(Position::from(5), 5).await, (6, 200));
        // What does not need them.
        assert_eq!(log.read_after(Position::from(200), &everything, 500).await.unwrap(), case.events[200..]);
        assert_eq!(log.read_before(Position::from(331), &everything, 130).await.unwrap().len(), 130);
        assert_eq!(log.read_stream(&case.long, Version::from(40), 100).await.unwrap().len(), 26);
        assert_eq!(log.read_stream(&case.long, Version::from(66), 100).await.unwrap(), []);
        let unknown = StreamKey { id: Uuid::new_v4(), ..case.long.clone() };
        assert_eq!(log.read_stream(&unknown, Version::ZERO, 100).await.unwrap(), []);
        assert_eq!(log.read_after(Position::from(330), &none, 10).await.unwrap(), []);
        let moment = case.events[250].recorded_at;
        let first = case.events.iter().find(|event| event.recorded_at >= moment).unwrap();
        assert_eq!(log.position_at(moment).await.unwrap(), first.position);
    }
    let ran = case.database.run(&["replay"]).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("positions 1 to 200 are archived"), "{}", ran.stderr);
    let ran = case.database.run(&["log", "verify"]).await.assert_success();
    assert!(ran.stderr.contains("not checked") && ran.stderr.contains("130 events checked"), "{}", ran.stderr);
    let ran = case.database.run(&["replay", "--archive", case.path()]).await;
    assert_eq!(ran.stdout.lines().count(), 330, "{}", ran.stderr);
}

#[tokio::test]
async fn a_command_that_created_an_archived_stream_is_still_a_duplicate() {
    let database = database_with_partitions_of(50).await.unverified();
    let log = open(&database.pool, None).await;
    let sent: Vec<_> = (0..20)
        .map(|n| append(vec![stream(Uuid::new_v4(), if n % 2 == 0 { NEW } else { Expected::Any }, 3)]))
        .collect();
    let mut first = Vec::new();
    for append in &sent {
        first.push(log.append(append.clone()).await.unwrap());
    }
    let case = Case { database, folder: tempfile::tempdir().unwrap(), events: Vec::new(), long: key(&sent[0]) };
    case.everybody_is_at(60).await;
    case.archive("51").await.assert_success();
    for (append, first) in sent.iter().zip(first) {
        let Appended::New { first, last } = first else { panic!("{first:?}") };
        let again = log.append(append.clone()).await.unwrap();
        assert!(matches!(again, Appended::Duplicate { first: f, last: l } if (f, l) == (first, last)), "{again:?}");
        let receipt = log.receipt(&key(append), append.metadata.command_id).await.unwrap();
        assert_eq!(receipt.map(|receipt| (receipt.first, receipt.last)), Some((first, last)));
    }
    assert_eq!(log.head().await.unwrap().get(), 60);
}

fn key(append: &streams::Append) -> StreamKey {
    StreamKey { tenant: tenant(), category: "task".into(), id: append.streams[0].id }
}

#[tokio::test]
async fn nothing_is_archived_that_somebody_has_not_read() {
    let case = Case::new().await;
    sqlx::query("update apex.checkpoints set position = 120 where name = 'calls/1'")
        .execute(&case.database.pool)
        .await
        .unwrap();
    let ran = case.archive("230").await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("calls/1 (at 120)") && !ran.stderr.contains("tasks"), "{}", ran.stderr);
    assert_eq!(case.places().await.0, [0; 0]);
    // One that has never begun, as a new one would; and the relay, which counts where there is one.
    case.everybody_is_at(330).await;
    sqlx::query("delete from apex.checkpoints where name = 'tasks'").execute(&case.database.pool).await.unwrap();
    assert!(case.archive("230").await.stderr.contains("tasks (at 0)"));
    case.everybody_is_at(330).await;
    sqlx::query("insert into apex.checkpoints (name, position) values ('relay:kafka', 99)")
        .execute(&case.database.pool)
        .await
        .unwrap();
    assert!(case.archive("101").await.stderr.contains("relay:kafka (at 99)"));
    // The function refuses it too, whoever calls it.
    let mut owner = case.database.owner().await;
    let drop = async |owner: &mut sqlx::PgConnection, name: &str| {
        let sql = format!("select apex.archive_partition('{name}', now(), now(), '/tmp', 1, '\\x00', '\\x00')");
        sqlx::query(AssertSqlSafe(sql)).execute(owner).await.unwrap_err().to_string()
    };
    assert!(drop(&mut owner, "events_000000").await.contains("receipts"));
    sqlx::query("select apex.keep_receipts('events_000000')").execute(&mut owner).await.unwrap();
    sqlx::query("update apex.checkpoints set position = 40").execute(&mut owner).await.unwrap();
    assert!(drop(&mut owner, "events_000000").await.contains("not passed by: agents, "));
    assert!(drop(&mut owner, "events_000001").await.contains("not the oldest"));
    assert!(drop(&mut owner, "events_999999").await.contains("no partition"));
    case.everybody_is_at(330).await;
    let relay = "update apex.checkpoints set position = 99 where name = 'relay:kafka'";
    sqlx::query(relay).execute(&case.database.pool).await.unwrap();
    case.archive("51").await.assert_success();
    assert_eq!(case.archive("330").await.code, Some(1), "all or nothing");
    assert_eq!(case.places().await, (vec![1], vec![51, 101, 151, 201, 251, 301]));
}

#[tokio::test]
async fn partitions_are_chosen_by_age_and_never_the_open_one() {
    let case = Case::new().await;
    let ran = case
        .database
        .run(&["log", "archive", "--older-than", "1h", "--to", case.path(), "--yes"])
        .await
        .assert_success();
    assert!(ran.stderr.contains("No complete partition"), "{}", ran.stderr);
    let ran = case.database.run(&["log", "archive", "--to", case.path(), "--yes"]).await;
    assert_eq!(ran.code, Some(2), "a limit must be given: {}", ran.stderr);
    case.database.run(&["log", "archive", "--older-than", "0s", "--to", case.path(), "--yes"]).await.assert_success();
    assert_eq!(case.places().await.1, [301]);
    case.assert_whole().await;
    // The log goes on, and what is appended is found beside what is archived.
    let (log, _) = case.logs().await;
    log.append(append(vec![stream(case.long.id, Expected::Exact(Version::from(66)), 1)])).await.unwrap();
    assert_eq!(log.read_stream(&case.long, Version::ZERO, 100).await.unwrap().len(), 67);
    case.database.run(&["log", "verify", "--archive", case.path()]).await.assert_success();
}

/// Waits until a file is there.
async fn appears(path: &Path) {
    tokio::time::timeout(testkit::TIMEOUT, async {
        while !path.exists() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("{} does not appear", path.display()));
}

/// SIGKILL while the file is written, while it waits to be recorded, and at moments that nobody chose.
#[tokio::test]
async fn an_archiver_that_is_killed_loses_nothing_and_the_next_goes_on() {
    let case = Case::new().await;
    let mut child = case.database.apex(&case.arguments("330")).spawn().unwrap();
    appears(&case.file("events_000000.parquet.partial")).await;
    child.kill().await.unwrap();
    case.assert_whole().await;

    // Somebody has read the log in a transaction that is still open: nothing can be dropped.
    let mut reader = case.database.owner().await;
    sqlx::query("begin").execute(&mut reader).await.unwrap();
    sqlx::query("select count(*) from apex.events").execute(&mut reader).await.unwrap();
    let (archived, _) = case.places().await;
    let next = case.file(&format!("events_{:06}.manifest.json", archived.len()));
    let mut child = case.database.apex(&case.arguments("330")).spawn().unwrap();
    appears(&next).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    // Meanwhile appends go on, with pauses at most.
    let (log, _) = case.logs().await;
    let appending = log.append(append(vec![stream(Uuid::new_v4(), NEW, 1)]));
    tokio::time::timeout(Duration::from_secs(5), appending).await.expect("appends go on").unwrap();
    child.kill().await.unwrap();
    sqlx::query("commit").execute(&mut reader).await.unwrap();
    assert_eq!(case.places().await.0, archived, "whole, and not recorded");
    let before = std::fs::read(next.with_extension("").with_extension("parquet")).unwrap();

    for pause in [30, 60, 90, 120, 150, 200, 250] {
        let mut child = case.database.apex(&case.arguments("330")).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(pause)).await;
        child.kill().await.unwrap();
        // Each event is in exactly one place.
        let (archived, kept) = case.places().await;
        assert_eq!([archived, kept].concat(), [1, 51, 101, 151, 201, 251, 301]);
        case.database.run(&["log", "verify", "--archive", case.path()]).await.assert_success();
    }
    // A killed command's connection may hold its lock for a moment longer.
    tokio::time::timeout(testkit::TIMEOUT, async {
        while case.archive("330").await.code != Some(0) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(case.places().await, (vec![1, 51, 101, 151, 201, 251], vec![301]));
    let ran = case.database.run(&["log", "verify", "--archive", case.path()]).await.assert_success();
    assert!(ran.stderr.contains("331 events checked, 0 problems"), "{}", ran.stderr);
    let after = std::fs::read(next.with_extension("").with_extension("parquet")).unwrap();
    assert!(before == after, "a complete archive is taken as it is");
}

#[tokio::test]
async fn a_damaged_or_missing_file_is_found() {
    let case = Case::new().await;
    case.archive("151").await.assert_success();
    case.assert_whole().await;
    let path = case.file("events_000001.parquet");
    let intact = std::fs::read(&path).unwrap();
    let (log, _) = case.logs().await;
    for byte in [4, intact.len() / 2, intact.len() - 9] {
        let mut damaged = intact.clone();
        damaged[byte] ^= 1;
        std::fs::write(&path, damaged).unwrap();
        let ran = case.database.run(&["log", "verify", "--archive", case.path()]).await;
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        assert!(ran.stderr.contains("events_000001.parquet is damaged"), "{}", ran.stderr);
        assert!(!ran.stderr.contains("events_000002"), "{}", ran.stderr);
        let error = log.read_after(Position::from(60), &ReadFilter::default(), 5).await.unwrap_err();
        assert!(matches!(&error, ReadError::Archive(ArchiveError::Damaged { .. })), "{error:?}");
        assert!(error.source().is_some());
        // The others are not touched by it.
        log.read_after(Position::from(3), &ReadFilter::default(), 5).await.unwrap();
    }
    std::fs::remove_file(&path).unwrap();
    let error = log.read_after(Position::from(60), &ReadFilter::default(), 5).await.unwrap_err();
    assert!(matches!(&error, ReadError::Archive(ArchiveError::Missing { .. })), "{error:?}");
    std::fs::write(&path, intact).unwrap();
    case.assert_whole().await;
    // A manifest that says something else.
    let path = case.file("events_000002.manifest.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"last_position\": 150", "\"last_position\": 149")).unwrap();
    let ran = case.database.run(&["log", "verify", "--archive", case.path()]).await;
    assert!(ran.code == Some(1) && ran.stderr.contains("manifest.json is damaged"), "{}", ran.stderr);
}

/// An event that was changed in the table, which takes the rights of a superuser, is not put away as if it were intact.
#[tokio::test]
async fn a_damaged_event_is_not_archived() {
    let case = Case::new().await;
    let mut owner = case.database.owner().await;
    for sql in [
        "set session_replication_role = replica",
        "update apex.events set payload = '{\"x\":1}' where position = 77",
        "reset session_replication_role",
    ] {
        sqlx::query(sql).execute(&mut owner).await.unwrap();
    }
    let ran = case.archive("151").await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("content of position 77"), "{}", ran.stderr);
    assert_eq!(case.places().await.0, [1], "what comes before it is archived");
}

#[tokio::test]
async fn a_folder_that_holds_another_log_is_left_alone() {
    let (case, other) = (Case::new().await, Case::new().await);
    other.archive("51").await.assert_success();
    let theirs = std::fs::read(other.file("events_000000.parquet")).unwrap();
    let ran = case.database.run(&other.arguments("101").map(str::to_owned).each_ref().map(String::as_str)).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("holds other events"), "{}", ran.stderr);
    assert_eq!(case.places().await.0, [0; 0]);
    assert!(theirs == std::fs::read(other.file("events_000000.parquet")).unwrap());
    other.assert_whole().await;
}

#[tokio::test]
async fn of_two_archivers_one_works() {
    let case = Case::new().await;
    let (one, other) = tokio::join!(case.archive("330"), case.archive("330"));
    for ran in [&one, &other] {
        let is_fine = ran.code == Some(0) || ran.stderr.contains("another archive command is at work");
        assert!(is_fine, "{}", ran.stderr);
    }
    assert!(one.code == Some(0) || other.code == Some(0));
    assert_eq!(case.places().await, (vec![1, 51, 101, 151, 201, 251], vec![301]));
    case.assert_whole().await;
}

#[tokio::test]
async fn a_reader_in_the_middle_misses_nothing_when_the_ground_is_archived() {
    let case = Case::new().await;
    let (with, without) = case.logs().await;
    let mut readers = [
        with.pages(Position::ZERO, ReadFilter::default(), 11),
        with.stream_pages(case.long.clone(), Version::ZERO, 5),
        without.pages(Position::ZERO, ReadFilter::default(), 11),
        without.stream_pages(case.long.clone(), Version::ZERO, 5),
    ];
    let mut seen = [const { Vec::new() }; 4];
    for (reader, seen) in readers.iter_mut().zip(&mut seen) {
        seen.extend(reader.next_page().await.unwrap().unwrap());
    }
    case.archive("230").await.assert_success();
    let [all, of_stream, cut, stream_cut] = &mut readers;
    for (reader, seen) in [all, of_stream].into_iter().zip(&mut seen) {
        while let Some(page) = reader.next_page().await.unwrap() {
            seen.extend(page);
        }
    }
    assert_eq!(seen[0], case.events);
    assert!(seen[1].iter().eq(case.events.iter().filter(|event| event.stream == case.long)));
    assert_archived(cut.next_page().await, (12, 200));
    assert_archived(stream_cut.next_page().await, (1, 200));
    // Not merely once: it goes on where it was as soon as it can, and nowhere else.
    assert_archived(cut.next_page().await, (12, 200));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_models_are_built_again_over_what_is_archived() {
    let database = database_with_partitions_of(20).await;
    for (format, file) in [("autogpt", "autogpt.jsonl"), ("claude-code", "claude-code.jsonl")] {
        database.run(&["import", format, &sample(file)]).await.assert_success();
    }
    let (total, head) = (database.total().await, database.head().await);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    database.run(&["log", "archive", "--before", &head.to_string(), "--to", path, "--yes"]).await.assert_success();
    let archived: i64 =
        sqlx::query_scalar("select max(last_position) from apex.archives").fetch_one(&database.pool).await.unwrap();
    assert!(archived > 60 && archived < head, "{archived} of {head}");
    let ran = database.run(&["projections", "rebuild", "all"]).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains(&format!("positions 1 to {archived} are archived")), "{}", ran.stderr);
    let ran = database.run(&["projections", "rebuild", "all", "--switch", "--archive", path]).await.assert_success();
    assert!(!ran.stderr.contains("other rows"), "{}", ran.stderr);
    assert!(ran.stderr.matches("the same rows as live").count() >= 5, "{}", ran.stderr);
    assert_eq!(database.total().await, total);
    // Aggregates are folded from it too: the same records again are the same calls.
    let again = ["import", "autogpt", &sample("autogpt.jsonl"), "--format", "json", "--archive", path];
    let ran = database.run(&again).await.assert_success();
    assert_eq!(ran.json()[0]["duplicate"], 37);
    assert_eq!((database.total().await, database.head().await), (total, head));
    database.run(&["log", "verify", "--archive", path]).await.assert_success();
}

#[tokio::test]
async fn only_the_owner_archives_and_nobody_changes_what_is_recorded() {
    let case = Case::new().await;
    case.archive("51").await.assert_success();
    let as_application = [
        "insert into apex.archives select * from apex.archives",
        "update apex.archives set folder = 'x'",
        "delete from apex.archives",
        "truncate apex.archives",
        "delete from apex.partitions",
        "update apex.settings set partition_size = 1",
        "alter table apex.events detach partition apex.events_000001",
        "drop table apex.events_000001",
        "select apex.keep_receipts('events_000001')",
        "select apex.archive_partition('events_000001', now(), now(), '', 1, '', '')",
    ];
    for sql in as_application {
        let refused = sqlx::query(sql).execute(&case.database.pool).await.expect_err(sql);
        assert_eq!(refused.as_database_error().unwrap().code().unwrap(), "42501", "{sql}");
    }
    let mut owner = case.database.owner().await;
    for sql in [
        "update apex.archives set folder = 'x'",
        "delete from apex.archives",
        "truncate apex.archives",
        "delete from apex.events where position = 60",
        "delete from apex.events_000001",
        "truncate apex.events_000001",
    ] {
        let refused = sqlx::query(sql).execute(&mut owner).await.expect_err(sql);
        assert_eq!(refused.as_database_error().unwrap().code().unwrap(), "42501", "{sql}");
    }
    case.assert_whole().await;
}
