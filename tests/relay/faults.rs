//! Faults of relays and their broker.

use crate::block_on;
use crate::broker::{self, Broker};
use crate::fixture::{Fixture, assert_equals_rebuild};
use crate::worker::Job;
use rustix::process::Signal;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};
use testkit::{Trials, append_all, call_append, send_signal, trials, wait_until};

// The longest first, so that the others run beside it.
pub(crate) const TRIALS: Trials = trials![
    a_broker_outage_of_minutes_delays_no_append_and_loses_nothing,
    a_relay_killed_at_any_step_loses_nothing,
    of_two_relays_one_publishes_and_the_other_takes_over,
    a_relay_that_hangs_loses_the_leader_lock,
    a_broker_that_stops_or_hangs_loses_nothing,
    a_wiped_broker_is_refilled_from_any_position,
    planted_checkpoints_before_the_acknowledgement_are_detected,
];

/// Longer than several delivery timeouts of the relay, and than the client's default timeouts for connections, batches and
/// metadata.
const OUTAGE: Duration = Duration::from_secs(150);

fn a_relay_killed_at_any_step_loses_nothing() {
    block_on(async {
        let fixture = Fixture::shared().await;
        let appending = fixture.start_appending();
        for (failpoint, hits_before) in [
            ("relay_sent", 0),
            ("relay_acknowledged", 0),
            ("relay_saved", 0),
            ("relay_sent", 3),
            ("relay_acknowledged", 2),
            ("relay_saved", 2),
        ] {
            let mut relay = Job { kill_at: Some((failpoint.to_owned(), hits_before)), ..fixture.job() }.start();
            let exited = tokio::time::timeout(testkit::TIMEOUT, relay.wait()).await;
            assert_eq!(
                exited.unwrap_or_else(|_| panic!("the relay does not reach {failpoint}")).unwrap().signal(),
                Some(9)
            );
        }
        appending.stop().await;
        // The last relay may have published everything before it was killed.
        fixture.append(1).await;
        let before = fixture.checkpoint().await;
        assert!(before < fixture.log.head().await.unwrap(), "no event is left to publish, so nothing was tested");
        let _relay = fixture.job().start();
        let messages = fixture.verify().await;
        assert!(
            messages > fixture.events().await.len(),
            "there are no duplicates: no relay was killed before its checkpoint"
        );
    });
}

fn of_two_relays_one_publishes_and_the_other_takes_over() {
    block_on(async {
        let fixture = Fixture::shared().await;
        let appending = fixture.start_appending();
        let mut first = fixture.job().start();
        fixture.wait_beyond(0.into()).await;
        let _second = fixture.job().start();
        // Both run for a while.
        for _ in 0..5 {
            fixture.wait_beyond(fixture.checkpoint().await).await;
        }
        let held = "select count(*) from pg_locks join pg_stat_activity using (pid)
                     where locktype = 'advisory' and granted and pg_locks.database =
                        (select oid from pg_database where datname = current_database())";
        let leader_locks: i64 = sqlx::query_scalar(held).fetch_one(&fixture.database.pool).await.unwrap();
        assert_eq!(leader_locks, 1);
        first.kill().await.unwrap();
        let at = fixture.log.head().await.unwrap();
        fixture.wait_beyond(at).await;
        appending.stop().await;
        fixture.verify().await;
    });
}

fn a_relay_that_hangs_loses_the_leader_lock() {
    block_on(async {
        let fixture = Fixture::shared().await;
        let first = fixture.job().start();
        let appending = fixture.start_appending();
        fixture.wait_beyond(0.into()).await;
        send_signal(first.id().unwrap(), Signal::STOP);
        let _second = fixture.job().start();
        let at = fixture.log.head().await.unwrap();
        fixture.wait_beyond(at).await;
        // It may still send the messages that it had read before, but must not write its checkpoint.
        send_signal(first.id().unwrap(), Signal::CONT);
        for _ in 0..5 {
            fixture.wait_beyond(fixture.checkpoint().await).await;
        }
        appending.stop().await;
        fixture.verify().await;
    });
}

/// Runs a test with exclusive use of the private broker.
fn with_broker(work: impl AsyncFnOnce(&mut Broker)) {
    let mut broker = broker::lock();
    block_on(work(broker.as_mut().unwrap()));
}

