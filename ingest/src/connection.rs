//! What every command of an import is executed with.

use crate::retry::RetryPolicy;
use commands::{Commands, Context, Principal};
use domain::ImportId;
use std::sync::Arc;
use uuid::Uuid;

/// The executor of commands, who gives them, and how they are retried.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) commands: Commands,
    pub(crate) principal: Arc<Principal>,
    pub(crate) retry: RetryPolicy,
    /// The import that all of it belongs to, and that is taken back by its id; none if it belongs to none.
    pub(crate) import_id: Option<ImportId>,
    /// Makes the ids of the commands of this run differ from those of other runs of the same import: it may have been taken
    /// back in between. What belongs to no import has this as correlation id.
    pub(crate) run_id: Uuid,
}

impl Connection {
    pub(crate) fn context(&self, command_id: Uuid) -> Context {
        let correlation_id = self.import_id.map_or(self.run_id, |import_id| import_id.0);
        Context { correlation_id, ..Context::new(self.principal.clone(), command_id) }
    }
}
