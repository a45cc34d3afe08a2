//! The examples in `examples/` print what is in the log, despite duplicates in Kafka.

use crate::block_on;
use crate::fixture::Fixture;
use std::path::Path;
use std::process::Command;
use streams::relay::republish_from;
use testkit::{Trials, sample, trials};

pub(crate) const TRIALS: Trials = trials![the_examples_print_what_is_in_the_log];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a program and returns the lines that it prints.
fn output_of(program: &Path, arguments: &[&str]) -> Vec<String> {
    assert!(program.exists(), "{} does not exist: run the tests with `make test`", program.display());
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}: {}", program.display(), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(ToOwned::to_owned).collect()
}

fn the_examples_print_what_is_in_the_log() {
    block_on(async {
        let fixture = Fixture::shared().await;
        let _server = fixture.database.serve(&[]).await;
        for (format, file) in
            [("claude-code", "claude-code.jsonl"), ("otlp", "otlp.json"), ("autogpt", "autogpt.jsonl")]
        {
            fixture.database.run(&["import", format, &sample(file)]).await.assert_success();
        }
        let _relay = fixture.job().start();
        fixture.wait_for_relay().await;
        // Some events are published twice.
        assert!(republish_from(&fixture.database.pool, 5.into()).await.unwrap());
        let messages = fixture.verify().await;
        let logged = async |sql: &'static str| -> Vec<String> {
            let lines: Vec<String> = sqlx::query_scalar(sql).fetch_all(&fixture.database.pool).await.unwrap();
            assert!(!lines.is_empty(), "the log has no such events, so nothing was tested");
            lines
        };
        let by_type = "select type || E'\\t' || count(*) from apex.events group by type order by type collate \"C\"";
        let by_type_and_stream = "select type || E'\\t' || count(*) || E'\\t' || count(distinct stream_id)
                                  from apex.events group by type order by type collate \"C\"";
        let cost = "select model || E'\\t' || trim_scale(sum(cost)) from apex.usage_quarter_hourly
                    where model is not null group by model order by model collate \"C\"";
        let calls = "select count(*)::text from apex.events where category = 'call'";
        let events = fixture.events().await.len();
        assert!(messages > events, "there are no duplicates, so nothing was tested");
        let names = projections::all().iter().map(|projection| projection.name()).collect::<Vec<_>>();
        let head = fixture.log.head().await.unwrap();
        projections::wait_for(&fixture.database.pool, &names, head, testkit::TIMEOUT).await.unwrap();

        let (brokers, prefix) = (fixture.brokers.as_str(), fixture.prefix.as_str());
        let apex = testkit::apex_binary();
        let rust = apex.with_file_name("examples").join("count_events");
        assert_eq!(output_of(&rust, &[brokers, prefix]), logged(by_type).await);

        let python = root().join("target/tools/python/bin/python");
        let script = |name: &str| root().join("examples").join(name).to_string_lossy().into_owned();
        assert_eq!(output_of(&python, &[&script("cost_by_model.py"), brokers, prefix]), logged(cost).await);

        let shell = output_of(Path::new(&script("count_events.sh")), &[brokers, &format!("{prefix}.call")]);
        assert_eq!(shell, logged(calls).await);

        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().to_string_lossy().into_owned();
        for _ in 0..2 {
            let landed = output_of(&python, &[&script("parquet.py"), brokers, prefix, &folder]);
            assert_eq!(landed, logged(by_type_and_stream).await);
        }
    });
}
