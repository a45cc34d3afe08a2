//! Calls: one LLM or tool call, charged once, whoever reports it and however often.
//!
//! A call is logged on several records by real agents: a line a content block, a span a layer, a retry of the
//! exporter. Each record reports what it knows; the state is the join of all of them, so that order and
//! repetition do not matter to what is known. The price is that of the first record that had one. An amendment carries the facts before and after: a reader of the log subtracts the
//! one and adds the other, and needs no memory of the call.

use crate::codec::events;
use crate::price_book::{Charge, Quote};
use crate::{AgentId, Aggregate, Body, Money, MoneyError, Name, TaskId, Usage, UsageError, without_leap_second};
use chrono::{DateTime, Datelike, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallKind {
    /// A language model.
    Llm,
    /// A tool.
    Tool,
}

impl CallKind {
    /// The name used on every wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Llm => "llm",
            Self::Tool => "tool",
        }
    }
}

/// The longest latency accepted, in milliseconds: 30 days.
const MAX_LATENCY_MS: u64 = 30 * 24 * 3_600_000;

/// What is known of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CallFacts {
    /// Model or tool.
    pub kind: CallKind,
    /// Who called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    /// For which task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// Who answered, such as `openai`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Name>,
    /// The model that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Name>,
    /// The tool that was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<Name>,
    /// Tokens by kind.
    pub usage: Usage,
    /// When the call began. Its month is the one a budget counts it in.
    #[serde(deserialize_with = "crate::moment::deserialize")]
    pub started_at: DateTime<Utc>,
    /// How long it took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// The cost that the record itself gave: a fact of its own, never the charge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported_cost: Option<Money>,
    /// What went wrong, if the call failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Body>,
    /// Who reported it first, such as `claude-code`.
    pub source: Name,
}

impl CallFacts {
    /// Whether a report of this can be accepted at all.
    ///
    /// # Errors
    /// What [`Call`] would refuse it for, whatever its state.
    pub fn check(&self) -> Result<(), CallError> {
        self.usage.check()?;
        match self.kind {
            CallKind::Llm if self.model.is_none() => return Err(CallError::NoModel),
            CallKind::Tool if self.tool.is_none() => return Err(CallError::NoTool),
            CallKind::Llm | CallKind::Tool => {}
        }
        if !(1970..2200).contains(&self.started_at.year()) {
            return Err(CallError::StartOutOfRange(self.started_at));
        }
        match self.latency_ms {
            Some(ms) if ms > MAX_LATENCY_MS => Err(CallError::LatencyTooLong(ms)),
            _ => match self.reported_cost {
                Some(cost) if cost.is_negative() => Err(CallError::NegativeCost(cost)),
                _ => Ok(()),
            },
        }
    }

    /// What two records of one call say together: larger counts, the earlier start, and for the rest the first
    /// that says anything.
    fn join(&self, other: &Self) -> Self {
        Self {
            kind: self.kind,
            agent_id: self.agent_id.or(other.agent_id),
            task_id: self.task_id.or(other.task_id),
            provider: self.provider.clone().or_else(|| other.provider.clone()),
            model: self.model.clone().or_else(|| other.model.clone()),
            tool: self.tool.clone().or_else(|| other.tool.clone()),
            usage: self.usage.join(&other.usage),
            started_at: self.started_at.min(other.started_at),
            latency_ms: self.latency_ms.max(other.latency_ms),
            reported_cost: self.reported_cost.max(other.reported_cost),
            error: self.error.clone().or_else(|| other.error.clone()),
            source: self.source.clone(),
        }
    }
}

/// What may be asked of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum CallCommand {
    /// Take note of what one record says.
    Report {
        /// What it says.
        facts: CallFacts,
        /// The price of the model when the call began, if one is known.
        quote: Option<Quote>,
    },
}

/// A call with what it was charged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Charged {
    /// The facts.
    #[serde(flatten)]
    pub facts: CallFacts,
    /// The charge; none while no price is known, which is not the same as free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<Charge>,
}

impl Charged {
    /// The cost, if there is one.
    #[must_use]
    pub fn cost(&self) -> Option<Money> {
        self.charge.as_ref().map(|charge| charge.amount)
    }

    /// Whether it used tokens that no price is known for.
    #[must_use]
    pub fn is_unpriced(&self) -> bool {
        self.facts.kind == CallKind::Llm && self.charge.is_none()
    }
}

/// `call.amended`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CallAmended {
    /// What was known and charged until now.
    pub before: Charged,
    /// What is known and charged from now on.
    pub after: Charged,
}

events! {
    /// What may have happened to a call.
    pub enum CallEvent {
        /// It was reported for the first time.
        "call.recorded" v 1 => Recorded(Charged),
        /// A later record said more.
        "call.amended" v 1 => Amended(CallAmended),
    }
}

