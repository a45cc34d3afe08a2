//! Alerts of budgets beside their thresholds: which conditions are watched, and which of them hold.
//!
//! There is one stream per tenant. What looks at the conditions proposes what it observed, and this decides: an alert is raised once
//! for a period, a version of the terms and a condition, however often and by however many processes it is observed. Deliberately
//! absent: how conditions are observed, and who is told.

mod error;
mod events;
mod kind;
mod limits;
mod pace;
mod terms;

pub use error::AlertWatchesError;
pub use events::{AlertWatchesEvent, SignalAnswered, SignalKey, SignalRaised, WatchSet};
pub use kind::WatchKind;
pub use limits::{MAX_ENDED_WATCHES, MAX_WATCHES, NO_DATA_MINUTES, RENOTIFY_HOURS};
pub use pace::{BurnWindow, burn_windows, even_pace};
pub use terms::WatchTerms;

use crate::aggregate::Aggregate;
use crate::alert::AlertStatus;
use crate::budget::{Amount, Measure, PeriodUnit, Span};
use crate::budget_catalogue::BudgetCatalogue;
use crate::ids::{BudgetId, derived_id};
use chrono::{DateTime, TimeDelta, Utc};
use limits::{MAX_SIGNALS, most_no_data_minutes};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding {
    /// The condition.
    pub kind: WatchKind,
    /// Whether it holds.
    pub holds: bool,
    /// What was observed: see [`SignalRaised::observed`].
    pub observed: Amount,
    /// What it is compared with: see [`SignalRaised::reference`].
    pub reference: Amount,
}

/// What was observed of a budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The budget.
    pub budget_id: BudgetId,
    /// The stream of the running period.
    pub balance_id: Uuid,
    /// From when to when the period is.
    pub span: Span,
    /// The version of the budget that set its terms, or raised its limit.
    pub terms_version: u64,
    /// What the budget counts.
    pub measure: Measure,
    /// The conditions that were looked at.
    pub findings: Vec<Finding>,
    /// When.
    pub at: DateTime<Utc>,
}

/// A command to the watches of a tenant.
#[derive(Debug, Clone, PartialEq)]
pub enum AlertWatchesCommand {
    /// Says what of a budget is watched; [`AlertWatches::set`] decides about it.
    Set(WatchSet),
    /// Says what was observed of a budget.
    Observe(Observation),
    /// Says that an alert is known. It is not sent again.
    Acknowledge(SignalAnswered),
}

/// An alert that was raised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// Which alert it is.
    pub key: SignalKey,
    /// From when to when its period is.
    pub span: Span,
    /// What was decided last.
    pub status: AlertStatus,
    /// How often it was sent.
    pub number: u32,
    /// What was observed when it was sent last.
    pub observed: Amount,
    /// What that was compared with.
    pub reference: Amount,
    /// When it was raised.
    pub raised_at: DateTime<Utc>,
    /// When it was sent last.
    pub notified_at: DateTime<Utc>,
}

impl Signal {
    /// The status at a time.
    #[must_use]
    pub fn status_at(&self, at: DateTime<Utc>) -> AlertStatus {
        if at < self.span.ends_at { self.status } else { AlertStatus::Resolved }
    }
}

/// What of a budget is watched, and which alerts it raised.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    /// What is watched.
    pub terms: WatchTerms,
    /// The alerts, the earliest first.
    pub signals: Vec<Signal>,
}

/// The state of the watches of the budgets of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AlertWatches {
    watches: BTreeMap<BudgetId, Watch>,
    /// The number of events by which what is watched was set.
    sets: u64,
}

impl AlertWatches {
    /// The id of the stream. It is the same for every tenant, as streams are separate by tenant.
    #[must_use]
    pub fn id() -> Uuid {
        derived_id(&["alert_watches"])
    }

    /// The budgets that are watched, or were, ordered by id.
    pub fn iter(&self) -> impl Iterator<Item = (BudgetId, &Watch)> {
        self.watches.iter().map(|(id, watch)| (*id, watch))
    }

    /// The budgets that are watched, ordered by id.
    pub fn watched(&self) -> impl Iterator<Item = (BudgetId, &Watch)> {
        self.iter().filter(|(_, watch)| !watch.terms.kinds.is_empty())
    }

