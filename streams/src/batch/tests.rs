use super::*;
use crate::append::{Chain, StreamAppend};
use crate::event::Version;
use crate::queue_capacity::QueueCapacity;
use crate::test_appends::{append, queued, stream};

/// A queue of appends with the command ids 0, 1, 2 and so on.
fn queue(appends: Vec<Vec<StreamAppend>>) -> VecDeque<QueuedAppend> {
    (0..).zip(appends).map(|(command, streams)| queued(append(command, streams), None).0).collect()
}

fn commands<'a>(appends: impl IntoIterator<Item = &'a QueuedAppend>) -> Vec<u128> {
    appends.into_iter().map(|queued| queued.append.metadata.command_id.as_u128()).collect()
}

/// The command ids of the next batch, and of the appends that stay in the queue.
fn split(queue: &mut VecDeque<QueuedAppend>, busy: &[&StreamKey], limits: &AppenderLimits) -> (Vec<u128>, Vec<u128>) {
    let busy = busy.iter().copied().cloned().collect();
    let batch = next_batch(queue, &busy, limits);
    (commands(&batch.appends), commands(&*queue))
}

fn exact(version: u64) -> Expected {
    Expected::Exact(Version::from(version))
}

#[test]
fn appends_to_different_streams_go_together_in_order() {
    let mut queue = queue((0..5).map(|id| vec![stream(id, exact(0), 1)]).collect());
    assert_eq!(split(&mut queue, &[], &AppenderLimits::default()), (vec![0, 1, 2, 3, 4], vec![]));
}

#[test]
fn an_empty_queue_gives_an_empty_batch() {
    let batch = next_batch(&mut VecDeque::new(), &HashSet::new(), &AppenderLimits::default());
    assert!(batch.appends.is_empty() && batch.changed.is_empty());
}

#[test]
fn appends_to_one_stream_go_together_if_each_expects_the_version_of_the_one_before() {
    let mut queue = queue(vec![
        vec![stream(1, exact(4), 2)],
        vec![stream(1, exact(6), 1)],
        vec![stream(1, Expected::Any, 1)],
        vec![stream(1, exact(8), 1)],
    ]);
    assert_eq!(split(&mut queue, &[], &AppenderLimits::default()), (vec![0, 1, 2, 3], vec![]));
}

#[test]
fn an_append_that_expects_another_version_waits_for_the_decision_about_the_one_before() {
    let mut queue = queue(vec![vec![stream(1, exact(4), 2)], vec![stream(1, exact(4), 1)]]);
    assert_eq!(split(&mut queue, &[], &AppenderLimits::default()), (vec![0], vec![1]));
}

#[test]
fn a_version_after_an_append_to_any_version_is_not_known() {
    let mut queue = queue(vec![vec![stream(1, Expected::Any, 1)], vec![stream(1, exact(1), 1)]]);
    assert_eq!(split(&mut queue, &[], &AppenderLimits::default()), (vec![0], vec![1]));
}

#[test]
fn an_append_to_a_busy_stream_waits_and_holds_back_later_appends_to_all_of_its_streams() {
    let mut queue = queue(vec![
        vec![stream(1, exact(1), 1), stream(2, exact(0), 1)],
        vec![stream(2, Expected::Any, 1)],
        vec![stream(3, exact(0), 1)],
    ]);
    let busy = queue[0].keys[0].clone();
    assert_eq!(split(&mut queue, &[&busy], &AppenderLimits::default()), (vec![2], vec![0, 1]));
    assert_eq!(split(&mut queue, &[], &AppenderLimits::default()), (vec![0, 1], vec![]));
}

#[test]
fn a_stream_that_is_only_read_counts_like_a_changed_one_within_a_batch() {
    let mut queue = queue(vec![
        vec![stream(1, exact(3), 0), stream(2, exact(0), 1)],
        vec![stream(1, exact(3), 1)],
        vec![stream(1, exact(3), 1)],
    ]);
    let batch = next_batch(&mut queue, &HashSet::new(), &AppenderLimits::default());
    assert_eq!((commands(&batch.appends), commands(&queue)), (vec![0, 1], vec![2]));
    assert_eq!(batch.changed.len(), 2, "both streams are busy until the batch has finished");
}

