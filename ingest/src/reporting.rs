//! Reports what a request states, many items at a time.

use crate::importer::Importer;
use crate::item::Item;
use crate::outcome::ImportError;
use crate::receiver::ReceiveError;
use crate::record::Location;
use crate::traces::{SpanResult, TraceResult};
use std::sync::Arc;
use tokio::task::JoinSet;

/// The maximum number of reports of one request in flight.
const MAX_IN_FLIGHT: usize = 256;

/// The result of an item.
pub(crate) enum Reported {
    Call(Location, Result<SpanResult, ImportError>),
    Trace(Result<TraceResult, ImportError>),
}

/// Reports items, and passes the result of each to `count`. After a failure, no more are reported; those in flight are
/// completed, because what they recorded is recorded.
///
/// # Errors
/// The first failure.
pub(crate) async fn report_all(
    importer: Importer,
    items: Vec<Item>,
    mut count: impl FnMut(Reported) -> Result<(), ReceiveError>,
) -> Result<(), ReceiveError> {
    let importer = Arc::new(importer);
    let (mut reports, mut failure) = (JoinSet::new(), None);
    let mut items = items.into_iter();
    loop {
        while failure.is_none() && reports.len() < MAX_IN_FLIGHT {
            let Some(item) = items.next() else { break };
            let importer = importer.clone();
            reports.spawn(async move { report(&importer, item).await });
        }
        let counted = match reports.join_next().await {
            None => break,
            Some(Ok(reported)) => count(reported),
            Some(Err(panicked)) => Err(ReceiveError::Internal(panicked.into())),
        };
        if let Err(error) = counted {
            failure.get_or_insert(error);
        }
    }
    failure.map_or(Ok(()), Err)
}

async fn report(importer: &Importer, item: Item) -> Reported {
    match item {
        Item::Call(record) => {
            let location = record.location;
            let sent = match importer.prepare(*record).await {
                Ok(prepared) => prepared.send().await.map(SpanResult::Imported),
                Err(error) => Err(error),
            };
            Reported::Call(location, sent)
        }
        Item::Trace(trace) => match importer.prepare_trace(trace).await {
            Ok(prepared) => Reported::Trace(Ok(prepared.send().await)),
            Err(error) => Reported::Trace(Err(error)),
        },
    }
}
