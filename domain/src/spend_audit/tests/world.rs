//! A tenant in memory: the pure decisions of budgets, reservations and charging, and the log that they give.

use crate::Event;
use crate::agent::{Agent, AgentStatus};
use crate::aggregate::Aggregate;
use crate::approval::{Approval, ApprovalAnswer, ApprovalAnswered, ApprovalCommand, ApprovalEvent, ApprovalRejection};
use crate::approval_queue::{ApprovalQueue, ApprovalQueueEvent};
use crate::assignment::{BudgetEvents, BudgetRejection, BudgetSubjects, decide_budget, decide_delegation};
use crate::budget::{
    Amount, Attributes, Budget, BudgetCommand, BudgetControl, BudgetDimension, BudgetError, BudgetScope, BudgetTerms,
    DelegatedTo, DelegationCommand, Enforcement, Measure, OnRefusal, Parts, PeriodUnit,
};
use crate::budget_balance::{BalanceEvents, BudgetBalance, BudgetBalanceEvent, Delegated};
use crate::budget_catalogue::BudgetCatalogue;
use crate::call::{Call, CallCommand, CallEvent, CallFacts, CallIds, CallKind, NamedCalls, Reporters};
use crate::charging::{
    ChargeBatch, ChargeEvents, Charging, ChargingEvent, LoggedEvent, MAX_SETTLEMENT_PERIODS, Opening, Settlement,
    charge, charge_parked, counted, hold, settle,
};
use crate::ids::{AgentId, ApprovalId, BudgetId, CallId, DelegationId, ReservationId};
use crate::meter::Meter;
use crate::money::{Currency, Money};
use crate::price_book::{Price, PriceBook, PriceBookEvent, PriceComponent, PriceSource, PricesSet, rate};
use crate::reservation::{
    Alternatives, Estimate, Extend, FollowUp, Holder, Reservation, ReservationError, ReservationEvent, Reserve,
    SpendEvents, expire, extend, release, reserve,
};
use crate::spend_audit::{AuditedEvent, SpendAudit, Violation};
use crate::tag_keys::TagKeys;
use crate::testing::{name, usage, uuid};
use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use uuid::Uuid;

/// A planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Reservations are decided on periods as they were before the last append, and added to what they are now.
    CheckThenIncrement,
    /// A part that asks for more does not compare the version of its period, nor those of the other parts: it sees them as they were
    /// before the last append.
    IgnoresPeriod,
    /// What is delegated and not used is forgotten when others reserve.
    TakesDelegated,
    /// A delegation grants more than is delegated.
    ExceedsDelegation,
    /// The charging policy begins at the first event each time.
    ForgetsPosition,
    /// A reservation that expires is released, whether its call was sent or not.
    FreesSent,
    /// The charging policy charges events that settled a reservation, too.
    ChargesSettled,
    /// A settlement leaves what was reserved.
    KeepsReserved,
    /// A call without a price costs nothing.
    ForgetsUnpriced,
    /// The charging policy passes events that it does not charge.
    LosesCharges,
    /// An approval raises the limit twice.
    RaisesTwice,
}

/// A model that has no price at first.
pub(crate) const UNPRICED: &str = "unpriced";

pub(crate) struct World {
    pub(crate) now: DateTime<Utc>,
    pub(crate) fault: Option<Fault>,
    pub(crate) catalogue: BudgetCatalogue,
    pub(crate) balances: BTreeMap<Uuid, Arc<BudgetBalance>>,
    pub(crate) reservations: BTreeMap<ReservationId, Arc<Reservation>>,
    /// The part that reservations prefer.
    pub(crate) part: u8,
    stale: BTreeMap<Uuid, Arc<BudgetBalance>>,
    budgets: BTreeMap<BudgetId, Budget>,
    approvals: BTreeMap<ApprovalId, Approval>,
    queues: BTreeMap<BudgetId, Arc<ApprovalQueue>>,
    calls: BTreeMap<CallId, Arc<Call>>,
    pub(crate) charging: Charging,
    /// Reservations that the charging policy cannot decode.
    pub(crate) undecodable: BTreeSet<ReservationId>,
    prices: PriceBook,
    commands: u128,
    /// Whether a settlement left something to the charging policy.
    pub(crate) settled_in_part: bool,
    pub(crate) log: Vec<AuditedEvent>,
}

