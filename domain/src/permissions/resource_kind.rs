//! Kinds of resources: what the rows of the permission table are about.

/// A kind of resource. The categories of aggregates are divided among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResourceKind {
    /// Agents.
    Agents,
    /// Tasks.
    Tasks,
    /// Calls, with their usage and cost, and the traces that they are a part of.
    Calls,
    /// The price book.
    Prices,
    /// The tag keys by whose values usage is summed up.
    TagKeys,
    /// The rules by which costs are allocated to cost centres.
    Allocation,
    /// The invoices of providers, and how they differ from what was charged.
    Invoices,
    /// Schedules of reports, statements and exports, and their runs.
    Schedules,
    /// Endpoints to which alerts are sent, and deliveries.
    AlertEndpoints,
    /// Budgets and their periods.
    Budgets,
    /// What is charged to budgets, and reserved, and what is asked for beyond it: it changes with reservations and calls.
    Spending,
    /// Memories of agents.
    Memories,
    /// Who may do what in a tenant: users, invitations, service accounts, API keys, teams, custom roles and granted roles.
    Identities,
    /// Reports of usage and cost.
    Reports,
    /// The events of a tenant, whatever they are about, without their payloads.
    Events,
    /// The texts that agents work with: contents of memories, notes and outcomes of tasks, and the payloads of all events.
    Contents,
    /// Who used which credential, what was refused, and which texts were read.
    AccessLog,
    /// The tenants of an installation, and their rate limits.
    Tenants,
    /// The log, the read models, the jobs and the processes of an installation.
    Installation,
}

/// What a credential that is bound to an agent may read of a kind of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenBound {
    /// What belongs to the agent, or is shared with it.
    OwnObjects,
    /// All of it, because all agents share it.
    Everything,
    /// Nothing, because it is not known which of it belongs to the agent.
    Nothing,
}

impl ResourceKind {
    /// The kinds of which the data of a tenant consists.
    pub const OF_TENANT: [Self; 17] = [
        Self::Agents,
        Self::Tasks,
        Self::Calls,
        Self::Prices,
        Self::TagKeys,
        Self::Allocation,
        Self::Invoices,
        Self::Schedules,
        Self::AlertEndpoints,
        Self::Budgets,
        Self::Spending,
        Self::Memories,
        Self::Identities,
        Self::Reports,
        Self::Events,
        Self::Contents,
        Self::AccessLog,
    ];

    /// Whether there are aggregates of the kind, which commands change.
    #[must_use]
    pub const fn has_aggregates(self) -> bool {
        match self {
            Self::Agents
            | Self::Tasks
            | Self::Calls
            | Self::Prices
            | Self::TagKeys
            | Self::Allocation
            | Self::Invoices
            | Self::Schedules
            | Self::AlertEndpoints
            | Self::Budgets
            | Self::Spending
            | Self::Memories
            | Self::Identities
            | Self::AccessLog
            | Self::Tenants => true,
            Self::Reports | Self::Events | Self::Contents | Self::Installation => false,
        }
    }

    /// Whether a role on one agent is about the kind: the agent itself, what belongs to it, and the texts in that.
    #[must_use]
    pub const fn is_of_one_agent(self) -> bool {
        match self {
            Self::Agents | Self::Tasks | Self::Calls | Self::Memories | Self::Contents => true,
            Self::Prices
            | Self::TagKeys
            | Self::Allocation
            | Self::Invoices
            | Self::Schedules
            | Self::AlertEndpoints
            | Self::Budgets
            | Self::Spending
            | Self::Identities
            | Self::Reports
            | Self::Events
            | Self::AccessLog
            | Self::Tenants
            | Self::Installation => false,
        }
    }

    /// What a credential that is bound to an agent may read of the kind.
    #[must_use]
    pub const fn when_bound(self) -> WhenBound {
        match self {
            Self::Agents | Self::Tasks | Self::Calls | Self::Memories => WhenBound::OwnObjects,
            // Texts are read with the objects that they are stored in.
            Self::Prices | Self::TagKeys | Self::Budgets | Self::Spending | Self::Contents => WhenBound::Everything,
            Self::Allocation
            | Self::Invoices
            | Self::Schedules
            | Self::AlertEndpoints
            | Self::Identities
            | Self::Reports
            | Self::Events
            | Self::AccessLog
            | Self::Tenants
            | Self::Installation => WhenBound::Nothing,
        }
    }

    /// The second part of the name of a permission, as in `read:agents`.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Agents => "agents",
            Self::Tasks => "tasks",
            Self::Calls => "calls",
            Self::Prices => "prices",
            Self::TagKeys => "tag_keys",
            Self::Allocation => "allocation",
            Self::Invoices => "invoices",
            Self::Schedules => "schedules",
            Self::AlertEndpoints => "alert_endpoints",
            Self::Budgets => "budgets",
            Self::Spending => "spending",
            Self::Memories => "memories",
            Self::Identities => "identities",
            Self::Reports => "reports",
            Self::Events => "events",
            Self::Contents => "contents",
            Self::AccessLog => "access_log",
            Self::Tenants => "tenants",
            Self::Installation => "installation",
        }
    }

    /// The kind of the aggregates of a category; none if the category is unknown.
    #[must_use]
    pub fn of_category(category: &str) -> Option<Self> {
        Some(match category {
            "agent" => Self::Agents,
            "task" => Self::Tasks,
            "call" | "trace" | "reservation" => Self::Calls,
            "price_book" => Self::Prices,
            "tag_keys" => Self::TagKeys,
            "allocation_rules" => Self::Allocation,
            "invoice" => Self::Invoices,
            "schedule" => Self::Schedules,
            "alert_endpoints" => Self::AlertEndpoints,
            "budget" | "budget_period" | "budget_catalogue" | "charging" | "alert" | "alert_watches" => Self::Budgets,
            "budget_balance" | "approval" | "approval_queue" => Self::Spending,
            "memory" => Self::Memories,
            "access_log" => Self::AccessLog,
            "tenant" | "rate_limits" => Self::Tenants,
            "service_account" | "api_key" | "role_assignment" | "user" | "invitation" | "team" | "role" => {
                Self::Identities
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_has_a_kind() {
        for category in crate::Event::CATEGORIES {
            assert!(ResourceKind::of_category(category).is_some(), "{category} has no kind: add it to of_category");
        }
        assert_eq!(ResourceKind::of_category("unknown"), None);
    }
}
