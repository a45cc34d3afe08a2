//! Readiness checks: defined here, implemented by the process that runs the API.

use futures::future::BoxFuture;
use serde::Serialize;

/// The result of one readiness check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReadyCheck {
    /// The name of the check.
    pub name: &'static str,
    /// Whether the check passed.
    pub ok: bool,
    /// What the check found, for people.
    pub detail: String,
}

/// The readiness checks of a process.
pub trait ReadyChecks: Send + Sync {
    /// Runs all checks.
    fn check(&self) -> BoxFuture<'_, Vec<ReadyCheck>>;
}
