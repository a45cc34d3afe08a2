//! `apex allocation`

mod file;

use super::backend::{self, Backend, ShownRules, Work};
use super::output::{self, ListFormat, time};
use super::point::parse_time;
use super::session::Session;
use chrono::{DateTime, Utc};
use commands::OutcomeKind;
use domain::Body;
use domain::allocation::{AllocationRule, AllocationRuleSet, RulesInForce, SharedCost};
use domain::permissions::Action;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// Show and set the rules by which costs are allocated to cost centres.
///
/// Rules assign usage to cost centres by the values of its dimensions, or of one tag; the cost of all other usage is shared.
/// `apex report chargeback` makes the statements. docs/chargeback.md has the method, with an example to check by hand.
#[derive(Debug, clap::Args)]
pub(super) struct Allocation {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show the cost centres and the rules
    Show {
        /// The version to show [default: the latest]
        #[arg(long, value_name = "VERSION")]
        rules_version: Option<u64>,
        /// The format of the rules
        #[arg(long, value_enum, default_value_t = ListFormat::Table)]
        format: ListFormat,
    },
    Set(SetRules),
}

/// Set the cost centres and the rules, from a file in TOML or JSON
///
/// They replace the present ones as a whole, from a date on. Earlier versions stay, so that statements can be made again by
/// them. The file has the cost centres, the rules and the way to share the rest, as docs/chargeback.md shows; what `apex
/// allocation show --format json` prints can be set again. A field that is not known is an error.
#[derive(Debug, clap::Args)]
struct SetRules {
    /// The file; `-` reads standard input
    file: PathBuf,
    /// The day or time from which costs are allocated by the rules [default: always]
    #[arg(long, value_parser = parse_time)]
    effective_from: Option<DateTime<Utc>>,
    /// Why they are set
    #[arg(long, value_parser = parse_reason)]
    reason: Option<Body>,
}

fn parse_reason(text: &str) -> Result<Body, domain::TextError> {
    Body::new(text)
}

impl Allocation {
    /// The action of the subcommand.
    pub(super) fn action(&self) -> Action {
        match self.command {
            Command::Show { .. } => Action::ReadData,
            Command::Set(_) => Action::SendCommand,
        }
    }

    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        backend::run(session, self.command).await
    }
}

impl Work for Command {
    async fn run(self, backend: &impl Backend) -> anyhow::Result<()> {
        match self {
            Self::Show { rules_version, format } => match backend.allocation_rules(rules_version).await? {
                Some(rules) => show(&rules, format),
                None => match rules_version {
                    Some(version) => anyhow::bail!("there is no version {version} of the allocation rules"),
                    None => {
                        say!("No allocation rules are set: see `apex allocation set --help`.");
                        Ok(())
                    }
                },
            },
            Self::Set(given) => given.run(backend).await,
        }
    }
}

impl SetRules {
    async fn run(self, backend: &impl Backend) -> anyhow::Result<()> {
        let rules = file::read(&self.file)?;
        let (centres, count) = (rules.cost_centres.len(), rules.rules.len());
        match backend.set_allocation_rules(rules, self.effective_from, self.reason).await? {
            OutcomeKind::AlreadyDone => say!("The latest allocation rules are these already; nothing has changed."),
            OutcomeKind::Done | OutcomeKind::Duplicate => {
                let from = self.effective_from.map_or_else(String::new, |from| format!(" from {from} on"));
                say!("Costs are allocated to {centres} cost centres by {count} rules{from}.");
            }
        }
        Ok(())
    }
}

fn show(shown: &ShownRules, format: ListFormat) -> anyhow::Result<()> {
    let ShownRules { version, set, in_force } = shown;
    match format {
        ListFormat::Json => {
            let period =
                |rules: &RulesInForce| json!({ "version": rules.version, "effective_from": rules.effective_from });
            output::json(&json!({
                "version": version,
                "effective_from": set.effective_from,
                "reason": set.reason,
                "set_at": time(set.at),
                "in_force": in_force.iter().map(period).collect::<Vec<_>>(),
                "rules": set.rules,
            }))
        }
        ListFormat::Table => {
            let columns = ["cost_centre", "name"].map(str::to_owned);
            let rows: Vec<_> =
                set.rules.cost_centres.iter().map(|of| vec![of.code.to_string(), of.name.to_string()]).collect();
            output::table(&columns, &rows, 0..0)?;
            output::table(&["rule", "usage", "cost_centre"].map(str::to_owned), &lines(&set.rules)?, 0..1)?;
            let from = set.effective_from.map_or_else(|| "always".to_owned(), |from| format!("from {from} on"));
            say!("Version {version} of the allocation rules, in effect {from}, set at {}.", time(set.at));
            if let Some(reason) = &set.reason {
                say!("Reason: {reason}");
            }
            let others: Vec<_> = in_force.iter().filter(|other| other.version != *version).map(in_words).collect();
            if !others.is_empty() {
                say!("Other versions in effect: {}.", others.join(", "));
            }
            Ok(())
        }
    }
}

fn in_words(rules: &RulesInForce) -> String {
    match rules.effective_from {
        Some(from) => format!("{} from {from} on", rules.version),
        None => format!("{} at first", rules.version),
    }
}

/// A line for each rule and value, and one for what is shared.
fn lines(rules: &AllocationRuleSet) -> anyhow::Result<Vec<Vec<String>>> {
    let mut lines = Vec::new();
    for (rule, number) in rules.rules.iter().zip(1..) {
        let number: i32 = number;
        let mut line = |usage: String, code: String| lines.push(vec![number.to_string(), usage, code]);
        match rule {
            AllocationRule::Match { when, cost_centre } => {
                let usage: Vec<_> = when.iter().map(|(of, value)| format!("{of}={value}")).collect();
                line(usage.join(" and "), cost_centre.to_string());
            }
            AllocationRule::Values { dimension, cost_centres } => {
                cost_centres.iter().for_each(|(value, code)| line(format!("{dimension}={value}"), code.to_string()));
            }
            AllocationRule::Codes { dimension } => line(format!("{dimension}=CODE"), "CODE".to_owned()),
        }
    }
    let by: Value = serde_json::to_value(&rules.shared_cost)?;
    let kind = by["kind"].as_str().unwrap_or_default().replace('_', " ");
    let to = match &rules.shared_cost {
        SharedCost::To { cost_centre } => cost_centre.to_string(),
        SharedCost::ByMeter { meter } => format!("{kind} {meter}"),
        SharedCost::ByWeights { weights } => {
            let weights: Vec<_> = weights.iter().map(|(code, weight)| format!("{code}: {weight}")).collect();
            format!("{kind} {}", weights.join(", "))
        }
        SharedCost::InEqualParts | SharedCost::ByDirectCost => kind,
    };
    lines.push(vec![String::new(), "all other usage".to_owned(), to]);
    Ok(lines)
}
