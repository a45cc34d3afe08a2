//! What people say of a crossed threshold of a period: that they know of it, or that it is settled.
//!
//! Which thresholds are crossed is in the periods of budgets. An alert is a stream for each period and threshold; a threshold that is
//! crossed again fires again, and what was said of the crossing before stays. Deliberately absent: who is told.

use crate::aggregate::Aggregate;
use crate::budget::{Amount, Threshold};
use crate::budget_balance::BudgetBalance;
use crate::codec::events;
use crate::ids::{BudgetId, derived_id};
use crate::text::Body;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use thiserror::Error;
use uuid::Uuid;

/// The number of crossings of a threshold in a period of which the answers are kept: the last ones.
const MAX_ANSWERED: usize = 64;

/// A crossing of a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Crossing {
    /// The budget.
    pub budget_id: BudgetId,
    /// The stream of the period.
    pub balance_id: Uuid,
    /// The threshold, in percent of the limit.
    pub threshold_percent: Threshold,
    /// The limit under which it was crossed.
    pub limit: Amount,
    /// The position of the event with which it was crossed.
    pub position: u64,
}

impl Crossing {
    /// The id of the stream of the alert.
    #[must_use]
    pub fn alert_id(&self) -> Uuid {
        derived_id(&["alert", &self.balance_id.to_string(), &self.threshold_percent.percent().to_string()])
    }

    /// Whether the threshold counts as crossed in its period.
    fn is_crossed(&self, balance: &BudgetBalance) -> bool {
        let alerted = balance.sums.and_then(|sums| sums.alerted);
        alerted.is_some_and(|alerted| alerted.percent >= self.threshold_percent)
    }
}

/// The payload of `alert.acknowledged` and `alert.resolved`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AlertAnswered {
    /// The crossing that it is about.
    #[serde(flatten)]
    pub crossing: Crossing,
    /// Why, or what is done about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Body>,
    /// When.
    pub at: DateTime<Utc>,
}

/// A command to an alert.
#[derive(Debug, Clone, PartialEq)]
pub enum AlertCommand {
    /// Says that the alert is known. One that was answered stays as it is.
    Acknowledge(AlertAnswered),
    /// Says that the alert is settled.
    Resolve(AlertAnswered),
}

events! {
    /// An event of an alert.
    pub enum AlertEvent {
        /// The alert is known.
        "alert.acknowledged" v 1 => Acknowledged(AlertAnswered),
        /// The alert is settled.
        "alert.resolved" v 1 => Resolved(AlertAnswered),
    }
}

/// Why a command to an alert is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AlertError {
    /// The threshold is not crossed any more.
    #[error("the threshold is not crossed any more, or was crossed again: the limit was raised since")]
    NotCrossed,
}

/// The status of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertStatus {
    /// The threshold is crossed, or the condition holds, and the alert was not answered.
    Firing,
    /// The alert is known.
    Acknowledged,
    /// The alert is settled, the threshold is not crossed any more, the condition does not hold any more, or the period is over.
    Resolved,
}

/// The state of an alert.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The answers by the position of the crossing.
    answers: BTreeMap<u64, AlertStatus>,
}

impl Alert {
    fn answer_to(&self, crossing: &Crossing) -> Option<AlertStatus> {
        self.answers.get(&crossing.position).copied()
    }

    /// Whether a crossing without an answer fires: the threshold is crossed, and no later crossing of it was answered, before which it
    /// was armed again.
    fn is_firing(&self, crossing: &Crossing, balance: &BudgetBalance) -> bool {
        let last_answered = self.answers.last_key_value().map(|(position, _)| *position);
        crossing.is_crossed(balance) && last_answered.is_none_or(|last| last < crossing.position)
    }

    /// The status of a crossing.
    #[must_use]
    pub fn status(&self, crossing: &Crossing, balance: &BudgetBalance) -> AlertStatus {
        match self.answer_to(crossing) {
            Some(status) => status,
            None if self.is_firing(crossing, balance) => AlertStatus::Firing,
            None => AlertStatus::Resolved,
        }
    }

    /// Decides about a command, by the period whose threshold was crossed.
    ///
    /// # Errors
    /// [`AlertError::NotCrossed`].
    pub fn answer(&self, command: AlertCommand, balance: &BudgetBalance) -> Result<Vec<AlertEvent>, AlertError> {
        let (AlertCommand::Acknowledge(given) | AlertCommand::Resolve(given)) = &command;
        if self.answer_to(&given.crossing).is_none() && !self.is_firing(&given.crossing, balance) {
            return Err(AlertError::NotCrossed);
        }
        self.decide(command)
    }
}

impl Aggregate for Alert {
    const CATEGORY: &'static str = "alert";
    type Command = AlertCommand;
    type Event = AlertEvent;
    type Error = AlertError;

