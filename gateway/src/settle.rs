//! Settling calls: what was reserved is replaced by what a call cost. It is tried until it succeeds, within a time; after that,
//! the reservation expires, and is charged in full.

use chrono::Utc;
use commands::{Backoff, Commands, Context, Error, Principal};
use domain::call::{CallError, CallFacts, CallIds};
use domain::price_book::PriceBook;
use domain::reservation::{Extend, Holder, ReservationError};
use domain::tag_keys::TagKeys;
use domain::{Meter, ReservationId, Usage, derived_id, error_with_causes};
use ingest::CallReport;
use metrics::counter;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long a reservation that was not answered may be written later.
const UNANSWERED_TIMEOUT: Duration = Duration::from_secs(60);
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(50), max: Duration::from_secs(5) };

/// What is to be done with the reservation of a call.
#[derive(Clone)]
pub(crate) struct Ending {
    pub(crate) commands: Commands,
    pub(crate) principal: Arc<Principal>,
    pub(crate) correlation_id: Option<Uuid>,
    /// None of a call that was passed on while the database could not be reached.
    pub(crate) reservation_id: Option<ReservationId>,
    /// How long it is tried.
    pub(crate) timeout: Duration,
}

/// The result of an attempt.
enum Attempt {
    Done,
    /// The id of the response is that of another call: one that settled another reservation, or that a client reported as what it is
    /// not or as that of another agent, or voided.
    Repeated,
    /// Another call settled the reservation.
    Taken,
    Retry(String),
    Failed(String),
}

impl Attempt {
    fn of<T, E: std::error::Error + 'static>(executed: Result<T, Error<E>>) -> Self {
        match executed {
            Ok(_) => Self::Done,
            Err(error) if error.is_retryable() => Self::Retry(error.to_string()),
            Err(error) => Self::Failed(error.to_string()),
        }
    }
}

impl Ending {
    /// Records the call, and charges what it cost instead of what was reserved. A call is charged also if its response has the id of
    /// another one, or if its reservation is gone: some servers take the id of a response from the request, and a client may settle a
    /// reservation whose id it knows. It is recorded under `own_ids` then, which no other call has.
    pub(crate) async fn settle(self, call_ids: CallIds, own_ids: CallIds, facts: CallFacts) {
        let settled = self.retry("settled", || self.try_settle("settle", &call_ids, &facts)).await;
        let own_facts = CallFacts { response_id: None, ..facts };
        let own = match settled {
            Attempt::Repeated => self.retry("settled", || self.try_settle("settle own", &own_ids, &own_facts)).await,
            Attempt::Taken => {
                let unreserved = Self { reservation_id: None, ..self.clone() };
                unreserved.retry("recorded", || unreserved.try_settle("settle", &own_ids, &own_facts)).await
            }
            done @ (Attempt::Done | Attempt::Retry(_) | Attempt::Failed(_)) => done,
        };
        if let Attempt::Repeated | Attempt::Taken = own {
            self.note_unsettled(
                "settled",
                "it cannot be recorded, neither under the id of its response nor under its own",
            );
        }
    }

    /// Releases the reservation: the call was not made.
    pub(crate) async fn release(&self) {
        let Some(id) = self.reservation_id else { return };
        let context = self.context("release", id.0);
        let release = || async {
            Attempt::of(self.commands.release_reservation(&context, id, Holder::Gateway, Utc::now()).await)
        };
        self.retry("released", release).await;
    }

    /// Reserves more for the call, which goes on: all that it may use from now on. False if that is refused, or cannot be asked for.
    pub(crate) async fn extend(&self, usage: Usage) -> bool {
        let Some(reservation_id) = self.reservation_id else { return false };
        let prices = self.commands.load::<PriceBook>(&self.principal.charging(), PriceBook::id()).await;
        let Ok(prices) = prices.map(|prices| PriceBook::clone(&prices.state)) else { return false };
        let at = Utc::now();
        let by = Holder::Gateway;
        let command = Extend { reservation_id, by, usage: Some(usage), expires_at: None, sent: true, prices, at };
        let context = self.context(&format!("extend {}", usage.get(Meter::Output)), reservation_id.0);
        let extended = self.commands.extend_reservation(&context, &command).await;
        if let Err(error) = &extended {
            let reservation = reservation_id.to_string();
            tracing::warn!(
                reservation,
                error = error_with_causes(error),
                "the reservation of a stream was not extended"
            );
        }
        extended.is_ok()
    }

