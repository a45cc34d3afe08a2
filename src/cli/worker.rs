//! `apex worker`

use super::session::{Session, stop_signal, with_workers};
use anyhow::Context as _;
use projections::Projection;
use std::process::ExitCode;

/// Run projection workers in a process of their own.
///
/// Any number of processes may run; each shard of a read model is processed by one of them at a time. Runs until it is
/// stopped.
#[derive(Debug, clap::Args)]
pub(super) struct WorkerCommand {
    /// A read model to update; may be given several times [default: all]
    #[arg(long = "projection", value_name = "NAME")]
    projections: Vec<String>,
}

impl WorkerCommand {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        let projections = self.selected()?;
        with_workers(session, async |rooms| {
            for projection in projections {
                rooms.start_projection(projection);
            }
            tokio::select! {
                () = stop_signal() => {}
                died = rooms.worker_died() => died?,
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
    }

    fn selected(&self) -> anyhow::Result<Vec<&'static dyn Projection>> {
        if self.projections.is_empty() {
            return Ok(projections::all());
        }
        let named = self.projections.iter().map(|name| {
            projections::by_name(name).with_context(|| {
                let names: Vec<_> = projections::all().iter().map(|projection| projection.name()).collect();
                format!("there is no read model {name:?}; the read models are {}", names.join(", "))
            })
        });
        named.collect()
    }
}
