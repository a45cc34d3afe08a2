//! The values by which requests name the objects of a tenant.

use super::canaries::Canaries;
use domain::permissions::ResourceKind;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The id of an object.
#[derive(Debug, Clone)]
pub(super) struct Id {
    pub(super) global: String,
    pub(super) uuid: String,
}

/// What is known of a tenant.
pub(super) struct World {
    pub(super) tenant: String,
    /// Text that is a part of every text of the tenant.
    pub(super) mark: String,
    pub(super) ids: BTreeMap<&'static str, Id>,
    /// The id of a stream of each category.
    pub(super) streams: BTreeMap<String, String>,
    /// The cursor of the first object of each list.
    pub(super) cursors: BTreeMap<String, String>,
    /// The last position with an event of the tenant.
    pub(super) position: String,
    /// The position of an event that a read model could not apply.
    pub(super) parked: String,
    /// The id of a trace whose spans are kept.
    pub(super) trace: String,
    /// The id of a command that the tenant executed.
    pub(super) command: Uuid,
    pub(super) canaries: Canaries,
}

/// How large the numbers of a tenant are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) tokens: u64,
    pub(super) latency_ms: u64,
    pub(super) reported_cost: &'static str,
    pub(super) limit: &'static str,
    /// The beginnings of these numbers, and of sums in which they are.
    pub(super) beginnings: &'static [&'static str],
}

/// The numbers of a tenant that is not to be seen: sums with some small numbers begin as they do.
pub(super) const STRIKING: Size = Size {
    tokens: 7_317_171_900_017,
    latency_ms: 1_371_173_100,
    reported_cost: "83838477.25",
    limit: "6193993.75",
    // Of tokens, latency, charged cost, reported cost and limit.
    beginnings: &["7317171900", "137117310", "7317171.90", "83838477.", "6193993.75"],
};
/// The numbers of the tenant that sends the requests.
pub(super) const SMALL: Size =
    Size { tokens: 1, latency_ms: 1, reported_cost: "0.01", limit: "0.000001", beginnings: &[] };

/// The permission to read aggregates of a category.
///
/// # Panics
/// If there is no such category.
pub(super) fn reading(category: &str) -> String {
    let kind = ResourceKind::of_category(category).unwrap_or_else(|| panic!("{category} is no category"));
    format!("read:{}", kind.key())
}

impl World {
    pub(super) fn new(tenant: &str, mark: String) -> Self {
        Self {
            tenant: tenant.to_owned(),
            mark,
            ids: BTreeMap::new(),
            streams: BTreeMap::new(),
            cursors: BTreeMap::new(),
            position: String::new(),
            parked: String::new(),
            trace: Uuid::new_v4().simple().to_string(),
            command: Uuid::now_v7(),
            canaries: Canaries::default(),
        }
    }

    pub(super) fn id(&self, kind: &str) -> Id {
        self.ids.get(kind).unwrap_or_else(|| panic!("no {kind} was created in {}", self.tenant)).clone()
    }

    /// The value of an argument that is a UUID.
    pub(super) fn uuid(&self, name: &str) -> String {
        match name {
            // The command that registered the agent is an import of its own.
            "commandId" | "importId" => self.command.to_string(),
            // Nothing is delegated.
            "uuid" | "reservation" | "delegation" => self.id("Reservation").uuid,
            "approvalId" => self.id("Approval").uuid,
            "uuids" => self.id("Origin").uuid,
            "userId" => self.id("User").uuid,
            "endpointId" => self.id("AlertEndpoint").uuid,
            "budgetIds" => self.id("Budget").uuid,
            "balanceId" => self.streams.get("budget_balance").cloned().unwrap_or_default(),
            // Nothing is a dead letter.
            "deliveryId" => self.id("AlertEndpoint").uuid,
            // The hash of the lines of an invoice.
            "content" => self.id("Invoice").uuid,
            _ => panic!("no UUID for {name}: add it to tests/system/isolation/world.rs"),
        }
    }

    pub(super) fn number(&self, name: &str) -> u64 {
        match name {
            "first" | "last" => 20,
            "intervalMs" => 100,
            _ => 1,
        }
    }

