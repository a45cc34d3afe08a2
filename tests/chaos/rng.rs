//! All random choices of a run, from one seed.

use crate::history::{Command, StreamChange};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use testkit::decisions::Decision;
use uuid::Uuid;

pub(crate) struct SeededRng(StdRng);

impl SeededRng {
    /// The generator of one part of a run, such as a client, derived from the seed and the name of the part.
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        let own = Uuid::new_v5(&Uuid::from_u64_pair(seed, 0), name.as_bytes()).as_u64_pair();
        Self(StdRng::seed_from_u64(own.0 ^ own.1))
    }

    /// A number from 0 to below a limit.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0.random_range(0..limit)
    }

    /// A valid index of a non-empty slice of this length.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        self.0.random_range(0..length)
    }

    /// True with a probability of 1 in `count`.
    pub(crate) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    /// One of the elements of a non-empty slice.
    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.index(of.len())]
    }

    pub(crate) fn id(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(self.0.random()).into_uuid()
    }

    /// Appends one to three new events to a stream.
    pub(crate) fn change(&mut self, stream: Uuid, expected: Option<u64>) -> StreamChange {
        let events = (0..=self.below(3)).map(|_| self.id()).collect();
        StreamChange { stream, expected, events }
    }

    pub(crate) fn command(&mut self, changes: Vec<StreamChange>) -> Command {
        Command { id: self.id(), changes }
    }

    pub(crate) fn decision(&mut self) -> Decision {
        Decision::random(&mut self.0)
    }

    /// A decision for a retry of a command, as [`Decision::with_other_set`].
    pub(crate) fn other_decision(&mut self, decision: &Decision) -> Decision {
        decision.with_other_set(&mut self.0)
    }

    pub(crate) fn command_on_new_stream(&mut self) -> Command {
        let stream = self.id();
        let change = self.change(stream, Some(0));
        self.command(vec![change])
    }
}