/// One dollar for a million tokens of output of a model, and for a million tokens of input.
fn with_price(prices: PriceBook, model: &str) -> PriceBook {
    with_price_of(prices, model, 100, &[Meter::Input, Meter::Output])
}

/// Some cents for a million tokens of each of some meters of a model.
fn with_price_of(prices: PriceBook, model: &str, cents: i64, meters: &[Meter]) -> PriceBook {
    let per_million = |meter: &Meter| PriceComponent::per_million(*meter, rate(Decimal::new(cents, 2)).unwrap());
    let price = Price::new(name("p"), name(model), meters.iter().map(per_million).collect());
    let source = PriceSource::named(name("test"));
    let set = PriceBookEvent::Set(PricesSet { prices: vec![price], source, at: DateTime::UNIX_EPOCH });
    prices.evolve(&set)
}

pub(crate) fn agent(number: u128) -> AgentId {
    AgentId(uuid(number))
}

pub(crate) fn dollars(number: u64) -> Amount {
    Amount::units(number)
}

/// A budget of all calls, or of those of an agent.
pub(crate) fn terms(enforcement: Enforcement, limit: i64, of: Option<AgentId>) -> BudgetTerms {
    BudgetTerms {
        name: name("budget"),
        scope: of.map_or(BudgetScope::Tenant, |agent_id| BudgetScope::Agent { agent_id }),
        limit: Money::from_decimal(limit.into()),
        currency: Currency::Usd,
        time_zone: chrono_tz::UTC,
        thresholds: Default::default(),
        control: Some(BudgetControl {
            enforcement,
            measure: Measure::Money,
            period: PeriodUnit::Day,
            anchor: "2024-01-01".parse().unwrap(),
            carry_over: false,
            on_refusal: OnRefusal::default(),
            on_unreachable: None,
            parts: Parts::default(),
        }),
    }
}

pub(crate) fn facts(of: AgentId, output: u64, at: DateTime<Utc>) -> CallFacts {
    facts_of("m", of, output, at)
}

pub(crate) fn facts_of(model: &str, of: AgentId, output: u64, at: DateTime<Utc>) -> CallFacts {
    CallFacts {
        agent_id: Some(of),
        provider: Some(name("p")),
        model: Some(name(model)),
        usage: usage([(Meter::Output, output * 1_000_000)]),
        ..CallFacts::new(CallKind::Llm, at, name("test"))
    }
}

impl BudgetSubjects for &World {
    type Error = Infallible;

    fn exists(&mut self, _: &BudgetDimension, id: Uuid) -> Result<bool, Infallible> {
        let registered = Agent { status: Some(AgentStatus::Registered), ..Agent::default() };
        Ok(registered.status.is_some() && id.as_u128() < 1000)
    }

    fn balance(&mut self, id: Uuid) -> Result<Arc<BudgetBalance>, Infallible> {
        Ok(self.balances.get(&id).cloned().unwrap_or_default())
    }
}

pub(crate) const HARD: Enforcement = Enforcement::Hard;

/// A world with a hard budget of all calls: this many dollars a day.
pub(crate) fn hard(limit: i64) -> World {
    let mut world = World::new(None);
    world.open(1, terms(HARD, limit, None));
    world
}

/// The audit finds nothing.
#[track_caller]
pub(crate) fn is_sound(world: &World) {
    assert_eq!(world.audit().1, []);
}

impl World {
    pub(crate) fn new(fault: Option<Fault>) -> Self {
        Self {
            now: "2024-05-05T10:00:00Z".parse().unwrap(),
            fault,
            catalogue: BudgetCatalogue::default(),
            balances: BTreeMap::new(),
            reservations: BTreeMap::new(),
            part: 0,
            stale: BTreeMap::new(),
            budgets: BTreeMap::new(),
            approvals: BTreeMap::new(),
            queues: BTreeMap::new(),
            calls: BTreeMap::new(),
            charging: Charging::default(),
            undecodable: BTreeSet::new(),
            prices: with_price(PriceBook::default(), "m"),
            commands: 0,
            settled_in_part: false,
            log: Vec::new(),
        }
    }

