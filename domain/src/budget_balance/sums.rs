//! The sums of a period of a budget, and how its limit is shared.

use crate::budget::{Amount, Span, Threshold};
use crate::budget_catalogue::PartOf;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::{Add, Sub};

/// The sums of a period of a budget, in the unit of what the budget counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sums {
    /// From when to when the period is. It is never computed again.
    #[serde(flatten)]
    pub span: Span,
    /// What is added to the limit because it was left of the period before; absent until it is known, at the first decision
    /// within the period, and of budgets that carry nothing over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried: Option<Amount>,
    /// What calls are charged. It may be below zero for a moment, while a call that was amended is still to be charged.
    #[serde(default, skip_serializing_if = "Amount::is_zero")]
    pub charged: Amount,
    /// What expired reservations are charged in full whose calls were sent and are not settled, and those that calls without a price
    /// settled.
    #[serde(default, skip_serializing_if = "Amount::is_zero")]
    pub assumed: Amount,
    /// What is reserved for calls that are not settled.
    #[serde(default, skip_serializing_if = "Amount::is_zero")]
    pub reserved: Amount,
    /// By how much the sum of all three exceeded the limit after the event.
    #[serde(default, skip_serializing_if = "Amount::is_zero")]
    pub excess: Amount,
    /// How many reservations a shadow budget would have refused.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub would_refuse: u64,
    /// How many calls that settled a reservation have no price, and are charged what was reserved for them. It may be below zero for a
    /// moment, while an event of a call is still to be charged.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unpriced: i64,
    /// The highest threshold that was crossed and is not armed again; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alerted: Option<Alerted>,
    /// Which part of the period it is; absent of the stream of the period itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<PartOf>,
    /// What the other parts hold of the limit: of each what is charged and reserved in it, or what it was allotted if that is more. Only
    /// of the stream of the period itself.
    #[serde(default, skip_serializing_if = "Amount::is_zero")]
    pub handed: Amount,
    /// What is charged and reserved within delegations of the period, and what they may hold. Only of the stream of the period itself.
    #[serde(default, skip_serializing_if = "Delegated::is_none")]
    pub delegated: Delegated,
    /// What the part may hold without asking; absent if it may hold nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allotted: Option<Allotment>,
}

/// What delegations of a period hold together. It is not a part of the other sums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Delegated {
    /// What they may hold, or hold if that is more.
    pub claimed: Amount,
    /// What calls are charged.
    #[serde(default, skip_serializing_if = "Amount::is_zero")]
    pub charged: Amount,
    /// What expired reservations are charged in full, and those of calls without a price.
    #[serde(default, skip_serializing_if = "Amount::is_zero")]
    pub assumed: Amount,
    /// What is reserved.
    #[serde(default, skip_serializing_if = "Amount::is_zero")]
    pub reserved: Amount,
    /// How many calls that settled a reservation have no price.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unpriced: i64,
}

impl Delegated {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// What one delegation holds.
    pub(crate) fn by(of: &Sums) -> Self {
        let Sums { charged, assumed, reserved, unpriced, .. } = *of;
        Self { claimed: of.claimed(), charged, assumed, reserved, unpriced }
    }
}

impl Add for Delegated {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            claimed: self.claimed + other.claimed,
            charged: self.charged + other.charged,
            assumed: self.assumed + other.assumed,
            reserved: self.reserved + other.reserved,
            unpriced: self.unpriced + other.unpriced,
        }
    }
}

impl Sub for Delegated {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            claimed: self.claimed - other.claimed,
            charged: self.charged - other.charged,
            assumed: self.assumed - other.assumed,
            reserved: self.reserved - other.reserved,
            unpriced: self.unpriced - other.unpriced,
        }
    }
}

/// What of the limit a part may hold, charged and reserved, without the other parts being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Allotment {
    /// How much, with what the part holds already.
    pub amount: Amount,
    /// The terms under which it was allotted, by the number of their changes. Under others, the part grants nothing by it.
    pub revision: u64,
}

/// The highest threshold that was crossed, and all below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Alerted {
    /// The threshold, in percent of the limit.
    pub percent: Threshold,
    /// The limit under which it was crossed, or was still reached after a change.
    pub limit: Amount,
}

fn is_zero<N: Default + PartialEq>(number: &N) -> bool {
    *number == N::default()
}

impl Sums {
    /// Those of a period before its first event.
    #[must_use]
    pub fn new(span: Span) -> Self {
        let zero = Amount::ZERO;
        Self {
            span,
            carried: None,
            charged: zero,
            assumed: zero,
            reserved: zero,
            excess: zero,
            would_refuse: 0,
            unpriced: 0,
            alerted: None,
            part: None,
            handed: zero,
            delegated: Delegated::default(),
            allotted: None,
        }
    }

    /// The sums of a whole period, of those of its parts, the first of which is that of the period itself, with what is charged
    /// and reserved within delegations; none of those without events.
    #[must_use]
    pub fn of_parts(span: Span, parts: impl IntoIterator<Item = Option<Self>>) -> Self {
        let whole = Self::new(span);
        parts.into_iter().flatten().fold(whole, |whole, part| Self {
            carried: whole.carried.or(part.carried),
            charged: whole.charged + part.charged + part.delegated.charged,
            assumed: whole.assumed + part.assumed + part.delegated.assumed,
            reserved: whole.reserved + part.reserved + part.delegated.reserved,
            excess: whole.excess.max(part.excess),
            would_refuse: whole.would_refuse + part.would_refuse,
            unpriced: whole.unpriced + part.unpriced + part.delegated.unpriced,
            alerted: whole.alerted.or(part.alerted),
            ..whole
        })
    }

    /// What is charged and reserved together.
    #[must_use]
    pub fn used(&self) -> Amount {
        self.charged + self.assumed + self.reserved
    }

    /// What a part has of the limit: what it holds, or what it was allotted if that is more.
    #[must_use]
    pub fn claimed(&self) -> Amount {
        self.allotted.map_or(self.used(), |allotted| allotted.amount.max(self.used()))
    }

    /// What a part was allotted and does not use: others may take it.
    #[must_use]
    pub fn room(&self) -> Amount {
        self.claimed() - self.used()
    }

    /// What is charged, also for expired reservations: what thresholds are compared with. What is reserved may never be spent.
    #[must_use]
    pub fn spent(&self) -> Amount {
        self.charged + self.assumed
    }

    /// As [`Self::spent`], with what is charged within delegations.
    #[must_use]
    pub fn spent_with_delegations(&self) -> Amount {
        self.spent() + self.delegated.charged + self.delegated.assumed
    }
}

impl Alerted {
    /// The threshold, in percent of the limit.
    #[must_use]
    pub fn percent(self) -> u16 {
        self.percent.percent()
    }
}
