use super::*;
use crate::append::StreamAppend;
use crate::test_appends::{append, queued, stream};

fn batch(appends: Vec<Vec<StreamAppend>>) -> Vec<QueuedAppend> {
    (0..).zip(appends).map(|(command, streams)| queued(append(command, streams), None).0).collect()
}

fn exact(version: u64) -> Expected {
    Expected::Exact(Version::from(version))
}

fn ids(ids: &[u128]) -> Vec<Uuid> {
    ids.iter().copied().map(Uuid::from_u128).collect()
}

#[test]
fn streams_are_listed_once_and_in_the_global_lock_order() {
    let batch = batch(vec![
        vec![stream(9, exact(0), 1), stream(3, exact(0), 1)],
        vec![stream(5, Expected::Any, 1), stream(9, exact(1), 1)],
    ]);
    let columns = Columns::of(&batch);
    assert_eq!(columns.k_stream, ids(&[3, 5, 9]));
    assert_eq!(columns.s_key, [3, 1, 2, 3], "entries refer to streams by their number from 1");
    assert_eq!(columns.s_append, [1, 1, 2, 2]);
}

#[test]
fn an_entry_knows_how_many_events_earlier_appends_add_to_its_stream() {
    let batch = batch(vec![
        vec![stream(1, exact(4), 2)],
        vec![stream(1, exact(6), 0), stream(2, exact(0), 1)],
        vec![stream(1, exact(6), 3)],
    ]);
    let columns = Columns::of(&batch);
    assert_eq!(columns.s_expected, [4, 6, 0, 6]);
    assert_eq!(columns.s_before, [0, 2, 0, 2]);
    assert_eq!(columns.events, [5, 1]);
}

#[test]
fn an_append_to_any_version_expects_minus_one() {
    let batch = batch(vec![vec![stream(1, Expected::Any, 1)]]);
    assert_eq!(Columns::of(&batch).s_expected, [-1]);
}

#[test]
fn only_the_append_that_creates_its_target_is_its_creator() {
    let batch = batch(vec![
        vec![stream(1, exact(0), 1)],
        vec![stream(1, exact(1), 1)],
        vec![stream(2, exact(0), 1), stream(3, exact(0), 1)],
        vec![stream(4, exact(0), 1), stream(1, exact(2), 0)],
    ]);
    let columns = Columns::of(&batch);
    assert_eq!(columns.a_creates, [true, false, false, true]);
    assert_eq!(columns.k_stream, ids(&[1, 2, 3, 4]));
    assert_eq!(columns.k_creator, [Some(1), None, None, Some(4)]);
}

#[test]
fn events_refer_to_their_entry_and_carry_their_hash() {
    let batch = batch(vec![vec![stream(1, exact(0), 2), stream(2, exact(0), 1)], vec![stream(3, exact(0), 1)]]);
    let columns = Columns::of(&batch);
    assert_eq!(columns.a_events, [3, 1]);
    assert_eq!(columns.e_entry, [1, 1, 2, 3]);
    let hashes: Vec<&[u8]> = batch.iter().flat_map(|queued| queued.hashes.iter().map(|hash| &hash[..])).collect();
    assert_eq!(columns.e_hash, hashes);
}