    /// What is watched of a budget; none if it never was.
    #[must_use]
    pub fn get(&self, budget_id: BudgetId) -> Option<&Watch> {
        self.watches.get(&budget_id)
    }

    /// The number of times that what is watched was set. What looks at the conditions ends when it has another one.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.sets
    }

    /// Decides what of a budget is watched.
    ///
    /// # Errors
    /// [`AlertWatchesError`] if the terms are not valid, or not for the budget.
    pub fn set(
        &self,
        given: WatchSet,
        catalogue: &BudgetCatalogue,
    ) -> Result<Vec<AlertWatchesEvent>, AlertWatchesError> {
        given.terms.check()?;
        let known = self.get(given.budget_id);
        // A budget that was closed can still be set to nothing.
        if !given.terms.kinds.is_empty() {
            let entry = catalogue.entry(given.budget_id);
            let entry = entry.ok_or(AlertWatchesError::NotControlled(given.budget_id))?;
            let unit = entry.unit_at(given.at);
            let is_endless = unit == Some(PeriodUnit::Total);
            if let Some(kind) = given.terms.kinds.iter().find(|kind| is_endless && kind.needs_end()) {
                return Err(AlertWatchesError::NeedsEnd(*kind));
            }
            if let (Some(minutes), Some(most)) = (given.terms.no_data_minutes, unit.and_then(most_no_data_minutes))
                && minutes > most
            {
                return Err(AlertWatchesError::NoDataBeyondPeriod { minutes, most });
            }
            let is_watched = known.is_some_and(|watch| !watch.terms.kinds.is_empty());
            if !is_watched && self.watched().count() >= MAX_WATCHES {
                return Err(AlertWatchesError::TooMany);
            }
        }
        self.decide(AlertWatchesCommand::Set(given))
    }

    /// Forgets the alerts of budgets that are watched no more, if those are more than are kept: first of those that raised none, and then
    /// of those that raised their last one first.
    fn limit_ended(&mut self) {
        let ended = self.watches.iter().filter(|(_, watch)| watch.terms.kinds.is_empty());
        let last_raised = |watch: &Watch| watch.signals.iter().map(|signal| signal.raised_at).max();
        let mut ended: Vec<_> = ended.map(|(id, watch)| (last_raised(watch), *id)).collect();
        ended.sort_unstable();
        let excess = ended.len().saturating_sub(MAX_ENDED_WATCHES);
        for (_, id) in ended.iter().take(excess) {
            self.watches.remove(id);
        }
    }

    fn observe(&self, given: &Observation) -> Vec<AlertWatchesEvent> {
        let Some(watch) = self.get(given.budget_id) else { return Vec::new() };
        let mut events = Vec::new();
        // Those of the terms before have no condition any more.
        let is_replaced = |signal: &&Signal| {
            signal.key.balance_id == given.balance_id
                && signal.key.terms_version < given.terms_version
                && signal.status != AlertStatus::Resolved
        };
        events.extend(watch.signals.iter().filter(is_replaced).map(|signal| resolved(given, signal.key)));
        for finding in given.findings.iter().filter(|finding| watch.terms.kinds.contains(&finding.kind)) {
            let Observation { balance_id, terms_version, .. } = *given;
            let key = SignalKey { balance_id, terms_version, kind: finding.kind };
            match watch.signals.iter().find(|signal| signal.key == key) {
                None if finding.holds => events.push(raised(given, key, finding, 1)),
                Some(known) if finding.holds && watch.is_due_again(known, given.at) => {
                    events.push(raised(given, key, finding, known.number.saturating_add(1)));
                }
                Some(known) if !finding.holds && known.status != AlertStatus::Resolved => {
                    events.push(resolved(given, key));
                }
                None | Some(_) => {}
            }
        }
        events
    }

    fn acknowledge(&self, given: SignalAnswered) -> Result<Vec<AlertWatchesEvent>, AlertWatchesError> {
        let signals = self.get(given.budget_id).map(|watch| watch.signals.as_slice()).unwrap_or_default();
        let known = signals.iter().find(|signal| signal.key == given.key).ok_or(AlertWatchesError::NotFiring)?;
        match known.status_at(given.at) {
            AlertStatus::Firing => Ok(vec![AlertWatchesEvent::Acknowledged(given)]),
            AlertStatus::Acknowledged => Ok(Vec::new()),
            AlertStatus::Resolved => Err(AlertWatchesError::NotFiring),
        }
    }

    fn change(&mut self, given: &SignalAnswered, status: AlertStatus) {
        let signals = self.watches.get_mut(&given.budget_id).map(|watch| watch.signals.iter_mut());
        if let Some(signal) = signals.into_iter().flatten().find(|signal| signal.key == given.key) {
            signal.status = status;
        }
    }
}

