//! The importers of the formats of the files.

use crate::client::Client;
use crate::rooms::Rooms;
use commands::{Component, Loaded};
use domain::error_with_causes;
use domain::price_book::PriceBook;
use ingest::{Format, Importer, OnRetry};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What imports a file.
pub(super) enum Target<'a> {
    /// This process, on the database.
    Database(&'a mut Importer),
    /// A server.
    Server(&'a Client),
}

/// Where files are imported.
pub(super) enum Importing<'a> {
    /// By this process, on the database.
    Database(Importers<'a>),
    /// By a server.
    Server(&'a Client),
}

impl Importing<'_> {
    /// What imports files of a format.
    pub(super) fn of(&mut self, format: Format) -> Target<'_> {
        match self {
            Self::Database(importers) => Target::Database(importers.of(format)),
            Self::Server(client) => Target::Server(client),
        }
    }
}

/// The importers of the formats of the files, which write in the name of their format.
pub(super) struct Importers<'a> {
    rooms: &'a Rooms,
    prices: Arc<Loaded<PriceBook>>,
    on_retry: OnRetry,
    by_format: BTreeMap<Format, Importer>,
}

impl<'a> Importers<'a> {
    pub(super) fn new(rooms: &'a Rooms, prices: Arc<Loaded<PriceBook>>) -> Self {
        Self { rooms, prices, on_retry: warn_of_retries(), by_format: BTreeMap::new() }
    }

    pub(super) fn of(&mut self, format: Format) -> &mut Importer {
        self.by_format.entry(format).or_insert_with(|| {
            let principal = self.rooms.component(Component::Import(format.as_str()));
            let importer = Importer::new(self.rooms.commands.clone(), principal, Arc::clone(&self.prices));
            importer.on_retry(Arc::clone(&self.on_retry))
        })
    }
}

/// The minimum interval between two warnings that the import is retrying.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// Warns that the database is busy or unreachable, at most once per [`WARNING_INTERVAL`].
fn warn_of_retries() -> OnRetry {
    let last: Mutex<Option<Instant>> = Mutex::new(None);
    Arc::new(move |error| {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|at| at.elapsed() > WARNING_INTERVAL) {
            *last = Some(Instant::now());
            say!("The database is busy or unreachable; retrying ({}).", error_with_causes(error));
        }
    })
}
