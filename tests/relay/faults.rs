//! What strikes relays and their broker.

use crate::block_on;
use crate::broker::{self, Broker};
use crate::stage::Stage;
use crate::worker::Job;
use crate::workers::assert_is_rebuilt;
use rustix::process::{Pid, Signal, kill_process};
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};
use testkit::{Trials, trials};
use testkit::{append_all, call_append, wait_until};
use tokio::process::Child;

pub(crate) const TRIALS: Trials = trials![
    a_relay_killed_at_any_step_loses_nothing,
    of_two_relays_one_publishes_and_the_other_takes_over,
    a_relay_that_hangs_loses_its_seat,
    a_broker_that_stops_or_hangs_loses_nothing,
    an_outage_of_minutes_holds_up_nobody_and_is_made_up_for,
    a_wiped_broker_is_filled_again_from_any_position,
    planted_checkpoints_before_the_acknowledgement_are_caught,
];

/// Longer than several times the relay waits for an acknowledgement, and than the client's own patience was by default
/// for its connections, its batches and what it knows of topics.
const OUTAGE: Duration = Duration::from_secs(150);

pub(crate) fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

fn a_relay_killed_at_any_step_loses_nothing() {
    block_on(async {
        let stage = Stage::shared().await;
        let appending = stage.keep_appending();
        for (step, spared) in [
            ("relay_sent", 0),
            ("relay_acknowledged", 0),
            ("relay_saved", 0),
            ("relay_sent", 3),
            ("relay_acknowledged", 2),
            ("relay_saved", 2),
        ] {
            let mut relay = Job { death: Some((step.to_owned(), spared)), ..stage.job() }.start();
            let died = tokio::time::timeout(testkit::TIMEOUT, relay.wait()).await;
            assert_eq!(died.unwrap_or_else(|_| panic!("it does not come to {step}")).unwrap().signal(), Some(9));
        }
        appending.stop().await;
        // The last relay may have died with everything published.
        stage.append(1).await;
        let before = stage.relayed().await;
        assert!(before < stage.log.head().await.unwrap(), "nothing is left: it proves nothing");
        let _relay = stage.job().start();
        let messages = stage.verify().await;
        assert!(messages > stage.events().await.len(), "nothing is there twice: no relay died where it mattered");
    });
}

fn of_two_relays_one_publishes_and_the_other_takes_over() {
    block_on(async {
        let stage = Stage::shared().await;
        let appending = stage.keep_appending();
        let mut first = stage.job().start();
        stage.wait_beyond(0.into()).await;
        let _second = stage.job().start();
        // Both are there for a while.
        for _ in 0..5 {
            stage.wait_beyond(stage.relayed().await).await;
        }
        let taken = "select count(*) from pg_locks join pg_stat_activity using (pid)
                     where locktype = 'advisory' and granted and pg_locks.database =
                        (select oid from pg_database where datname = current_database())";
        let seats: i64 = sqlx::query_scalar(taken).fetch_one(&stage.database.pool).await.unwrap();
        assert_eq!(seats, 1);
        first.kill().await.unwrap();
        let at = stage.log.head().await.unwrap();
        stage.wait_beyond(at).await;
        appending.stop().await;
        stage.verify().await;
    });
}

fn a_relay_that_hangs_loses_its_seat() {
    block_on(async {
        let stage = Stage::shared().await;
        let first = stage.job().start();
        let appending = stage.keep_appending();
        stage.wait_beyond(0.into()).await;
        signal(&first, Signal::STOP);
        let _second = stage.job().start();
        let at = stage.log.head().await.unwrap();
        stage.wait_beyond(at).await;
        // What it had in its hands when it was stopped may come now; its checkpoint does not.
        signal(&first, Signal::CONT);
        for _ in 0..5 {
            stage.wait_beyond(stage.relayed().await).await;
        }
        appending.stop().await;
        stage.verify().await;
    });
}

/// Has the broker of this test to itself.
fn with_broker(work: impl AsyncFnOnce(&mut Broker)) {
    let mut broker = broker::take();
    block_on(work(broker.as_mut().unwrap()));
}