#[test]
fn a_command_is_in_a_batch_once_and_its_retries_stay_behind_it() {
    let retry = |id| queued(append(7, vec![stream(id, Expected::Any, 1)]), None).0;
    let mut queue = VecDeque::from([retry(1), retry(2), retry(3)]);
    let limits = AppenderLimits::default();
    assert_eq!(split(&mut queue, &[], &limits), (vec![7], vec![7, 7]));

    // The first one waits for its stream: the retry on a free stream must not overtake it.
    let busy = queue[0].keys[0].clone();
    assert_eq!(split(&mut queue, &[&busy], &limits), (vec![], vec![7, 7]));
}

#[test]
fn the_same_command_id_of_two_tenants_is_two_commands() {
    let mut other = append(0, vec![stream(2, Expected::Any, 1)]);
    other.tenant = TenantId::from_stored("other".to_owned());
    let mut queue = queue(vec![vec![stream(1, Expected::Any, 1)]]);
    queue.push_back(queued(other, None).0);
    assert_eq!(split(&mut queue, &[], &AppenderLimits::default()), (vec![0, 0], vec![]));
}

#[test]
fn a_batch_ends_before_the_append_that_exceeds_its_events() {
    let limits = AppenderLimits { max_batch_events: 5, ..AppenderLimits::default() };
    let mut queue = queue((0..4).map(|id| vec![stream(id, exact(0), 2)]).collect());
    assert_eq!(split(&mut queue, &[], &limits), (vec![0, 1], vec![2, 3]));
    assert_eq!(split(&mut queue, &[], &limits), (vec![2, 3], vec![]));
}

#[test]
fn a_batch_ends_before_the_append_that_exceeds_its_bytes() {
    let mut queue = queue((0..3).map(|id| vec![stream(id, exact(0), 1)]).collect());
    let limits = AppenderLimits { max_batch_bytes: queue[0].bytes * 2 + 1, ..AppenderLimits::default() };
    assert_eq!(split(&mut queue, &[], &limits), (vec![0, 1], vec![2]));
}

#[test]
fn an_append_larger_than_a_batch_goes_alone() {
    let limits = AppenderLimits { max_batch_events: 2, max_batch_bytes: 1, ..AppenderLimits::default() };
    let mut queue = queue(vec![vec![stream(1, exact(0), 3)], vec![stream(2, exact(0), 3)]]);
    assert_eq!(split(&mut queue, &[], &limits), (vec![0], vec![1]));
}

#[test]
fn a_batched_append_releases_its_queue_capacity_and_a_queued_one_keeps_it() {
    let capacity = QueueCapacity::new(2, 1 << 20);
    let mut queue = queue(vec![vec![stream(1, exact(0), 1)], vec![stream(1, exact(0), 1)]]);
    queue.iter_mut().for_each(|queued| queued.permit = capacity.try_acquire(1));
    assert!(capacity.try_acquire(1).is_none());
    assert_eq!(split(&mut queue, &[], &AppenderLimits::default()), (vec![0], vec![1]));
    let _free = capacity.try_acquire(1).unwrap();
    assert!(capacity.try_acquire(1).is_none());
}

#[tokio::test]
async fn appends_of_an_aborted_chain_fail_and_leave_the_queue() {
    let chain = Chain::default();
    let (first, first_result) = queued(append(0, vec![stream(1, exact(0), 1)]), Some(&chain));
    let (second, second_result) = queued(append(1, vec![stream(1, exact(1), 1)]), Some(&chain));
    let (other, _other_result) = queued(append(2, vec![stream(2, exact(0), 1)]), None);
    first.finish(Err(AppendError::CommandReused)).send();
    assert!(matches!(first_result.result().await, Err(AppendError::CommandReused)));
    assert!(chain.is_aborted());

    let mut queue = VecDeque::from([second, other]);
    let batch = next_batch(&mut queue, &HashSet::new(), &AppenderLimits::default());
    assert_eq!((commands(&batch.appends), commands(&queue)), (vec![2], vec![]));
    batch.aborted.into_iter().for_each(Reply::send);
    assert!(matches!(second_result.result().await, Err(AppendError::ChainAborted)));
}
