//! `apex keys`

use super::arguments::body;
use super::backend::{self, Backend, IssuedKey, Listed, Work};
use super::output::{self, Format};
use super::session::Session;
use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use domain::api_key::KeyTerms;
use domain::permissions::{Action, Permission, Scopes};
use domain::{AgentId, ApiKeyId, Body, ServiceAccountId, TeamId};
use identity::{KeySummary, MAX_LISTED};
use std::process::ExitCode;
use std::time::Duration;
use uuid::Uuid;

/// Create, list, rotate and revoke the API keys of the tenant.
///
/// An API key is a credential of a service account, sent as `Authorization: Bearer KEY`. It is printed once.
#[derive(Debug, clap::Args)]
pub(super) struct Keys {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Create a key, and print it. Whether it has all permissions of its account, or which ones, has to be said
    #[command(group = clap::ArgGroup::new("restriction").required(true).args(["scopes", "all_scopes"]))]
    Create {
        /// The id of the service account whose key it is
        #[arg(long)]
        account: Uuid,
        /// A permission that the key is restricted to, such as command:calls; may be repeated
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<Permission>,
        /// Give the key all permissions that its account has
        #[arg(long)]
        all_scopes: bool,
        /// The id of the agent that the key is bound to: it reads and changes nothing that belongs to other agents
        #[arg(long, value_name = "AGENT")]
        agent: Option<Uuid>,
        /// The id of a team whose agents the key is bound to: it reads and changes nothing that belongs to other agents
        #[arg(long, value_name = "TEAM", conflicts_with = "agent")]
        team: Option<Uuid>,
        /// How long the key is accepted, such as 90d [default: until it is revoked]
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
        expires_in: Option<Duration>,
    },
    /// List the keys, without their secrets
    List {
        /// The format of the list
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Create a key that replaces another one, with its account, its scopes, and its agent or team, and print it. How long the new key is accepted
    /// has to be said: it is not taken over from the other one
    #[command(group = clap::ArgGroup::new("lifetime").required(true).args(["expires_in", "never_expires"]))]
    Rotate {
        /// The id of the key that is replaced
        id: Uuid,
        /// How long the key that is replaced is still accepted
        #[arg(long, value_name = "TIME", default_value = "1d", value_parser = humantime::parse_duration)]
        overlap: Duration,
        /// How long the new key is accepted, such as 90d
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
        expires_in: Option<Duration>,
        /// Accept the new key until it is revoked
        #[arg(long)]
        never_expires: bool,
    },
    /// Revoke a key: it is refused from now on
    Revoke {
        /// The id of the key
        id: Uuid,
        /// The reason, which is recorded
        #[arg(long, value_parser = body)]
        reason: Option<Body>,
    },
}

impl Keys {
    /// The action of the subcommand.
    pub(super) fn action(&self) -> Action {
        match self.command {
            Command::List { .. } => Action::ReadData,
            Command::Create { .. } | Command::Rotate { .. } | Command::Revoke { .. } => Action::SendCommand,
        }
    }

    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        backend::run(session, self.command).await
    }
}

impl Work for Command {
    async fn run(self, backend: &impl Backend) -> anyhow::Result<()> {
        let at = Utc::now().trunc_subsecs(6);
        match self {
            Self::List { format } => list(backend.keys().await?, at, format)?,
            Self::Create { account, scopes, all_scopes, agent, team, expires_in } => {
                let terms = KeyTerms {
                    service_account_id: ServiceAccountId(account),
                    scopes: if all_scopes { Scopes::All } else { Scopes::Only(scopes.into_iter().collect()) },
                    agent_id: agent.map(AgentId),
                    team_id: team.map(TeamId),
                    expires_at: expires_in.map(|time| later(at, time)).transpose()?,
                };
                print_new(&backend.create_key(terms).await?)?;
            }
            Self::Rotate { id, overlap, expires_in, never_expires: _ } => {
                let expires_at = expires_in.map(|time| later(at, time)).transpose()?;
                // Longer than any time of an event: the rotation is refused.
                let overlap = TimeDelta::from_std(overlap).unwrap_or(TimeDelta::MAX);
                print_new(&backend.rotate_key(ApiKeyId(id), overlap, expires_at).await?)?;
            }
            Self::Revoke { id, reason } => {
                backend.revoke_key(ApiKeyId(id), reason).await?;
                say!("The key {id} is revoked.");
            }
        }
        Ok(())
    }
}

fn later(at: DateTime<Utc>, time: Duration) -> anyhow::Result<DateTime<Utc>> {
    let time = TimeDelta::from_std(time).ok().and_then(|time| at.checked_add_signed(time));
    time.ok_or_else(|| anyhow::anyhow!("the key would expire too far in the future: choose a shorter time"))
}

/// Prints the key alone to standard output, so that it can be read by a program.
fn print_new(key: &IssuedKey) -> anyhow::Result<()> {
    if let Some(file) = &key.created_key_file {
        say!(
            "The key-encryption key was created in {}. Back this file up, apart from the database: without it no API key is \
             accepted. All processes need it, see APEX_KEY_FILE.",
            file.display()
        );
    }
    say!("The key {} was created. It is shown only now; keep it secret:", key.id);
    Ok(output::write(&format!("{}\n", key.text.reveal()))?)
}

fn list(keys: Listed<KeySummary>, now: DateTime<Utc>, format: Format) -> anyhow::Result<()> {
    if keys.is_cut {
        say!("Only the first {MAX_LISTED} keys are listed: query `apiKeys` over GraphQL for all of them.");
    }
    let time = |at: Option<DateTime<Utc>>| at.map(output::time).unwrap_or_default();
    let rows = keys.items.into_iter().map(|key| {
        let state = match key.expires_at {
            _ if key.is_revoked => "revoked",
            Some(at) if at <= now => "expired",
            Some(_) | None => "active",
        };
        let (id, account) = (key.id.to_string(), key.service_account_id.to_string());
        let (expires_at, last_used_at) = (time(key.expires_at), time(key.last_used_at));
        let scopes = match key.scopes {
            Scopes::All => "all".to_owned(),
            Scopes::Only(permissions) => {
                permissions.iter().map(|scope| scope.to_string()).collect::<Vec<_>>().join(" ")
            }
        };
        let agent = key.agent_id.map(|agent| agent.to_string()).unwrap_or_default();
        let team = key.team_id.map(|team| team.to_string()).unwrap_or_default();
        vec![id, account, state.to_owned(), scopes, agent, team, expires_at, last_used_at]
    });
    let header = ["key", "account", "state", "scopes", "agent", "team", "expires_at", "last_used_hour"];
    output::list(&header, rows.collect(), 0..0, format)
}
