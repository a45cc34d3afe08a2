//! Allocation rules at a server.

use super::super::meter_name;
use super::super::operations::{AllocationOperations, ShownRules};
use super::{OnServer, documents};
use chrono::{DateTime, Utc};
use commands::OutcomeKind;
use domain::allocation::{AllocationRule, AllocationRuleSet, AllocationRulesSet, CostCentre, RulesInForce, SharedCost};
use domain::{Body, CostCentreCode, Meter, Name};
use serde::Deserialize;
use serde_json::{Value, json};

/// A version of the rules as GraphQL has it. Rules and shared cost are read as the domain has them, see [`rule`].
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rules {
    version: u64,
    cost_centres: Vec<CostCentre>,
    rules: Vec<Value>,
    shared_cost: Value,
    effective_from: Option<DateTime<Utc>>,
    reason: Option<Body>,
    set_at: DateTime<Utc>,
    in_force: Vec<Period>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Period {
    version: u64,
    effective_from: Option<DateTime<Utc>>,
}

/// A map of GraphQL, which is a list of objects with these two fields.
fn map(list: &Value, key: &str, value: &str) -> Value {
    let entry = |entry: &Value| Some((entry.get(key)?.as_str()?.to_owned(), entry.get(value)?.clone()));
    Value::Object(list.as_array().into_iter().flatten().filter_map(entry).collect())
}

/// The name of a kind in events.
fn kind(object: &Value) -> String {
    object["kind"].as_str().unwrap_or_default().to_lowercase()
}

/// A rule as events have it.
fn rule(of: &Value) -> Value {
    match kind(of).as_str() {
        "match" => {
            let when = map(&of["when"], "dimension", "value");
            json!({ "kind": "match", "when": when, "cost_centre": of["costCentre"] })
        }
        "values" => {
            let cost_centres = map(&of["costCentres"], "value", "costCentre");
            json!({ "kind": "values", "dimension": of["dimension"], "cost_centres": cost_centres })
        }
        kind => json!({ "kind": kind, "dimension": of["dimension"] }),
    }
}

/// A way to share costs as events have it.
fn shared_cost(of: &Value) -> Value {
    match kind(of).as_str() {
        "by_weights" => json!({ "kind": "by_weights", "weights": map(&of["weights"], "costCentre", "weight") }),
        "by_meter" => {
            let meter = Meter::ALL.iter().find(|meter| of["meter"].as_str() == Some(&meter_name(**meter)));
            json!({ "kind": "by_meter", "meter": meter })
        }
        "to" => json!({ "kind": "to", "cost_centre": of["costCentre"] }),
        kind => json!({ "kind": kind }),
    }
}

/// The rule as the input of GraphQL has it.
fn rule_input(rule: &AllocationRule) -> Value {
    match rule {
        AllocationRule::Match { when, cost_centre } => {
            let when: Vec<_> =
                when.iter().map(|(of, value)| json!({ "dimension": of.to_string(), "value": value })).collect();
            json!({ "match": { "when": when, "costCentre": cost_centre } })
        }
        AllocationRule::Values { dimension, cost_centres } => {
            let entry = |(value, code): (&Name, &CostCentreCode)| json!({ "value": value, "costCentre": code });
            let cost_centres: Vec<_> = cost_centres.iter().map(entry).collect();
            json!({ "values": { "dimension": dimension.to_string(), "costCentres": cost_centres } })
        }
        AllocationRule::Codes { dimension } => json!({ "codes": { "dimension": dimension.to_string() } }),
    }
}

/// The way to share costs as the input of GraphQL has it.
fn shared_cost_input(by: &SharedCost) -> Value {
    match by {
        SharedCost::InEqualParts => json!({ "inEqualParts": true }),
        SharedCost::ByWeights { weights } => {
            let weight = |(code, weight): (&CostCentreCode, &u32)| json!({ "costCentre": code, "weight": weight });
            json!({ "byWeights": weights.iter().map(weight).collect::<Vec<_>>() })
        }
        SharedCost::ByDirectCost => json!({ "byDirectCost": true }),
        SharedCost::ByMeter { meter } => json!({ "byMeter": meter_name(*meter) }),
        SharedCost::To { cost_centre } => json!({ "to": cost_centre }),
    }
}

impl AllocationOperations for OnServer {
    async fn allocation_rules(&self, version: Option<u64>) -> anyhow::Result<Option<ShownRules>> {
        let variables = json!({ "version": version });
        let found: Option<Rules> = self.client.get(documents::ALLOCATION_RULES, variables, "/allocationRules").await?;
        let Some(found) = found else { return Ok(None) };
        let rules = AllocationRuleSet {
            cost_centres: found.cost_centres,
            rules: found.rules.iter().map(|of| serde_json::from_value(rule(of))).collect::<Result<_, _>>()?,
            shared_cost: serde_json::from_value(shared_cost(&found.shared_cost))?,
        };
        let Rules { version, effective_from, reason, set_at: at, in_force, .. } = found;
        let period = |Period { version, effective_from }| RulesInForce { version, effective_from };
        let in_force = in_force.into_iter().map(period).collect();
        Ok(Some(ShownRules { version, set: AllocationRulesSet { rules, effective_from, reason, at }, in_force }))
    }

    async fn set_allocation_rules(
        &self,
        rules: AllocationRuleSet,
        effective_from: Option<DateTime<Utc>>,
        reason: Option<Body>,
    ) -> anyhow::Result<OutcomeKind> {
        let input = json!({
            "costCentres": rules.cost_centres,
            "rules": rules.rules.iter().map(rule_input).collect::<Vec<_>>(),
            "sharedCost": shared_cost_input(&rules.shared_cost),
            "effectiveFrom": effective_from,
            "reason": reason,
        });
        self.done(documents::SET_ALLOCATION_RULES, input, "/setAllocationRules").await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_has_the_name_of_the_schema_and_is_read_back() {
        let schema = api::schema_sdl();
        let (_, names) = schema.split_once("\nenum Meter {").unwrap();
        let (names, _) = names.split_once("\n}").unwrap();
        for meter in Meter::ALL {
            let name = &shared_cost_input(&SharedCost::ByMeter { meter: *meter })["byMeter"];
            assert!(names.lines().any(|line| Some(line.trim()) == name.as_str()), "{name} is not in {names}");
            let read = shared_cost(&json!({ "kind": "BY_METER", "meter": name }));
            assert_eq!(serde_json::from_value::<SharedCost>(read).unwrap(), SharedCost::ByMeter { meter: *meter });
        }
    }
}