    fn write(&mut self, stream_id: Uuid, event: Event) {
        let position = self.log.len() as u64 + 1;
        self.log.push(AuditedEvent { position, stream_id, command_id: uuid(self.commands), event });
    }

    fn write_balances(&mut self, balances: BalanceEvents) {
        for (id, events) in balances {
            for event in events {
                let state = BudgetBalance { sums: Some(*event.after()) };
                self.balances.insert(id, Arc::new(state));
                self.write(id, Event::BudgetBalance(event));
            }
        }
    }

    fn write_spend(&mut self, id: ReservationId, events: SpendEvents) {
        let before = self.balances.clone();
        for event in events.reservation {
            let state = self.reservations.remove(&id).unwrap_or_default();
            self.reservations.insert(id, Arc::new(Reservation::clone(&state).evolve(&event)));
            self.write(id.0, Event::Reservation(event));
        }
        self.write_balances(events.balances);
        if let Some(requested) = events.approval {
            self.write_queue(requested.budget_id, requested.entered());
            self.write_approval(ApprovalId::of(id), ApprovalEvent::Requested(requested));
        }
        self.stale = before;
    }

    fn write_queue(&mut self, budget_id: BudgetId, event: ApprovalQueueEvent) {
        let queue = self.queues.remove(&budget_id).unwrap_or_default();
        self.queues.insert(budget_id, Arc::new(ApprovalQueue::clone(&queue).evolve(&event)));
        self.write(ApprovalQueue::id(budget_id), Event::ApprovalQueue(event));
    }

    fn write_approval(&mut self, id: ApprovalId, event: ApprovalEvent) {
        let state = self.approvals.remove(&id).unwrap_or_default();
        self.approvals.insert(id, state.evolve(&event));
        self.write(id.0, Event::Approval(event));
    }

    fn balance(&self, id: Uuid) -> Result<Arc<BudgetBalance>, Infallible> {
        Ok(self.balances.get(&id).cloned().unwrap_or_default())
    }

    pub(crate) fn budget(&mut self, id: u128, command: BudgetCommand) -> Result<(), BudgetRejection> {
        self.commands += 1;
        self.change_budget(BudgetId(uuid(id)), command)
    }

    /// Sets the price of a model, in cents for a million tokens of input or output.
    pub(crate) fn price(&mut self, model: &str, cents: i64) {
        self.prices = with_price_of(std::mem::take(&mut self.prices), model, cents, &[Meter::Input, Meter::Output]);
    }

    /// Sets the price of a model that has none for output.
    pub(crate) fn price_of_input(&mut self, model: &str, cents: i64) {
        self.prices = with_price_of(std::mem::take(&mut self.prices), model, cents, &[Meter::Input]);
    }

    /// Answers the request for approval of a reservation.
    pub(crate) fn answer(&mut self, id: u128, answer: ApprovalAnswer) -> Result<(), ApprovalRejection> {
        self.commands += 1;
        let id = ApprovalId::of(ReservationId(uuid(id)));
        let approval = self.approvals.get(&id).cloned().unwrap_or_default();
        let answered = ApprovalAnswered { reason: crate::testing::body("why"), at: self.now };
        let events = approval.decide(ApprovalCommand::Answer(answer, answered))?;
        for event in events {
            let raises = approval.request.as_ref().filter(|_| answer == ApprovalAnswer::Approve);
            if let Some(request) = raises {
                let times = if self.fault == Some(Fault::RaisesTwice) { 2 } else { 1 };
                for _ in 0..times {
                    let raise = request.raise(crate::testing::body("why"), self.now);
                    self.change_budget(request.budget_id, raise)?;
                }
            }
            self.write_approval(id, event);
            if let Some(request) = &approval.request {
                self.write_queue(request.budget_id, request.left());
            }
        }
        Ok(())
    }

    /// Denies the requests for approval whose deadline has passed.
    fn expire_approvals(&mut self) {
        for (id, approval) in self.approvals.clone() {
            self.commands += 1;
            for event in approval.decide(ApprovalCommand::Expire { at: self.now }).unwrap() {
                self.write_approval(id, event);
            }
        }
    }

