//! Hours and days of the clock, which begin while tests run.

use chrono::{TimeDelta, Utc};

/// The longest time that a test takes whose result depends on the hour or the day, on a busy machine.
const NEEDED: TimeDelta = TimeDelta::minutes(2);

/// Waits until the next hour of UTC has begun, if this one ends soon. A test that takes less than two minutes from then on runs in
/// one hour, on one day and in one month.
pub async fn avoid_the_end_of_an_hour() {
    let left = TimeDelta::hours(1) - TimeDelta::seconds(Utc::now().timestamp().rem_euclid(3600));
    if left < NEEDED {
        tokio::time::sleep(left.to_std().unwrap()).await;
    }
}
