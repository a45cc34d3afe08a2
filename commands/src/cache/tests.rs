//! Pipelined decisions on a cached aggregate, without a database.

use super::*;
use domain::agent::Agent;
use streams::Version;

fn key(id: u128) -> AggregateKey {
    AggregateKey::of::<Agent>(&"default".parse().unwrap(), uuid::Uuid::from_u128(id))
}

fn loaded(version: u64) -> AnyLoaded {
    AnyLoaded { version: Version::from(version), position: Position::from(version * 10), ..key(1).initial() }
}

fn committed(version: u64) -> CachedAggregate {
    let mut cached = CachedAggregate::default();
    cached.update_from_stream_end(&loaded(version));
    cached
}

/// A decision on the newest state that appends one event.
fn decide(cached: &mut CachedAggregate) -> (AnyLoaded, Chain, watch::Sender<Option<Position>>) {
    let after = loaded(newest_version(cached) + 1);
    let chain = cached.newest().and_then(|newest| newest.chain).unwrap_or_default();
    let sender = cached.push_pending(after.clone(), chain.clone());
    (after, chain, sender)
}

fn newest_version(cached: &CachedAggregate) -> u64 {
    cached.newest().unwrap().loaded.version.get()
}

#[test]
fn an_unknown_aggregate_needs_a_refresh_and_a_read_one_does_not() {
    assert!(CachedAggregate::default().needs_refresh());
    assert!(CachedAggregate::default().newest().is_none());
    assert!(!committed(0).needs_refresh(), "a stream without events is known, too");
    assert_eq!(newest_version(&committed(3)), 3);
}

#[test]
fn decisions_build_on_each_other_before_they_are_committed() {
    let mut cached = committed(3);
    let (_, first_chain, _first) = decide(&mut cached);
    let (_, second_chain, _second) = decide(&mut cached);
    assert_eq!(newest_version(&cached), 5);
    assert_eq!(cached.committed().unwrap().version.get(), 3);
    assert!(!cached.needs_refresh());
    first_chain.abort();
    assert!(second_chain.is_aborted(), "both are in one chain");
}

#[test]
fn a_commit_of_an_earlier_decision_keeps_the_later_one_pending() {
    let mut cached = committed(3);
    let (first, ..) = decide(&mut cached);
    let (second, ..) = decide(&mut cached);
    cached.update(&first);
    assert_eq!(cached.committed().unwrap().version.get(), 4);
    assert!(cached.commit_watch().is_some());
    assert_eq!(newest_version(&cached), 5);
    cached.update(&second);
    assert!(cached.commit_watch().is_none());
    assert_eq!(cached.committed().unwrap().version.get(), 5);
}

#[test]
fn a_chain_ends_when_all_its_decisions_are_committed() {
    let mut cached = committed(0);
    let (after, chain, _) = decide(&mut cached);
    cached.update(&after);
    let (_, next_chain, _) = decide(&mut cached);
    chain.abort();
    assert!(!next_chain.is_aborted(), "a failure of an older chain aborts no newer one");
    assert_eq!(newest_version(&cached), 2);
}

#[test]
fn an_aborted_decision_is_dropped_and_the_stream_is_read_again() {
    let mut cached = committed(3);
    let (_, chain, _) = decide(&mut cached);
    decide(&mut cached);
    chain.abort();
    assert_eq!(newest_version(&cached), 3, "every decision of the chain is dropped");
    assert!(cached.needs_refresh());
    assert!(cached.newest().unwrap().chain.is_none(), "what is decided on is committed");
    let (after, next, _) = decide(&mut cached);
    assert!(!next.is_aborted(), "the next decision begins a new chain");
    cached.update(&after);
    assert!(cached.needs_refresh(), "that does not show what the other process appended");
    let mut cached = committed(3);
    decide(&mut cached).1.abort();
    assert!(cached.needs_refresh());
    cached.update(&loaded(3));
    assert!(cached.needs_refresh(), "a commit by this process is not the end of the stream");
    cached.update_from_stream_end(&loaded(4));
    assert!(!cached.needs_refresh());
    assert_eq!(newest_version(&cached), 4);
}

#[test]
fn results_that_arrive_out_of_order_never_bring_back_an_older_state() {
    let mut cached = committed(0);
    let (first, ..) = decide(&mut cached);
    let (second, ..) = decide(&mut cached);
    cached.update(&second);
    cached.update(&first);
    assert_eq!(cached.committed().unwrap().version.get(), 2);
    cached.update_from_stream_end(&loaded(1));
    assert_eq!(newest_version(&cached), 2);
}

#[test]
fn a_stream_that_others_extended_replaces_the_pending_decision() {
    let mut cached = committed(3);
    decide(&mut cached);
    cached.update_from_stream_end(&loaded(9));
    assert!(cached.commit_watch().is_none());
    assert_eq!(newest_version(&cached), 9);
}

#[tokio::test]
async fn waiting_for_a_commit_ends_with_its_position_or_when_it_was_not_written() {
    let mut cached = committed(0);
    let (_, _, sender) = decide(&mut cached);
    let mut committed_at = cached.commit_watch().unwrap();
    sender.send_replace(Some(Position::from(7)));
    assert_eq!(*committed_at.wait_for(Option::is_some).await.unwrap(), Some(Position::from(7)));
    let (_, _, sender) = decide(&mut cached);
    let mut committed_at = cached.commit_watch().unwrap();
    drop(sender);
    assert!(committed_at.wait_for(Option::is_some).await.is_err());
}

#[test]
fn callers_share_one_entry_per_stream() {
    let cache = AggregateCache::new(10);
    let entry = cache.entry(&key(1));
    entry.lock().update_from_stream_end(&loaded(3));
    assert!(Arc::ptr_eq(&entry, &cache.entry(&key(1))));
    assert!(cache.entry(&key(2)).lock().needs_refresh());
}