    fn change_budget(&mut self, id: BudgetId, command: BudgetCommand) -> Result<(), BudgetRejection> {
        let budget = self.budgets.get(&id).cloned().unwrap_or_default();
        let Ok(decided) = decide_budget(id, &budget, &self.catalogue, command, self.now, &mut &*self);
        self.write_budget(id, decided?);
        Ok(())
    }

    fn write_budget(&mut self, id: BudgetId, decided: BudgetEvents) {
        let budget = self.budgets.get(&id).cloned().unwrap_or_default();
        let budget = decided.budget.iter().fold(budget, |budget, event| budget.evolve(event));
        self.budgets.insert(id, budget);
        decided.budget.into_iter().for_each(|event| self.write(id.0, Event::Budget(event)));
        for event in decided.catalogue {
            self.catalogue = self.catalogue.clone().evolve(&event);
            self.write(BudgetCatalogue::id(), Event::BudgetCatalogue(event));
        }
        self.write_balances(decided.balances);
    }

    /// Delegates some dollars of a budget to an agent, to the end of the period or for some minutes.
    pub(crate) fn delegate(
        &mut self,
        id: u128,
        delegation: u128,
        to: DelegatedTo,
        amount: u64,
        minutes: Option<i64>,
    ) -> Result<(), BudgetError> {
        let (at, reason) = (self.now, crate::testing::body("why"));
        let until = minutes.map(|minutes| at + TimeDelta::minutes(minutes));
        let (delegation_id, amount) = (DelegationId(uuid(delegation)), dollars(amount));
        self.delegation(id, DelegationCommand::Delegate { delegation_id, to, amount, until, reason, at })
    }

    /// Ends a delegation.
    pub(crate) fn end_delegation(&mut self, id: u128, delegation: u128) -> Result<(), BudgetError> {
        let (at, reason) = (self.now, crate::testing::body("why"));
        self.delegation(id, DelegationCommand::End { delegation_id: DelegationId(uuid(delegation)), reason, at })
    }

    /// Records that the time of a delegation is over, if it is.
    pub(crate) fn expire_delegation(&mut self, id: u128, delegation: u128) -> Result<(), BudgetError> {
        let (at, reason) = (self.now, crate::testing::body("over"));
        self.delegation(id, DelegationCommand::Expire { delegation_id: DelegationId(uuid(delegation)), reason, at })
    }

    fn delegation(&mut self, id: u128, command: DelegationCommand) -> Result<(), BudgetError> {
        self.commands += 1;
        let id = BudgetId(uuid(id));
        let budget = self.budgets.get(&id).cloned().unwrap_or_default();
        let Ok(decided) = decide_delegation(id, &budget, &self.catalogue, command, self.now, &mut &*self);
        match decided {
            Ok(decided) => {
                self.write_budget(id, decided);
                Ok(())
            }
            Err(BudgetRejection::Budget(error)) => Err(error),
            Err(other) => panic!("{other}"),
        }
    }

    pub(crate) fn define(&mut self, id: u128, terms: BudgetTerms) {
        let at = self.now;
        self.budget(id, BudgetCommand::Define { terms, at }).unwrap();
    }

    /// Defines a budget that is counted.
    pub(crate) fn open(&mut self, id: u128, terms: BudgetTerms) {
        self.define(id, terms);
        self.charge(usize::MAX);
        self.count(id);
    }

    pub(crate) fn request(&self, id: u128, of: AgentId, output: u64) -> Reserve {
        Reserve {
            reservation_id: ReservationId(uuid(id)),
            fixed: Attributes::new(),
            declared: Attributes::from([
                (BudgetDimension::Agent, name(&of.to_string())),
                (BudgetDimension::Provider, name("p")),
                (BudgetDimension::Model, name("m")),
            ]),
            estimate: Estimate {
                kind: CallKind::Llm,
                usage: usage([(Meter::Output, output * 1_000_000)]),
                min_output: None,
                service_tier: None,
                speed: None,
                region: None,
                alternatives: Alternatives::default(),
            },
            prices: self.prices.clone(),
            expires_at: self.now + TimeDelta::minutes(15),
            sent: true,
            holder: Holder::default(),
            cheaper: None,
            at: self.now,
        }
    }

