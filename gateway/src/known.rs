//! The catalogues of budgets as they were last seen, for the time in which Apex's database cannot be reached.

use domain::TenantId;
use domain::budget::Attributes;
use domain::budget_catalogue::BudgetCatalogue;
use domain::call::CallKind;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The most tenants whose catalogue is kept. Calls of others are refused while the database cannot be reached.
const MAX_TENANTS: usize = 10_000;
/// How long a catalogue may be used after it was seen. A hard budget that was defined since is not in it.
const MAX_AGE: Duration = Duration::from_secs(600);

/// The catalogues as they were last seen.
#[derive(Default)]
pub(crate) struct KnownCatalogues {
    seen: Mutex<HashMap<TenantId, (Instant, Arc<BudgetCatalogue>)>>,
}

impl KnownCatalogues {
    pub(crate) fn note(&self, tenant: &TenantId, catalogue: Arc<BudgetCatalogue>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < MAX_TENANTS || seen.contains_key(tenant) {
            seen.insert(tenant.clone(), (Instant::now(), catalogue));
        }
    }

    /// Whether it is known that no budget applies to a call to a model that is closed while Apex cannot be reached: no hard one, and no
    /// other that says so. `fixed` is what the credential says of it.
    pub(crate) fn has_no_closed_budget(&self, tenant: &TenantId, attributes: &Attributes, fixed: &Attributes) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = seen.get(tenant).filter(|(since, _)| since.elapsed() <= MAX_AGE);
        fresh.is_some_and(|(_, catalogue)| {
            !catalogue.entries().any(|(_, entry)| {
                let may_apply =
                    entry.selects(attributes) || entry.undeclared(attributes, CallKind::Llm, fixed).is_some();
                entry.is_closed_when_unreachable() && may_apply
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::budget_catalogue::BudgetCatalogueEvent;
    use domain::{Aggregate as _, Name};
    use serde_json::{Value, json};

    fn catalogue(enforcement: &str, conditions: &Value) -> Arc<BudgetCatalogue> {
        catalogue_with(enforcement, conditions, &json!({}))
    }

    fn catalogue_with(enforcement: &str, conditions: &Value, more: &Value) -> Arc<BudgetCatalogue> {
        let mut set = json!({
            "budget_id": "0190d5a2-7c3e-7a41-9b52-3f6d1c8e2a01", "enforcement": enforcement, "measure": "money",
            "conditions": conditions, "limit": "1", "since": "2026-01-01T00:00:00Z",
            "segments": [{ "unit": "month", "time_zone": "UTC", "anchor": "2024-01-01" }],
        });
        let more = more.as_object().unwrap().clone();
        set.as_object_mut().unwrap().extend(more);
        let set = BudgetCatalogueEvent::Set(serde_json::from_value(set).unwrap());
        Arc::new(BudgetCatalogue::default().evolve(&set))
    }

    #[test]
    fn only_a_catalogue_that_was_seen_says_that_no_hard_budget_applies() {
        let (known, tenant) = (KnownCatalogues::default(), TenantId::from_stored("one".to_owned()));
        let model = |name: &str| Attributes::from([("model".parse().unwrap(), Name::new(name).unwrap())]);
        let fixed = Attributes::from([("user".parse().unwrap(), Name::new("ada").unwrap())]);
        let may_pass = |attributes: &Attributes| known.has_no_closed_budget(&tenant, attributes, &fixed);
        assert!(!may_pass(&model("m")), "nothing is known");
        for (enforcement, conditions, passes) in [
            ("soft", json!({}), true),
            ("hard", json!({}), false),
            ("hard", json!({ "model": "other" }), true),
            ("hard", json!({ "model": "m" }), false),
            // A tag that the call does not state could be this one.
            ("hard", json!({ "tag:project": "x" }), false),
            ("hard", json!({ "team": "x" }), false),
            // It calls no tool, and a user who signed in uses no API key.
            ("hard", json!({ "tool": "x" }), true),
            ("hard", json!({ "key": "x" }), true),
        ] {
            known.note(&tenant, catalogue(enforcement, &conditions));
            assert_eq!(may_pass(&model("m")), passes, "{enforcement} {conditions}");
        }
        for (enforcement, on_unreachable, passes) in
            [("soft", "closed", false), ("shadow", "closed", false), ("soft", "open", true), ("hard", "closed", false)]
        {
            let more = json!({ "on_unreachable": on_unreachable });
            known.note(&tenant, catalogue_with(enforcement, &json!({}), &more));
            assert_eq!(may_pass(&model("m")), passes, "{enforcement} {on_unreachable}");
        }
    }
}
