//! What every command of an import is executed with.

use crate::retry::RetryPolicy;
use commands::{Commands, Context, Principal};
use std::sync::Arc;
use uuid::Uuid;

/// The executor of commands, who gives them, and how they are retried.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) commands: Commands,
    pub(crate) principal: Arc<Principal>,
    pub(crate) retry: RetryPolicy,
}

impl Connection {
    pub(crate) fn context(&self, command_id: Uuid) -> Context {
        Context::new(self.principal.clone(), command_id)
    }
}
