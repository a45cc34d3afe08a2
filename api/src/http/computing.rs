//! Work that takes long without waiting: reading, parsing and validating large requests.
//!
//! It runs on a thread that other tasks are moved away from first, so many at once as the machine has processors.
//! Small requests are read where they arrive: moving costs more than they do.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Semaphore, SemaphorePermit};

/// From how many bytes on a request is large. The usual introspection query is smaller.
const LARGE_BYTES: usize = 4 * 1024;

/// Whether a request of so many bytes takes long.
pub(crate) fn is_large(bytes: usize) -> bool {
    bytes > LARGE_BYTES
}

/// Runs work where it holds up no other task.
pub(crate) fn in_place<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        // There is no other thread that could go on meanwhile.
        _ => work(),
    }
}

/// How much of it there may be at the same time.
pub(crate) struct Computing(Semaphore);

impl Computing {
    /// As much as the machine has processors.
    pub(crate) fn new() -> Self {
        Self(Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)))
    }

    async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.0.acquire().await.ok()
    }

    /// Runs work, in its turn if it takes long.
    pub(crate) async fn run<T>(&self, is_long: bool, work: impl FnOnce() -> T) -> T {
        if !is_long {
            return work();
        }
        let _permit = self.permit().await;
        in_place(work)
    }

    /// Runs a future whose first step is such work, in its turn if it takes long.
    pub(crate) async fn begin<F: Future>(&self, is_long: bool, future: F) -> F::Output {
        let mut future = pin!(future);
        if is_long {
            let _permit = self.permit().await;
            let first = poll_fn(|context| Poll::Ready(in_place(|| future.as_mut().poll(context)))).await;
            if let Poll::Ready(output) = first {
                return output;
            }
        }
        future.await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// With one worker, whatever blocks it blocks the other task for good: this test would not end.
    #[test]
    fn long_work_does_not_hold_up_other_tasks() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        for is_long_future in [false, true] {
            let (sender, receiver) = mpsc::channel();
            let worked = runtime.spawn(async move {
                let computing = Computing::new();
                tokio::spawn(async move { sender.send(7).unwrap() });
                let work = move || receiver.recv().unwrap();
                if is_long_future {
                    computing.begin(true, async move { work() }).await
                } else {
                    computing.run(true, work).await
                }
            });
            assert_eq!(runtime.block_on(worked).unwrap(), 7);
        }
    }

    #[tokio::test]
    async fn on_one_thread_it_runs_where_it_is() {
        let computing = Computing::new();
        assert_eq!(computing.run(true, || 1).await, 1);
        assert_eq!(
            computing
                .begin(true, async {
                    tokio::task::yield_now().await;
                    2
                })
                .await,
            2
        );
        assert_eq!(computing.begin(false, async { 3 }).await, 3);
    }
}
