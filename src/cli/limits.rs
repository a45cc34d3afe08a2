//! `apex limits`

use super::output::{self, Format};
use super::session::{Session, with_rooms};
use crate::rooms::Rooms;
use chrono::Utc;
use commands::{Context, OutcomeKind};
use domain::permissions::Action;
use domain::rate_limits::{LimitAmount, LimitScope, LimitValues, LimitedResource, RateLimits, RateLimitsCommand};
use domain::{ApiKeyId, UserId};
use std::process::ExitCode;
use std::str::FromStr;
use uuid::Uuid;

/// Show and set the rate limits of the tenant.
///
/// Limits hold for each server process by itself. What has no limit here has the default of the server, which
/// --rate-limits of `apex serve` sets.
#[derive(Debug, clap::Args)]
pub(super) struct Limits {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show the limits that are set
    Show {
        /// The format of the list
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Set limits. Those that are not named stay as they are
    Set(SetLimits),
}

/// Without a scope, the limits are those of all requests of the tenant together.
#[derive(Debug, clap::Args)]
struct SetLimits {
    /// Set the limits of each API key and user of the tenant that has none of its own
    #[arg(long, group = "scope")]
    each_key: bool,
    /// Set the limits of one API key
    #[arg(long, group = "scope", value_name = "ID")]
    api_key: Option<Uuid>,
    /// Set the limits of one user
    #[arg(long, group = "scope", value_name = "ID")]
    user: Option<Uuid>,
    /// Requests a minute, or `default`
    #[arg(long, value_name = "AMOUNT", required_unless_present_any = ["ingest_bytes", "complexity", "subscriptions"])]
    requests: Option<Setting>,
    /// Bytes of requests with commands a minute, or `default`
    #[arg(long, value_name = "AMOUNT")]
    ingest_bytes: Option<Setting>,
    /// Complexity of GraphQL documents a minute, or `default`
    #[arg(long, value_name = "AMOUNT")]
    complexity: Option<Setting>,
    /// Subscriptions and event streams that are open at the same time, or `default`
    #[arg(long, value_name = "AMOUNT")]
    subscriptions: Option<Setting>,
}

/// The new value of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Setting {
    Default,
    Amount(LimitAmount),
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "default" => Ok(Self::Default),
            text => text.parse().map(Self::Amount).map_err(|error| format!("{error}, or `default`")),
        }
    }
}

impl SetLimits {
    fn scope(&self) -> LimitScope {
        match (self.each_key, self.api_key, self.user) {
            (_, Some(id), _) => LimitScope::ApiKey { api_key_id: ApiKeyId(id) },
            (_, _, Some(id)) => LimitScope::User { user_id: UserId(id) },
            (true, None, None) => LimitScope::EachSubject,
            (false, None, None) => LimitScope::Tenant,
        }
    }

    /// The limits with what is set now.
    fn apply_to(&self, mut limits: LimitValues) -> LimitValues {
        let settings = [
            (LimitedResource::Requests, self.requests),
            (LimitedResource::IngestBytes, self.ingest_bytes),
            (LimitedResource::Complexity, self.complexity),
            (LimitedResource::Subscriptions, self.subscriptions),
        ];
        for (resource, setting) in settings {
            match setting {
                None => {}
                Some(Setting::Default) => limits.set(resource, None),
                Some(Setting::Amount(amount)) => limits.set(resource, Some(amount)),
            }
        }
        limits
    }
}

impl Limits {
    /// The action of the subcommand.
    pub(super) fn action(&self) -> Action {
        match self.command {
            Command::Show { .. } => Action::ReadData,
            Command::Set(_) => Action::SendCommand,
        }
    }

    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        with_rooms(session, async |rooms| {
            match &self.command {
                Command::Show { format } => show(rooms, *format).await?,
                Command::Set(given) => set(rooms, given).await?,
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
    }
}

async fn set(rooms: &Rooms, given: &SetLimits) -> anyhow::Result<()> {
    let (tenant, installation) = (rooms.principal.tenant(), rooms.principal.in_installation());
    let id = tenant.stream_id();
    let known = rooms.commands.load::<RateLimits>(&installation, id).await?;
    let scope = given.scope();
    let limits = given.apply_to(known.state.of_scope(scope));
    let mut context = Context::new(installation, Uuid::now_v7());
    // What is not named stays as it is, so that nobody else may have changed it meanwhile.
    context.expected_version = Some(known.version);
    let command = RateLimitsCommand::Set { tenant_id: tenant.clone(), scope, limits, at: Utc::now() };
    let outcome = rooms.commands.execute::<RateLimits>(&context, id, command).await?;
    match outcome.kind {
        OutcomeKind::Done | OutcomeKind::Duplicate => say!("The limits of the tenant {tenant} were set."),
        OutcomeKind::AlreadyDone => say!("The tenant {tenant} has these limits already; nothing has changed."),
    }
    Ok(())
}

async fn show(rooms: &Rooms, format: Format) -> anyhow::Result<()> {
    let installation = rooms.principal.in_installation();
    let limits = rooms.commands.load::<RateLimits>(&installation, rooms.principal.tenant().stream_id()).await?;
    let limits = &limits.state;
    let fixed = [("tenant".to_owned(), limits.tenant), ("each key".to_owned(), limits.each_subject)];
    let keys = limits.api_keys.iter().map(|(id, values)| (format!("api key {id}"), *values));
    let users = limits.users.iter().map(|(id, values)| (format!("user {id}"), *values));
    let rows = fixed.into_iter().chain(keys).chain(users).map(|(scope, values)| row(scope, &values));
    let columns = ["scope", "requests", "ingest_bytes", "complexity", "subscriptions"];
    output::list(&columns, rows.collect(), 1..5, format)
}

fn row(scope: String, values: &LimitValues) -> Vec<String> {
    let amount = |resource| values.of(resource).map_or_else(|| "default".to_owned(), |amount| amount.to_string());
    std::iter::once(scope).chain(LimitedResource::ALL.into_iter().map(amount)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_limits_that_are_named_change() {
        let amount = |amount: u32| LimitAmount::try_from(amount).unwrap();
        let given = SetLimits {
            each_key: false,
            api_key: None,
            user: None,
            requests: Some("60".parse().unwrap()),
            ingest_bytes: None,
            complexity: Some("default".parse().unwrap()),
            subscriptions: None,
        };
        let known = LimitValues {
            requests_per_minute: Some(amount(1)),
            ingest_bytes_per_minute: Some(amount(2)),
            complexity_per_minute: Some(amount(3)),
            subscriptions: None,
        };
        let expected = LimitValues { requests_per_minute: Some(amount(60)), complexity_per_minute: None, ..known };
        assert_eq!(given.apply_to(known), expected);
        assert_eq!(given.scope(), LimitScope::Tenant);
        assert!("0".parse::<Setting>().unwrap_err().contains("`default`"));
    }
}
