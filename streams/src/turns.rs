//! Places that several parties want, in turns: a party that wants many does not keep the others waiting.
//!
//! While there are free places, anybody takes one. Then those who wait are queued by whose they are, and each place that
//! becomes free goes to the next queue in turn. A party therefore waits, at most, for one use of a place by each of the others,
//! however many of them wait.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// A number of places; cheap to clone.
#[derive(Clone)]
pub struct Turns<K: Eq>(Arc<Mutex<Places<K>>>);

impl<K: Eq> fmt::Debug for Turns<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Places { free, queues } = &*self.lock();
        f.debug_struct("Turns").field("free", free).field("waiting_parties", &queues.len()).finish()
    }
}

/// Those of one party who wait.
type Queue<K> = VecDeque<oneshot::Sender<Turn<K>>>;

struct Places<K: Eq> {
    /// If there are any, nobody waits.
    free: usize,
    /// None of the queues is empty. The first one is the next.
    queues: VecDeque<(K, Queue<K>)>,
}

impl<K: Eq> Places<K> {
    fn wait(&mut self, whose: K, sender: oneshot::Sender<Turn<K>>) {
        match self.queues.iter_mut().find(|(known, _)| *known == whose) {
            Some((_, queue)) => {
                // Those who gave up must not accumulate.
                queue.retain(|waiting| !waiting.is_closed());
                queue.push_back(sender);
            }
            None => self.queues.push_back((whose, [sender].into())),
        }
    }

    fn next(&mut self) -> Option<oneshot::Sender<Turn<K>>> {
        loop {
            let (whose, mut queue) = self.queues.pop_front()?;
            let next = queue.pop_front();
            if !queue.is_empty() {
                self.queues.push_back((whose, queue));
            }
            if next.is_some() {
                return next;
            }
        }
    }
}

/// A place, which is passed on when this is dropped.
#[must_use = "the place is free again when this is dropped"]
pub struct Turn<K: Eq> {
    turns: Option<Turns<K>>,
}

impl<K: Eq> Turns<K> {
    /// As many places, all of them free.
    #[must_use]
    pub fn new(places: usize) -> Self {
        Self(Arc::new(Mutex::new(Places { free: places, queues: VecDeque::new() })))
    }

    fn lock(&self) -> MutexGuard<'_, Places<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a place.
    pub async fn take(&self, whose: impl Fn() -> K) -> Turn<K> {
        loop {
            let waiting = {
                let mut places = self.lock();
                if places.free > 0 {
                    places.free -= 1;
                    return Turn { turns: Some(Self(self.0.clone())) };
                }
                let (sender, waiting) = oneshot::channel();
                places.wait(whose(), sender);
                waiting
            };
            // Senders are dropped with a place only, so that this does not fail.
            if let Ok(turn) = waiting.await {
                return turn;
            }
        }
    }

    /// Gives a place to the next who waits, outside of the lock: one that gave up meanwhile gives it back.
    fn pass_on(&self, mut turn: Turn<K>) {
        loop {
            let next = {
                let mut places = self.lock();
                let next = places.next();
                if next.is_none() {
                    places.free += 1;
                    turn.turns = None;
                }
                next
            };
            let Some(next) = next else { return };
            match next.send(turn) {
                Ok(()) => return,
                Err(returned) => turn = returned,
            }
        }
    }
}

impl<K: Eq> Drop for Turn<K> {
    fn drop(&mut self) {
        if let Some(turns) = self.turns.take() {
            let again = Turn { turns: Some(Turns(turns.0.clone())) };
            turns.pass_on(again);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    /// Who gets the places, if each is used once.
    fn order(turns: &Turns<&'static str>, first: Turn<&'static str>, who: &[&'static str]) -> Vec<&'static str> {
        let mut waiting: Vec<_> = who.iter().map(|who| (*who, Box::pin(turns.take(|| *who)))).collect();
        for (_, waiting) in &mut waiting {
            assert!(waiting.as_mut().now_or_never().is_none());
        }
        let (mut order, mut held) = (Vec::new(), Some(first));
        while !waiting.is_empty() {
            drop(held.take());
            let ready = waiting.iter_mut().position(|(_, waiting)| {
                held = waiting.as_mut().now_or_never();
                held.is_some()
            });
            order.push(waiting.remove(ready.expect("one of them gets the place")).0);
        }
        order
    }

    #[test]
    fn a_party_that_wants_one_place_waits_for_one_use_of_each_other() {
        let turns = Turns::new(1);
        let first = turns.take(|| "a").now_or_never().unwrap();
        assert_eq!(order(&turns, first, &["a", "a", "a", "a", "b", "c", "b"]), ["a", "b", "c", "a", "b", "a", "a"]);
    }

    #[test]
    fn who_gives_up_keeps_no_place() {
        let turns = Turns::new(2);
        let held = [(); 2].map(|()| turns.take(|| "a").now_or_never().unwrap());
        let mut waiting: Vec<_> = (0..5).map(|_| Box::pin(turns.take(|| "a"))).collect();
        for waiting in &mut waiting {
            assert!(waiting.as_mut().now_or_never().is_none());
        }
        waiting.truncate(4);
        // One gave up before it got a place, the others after they got one.
        drop(held);
        drop(waiting);
        assert_eq!(turns.lock().free, 2);
        assert!(turns.lock().queues.is_empty());
    }
}
