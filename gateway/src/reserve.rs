//! Reserving a call before it is passed on.

use crate::answer::Problem;
use crate::bound::Bound;
use crate::config::OnUnavailable;
use crate::request::CallRequest;
use crate::settle::Ending;
use crate::shared::{CallInput, Shared};
use chrono::{DateTime, TimeDelta, Utc};
use commands::{Backoff, Context, Error};
use domain::budget::Attributes;
use domain::budget_catalogue::BudgetCatalogue;
use domain::price_book::PriceBook;
use domain::reservation::{Holder, MIN_HOLD, Reservation, ReservationError, ReservationGranted, Reserve};
use domain::{Meter, ReservationId, error_with_causes};
use metrics::{counter, histogram};
use reqwest::StatusCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

const BACKOFF: Backoff = Backoff { first: Duration::from_millis(20), max: Duration::from_secs(1) };

/// What a call may do.
pub(crate) struct Reserved {
    /// None of a call that is passed on while the database cannot be reached.
    pub(crate) reservation_id: Option<ReservationId>,
    /// The limit to set for the output of each choice; none if the request stays as it is.
    pub(crate) output: Option<u64>,
    /// What was reserved.
    pub(crate) usage: domain::Usage,
}

/// Why a call was not reserved.
enum Failure {
    Problem(Problem),
    /// The database cannot be reached.
    Unavailable,
}

/// Whose call it is.
pub(crate) struct Whose {
    pub(crate) fixed: Attributes,
    pub(crate) declared: Attributes,
}

impl Whose {
    fn attributes(&self) -> Attributes {
        let mut attributes = self.declared.clone();
        attributes.extend(self.fixed.clone());
        attributes
    }
}

impl Shared {
    /// Reserves a call in every budget that applies.
    ///
    /// # Errors
    /// [`Problem`] if a budget refuses, if the request is not valid, or if budgets cannot be checked and must be.
    pub(crate) async fn reserve(
        self: &Arc<Self>,
        input: &CallInput,
        request: &CallRequest,
        bound: &Bound,
        whose: &Whose,
    ) -> Result<Reserved, Problem> {
        let (reservation_id, at) = (ReservationId(Uuid::now_v7()), Utc::now());
        let started = Instant::now();
        let ending = self.ending(input, Some(reservation_id));
        let reserving = self.try_reserve(&ending, request, bound, whose, at);
        let reserved = tokio::time::timeout(self.config.limits.reserve_timeout, reserving).await;
        histogram!("apex_gateway_reserve_seconds").record(started.elapsed().as_secs_f64());
        match reserved.unwrap_or(Err(Failure::Unavailable)) {
            Ok(state) => self.answered(&ending, &state, request, at).await,
            Err(Failure::Problem(problem)) => Err(problem),
            Err(Failure::Unavailable) => {
                self.release_unanswered(ending);
                self.unreserved(input, bound, whose)
            }
        }
    }

    /// Releases a reservation that was not answered: it may have been made nevertheless, and will not be used. Beyond the most of
    /// them at the same time, it is left to expire.
    fn release_unanswered(&self, ending: Ending) {
        match self.unanswered.clone().try_acquire_owned() {
            Ok(permit) => {
                let releasing = async move {
                    ending.release_if_made().await;
                    drop(permit);
                };
                self.tasks.spawn(releasing);
            }
            Err(_) => ending.note_unsettled("released", "max_unanswered reservations wait for the database"),
        }
    }

    /// A call while budgets cannot be checked.
    fn unreserved(&self, input: &CallInput, bound: &Bound, whose: &Whose) -> Result<Reserved, Problem> {
        let tenant = input.principal.tenant();
        let may_pass = self.config.on_unavailable == OnUnavailable::Open
            && self.known.has_no_closed_budget(tenant, &whose.attributes(), &whose.fixed);
        if !may_pass {
            return Err(Problem::unavailable());
        }
        counter!("apex_gateway_unreserved_total").increment(1);
        Ok(Reserved { reservation_id: None, output: None, usage: bound.usage })
    }

