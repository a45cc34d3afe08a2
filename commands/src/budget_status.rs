//! What is charged and reserved in the periods of budgets, and how fast, from the log itself.

use crate::error::Error;
use crate::executor::Commands;
use crate::kind::AggregateKey;
use crate::loaded::AsOf;
use crate::principal::Principal;
use chrono::{DateTime, TimeDelta, Utc};
use domain::budget::Amount;
use domain::budget_balance::{BudgetBalance, BudgetBalanceError, BudgetBalanceEvent, Pace, Sums};
use domain::budget_catalogue::BudgetCatalogue;
use domain::{BudgetId, Event};
use streams::Version;
use uuid::Uuid;

/// The number of events of a period among which the one is looked for that counts what was charged before the budget was defined. It
/// is one of the first, because that is counted in a moment.
const MAX_OPENING_EVENTS: u64 = 1000;
/// The number of events that are read at a time.
const OPENING_PAGE: usize = 100;
/// The name of the event.
const COUNTED: &str = "budget_balance.counted";
/// How long after its definition a budget may be counted so late that it matters: a long log takes hours.
const COUNTED_WITHIN: TimeDelta = TimeDelta::days(1);

/// What is charged and reserved in a period of a budget. Amounts are in the unit of what the budget counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetStatus {
    /// The budget.
    pub budget_id: BudgetId,
    /// The id of the stream of the period.
    pub balance_id: Uuid,
    /// The sums of the period.
    pub sums: Sums,
    /// The limit, with temporary raises and what was carried over, however the budget is enforced.
    pub limit: Amount,
    /// Whether what was charged before the budget was defined is counted.
    pub is_counted: bool,
    /// When the budget was defined.
    pub defined_at: DateTime<Utc>,
}

impl BudgetStatus {
    /// What may still be reserved: 0 if more than the limit is charged and reserved.
    #[must_use]
    pub fn left(&self) -> Amount {
        (self.limit - self.sums.used()).or_zero()
    }

    /// By how much more than the limit is charged and reserved.
    #[must_use]
    pub fn excess(&self) -> Amount {
        (self.sums.used() - self.limit).or_zero()
    }
}

impl Commands {
    /// The periods that a time belongs to, of some budgets or of all, by two statements however many they are. Budgets that are
    /// closed, or not decided on before calls are made, are left out.
    ///
    /// # Errors
    /// As for [`Commands::load`].
    pub async fn budget_statuses(
        &self,
        principal: &Principal,
        ids: Option<&[BudgetId]>,
        at: DateTime<Utc>,
    ) -> Result<Vec<BudgetStatus>, Error<BudgetBalanceError>> {
        let loaded = self.load::<BudgetCatalogue>(principal, BudgetCatalogue::id()).await;
        let catalogue = loaded.map_err(|error| error.map_rejected(|_| BudgetBalanceError))?.state.clone();
        let wanted: Vec<_> = match ids {
            Some(ids) => ids.to_vec(),
            None => catalogue.entries().map(|(id, _)| id).collect(),
        };
        let period = |id: BudgetId| {
            let entry = catalogue.entry(id)?;
            Some((entry, entry.period_at(id, at)?))
        };
        let periods: Vec<_> = wanted.into_iter().filter_map(period).collect();
        let balances: Vec<_> = periods.iter().map(|(_, period)| period.balance_id).collect();
        if balances.is_empty() {
            return Ok(Vec::new());
        }
        let loaded = self.load_all::<BudgetBalance>(principal, &balances).await?;
        let mut statuses = Vec::with_capacity(periods.len());
        for ((entry, period), (_, balance)) in periods.into_iter().zip(loaded) {
            let sums = balance.state.sums.unwrap_or_else(|| Sums::new(period.span));
            statuses.push(BudgetStatus {
                budget_id: period.budget_id,
                balance_id: period.balance_id,
                sums,
                limit: entry.stated_limit_at(at) + sums.carried.unwrap_or_default(),
                is_counted: entry.counted_through.is_some(),
                defined_at: entry.since,
            });
        }
        Ok(statuses)
    }

    /// How fast a period is spent; none if it does not run at the time, or what was charged before the budget was defined is not
    /// counted yet.
    ///
    /// # Errors
    /// As for [`Commands::load`].
    pub async fn budget_pace(
        &self,
        principal: &Principal,
        status: &BudgetStatus,
        at: DateTime<Utc>,
    ) -> Result<Option<Pace>, Error<BudgetBalanceError>> {
        let BudgetStatus { balance_id, sums, limit, defined_at, .. } = *status;
        if !status.is_counted || at < sums.span.starts_at || at >= sums.span.ends_at {
            return Ok(None);
        }
        let since = Pace::since(&sums, defined_at, at);
        let spent_before = self.spent_before(principal, balance_id, defined_at, since).await?;
        Ok(Some(Pace::of(&sums, limit, spent_before, since, at)))
    }

    /// What was charged in a period before a time, also for expired reservations. What was charged before the budget was defined is
    /// counted at once, and is a part of it also if that was later. The log is read, by as many statements as the number of events of the
    /// period has binary digits.
    ///
    /// # Errors
    /// As for [`Commands::load`].
    pub async fn spent_before(
        &self,
        principal: &Principal,
        balance_id: Uuid,
        defined_at: DateTime<Utc>,
        at: DateTime<Utc>,
    ) -> Result<Amount, Error<BudgetBalanceError>> {
        let before = self.load_as_of::<BudgetBalance>(principal, balance_id, AsOf::Time(at)).await?;
        let spent = before.state.sums.map_or(Amount::ZERO, |sums| sums.spent());
        if defined_at + COUNTED_WITHIN < at {
            return Ok(spent);
        }
        Ok(spent + self.opening_since(principal, balance_id, at).await?)
    }

    /// What was charged before the budget was defined, if it was counted after a time.
    async fn opening_since(
        &self,
        principal: &Principal,
        balance_id: Uuid,
        since: DateTime<Utc>,
    ) -> Result<Amount, Error<BudgetBalanceError>> {
        let key = AggregateKey::of::<BudgetBalance>(principal.tenant(), balance_id);
        let mut read = Version::ZERO;
        while read.get() < MAX_OPENING_EVENTS {
            let events = self.log().read_stream(&key.stream, read, OPENING_PAGE).await?;
            let Some(last) = events.last() else { break };
            read = last.version;
            // There is one at most. The others are not decoded.
            if let Some(recorded) = events.iter().find(|recorded| recorded.name == COUNTED)
                && let Event::BudgetBalance(BudgetBalanceEvent::Counted(moved)) = recorded.decode()?
            {
                return Ok(if recorded.recorded_at > since { moved.charged } else { Amount::ZERO });
            }
        }
        Ok(Amount::ZERO)
    }
}
