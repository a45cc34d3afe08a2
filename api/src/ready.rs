//! Whether the process can do its work: asked here, answered by whoever knows.

use futures::future::BoxFuture;
use serde::Serialize;

/// One thing that must work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReadyCheck {
    /// Its name.
    pub name: &'static str,
    /// Whether it works.
    pub ok: bool,
    /// What was found.
    pub detail: String,
}

/// All that must work.
pub trait ReadyChecks: Send + Sync {
    /// Looks at each of it.
    fn check(&self) -> BoxFuture<'_, Vec<ReadyCheck>>;
}
