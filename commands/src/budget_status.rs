//! What is charged and reserved in the periods of budgets, and how fast, from the log itself.

use crate::error::Error;
use crate::executor::Commands;
use crate::kind::AggregateKey;
use crate::loaded::AsOf;
use crate::principal::Principal;
use chrono::{DateTime, TimeDelta, Utc};
use domain::budget::{Amount, Delegation, Parts};
use domain::budget_balance::{BudgetBalance, BudgetBalanceError, BudgetBalanceEvent, Pace, Sums};
use domain::budget_catalogue::{BudgetCatalogue, CatalogueEntry, Period};
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
    /// The period.
    pub period: Period,
    /// The number of its parts.
    pub parts: Parts,
    /// The sums of all parts of the period, and of what is delegated.
    pub sums: Sums,
    /// The delegations that run, each with its sums.
    pub delegations: Vec<(Delegation, Sums)>,
    /// The limit, with temporary raises and what was carried over, however the budget is enforced.
    pub limit: Amount,
    /// Whether what was charged before the budget was defined is counted.
    pub is_counted: bool,
    /// When the budget was defined.
    pub defined_at: DateTime<Utc>,
}

impl BudgetStatus {
    /// The ids of the streams of the period.
    pub fn streams(&self) -> impl Iterator<Item = Uuid> + use<> {
        self.period.streams(self.parts)
    }

    /// What is delegated and not used.
    #[must_use]
    pub fn kept(&self) -> Amount {
        self.delegations.iter().map(|(_, sums)| sums.room()).sum()
    }

    /// What may still be reserved by calls that no delegation holds: 0 if more than the limit is charged, reserved and delegated.
    #[must_use]
    pub fn left(&self) -> Amount {
        (self.limit - self.sums.used() - self.kept()).or_zero()
    }

    /// By how much more than the limit is charged and reserved.
    #[must_use]
    pub fn excess(&self) -> Amount {
        (self.sums.used() - self.limit).or_zero()
    }
}

/// The delegations of a period that run at a time.
fn running<'e>(
    entry: &'e CatalogueEntry,
    period: &Period,
    at: DateTime<Utc>,
) -> impl Iterator<Item = &'e Delegation> + use<'e> {
    entry.delegations_of(period.balance_id).filter(move |delegation| delegation.is_running(at))
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
        let streams = |(entry, period): &(&CatalogueEntry, Period)| {
            let delegated = running(entry, period, at).map(|running| Delegation::stream(running.delegation_id));
            period.streams(entry.parts).chain(delegated).collect::<Vec<_>>()
        };
        let balances: Vec<_> = periods.iter().flat_map(streams).collect();
        if balances.is_empty() {
            return Ok(Vec::new());
        }
        let mut loaded = self.load_all::<BudgetBalance>(principal, &balances).await?.into_iter();
        let mut statuses = Vec::with_capacity(periods.len());
        for (entry, period) in periods {
            let of_parts = loaded.by_ref().take(entry.parts.get().into()).map(|(_, balance)| balance.state.sums);
            let sums = Sums::of_parts(period.span, of_parts);
            let delegations = running(entry, &period, at).copied().zip(loaded.by_ref());
            let delegations = delegations.map(|(delegation, (_, balance))| {
                (delegation, balance.state.sums.unwrap_or_else(|| Sums::new(period.span)))
            });
            let delegations = delegations.collect();
            statuses.push(BudgetStatus {
                budget_id: period.budget_id,
                period,
                parts: entry.parts,
                sums,
                delegations,
                limit: entry.stated_limit_at(at) + sums.carried.unwrap_or_default(),
                is_counted: entry.counted_through.is_some(),
                defined_at: entry.since,
            });
        }
        Ok(statuses)
    }

    /// What is kept at a time for the delegations of a period, and not used.
    ///
    /// # Errors
    /// As for [`Commands::load`].
    pub async fn kept_for_delegations(
        &self,
        principal: &Principal,
        entry: &CatalogueEntry,
        period: &Period,
        at: DateTime<Utc>,
    ) -> Result<Amount, Error<BudgetBalanceError>> {
        let streams: Vec<_> = running(entry, period, at).map(|of| Delegation::stream(of.delegation_id)).collect();
        let loaded = self.load_all::<BudgetBalance>(principal, &streams).await?;
        Ok(loaded.iter().filter_map(|(_, balance)| balance.state.sums).map(|sums| sums.room()).sum())
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
        let BudgetStatus { sums, limit, defined_at, .. } = *status;
        if !status.is_counted || at < sums.span.starts_at || at >= sums.span.ends_at {
            return Ok(None);
        }
        let since = Pace::since(&sums, defined_at, at);
        let spent_before = self.spent_before(principal, status.streams(), defined_at, since).await?;
        Ok(Some(Pace::of(&sums, limit - status.kept(), spent_before, since, at)))
    }

    /// What was charged in a period before a time, also for expired reservations. What was charged before the budget was defined is
    /// counted at once, and is a part of it also if that was later. The log is read, for each stream of the period by as many statements
    /// as the number of its events has binary digits.
    ///
    /// # Errors
    /// As for [`Commands::load`].
    pub async fn spent_before(
        &self,
        principal: &Principal,
        streams: impl Iterator<Item = Uuid> + Send,
        defined_at: DateTime<Utc>,
        at: DateTime<Utc>,
    ) -> Result<Amount, Error<BudgetBalanceError>> {
        let mut spent = Amount::ZERO;
        for (number, balance_id) in streams.enumerate() {
            let before = self.load_as_of::<BudgetBalance>(principal, balance_id, AsOf::Time(at)).await?;
            spent = spent + before.state.sums.map_or(Amount::ZERO, |sums| sums.spent_with_delegations());
            // What was charged before is counted in the stream of the period itself, which is the first one.
            if number == 0 && defined_at + COUNTED_WITHIN >= at {
                spent = spent + self.opening_since(principal, balance_id, at).await?;
            }
        }
        Ok(spent)
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
