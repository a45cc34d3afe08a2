//! The importers of the formats of the files.

use crate::client::Client;
use crate::rooms::Rooms;
use commands::{Component, Loaded};
use domain::price_book::PriceBook;
use domain::{ImportId, error_with_causes};
use ingest::{Format, Importer, OnRetry};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What imports a file.
pub(super) enum Target<'a> {
    /// This process, on the database.
    Database(&'a mut Importer),
    /// A server, as a part of an import.
    Server(&'a Client, ImportId),
}

/// Where files are imported.
pub(super) enum Importing<'a> {
    /// By this process, on the database.
    Database(Importers<'a>),
    /// By a server, as a part of an import.
    Server(&'a Client, ImportId),
}

impl Importing<'_> {
    /// What imports files of a format.
    pub(super) fn of(&mut self, format: Format) -> Target<'_> {
        match self {
            Self::Database(importers) => Target::Database(importers.of(format)),
            Self::Server(client, import_id) => Target::Server(client, *import_id),
        }
    }
}

/// The importers of the formats of the files, which write in the name of their format.
pub(super) struct Importers<'a> {
    rooms: &'a Rooms,
    prices: Arc<Loaded<PriceBook>>,
    import_id: ImportId,
    on_retry: OnRetry,
    by_format: BTreeMap<Format, Importer>,
}

impl<'a> Importers<'a> {
    pub(super) fn new(rooms: &'a Rooms, prices: Arc<Loaded<PriceBook>>, import_id: ImportId) -> Self {
        Self { rooms, prices, import_id, on_retry: warn_of_retries(), by_format: BTreeMap::new() }
    }

    pub(super) fn of(&mut self, format: Format) -> &mut Importer {
        self.by_format.entry(format).or_insert_with(|| {
            let principal = self.rooms.component(Component::Import(format.as_str()));
            let (commands, prices) = (self.rooms.commands.clone(), Arc::clone(&self.prices));
            let importer = Importer::new(commands, principal, prices, self.import_id);
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
