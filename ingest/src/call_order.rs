//! Records of one call are sent one after the other, in the order of the input.
//!
//! They come to the same call in any order. What each of them changed, which is counted, depends on the order.

use domain::CallId;
use std::collections::HashMap;
use std::future::Future;
use tokio::sync::watch;

/// The number of calls beyond which those that are not in flight any more are forgotten.
const MAX_CALLS: usize = 4096;

/// The last record of each call that is in flight.
#[derive(Default)]
pub(crate) struct CallOrder {
    last: HashMap<CallId, watch::Receiver<()>>,
}

/// The place of a record after those of its call that are in flight. It ends when this is dropped.
pub(crate) struct PlaceInOrder {
    before: Vec<watch::Receiver<()>>,
    _end: watch::Sender<()>,
}

impl CallOrder {
    /// The place of the next record, of the call that some ids name.
    pub(crate) fn place(&mut self, ids: impl IntoIterator<Item = CallId>) -> PlaceInOrder {
        if self.last.len() > MAX_CALLS {
            // An error means that the place has ended.
            self.last.retain(|_, end| end.has_changed().is_ok());
        }
        let (end, ends) = watch::channel(());
        let before = ids.into_iter().filter_map(|id| self.last.insert(id, ends.clone())).collect();
        PlaceInOrder { before, _end: end }
    }
}

impl PlaceInOrder {
    /// Does something once the records before it are sent.
    pub(crate) async fn run<T>(mut self, work: impl Future<Output = T>) -> T {
        for end in &mut self.before {
            // Nothing is ever sent: the error is the end.
            while end.changed().await.is_ok() {}
        }
        work.await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tokio::task::JoinSet;
    use uuid::Uuid;

    fn id(number: usize) -> CallId {
        CallId(Uuid::from_u128(number as u128))
    }

    /// Records of one call keep their order, also by a second id, however long each takes; those of others wait for none.
    #[tokio::test]
    async fn records_of_one_call_keep_their_order() {
        let (mut order, sent) = (CallOrder::default(), Arc::new(Mutex::new(Vec::new())));
        let places = [vec![1], vec![1, 2], vec![3], vec![2], vec![1]].into_iter().enumerate();
        let places: Vec<_> = places.map(|(number, ids)| (number, order.place(ids.into_iter().map(id)))).collect();
        let mut tasks = JoinSet::new();
        // The last one starts first, and the first one takes longest.
        for (number, place) in places.into_iter().rev() {
            let sent = sent.clone();
            tasks.spawn(place.run(async move {
                for _ in number..5 {
                    tokio::task::yield_now().await;
                }
                sent.lock().unwrap().push(number);
            }));
        }
        tasks.join_all().await;
        let sent = sent.lock().unwrap();
        let place = |number| sent.iter().position(|other| *other == number);
        for (earlier, later) in [(0, 1), (1, 3), (1, 4), (2, 0)] {
            assert!(place(earlier) < place(later), "{earlier} and {later}: {sent:?}");
        }
    }

    #[test]
    fn what_is_not_in_flight_is_forgotten() {
        let mut order = CallOrder::default();
        let held = order.place([id(0)]);
        (1..3 * MAX_CALLS).for_each(|number| drop(order.place([id(number)])));
        assert!(order.last.len() <= MAX_CALLS + 1, "{}", order.last.len());
        assert_eq!(order.place([id(0)]).before.len(), 1);
        drop(held);
    }
}