    /// Releases the reservation if it was made: it was asked for, and there was no answer in time.
    pub(crate) async fn release_if_made(self) {
        let Some(id) = self.reservation_id else { return };
        let context = self.context("release", id.0);
        let asked = Instant::now();
        let release = || async {
            match self.commands.release_reservation(&context, id, Holder::Gateway, Utc::now()).await {
                // It may be written yet.
                Err(Error::Rejected(ReservationError::NotFound)) if asked.elapsed() < UNANSWERED_TIMEOUT => {
                    Attempt::Retry(ReservationError::NotFound.to_string())
                }
                Err(Error::Rejected(_)) => Attempt::Done,
                released => Attempt::of(released),
            }
        };
        self.retry("released", release).await;
    }

    async fn retry<F: Future<Output = Attempt>>(&self, what: &'static str, attempt: impl Fn() -> F) -> Attempt {
        let started = Instant::now();
        let mut failures = 0;
        loop {
            let (attempted, is_last) = (attempt().await, started.elapsed() >= self.timeout);
            let reason = match attempted {
                Attempt::Retry(_) if !is_last => {
                    failures += 1;
                    tokio::time::sleep(BACKOFF.delay(failures)).await;
                    continue;
                }
                Attempt::Retry(reason) | Attempt::Failed(reason) => reason,
                done @ (Attempt::Done | Attempt::Repeated | Attempt::Taken) => return done,
            };
            self.note_unsettled(what, &reason);
            return Attempt::Failed(reason);
        }
    }

    /// Notes that a reservation is left to expire.
    pub(crate) fn note_unsettled(&self, what: &'static str, reason: &str) {
        counter!("apex_gateway_unsettled_total").increment(1);
        let reservation = self.reservation_id.map(|id| id.to_string());
        tracing::error!(reservation, reason, "a call was not {what}: its reservation expires, and is charged in full");
    }

    /// The id of the command is derived, so that a repeated attempt has no effect.
    fn context(&self, what: &str, id: Uuid) -> Context {
        let command_id = derived_id(&["gateway", what, &id.to_string()]);
        let mut context = Context::new(self.principal.clone(), command_id);
        context.correlation_id = self.correlation_id.unwrap_or(id);
        context
    }

    async fn try_settle(&self, what: &str, call_ids: &CallIds, facts: &CallFacts) -> Attempt {
        let charging = self.principal.charging();
        let (prices, tag_keys) = tokio::join!(
            self.commands.load::<PriceBook>(&charging, PriceBook::id()),
            self.commands.load::<TagKeys>(&charging, TagKeys::id()),
        );
        let (prices, tag_keys) = match (prices, tag_keys) {
            (Ok(prices), Ok(tag_keys)) => (prices, tag_keys),
            (Err(error), _) => return Attempt::of::<(), _>(Err(error)),
            (_, Err(error)) => return Attempt::of::<(), _>(Err(error)),
        };
        let report = CallReport::new(call_ids.clone(), facts.clone(), &prices.state).with_tag_keys(&tag_keys.state);
        let Some(reservation_id) = self.reservation_id else {
            let context = self.context("report", call_ids.highest().0);
            return match ingest::report_call(&self.commands, &context, &report).await {
                Err(Error::Forbidden(_)) => Attempt::Repeated,
                Err(Error::Rejected(error)) if !matches!(error, CallError::PriceBookOutdated { .. }) => {
                    Attempt::Repeated
                }
                reported => Attempt::of(reported),
            };
        };
        let (context, held) = (self.context(what, reservation_id.0), (reservation_id, Holder::Gateway));
        match ingest::settle_call(&self.commands, &context, &report, held, Utc::now()).await {
            Err(Error::Rejected(ReservationError::CallHasOther(_))) => Attempt::Repeated,
            Err(Error::Rejected(ReservationError::SettledByOther(_))) => Attempt::Taken,
            // The prices changed again since they were loaded.
            Err(Error::Rejected(ReservationError::Call(error @ CallError::PriceBookOutdated { .. }))) => {
                Attempt::Retry(error.to_string())
            }
            Err(
                Error::Rejected(ReservationError::Call(_) | ReservationError::TooManyCalls { .. })
                | Error::Forbidden(_),
            ) => Attempt::Repeated,
            settled => Attempt::of(settled),
        }
    }
}
