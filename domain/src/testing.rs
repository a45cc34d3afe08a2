//! Given/when/then for decisions. They are pure, so their tests are synchronous and need no mocks.

use crate::aggregate::Aggregate;
use crate::meter::Meter;
use crate::text::{Body, Name};
use crate::usage::{Quantity, Usage};
use chrono::{DateTime, TimeZone, Utc};
use std::fmt::Debug;
use uuid::Uuid;

pub(crate) struct Given<A: Aggregate>(A);
pub(crate) struct When<A: Aggregate>(Result<Vec<A::Event>, A::Error>, A);

pub(crate) fn given<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> Given<A> {
    Given(events.into_iter().fold(A::default(), |state, event| state.evolve(&event)))
}

impl<A: Aggregate> Given<A> {
    pub(crate) fn when(self, command: A::Command) -> When<A> {
        When(self.0.decide(command), self.0)
    }
}

impl<A: Aggregate> When<A>
where
    A::Event: Debug + PartialEq,
{
    #[track_caller]
    pub(crate) fn then(self, events: impl IntoIterator<Item = A::Event>) -> A {
        let events: Vec<_> = events.into_iter().collect();
        assert_eq!(self.0, Ok(events.clone()));
        events.iter().fold(self.1, |state, event| state.evolve(event))
    }

    #[track_caller]
    pub(crate) fn then_rejected(self, error: A::Error) {
        assert_eq!(self.0, Err(error));
    }
}

pub(crate) fn at(second: i64) -> DateTime<Utc> {
    Utc.timestamp_opt(1_700_000_000 + second, 0).unwrap()
}

pub(crate) const fn uuid(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn body(text: &str) -> Body {
    Body::new(text).unwrap()
}

pub(crate) fn usage<const N: usize>(quantities: [(Meter, u64); N]) -> Usage {
    quantities.into_iter().map(|(meter, number)| (meter, Quantity::new(number).unwrap())).collect()
}
