//! Reports what a request states, many items at a time.

use crate::importer::{Importer, MAX_IN_FLIGHT};
use crate::item::Item;
use crate::outcome::ImportError;
use crate::receiver::ReceiveError;
use crate::record::Location;
use crate::traces::{SpanResult, TraceResult};
use crate::window::Window;
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinSet;

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
    let (mut reports, mut window, mut failure) = (JoinSet::new(), Window::new(MAX_IN_FLIGHT), None);
    let mut items = items.into_iter();
    loop {
        while failure.is_none() && window.is_open(reports.len()) {
            let Some(item) = items.next() else { break };
            let importer = importer.clone();
            let sent = Instant::now();
            reports.spawn(async move { (report(&importer, item).await, sent) });
        }
        let counted = match reports.join_next().await {
            None => break,
            Some(Ok((reported, sent))) => {
                window.took(sent.elapsed());
                count(reported)
            }
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
