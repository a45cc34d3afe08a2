//! `apex whoami`

use super::backend;
use super::output;
use super::session::{Session, interruptible};
use serde_json::json;
use std::process::ExitCode;

/// Print as JSON who runs the subcommands, in which tenant and with which permissions.
///
/// At a server, that is whose token or session it is. On the database, it is the operator at the command line: a person who can
/// run it has the credentials of the database.
#[derive(Debug, clap::Args)]
pub(super) struct Whoami {}

impl Whoami {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        if let Some(client) = backend::client(session)? {
            output::json(&interruptible(backend::viewer(&client)).await?)?;
            return Ok(ExitCode::SUCCESS);
        }
        let principal = session.principal();
        let permissions: Vec<_> = principal.permissions().iter().map(|permission| permission.to_string()).collect();
        let (actor, tenant) = (principal.actor(), principal.tenant());
        output::json(&json!({ "actor": actor, "tenant": tenant, "permissions": permissions }))?;
        Ok(ExitCode::SUCCESS)
    }
}
