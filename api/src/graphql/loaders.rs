//! Batched loading of rows by key: one statement for all rows that a page refers to, instead of one for each.

use super::services::authorise;
use async_graphql::dataloader::DataLoader;
use async_graphql::{Context, Result};
use commands::{Commands, Principal};
use domain::permissions::{Access, ActionType};
use futures::StreamExt as _;
use futures::channel::mpsc;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use std::collections::HashMap;
use std::hash::Hash;
use std::pin::pin;
use std::sync::Arc;
use std::task;
use std::time::Duration;
use streams::TenantReads;

/// The most keys of one statement; at most [`projections::MAX_PAGE_ROWS`].
const MAX_BATCH_ROWS: usize = 500;

/// Loads rows of one tenant by key, for the principal of the request. Each aggregate implements it for its own keys.
pub(crate) struct Rows {
    pub(crate) reads: TenantReads,
    /// For what is read from the log itself.
    pub(crate) commands: Commands,
    principal: Arc<Principal>,
}

impl Rows {
    /// The access to a kind of rows. None if the principal may not read them: no row is found then, and [`of`] has refused.
    pub(crate) fn access<A: ActionType>(&self) -> Option<Access<A>> {
        self.principal.authorise().ok()
    }

    /// Who reads aggregates that the principal of the request was authorised to read.
    pub(crate) fn reader(&self) -> Principal {
        self.principal.charging()
    }
}

pub(crate) type Loader = DataLoader<Rows>;

/// Creates the loader of one request, and what runs its statements. It caches nothing beyond the request.
pub(crate) fn loader(reads: TenantReads, commands: Commands, principal: Arc<Principal>) -> (Loader, Loads) {
    let (sender, asked_for) = mpsc::unbounded();
    // Without a receiver, the request has ended: nobody waits for the rows.
    let start = move |load| drop(sender.unbounded_send(load));
    // No delay: what is loaded together is decided by `Loads`.
    let loader = DataLoader::new(Rows { reads, commands, principal }, start)
        .max_batch_size(MAX_BATCH_ROWS)
        .delay(Duration::ZERO);
    (loader, Loads { asked_for, running: FuturesUnordered::new() })
}

/// Runs the statements of a loader within the task of its request. A statement starts when all resolvers have asked for what they
/// can, however long that takes: with a fixed delay, the number of statements would depend on the speed of the machine.
pub(crate) struct Loads {
    asked_for: mpsc::UnboundedReceiver<BoxFuture<'static, ()>>,
    running: FuturesUnordered<BoxFuture<'static, ()>>,
}

impl Loads {
    /// Executes a request whose resolvers use the loader.
    pub(crate) async fn execute<T>(mut self, request: impl Future<Output = T>) -> T {
        let mut request = pin!(request);
        std::future::poll_fn(|context| {
            let polled = request.as_mut().poll(context);
            if polled.is_pending() {
                self.poll(context);
            }
            polled
        })
        .await
    }

    /// Starts what was asked for, and goes on with what runs. Called when the resolvers have been polled. A statement that has
    /// ended wakes the task, because its resolvers wait for it.
    pub(crate) fn poll(&mut self, context: &mut task::Context<'_>) {
        while let task::Poll::Ready(Some(load)) = self.asked_for.poll_next_unpin(context) {
            self.running.push(load);
        }
        while let task::Poll::Ready(Some(())) = self.running.poll_next_unpin(context) {}
    }
}

/// Returns the loader of the request, for rows that are read by an action.
///
/// # Errors
/// `FORBIDDEN` if the principal of the request may not read them.
pub(crate) fn of<'a, A: ActionType>(ctx: &Context<'a>) -> Result<&'a Loader> {
    authorise::<A>(ctx)?;
    ctx.data::<Loader>()
}

/// Loads rows together and, if one of them cannot be decoded, each alone: it hides no other one.
///
/// # Errors
/// That of the load, if it is another one.
pub(crate) async fn decoded_apart<K, V, E, F>(
    keys: &[K],
    load: impl Fn(Vec<K>) -> F,
) -> Result<HashMap<K, Result<V, Arc<commands::Error<E>>>>, Arc<commands::Error<E>>>
where
    K: Copy + Eq + Hash,
    E: std::error::Error + 'static,
    F: Future<Output = Result<Vec<(K, V)>, commands::Error<E>>>,
{
    let mut rows = HashMap::new();
    match load(keys.to_vec()).await {
        Ok(found) => rows.extend(found.into_iter().map(|(key, row)| (key, Ok(row)))),
        Err(commands::Error::Decode(_)) => {
            for &key in keys {
                match load(vec![key]).await {
                    Ok(found) => rows.extend(found.into_iter().map(|(key, row)| (key, Ok(row)))),
                    Err(error) => _ = rows.insert(key, Err(Arc::new(error))),
                }
            }
        }
        Err(error) => return Err(Arc::new(error)),
    }
    Ok(rows)
}