    fn decide(&self, command: AlertCommand) -> Result<Vec<AlertEvent>, AlertError> {
        Ok(match command {
            AlertCommand::Acknowledge(given) if self.answer_to(&given.crossing).is_some() => Vec::new(),
            AlertCommand::Acknowledge(given) => vec![AlertEvent::Acknowledged(given)],
            AlertCommand::Resolve(given) if self.answer_to(&given.crossing) == Some(AlertStatus::Resolved) => {
                Vec::new()
            }
            AlertCommand::Resolve(given) => vec![AlertEvent::Resolved(given)],
        })
    }

    fn evolve(mut self, event: &AlertEvent) -> Self {
        let (position, status) = match event {
            AlertEvent::Acknowledged(given) => (given.crossing.position, AlertStatus::Acknowledged),
            AlertEvent::Resolved(given) => (given.crossing.position, AlertStatus::Resolved),
        };
        self.answers.insert(position, status);
        if self.answers.len() > MAX_ANSWERED {
            self.answers.pop_first();
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Span;
    use crate::budget_balance::{Alerted, Sums};
    use crate::testing::{at, uuid};

    fn percent(percent: u16) -> Threshold {
        Threshold::try_from(percent).unwrap()
    }

    fn crossing(position: u64) -> Crossing {
        let (budget_id, balance_id) = (BudgetId(uuid(1)), uuid(2));
        Crossing { budget_id, balance_id, threshold_percent: percent(80), limit: Amount::units(10), position }
    }

    /// A period in which a threshold is the highest that is crossed.
    fn balance(crossed: Option<u16>) -> BudgetBalance {
        let alerted = crossed.map(|crossed| Alerted { percent: percent(crossed), limit: Amount::units(10) });
        let sums = Sums::new(Span { starts_at: at(0), ends_at: at(60) });
        BudgetBalance { sums: Some(Sums { alerted, ..sums }) }
    }

    fn given(position: u64) -> AlertAnswered {
        AlertAnswered { crossing: crossing(position), reason: None, at: at(5) }
    }

    #[test]
    fn an_alert_fires_until_it_is_acknowledged_and_resolved() {
        let (alert, crossed) = (Alert::default(), balance(Some(100)));
        assert_eq!(alert.status(&crossing(10), &crossed), AlertStatus::Firing);
        let events = alert.answer(AlertCommand::Acknowledge(given(10)), &crossed).unwrap();
        assert_eq!(events, [AlertEvent::Acknowledged(given(10))]);
        let alert = alert.evolve(&events[0]);
        assert_eq!(alert.status(&crossing(10), &crossed), AlertStatus::Acknowledged);
        assert_eq!(alert.answer(AlertCommand::Acknowledge(given(10)), &crossed), Ok(vec![]));
        let alert = alert.evolve(&AlertEvent::Resolved(given(10)));
        assert_eq!(alert.status(&crossing(10), &crossed), AlertStatus::Resolved);
        // What is settled is not merely known.
        assert_eq!(alert.answer(AlertCommand::Acknowledge(given(10)), &crossed), Ok(vec![]));
        assert_eq!(alert.answer(AlertCommand::Resolve(given(10)), &crossed), Ok(vec![]));
    }

    #[test]
    fn a_threshold_that_is_crossed_again_fires_again_and_the_answer_to_the_crossing_before_stays() {
        let (alert, crossed) = (Alert::default().evolve(&AlertEvent::Acknowledged(given(10))), balance(Some(80)));
        assert_eq!(alert.status(&crossing(20), &crossed), AlertStatus::Firing);
        let alert = alert.evolve(&AlertEvent::Resolved(given(20)));
        assert_eq!(
            [10, 20].map(|position| alert.status(&crossing(position), &crossed)),
            [AlertStatus::Acknowledged, AlertStatus::Resolved]
        );
        // One in between had no answer: it ended when the threshold was armed again.
        assert_eq!(alert.status(&crossing(15), &crossed), AlertStatus::Resolved);
        let late = alert.answer(AlertCommand::Acknowledge(given(15)), &crossed);
        assert_eq!(late, Err(AlertError::NotCrossed));
    }

    #[test]
    fn the_answers_to_the_last_crossings_are_kept() {
        let last = u64::try_from(MAX_ANSWERED).unwrap() + 1;
        let answers = (1..=last).map(|position| AlertEvent::Acknowledged(given(position)));
        let alert = answers.fold(Alert::default(), |alert, event| alert.evolve(&event));
        let statuses = [1, 2, last].map(|position| alert.status(&crossing(position), &balance(Some(80))));
        assert_eq!(statuses, [AlertStatus::Resolved, AlertStatus::Acknowledged, AlertStatus::Acknowledged]);
    }

    #[test]
    fn what_is_not_crossed_any_more_is_resolved_and_takes_no_answer() {
        for not_crossed in [balance(None), balance(Some(50)), BudgetBalance::default()] {
            assert_eq!(Alert::default().status(&crossing(10), &not_crossed), AlertStatus::Resolved);
            let refused = Alert::default().answer(AlertCommand::Acknowledge(given(10)), &not_crossed);
            assert_eq!(refused, Err(AlertError::NotCrossed));
        }
    }
}
