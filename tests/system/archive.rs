//! Archiving: events that leave the database are in verified files and are read as before.

use crate::partitions::{database_with_partitions_of, of_category};
use chrono::TimeDelta;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPool;
use std::path::Path;
use streams::{
    Appended, Expected, Log, LogConfig, Manifest, Position, ReadError, ReadFilter, RecordedEvent, StreamKey, Version,
};
use tempfile::TempDir;
use testkit::{TestDatabase, append, sample, stream, tenant};
use uuid::Uuid;

pub(crate) const NEW: Expected = Expected::Exact(Version::ZERO);

/// A log in partitions of 50 events, an archive folder, and all events from before archiving.
pub(crate) struct Fixture {
    pub(crate) database: TestDatabase,
    pub(crate) folder: TempDir,
    pub(crate) events: Vec<RecordedEvent>,
    /// A stream with events in every partition.
    pub(crate) long_stream: StreamKey,
}

impl Fixture {
    /// 330 events: six complete partitions and an open one. All consumers are caught up.
    pub(crate) async fn new() -> Self {
        let database = database_with_partitions_of(50).await.unverified();
        let log = open(&database.pool, None).await;
        let long_stream = StreamKey { tenant: tenant(), category: "task".into(), id: Uuid::new_v4() };
        for round in 0..33 {
            log.append(append(vec![stream(long_stream.id, Expected::Exact(Version::from(2 * round)), 2)]))
                .await
                .unwrap();
            log.append(append(vec![stream(Uuid::new_v4(), NEW, 5)])).await.unwrap();
            log.append(of_category(if round % 10 == 0 { "memory" } else { "agent" }, 3)).await.unwrap();
        }
        let events = log.read_after(Position::ZERO, &ReadFilter::default(), 10_000).await.unwrap();
        assert_eq!(events.len(), 330);
        let fixture = Self { database, folder: tempfile::tempdir().unwrap(), events, long_stream };
        fixture.set_all_checkpoints(330).await;
        fixture
    }

