//! Locks of decisions, without a database.

use super::*;
use domain::agent::Agent;
use std::sync::mpsc;
use std::time::Duration;
use streams::Version;
use uuid::Uuid;

fn key(id: u128) -> AggregateKey {
    AggregateKey::of::<Agent>(&"default".parse().unwrap(), Uuid::from_u128(id))
}

/// A cache in which the aggregates 1 to 3 are at the versions 1 to 3.
fn cache() -> AggregateCache {
    let cache = AggregateCache::new(10);
    for id in 1..=3 {
        let loaded = AnyLoaded { version: Version::from(id), ..key(1).initial() };
        cache.entry(&key(id.into())).lock().update_from_stream_end(&loaded);
    }
    cache
}

fn entries(cache: &AggregateCache, ids: &[u128]) -> Entries {
    ids.iter().map(|id| (key(*id), cache.entry(&key(*id)))).collect()
}

/// Locks some aggregates for a command that may change them and no others, and calls a function with the locks.
fn with_locks<R>(cache: &AggregateCache, changed: &[u128], then: impl FnOnce(&mut Locks<'_>) -> R) -> R {
    let (entries, found) = (entries(cache, changed), Found::default());
    let may_change = |key: &AggregateKey| changed.contains(&key.stream.id.as_u128());
    then(&mut Locks::wait(cache, &entries, &may_change, &[], &found))
}

fn version(locks: &mut Locks<'_>, id: u128) -> Option<u64> {
    locks.newest(&key(id)).map(|newest| newest.loaded.version.get())
}

#[test]
fn an_aggregate_that_is_only_read_is_found_while_others_read_it_and_not_while_one_may_change_it() {
    let cache = cache();
    with_locks(&cache, &[1], |one| {
        assert_eq!(version(one, 3), Some(3));
        with_locks(&cache, &[2], |other| {
            assert_eq!(version(other, 3), Some(3), "both read it");
            assert_eq!(version(other, 1), None, "one may change it");
        });
        assert!(cache.entry(&key(3)).try_lock().is_none(), "it stays as it was read until the append is submitted");
    });
    assert!(cache.entry(&key(3)).try_lock().is_some());
}

#[test]
fn an_aggregate_that_may_be_changed_is_found_unless_it_is_locked() {
    let cache = cache();
    let (found, nothing, may_change) = (Found::default(), Entries::new(), |_: &AggregateKey| true);
    let mut locks = Locks::wait(&cache, &nothing, &may_change, &[], &found);
    let entry = cache.entry(&key(1));
    let reader = entry.lock_shared();
    assert_eq!(version(&mut locks, 1), None);
    drop(reader);
    assert_eq!(version(&mut locks, 1), Some(1));
    assert!(entry.try_lock_shared().is_none());
    assert!(locks.push_pending(&key(1), key(1).initial(), Chain::default()).is_some());
    assert_eq!(locks.unlock().into_keys().collect::<Vec<_>>(), [key(1)]);
}

#[test]
fn what_has_to_be_read_first_is_not_found() {
    let cache = cache();
    cache.entry(&key(2)).lock().mark_stale();
    with_locks(&cache, &[1], |locks| {
        assert_eq!(version(locks, 2), None, "stale");
        assert_eq!(version(locks, 4), None, "not cached");
        assert!(locks.push_pending(&key(3), key(3).initial(), Chain::default()).is_none(), "not locked");
    });
    let (found, nothing, may_change) = (Found::default(), Entries::new(), |_: &AggregateKey| true);
    let new = [key(4)];
    assert_eq!(version(&mut Locks::wait(&cache, &nothing, &may_change, &new, &found), 4), Some(0), "taken for new");
}

#[test]
fn a_decision_finds_no_more_aggregates_than_it_may_rest_on() {
    let cache = AggregateCache::new(1000);
    let ids = 0..2 * MAX_DECISION_AGGREGATES as u128;
    for id in ids.clone() {
        cache.entry(&key(id)).lock().update_from_stream_end(&key(id).initial());
    }
    with_locks(&cache, &[1000, 1001], |locks| {
        assert_eq!(ids.filter(|id| version(locks, *id).is_some()).count(), MAX_DECISION_AGGREGATES - 2);
    });
}

/// How often each thread locks both entries, and after how many of them it reports.
const LOCKS: usize = 20_000;
const LOCKS_PER_REPORT: usize = 100;
/// How long no thread reports if they wait for each other. They may be slow on a busy machine.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the control is tried: its threads may miss each other.
const CONTROL_RUNS: usize = 20;

/// Whether two threads finish that ask for the same two aggregates in opposite orders, and lock them again and again.
fn opposite_orders_finish(lock: fn(&AggregateCache, [u128; 2])) -> bool {
    let (report, reports) = mpsc::channel();
    let cache = cache();
    for asked_for in [[1, 2], [2, 1]] {
        let (report, cache) = (report.clone(), cache.clone());
        // Never joined: it may wait forever.
        std::thread::spawn(move || {
            for _ in 0..LOCKS / LOCKS_PER_REPORT {
                (0..LOCKS_PER_REPORT).for_each(|_| lock(&cache, asked_for));
                report.send(()).unwrap();
            }
        });
    }
    (0..2 * LOCKS / LOCKS_PER_REPORT).all(|_| reports.recv_timeout(LOCK_TIMEOUT).is_ok())
}

#[test]
fn decisions_that_ask_for_aggregates_in_opposite_orders_do_not_wait_for_each_other() {
    assert!(opposite_orders_finish(|cache, asked_for| with_locks(cache, &asked_for, |_| ())), "both known before");
    let lock = |cache: &AggregateCache, [first, second]: [u128; 2]| {
        with_locks(cache, &[first], |locks| drop(locks.newest(&key(second))));
    };
    assert!(opposite_orders_finish(lock), "the second found while deciding");
}

/// The control: locks waited for in the order in which they are asked for end in a deadlock, and the test notices.
#[test]
fn planted_locks_in_the_order_asked_for_end_in_a_deadlock() {
    let lock = |cache: &AggregateCache, asked_for: [u128; 2]| {
        let entries = asked_for.map(|id| cache.entry(&key(id)));
        let locked = entries.each_ref().map(|entry| entry.lock());
        drop(locked);
    };
    assert!((0..CONTROL_RUNS).any(|_| !opposite_orders_finish(lock)), "no deadlock was detected");
}
