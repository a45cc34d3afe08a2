//! What follows when a budget refuses a call that does not fit, by the policy of the budget.

use super::error::ReservationError;
use super::estimate::Bound;
use super::event::{FollowUp, Refusal, RefusalReason};
use super::fitting::{Applying, AskedCall, Fit};
use crate::approval::ApprovalRequested;
use crate::budget::{Attributes, BudgetDimension, MAX_DEGRADED_MODELS, OnRefusal};
use crate::budget_balance::Ledger;
use crate::ids::{AgentId, ApprovalId, ReservationId};
use crate::money::Money;
use crate::price_book::PricingContext;
use crate::provider::provider_name;
use crate::text::Name;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeSet;

/// The most models of a provider whose prices are compared, by name.
const MAX_COMPARED_MODELS: usize = 512;

/// A call that a budget refused.
pub(super) struct RefusedCall<'a> {
    pub(super) reservation_id: ReservationId,
    pub(super) asked: AskedCall<'a>,
    /// What all of it may use.
    pub(super) bound: Bound,
    /// The agent that it is attributed to.
    pub(super) agent: Option<AgentId>,
    /// A cheaper model that is known beside the policy of the budget.
    pub(super) cheaper: Option<&'a Name>,
}

impl RefusedCall<'_> {
    /// The refusal with what follows, and the request for approval that it opens. Nothing follows if the call would fit at another
    /// time or with other values: only one that does not fit is degraded, asked for or stopped.
    pub(super) fn followed_up(
        &self,
        refusal: Refusal,
        applying: &[Applying<'_>],
        ledger: &Ledger<'_>,
    ) -> Result<(Refusal, Option<ApprovalRequested>), ReservationError> {
        let of_budget = |applying: &&Applying<'_>| applying.period.budget_id == refusal.budget_id;
        let (RefusalReason::Exceeded, Some(by)) = (&refusal.reason, applying.iter().find(of_budget)) else {
            return Ok((refusal, None));
        };
        let mut requested = None;
        let follow_up = match &by.entry.on_refusal {
            OnRefusal::Refuse => self.degraded(self.cheaper.into_iter().cloned(), by, applying, ledger)?,
            OnRefusal::Degrade { models } if models.is_empty() => {
                self.degraded(self.cheapest().into_iter(), by, applying, ledger)?
            }
            OnRefusal::Degrade { models } => self.degraded(models.iter().cloned(), by, applying, ledger)?,
            OnRefusal::AskForApproval { minutes } => {
                requested = self.request(by, *minutes);
                requested.as_ref().map(|request| FollowUp::Approval {
                    approval_id: ApprovalId::of(self.reservation_id),
                    expires_at: request.expires_at,
                })
            }
            OnRefusal::PauseAgent => self.agent.map(|agent_id| FollowUp::PauseAgent { agent_id }),
        };
        Ok((Refusal { follow_up, ..refusal }, requested))
    }

    /// The first of some models, a call of which would fit into all budgets that apply to this one, as far as they count it. Nothing is
    /// reserved for it, and a budget of that model alone may refuse it.
    fn degraded(
        &self,
        models: impl Iterator<Item = Name>,
        by: &Applying<'_>,
        applying: &[Applying<'_>],
        ledger: &Ledger<'_>,
    ) -> Result<Option<FollowUp>, ReservationError> {
        if !self.asked.attributes.contains_key(&BudgetDimension::Model) {
            return Ok(None);
        }
        for model in models {
            let attributes = self.with_model(&model);
            let counting: Vec<_> =
                applying.iter().copied().filter(|applying| applying.entry.selects(&attributes)).collect();
            let asked = self.asked.with(&attributes);
            if let Fit::All(bound) | Fit::Part(bound) = asked.fit(asked.bound()?, &counting, ledger)? {
                let is_counted = by.entry.selects(&attributes);
                let amount = bound.amount(by.entry.measure).filter(|_| is_counted).unwrap_or_default();
                return Ok(Some(FollowUp::Degrade { model, amount }));
            }
        }
        Ok(None)
    }

    fn with_model(&self, model: &Name) -> Attributes {
        let mut attributes = self.asked.attributes.clone();
        attributes.insert(BudgetDimension::Model, model.clone());
        attributes
    }

    /// The models of the provider whose price has a rate for all that is asked for, and whose call costs less than this one: the
    /// cheapest first, and of some that cost the same by name.
    fn cheapest(&self) -> Vec<Name> {
        let attributes = self.asked.attributes;
        let (Some(cost), Some(provider)) = (self.bound.cost, attributes.get(&BudgetDimension::Provider)) else {
            return Vec::new();
        };
        let common = provider_name(provider.as_str());
        let quotes = self.asked.prices.quotes(None).map(|quote| &quote.price);
        let of_provider = quotes.filter(|price| price.provider == *provider || *price.provider.as_str() == *common);
        let models: BTreeSet<&Name> = of_provider.map(|price| &price.model).collect();
        let mut costs: Vec<(Money, &Name)> = models
            .into_iter()
            .take(MAX_COMPARED_MODELS)
            .filter(|model| self.is_priced(provider, model))
            .filter_map(|model| Some((self.asked.with(&self.with_model(model)).bound().ok()?.cost?, model)))
            .filter(|(other, _)| *other < cost)
            .collect();
        costs.sort_unstable();
        costs.into_iter().take(MAX_DEGRADED_MODELS).map(|(_, model)| model.clone()).collect()
    }

    /// Whether the price of a model has a rate for all that is asked for: one that embeds or listens has none for output.
    fn is_priced(&self, provider: &Name, model: &Name) -> bool {
        let AskedCall { estimate, prices, at, .. } = self.asked;
        let context = PricingContext {
            provider: Some(provider),
            model,
            usage: &estimate.usage,
            started_at: at,
            service_tier: estimate.service_tier.as_ref(),
            speed: estimate.speed.as_ref(),
            region: estimate.region.as_ref(),
        };
        prices.charge(&context, None).is_ok_and(|charge| charge.unbilled.is_empty())
    }

    /// The request for approval; none of a call that uses nothing: a limit that is exceeded is not raised by nothing. None either of one
    /// within a delegation, which a raised limit leaves as it is.
    fn request(&self, by: &Applying<'_>, minutes: u32) -> Option<ApprovalRequested> {
        if by.period.part.is_some_and(|part| part.delegation_id.is_some()) {
            return None;
        }
        let amount = self.bound.amount(by.entry.measure).filter(|amount| !amount.is_zero())?;
        let (at, period_ends_at) = (self.asked.at, by.period.span.ends_at);
        let deadline = at.checked_add_signed(TimeDelta::minutes(minutes.into()));
        Some(ApprovalRequested {
            reservation_id: self.reservation_id,
            budget_id: by.period.budget_id,
            amount,
            period_ends_at,
            agent_id: self.agent,
            model: self.asked.attributes.get(&BudgetDimension::Model).cloned(),
            expires_at: deadline.map_or(period_ends_at, |deadline: DateTime<Utc>| deadline.min(period_ends_at)),
            at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::approval::{ApprovalAnswer, ApprovalRejection};
    use crate::approval_queue::MAX_PENDING_APPROVALS;
    use crate::assignment::BudgetRejection;
    use crate::budget::Enforcement::{Hard, Shadow, Soft};
    use crate::budget::OnUnreachable::{Closed, Open};
    use crate::budget::{BudgetCommand, BudgetError, BudgetScope, PeriodUnit};
    use crate::reservation::{ReservationStatus, Reserve};
    use crate::spend_audit::tests::world::{World, agent, dollars, terms};
    use crate::testing::{name, uuid};

    /// A hard budget of ten dollars a day, and of all calls.
    fn world(on_refusal: OnRefusal) -> World {
        let mut world = World::new(None);
        let mut terms = terms(Hard, 10, None);
        terms.control.as_mut().unwrap().on_refusal = on_refusal;
        world.open(1, terms);
        world
    }

    fn degrade(model: &str, amount: u64) -> Option<FollowUp> {
        Some(FollowUp::Degrade { model: name(model), amount: dollars(amount) })
    }

    #[test]
    fn the_first_model_that_fits_is_named_with_what_it_may_cost() {
        let models = ["unknown", "half", "third"].map(name).to_vec();
        let mut world = world(OnRefusal::Degrade { models });
        world.price("half", 50);
        world.price("third", 33);
        // Of 18 million tokens, half the price fits; of 30 million only a third of it.
        assert_eq!(world.follow_up(&world.request(11, agent(1), 18)), degrade("half", 9));
        let request = world.request(12, agent(1), 30);
        let third = FollowUp::Degrade { model: name("third"), amount: "9.9".parse().unwrap() };
        assert_eq!(world.follow_up(&request), Some(third));
        assert_eq!(world.follow_up(&world.request(13, agent(1), 40)), None);
        // Less output of the first one precedes all of a later one.
        let mut part = world.request(14, agent(1), 30);
        part.estimate.min_output = Some(19_000_000);
        assert_eq!(world.follow_up(&part), degrade("half", 10));
        assert!(world.ends_with_refusal(), "nothing is reserved");
        assert_eq!(world.audit().1, []);
    }

    #[test]
    fn without_a_list_the_cheapest_model_of_the_provider_that_has_a_rate_for_all_is_named() {
        let mut world = world(OnRefusal::Degrade { models: Vec::new() });
        world.price("half", 50);
        world.price("third", 33);
        world.price_of_input("embedding", 1);
        world.price("costly", 200);
        let third = FollowUp::Degrade { model: name("third"), amount: "6.6".parse().unwrap() };
        assert_eq!(world.follow_up(&world.request(11, agent(1), 20)), Some(third));
        let mut request = world.request(12, agent(1), 20);
        request.declared.insert(BudgetDimension::Provider, name("other"));
        let refused = world.reserve(&request).unwrap().refused.clone().unwrap().refusal;
        assert_eq!((refused.reason, refused.follow_up), (RefusalReason::Unpriced, None));
    }

    #[test]
    fn a_model_that_another_budget_has_no_room_for_is_not_named() {
        let mut world = World::new(None);
        let mut monthly = terms(Hard, 10, None);
        let control = monthly.control.as_mut().unwrap();
        control.on_refusal = OnRefusal::Degrade { models: vec![name("half"), name("third")] };
        control.period = PeriodUnit::Month;
        world.open(1, monthly);
        world.open(2, terms(Hard, 8, None));
        world.price("half", 50);
        world.price("third", 33);
        // Both refuse. Nine dollars fit into the one of the month, which renews last, and not into that of the day.
        let third = FollowUp::Degrade { model: name("third"), amount: "5.94".parse().unwrap() };
        assert_eq!(world.follow_up(&world.request(11, agent(1), 18)), Some(third));
    }

    #[test]
    fn a_budget_does_not_count_the_model_that_it_degrades_to() {
        let mut world = World::new(None);
        let mut of_model = terms(Hard, 1, None);
        of_model.scope = BudgetScope::Model { model: name("m") };
        of_model.control.as_mut().unwrap().on_refusal = OnRefusal::Degrade { models: vec![name("unpriced")] };
        world.open(1, of_model);
        assert_eq!(world.follow_up(&world.request(11, agent(1), 2)), degrade("unpriced", 0));
    }

    #[test]
    fn a_model_of_the_settings_is_named_by_a_budget_without_a_policy_only() {
        let mut plain = world(OnRefusal::Refuse);
        plain.price("half", 50);
        let request = Reserve { cheaper: Some(name("half")), ..plain.request(11, agent(1), 18) };
        assert_eq!(plain.follow_up(&request), degrade("half", 9));
        let mut pausing = world(OnRefusal::PauseAgent);
        pausing.price("half", 50);
        assert_eq!(pausing.follow_up(&request), Some(FollowUp::PauseAgent { agent_id: agent(1) }));
    }

    #[test]
    fn an_approval_raises_the_limit_by_what_was_asked_for_until_the_period_ends() {
        let mut world = world(OnRefusal::AskForApproval { minutes: 30 });
        world.reserve(&world.request(11, agent(1), 8)).unwrap();
        let expires_at = world.now + TimeDelta::minutes(30);
        let approval_id = ApprovalId::of(ReservationId(uuid(12)));
        let named = world.follow_up(&world.request(12, agent(1), 5));
        assert_eq!(named, Some(FollowUp::Approval { approval_id, expires_at }));
        assert_eq!(world.reserve(&world.request(13, agent(1), 5)).unwrap().status, Some(ReservationStatus::Refused));
        world.answer(12, ApprovalAnswer::Approve).unwrap();
        world.answer(12, ApprovalAnswer::Approve).unwrap();
        // Ten and five, of which eight are reserved.
        assert!(world.follow_up(&world.request(14, agent(1), 8)).is_some());
        let granted = world.reserve(&world.request(15, agent(1), 5)).unwrap();
        assert_eq!(granted.status, Some(ReservationStatus::Held));
        world.answer(13, ApprovalAnswer::Deny).unwrap();
        assert!(world.answer(13, ApprovalAnswer::Approve).is_err());
        // The next day has the limit of the terms.
        world.now += TimeDelta::days(1);
        assert_eq!(world.reserve(&world.request(16, agent(1), 11)).unwrap().status, Some(ReservationStatus::Refused));
        assert_eq!(world.audit().1, []);
    }

    #[test]
    fn a_request_of_a_period_waits_to_its_end_at_most_and_a_closed_budget_is_not_raised() {
        let mut world = world(OnRefusal::AskForApproval { minutes: 10_080 });
        let named = world.follow_up(&world.request(11, agent(1), 20));
        let midnight: DateTime<Utc> = "2024-05-06T00:00:00Z".parse().unwrap();
        assert!(matches!(named, Some(FollowUp::Approval { expires_at, .. }) if expires_at == midnight));
        let at = world.now;
        world.budget(1, BudgetCommand::Close { at }).unwrap();
        let closed = ApprovalRejection::Budget(BudgetRejection::Budget(BudgetError::Closed));
        assert_eq!(world.answer(11, ApprovalAnswer::Approve), Err(closed));
        assert_eq!(world.audit().1, []);
    }

    /// More than that many raises may be in force only if they end at the same time.
    #[test]
    fn approvals_of_a_period_are_one_raise() {
        let mut world = world(OnRefusal::AskForApproval { minutes: 30 });
        world.reserve(&world.request(11, agent(1), 10)).unwrap();
        for id in 20..40 {
            assert!(world.follow_up(&world.request(id, agent(1), 1)).is_some());
            world.answer(id, ApprovalAnswer::Approve).unwrap();
            world.reserve(&world.request(id + 100, agent(1), 1)).unwrap();
        }
        assert_eq!(world.sums(1), ["0", "0", "30", "0"]);
        assert_eq!(world.audit().1, []);
    }

    /// Further refusals ask nothing, until one of them is answered or its deadline has passed.
    #[test]
    fn as_many_requests_of_a_budget_wait_as_may() {
        let mut world = world(OnRefusal::AskForApproval { minutes: 30 });
        world.reserve(&world.request(11, agent(1), 10)).unwrap();
        let most = u128::try_from(MAX_PENDING_APPROVALS).unwrap();
        for id in 100..100 + most {
            assert!(world.follow_up(&world.request(id, agent(1), 5)).is_some());
        }
        assert_eq!(world.follow_up(&world.request(200, agent(1), 5)), None);
        assert!(world.ends_with_refusal(), "nothing else is written");
        world.answer(100, ApprovalAnswer::Deny).unwrap();
        assert!(world.follow_up(&world.request(201, agent(1), 5)).is_some());
        assert_eq!(world.follow_up(&world.request(202, agent(1), 5)), None);
        world.now += TimeDelta::minutes(30);
        assert!(world.follow_up(&world.request(203, agent(1), 5)).is_some());
        assert_eq!(world.audit().1, []);
    }

    #[test]
    fn a_call_of_no_agent_pauses_none() {
        let mut world = world(OnRefusal::PauseAgent);
        let mut request = world.request(11, agent(1), 20);
        request.declared.remove(&BudgetDimension::Agent);
        assert_eq!(world.follow_up(&request), None);
        assert_eq!(
            world.follow_up(&world.request(12, agent(3), 20)),
            Some(FollowUp::PauseAgent { agent_id: agent(3) })
        );
    }

    #[test]
    fn what_cannot_be_followed_up_is_rejected() {
        let check = |enforcement, on_refusal, on_unreachable| {
            let mut terms = terms(enforcement, 10, None);
            let control = terms.control.as_mut().unwrap();
            (control.on_refusal, control.on_unreachable) = (on_refusal, on_unreachable);
            let mut world = World::new(None);
            let at = world.now;
            let defined = world.budget(1, BudgetCommand::Define { terms, at });
            defined.map_err(|rejected| match rejected {
                BudgetRejection::Budget(error) => error,
                other => panic!("{other}"),
            })
        };
        let models = |number: usize| OnRefusal::Degrade { models: vec![name("m"); number] };
        let approval = |minutes| OnRefusal::AskForApproval { minutes };
        assert_eq!(check(Hard, models(8), Some(Closed)), Ok(()));
        assert_eq!(check(Soft, OnRefusal::Refuse, Some(Closed)), Ok(()));
        assert_eq!(check(Hard, models(9), None), Err(BudgetError::TooManyModels(9)));
        assert_eq!(check(Hard, approval(0), None), Err(BudgetError::ApprovalMinutes(0)));
        assert_eq!(check(Hard, approval(10_081), None), Err(BudgetError::ApprovalMinutes(10_081)));
        assert_eq!(check(Hard, OnRefusal::Refuse, Some(Open)), Err(BudgetError::HardAndOpen));
        assert_eq!(check(Shadow, OnRefusal::PauseAgent, None), Err(BudgetError::RefusesNothing));
    }
}
