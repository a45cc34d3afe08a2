//! `apex tags`

use super::backend::{self, Backend, Work};
use super::output::{self, ListFormat};
use super::session::Session;
use chrono::{DateTime, SecondsFormat, SubsecRound as _, Utc};
use commands::OutcomeKind;
use domain::TagKey;
use domain::permissions::Action;
use domain::tag_keys::TagKeys;
use serde_json::{Value, json};
use std::process::ExitCode;

/// List, declare and withdraw the tag keys by whose values sums of usage are kept.
///
/// At most 8 keys are declared at the same time. A call is counted under a key when it is reported with the tag, or its tags
/// are corrected, while the key is declared. `apex report cost --by tag:KEY` reports by its values.
#[derive(Debug, clap::Args)]
pub(super) struct Tags {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the declared keys
    List {
        /// The format of the list
        #[arg(long, value_enum, default_value_t = ListFormat::Table)]
        format: ListFormat,
    },
    /// Declare a key: calls that are reported from now on are counted under it
    Declare {
        /// The key, one line of at most 64 bytes
        #[arg(value_parser = parse_key)]
        key: TagKey,
    },
    /// Withdraw a key: no more calls are counted under it from now on
    Withdraw {
        /// The key
        #[arg(value_parser = parse_key)]
        key: TagKey,
    },
}

fn parse_key(text: &str) -> Result<TagKey, domain::TextError> {
    TagKey::new(text)
}

impl Tags {
    /// The action of the subcommand.
    pub(super) fn action(&self) -> Action {
        match self.command {
            Command::List { .. } => Action::ReadData,
            Command::Declare { .. } | Command::Withdraw { .. } => Action::SendCommand,
        }
    }

    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        backend::run(session, self.command).await
    }
}

impl Work for Command {
    async fn run(self, backend: &impl Backend) -> anyhow::Result<()> {
        match self {
            Self::List { format } => list(&backend.tag_keys().await?, format)?,
            Self::Declare { key } => match backend.declare_tag_key(key.clone()).await? {
                OutcomeKind::Done | OutcomeKind::Duplicate => {
                    say!("Calls that are reported from now on are counted under {key}.");
                }
                OutcomeKind::AlreadyDone => say!("The tag key {key} is declared already."),
            },
            Self::Withdraw { key } => {
                backend.withdraw_tag_key(key.clone()).await?;
                say!("No more calls are counted under {key} from now on.");
            }
        }
        Ok(())
    }
}

fn list(keys: &[(TagKey, DateTime<Utc>)], format: ListFormat) -> anyhow::Result<()> {
    let time = |at: &DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    match format {
        ListFormat::Json => {
            let keys: Vec<Value> =
                keys.iter().map(|(key, at)| json!({ "key": key, "declared_at": at.round_subsecs(6) })).collect();
            output::json(&json!({ "tag_keys": keys, "limit": TagKeys::MAX }))
        }
        ListFormat::Table => {
            let rows: Vec<_> = keys.iter().map(|(key, at)| vec![key.to_string(), time(at)]).collect();
            Ok(output::table(&["key", "declared_at"].map(str::to_owned), &rows, 0..0)?)
        }
    }
}
