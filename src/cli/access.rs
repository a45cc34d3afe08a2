//! `apex access`

use super::backend::{self, Backend, Work};
use super::output::{self, Format, Table};
use super::roles::names;
use super::session::Session;
use chrono::{DateTime, Utc};
use domain::permissions::{Action, Scopes};
use domain::role_assignment::{Holder, RoleExtent};
use identity::{Basis, GrantBasis, KeySummary, ReviewRow, key_prefix};
use std::process::ExitCode;

/// Review who can do what in the tenant.
#[derive(Debug, clap::Args)]
pub(super) struct AccessCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List who can do what, by which grant and since when, and what each API key allows.
    ///
    /// A service account or a user has a row for each role that it has, directly or by a team. A service account has a row for
    /// each key that is accepted, too: what the key allows is what its account may do, restricted to its scopes and its agent or team.
    /// Accounts that are disabled, keys that are not accepted, teams that were closed and roles that were withdrawn allow
    /// nothing, and have no rows.
    Review {
        /// The format of the list
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
}

const HEADER: [&str; 19] = [
    "kind",
    "holder",
    "holder_name",
    "permissions",
    "way",
    "role",
    "role_name",
    "extent",
    "granted_at",
    "granted_by",
    "team_name",
    "member_since",
    "added_by",
    "key",
    "key_prefix",
    "bound_to",
    "scopes",
    "expires_at",
    "last_used_hour",
];

/// Columns that a narrow table omits, in this order.
const DROPPABLE: [&str; 9] = [
    "key",
    "added_by",
    "member_since",
    "team_name",
    "granted_by",
    "scopes",
    "expires_at",
    "last_used_hour",
    "granted_at",
];

impl AccessCommand {
    /// The action of the subcommand.
    pub(super) fn action(&self) -> Action {
        match self.command {
            Command::Review { .. } => Action::ReadData,
        }
    }

    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        backend::run(session, self.command).await
    }
}

impl Work for Command {
    /// All rows of a page are as of the moment at which the grants were read. CSV is written page by page.
    async fn run(self, backend: &impl Backend) -> anyhow::Result<()> {
        let Self::Review { format } = self;
        let header: Vec<_> = HEADER.map(str::to_owned).into();
        if format == Format::Csv {
            output::csv(&header, &[])?;
        }
        let (mut rows, mut after) = (Vec::new(), None);
        loop {
            let (page, next) = backend.review(after).await?;
            rows.extend(page.into_iter().map(cells));
            if format == Format::Csv {
                output::csv_rows_to(&mut output::Standard, &std::mem::take(&mut rows))?;
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
        if let Some(tenant) = backend.inactive_tenant() {
            say!("The tenant {tenant} does not exist or is suspended: its credentials are refused.");
        }
        match format {
            Format::Csv => Ok(()),
            Format::Json => output::list(&HEADER, rows, 0..0, format),
            Format::Table => Ok(Table { header, rows, numbers: 0..0, droppable: DROPPABLE.to_vec() }.write()?),
        }
    }
}

fn time(at: Option<DateTime<Utc>>) -> String {
    at.map(output::time).unwrap_or_default()
}

fn cells(row: ReviewRow) -> Vec<String> {
    let holder = Holder::from(row.holder);
    let first =
        [holder.kind().to_owned(), holder.id().to_string(), row.name.unwrap_or_default(), names(row.permissions)];
    let rest = match row.basis {
        Basis::Grant(grant) => grant_cells(grant, row.extent),
        Basis::Key(key) => key_cells(&key, row.extent),
    };
    first.into_iter().chain(rest).collect()
}

fn grant_cells(grant: GrantBasis, extent: RoleExtent) -> [String; 15] {
    let way = grant.team.as_ref().map_or_else(|| "direct".to_owned(), |team| format!("team {}", team.id));
    let (team_name, member_since, added_by) =
        grant.team.map(|team| (team.name, output::time(team.member.at), team.member.by)).unwrap_or_default();
    let none = String::new;
    [
        way,
        grant.role.to_string(),
        grant.role_name,
        extent.to_string(),
        output::time(grant.granted.at),
        grant.granted.by,
        team_name,
        member_since,
        added_by,
        none(),
        none(),
        none(),
        none(),
        none(),
        none(),
    ]
}

fn key_cells(key: &KeySummary, extent: RoleExtent) -> [String; 15] {
    let scopes = match key.scopes {
        Scopes::All => "all".to_owned(),
        Scopes::Only(permissions) => names(permissions),
    };
    let bound_to = RoleExtent::of(key.agent_id, key.team_id).filter(|bound_to| *bound_to != RoleExtent::Tenant);
    let bound_to = bound_to.map(|bound_to| bound_to.to_string()).unwrap_or_default();
    let extent = extent.to_string();
    let none = String::new;
    [
        "key".to_owned(),
        none(),
        none(),
        extent,
        none(),
        none(),
        none(),
        none(),
        none(),
        key.id.to_string(),
        key_prefix(key.id),
        bound_to,
        scopes,
        time(key.expires_at),
        time(key.last_used_at),
    ]
}