    pub(crate) async fn set_all_checkpoints(&self, position: i64) {
        let names = projections::all().into_iter().flat_map(|projection| {
            let shards = projection.sharding().shard_count();
            let name = projection.name();
            (0..shards).map(move |shard| if shards > 1 { format!("{name}/{shard}") } else { name.to_owned() })
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

    pub(crate) fn path(&self) -> &str {
        self.folder.path().to_str().unwrap()
    }

    pub(crate) fn arguments<'a>(&'a self, before: &'a str) -> [&'a str; 7] {
        ["log", "archive", "--before", before, "--to", self.path(), "--yes"]
    }

    pub(crate) async fn archive(&self, before: &str) -> testkit::ProgramOutput {
        self.database.run(&self.arguments(before)).await
    }

    /// The log opened with the archive folder, and without it.
    pub(crate) async fn logs(&self) -> (Log, Log) {
        let path = Some(self.folder.path());
        (open(&self.database.pool, path).await, open(&self.database.pool, None).await)
    }

    /// The first positions of the archived partitions, and of the partitions in the database.
    pub(crate) async fn locations(&self) -> (Vec<i64>, Vec<i64>) {
        let archived = "select first_position from apex.archives order by 1";
        let kept = "select from_position from apex.partitions
                    where from_position <= (select position from apex.head) order by 1";
        let get = async |sql: &'static str| sqlx::query_scalar(sql).fetch_all(&self.database.pool).await.unwrap();
        (get(archived).await, get(kept).await)
    }

    /// Asserts that all events are readable, from the database or the archive.
    pub(crate) async fn assert_complete(&self) {
        let (log, _) = self.logs().await;
        assert_eq!(read_all(&log, 70).await.unwrap(), self.events);
        self.database.run(&["log", "verify", "--archive", self.path()]).await.assert_success();
    }

    pub(crate) fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
}

async fn open(pool: &PgPool, archive: Option<&Path>) -> Log {
    let archive = archive.map(Path::to_owned);
    Log::open(pool.clone(), LogConfig { archive, ..LogConfig::default() }).await.unwrap()
}

async fn read_all(log: &Log, page_events: usize) -> Result<Vec<RecordedEvent>, ReadError> {
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
async fn archived_events_are_read_from_files_exactly_as_from_the_table() {
    let fixture = Fixture::new().await;
    let list = ["log", "archive", "--before", "230", "--to", fixture.path()];
    let output = fixture.database.run(&list).await.assert_success();
    assert!(
        output.stderr.contains("Nothing was changed") && output.stdout.contains("events_000003"),
        "{}",
        output.stdout
    );
    assert_eq!(fixture.locations().await, (vec![], vec![1, 51, 101, 151, 201, 251, 301]));
    assert_eq!(std::fs::read_dir(fixture.folder.path()).unwrap().count(), 0);

    fixture.archive("230").await.assert_success();
    assert_eq!(fixture.locations().await, (vec![1, 51, 101, 151], vec![201, 251, 301]));
    let manifest = std::fs::read_to_string(fixture.file("events_000001.manifest.json")).unwrap();
    let manifest: Manifest = serde_json::from_str(&manifest).unwrap();
    assert_eq!((manifest.first_position, manifest.last_position, manifest.events), (51, 100, 50));
    assert_eq!(manifest.first_recorded_at, fixture.events[50].recorded_at);
    assert_eq!(manifest.last_recorded_at, fixture.events[99].recorded_at);
    assert_eq!(manifest.bytes, std::fs::metadata(fixture.file("events_000001.parquet")).unwrap().len());
    fixture.assert_complete().await;

    let events = &fixture.events;
    let (log, _) = fixture.logs().await;
    let filters = [
        ReadFilter::default(),
        ReadFilter { tenant: Some(tenant()), ..ReadFilter::default() },
        ReadFilter { category: Some("memory".to_owned()), ..ReadFilter::default() },
        ReadFilter { category: Some("agent".to_owned()), tenant: Some(tenant()), ..ReadFilter::default() },
        ReadFilter { types: vec!["task.started".to_owned()], ..ReadFilter::default() },
        ReadFilter { stream_id: Some(fixture.long_stream.id), ..ReadFilter::default() },
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
    let of_stream: Vec<_> = events.iter().filter(|event| event.stream == fixture.long_stream).collect();
    for (after, limit) in [(0, 100), (0, 3), (9, 5), (38, 10), (40, 4), (41, 2), (66, 5)] {
        let page = log.read_stream(&fixture.long_stream, Version::from(after as u64), limit).await.unwrap();
        let wanted: Vec<_> = of_stream[after..].iter().take(limit).copied().collect();
        assert_eq!(page.iter().collect::<Vec<_>>(), wanted, "after version {after}");
    }
    let alone = events[1..].iter().find(|event| event.stream != fixture.long_stream).unwrap();
    let page = log.read_stream(&alone.stream, Version::ZERO, 100).await.unwrap();
    assert!(page.len() >= 3 && page.iter().all(|event| event.stream == alone.stream), "all of it is archived");
    for event in events.iter().step_by(13) {
        for moment in [event.recorded_at, event.recorded_at + TimeDelta::microseconds(1)] {
            let wanted = events.iter().find(|other| other.recorded_at >= moment).map_or(331, |e| e.position.get());
            assert_eq!(log.position_at(moment).await.unwrap().get(), wanted);
        }
    }
    let listed = fixture.database.run(&["log", "archives", "--format", "json"]).await.assert_success().json();
    assert_eq!(listed.as_array().unwrap().len(), 4);
    assert_eq!((&listed[3]["first_position"], &listed[3]["last_position"]), (&151.into(), &200.into()));
}

#[tokio::test]
async fn reads_of_archived_events_fail_without_the_archive_folder_and_other_reads_work() {
    let fixture = Fixture::new().await;
    let early = fixture.logs().await.1;
    early.read_after(Position::ZERO, &ReadFilter::default(), 10).await.unwrap();
    fixture.archive("230").await.assert_success();
    let everything = ReadFilter::default();
    let rare = ReadFilter { category: Some("memory".to_owned()), ..ReadFilter::default() };
    let none = ReadFilter { category: Some("nothing".to_owned()), ..ReadFilter::default() };
    // A log that was opened before archiving, and one that was opened after it.
    for log in [early, fixture.logs().await.1] {
        for filter in [&everything, &rare, &none] {
            assert_archived(log.read_after(Position::ZERO, filter, 5).await, (1, 200));
            assert_archived(log.read_after(Position::from(120), filter, 5).await, (121, 200));
            assert_archived(log.read_before(Position::from(90), filter, 5).await, (1, 89));
        }
        assert_archived(log.read_before(Position::from(331), &rare, 50).await, (1, 200));
        assert_archived(log.read_before(Position::from(210), &everything, 10).await, (1, 200));
        assert_archived(log.read_stream(&fixture.long_stream, Version::ZERO, 5).await, (1, 200));
        let alone = fixture.events.iter().find(|event| event.stream != fixture.long_stream).unwrap();
        assert_archived(log.read_stream(&alone.stream, Version::ZERO, 5).await, (1, 200));
        assert_archived(log.position_at(fixture.events[60].recorded_at).await, (51, 100));
        assert_archived(log.tail().read_after(Position::from(5), 5).await, (6, 200));
        // Reads that do not need the archived events.
        assert_eq!(log.read_after(Position::from(200), &everything, 500).await.unwrap(), fixture.events[200..]);
        assert_eq!(log.read_before(Position::from(331), &everything, 130).await.unwrap().len(), 130);
        assert_eq!(log.read_stream(&fixture.long_stream, Version::from(40), 100).await.unwrap().len(), 26);
        assert_eq!(log.read_stream(&fixture.long_stream, Version::from(66), 100).await.unwrap(), []);
        let unknown = StreamKey { id: Uuid::new_v4(), ..fixture.long_stream.clone() };
        assert_eq!(log.read_stream(&unknown, Version::ZERO, 100).await.unwrap(), []);
        assert_eq!(log.read_after(Position::from(330), &none, 10).await.unwrap(), []);
        let moment = fixture.events[250].recorded_at;
        let first = fixture.events.iter().find(|event| event.recorded_at >= moment).unwrap();
        assert_eq!(log.position_at(moment).await.unwrap(), first.position);
    }
    let output = fixture.database.run(&["replay"]).await;
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("positions 1 to 200 are archived"), "{}", output.stderr);
    let output = fixture.database.run(&["log", "verify"]).await.assert_success();
    assert!(output.stderr.contains("not checked") && output.stderr.contains("130 events checked"), "{}", output.stderr);
    let output = fixture.database.run(&["replay", "--archive", fixture.path()]).await;
    assert_eq!(output.stdout.lines().count(), 330, "{}", output.stderr);
}

#[tokio::test]
async fn a_retry_of_an_archived_append_is_still_a_duplicate() {
    let database = database_with_partitions_of(50).await.unverified();
    let log = open(&database.pool, None).await;
    let sent: Vec<_> = (0..20)
        .map(|n| append(vec![stream(Uuid::new_v4(), if n % 2 == 0 { NEW } else { Expected::Any }, 3)]))
        .collect();
    let mut first = Vec::new();
    for append in &sent {
        first.push(log.append(append.clone()).await.unwrap());
    }
    let fixture =
        Fixture { database, folder: tempfile::tempdir().unwrap(), events: Vec::new(), long_stream: key(&sent[0]) };
    fixture.set_all_checkpoints(60).await;
    fixture.archive("51").await.assert_success();
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
async fn a_partition_is_not_archived_before_every_consumer_has_read_it() {
    let fixture = Fixture::new().await;
    sqlx::query("update apex.checkpoints set position = 120 where name = 'calls/1'")
        .execute(&fixture.database.pool)
        .await
        .unwrap();
    let output = fixture.archive("230").await;
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("calls/1 (at 120)") && !output.stderr.contains("tasks"), "{}", output.stderr);
    assert_eq!(fixture.locations().await.0, [0; 0]);
    // A consumer without a checkpoint counts as at 0; the relay counts once it has a checkpoint.
    fixture.set_all_checkpoints(330).await;
    sqlx::query("delete from apex.checkpoints where name = 'tasks'").execute(&fixture.database.pool).await.unwrap();
    assert!(fixture.archive("230").await.stderr.contains("tasks (at 0)"));
    fixture.set_all_checkpoints(330).await;
    sqlx::query("insert into apex.checkpoints (name, position) values ('relay:kafka', 99)")
        .execute(&fixture.database.pool)
        .await
        .unwrap();
    assert!(fixture.archive("101").await.stderr.contains("relay:kafka (at 99)"));
    // The SQL function refuses it too, even for the owner.
    let mut owner = fixture.database.owner().await;
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
    fixture.set_all_checkpoints(330).await;
    let relay = "update apex.checkpoints set position = 99 where name = 'relay:kafka'";
    sqlx::query(relay).execute(&fixture.database.pool).await.unwrap();
    fixture.archive("51").await.assert_success();
    assert_eq!(fixture.archive("330").await.code, Some(1), "either all requested partitions are archived or none");
    assert_eq!(fixture.locations().await, (vec![1], vec![51, 101, 151, 201, 251, 301]));
}

#[tokio::test]
async fn older_than_selects_complete_partitions_only() {
    let fixture = Fixture::new().await;
    let output = fixture
        .database
        .run(&["log", "archive", "--older-than", "1h", "--to", fixture.path(), "--yes"])
        .await
        .assert_success();
    assert!(output.stderr.contains("No complete partition"), "{}", output.stderr);
    let output = fixture.database.run(&["log", "archive", "--to", fixture.path(), "--yes"]).await;
    assert_eq!(output.code, Some(2), "exit code 2 without --before or --older-than: {}", output.stderr);
    fixture
        .database
        .run(&["log", "archive", "--older-than", "0s", "--to", fixture.path(), "--yes"])
        .await
        .assert_success();
    assert_eq!(fixture.locations().await.1, [301]);
    fixture.assert_complete().await;
    // New events of an archived stream are read together with the archived ones.
    let (log, _) = fixture.logs().await;
    log.append(append(vec![stream(fixture.long_stream.id, Expected::Exact(Version::from(66)), 1)])).await.unwrap();
    assert_eq!(log.read_stream(&fixture.long_stream, Version::ZERO, 100).await.unwrap().len(), 67);
    fixture.database.run(&["log", "verify", "--archive", fixture.path()]).await.assert_success();
}

#[tokio::test]
async fn a_reader_misses_nothing_when_its_partition_is_archived_while_it_reads() {
    let fixture = Fixture::new().await;
    let (with, without) = fixture.logs().await;
    let mut readers = [
        with.pages(Position::ZERO, ReadFilter::default(), 11),
        with.stream_pages(fixture.long_stream.clone(), Version::ZERO, 5),
        without.pages(Position::ZERO, ReadFilter::default(), 11),
        without.stream_pages(fixture.long_stream.clone(), Version::ZERO, 5),
    ];
    let mut seen = [const { Vec::new() }; 4];
    for (reader, seen) in readers.iter_mut().zip(&mut seen) {
        seen.extend(reader.next_page().await.unwrap().unwrap());
    }
    fixture.archive("230").await.assert_success();
    let [of_all, of_stream, cut, stream_cut] = &mut readers;
    for (reader, seen) in [of_all, of_stream].into_iter().zip(&mut seen) {
        while let Some(page) = reader.next_page().await.unwrap() {
            seen.extend(page);
        }
    }
    assert_eq!(seen[0], fixture.events);
    assert!(seen[1].iter().eq(fixture.events.iter().filter(|event| event.stream == fixture.long_stream)));
    assert_archived(cut.next_page().await, (12, 200));
    assert_archived(stream_cut.next_page().await, (1, 200));
    // A repeated read fails in the same way: the reader has not moved past the missing events.
    assert_archived(cut.next_page().await, (12, 200));
}

/// Files with the events of all tenants leave the database: it is in the access log of each, also once its first events are archived.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn archiving_is_in_the_access_log_of_every_tenant() {
    let database = database_with_partitions_of(20).await;
    for tenant in ["default", "acme"] {
        database.run(&["tenants", "create", tenant]).await.assert_success();
    }
    database.run(&["tenants", "suspend", "acme"]).await.assert_success();
    database.run(&["import", "claude-code", &sample("claude-code.jsonl")]).await.assert_success();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let recorded = "select tenant_id || ' ' || (payload->>'data') || ' ' || (payload->>'subject') from apex.events
                    where type = 'access.data_exported' order by tenant_id, position";
    let recorded = async || -> Vec<String> { sqlx::query_scalar(recorded).fetch_all(&database.pool).await.unwrap() };
    let head = database.head().await;
    assert!(head > 41, "two partitions are complete: {head}");
    // A plan exports nothing.
    database.run(&["log", "archive", "--before", "21", "--to", path]).await.assert_success();
    assert_eq!(recorded().await, Vec::<String>::new());
    for (before, times) in [("21", 1), ("41", 2)] {
        let output =
            database.run(&["log", "archive", "--before", before, "--to", path, "--yes"]).await.assert_success();
        assert!(output.stderr.contains("SHA-256"), "nothing was archived: {}", output.stderr);
        let expected = ["acme archive command line", "default archive command line"].map(|text| vec![text; times]);
        assert_eq!(recorded().await, expected.concat());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_models_are_rebuilt_over_archived_events() {
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
    let output = database.run(&["projections", "rebuild", "all"]).await;
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains(&format!("positions 1 to {archived} are archived")), "{}", output.stderr);
    let output = database.run(&["projections", "rebuild", "all", "--switch", "--archive", path]).await.assert_success();
    assert!(!output.stderr.contains("other rows"), "{}", output.stderr);
    assert!(output.stderr.matches("the same rows as live").count() >= 5, "{}", output.stderr);
    assert_eq!(database.total().await, total);
    // Aggregates are loaded from the archive too: reimported records are duplicates.
    let again = ["import", "autogpt", &sample("autogpt.jsonl"), "--format", "json", "--archive", path];
    let output = database.run(&again).await.assert_success();
    assert_eq!(output.json()[0]["duplicate"], 37);
    assert_eq!((database.total().await, database.head().await), (total, head));
    database.run(&["log", "verify", "--archive", path]).await.assert_success();
}
