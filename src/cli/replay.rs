//! `apex replay`

mod changes;
mod lines;
mod selection;
mod server;

#[cfg(test)]
pub(super) use server::DOCUMENTS;

use self::lines::{EventLine, write_line, write_state};
use self::selection::{Selection, StreamName};
use super::backend;
use super::exports;
use super::output;
use super::point::{Point, before};
use super::session::{Session, interruptible, with_rooms};
use crate::rooms::Rooms;
use anyhow::Context as _;
use commands::AsOf;
use domain::permissions::ReadData;
use domain::{Aggregate, AggregateVisitor};
use futures::future::BoxFuture;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;
use streams::{Position, RecordedEvent, TenantFilter, Version};

/// Print events, or the state of an aggregate at an earlier time.
///
/// Without --as-of, events are printed as NDJSON in the order of the log, with their payloads byte for byte. With
/// --stream and --as-of, the state of the aggregate at that time is printed as one JSON document; with --between, what differs
/// between two moments.
#[derive(Debug, clap::Args)]
pub(super) struct Replay {
    #[command(flatten)]
    selection: Selection,
}

/// The number of events read at a time.
const PAGE_EVENTS: usize = 1000;

impl Replay {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        if let Some(client) = backend::client(session)? {
            interruptible(server::replay(&client, &self.selection)).await?;
            return Ok(ExitCode::SUCCESS);
        }
        with_rooms(session, async |rooms| {
            if let (Some(stream), Some(between)) = (&self.selection.stream, self.selection.between) {
                exports::record(rooms, "aggregate_state").await;
                changes::on_database(rooms, stream, between).await?;
                return Ok(ExitCode::SUCCESS);
            }
            match (&self.selection.stream, self.selection.as_of) {
                (Some(stream), Some(point)) => {
                    exports::record(rooms, "aggregate_state").await;
                    state(rooms, stream, point).await?;
                }
                _ => events(rooms, &self.selection).await?,
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
    }
}

async fn events(rooms: &Rooms, selection: &Selection) -> anyhow::Result<()> {
    let first = match selection.from {
        Some(Point::Position(position)) => position,
        Some(Point::Time(time)) => rooms.log.position_at(time).await?,
        None => Position::from(1),
    };
    let end = match selection.to {
        Some(Point::Position(position)) => position,
        Some(Point::Time(time)) => before(rooms.log.position_at(time).await?),
        None => rooms.log.head().await?,
    };
    // After the end is known, which does not include the record.
    exports::record(rooms, "events").await;
    let mut output = BufWriter::new(io::stdout().lock());
    let (access, log) = (rooms.principal.authorise::<ReadData>()?, rooms.log.of_tenants(rooms.reads.clone()));
    let mut pages = match &selection.stream {
        Some(stream) => log.own_stream_pages(&access, stream.category, stream.id, PAGE_EVENTS),
        None => log.pages(before(first), TenantFilter::new(&access, None, Vec::new(), None), PAGE_EVENTS),
    };
    let mut is_empty = true;
    while let Some(page) = pages.next_page().await? {
        is_empty = false;
        for event in page.iter().filter(|event| event.position >= first && event.position <= end) {
            match write_event(&mut output, event) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                written => written?,
            }
        }
        if page.last().is_some_and(|last| last.position >= end) {
            break;
        }
    }
    if let (Some(stream), true) = (&selection.stream, is_empty) {
        return Err(stream.has_no_events());
    }
    Ok(output::ignore_closed(output.flush())?)
}

fn write_event(output: &mut impl Write, event: &RecordedEvent) -> io::Result<()> {
    write_line(
        output,
        &EventLine {
            position: event.position,
            tenant: event.stream.tenant.as_str(),
            category: &event.stream.category,
            stream_id: event.stream.id,
            version: event.version,
            event_id: event.event_id,
            name: &event.name,
            schema_version: event.schema_version,
            recorded_at: event.recorded_at,
            content_hash: event.content_hash.iter().map(|byte| format!("{byte:02x}")).collect(),
            metadata: serde_json::from_str(&event.metadata)?,
            payload: serde_json::from_str(&event.payload)?,
        },
    )
}

async fn state(rooms: &Rooms, stream: &StreamName, point: Point) -> anyhow::Result<()> {
    let as_of = match point {
        Point::Position(position) => AsOf::Position(position),
        Point::Time(time) => AsOf::Time(time),
    };
    let printing = domain::visit_aggregate(stream.category, PrintState { rooms, stream, as_of });
    printing.with_context(|| format!("there is no category {:?}", stream.category))?.await
}

/// Prints the state of a stream, whatever its type of aggregate.
struct PrintState<'a> {
    rooms: &'a Rooms,
    stream: &'a StreamName,
    as_of: AsOf,
}

impl<'a> AggregateVisitor for PrintState<'a> {
    type Output = BoxFuture<'a, anyhow::Result<()>>;

    fn visit<A: Aggregate>(self) -> Self::Output {
        Box::pin(print_state::<A>(self.rooms, self.stream, self.as_of))
    }
}

async fn print_state<A: Aggregate>(rooms: &Rooms, stream: &StreamName, as_of: AsOf) -> anyhow::Result<()> {
    let loaded = rooms.commands.load_as_of::<A>(&rooms.principal, stream.id, as_of).await?;
    if loaded.version == Version::ZERO {
        return Err(stream.had_no_events());
    }
    let state = serde_json::to_value(&loaded.state).context("the state cannot be serialized")?;
    write_state(stream, loaded.version, loaded.position, &state)
}