impl CallEvent {
    /// What this event takes away and what it adds: the difference it makes to any sum over calls.
    #[must_use]
    pub fn difference(&self) -> (Option<&Charged>, &Charged) {
        match self {
            Self::Recorded(charged) => (None, charged),
            Self::Amended(amended) => (Some(&amended.before), &amended.after),
        }
    }
}

/// Why a report of a call is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CallError {
    /// An LLM call without a model.
    #[error("an LLM call needs a model")]
    NoModel,
    /// A tool call without a tool.
    #[error("a tool call needs the name of its tool")]
    NoTool,
    /// A call cannot change what it is.
    #[error("the call is known as a call of another kind")]
    OtherKind,
    /// Before 1970 or after 2199: a clock that is wrong, or another unit.
    #[error("the call began at {0}, which is not between 1970 and 2199")]
    StartOutOfRange(DateTime<Utc>),
    /// Over 30 days.
    #[error("a latency of {0} ms is longer than 30 days")]
    LatencyTooLong(u64),
    /// A reported cost below zero.
    #[error("the reported cost {0} is negative")]
    NegativeCost(Money),
    /// Counts that contradict each other.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// The charge cannot be computed exactly.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// A call's state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// What is known and charged, once reported.
    pub charged: Option<Charged>,
}

impl Aggregate for Call {
    const CATEGORY: &'static str = "call";
    type Command = CallCommand;
    type Event = CallEvent;
    type Error = CallError;

    fn decide(&self, command: CallCommand) -> Result<Vec<CallEvent>, CallError> {
        let CallCommand::Report { facts, quote } = command;
        let facts = CallFacts { started_at: without_leap_second(facts.started_at), ..facts };
        facts.check()?;
        let Some(before) = &self.charged else {
            let charge = quote.map(|quote| quote.charge(&facts.usage)).transpose()?;
            return Ok(vec![CallEvent::Recorded(Charged { facts, charge })]);
        };
        if before.facts.kind != facts.kind {
            return Err(CallError::OtherKind);
        }
        let facts = before.facts.join(&facts);
        facts.check()?;
        // A price once applied stays with the call: a later change of the book never touches what was charged.
        let quote = before.charge.as_ref().map(|charge| charge.quote.clone()).or(quote);
        let charge = quote.map(|quote| quote.charge(&facts.usage)).transpose()?;
        let after = Charged { facts, charge };
        if after == *before {
            return Ok(Vec::new());
        }
        Ok(vec![CallEvent::Amended(CallAmended { before: before.clone(), after })])
    }

