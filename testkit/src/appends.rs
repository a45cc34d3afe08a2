//! Appending many events at once.

use streams::{Append, AppendError, Appended, Chains, Log};

/// Submits appends in order, each on its own, and waits for their results, which have the same order. While the queue of
/// the log is full, it waits and submits the same append again.
pub async fn append_all(
    log: &Log,
    appends: impl IntoIterator<Item = Append, IntoIter: Send> + Send,
) -> Vec<Result<Appended, AppendError>> {
    let mut submitted = Vec::new();
    for append in appends {
        // Encoding many appends without a break would keep a worker thread from committing those before them.
        tokio::task::consume_budget().await;
        submitted.push(loop {
            match log.submit(append.clone(), Chains::default()) {
                Err(AppendError::Busy { retry_after }) => tokio::time::sleep(retry_after).await,
                submitted => break submitted,
            }
        });
    }
    let mut results = Vec::with_capacity(submitted.len());
    for pending in submitted {
        results.push(match pending {
            Ok(pending) => pending.result().await,
            Err(error) => Err(error),
        });
    }
    results
}
