//! All randomness of a run, from one seed.

use crate::history::{Command, Part};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

pub(crate) struct Dice(StdRng);

impl Dice {
    /// Everybody in a run throws dice of his own, told by his name.
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        let own = Uuid::new_v5(&Uuid::from_u64_pair(seed, 0), name.as_bytes()).as_u64_pair();
        Self(StdRng::seed_from_u64(own.0 ^ own.1))
    }

    /// A number from 0 on, below a limit.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0.random_range(0..limit)
    }

    pub(crate) fn index(&mut self, length: usize) -> usize {
        self.0.random_range(0..length)
    }

    pub(crate) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.index(of.len())]
    }

    pub(crate) fn id(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(self.0.random()).into_uuid()
    }

    /// One to three new events for a stream.
    pub(crate) fn part(&mut self, stream: Uuid, expected: Option<u64>) -> Part {
        let events = (0..=self.below(3)).map(|_| self.id()).collect();
        Part { stream, expected, events }
    }

    pub(crate) fn command(&mut self, parts: Vec<Part>) -> Command {
        Command { id: self.id(), parts }
    }

    pub(crate) fn command_on_new_stream(&mut self) -> Command {
        let stream = self.id();
        let part = self.part(stream, Some(0));
        self.command(vec![part])
    }
}
