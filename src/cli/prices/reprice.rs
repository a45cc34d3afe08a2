//! `apex prices reprice`

use super::super::output::{self, Format};
use super::super::point::parse_time;
use super::super::report::catch_up;
use crate::rooms::Rooms;
use anyhow::bail;
use chrono::{DateTime, Utc};
use commands::{Component, Context, Error};
use domain::call::{CallCommand, CallIds, Repricing};
use domain::permissions::Action;
use domain::price_book::PriceBook;
use domain::{Body, CallId, Money, Sum, derived_id};
use projections::Page;
use projections::calls::{self, CallFilter};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// The maximum number of calls that one command charges again.
const MAX_CALLS: usize = 1_000_000;
/// The number of calls in a page.
const PAGE_CALLS: i64 = 500;
/// How long the command waits for the read model of calls.
const WAIT: Duration = Duration::from_secs(600);

/// Charge calls again by the prices that the price book has now
///
/// Prints what it would change, by model and day, and changes nothing; with --apply, it records for each of these calls an
/// event with the charge before and after. What a call was charged before stays in the log: `apex replay` and the history of
/// the call show it, and reports have the sums with the new charges from then on. A call that has no price now keeps its
/// charge.
#[derive(Debug, clap::Args)]
pub(super) struct Reprice {
    /// Only calls that started at or after this day or time
    #[arg(long, value_parser = parse_time)]
    from: Option<DateTime<Utc>>,
    /// Only calls that started before this day or time
    #[arg(long, value_parser = parse_time)]
    to: Option<DateTime<Utc>>,
    /// Only calls of this model, as the calls name it
    #[arg(long)]
    model: Option<String>,
    /// Change the charges
    #[arg(long)]
    apply: bool,
    /// Why the calls are charged again, which the events state
    #[arg(long, value_parser = parse_reason, requires = "apply")]
    reason: Option<Body>,
    /// The format of the list of differences
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

fn parse_reason(text: &str) -> Result<Body, domain::TextError> {
    Body::new(text)
}

/// The differences of the calls of one model on one day.
#[derive(Default)]
struct Difference {
    calls: u64,
    /// The calls that had no price before.
    unpriced: u64,
    before: Sum,
    after: Sum,
}

impl Reprice {
    /// The action of the subcommand.
    pub(super) fn action(&self) -> Action {
        if self.apply { Action::SendCommand } else { Action::ReadData }
    }

    pub(super) async fn run(self, rooms: &mut Rooms, book: &PriceBook) -> anyhow::Result<()> {
        let head = rooms.log.head().await?;
        catch_up(rooms, &["calls"], head, WAIT).await?;
        let filter = CallFilter {
            kind: Some("llm".to_owned()),
            model: self.model.clone(),
            from: self.from,
            to: self.to,
            ..CallFilter::default()
        };
        let access = rooms.principal.authorise()?;
        let (mut seen, mut after) = (0_usize, None);
        let mut differences: BTreeMap<(String, String), Difference> = BTreeMap::new();
        loop {
            let rows = calls::list(&rooms.reads, &access, &filter, Page { after, limit: PAGE_CALLS }).await?;
            let Some(last) = rows.last() else { break };
            after = Some((last.started_at, last.call_id));
            seen += rows.len();
            if seen > MAX_CALLS {
                bail!("more than {MAX_CALLS} calls: name a shorter time with --from and --to, or a model");
            }
            for row in &rows {
                if let Some(repricing) = self.reprice(rooms, book, CallId(row.call_id)).await? {
                    add(&mut differences, &repricing);
                }
            }
        }
        self.print(&differences)?;
        let changed: u64 = differences.values().map(|difference| difference.calls).sum();
        let (did, version) = (if self.apply { "were charged again" } else { "would be charged again" }, book.version());
        say!("{changed} of {seen} calls {did} by version {version} of the price book.");
        if !self.apply && changed > 0 {
            say!("Nothing was changed. To charge these calls again, add --apply.");
        }
        Ok(())
    }

    /// The difference for one call, which is recorded if the command says so.
    async fn reprice(&self, rooms: &Rooms, book: &PriceBook, id: CallId) -> anyhow::Result<Option<Repricing>> {
        let (id, call) = rooms.commands.load_call(&rooms.principal, id, None).await?;
        let Some(repricing) = call.state.reprice(book)? else { return Ok(None) };
        if self.apply {
            let [version, book_version] = [call.version.get(), book.version()].map(|version| version.to_string());
            // The same call at the same version, charged by the same book, is the same command.
            let command_id = derived_id(&["reprice", &id.to_string(), &version, &book_version]);
            let context = Context::new(rooms.component(Component::Apex), command_id);
            let command = CallCommand::Reprice { reason: self.reason.clone(), at: Utc::now(), prices: book.clone() };
            match rooms.commands.execute_call(&context, &CallIds::from(id), command).await {
                Ok(_) => {}
                Err(Error::Rejected(error)) => bail!("the call {id} cannot be charged again: {error}"),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(repricing))
    }

    fn print(&self, differences: &BTreeMap<(String, String), Difference>) -> anyhow::Result<()> {
        let line = |((model, day), difference): (&(String, String), &Difference)| {
            let Difference { calls, unpriced, before, after } = difference;
            let change = after - before;
            [model.clone(), day.clone(), calls.to_string(), unpriced.to_string()]
                .into_iter()
                .chain([before.to_string(), after.to_string(), change.to_string()])
                .collect::<Vec<_>>()
        };
        let header = ["model", "day", "calls", "unpriced_before", "before", "after", "difference"];
        let lines: Vec<_> = differences.iter().map(line).collect();
        let columns: Vec<_> = header.map(str::to_owned).to_vec();
        match self.format {
            Format::Json => {
                let object = |line: &Vec<String>| {
                    let fields = header.iter().zip(line).map(|(name, value)| ((*name).to_owned(), json!(value)));
                    fields.collect::<serde_json::Map<_, _>>()
                };
                let rows: Vec<_> = lines.iter().map(object).collect();
                output::json(&json!({ "currency": "USD", "applied": self.apply, "differences": rows }))
            }
            Format::Csv => output::csv(&columns, &lines),
            Format::Table => Ok(output::table(&columns, &lines, 2..7)?),
        }
    }
}

fn add(differences: &mut BTreeMap<(String, String), Difference>, repricing: &Repricing) {
    let facts = &repricing.after.facts;
    let model = facts.model.as_ref().map(ToString::to_string).unwrap_or_default();
    let difference = differences.entry((model, facts.started_at.format("%Y-%m-%d").to_string())).or_default();
    difference.calls += 1;
    difference.unpriced += u64::from(repricing.before.charge.is_none());
    for (sum, cost) in
        [(&mut difference.before, repricing.before.cost()), (&mut difference.after, repricing.after.cost())]
    {
        *sum += cost.unwrap_or(Money::ZERO);
    }
}
