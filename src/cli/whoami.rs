//! `apex whoami`

use super::output;
use super::session::Session;
use serde_json::json;
use std::process::ExitCode;

/// Print as JSON who runs the subcommands, in which tenant and with which permissions.
///
/// That is the operator at the command line: a person who can run it has the credentials of the database. Who sends a request to a
/// server, the query `viewer` tells.
#[derive(Debug, clap::Args)]
pub(super) struct Whoami {}

impl Whoami {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        let principal = session.principal();
        let permissions: Vec<_> = principal.permissions().iter().map(|permission| permission.to_string()).collect();
        let (actor, tenant) = (principal.actor(), principal.tenant());
        output::json(&json!({ "actor": actor, "tenant": tenant, "permissions": permissions }))?;
        Ok(ExitCode::SUCCESS)
    }
}