    pub(crate) fn reserve(&mut self, request: &Reserve) -> Result<Arc<Reservation>, ReservationError> {
        self.commands += 1;
        let state = self.reservations.get(&request.reservation_id).cloned().unwrap_or_default();
        let is_faulty = self.fault == Some(Fault::CheckThenIncrement);
        let seen = if is_faulty { &self.stale } else { &self.balances };
        let get = |id| {
            let is_own = |balance: &BudgetBalance| {
                self.part == 0 || balance.sums.and_then(|sums| sums.part).is_some_and(|part| part.number == self.part)
            };
            let now = self.balances.get(&id).cloned().unwrap_or_default();
            let is_compared = self.fault != Some(Fault::IgnoresPeriod) || is_own(&now);
            let seen = if is_compared { seen } else { &self.stale };
            Ok::<_, Infallible>(self.with_fault(seen.get(&id).cloned().unwrap_or_default()))
        };
        let requests = |id| Ok::<_, Infallible>(self.queues.get(&id).cloned().unwrap_or_default());
        let Ok(decided) = reserve(&state, &self.catalogue, request, self.part, get, requests);
        let mut events = decided?;
        if is_faulty {
            self.rebase(&mut events.balances);
        }
        self.write_spend(request.reservation_id, events);
        Ok(self.reservations.get(&request.reservation_id).cloned().unwrap_or_default())
    }

    /// The state of a period as a decision sees it that handles delegations wrongly.
    fn with_fault(&self, balance: Arc<BudgetBalance>) -> Arc<BudgetBalance> {
        let Some(mut sums) = balance.sums else { return balance };
        match self.fault {
            Some(Fault::TakesDelegated) => {
                let Delegated { charged, assumed, reserved, .. } = sums.delegated;
                sums.delegated.claimed = charged + assumed + reserved;
            }
            Some(Fault::ExceedsDelegation) if sums.part.is_some_and(|part| part.delegation_id.is_some()) => {
                if let Some(allotted) = &mut sums.allotted {
                    allotted.amount = allotted.amount + dollars(5);
                }
            }
            Some(_) | None => return balance,
        }
        Arc::new(BudgetBalance { sums: Some(sums) })
    }

    /// The sums of events that were decided on other states.
    fn rebase(&self, balances: &mut BalanceEvents) {
        for (id, events) in balances {
            let Some(mut sums) = self.balances.get(id).and_then(|balance| balance.sums) else { continue };
            events.retain(|event| event.moved().is_some());
            for event in events {
                if let BudgetBalanceEvent::Reserved(moved) = event {
                    sums.reserved = sums.reserved + moved.reserved;
                    moved.after = sums;
                }
            }
        }
    }

    pub(crate) fn extend(&mut self, id: u128, output: u64) -> Result<(), ReservationError> {
        self.commands += 1;
        let id = ReservationId(uuid(id));
        let command = Extend {
            reservation_id: id,
            usage: Some(usage([(Meter::Output, output * 1_000_000)])),
            expires_at: None,
            sent: true,
            by: Holder::Client,
            prices: self.prices.clone(),
            at: self.now,
        };
        let state = self.reservations.get(&id).cloned().unwrap_or_default();
        let Ok(decided) = extend(&state, &self.catalogue, &command, |id| self.balance(id));
        self.write_spend(id, decided?);
        Ok(())
    }

    pub(crate) fn release(&mut self, id: u128) -> Result<(), ReservationError> {
        self.commands += 1;
        let id = ReservationId(uuid(id));
        let state = self.reservations.get(&id).cloned().unwrap_or_default();
        let Ok(decided) = release(&state, id, Holder::Client, &self.catalogue, self.now, |id| self.balance(id));
        self.write_spend(id, decided?);
        Ok(())
    }

    /// Expires every reservation and every request for approval that is due.
    pub(crate) fn expire(&mut self) {
        self.expire_approvals();
        for (id, state) in self.reservations.clone() {
            self.commands += 1;
            let mut state = Reservation::clone(&state);
            if let (Some(Fault::FreesSent), Some(granted)) = (self.fault, &mut state.granted) {
                granted.sent = false;
            }
            let Ok(events) = expire(&state, id, &self.catalogue, self.now, |id| self.balance(id));
            self.write_spend(id, events);
        }
    }

