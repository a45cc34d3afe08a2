//! What is charged and reserved in the periods of budgets, and how fast: as it is now, and as a stream.

use super::control::amount;
use super::delegation::BudgetDelegation;
use crate::graphql::connection::STATEMENT_COST;
use crate::graphql::ids::Kind;
use crate::graphql::loaders::{self, Rows};
use crate::graphql::scalars::{Decimal, Long, Timestamp};
use crate::graphql::services::{authorise, requester, services};
use crate::graphql::{errors, follow};
use async_graphql::dataloader::Loader;
use async_graphql::{ComplexObject, Context, ID, Result, SimpleObject, Subscription};
use chrono::{DateTime, Utc};
use commands::{BudgetStatus, Commands, Principal};
use domain::budget_balance::{BudgetBalanceError, BudgetBalanceEvent, Pace};
use domain::budget_catalogue::{BudgetCatalogue, BudgetCatalogueEvent};
use domain::permissions::ReadSpending;
use domain::{Aggregate as _, BudgetId, EventCodec as _};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use streams::{RecordedEvent, TenantFilter};
use tokio::time::Instant;

/// The complexity of how fast a period is spent: it looks for what was charged an hour before in the stream of the period.
const PACE_COST: usize = 3 * STATEMENT_COST;
/// The least time between two statuses of a subscription. What changes meanwhile is in the next one.
const MIN_INTERVAL: Duration = Duration::from_millis(500);
/// The most time between two statuses of a subscription: how fast a period is spent changes without events.
const MAX_INTERVAL: Duration = Duration::from_secs(60);

/// How fast a period of a budget is spent. Amounts are in the unit of the budget's measure.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct BudgetPace {
    /// From when on it is measured: an hour ago, or when the period began or the budget was defined.
    since: Timestamp,
    /// What calls are charged in an hour, also expired reservations. It is measured over at least a minute.
    per_hour: Decimal,
    /// When nothing will be left at this pace. Null if the period ends before, or nothing is charged.
    exhausts_at: Option<Timestamp>,
    /// Seconds until nothing will be left at this pace: 0 if nothing is left. Null if the period ends before, or nothing is charged.
    seconds_left: Option<Long>,
}

impl BudgetPace {
    fn new(pace: &Pace, at: DateTime<Utc>) -> Self {
        let seconds = |end: DateTime<Utc>| Long((end - at).num_seconds().max(0));
        Self {
            since: pace.since.into(),
            per_hour: amount(pace.per_hour),
            exhausts_at: pace.exhausts_at.map(Into::into),
            seconds_left: pace.exhausts_at.map(seconds),
        }
    }
}

/// What is charged and reserved in a period of a budget, as it is now. Amounts are in the unit of the budget's measure.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct BudgetPeriodStatus {
    /// Start of the period, inclusive.
    starts_at: Timestamp,
    /// End of the period, exclusive: the budget renews then.
    ends_at: Timestamp,
    /// The limit that is in force, with temporary raises and what was carried over.
    limit: Decimal,
    /// What was carried over from the period before. Null if nothing is, or nothing was decided in the period.
    carried: Option<Decimal>,
    /// What calls are charged.
    charged: Decimal,
    /// What expired reservations are charged whose calls were sent and are not settled, and what settled calls without a price are
    /// charged: all that was reserved for them.
    assumed: Decimal,
    /// What is reserved for calls that are not settled.
    reserved: Decimal,
    /// What is delegated and not used.
    delegated: Decimal,
    /// The delegations of the period that run, at most 8.
    delegations: Vec<BudgetDelegation>,
    /// What may still be reserved by calls that no delegation is for: 0 if more than the limit is charged, reserved and delegated.
    left: Decimal,
    /// By how much more than the limit is charged and reserved. Of a hard budget, nothing is granted until it is 0.
    excess: Decimal,
    /// Number of parts of the period, each a stream of its own. The amounts are those of all parts together.
    parts: i32,
    /// How many reservations a shadow budget would have refused.
    would_refuse: Long,
    /// How many calls that settled a reservation have no price, and are charged what was reserved for them until they have one.
    unpriced: Long,
    /// Whether what was charged before the budget was defined is counted. A hard budget refuses until it is.
    counted: bool,
    /// Highest threshold that was crossed, in percent of the limit. A raised limit arms those again that it leaves unreached. Null if
    /// none was, and of a budget of money by calendar month, whose alerts are `budgetAlerts`.
    crossed_percent: Option<i32>,
    #[graphql(skip)]
    status: BudgetStatus,
}

