//! `apex prices`

mod import;
mod list;
mod reprice;

#[cfg(test)]
pub(super) use reprice::DOCUMENTS;

use super::backend;
use super::point::parse_time;
use super::session::{Session, with_rooms};
use crate::rooms::Rooms;
use anyhow::Context as _;
use chrono::{DateTime, Utc};
use commands::{Component, Context, OutcomeKind};
use domain::Name;
use domain::permissions::Action;
use domain::price_book::{Discount, ModelPattern, Percent, PriceBook, PriceBookCommand};
use ingest::prices;
use std::process::ExitCode;
use uuid::Uuid;

/// List and set the prices of models, and charge calls again.
///
/// A price applies from its effective date until it ends or the next one for the same provider and model takes effect. The
/// price of a contract precedes list prices, whatever their dates. Setting prices never changes past charges: `apex prices
/// reprice` does.
///
/// A call finds a price by the name of its model: exactly, else by another name of a price, else with both names normalized
/// (without paths, regions, ARNs, `[1m]`, versions of Bedrock, and in one notation of dates), else by a pattern, of which the
/// one with the most characters decides. The charge says which.
#[derive(Debug, clap::Args)]
pub(super) struct Prices {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Import(import::Import),
    Update(import::Update),
    List(list::List),
    /// Set a discount on list prices, such as that of a contract
    ///
    /// Calls that are charged from now on have the discount if they started while it is in effect. Of several discounts the
    /// most specific one applies. A discount of 0 percent replaces an earlier one of the name by none.
    Discount(SetDiscount),
    Reprice(reprice::Reprice),
}

#[derive(Debug, clap::Args)]
struct SetDiscount {
    /// The name of the discount, under which it can be replaced
    #[arg(value_parser = parse_name)]
    name: Name,
    /// The part of the list price that is not charged, from 0 to 100 with at most 4 decimal places
    #[arg(long, value_parser = parse_percent)]
    percent: Percent,
    /// The provider whose prices are discounted, such as openai [default: all providers]
    #[arg(long, value_parser = parse_name)]
    provider: Option<Name>,
    /// A pattern of the models whose prices are discounted, such as 'gpt-5* !*-pro' [default: all models]
    #[arg(long, value_parser = ModelPattern::new)]
    models: Option<ModelPattern>,
    /// The day or time from which the discount is effective
    #[arg(long, value_parser = parse_time)]
    effective_from: DateTime<Utc>,
    /// The day or time at which the discount ends [default: never]
    #[arg(long, value_parser = parse_time)]
    effective_to: Option<DateTime<Utc>>,
}

fn parse_name(text: &str) -> Result<Name, domain::TextError> {
    Name::new(text)
}

fn parse_percent(text: &str) -> Result<Percent, domain::price_book::PercentError> {
    Percent::try_from(text.to_owned())
}

impl Prices {
    /// The action of the subcommand.
    pub(super) fn action(&self) -> Action {
        match &self.command {
            Command::Import(_) | Command::Update(_) | Command::Discount(_) => Action::SendCommand,
            Command::Reprice(reprice) => reprice.action(),
            Command::List(_) => Action::ReadData,
        }
    }

    /// Whether a server does the subcommand where the settings name one.
    pub(super) fn may_be_at_server(&self) -> bool {
        match &self.command {
            Command::Reprice(_) => true,
            Command::Import(_) | Command::Update(_) | Command::Discount(_) | Command::List(_) => false,
        }
    }

    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        let command = match (self.command, backend::client(session)?) {
            (Command::Reprice(reprice), Some(client)) => return reprice.run_at(&client).await,
            (command, _) => command,
        };
        with_rooms(session, async |rooms| {
            let book = prices::load_or_init(&rooms.commands, &rooms.component(Component::Apex)).await?;
            match command {
                Command::Import(import) => import.run(rooms).await?,
                Command::Update(update) => update.run(rooms).await?,
                Command::List(list) => list.run(&book.state)?,
                Command::Discount(discount) => discount.run(rooms).await?,
                Command::Reprice(reprice) => return reprice.run_here(rooms).await,
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
    }
}

impl SetDiscount {
    async fn run(self, rooms: &Rooms) -> anyhow::Result<()> {
        let Self { name, percent, provider, models, effective_from, effective_to } = self;
        let discount = Discount { name, provider, models, percent, effective_from, effective_to };
        let context = Context::new(rooms.component(Component::Apex), Uuid::now_v7());
        let command = PriceBookCommand::SetDiscounts { discounts: vec![discount], at: Utc::now() };
        let outcome = rooms.commands.execute::<PriceBook>(&context, PriceBook::id(), command).await;
        let outcome = outcome.context("the discount cannot be set")?;
        match outcome.kind {
            OutcomeKind::Done => {
                say!("The discount is set; the price book is at version {}.", outcome.aggregate.version)
            }
            OutcomeKind::AlreadyDone | OutcomeKind::Duplicate => say!("The discount was set already."),
        }
        Ok(())
    }
}