    async fn try_reserve(
        &self,
        ending: &Ending,
        request: &CallRequest,
        bound: &Bound,
        whose: &Whose,
        at: DateTime<Utc>,
    ) -> Result<Arc<Reservation>, Failure> {
        let Some(reservation_id) = ending.reservation_id else { return Err(Failure::Unavailable) };
        let mut context = Context::new(ending.principal.clone(), reservation_id.0);
        context.correlation_id = ending.correlation_id.unwrap_or(reservation_id.0);
        let hold = TimeDelta::from_std(self.config.limits.call_timeout).unwrap_or(TimeDelta::zero()) + MIN_HOLD;
        let mut failures = 0;
        // Ended by the timeout of the caller.
        loop {
            let reserving = async {
                let charging = ending.principal.charging();
                let prices = self.commands.load::<PriceBook>(&charging, PriceBook::id()).await;
                let prices = prices.map_err(|error| failure_of(error.map_rejected(|_| ReservationError::NotFound)))?;
                let command = Reserve {
                    reservation_id,
                    fixed: whose.fixed.clone(),
                    declared: whose.declared.clone(),
                    estimate: bound.estimate(request),
                    prices: PriceBook::clone(&prices.state),
                    expires_at: at + hold,
                    sent: true,
                    holder: Holder::Gateway,
                    cheaper: self.config.bounds(request.model.as_str()).cheaper,
                    at,
                };
                self.commands.reserve_spend(&context, &command).await.map_err(failure_of)
            };
            match reserving.await {
                Ok(outcome) => return Ok(outcome.aggregate.state.clone()),
                Err(Failure::Unavailable) => {
                    failures += 1;
                    tokio::time::sleep(BACKOFF.delay(failures)).await;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// What the state of a reservation says.
    async fn answered(
        &self,
        ending: &Ending,
        state: &Reservation,
        request: &CallRequest,
        at: DateTime<Utc>,
    ) -> Result<Reserved, Problem> {
        if let Some(refused) = &state.refused {
            // The budget may be newer than what was noted last.
            self.note_catalogue(ending).await;
            return Err(Problem::refused(refused.refusal.clone(), at));
        }
        let Some(granted) = &state.granted else { return Err(Problem::internal()) };
        let of_choice = granted.usage.get(Meter::Output).get() / request.choices.max(1);
        // That is no part of the limit to set.
        let of_choice = of_choice.saturating_sub(request.beyond_limit);
        let has_limit = request.has_limit;
        let is_limited = granted.partly || !has_limit && self.is_under_hard_budget(ending, granted, at).await;
        let output = is_limited.then_some(of_choice);
        if has_limit && !granted.partly {
            self.note_catalogue(ending).await;
        }
        Ok(Reserved { reservation_id: ending.reservation_id, output, usage: granted.usage })
    }

    /// Whether a hard budget is among those of a grant. The catalogue is looked at after the decision, so that it has all of them.
    async fn is_under_hard_budget(&self, ending: &Ending, granted: &ReservationGranted, at: DateTime<Utc>) -> bool {
        let catalogue = self.catalogue(ending).await;
        granted.lines.iter().any(|line| {
            let entry = catalogue.as_ref().and_then(|catalogue| catalogue.entry(line.budget_id));
            entry.is_none_or(|entry| entry.limit_at(at).is_some())
        })
    }

    /// Notes the budgets for the time in which the database cannot be reached, if calls may pass then.
    async fn note_catalogue(&self, ending: &Ending) {
        if self.config.on_unavailable == OnUnavailable::Open {
            self.catalogue(ending).await;
        }
    }

    /// The budgets of the tenant; none if they cannot be read.
    async fn catalogue(&self, ending: &Ending) -> Option<Arc<BudgetCatalogue>> {
        let charging = ending.principal.charging();
        let loading = self.commands.load::<BudgetCatalogue>(&charging, BudgetCatalogue::id());
        let loaded = tokio::time::timeout(self.config.limits.reserve_timeout, loading).await.ok()?.ok()?;
        self.known.note(charging.tenant(), loaded.state.clone());
        Some(loaded.state.clone())
    }
}

fn failure_of(error: Error<ReservationError>) -> Failure {
    match error {
        Error::Forbidden(forbidden) => {
            let problem = Problem::new(StatusCode::FORBIDDEN, "permission_denied", forbidden.to_string());
            Failure::Problem(problem)
        }
        Error::Rejected(error @ ReservationError::Fixed { .. }) => {
            Failure::Problem(Problem::new(StatusCode::FORBIDDEN, "attribution_denied", error.to_string()))
        }
        Error::Rejected(error) => Failure::Problem(Problem::bad_request(error.to_string())),
        error if error.is_retryable() => Failure::Unavailable,
        error => {
            tracing::error!(error = error_with_causes(&error), "a call cannot be reserved");
            Failure::Problem(Problem::internal())
        }
    }
}
