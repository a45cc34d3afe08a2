//! `apex replay`

use super::output;
use super::point::{Point, before};
use super::session::{Session, with_rooms};
use crate::rooms::Rooms;
use anyhow::Context as _;
use chrono::{DateTime, Utc};
use commands::AsOf;
use domain::permissions::ReadData;
use domain::{Aggregate, AggregateVisitor};
use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::value::RawValue;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;
use std::str::FromStr;
use streams::{Position, RecordedEvent, TenantFilter, Version};
use uuid::Uuid;

/// Print events, or the state of an aggregate at an earlier time.
///
/// Without --as-of, events are printed as NDJSON in the order of the log, with their payloads byte for byte. With
/// --stream and --as-of, the state of the aggregate at that time is printed as one JSON document.
#[derive(Debug, clap::Args)]
pub(super) struct Replay {
    /// Only this stream, as CATEGORY/ID
    #[arg(long, value_name = "CATEGORY/ID")]
    stream: Option<StreamName>,

    /// Start at this position, or at the first event recorded at or after this time
    #[arg(long, value_name = "POSITION|TIME")]
    from: Option<Point>,

    /// End at this position, or at the last event recorded before this time
    #[arg(long, value_name = "POSITION|TIME")]
    to: Option<Point>,

    /// Print the state of the aggregate as of this position or time, inclusive
    #[arg(long, value_name = "POSITION|TIME", requires = "stream", conflicts_with_all = ["from", "to"])]
    as_of: Option<Point>,
}

#[derive(Debug, Clone)]
struct StreamName {
    category: &'static str,
    id: Uuid,
}

impl FromStr for StreamName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (category, id) = text.split_once('/').ok_or("expected CATEGORY/ID, such as agent/0190…")?;
        let known = domain::Event::CATEGORIES;
        let category = known
            .iter()
            .find(|known| **known == category)
            .ok_or_else(|| format!("there is no category {category:?}; the categories are {}", known.join(", ")))?;
        Ok(Self { category, id: id.parse().map_err(|_| format!("{id:?} is not a UUID"))? })
    }
}

/// The number of events read at a time.
const PAGE_EVENTS: usize = 1000;

impl Replay {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        with_rooms(session, async |rooms| {
            match (&self.stream, self.as_of) {
                (Some(stream), Some(point)) => state(rooms, stream, point).await?,
                _ => self.events(rooms).await?,
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
    }

    async fn events(&self, rooms: &Rooms) -> anyhow::Result<()> {
        let first = match self.from {
            Some(Point::Position(position)) => position,
            Some(Point::Time(time)) => rooms.log.position_at(time).await?,
            None => Position::from(1),
        };
        let end = match self.to {
            Some(Point::Position(position)) => position,
            Some(Point::Time(time)) => before(rooms.log.position_at(time).await?),
            None => rooms.log.head().await?,
        };
        let mut output = BufWriter::new(io::stdout().lock());
        let (access, log) = (rooms.principal.authorise::<ReadData>()?, rooms.log.of_tenants(rooms.reads.clone()));
        let mut pages = match &self.stream {
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
        if let (Some(stream), true) = (&self.stream, is_empty) {
            anyhow::bail!("the stream {}/{} has no events", stream.category, stream.id);
        }
        Ok(output::ignore_closed(output.flush())?)
    }
}

#[derive(Serialize)]
struct EventLine<'a> {
    position: Position,
    tenant: &'a str,
    category: &'a str,
    stream_id: Uuid,
    version: Version,
    event_id: Uuid,
    #[serde(rename = "type")]
    name: &'a str,
    schema_version: u16,
    recorded_at: DateTime<Utc>,
    content_hash: String,
    metadata: &'a RawValue,
    payload: &'a RawValue,
}

fn write_event(output: &mut impl Write, event: &RecordedEvent) -> io::Result<()> {
    let line = EventLine {
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
    };
    serde_json::to_writer(&mut *output, &line)?;
    output.write_all(b"\n")
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
        anyhow::bail!("the stream {}/{} had no events at that time", stream.category, stream.id);
    }
    let document = serde_json::json!({
        "category": stream.category,
        "stream_id": stream.id,
        "version": loaded.version,
        "position": loaded.position,
        "state": serde_json::to_value(&loaded.state).context("the state cannot be serialized")?,
    });
    output::json(&document)
}