    fn command(&self, facts: CallFacts) -> CallCommand {
        let (tag_keys, reported_by) = (TagKeys::default(), Reporters::default());
        CallCommand::Report { facts, prices: self.prices.clone(), tag_keys, reported_by }
    }

    fn named(&self, call_id: CallId) -> NamedCalls {
        let get = |id| Ok::<_, Infallible>(self.calls.get(&id).cloned().unwrap_or_default());
        let Ok(calls) = NamedCalls::resolve(&CallIds::from(call_id), get);
        calls.unwrap()
    }

    fn write_calls(&mut self, events: Vec<(CallId, crate::call::CallEvent)>) {
        for (id, event) in events {
            let call = self.calls.remove(&id).unwrap_or_default();
            self.calls.insert(id, Arc::new(Call::clone(&call).evolve(&event)));
            self.write(id.0, Event::Call(event));
        }
    }

    /// Reports a call that settles no reservation.
    pub(crate) fn report(&mut self, call: u128, facts: CallFacts) {
        self.commands += 1;
        let call_id = CallId(uuid(call));
        let events = self.named(call_id).decide(self.command(facts)).unwrap();
        self.write_calls(events);
    }

    /// Corrects the usage of a call.
    pub(crate) fn correct(&mut self, call: u128, facts: CallFacts) {
        self.commands += 1;
        let (at, tag_keys, prices) = (self.now, TagKeys::default(), self.prices.clone());
        let fields = [crate::call::Field::Usage, crate::call::Field::AgentId].into();
        let reason = crate::testing::body("wrong");
        let command = CallCommand::Correct { fields, values: facts, reason, at, prices, tag_keys };
        if let Ok(events) = self.named(CallId(uuid(call))).decide(command) {
            self.write_calls(events);
        }
    }

    /// Sets a price of the model that has none, and charges a call again.
    pub(crate) fn reprice(&mut self, call: u128) {
        self.commands += 1;
        self.prices = with_price(std::mem::take(&mut self.prices), UNPRICED);
        let command = CallCommand::Reprice { reason: None, at: self.now, prices: self.prices.clone() };
        if let Ok(events) = self.named(CallId(uuid(call))).decide(command) {
            self.write_calls(events);
        }
    }

    /// Reports a call that settles a reservation.
    pub(crate) fn settle(&mut self, id: u128, call: u128, facts: CallFacts) -> Result<(), ReservationError> {
        self.commands += 1;
        let (id, call_id) = (ReservationId(uuid(id)), CallId(uuid(call)));
        let state = self.reservations.get(&id).cloned().unwrap_or_default();
        let was_settled = self.named(call_id).reservations().any(|settled| settled == id);
        if was_settled || !state.accepts(call_id, Holder::Client)? {
            self.report(call, facts);
            return Ok(());
        }
        if self.calls.get(&call_id).and_then(|call| call.charged.as_ref()?.reservation_id).is_some() {
            return Ok(());
        }
        let events = self.named(call_id).decide_settlement(self.command(facts), id)?;
        let event = events.iter().map(|(_, event)| event).find(|event| event.settles().is_some());
        let (reservations, catalogue) = (&self.reservations, &self.catalogue);
        let mut asked_for = BTreeSet::new();
        let get = |id| {
            asked_for.insert(id);
            self.balance(id)
        };
        let Ok(settled) = settle((id, &state), (call_id, event), reservations, catalogue, self.now, get);
        assert!(asked_for.len() <= MAX_SETTLEMENT_PERIODS, "{} periods", asked_for.len());
        let Settlement { mut spend, in_part } = settled;
        self.settled_in_part |= in_part;
        let of_settling = |event: CallEvent| if in_part && event.settles().is_some() { event.in_part() } else { event };
        let events = events.into_iter().map(|(id, event)| (id, of_settling(event))).collect();
        for event in spend.balances.iter_mut().flat_map(|(_, events)| events) {
            let BudgetBalanceEvent::Settled(moved) = event else { continue };
            if self.fault == Some(Fault::KeepsReserved) {
                moved.after.reserved = moved.after.reserved - moved.reserved;
                moved.reserved = Amount::ZERO;
            }
            if self.fault == Some(Fault::ForgetsUnpriced) && moved.assumed > Amount::ZERO {
                moved.after.assumed = moved.after.assumed - moved.assumed;
                moved.assumed = Amount::ZERO;
            }
        }
        self.write_calls(events);
        self.write_spend(id, spend);
        Ok(())
    }