#[ComplexObject]
impl BudgetPeriodStatus {
    /// How fast the period is spent, and when nothing will be left of it. Null if the period is not the running one, or `counted` is
    /// false.
    #[graphql(complexity = "PACE_COST + child_complexity")]
    async fn pace(&self, ctx: &Context<'_>) -> Result<Option<BudgetPace>> {
        let (at, principal) = (Utc::now(), requester(ctx)?.principal.charging());
        let pace = services(ctx)?.commands.budget_pace(&principal, &self.status, at).await;
        Ok(pace.map_err(|error| errors::failed(&error))?.map(|pace| BudgetPace::new(&pace, at)))
    }
}

impl From<BudgetStatus> for BudgetPeriodStatus {
    fn from(status: BudgetStatus) -> Self {
        let sums = &status.sums;
        Self {
            starts_at: sums.span.starts_at.into(),
            ends_at: sums.span.ends_at.into(),
            limit: amount(status.limit),
            carried: sums.carried.map(amount),
            charged: amount(sums.charged),
            assumed: amount(sums.assumed),
            reserved: amount(sums.reserved),
            delegated: amount(status.kept()),
            delegations: status.delegations.iter().map(Into::into).collect(),
            left: amount(status.left()),
            excess: amount(status.excess()),
            parts: status.parts.get().into(),
            would_refuse: Long::from_unsigned(sums.would_refuse),
            unpriced: sums.unpriced.max(0).into(),
            counted: status.is_counted,
            crossed_percent: sums.alerted.map(|alerted| alerted.percent().into()),
            status,
        }
    }
}

/// The period of a budget that a time belongs to, for a principal that was authorised to read it.
pub(super) async fn period(ctx: &Context<'_>, id: BudgetId, at: DateTime<Utc>) -> Result<Option<BudgetPeriodStatus>> {
    let principal = requester(ctx)?.principal.charging();
    let found = services(ctx)?.commands.budget_statuses(&principal, Some(&[id]), at).await;
    Ok(found.map_err(|error| errors::failed(&error))?.pop().map(Into::into))
}

/// Key of the running period of a budget, which is read from the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct PeriodOf(BudgetId);

impl Loader<PeriodOf> for Rows {
    /// Or why the period cannot be decoded.
    type Value = Result<BudgetStatus, Self::Error>;
    type Error = Arc<commands::Error<BudgetBalanceError>>;

    async fn load(&self, keys: &[PeriodOf]) -> Result<HashMap<PeriodOf, Self::Value>, Self::Error> {
        if self.access::<ReadSpending>().is_none() {
            return Ok(HashMap::new());
        }
        let (reader, at) = (&self.reader(), Utc::now());
        let load = |keys: Vec<PeriodOf>| async move {
            let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
            let found = self.commands.budget_statuses(reader, Some(&ids), at).await?;
            Ok(found.into_iter().map(|status| (PeriodOf(status.budget_id), status)).collect())
        };
        loaders::decoded_apart(keys, load).await
    }
}

/// The running period of a budget; none if it is closed, or not decided on before calls are made.
pub(super) async fn running(ctx: &Context<'_>, id: BudgetId) -> Result<Option<BudgetPeriodStatus>> {
    let loaded = loaders::of::<ReadSpending>(ctx)?.load_one(PeriodOf(id)).await;
    let status = loaded.and_then(Option::transpose).map_err(|error| errors::failed(&*error))?;
    Ok(status.map(Into::into))
}

/// One subscriber to the running period of a budget.
struct Watcher {
    commands: Commands,
    principal: Principal,
    budget_id: BudgetId,
    /// The events of all periods and of the catalogue of budgets.
    events: BoxStream<'static, Result<Arc<RecordedEvent>>>,
    /// What was sent last; none before the first status.
    sent: Option<Option<BudgetStatus>>,
    /// When it was read.
    read_at: Instant,
}

