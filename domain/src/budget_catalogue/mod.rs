//! The budgets of a tenant that are decided on before calls are made.
//!
//! Which budgets apply to a call is decided from this stream, and never from a read model, which may lag. There is one catalogue
//! per tenant. It has of each budget what decisions need; why it is so is in the stream of the budget.

mod entry;
mod overlap;

pub use entry::{CatalogueEntry, PartOf, Period, Segment};

use crate::aggregate::Aggregate;
use crate::budget::{Attributes, MAX_APPLYING_BUDGETS, MAX_FURTHER_PARTS};
use crate::codec::events;
use crate::ids::{BudgetId, derived_id};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::convert::Infallible;
use thiserror::Error;
use uuid::Uuid;

/// The payload of `budget_catalogue.budget_set`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CatalogueBudgetSet {
    /// The budget.
    pub budget_id: BudgetId,
    /// What decisions need of it.
    #[serde(flatten)]
    pub entry: CatalogueEntry,
}

/// The payload of `budget_catalogue.budget_removed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CatalogueBudgetRemoved {
    /// The budget, which is closed.
    pub budget_id: BudgetId,
}

/// The payload of `budget_catalogue.counting_started` and `budget_catalogue.budget_counted`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CatalogueBudgetCounted {
    /// The budget.
    pub budget_id: BudgetId,
    /// The position of the event by which the budget entered the catalogue. Calls after it are charged one by one; those up to
    /// it are counted at once.
    pub through: u64,
}

events! {
    /// An event of the budgets of a tenant that are decided on before calls are made.
    pub enum BudgetCatalogueEvent {
        /// A budget was defined, or its terms were changed.
        "budget_catalogue.budget_set" v 1 => Set(CatalogueBudgetSet),
        /// A budget was closed.
        "budget_catalogue.budget_removed" v 1 => Removed(CatalogueBudgetRemoved),
        /// The charging policy has reached the position at which the budget was defined.
        "budget_catalogue.counting_started" v 1 => CountingStarted(CatalogueBudgetCounted),
        /// The periods of the budget have what was charged before it was defined. A hard budget grants from now on.
        "budget_catalogue.budget_counted" v 1 => Counted(CatalogueBudgetCounted),
    }
}

/// The catalogue has no commands of its own: it changes with budgets, and with what is charged to them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the catalogue of budgets takes no commands")]
pub struct BudgetCatalogueError;

/// The budgets of a tenant that are decided on before calls are made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BudgetCatalogue {
    entries: BTreeMap<BudgetId, CatalogueEntry>,
}

impl BudgetCatalogue {
    /// The id of the stream. It is the same for every tenant, as streams are separate by tenant.
    #[must_use]
    pub fn id() -> Uuid {
        derived_id(&["budget_catalogue"])
    }

    /// The budgets, ordered by id.
    pub fn entries(&self) -> impl Iterator<Item = (BudgetId, &CatalogueEntry)> + Clone {
        self.entries.iter().map(|(id, entry)| (*id, entry))
    }

    /// The number of budgets.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A budget; none if it is closed, or not decided on before calls are made.
    #[must_use]
    pub fn entry(&self, budget_id: BudgetId) -> Option<&CatalogueEntry> {
        self.entries.get(&budget_id)
    }

    /// Whether a call could exist to which a budget would apply, and so many others that a decision does not take all of them, each
    /// counted with its parts and delegations. Suspended budgets count calls too, and are among them.
    #[must_use]
    pub fn has_no_room_for(&self, budget_id: BudgetId, added: &CatalogueEntry) -> bool {
        let counted = |times: fn(usize) -> usize| -> Vec<_> {
            let others = self.entries().filter(|(other, _)| *other != budget_id);
            let of = |(_, entry): (_, &'_ CatalogueEntry)| times(entry.further_streams());
            others.flat_map(|(id, entry)| std::iter::repeat_n(&entry.conditions, of((id, entry)))).collect()
        };
        let (conditions, further) = (&added.conditions, added.further_streams());
        let all = counted(|further| 1 + further);
        let has_many_parts = || {
            // As many others may be as leave room for its own.
            let room = (MAX_FURTHER_PARTS + 1).checked_sub(further);
            room.is_none_or(|room| overlap::is_exceeded(conditions, &counted(|further| further), room))
        };
        overlap::is_exceeded(conditions, &all, MAX_APPLYING_BUDGETS - further) || further > 0 && has_many_parts()
    }

    /// The budgets that count calls with some values.
    pub fn applying<'a>(&'a self, attributes: &'a Attributes) -> impl Iterator<Item = (BudgetId, &'a CatalogueEntry)> {
        self.entries().filter(|(_, entry)| entry.selects(attributes))
    }
}

impl Aggregate for BudgetCatalogue {
    const CATEGORY: &'static str = "budget_catalogue";
    type Command = Infallible;
    type Event = BudgetCatalogueEvent;
    type Error = BudgetCatalogueError;

    fn decide(&self, command: Infallible) -> Result<Vec<BudgetCatalogueEvent>, BudgetCatalogueError> {
        match command {}
    }

    fn evolve(mut self, event: &BudgetCatalogueEvent) -> Self {
        match event {
            BudgetCatalogueEvent::Set(CatalogueBudgetSet { budget_id, entry }) => {
                let known = self.entries.get(budget_id);
                let (counting_from, counted_through) =
                    known.map_or((None, None), |known| (known.counting_from, known.counted_through));
                let revision = known.map_or(0, |known| known.revision + 1);
                let entry = CatalogueEntry { revision, counting_from, counted_through, ..entry.clone() };
                self.entries.insert(*budget_id, entry);
            }
            BudgetCatalogueEvent::Removed(CatalogueBudgetRemoved { budget_id }) => _ = self.entries.remove(budget_id),
            BudgetCatalogueEvent::CountingStarted(CatalogueBudgetCounted { budget_id, through }) => {
                if let Some(entry) = self.entries.get_mut(budget_id) {
                    entry.counting_from = Some(*through);
                }
            }
            BudgetCatalogueEvent::Counted(CatalogueBudgetCounted { budget_id, through }) => {
                if let Some(entry) = self.entries.get_mut(budget_id) {
                    entry.counted_through = Some(*through);
                }
            }
        }
        self
    }
}
