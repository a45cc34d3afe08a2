//! `apex accounts`

use super::arguments::{body, name};
use super::backend::{self, Backend, Listed, Work};
use super::output::{self, Format};
use super::session::Session;
use domain::permissions::{Action, Role};
use domain::role_assignment::{AssignedRole, Assignment, Holder};
use domain::{Body, Name, ServiceAccountId};
use identity::{AccountSummary, MAX_LISTED};
use std::process::ExitCode;
use uuid::Uuid;

/// Manage the service accounts of the tenant, and their roles.
///
/// A service account is a program that acts in a tenant, such as an agent or a pipeline. Its credentials are API keys. It
/// may do what its roles and those of its teams allow: admin, operator, viewer, agent, billing, auditor, or custom roles. See
/// `apex roles` and `apex teams`.
#[derive(Debug, clap::Args)]
pub(super) struct Accounts {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Create an account, and print its id
    Create {
        /// What the account is for, such as nightly-import. It is recorded for ever: not the name of a person
        #[arg(value_parser = name)]
        name: Name,
        /// A role of the account; may be repeated
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<Role>,
    },
    /// List the accounts with the roles that were granted to them
    List {
        /// The format of the list
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Grant a role to an account
    Grant {
        /// The id of the account
        id: Uuid,
        /// The name of a built-in role, or the id of a custom one
        role: AssignedRole,
    },
    /// Revoke a role of an account
    Revoke {
        /// The id of the account
        id: Uuid,
        /// The name of a built-in role, or the id of a custom one
        role: AssignedRole,
        /// The reason, which is recorded
        #[arg(long, value_parser = body)]
        reason: Option<Body>,
    },
    /// Disable an account: its keys are refused until it is enabled
    Disable {
        /// The id of the account
        id: Uuid,
        /// The reason, which is recorded
        #[arg(long, value_parser = body)]
        reason: Option<Body>,
    },
    /// Enable a disabled account
    Enable {
        /// The id of the account
        id: Uuid,
    },
}

impl Accounts {
    /// The action of the subcommand.
    pub(super) fn action(&self) -> Action {
        match self.command {
            Command::List { .. } => Action::ReadData,
            Command::Create { .. }
            | Command::Grant { .. }
            | Command::Revoke { .. }
            | Command::Disable { .. }
            | Command::Enable { .. } => Action::SendCommand,
        }
    }

    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        backend::run(session, self.command).await
    }
}

impl Work for Command {
    async fn run(self, backend: &impl Backend) -> anyhow::Result<()> {
        let assignment = |id: Uuid, role| Assignment::on_tenant(Holder::ServiceAccount(ServiceAccountId(id)), role);
        match self {
            Self::List { format } => list(backend.accounts().await?, format)?,
            Self::Create { name, roles } => {
                let id = backend.create_account(name, &roles).await?;
                say!("The service account was created. Its id:");
                output::write(&format!("{id}\n"))?;
            }
            Self::Grant { id, role } => {
                backend.grant_role(assignment(id, role)).await?;
                say!("The service account has the role {role}.");
            }
            Self::Revoke { id, role, reason } => {
                backend.revoke_role(assignment(id, role), reason).await?;
                say!("The service account no longer has the role {role}.");
            }
            Self::Disable { id, reason } => {
                backend.disable_account(ServiceAccountId(id), reason).await?;
                say!("The service account is disabled: its keys are refused.");
            }
            Self::Enable { id } => {
                backend.enable_account(ServiceAccountId(id)).await?;
                say!("The service account is enabled.");
            }
        }
        Ok(())
    }
}

fn list(accounts: Listed<AccountSummary>, format: Format) -> anyhow::Result<()> {
    if accounts.is_cut {
        say!("Only the first {MAX_LISTED} accounts are listed: query `serviceAccounts` over GraphQL for all of them.");
    }
    let rows = accounts.items.into_iter().map(|account| {
        let state = if account.is_disabled { "disabled" } else { "active" };
        let roles: Vec<_> = account.roles.iter().map(ToString::to_string).collect();
        vec![account.id.to_string(), account.name, state.to_owned(), roles.join(" ")]
    });
    output::list(&["account", "name", "state", "roles"], rows.collect(), 0..0, format)
}
