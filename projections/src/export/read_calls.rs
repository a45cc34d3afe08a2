//! Reading calls one by one, for what is no file.

use super::call::{Call, WIDTH};
use super::copy::Rows;
use super::error::ExportError;
use super::reader::{MAX_WAITING_BATCHES, Reader};
use tokio::sync::mpsc;

/// The calls that a reader passes on.
pub(crate) struct ReadBatches(mpsc::Receiver<Result<Option<Rows>, ExportError>>);

impl ReadBatches {
    /// Calls a function for each call, until it fails. It blocks its thread.
    pub(crate) fn each<E: From<ExportError>>(
        mut self,
        mut on_call: impl FnMut(&Call) -> Result<(), E>,
    ) -> Result<(), E> {
        // The end is an explicit message; a closed channel is an error.
        while let Some(batch) = self.0.blocking_recv().unwrap_or(Err(ExportError::Stopped))? {
            for fields in batch.fields.chunks_exact(WIDTH) {
                on_call(&Call::of(fields)?)?;
            }
        }
        Ok(())
    }
}

/// Reads calls, on a thread of its own.
pub(crate) async fn read_calls<T, E>(
    reader: Reader,
    work: impl FnOnce(ReadBatches) -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<ExportError> + Send + 'static,
{
    let (batches, read) = mpsc::channel(MAX_WAITING_BATCHES);
    tokio::spawn(async move {
        let read = reader.read(&batches).await;
        // An error means that nobody waits for it.
        drop(batches.send(read.map(|()| None)).await);
    });
    let done = tokio::task::spawn_blocking(move || work(ReadBatches(read))).await;
    done.unwrap_or_else(|_| Err(ExportError::Stopped.into()))
}
