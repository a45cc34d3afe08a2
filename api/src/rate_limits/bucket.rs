//! A token bucket.

use domain::rate_limits::LimitAmount;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The time in which an empty bucket is full again.
pub(super) const WINDOW: Duration = Duration::from_mins(1);
/// The longest time for which a client is told to wait after there are units again, so that others come before it.
const MAX_SPREAD: Duration = Duration::from_secs(2);

/// A bucket that holds what is allowed in a minute.
pub(super) struct Bucket {
    pub(super) amount: LimitAmount,
    limiter: RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>,
    /// What was left when the last units were taken. The limiter tells only that.
    last: Mutex<Level>,
    /// When the client that was refused last was told to come back.
    told: Mutex<Option<Instant>>,
}

/// What is in a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Level {
    units: u32,
    at: Instant,
}

/// Why units cannot be taken from a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// They are there after this time.
    Until(Duration),
    /// The bucket never has so many.
    TooMany,
}

impl Bucket {
    /// Creates a bucket that is full.
    pub(super) fn new(amount: LimitAmount) -> Self {
        let quota = Quota::per_minute(NonZeroU32::new(amount.get()).unwrap_or(NonZeroU32::MIN));
        let limiter = RateLimiter::direct(quota).with_middleware();
        Self {
            amount,
            limiter,
            last: Mutex::new(Level { units: amount.get(), at: Instant::now() }),
            told: Mutex::default(),
        }
    }

    /// Takes units, or none.
    pub(super) fn take(&self, units: u64) -> Result<(), Refused> {
        let Ok(units) = u32::try_from(units) else { return Err(Refused::TooMany) };
        let Some(units) = NonZeroU32::new(units) else { return Ok(()) };
        match self.limiter.check_n(units) {
            Ok(Ok(state)) => {
                let level = Level { units: state.remaining_burst_capacity(), at: Instant::now() };
                *self.last.lock().unwrap_or_else(PoisonError::into_inner) = level;
                Ok(())
            }
            Ok(Err(not_until)) => {
                let wait = not_until.wait_time_from(self.limiter.clock().now());
                Err(Refused::Until(self.spread(wait, units, Instant::now())))
            }
            Err(_) => Err(Refused::TooMany),
        }
    }

    /// When a refused client is told to come back, which could be after `wait`. Were all told the same, they would come back
    /// together: one would be answered, and all others be refused together again, as often as a unit is added. So each is told
    /// a time of its own, as far after that of the one before as its units take to be added, and after some time it begins anew.
    fn spread(&self, wait: Duration, units: NonZeroU32, now: Instant) -> Duration {
        let added = WINDOW * units.get() / self.amount.get();
        let soonest = now + wait;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let after_others = told.map(|last| last + added).filter(|next| (soonest..=soonest + MAX_SPREAD).contains(next));
        let time = after_others.unwrap_or(soonest);
        *told = Some(time);
        time - now
    }

    /// What is in the bucket now.
    pub(super) fn remaining(&self) -> u32 {
        self.remaining_at(Instant::now())
    }

    fn remaining_at(&self, now: Instant) -> u32 {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let amount = self.amount.get();
        let refilled = now.saturating_duration_since(last.at).as_nanos() * u128::from(amount) / WINDOW.as_nanos();
        u32::try_from(refilled).unwrap_or(amount).saturating_add(last.units).min(amount)
    }

    /// When the bucket is full again, or has a unit if it is empty.
    pub(super) fn reset_after(&self) -> Duration {
        let (remaining, amount) = (self.remaining(), self.amount.get());
        let missing = if remaining == 0 { 1 } else { amount - remaining };
        let nanos = WINDOW.as_nanos() * u128::from(missing) / u128::from(amount);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(amount: u32) -> Bucket {
        Bucket::new(amount.try_into().unwrap())
    }

    #[test]
    fn a_bucket_gives_what_it_has_and_says_when_there_is_more() {
        let bucket = bucket(3);
        assert_eq!(bucket.remaining(), 3);
        assert_eq!(bucket.take(2), Ok(()));
        assert_eq!(bucket.remaining(), 1);
        let Err(Refused::Until(wait)) = bucket.take(2) else { panic!("it gave more than it has") };
        assert!(wait > Duration::from_secs(15) && wait <= Duration::from_secs(20), "{wait:?}");
        assert_eq!(bucket.take(1), Ok(()));
        assert_eq!(bucket.remaining(), 0);
        assert_eq!(bucket.reset_after(), Duration::from_secs(20));
        assert_eq!(bucket.take(0), Ok(()));
        assert_eq!(bucket.take(4), Err(Refused::TooMany));
        assert_eq!(bucket.take(u64::MAX), Err(Refused::TooMany));
    }

    #[test]
    fn a_bucket_fills_evenly_and_never_overflows() {
        let bucket = bucket(60);
        bucket.take(60).unwrap();
        let after = |seconds| bucket.remaining_at(Instant::now() + Duration::from_secs(seconds));
        assert_eq!((after(0), after(1), after(30), after(60), after(1_000_000)), (0, 1, 30, 60, 60));
    }

    #[test]
    fn clients_that_come_back_when_they_are_told_are_all_answered() {
        let bucket = bucket(6000);
        let mut told = Vec::new();
        while told.len() < 16 {
            if let Err(Refused::Until(wait)) = bucket.take(1) {
                told.push(Instant::now() + wait);
            }
        }
        for time in told {
            std::thread::sleep(time.saturating_duration_since(Instant::now()));
            assert_eq!(bucket.take(1), Ok(()));
        }
    }

    #[test]
    fn refused_clients_are_told_times_of_their_own_up_to_a_limit() {
        let bucket = bucket(600);
        let (now, wait, one) = (Instant::now(), Duration::from_millis(40), NonZeroU32::MIN);
        let told: Vec<_> = (0..30).map(|_| bucket.spread(wait, one, now).as_millis()).collect();
        assert_eq!((told[0], told[1], told[20]), (40, 140, 2040));
        assert_eq!(told[21], 40, "it begins anew");
        // Much at once is told to leave more time, and a bucket that is filled slowly tells all clients the same.
        assert_eq!(bucket.spread(wait, NonZeroU32::new(5).unwrap(), now).as_millis(), told[29] + 500);
        let slow = super::tests::bucket(5);
        assert_eq!([(); 2].map(|()| slow.spread(wait, one, now)), [wait; 2]);
    }

    #[test]
    fn the_largest_bucket_works() {
        let bucket = bucket(LimitAmount::MAX);
        assert_eq!(bucket.take(u64::from(LimitAmount::MAX)), Ok(()));
        assert!(matches!(bucket.take(u64::from(LimitAmount::MAX)), Err(Refused::Until(_))));
    }
}