    fn evolve(self, event: &CallEvent) -> Self {
        let (_, after) = event.difference();
        Self { charged: Some(after.clone()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::price_book::{Price, Rates, rate};
    use crate::testing::{at, given, name, uuid};
    use crate::{Currency, EventCodec, Tokens};
    use proptest::prelude::*;

    fn usage(input: u64, output: u64) -> Usage {
        Usage { input: Tokens::new(input).unwrap(), output: Tokens::new(output).unwrap(), ..Usage::default() }
    }
    fn facts(input: u64, output: u64) -> CallFacts {
        CallFacts {
            kind: CallKind::Llm,
            agent_id: Some(AgentId(uuid(1))),
            task_id: None,
            provider: Some(name("openai")),
            model: Some(name("m")),
            tool: None,
            usage: usage(input, output),
            started_at: at(0),
            latency_ms: None,
            reported_cost: None,
            error: None,
            source: name("test"),
        }
    }
    fn quote(input: u32) -> Quote {
        Quote {
            price: Price {
                provider: name("openai"),
                model: name("m"),
                effective_from: at(-9),
                currency: Currency::Usd,
                rates: Rates {
                    input: rate(input.into()).unwrap(),
                    output: rate(4.into()).unwrap(),
                    cache_read: None,
                    cache_write: None,
                    reasoning: None,
                },
                tiers: vec![],
            },
            book_version: 7,
        }
    }
    fn report(facts: CallFacts, quote: Option<Quote>) -> CallCommand {
        CallCommand::Report { facts, quote }
    }
    fn charged(facts: CallFacts, quote: Option<Quote>) -> Charged {
        let charge = quote.map(|quote| quote.charge(&facts.usage).unwrap());
        Charged { facts, charge }
    }

    #[test]
    fn the_first_record_is_charged() {
        let call = given::<Call>([])
            .when(report(facts(3071, 59), Some(quote(3))))
            .then([CallEvent::Recorded(charged(facts(3071, 59), Some(quote(3))))]);
        assert_eq!(call.charged.unwrap().cost().unwrap().to_string(), "0.009449");
    }

    #[test]
    fn a_call_that_began_in_a_leap_second_belongs_to_the_month_that_it_ends() {
        let began = |text: &str| CallFacts { started_at: text.parse().unwrap(), ..facts(1, 1) };
        let recorded = CallEvent::Recorded(charged(began("2016-12-31T23:59:59.999999Z"), None));
        given::<Call>([]).when(report(began("2016-12-31T23:59:60Z"), None)).then([recorded.clone()]);
        let written = recorded.encode().unwrap().replace("23:59:59.999999Z", "23:59:60Z");
        assert!(written.contains("23:59:60Z"));
        assert_eq!(CallEvent::decode("call.recorded", 1, &written).unwrap(), recorded);
    }

    #[test]
    fn the_same_record_again_is_not_charged_again() {
        given::<Call>([CallEvent::Recorded(charged(facts(10, 3), Some(quote(3))))])
            .when(report(facts(10, 3), Some(quote(3))))
            .then([]);
    }

    #[test]
    fn a_record_that_says_less_changes_nothing() {
        given::<Call>([CallEvent::Recorded(charged(facts(10, 263), Some(quote(3))))])
            .when(report(facts(10, 3), Some(quote(3))))
            .then([]);
    }

    #[test]
    fn a_later_record_amends_at_the_price_first_applied() {
        let before = charged(facts(10, 3), Some(quote(3)));
        let after = charged(facts(10, 263), Some(quote(3)));
        given::<Call>([CallEvent::Recorded(before.clone())])
            .when(report(facts(10, 263), Some(quote(99))))
            .then([CallEvent::Amended(CallAmended { before, after })]);
    }

    #[test]
    fn without_a_price_there_is_no_cost() {
        let call =
            given::<Call>([]).when(report(facts(10, 3), None)).then([CallEvent::Recorded(charged(facts(10, 3), None))]);
        let charged = call.charged.unwrap();
        assert_eq!(charged.cost(), None);
        assert!(charged.is_unpriced());
    }

    #[test]
    fn a_call_without_a_price_is_charged_once_a_price_is_known() {
        given::<Call>([CallEvent::Recorded(charged(facts(10, 3), None))])
            .when(report(facts(10, 3), Some(quote(3))))
            .then([CallEvent::Amended(CallAmended {
                before: charged(facts(10, 3), None),
                after: charged(facts(10, 3), Some(quote(3))),
            })]);
    }

    #[test]
    fn nonsense_is_refused() {
        let refuse = |facts, error| given::<Call>([]).when(report(facts, None)).then_refused(error);
        refuse(CallFacts { model: None, ..facts(1, 1) }, CallError::NoModel);
        refuse(CallFacts { kind: CallKind::Tool, ..facts(1, 1) }, CallError::NoTool);
        refuse(CallFacts { latency_ms: Some(u64::MAX), ..facts(1, 1) }, CallError::LatencyTooLong(u64::MAX));
        let far = at(0).with_year(2300).unwrap();
        refuse(CallFacts { started_at: far, ..facts(1, 1) }, CallError::StartOutOfRange(far));
        let minus = Money::parse("-1").unwrap();
        refuse(CallFacts { reported_cost: Some(minus), ..facts(1, 1) }, CallError::NegativeCost(minus));
        let usage = Usage { reasoning: Tokens::new(2).unwrap(), ..usage(1, 1) };
        refuse(
            CallFacts { usage, ..facts(1, 1) },
            CallError::Usage(UsageError::ReasoningExceedsOutput { reasoning: 2, output: 1 }),
        );
    }

    #[test]
    fn a_call_keeps_its_kind() {
        let tool = CallFacts { kind: CallKind::Tool, tool: Some(name("grep")), ..facts(0, 0) };
        given::<Call>([CallEvent::Recorded(charged(facts(1, 1), None))])
            .when(report(tool, None))
            .then_refused(CallError::OtherKind);
    }

    proptest! {
        /// Records of one call give the same state in any order, with any repetition, and the differences of the
        /// events add up to it.
        #[test]
        fn order_and_repetition_do_not_matter(
            records in proptest::collection::vec((0_u64..1000, 0_u64..1000), 1..8),
            order in proptest::collection::vec(any::<prop::sample::Index>(), 0..16),
        ) {
            let fold = |records: &mut dyn Iterator<Item = (u64, u64)>| {
                let mut sum = Money::ZERO;
                let mut call = Call::default();
                for (input, output) in records {
                    for event in call.decide(report(facts(input, output), Some(quote(3)))).unwrap() {
                        let (before, after) = event.difference();
                        sum = sum.checked_add(after.cost().unwrap()).unwrap();
                        sum = sum.checked_sub(before.and_then(Charged::cost).unwrap_or(Money::ZERO)).unwrap();
                        call = call.evolve(&event);
                    }
                }
                (call, sum)
            };
            let (straight, sum) = fold(&mut records.iter().copied());
            let mut shuffled: Vec<_> = order.iter().map(|index| *index.get(&records)).collect();
            shuffled.extend(records.iter().rev());
            let (other, other_sum) = fold(&mut shuffled.into_iter());
            prop_assert_eq!(&straight, &other);
            prop_assert_eq!(sum, other_sum);
            prop_assert_eq!(Some(sum), straight.charged.unwrap().cost());
        }
    }
}
