//! The examples print what is in the log, whatever Kafka has twice.

use crate::block_on;
use crate::stage::Stage;
use std::path::{Path, PathBuf};
use std::process::Command;
use streams::relay::republish_from;
use testkit::sample;
use testkit::{Trials, trials};

pub(crate) const TRIALS: Trials = trials![the_examples_print_what_is_in_the_log];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The lines that a program prints.
fn print(program: &Path, arguments: &[&str]) -> Vec<String> {
    assert!(program.exists(), "{} is missing: `make test` makes it", program.display());
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}: {}", program.display(), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(ToOwned::to_owned).collect()
}

fn the_examples_print_what_is_in_the_log() {
    block_on(async {
        let stage = Stage::shared().await;
        let _server = stage.database.serve(&[]).await;
        for (format, file) in
            [("claude-code", "claude-code.jsonl"), ("otlp", "otlp.json"), ("autogpt", "autogpt.jsonl")]
        {
            stage.database.run(&["import", format, &sample(file)]).await.assert_success();
        }
        let _relay = stage.job().start();
        stage.wait_for_relay().await;
        // Some of it twice.
        assert!(republish_from(&stage.database.pool, 5.into()).await.unwrap());
        let messages = stage.verify().await;
        let logged = async |sql: &'static str| -> Vec<String> {
            let lines: Vec<String> = sqlx::query_scalar(sql).fetch_all(&stage.database.pool).await.unwrap();
            assert!(!lines.is_empty(), "nothing was logged: it proves nothing");
            lines
        };
        let by_type = "select type || E'\\t' || count(*) from apex.events group by type order by type collate \"C\"";
        let by_type_and_stream = "select type || E'\\t' || count(*) || E'\\t' || count(distinct stream_id)
                                  from apex.events group by type order by type collate \"C\"";
        let cost = "select model || E'\\t' || trim_scale(sum(cost)) from apex.usage_hourly
                    where model is not null group by model order by model collate \"C\"";
        let calls = "select count(*)::text from apex.events where category = 'call'";
        let events = stage.events().await.len();
        assert!(messages > events, "nothing is there twice: it proves nothing");
        let names = projections::all().iter().map(|projection| projection.name()).collect::<Vec<_>>();
        let head = stage.log.head().await.unwrap();
        projections::wait_for(&stage.database.pool, &names, head, testkit::TIMEOUT).await.unwrap();

        let (brokers, prefix) = (stage.brokers.as_str(), stage.prefix.as_str());
        let apex = PathBuf::from(env!("CARGO_BIN_EXE_apex"));
        let rust = apex.with_file_name("examples").join("count_events");
        assert_eq!(print(&rust, &[brokers, prefix]), logged(by_type).await);

        let python = root().join("target/tools/python/bin/python");
        let script = |name: &str| root().join("examples").join(name).to_string_lossy().into_owned();
        assert_eq!(print(&python, &[&script("cost_by_model.py"), brokers, prefix]), logged(cost).await);

        let shell = print(Path::new(&script("count_events.sh")), &[brokers, &format!("{prefix}.call")]);
        assert_eq!(shell, logged(calls).await);

        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().to_string_lossy().into_owned();
        for _ in 0..2 {
            let landed = print(&python, &[&script("parquet.py"), brokers, prefix, &folder]);
            assert_eq!(landed, logged(by_type_and_stream).await);
        }
    });
}