impl Watcher {
    /// The next status: the present one at first, then one that differs, or the same after [`MAX_INTERVAL`]. None when the server
    /// shuts down.
    async fn next(&mut self) -> Result<Option<Option<BudgetStatus>>> {
        loop {
            let is_due = match self.sent {
                None => true,
                Some(_) => match self.wait().await? {
                    Some(is_due) => is_due,
                    None => return Ok(None),
                },
            };
            self.read_at = Instant::now();
            let found = self.commands.budget_statuses(&self.principal, Some(&[self.budget_id]), Utc::now()).await;
            let found = found.map_err(|error| errors::failed(&error))?.pop();
            if is_due || self.sent.as_ref() != Some(&found) {
                self.sent = Some(found.clone());
                return Ok(Some(found));
            }
        }
    }

    /// Waits for a change, but at least [`MIN_INTERVAL`], or until the status is sent in any case: whether it is. None when the server
    /// shuts down. Events are read all the time, so that a subscriber to a busy budget does not fall behind.
    async fn wait(&mut self) -> Result<Option<bool>> {
        let (earliest, latest) = (self.read_at + MIN_INTERVAL, self.read_at + self.longest());
        let mut is_changed = false;
        loop {
            let until = if is_changed { earliest } else { latest };
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(until) => return Ok(Some(!is_changed)),
                event = self.events.next() => match event {
                    Some(event) => is_changed |= self.concerns(&*event?),
                    None => return Ok(None),
                },
            }
        }
    }

    /// How long a status is sent at the latest: until the period ends, if that is soon.
    fn longest(&self) -> Duration {
        let ends_at = self.sent.as_ref().and_then(Option::as_ref).map(|status| status.sums.span.ends_at);
        let until = ends_at.and_then(|ends_at| (ends_at - Utc::now()).to_std().ok());
        until.map_or(MAX_INTERVAL, |until| until.clamp(MIN_INTERVAL, MAX_INTERVAL))
    }

    /// Whether an event may change the status: it is of the period, or of the terms of a budget.
    fn concerns(&self, event: &RecordedEvent) -> bool {
        let status = self.sent.as_ref().and_then(Option::as_ref);
        &*event.stream.category == BudgetCatalogue::CATEGORY
            || status.is_some_and(|status| status.streams().any(|id| id == event.stream.id))
    }
}

/// The types of the events that change statuses.
fn types() -> Vec<String> {
    let types = BudgetBalanceEvent::TYPES.iter().chain(BudgetCatalogueEvent::TYPES);
    types.map(|of| of.name.to_owned()).collect()
}

/// The stream of statuses.
#[derive(Default)]
pub(crate) struct PeriodSubscription;

#[Subscription]
impl PeriodSubscription {
    /// Streams what is charged and reserved in the running period of a budget: first as it is, then after each change, at most twice a
    /// second, when the next period begins, and at least once a minute. Null while the budget is not decided on before calls are made,
    /// or closed. There is nothing to resume: the first message has the present status.
    async fn budget_period(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Global id or UUID of the budget.")] id: ID,
    ) -> Result<impl Stream<Item = Result<Option<BudgetPeriodStatus>>> + use<>> {
        let access = authorise::<ReadSpending>(ctx)?;
        let budget_id = BudgetId(Kind::Budget.parse(&id)?);
        let events = follow::events(ctx, TenantFilter::new(&access, None, types(), None), None).await?;
        let watcher = Watcher {
            commands: services(ctx)?.commands.clone(),
            principal: requester(ctx)?.principal.charging(),
            budget_id,
            events: events.boxed(),
            sent: None,
            read_at: Instant::now(),
        };
        Ok(futures::stream::unfold(Some(watcher), |watcher| async move {
            let mut watcher = watcher?;
            match watcher.next().await {
                Ok(Some(status)) => Some((Ok(status.map(Into::into)), Some(watcher))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        }))
    }
}
