use super::*;
use crate::test_events::event;

/// A file with the events at some positions.
fn file(positions: impl IntoIterator<Item = u64>) -> Reader {
    let file = tempfile::tempfile().unwrap();
    let mut writer = Writer::new(file.try_clone().unwrap()).unwrap();
    positions.into_iter().for_each(|position| writer.push(event(position)).unwrap());
    writer.finish().unwrap();
    Reader::new(file).unwrap()
}

fn time(position: u64) -> DateTime<Utc> {
    event(position).recorded_at
}

#[test]
fn a_file_has_the_events_that_were_written() {
    let reader = file(11..=20);
    assert_eq!(reader.groups(), 1);
    assert_eq!(reader.group(0).unwrap(), (11..=20).map(event).collect::<Vec<_>>());
}

#[test]
fn a_position_is_found_in_its_row_group() {
    let per_group = GROUP_EVENTS as u64;
    let reader = file(11..=10 + 2 * per_group + 1);
    assert_eq!(reader.groups(), 3);
    assert_eq!(reader.group_after(Position::ZERO), 0, "the file starts after position 10");
    assert_eq!(reader.group_after(Position::from(9 + per_group)), 0);
    assert_eq!(reader.group_after(Position::from(10 + per_group)), 1);
    assert_eq!(reader.group_after(Position::from(10 + 2 * per_group)), 2);
    assert_eq!(reader.group(2).unwrap(), [event(11 + 2 * per_group)]);
}

#[test]
fn a_row_group_ends_at_the_time_of_its_last_event() {
    let reader = file(11..=20);
    assert!(reader.ends_at_or_after(0, time(20)));
    assert!(!reader.ends_at_or_after(0, time(21)));
}

#[test]
fn a_filter_excludes_row_groups_without_matching_events() {
    let reader = file(11..=20);
    let may_hold = |filter| reader.may_hold(0, &filter).unwrap();
    let all = ReadFilter::default();
    assert!(may_hold(ReadFilter { stream_id: Some(event(15).stream.id), ..all.clone() }));
    assert!(!may_hold(ReadFilter { stream_id: Some(event(25).stream.id), ..all.clone() }));
    assert!(may_hold(ReadFilter { tenant: Some(event(15).stream.tenant), ..all.clone() }));
    assert!(!may_hold(ReadFilter { tenant: Some(TenantId::from_stored("other".to_owned())), ..all.clone() }));
    assert!(!may_hold(ReadFilter { category: Some("memory".to_owned()), ..all.clone() }));
    assert!(!may_hold(ReadFilter { types: vec!["task.started".to_owned()], ..all }));
}

#[test]
fn a_file_that_is_not_parquet_is_an_error() {
    let file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut &file, b"not parquet").unwrap();
    assert!(matches!(Reader::new(file), Err(ArchiveError::Parquet(_))));
}