fn a_broker_that_stops_or_hangs_loses_nothing() {
    with_broker(async |broker| {
        let stage = Stage::new(broker.address()).await;
        let _relay = stage.job().start();
        let appending = stage.keep_appending();
        stage.wait_beyond(0.into()).await;

        broker.stop();
        let at = stage.log.head().await.unwrap();
        wait_until("appends go on", async || stage.log.head().await.unwrap().get() > at.get() + 400).await;
        broker.start();
        stage.wait_beyond(stage.log.head().await.unwrap()).await;

        broker.signal(Signal::STOP);
        let at = stage.log.head().await.unwrap();
        wait_until("appends go on", async || stage.log.head().await.unwrap().get() > at.get() + 400).await;
        // Longer than a message may wait, so that it is sent anew and may be there twice.
        tokio::time::sleep(Duration::from_millis(2500)).await;
        broker.signal(Signal::CONT);
        stage.wait_beyond(stage.log.head().await.unwrap()).await;

        appending.stop().await;
        stage.verify().await;
    });
}

/// With the program as it is run, and its own settings.
fn an_outage_of_minutes_holds_up_nobody_and_is_made_up_for() {
    with_broker(async |broker| {
        let stage = Stage::new(broker.address()).await;
        let arguments = ["relay", "--kafka-brokers", &stage.brokers, "--kafka-topic-prefix", &stage.prefix];
        let mut relay = stage.database.apex(&arguments).spawn().unwrap();
        let mut worker = stage.start_worker("kafka", &stage.prefix);
        stage.import("claude-code", "claude-code.jsonl").await;
        stage.wait_for_projections().await;
        stage.wait_for_relay().await;

        broker.stop();
        let (stopped, published) = (Instant::now(), stage.relayed().await);
        let mut slowest = Duration::ZERO;
        while stopped.elapsed() < OUTAGE {
            let began = Instant::now();
            for answer in append_all(&stage.log, (0..20).map(|_| call_append())).await {
                answer.unwrap();
            }
            slowest = slowest.max(began.elapsed());
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        assert!(slowest < Duration::from_secs(10), "appends waited {slowest:?} for a broker that is away");
        // The read models have it from the log.
        stage.import("otlp", "otlp.json").await;
        stage.wait_for_projections().await;
        assert_eq!(stage.relayed().await, published, "something is published that no broker has");

        broker.start();
        stage.wait_for_relay().await;
        stage.import("autogpt", "autogpt.jsonl").await;
        stage.wait_for_projections().await;
        for child in [&mut relay, &mut worker] {
            assert!(child.try_wait().unwrap().is_none(), "a process has ended");
        }
        stage.verify().await;
        assert_is_rebuilt(&stage.database).await;
    });
}

fn a_wiped_broker_is_filled_again_from_any_position() {
    with_broker(async |broker| {
        let stage = Stage::new(broker.address()).await;
        let _relay = stage.job().start();
        stage.append(3).await;
        stage.verify().await;

        broker.stop();
        broker.wipe();
        broker.start();
        stage.append(1).await;
        stage.wait_for_relay().await;
        let (violations, messages) = stage.check().await;
        assert!(messages > 0 && !violations.is_empty(), "a broker without its data was not noticed");

        let brokers = broker.address();
        let refill = |from: &'static str| {
            let arguments = ["relay", "--until-caught-up", "--from", from, "--kafka-brokers", &brokers];
            let arguments: Vec<_> = arguments.into_iter().chain(["--kafka-topic-prefix", &stage.prefix]).collect();
            let run = stage.database.apex(&arguments).output();
            async { run.await.unwrap() }
        };
        // From the middle: what is before stays away, and the checkpoint does not pass what was never sent.
        assert!(refill("100").await.status.success());
        let (violations, _) = stage.check().await;
        assert!(violations.contains(&"position 99 is missing".to_owned()), "{violations:?}");
        assert!(!violations.contains(&"position 100 is missing".to_owned()), "{violations:?}");
        let beyond = refill("1000000").await;
        assert!(!beyond.status.success() && String::from_utf8_lossy(&beyond.stderr).contains("would skip"));
    });
}

fn planted_checkpoints_before_the_acknowledgement_are_caught() {
    with_broker(async |broker| {
        let stage = Stage::new(broker.address()).await;
        let mut relay = Job { has_bug: true, ..stage.job() }.start();
        stage.append(1).await;
        wait_until("everything is published", async || stage.check().await.0.is_empty()).await;
        broker.stop();
        stage.append(1).await;
        // It takes for published what a stopped broker never got.
        stage.wait_for_relay().await;
        relay.kill().await.unwrap();
        broker.start();
        let _relay = stage.job().start();
        let at = stage.log.head().await.unwrap();
        stage.append(1).await;
        stage.wait_beyond(at).await;
        stage.wait_for_relay().await;
        let (violations, _) = stage.check().await;
        assert!(violations.iter().any(|violation| violation.ends_with("is missing")), "{violations:?}");
    });
}