fn a_broker_that_stops_or_hangs_loses_nothing() {
    with_broker(async |broker| {
        let fixture = Fixture::new(broker.address()).await;
        let _relay = fixture.job().start();
        let appending = fixture.start_appending();
        fixture.wait_beyond(0.into()).await;

        broker.stop();
        let at = fixture.log.head().await.unwrap();
        wait_until("appends succeed despite the broker", async || {
            fixture.log.head().await.unwrap().get() > at.get() + 400
        })
        .await;
        broker.start();
        fixture.wait_beyond(fixture.log.head().await.unwrap()).await;

        broker.signal(Signal::STOP);
        let at = fixture.log.head().await.unwrap();
        wait_until("appends succeed despite the broker", async || {
            fixture.log.head().await.unwrap().get() > at.get() + 400
        })
        .await;
        // Longer than the delivery timeout, so that messages are sent again and may be duplicated.
        tokio::time::sleep(Duration::from_millis(2500)).await;
        broker.signal(Signal::CONT);
        fixture.wait_beyond(fixture.log.head().await.unwrap()).await;

        appending.stop().await;
        fixture.verify().await;
    });
}

/// With the program itself, and its default settings; and with a broker of its own, for which the other tests would wait.
fn a_broker_outage_of_minutes_delays_no_append_and_loses_nothing() {
    let mut broker = Broker::start_new();
    block_on(async {
        let fixture = Fixture::new(broker.address()).await;
        let arguments = ["relay", "--kafka-brokers", &fixture.brokers, "--kafka-topic-prefix", &fixture.prefix];
        let mut relay = fixture.database.apex(&arguments).spawn().unwrap();
        let mut worker = fixture.start_worker();
        fixture.import("claude-code", "claude-code.jsonl").await;
        fixture.wait_for_projections().await;
        fixture.wait_for_relay().await;

        broker.stop();
        let (stopped, published) = (Instant::now(), fixture.checkpoint().await);
        let mut slowest = Duration::ZERO;
        while stopped.elapsed() < OUTAGE {
            let started = Instant::now();
            for answer in append_all(&fixture.log, (0..20).map(|_| call_append())).await {
                answer.unwrap();
            }
            slowest = slowest.max(started.elapsed());
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        assert!(slowest < OUTAGE / 3, "an append took {slowest:?} during the outage");
        // The read models follow the log, with or without a broker.
        fixture.import("otlp", "otlp.json").await;
        fixture.wait_for_projections().await;
        assert_eq!(fixture.checkpoint().await, published, "the checkpoint advanced without a broker");

        broker.start();
        fixture.wait_for_relay().await;
        fixture.import("autogpt", "autogpt.jsonl").await;
        fixture.wait_for_projections().await;
        for child in [&mut relay, &mut worker] {
            assert!(child.try_wait().unwrap().is_none(), "a process exited");
        }
        fixture.verify().await;
        assert_equals_rebuild(&fixture.database).await;
    });
}

fn a_wiped_broker_is_refilled_from_any_position() {
    with_broker(async |broker| {
        let fixture = Fixture::new(broker.address()).await;
        let _relay = fixture.job().start();
        fixture.append(3).await;
        fixture.verify().await;

        broker.stop();
        broker.wipe();
        broker.start();
        fixture.append(1).await;
        fixture.wait_for_relay().await;
        let (violations, messages) = fixture.check().await;
        assert!(messages > 0 && !violations.is_empty(), "the loss of the broker's data was not detected");

        let brokers = broker.address();
        let refill = |from: &'static str| {
            let arguments = ["relay", "--until-caught-up", "--from", from, "--kafka-brokers", &brokers];
            let arguments: Vec<_> = arguments.into_iter().chain(["--kafka-topic-prefix", &fixture.prefix]).collect();
            let run = fixture.database.apex(&arguments).output();
            async { run.await.unwrap() }
        };
        // From the middle: earlier events stay missing, and the checkpoint must not advance beyond unsent events.
        assert!(refill("100").await.status.success());
        let (violations, _) = fixture.check().await;
        assert!(violations.contains(&"position 99 is missing".to_owned()), "{violations:?}");
        assert!(!violations.contains(&"position 100 is missing".to_owned()), "{violations:?}");
        let beyond = refill("1000000").await;
        assert!(!beyond.status.success() && String::from_utf8_lossy(&beyond.stderr).contains("would skip"));
    });
}

fn planted_checkpoints_before_the_acknowledgement_are_detected() {
    with_broker(async |broker| {
        let fixture = Fixture::new(broker.address()).await;
        let mut relay = Job { has_bug: true, ..fixture.job() }.start();
        fixture.append(1).await;
        wait_until("all events are published", async || fixture.check().await.0.is_empty()).await;
        broker.stop();
        fixture.append(1).await;
        // It treats messages as acknowledged that the stopped broker never received.
        fixture.wait_for_relay().await;
        relay.kill().await.unwrap();
        broker.start();
        let _relay = fixture.job().start();
        let at = fixture.log.head().await.unwrap();
        fixture.append(1).await;
        fixture.wait_beyond(at).await;
        fixture.wait_for_relay().await;
        let (violations, _) = fixture.check().await;
        assert!(violations.iter().any(|violation| violation.ends_with("is missing")), "{violations:?}");
    });
}
