//! The contenders and their guarantees, as found in the source of the pinned versions.

use crate::child::{Runtime, Scripted};
use crate::crates::{Disintegrate, PostgresEs};
use crate::ours::{Apex, Raw};
use crate::store::Store;
use crate::umadb::UmaDb;

/// Whether a reader that pages by position, always after the last one that it saw, sees every event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Positions become visible in their order.
    Safe,
    /// Only within a subset of the events.
    Partly,
    /// A reader can skip an event that commits late.
    Unsafe,
    /// The events have no global order.
    None,
}

pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    /// The operation that is measured.
    pub(crate) operation: &'static str,
    /// Whether it stores its events in PostgreSQL.
    pub(crate) on_postgres: bool,
    pub(crate) order: Order,
    /// The reason for the order.
    pub(crate) order_because: &'static str,
    pub(crate) versions: &'static str,
    pub(crate) retries: &'static str,
    pub(crate) durable: &'static str,
    pub(crate) store: Box<dyn Store>,
}

impl Contender {
    pub(crate) fn order_word(&self) -> &'static str {
        match self.order {
            Order::Safe => "safe",
            Order::Partly => "in a category",
            Order::Unsafe => "unsafe",
            Order::None => "none",
        }
    }

    pub(crate) fn guarantee(&self) -> String {
        format!(
            "order {}: {}; versions: {}; retries: {}; durable: {}",
            self.order_word(),
            self.order_because,
            self.versions,
            self.retries,
            self.durable
        )
    }
}

const ON_COMMIT: &str = "by the commit";
const CONFLICTS: &str = "not idempotent, a retry of a successful append is a conflict";

pub(crate) fn apex() -> Contender {
    Contender {
        name: "Apex",
        version: "here",
        operation: "Log::append",
        on_postgres: true,
        order: Order::Safe,
        order_because: "positions are assigned under a lock that is held until the commit",
        versions: "checked in the transaction that appends",
        retries: "idempotent, by command id",
        durable: ON_COMMIT,
        store: Box::new(Apex),
    }
}

pub(crate) fn raw() -> Contender {
    Contender {
        name: "raw INSERT",
        version: "here",
        operation: "one INSERT, one row",
        on_postgres: true,
        order: Order::Unsafe,
        order_because: "a sequence assigns positions before the commit",
        versions: "unique index only",
        retries: "no",
        durable: ON_COMMIT,
        store: Box::new(Raw),
    }
}

/// All peers.
pub(crate) fn peers() -> Vec<Contender> {
    vec![
        postgres_es(),
        disintegrate(),
        disintegrate_unchecked(),
        emmett(),
        message_db(),
        message_db_categories(),
        eventsourcing(),
        eventsourcing_function(),
        umadb(),
    ]
}

fn postgres_es() -> Contender {
    Contender {
        name: "postgres-es",
        version: "0.5.0",
        operation: "PostgresEventRepository::persist at sequence 1",
        on_postgres: true,
        order: Order::None,
        order_because: "rows have no position except the one within their aggregate",
        versions: "primary key of aggregate and sequence",
        retries: CONFLICTS,
        durable: ON_COMMIT,
        store: Box::new(PostgresEs),
    }
}

fn disintegrate() -> Contender {
    Contender {
        name: "disintegrate-postgres",
        version: "4.0.1",
        operation: "PgEventStore::append with the condition that the call has no event",
        on_postgres: true,
        order: Order::Unsafe,
        order_because: "reads end before the first active writer, but look for writers only after they took their \
                        snapshot: a writer that commits in between is skipped",
        versions: "by query, serializable isolation",
        retries: CONFLICTS,
        durable: ON_COMMIT,
        store: Box::new(Disintegrate { validated: true }),
    }
}

fn disintegrate_unchecked() -> Contender {
    Contender {
        name: "disintegrate-postgres, unchecked",
        operation: "PgEventStore::append_without_validation",
        versions: "not checked",
        retries: "not idempotent, a retry is written twice",
        store: Box::new(Disintegrate { validated: false }),
        ..disintegrate()
    }
}

fn emmett() -> Contender {
    Contender {
        name: "Emmett",
        version: "0.42.0",
        operation: "appendToStream at position 0",
        on_postgres: true,
        order: Order::Unsafe,
        order_because: "reads exclude active transactions, but continue by a position that is assigned after the \
                        transaction id: the two orders may differ",
        versions: "checked by the append function; not checked for STREAM_DOES_NOT_EXIST",
        retries: CONFLICTS,
        durable: ON_COMMIT,
        store: Box::new(Scripted {
            runtime: Runtime::Node("emmett.mjs"),
            count: "select count(*) from emt_messages",
            environment: &[],
            reads_all: true,
        }),
    }
}

fn message_db() -> Contender {
    Contender {
        name: "message-db",
        version: "1.3.1",
        operation: "write_message at version -1, all in one category",
        on_postgres: true,
        order: Order::Safe,
        order_because: "writers of a category wait for each other's commit, and there is only one",
        versions: "checked by the append function",
        retries: CONFLICTS,
        durable: ON_COMMIT,
        store: Box::new(Scripted {
            runtime: Runtime::Node("message_db.mjs"),
            count: "select count(*) from message_store.messages",
            environment: &[("PEERS_CATEGORIES", "1")],
            reads_all: true,
        }),
    }
}

fn message_db_categories() -> Contender {
    Contender {
        name: "message-db, 64 categories",
        operation: "write_message at version -1, spread over 64 categories",
        order: Order::Partly,
        order_because: "writers of different categories do not wait for each other; reads are by category only",
        store: Box::new(Scripted {
            runtime: Runtime::Node("message_db.mjs"),
            count: "select count(*) from message_store.messages",
            environment: &[("PEERS_CATEGORIES", "64")],
            reads_all: false,
        }),
        ..message_db()
    }
}

fn eventsourcing() -> Contender {
    Contender {
        name: "eventsourcing",
        version: "9.5.6",
        operation: "PostgresApplicationRecorder.insert_events at version 1",
        on_postgres: true,
        order: Order::Safe,
        order_because: "LOCK TABLE in exclusive mode until the commit",
        versions: "primary key of originator and version",
        retries: CONFLICTS,
        durable: ON_COMMIT,
        store: Box::new(Scripted {
            runtime: Runtime::Python("contender.py"),
            count: "select count(*) from stored_events",
            environment: &[],
            reads_all: true,
        }),
    }
}

fn eventsourcing_function() -> Contender {
    Contender {
        name: "eventsourcing, its function",
        operation: "the same with enable_db_functions",
        order: Order::Unsafe,
        order_because: "the function takes no lock, and a sequence assigns positions before the commit",
        store: Box::new(Scripted {
            runtime: Runtime::Python("contender.py"),
            count: "select count(*) from stored_events",
            environment: &[("PEERS_DB_FUNCTIONS", "1")],
            reads_all: true,
        }),
        ..eventsourcing()
    }
}

fn umadb() -> Contender {
    Contender {
        name: "UmaDB",
        version: "0.7.8",
        operation: "append over gRPC with the condition that the call has no event",
        on_postgres: false,
        order: Order::Safe,
        order_because: "a single thread writes, and readers see committed events only",
        versions: "by query, in the writer thread",
        retries: "idempotent, by event ids",
        durable: "fdatasync before and after the header page",
        store: Box::new(UmaDb::default()),
    }
}