impl Watch {
    /// Replaces what is watched. The alerts of what is not watched any more are resolved: nothing looks at them.
    fn set(&mut self, terms: &WatchTerms) {
        self.terms = terms.clone();
        for signal in self.signals.iter_mut().filter(|signal| !terms.kinds.contains(&signal.key.kind)) {
            signal.status = AlertStatus::Resolved;
        }
    }

    /// Whether an alert whose condition still holds is sent again at a time.
    fn is_due_again(&self, signal: &Signal, at: DateTime<Utc>) -> bool {
        let again = self.terms.renotify_hours.map(|hours| signal.notified_at + TimeDelta::hours(hours.into()));
        signal.status == AlertStatus::Firing && again.is_some_and(|again| again <= at)
    }

    fn add(&mut self, raised: &SignalRaised) {
        let SignalRaised { key, span, number, observed, reference, at, .. } = *raised;
        if let Some(known) = self.signals.iter_mut().find(|signal| signal.key == key) {
            (known.number, known.notified_at, known.observed, known.reference) = (number, at, observed, reference);
            return;
        }
        let (status, raised_at, notified_at) = (AlertStatus::Firing, at, at);
        self.signals.push(Signal { key, span, status, number, observed, reference, raised_at, notified_at });
        if self.signals.len() > MAX_SIGNALS {
            self.signals.remove(0);
        }
    }
}

fn raised(given: &Observation, key: SignalKey, finding: &Finding, number: u32) -> AlertWatchesEvent {
    let (Finding { observed, reference, .. }, Observation { budget_id, span, measure, at, .. }) = (*finding, given);
    AlertWatchesEvent::Raised(SignalRaised {
        budget_id: *budget_id,
        key,
        span: *span,
        number,
        measure: *measure,
        observed,
        reference,
        at: *at,
    })
}

fn resolved(given: &Observation, key: SignalKey) -> AlertWatchesEvent {
    AlertWatchesEvent::Resolved(SignalAnswered { budget_id: given.budget_id, key, reason: None, at: given.at })
}

impl Aggregate for AlertWatches {
    const CATEGORY: &'static str = "alert_watches";
    type Command = AlertWatchesCommand;
    type Event = AlertWatchesEvent;
    type Error = AlertWatchesError;

    fn decide(&self, command: AlertWatchesCommand) -> Result<Vec<AlertWatchesEvent>, AlertWatchesError> {
        match command {
            AlertWatchesCommand::Set(given) => {
                given.terms.check()?;
                let nothing = WatchTerms::default();
                let known = self.get(given.budget_id).map_or(&nothing, |watch| &watch.terms);
                let is_changed = *known != given.terms;
                Ok(is_changed.then_some(AlertWatchesEvent::Set(given)).into_iter().collect())
            }
            AlertWatchesCommand::Observe(given) => Ok(self.observe(&given)),
            AlertWatchesCommand::Acknowledge(given) => self.acknowledge(given),
        }
    }

    fn evolve(mut self, event: &AlertWatchesEvent) -> Self {
        match event {
            AlertWatchesEvent::Set(given) => {
                self.sets += 1;
                // What was raised stays known while its period runs, so that it is not raised again if it is watched again.
                self.watches.retain(|_, watch| {
                    let is_running = watch.signals.iter().any(|signal| given.at < signal.span.ends_at);
                    is_running || !watch.terms.kinds.is_empty()
                });
                self.watches.entry(given.budget_id).or_default().set(&given.terms);
                self.limit_ended();
            }
            AlertWatchesEvent::Raised(given) => self.watches.entry(given.budget_id).or_default().add(given),
            AlertWatchesEvent::Acknowledged(given) => self.change(given, AlertStatus::Acknowledged),
            AlertWatchesEvent::Resolved(given) => self.change(given, AlertStatus::Resolved),
        }
        self
    }
}

#[cfg(test)]
mod tests;
