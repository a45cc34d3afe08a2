//! What the rows of FOCUS are grouped by, and their sums.

use crate::export::call::{Call, Priced};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use domain::price_book::{Charge, ChargeLine, Percent, Rate};
use domain::{Meter, Name};
use std::num::NonZeroU64;
use std::sync::Arc;
use uuid::Uuid;

/// What a row is about. Rows are in this order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) attributes: Arc<Attributes>,
    pub(super) component: Component,
}

/// What calls have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Attributes {
    /// Who sells the model.
    pub(super) seller: Option<Name>,
    /// The provider that the calls name, which served them.
    pub(super) host: Option<Bytes>,
    /// The model that the calls name.
    pub(super) model: Option<Bytes>,
    /// The model whose price was applied.
    pub(super) priced_model: Option<Name>,
    pub(super) service_tier: Option<Bytes>,
    pub(super) speed: Option<Bytes>,
    pub(super) region: Option<Bytes>,
    pub(super) agent_id: Option<Uuid>,
    pub(super) agent_name: Option<Bytes>,
    pub(super) team: Option<Bytes>,
    pub(super) user: Option<Bytes>,
    pub(super) key: Option<Bytes>,
    /// JSON. The database stores equal tags as equal texts.
    pub(super) tags: Option<Bytes>,
}

impl Attributes {
    pub(super) fn of(call: &Call, charge: Option<&Charge>, priced: &Priced) -> Self {
        let (provider, model) = (priced.provider.as_ref(), priced.model.as_ref());
        let (seller, priced_model) = charge.map_or((provider, None), |charge| charge.priced_as(provider, model));
        Self {
            seller: seller.cloned(),
            host: own(&call.provider),
            model: own(&call.model),
            priced_model: priced_model.cloned(),
            service_tier: own(&call.service_tier),
            speed: own(&call.speed),
            region: own(&call.region),
            agent_id: call.agent_id,
            agent_name: own(&call.agent_name),
            team: own(&call.team),
            user: own(&call.user),
            key: own(&call.key),
            tags: own(&call.tags),
        }
    }

    /// The memory that they take, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let Self { host, model, service_tier, speed, region, agent_name, team, user, key, tags, .. } = self;
        let texts = [host, model, service_tier, speed, region, agent_name, team, user, key, tags];
        size_of::<Self>() + texts.into_iter().flatten().map(Bytes::len).sum::<usize>()
    }
}

/// A copy of a text, which would otherwise keep everything that was received with it in memory.
fn own(text: &Option<Bytes>) -> Option<Bytes> {
    text.as_ref().map(|text| Bytes::copy_from_slice(text))
}

/// The component of a price that a row is charged by; none if it is not known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Component(pub(super) Option<Applied>);

/// A component of a price that was applied.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Applied {
    pub(super) meter: Meter,
    pub(super) rate: Rate,
    pub(super) per: NonZeroU64,
    pub(super) conditions: String,
    pub(super) discount: Option<Percent>,
    pub(super) contract: bool,
    pub(super) effective_from: DateTime<Utc>,
}

impl Component {
    /// That of a charge that the price book does not give again.
    pub(super) const fn unknown() -> Self {
        Self(None)
    }

    pub(super) fn of(charge: &Charge, line: &ChargeLine) -> Self {
        let when = &line.component.when;
        Self(Some(Applied {
            meter: line.component.meter,
            rate: line.component.rate,
            per: line.component.per,
            conditions: if when.is_empty() { String::new() } else { when.to_string() },
            discount: line.discount_percent,
            contract: charge.contract,
            effective_from: charge.effective_from,
        }))
    }
}

/// The sums of a row.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    /// The calls that the component was charged for.
    pub(super) calls: i64,
    pub(super) units: u128,
    /// In units of 10^-12 US dollars, as the other cost.
    pub(super) cost: i128,
    /// The cost without discounts.
    pub(super) list_cost: i128,
}

impl Sums {
    /// Adds other sums; none if the result is too large.
    pub(super) fn add(&mut self, other: Self) -> Option<()> {
        *self = Self {
            calls: self.calls.checked_add(other.calls)?,
            units: self.units.checked_add(other.units)?,
            cost: self.cost.checked_add(other.cost)?,
            list_cost: self.list_cost.checked_add(other.list_cost)?,
        };
        Some(())
    }
}
