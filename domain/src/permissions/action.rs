//! Actions: what can be allowed or refused.

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
            }
        )+
    };
}

/// An action as a type, so that the compiler tells an [`Access`](super::Access) for one action from that for another.
pub trait ActionType {
    /// The action.
    const ACTION: Action;
}

actions! {
    /// Read the objects, events and reports of a tenant, and follow its events.
    ReadData: Tenant, "read", "read data";
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
