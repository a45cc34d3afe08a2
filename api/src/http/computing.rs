//! CPU-bound work that takes long: reading, parsing and validating large requests.
//!
//! It runs on a thread from which the runtime moves other tasks away, at most as many at the same time as the machine has
//! processors. Small requests are processed in place, because moving tasks costs more than they do.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Semaphore, SemaphorePermit};

/// The number of bytes above which a request is large. The usual introspection query is smaller.
const LARGE_BYTES: usize = 4 * 1024;

/// Whether a request of this size takes long to process.
pub(crate) fn is_large(bytes: usize) -> bool {
    bytes > LARGE_BYTES
}

/// Runs CPU-bound work without delaying other tasks.
pub(crate) fn in_place<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        // A single-threaded runtime has no other thread for the other tasks.
        _ => work(),
    }
}

/// Permits for CPU-bound work.
pub(crate) struct CpuPermits(Semaphore);

impl CpuPermits {
    /// Creates one permit for each processor of the machine.
    pub(crate) fn new() -> Self {
        Self(Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)))
    }

    async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.0.acquire().await.ok()
    }

    /// Runs work; with a permit if it takes long.
    pub(crate) async fn run<T>(&self, is_long: bool, work: impl FnOnce() -> T) -> T {
        if !is_long {
            return work();
        }
        let _permit = self.permit().await;
        in_place(work)
    }

    /// Runs a future whose first poll is CPU-bound; with a permit for that poll if it takes long.
    pub(crate) async fn run_first_poll<F: Future>(&self, is_long: bool, future: F) -> F::Output {
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

    /// On a single worker, blocking work would block the other task forever, and this test would not end.
    #[test]
    fn long_work_does_not_delay_other_tasks() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        for is_long_future in [false, true] {
            let (sender, receiver) = mpsc::channel();
            let worked = runtime.spawn(async move {
                let permits = CpuPermits::new();
                tokio::spawn(async move { sender.send(7).unwrap() });
                let work = move || receiver.recv().unwrap();
                if is_long_future {
                    permits.run_first_poll(true, async move { work() }).await
                } else {
                    permits.run(true, work).await
                }
            });
            assert_eq!(runtime.block_on(worked).unwrap(), 7);
        }
    }

    #[tokio::test]
    async fn on_a_single_threaded_runtime_work_runs_in_place() {
        let permits = CpuPermits::new();
        assert_eq!(permits.run(true, || 1).await, 1);
        assert_eq!(
            permits
                .run_first_poll(true, async {
                    tokio::task::yield_now().await;
                    2
                })
                .await,
            2
        );
        assert_eq!(permits.run_first_poll(false, async { 3 }).await, 3);
    }
}
