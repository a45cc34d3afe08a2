//! Actions: what can be allowed or refused.

use super::resource_kind::ResourceKind;
use std::fmt;

/// The kind of resource that an action is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Data of one tenant.
    Tenant,
    /// What all tenants of an installation share: the log, the read models, the workers.
    Installation,
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident: $level:ident, $key:literal, $text:literal;)+) => {
        /// Everything that can be allowed or refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Action {
            $($(#[$doc])* $name,)+
        }

        impl Action {
            /// All actions.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The kind of resource that the action is about.
            #[must_use]
            pub fn level(self) -> Level {
                match self { $(Self::$name => Level::$level),+ }
            }

            /// The first part of the name of a permission, as in `read:agents`.
            #[must_use]
            pub const fn key(self) -> &'static str {
                match self { $(Self::$name => $key),+ }
            }
        }

        impl fmt::Display for Action {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$name => $text),+ })
            }
        }

        $(
            $(#[$doc])*
            ///
            /// The type of [`Action`]'s variant of the same name, for [`Access`](super::Access).
            #[derive(Debug, Clone, Copy)]
            pub struct $name;

            impl ActionType for $name {
                const ACTION: Action = Action::$name;
                const EXTENT: Extent = Extent::Whole;
            }
        )+
    };
}

/// An action as a type, so that the compiler tells an [`Access`](super::Access) for one action from that for another.
pub trait ActionType {
    /// The action.
    const ACTION: Action;
    /// What of a tenant it is applied to, if nothing else is said.
    const EXTENT: Extent;
}

/// How much of the data of a tenant an action is applied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Every kind of data. For commands it is enough to have the permission for some kind, because each command is authorised
    /// again for the aggregates that it changes.
    Whole,
    /// One kind of data.
    Kind(ResourceKind),
    /// Any kind of data, of which nothing but the existence of a log is told.
    Any,
}

/// Declares a part of an action as a type.
macro_rules! parts {
    ($($(#[$doc:meta])* $name:ident: $action:ident, $extent:expr;)+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy)]
            pub struct $name;

            impl ActionType for $name {
                const ACTION: Action = Action::$action;
                const EXTENT: Extent = $extent;
            }
        )+
    };
}

parts! {
    /// Read agents.
    ReadAgents: ReadData, Extent::Kind(ResourceKind::Agents);
    /// Read tasks.
    ReadTasks: ReadData, Extent::Kind(ResourceKind::Tasks);
    /// Read calls, with their usage and cost.
    ReadCalls: ReadData, Extent::Kind(ResourceKind::Calls);
    /// Read the price book.
    ReadPrices: ReadData, Extent::Kind(ResourceKind::Prices);
    /// Read the tag keys by whose values usage is summed up.
    ReadTagKeys: ReadData, Extent::Kind(ResourceKind::TagKeys);
    /// Read the rules by which costs are allocated to cost centres.
    ReadAllocation: ReadData, Extent::Kind(ResourceKind::Allocation);
    /// Read invoices, and how they differ from what was charged.
    ReadInvoices: ReadData, Extent::Kind(ResourceKind::Invoices);
    /// Read schedules of reports, statements and exports, and their runs.
    ReadSchedules: ReadData, Extent::Kind(ResourceKind::Schedules);
    /// Read the endpoints to which alerts are sent, and deliveries.
    ReadAlertEndpoints: ReadData, Extent::Kind(ResourceKind::AlertEndpoints);
    /// Read budgets, what was spent of them, and their alerts.
    ReadBudgets: ReadData, Extent::Kind(ResourceKind::Budgets);
    /// Reading what is charged to budgets, and reserved.
    ReadSpending: ReadData, Extent::Kind(ResourceKind::Spending);
    /// Read memories.
    ReadMemories: ReadData, Extent::Kind(ResourceKind::Memories);
    /// Read who may do what.
    ReadIdentities: ReadData, Extent::Kind(ResourceKind::Identities);
    /// Read reports of usage and cost.
    ReadReports: ReadData, Extent::Kind(ResourceKind::Reports);
    /// Read and follow the events of all kinds, without their payloads.
    ReadEvents: ReadData, Extent::Kind(ResourceKind::Events);
    /// Read the texts that agents work with, wherever they are stored.
    ReadContents: ReadData, Extent::Kind(ResourceKind::Contents);
    /// Read who used which credential, what was refused, and which texts were read.
    ReadAccessLog: ReadData, Extent::Kind(ResourceKind::AccessLog);
    /// Read something of a tenant, whatever it is.
    ReadAny: ReadData, Extent::Any;
    /// Send commands about who may do what.
    CommandIdentities: SendCommand, Extent::Kind(ResourceKind::Identities);
}

actions! {
    /// Read the objects, events and reports of a tenant, and follow its events.
    ReadData: Tenant, "read", "read data";
    /// Read those objects of a tenant that belong to the agent that the credential is bound to.
    ReadOwnData: Tenant, "read_own", "read data of one agent";
    /// Send commands to the aggregates of a tenant.
    SendCommand: Tenant, "command", "send commands";
    /// Read the progress of the read models, and their parked events.
    ReadProjections: Installation, "read_projections", "read the status of read models";
    /// Build, compare, switch and drop versions of read models, and decide about parked events.
    OperateProjections: Installation, "operate_projections", "operate read models";
    /// List, retry and drop the jobs of policies.
    OperateJobs: Installation, "operate_jobs", "operate jobs";
    /// Read the metrics of a process.
    ReadMetrics: Installation, "read_metrics", "read metrics";
    /// Read, verify and archive the log of all tenants.
    MaintainLog: Installation, "maintain_log", "maintain the log";
    /// Run the server, projection workers, policies or the relay, and migrate the database.
    RunInstallation: Installation, "run", "run Apex";
}