    pub(super) fn time(&self, name: &str) -> &'static str {
        match name {
            "from" | "effectiveFrom" => "2000-01-01T00:00:00Z",
            _ => "2100-01-01T00:00:00Z",
        }
    }

    /// A text that finds objects of the tenant.
    ///
    /// # Panics
    /// If it is not known what a text of a query is. Commands have any text.
    pub(super) fn text(&self, name: &str, owner: &str, is_thorough: bool) -> String {
        match name {
            "before" => self.position.clone(),
            // The cursor of the code `0`, which is before all others.
            "after" if owner == "costStatements" => "MA".to_owned(),
            "after" if owner == "invoiceVariances" => "0".to_owned(),
            // Of an allocation rule.
            "dimension" => "team".to_owned(),
            "costCentre" => format!("{}-centrecode", self.mark),
            "after" => {
                // Calls are charged again in the order of their list.
                let list = if owner == "repricing" { "calls" } else { owner };
                self.cursors.get(list).cloned().unwrap_or_else(|| self.position.clone())
            }
            "category" => "agent".to_owned(),
            "types" => "agent.registered".to_owned(),
            "projection" => "tasks".to_owned(),
            "name" if owner.ends_with("Projection") || owner.ends_with("ProjectionVersion") => "tasks".to_owned(),
            "permissions" | "only" => "read:agents".to_owned(),
            "email" => format!("{}-user@example.org", self.mark),
            "tenantId" => self.tenant.clone(),
            "id" if owner == "trace" => self.trace.clone(),
            "traceId" => self.trace.clone(),
            "timeZone" => "Europe/Berlin".to_owned(),
            // Of a schedule.
            "time" => "06:30".to_owned(),
            // Of an endpoint for alerts. Nothing listens there.
            "url" => "http://127.0.0.1:1/hook".to_owned(),
            "routingKey" => format!("{}-routingkey", self.mark),
            "file" => "{period}.csv".to_owned(),
            "focusVersion" => "1.4".to_owned(),
            "day" => "2023-11-14".to_owned(),
            "tagKey" | "key" => format!("{}-tagkey", self.mark),
            "tag" | "search" | "provider" | "model" | "tool" | "conversation" => format!("{}-{name}", self.mark),
            // It depends on the dimension, see `complete_filter`.
            "value" if owner == "UsageFilter" => String::new(),
            _ if is_thorough => panic!("what is {name} of {owner}? say so in tests/system/isolation/world.rs"),
            _ => "text".to_owned(),
        }
    }

    /// The values of optional fields without which an input is refused.
    pub(super) fn base(&self, input: &str) -> Value {
        match input {
            "ReportCallInput" => json!({ "model": "gpt-4o", "usage": { "input": 1 }, "source": "test" }),
            "AlertAddressInput" => json!({ "url": "http://127.0.0.1:1/hook" }),
            "CallCorrection" => json!({ "latencyMs": 1 }),
            _ => json!({}),
        }
    }

    /// Gives a condition of a report the value that calls of the tenant have.
    pub(super) fn complete_filter(&self, input: &str, condition: &mut Value) {
        if input != "UsageFilter" {
            return;
        }
        let marked = |name: &str| format!("{}-{name}", self.mark);
        condition["value"] = match condition["dimension"].as_str().unwrap() {
            "AGENT" => json!(self.id("Agent").uuid),
            "TASK" => json!(self.id("Task").uuid),
            "DAG" => json!(self.id("Dag").uuid),
            "OUTCOME" => json!("ok"),
            "TAG" => json!(marked("tagvalue")),
            "QUARTER_HOUR" => json!("2023-11-14T22:00Z"),
            "HOUR" => json!("2023-11-14T22:00Z"),
            "DAY" => json!("2023-11-14"),
            "MINUTE" => json!("2023-11-14T22:13Z"),
            "WEEK" => json!("2023-W46"),
            "MONTH" => json!("2023-11"),
            "QUARTER" => json!("2023-Q4"),
            "YEAR" => json!("2023"),
            other => json!(marked(&other.to_lowercase().replace('_', ""))),
        };
    }
}
