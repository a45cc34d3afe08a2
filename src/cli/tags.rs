//! `apex tags`

use super::output::{self, ListFormat};
use super::session::{Session, with_rooms};
use chrono::{DateTime, SecondsFormat, Utc};
use commands::{Context, OutcomeKind};
use domain::TagKey;
use domain::permissions::Action;
use domain::tag_keys::{TagKeys, TagKeysCommand};
use serde_json::{Value, json};
use std::process::ExitCode;
use uuid::Uuid;

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
        with_rooms(session, async |rooms| {
            let execute = async |command: TagKeysCommand| {
                let context = Context::new(rooms.principal.clone(), Uuid::now_v7());
                rooms.commands.execute::<TagKeys>(&context, TagKeys::id(), command).await.map(|outcome| outcome.kind)
            };
            let at = Utc::now();
            match self.command {
                Command::List { format } => {
                    let keys = rooms.commands.load::<TagKeys>(&rooms.principal, TagKeys::id()).await?;
                    list(&keys.state, format)?;
                }
                Command::Declare { key } => match execute(TagKeysCommand::Declare { key: key.clone(), at }).await? {
                    OutcomeKind::Done | OutcomeKind::Duplicate => {
                        say!("Calls that are reported from now on are counted under {key}.");
                    }
                    OutcomeKind::AlreadyDone => say!("The tag key {key} is declared already."),
                },
                Command::Withdraw { key } => {
                    execute(TagKeysCommand::Withdraw { key: key.clone(), at }).await?;
                    say!("No more calls are counted under {key} from now on.");
                }
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
    }
}

fn list(keys: &TagKeys, format: ListFormat) -> anyhow::Result<()> {
    let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    match format {
        ListFormat::Json => {
            let keys: Vec<Value> = keys.iter().map(|(key, at)| json!({ "key": key, "declared_at": at })).collect();
            output::json(&json!({ "tag_keys": keys, "limit": TagKeys::MAX }))
        }
        ListFormat::Table => {
            let rows: Vec<_> = keys.iter().map(|(key, at)| vec![key.to_string(), time(at)]).collect();
            Ok(output::table(&["key", "declared_at"].map(str::to_owned), &rows, 0..0)?)
        }
    }
}