    /// Runs the charging policy on some of the events that follow the position that it has reached.
    pub(crate) fn charge(&mut self, number: usize) {
        if self.fault == Some(Fault::ForgetsPosition) {
            self.charging = Charging::default();
        }
        loop {
            let batch = self.next_batch(number);
            if !self.charge_batch(&batch) {
                return;
            }
        }
    }

    /// The events that the charging policy reads next.
    pub(crate) fn next_batch(&self, number: usize) -> ChargeBatch {
        let read = self.charging.held_through.unwrap_or(self.charging.through);
        ChargeBatch { events: self.logged_after(read, number), ..self.batch() }
    }

    /// Runs the charging policy on a batch, which may have been read before others were charged. Returns whether events of it are
    /// left.
    pub(crate) fn charge_batch(&mut self, batch: &ChargeBatch) -> bool {
        self.write_charges(|charging, catalogue, get| charge(charging, catalogue, batch, get))
    }

    /// Puts off the events that are not charged, as if the catalogue could not be decoded.
    pub(crate) fn hold(&mut self) {
        let events = self.logged_after(self.charging.through, usize::MAX);
        let (Some(first), Some(last)) = (events.first(), events.last()) else { return };
        self.commands += 1;
        for event in hold(&self.charging, first.position(), last.position()) {
            self.write_charging(event);
        }
    }

    /// Charges the events that were put off, a number of them at a time, and those that are parked.
    pub(crate) fn catch_up(&mut self, number: usize) {
        while let Some(held) = self.charging.held_through {
            let mut events = self.logged_after(self.charging.through, number);
            events.retain(|event| event.position() <= held);
            let is_last = events.len() < number;
            let through = events.last().map(LoggedEvent::position).filter(|_| !is_last).unwrap_or(held);
            let batch = ChargeBatch { events, catches_up_through: Some(through), ..self.batch() };
            while self.charge_batch(&batch) {}
        }
        for parked in self.charging.parked.clone() {
            let batch = ChargeBatch { events: self.logged_after(parked.position - 1, 1), ..self.batch() };
            while self.write_charges(|charging, catalogue, get| charge_parked(charging, catalogue, &batch, get)) {}
        }
    }

    fn batch(&self) -> ChargeBatch {
        let (reservations, undecodable) = (self.reservations.clone(), self.undecodable.clone());
        ChargeBatch { reservations, undecodable, at: self.now, ..ChargeBatch::default() }
    }

    /// The events that the policy looks at.
    fn logged_after(&self, position: u64, number: usize) -> Vec<LoggedEvent> {
        let of_log = |audited: &AuditedEvent| match &audited.event {
            Event::Call(event) => {
                let mut event = event.clone();
                if let (Some(Fault::ChargesSettled), CallEvent::Recorded(recorded)) = (self.fault, &mut event) {
                    recorded.settles = None;
                }
                Some(LoggedEvent::Call { position: audited.position, event: Arc::new(event) })
            }
            Event::BudgetCatalogue(crate::budget_catalogue::BudgetCatalogueEvent::Set(set)) => {
                Some(LoggedEvent::BudgetSet { position: audited.position, budget_id: set.budget_id })
            }
            _ => None,
        };
        let later = self.log.iter().filter(|audited| audited.position > position);
        later.filter_map(of_log).take(number).collect()
    }

    /// Writes what a batch decides. Returns whether events of it are left.
    fn write_charges(
        &mut self,
        decide: impl FnOnce(
            &Charging,
            &BudgetCatalogue,
            &dyn Fn(Uuid) -> Result<Arc<BudgetBalance>, Infallible>,
        ) -> Result<ChargeEvents, Infallible>,
    ) -> bool {
        self.commands += 1;
        let Ok(decided) = decide(&self.charging, &self.catalogue, &|id| self.balance(id));
        for event in decided.charging {
            self.write_charging(event);
        }
        for event in decided.catalogue {
            self.catalogue = self.catalogue.clone().evolve(&event);
            self.write(BudgetCatalogue::id(), Event::BudgetCatalogue(event));
        }
        if self.fault != Some(Fault::LosesCharges) {
            self.write_balances(decided.balances);
        }
        decided.has_more
    }

