use super::*;
use rdkafka::error::RDKafkaErrorCode;
use tokio::sync::oneshot;

type Acknowledge = oneshot::Sender<Result<(), KafkaError>>;
type Pending = futures::future::Map<
    oneshot::Receiver<Result<(), KafkaError>>,
    fn(Result<Result<(), KafkaError>, oneshot::error::RecvError>) -> Result<(), KafkaError>,
>;

const LONG: Duration = Duration::from_secs(60);

/// A window with the events 11 to 13 in flight, and the broker's side of each.
fn window() -> (AckWindow<Pending>, Vec<Acknowledge>) {
    let mut window = AckWindow::new(Position::from(10));
    let acknowledge = (11..=13).map(|position| push(&mut window, position, 100)).collect();
    (window, acknowledge)
}

fn push(window: &mut AckWindow<Pending>, position: u64, bytes: usize) -> Acknowledge {
    let (acknowledge, acknowledged) = oneshot::channel();
    let pending: Pending = acknowledged.map(|delivered| delivered.unwrap_or(Err(KafkaError::Canceled)));
    window.push(Position::from(position), bytes, pending);
    acknowledge
}

fn refusal() -> KafkaError {
    KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge)
}

#[tokio::test]
async fn acknowledgements_in_order_advance_the_checkpoint_together() {
    let (mut window, acknowledge) = window();
    acknowledge.into_iter().for_each(|one| one.send(Ok(())).unwrap());
    window.next_acknowledged().await.unwrap();
    assert_eq!(window.acknowledged().get(), 13);
    assert!(window.is_empty());
}

#[tokio::test]
async fn a_later_acknowledgement_does_not_advance_the_checkpoint_past_an_earlier_event() {
    let (mut window, mut acknowledge) = window();
    acknowledge.pop().unwrap().send(Ok(())).unwrap();
    window.check(LONG).unwrap();
    assert!(window.next_acknowledged().now_or_never().is_none(), "11 is not acknowledged");
    assert_eq!(window.acknowledged().get(), 10);
    acknowledge.remove(0).send(Ok(())).unwrap();
    window.next_acknowledged().await.unwrap();
    assert_eq!(window.acknowledged().get(), 11, "12 is not acknowledged");
    acknowledge.remove(0).send(Ok(())).unwrap();
    window.next_acknowledged().await.unwrap();
    assert_eq!(window.acknowledged().get(), 13, "13 was acknowledged before");
}

#[tokio::test]
async fn a_failed_event_stops_the_checkpoint_before_it_and_stays_failed() {
    let (mut window, acknowledge) = window();
    let [first, second, third]: [Acknowledge; 3] = acknowledge.try_into().ok().unwrap();
    second.send(Err(refusal())).unwrap();
    first.send(Ok(())).unwrap();
    third.send(Ok(())).unwrap();
    for _ in 0..2 {
        let failed = window.next_acknowledged().await;
        assert!(matches!(failed, Err(RelayError::NotAcknowledged { position, .. }) if position.get() == 12));
        assert_eq!(window.acknowledged().get(), 11);
    }
    assert!(matches!(window.check(LONG), Err(RelayError::NotAcknowledged { .. })));
}

#[tokio::test]
async fn a_check_finds_a_failure_behind_an_event_that_is_still_pending() {
    let (mut window, mut acknowledge) = window();
    acknowledge.pop().unwrap().send(Err(refusal())).unwrap();
    assert!(
        matches!(window.check(LONG), Err(RelayError::NotAcknowledged { position, .. }) if position.get() == 13),
        "11 is still pending"
    );
}

#[tokio::test]
async fn a_client_that_is_gone_fails_its_events() {
    let (mut window, acknowledge) = window();
    drop(acknowledge);
    let failed = window.next_acknowledged().await;
    assert!(matches!(failed, Err(RelayError::NotAcknowledged { source: KafkaError::Canceled, .. })));
}

#[tokio::test]
async fn a_timeout_counts_from_the_last_acknowledgement() {
    let timeout = Duration::from_millis(20);
    let (mut window, mut acknowledge) = window();
    tokio::time::sleep(timeout * 2).await;
    acknowledge.pop().unwrap().send(Ok(())).unwrap();
    window.check(timeout).expect("13 was acknowledged just now");
    tokio::time::sleep(timeout * 2).await;
    let late = window.check(timeout);
    assert!(matches!(late, Err(RelayError::AckTimeout { position, .. }) if position.get() == 11), "{late:?}");
}

#[tokio::test]
async fn an_idle_window_never_times_out() {
    let mut window = AckWindow::<Pending>::new(Position::from(10));
    tokio::time::sleep(Duration::from_millis(2)).await;
    window.check(Duration::ZERO).unwrap();
    let _acknowledge = push(&mut window, 11, 100);
    window.check(LONG).unwrap();
}

#[tokio::test]
async fn an_unsent_event_counts_as_acknowledged_in_its_turn() {
    let mut window = AckWindow::new(Position::from(10));
    let acknowledge = push(&mut window, 11, 100);
    window.push_unsent(Position::from(12));
    assert!(window.next_acknowledged().now_or_never().is_none());
    acknowledge.send(Ok(())).unwrap();
    window.next_acknowledged().await.unwrap();
    assert_eq!(window.acknowledged().get(), 12);
}

#[tokio::test]
async fn a_window_is_full_by_bytes_until_events_are_acknowledged() {
    let mut window = AckWindow::new(Position::from(10));
    let acknowledge = push(&mut window, 11, MAX_IN_FLIGHT_BYTES);
    assert!(!window.has_room());
    acknowledge.send(Ok(())).unwrap();
    window.next_acknowledged().await.unwrap();
    assert!(window.has_room());
}

#[test]
fn a_window_is_full_by_events() {
    let mut window = AckWindow::<Pending>::new(Position::ZERO);
    (1..MAX_IN_FLIGHT_EVENTS as u64).for_each(|position| window.push_unsent(Position::from(position)));
    assert!(window.has_room());
    window.push_unsent(Position::from(MAX_IN_FLIGHT_EVENTS as u64));
    assert!(!window.has_room());
}
