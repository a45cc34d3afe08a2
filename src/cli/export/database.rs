//! An export on the database.

use super::file::{Reader, Target};
use super::progress::{AmountRead, ExportSummary, Progress};
use super::request::{Content, ExportRequest};
use crate::cli::{exports, report};
use crate::rooms::Rooms;
use domain::price_book::PriceBook;
use projections::OpenExport;

/// The read model that is exported.
const CALLS: &str = "calls";

pub(super) async fn export(rooms: &mut Rooms, request: &ExportRequest, mut target: Target) -> anyhow::Result<()> {
    let head = rooms.log.head().await?;
    let data = match request.content {
        Content::Calls => CALLS,
        Content::Focus(_) => "focus",
    };
    exports::record(rooms, data).await;
    if let Some(wait) = request.wait {
        report::catch_up(rooms, &[CALLS], head, wait).await?;
    }
    let open = match request.content {
        Content::Calls => OpenExport::calls(&rooms.reads, &rooms.principal.authorise()?, &request.query).await?,
        Content::Focus(version) => {
            OpenExport::focus(&rooms.reads, &rooms.principal.authorise()?, &request.query, version).await?
        }
    };
    let mut progress = Progress::new(ExportSummary {
        calls: open.expected.as_ref().map(|expected| expected.calls),
        unpriced_calls: open.expected.as_ref().map(|expected| expected.unpriced_calls),
        position: open.position.to_string(),
    });
    // After the snapshot, so that it has every version by which a call of the snapshot was charged.
    let book = rooms.commands.load::<PriceBook>(&rooms.principal.charging(), PriceBook::id()).await?;
    let mut stream = open.start(PriceBook::clone(&book.state), request.format)?;
    while let Some(chunk) = stream.next().await? {
        if target.write(&chunk.bytes)? == Reader::Gone {
            return Ok(());
        }
        progress.at(&AmountRead::Calls { calls: chunk.calls, at: chunk.reached });
    }
    target.finish()?;
    progress.end(request);
    report::warn_of_parked(rooms).await
}
