use super::*;
use crate::test_appends::{append, stream};

fn check(append: &Append) -> Result<usize, InvalidAppend> {
    append.check(100)
}

#[test]
fn the_size_counts_the_metadata_once_per_event() {
    let append = append(1, vec![stream(1, Expected::Any, 2), stream(2, Expected::Any, 1)]);
    let payload = append.streams[0].events[0].payload.len();
    assert_eq!(check(&append), Ok(3 * (payload + 100)));
}

#[test]
fn an_append_without_events_is_refused() {
    assert_eq!(check(&append(1, vec![])), Err(InvalidAppend::Empty));
    assert_eq!(check(&append(1, vec![stream(1, Expected::Any, 0)])), Err(InvalidAppend::Empty));
}

#[test]
fn a_stream_may_only_be_checked_if_another_one_is_written() {
    let append = append(1, vec![stream(1, Expected::Exact(Version::from(3)), 0), stream(2, Expected::Any, 1)]);
    assert!(check(&append).is_ok());
}

#[test]
fn a_stream_that_occurs_twice_is_refused() {
    let append = append(1, vec![stream(1, Expected::Any, 1), stream(1, Expected::Any, 0)]);
    assert_eq!(check(&append), Err(InvalidAppend::DuplicateStream(append.key(&append.streams[0]))));
}

#[test]
fn the_same_id_in_two_categories_is_two_streams() {
    let other = StreamAppend { category: "memory".into(), ..stream(1, Expected::Any, 1) };
    assert!(check(&append(1, vec![stream(1, Expected::Any, 1), other])).is_ok());
}

#[test]
fn the_limits_are_inclusive() {
    let events = |count| append(1, vec![stream(1, Expected::Any, count)]);
    assert!(check(&events(MAX_APPEND_EVENTS)).is_ok());
    let found = MAX_APPEND_EVENTS + 1;
    assert_eq!(check(&events(found)), Err(InvalidAppend::TooManyEvents { found, limit: MAX_APPEND_EVENTS }));

    assert!(events(1).check(MAX_METADATA_BYTES).is_ok());
    assert!(matches!(events(1).check(MAX_METADATA_BYTES + 1), Err(InvalidAppend::MetadataTooLarge { .. })));

    let sized = |bytes: usize, count: usize| {
        let mut append = events(count);
        append.streams[0].events.iter_mut().for_each(|event| event.payload = "x".repeat(bytes - 100));
        append
    };
    assert_eq!(check(&sized(MAX_EVENT_BYTES, 1)), Ok(MAX_EVENT_BYTES));
    assert!(matches!(check(&sized(MAX_EVENT_BYTES + 1, 1)), Err(InvalidAppend::EventTooLarge { .. })));
    let quarter = MAX_APPEND_BYTES / 32;
    assert_eq!(check(&sized(quarter, 32)), Ok(MAX_APPEND_BYTES));
    assert!(matches!(check(&sized(quarter + 1, 32)), Err(InvalidAppend::AppendTooLarge { .. })));
}

#[test]
fn an_append_without_an_actor_is_refused() {
    let mut append = append(1, vec![stream(1, Expected::Any, 1)]);
    append.metadata.actor.clear();
    assert_eq!(check(&append), Err(InvalidAppend::MissingActor));
}

#[test]
fn only_an_append_that_creates_its_target_and_can_do_nothing_else_needs_no_receipt() {
    let new = || stream(1, Expected::Exact(Version::ZERO), 1);
    let creates = |streams| append(1, streams).only_creates_its_target();
    let read = |version: u64| stream(2, Expected::Exact(Version::from(version)), 0);
    assert!(creates(vec![new()]));
    assert!(creates(vec![new(), read(5)]), "a stream that is only read is not changed");
    assert!(!creates(vec![read(5), new()]), "the target comes first");
    assert!(!creates(vec![new(), stream(2, Expected::Exact(Version::ZERO), 1)]));
    assert!(!creates(vec![stream(1, Expected::Exact(Version::from(1)), 1)]));
    assert!(!creates(vec![stream(1, Expected::Any, 1)]));
    assert!(!Append { may_change_others: true, ..append(1, vec![new()]) }.only_creates_its_target());
}

#[test]
fn a_request_hash_of_another_version_never_differs() {
    let hash = RequestHash::of(b"request");
    assert!(!hash.differs_from(hash.as_bytes()));
    assert!(hash.differs_from(RequestHash::of(b"other").as_bytes()));
    let mut newer = RequestHash::of(b"other").as_bytes().to_vec();
    newer[0] += 1;
    assert!(!hash.differs_from(&newer));
}
