//! Archiving under failures: killed and concurrent archivers, damaged files and events, and who may archive.

use crate::archive::{Fixture, NEW};

use std::error::Error as _;
use std::path::Path;
use std::time::Duration;
use streams::{ArchiveError, Position, ReadError, ReadFilter};
use testkit::{append, stream, wait_until};
use uuid::Uuid;

/// Waits until one of some files exists, and returns its place among them.
async fn until_exists(paths: &[&Path]) -> usize {
    tokio::time::timeout(testkit::TIMEOUT, async {
        loop {
            if let Some(place) = paths.iter().position(|path| path.exists()) {
                return place;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("none of {paths:?} was created in time"))
}

/// A log whose archiver was killed while it wrote the first file.
async fn killed_while_writing() -> Fixture {
    for _ in 0..20 {
        let fixture = Fixture::new().await;
        let mut child = fixture.database.apex(&fixture.arguments("330")).spawn().unwrap();
        // On a busy machine the file may have its name before it is looked for.
        let [partial, whole] =
            ["events_000000.parquet.partial", "events_000000.parquet"].map(|name| fixture.file(name));
        let place = until_exists(&[&partial, &whole]).await;
        child.kill().await.unwrap();
        fixture.assert_complete().await;
        if place == 0 {
            return fixture;
        }
    }
    panic!("no archiver was killed while it wrote a file: the test proves nothing");
}

/// Waits until the database has noticed that the process of a transaction was killed.
async fn until_no_transaction_is_open(fixture: &Fixture) {
    let open = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
                and backend_type = 'client backend' and state <> 'idle'";
    wait_until("no transaction is open", async || {
        sqlx::query_scalar::<_, i64>(open).fetch_one(&fixture.database.pool).await.unwrap() == 0
    })
    .await;
}

/// SIGKILL while the file is written, while it waits to be recorded, and after arbitrary delays.
#[tokio::test]
async fn a_killed_archiver_loses_nothing_and_the_next_run_resumes() {
    let fixture = killed_while_writing().await;

    // An open transaction that has read the log: no partition can be detached.
    let mut reader = fixture.database.owner().await;
    sqlx::query("begin").execute(&mut reader).await.unwrap();
    sqlx::query("select count(*) from apex.events").execute(&mut reader).await.unwrap();
    let (archived, _) = fixture.locations().await;
    let next = fixture.file(&format!("events_{:06}.manifest.json", archived.len()));
    let mut child = fixture.database.apex(&fixture.arguments("330")).spawn().unwrap();
    until_exists(&[&next]).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    // Appends continue meanwhile, at most delayed.
    let (log, _) = fixture.logs().await;
    let appending = log.append(append(vec![stream(Uuid::new_v4(), NEW, 1)]));
    tokio::time::timeout(testkit::TIMEOUT, appending).await.expect("appends continue").unwrap();
    child.kill().await.unwrap();
    sqlx::query("commit").execute(&mut reader).await.unwrap();
    assert_eq!(fixture.locations().await.0, archived, "the file is complete, but not recorded");
    let before = std::fs::read(next.with_extension("").with_extension("parquet")).unwrap();

    for pause in [30, 60, 90, 120, 150, 200, 250] {
        let mut child = fixture.database.apex(&fixture.arguments("330")).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(pause)).await;
        child.kill().await.unwrap();
        until_no_transaction_is_open(&fixture).await;
        // Each event is either in the table or in an archive, never in both.
        let (archived, kept) = fixture.locations().await;
        assert_eq!([archived, kept].concat(), [1, 51, 101, 151, 201, 251, 301]);
        fixture.database.run(&["log", "verify", "--archive", fixture.path()]).await.assert_success();
    }
    // The connection of a killed command may hold its lock a little longer.
    tokio::time::timeout(testkit::TIMEOUT, async {
        while fixture.archive("330").await.code != Some(0) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(fixture.locations().await, (vec![1, 51, 101, 151, 201, 251], vec![301]));
    let output = fixture.database.run(&["log", "verify", "--archive", fixture.path()]).await.assert_success();
    assert!(output.stderr.contains("331 events checked, 0 problems"), "{}", output.stderr);
    let after = std::fs::read(next.with_extension("").with_extension("parquet")).unwrap();
    assert!(before == after, "a complete archive file is reused unchanged");
}

#[tokio::test]
async fn a_corrupt_or_missing_archive_file_is_detected() {
    let fixture = Fixture::new().await;
    fixture.archive("151").await.assert_success();
    fixture.assert_complete().await;
    let path = fixture.file("events_000001.parquet");
    let intact = std::fs::read(&path).unwrap();
    let (log, _) = fixture.logs().await;
    for byte in [4, intact.len() / 2, intact.len() - 9] {
        let mut damaged = intact.clone();
        damaged[byte] ^= 1;
        std::fs::write(&path, damaged).unwrap();
        let output = fixture.database.run(&["log", "verify", "--archive", fixture.path()]).await;
        assert_eq!(output.code, Some(1), "{}", output.stderr);
        assert!(output.stderr.contains("events_000001.parquet is damaged"), "{}", output.stderr);
        assert!(!output.stderr.contains("events_000002"), "{}", output.stderr);
        let error = log.read_after(Position::from(60), &ReadFilter::default(), 5).await.unwrap_err();
        assert!(matches!(&error, ReadError::Archive(ArchiveError::Damaged { .. })), "{error:?}");
        assert!(error.source().is_some());
        // Reads from the other files still work.
        log.read_after(Position::from(3), &ReadFilter::default(), 5).await.unwrap();
    }
    std::fs::remove_file(&path).unwrap();
    let error = log.read_after(Position::from(60), &ReadFilter::default(), 5).await.unwrap_err();
    assert!(matches!(&error, ReadError::Archive(ArchiveError::Missing { .. })), "{error:?}");
    std::fs::write(&path, intact).unwrap();
    fixture.assert_complete().await;
    // A manifest that contradicts the database.
    let path = fixture.file("events_000002.manifest.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"last_position\": 150", "\"last_position\": 149")).unwrap();
    let output = fixture.database.run(&["log", "verify", "--archive", fixture.path()]).await;
    assert!(output.code == Some(1) && output.stderr.contains("manifest.json is damaged"), "{}", output.stderr);
}

/// Changing an event in the table takes a superuser; archiving detects it by the content hash.
#[tokio::test]
async fn an_event_with_a_wrong_content_hash_is_not_archived() {
    let fixture = Fixture::new().await;
    let mut owner = fixture.database.owner().await;
    for sql in [
        "set session_replication_role = replica",
        "update apex.events set payload = '{\"x\":1}' where position = 77",
        "reset session_replication_role",
    ] {
        sqlx::query(sql).execute(&mut owner).await.unwrap();
    }
    let output = fixture.archive("151").await;
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("content of position 77"), "{}", output.stderr);
    assert_eq!(fixture.locations().await.0, [1], "the partition before it is archived");
}

#[tokio::test]
async fn archiving_refuses_a_folder_with_files_of_another_log() {
    let (fixture, other) = (Fixture::new().await, Fixture::new().await);
    other.archive("51").await.assert_success();
    let theirs = std::fs::read(other.file("events_000000.parquet")).unwrap();
    let output = fixture.database.run(&other.arguments("101").map(str::to_owned).each_ref().map(String::as_str)).await;
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("describes different events"), "{}", output.stderr);
    assert_eq!(fixture.locations().await.0, [0; 0]);
    assert!(theirs == std::fs::read(other.file("events_000000.parquet")).unwrap());
    other.assert_complete().await;
}

#[tokio::test]
async fn only_one_archiver_runs_at_a_time() {
    let fixture = Fixture::new().await;
    let (one, other) = tokio::join!(fixture.archive("330"), fixture.archive("330"));
    for output in [&one, &other] {
        let is_fine = output.code == Some(0) || output.stderr.contains("another archive command is running");
        assert!(is_fine, "{}", output.stderr);
    }
    assert!(one.code == Some(0) || other.code == Some(0));
    assert_eq!(fixture.locations().await, (vec![1, 51, 101, 151, 201, 251], vec![301]));
    fixture.assert_complete().await;
}

#[tokio::test]
async fn only_the_owner_archives_and_archive_records_are_immutable() {
    let fixture = Fixture::new().await;
    fixture.archive("51").await.assert_success();
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
        let refused = sqlx::query(sql).execute(&fixture.database.pool).await.expect_err(sql);
        assert_eq!(refused.as_database_error().unwrap().code().unwrap(), "42501", "{sql}");
    }
    let mut owner = fixture.database.owner().await;
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
    fixture.assert_complete().await;
}