    fn write_charging(&mut self, event: ChargingEvent) {
        self.charging = self.charging.clone().evolve(&event);
        self.write(Charging::id(), Event::Charging(event));
    }

    /// Counts what was charged before a budget was defined, once the policy has reached its definition.
    pub(crate) fn count(&mut self, id: u128) {
        self.commands += 1;
        let budget_id = BudgetId(uuid(id));
        let Some(entry) = self.catalogue.entry(budget_id) else { return };
        let Some(from) = entry.counting_from else { return };
        let mut opening = Opening::default();
        for audited in self.log.iter().filter(|audited| audited.position <= from) {
            if let Event::Call(event) = &audited.event
                && Opening::concerns(entry, event)
            {
                opening.add(budget_id, entry, event, |id| self.reservations.get(&id).map(|found| &**found));
            }
        }
        let Ok((catalogue, balances)) = counted(budget_id, &self.catalogue, &opening, self.now, |id| self.balance(id));
        for event in catalogue {
            self.catalogue = self.catalogue.clone().evolve(&event);
            self.write(BudgetCatalogue::id(), Event::BudgetCatalogue(event));
        }
        self.write_balances(balances);
    }

    /// The number of parts of a budget.
    pub(crate) fn parts(&self, id: u128) -> Parts {
        let terms = self.budgets.get(&BudgetId(uuid(id))).and_then(|budget| budget.terms.as_ref());
        terms.and_then(|terms| terms.control.as_ref()).map(|control| control.parts).unwrap_or_default()
    }

    /// The streams of the running period of a budget that have events.
    pub(crate) fn streams(&self, id: u128) -> Vec<crate::budget_balance::Sums> {
        let budget_id = BudgetId(uuid(id));
        let period = self.catalogue.entry(budget_id).unwrap().period_at(budget_id, self.now).unwrap();
        let streams = period.streams(self.parts(id)).filter_map(|id| self.balances.get(&id));
        streams.filter_map(|balance| balance.sums).collect()
    }

    /// The sums of the running period of a budget: charged, assumed, reserved and excess.
    pub(crate) fn sums(&self, id: u128) -> [String; 4] {
        let budget_id = BudgetId(uuid(id));
        let period = self.catalogue.entry(budget_id).unwrap().period_at(budget_id, self.now).unwrap();
        let sums = crate::budget_balance::Sums::of_parts(period.span, self.streams(id).into_iter().map(Some));
        [sums.charged, sums.assumed, sums.reserved, sums.excess].map(|amount| amount.to_string())
    }

    /// Reads the log by an audit: how many grants it saw, and what it found.
    pub(crate) fn audit(&self) -> (u64, Vec<Violation>) {
        let mut audit = SpendAudit::default();
        self.log.iter().for_each(|audited| audit.read(audited));
        audit.finish()
    }

    /// The refusal of a reservation: the reason, and what is left.
    #[track_caller]
    pub(crate) fn refused(&mut self, request: &Reserve) -> (crate::reservation::RefusalReason, Option<String>) {
        let state = self.reserve(request).unwrap();
        let refusal = state.refused.clone().expect("it was granted").refusal;
        (refusal.reason, refusal.left.map(|left| left.to_string()))
    }

    /// What follows the refusal of a reservation.
    #[track_caller]
    pub(crate) fn follow_up(&mut self, request: &Reserve) -> Option<FollowUp> {
        let state = self.reserve(request).unwrap();
        state.refused.clone().expect("it was granted").refusal.follow_up
    }

    /// Whether the last event of the log is a refusal, which is the only event of its append.
    pub(crate) fn ends_with_refusal(&self) -> bool {
        let mut last = self.log.iter().rev().map(|audited| (audited.command_id, &audited.event));
        let (command, event) = last.next().unwrap();
        matches!(event, Event::Reservation(ReservationEvent::Refused(_)))
            && last.next().is_none_or(|(other, _)| other != command)
    }
}
