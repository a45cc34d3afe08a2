//! `apex relay`

use super::{serve, stop_signal, with_rooms};
use crate::config::{Common, Kafka};
use anyhow::Context as _;
use std::process::ExitCode;
use std::time::Duration;
use streams::relay::relayed;

/// Runs until it is stopped. Where several run, one publishes and the others stand by.
#[derive(Debug, clap::Args)]
pub(super) struct Relay {
    #[command(flatten)]
    kafka: Kafka,

    /// Stop once everything that is in the log now is published
    #[arg(long)]
    until_caught_up: bool,
}

/// How often to look whether the relay has caught up.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

impl Relay {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        with_rooms(common, async |rooms| {
            if !serve::start_relay(rooms, &self.kafka) {
                anyhow::bail!("no broker is named: set APEX_KAFKA_BROKERS, or give --kafka-brokers");
            }
            let head = rooms.log.head().await?;
            let mut stop = std::pin::pin!(stop_signal());
            loop {
                let position = relayed(&rooms.pool).await.context("the checkpoint cannot be read")?;
                if self.until_caught_up && position >= head {
                    eprintln!("Kafka has everything up to position {position}.");
                    return Ok(ExitCode::SUCCESS);
                }
                tokio::select! {
                    () = &mut stop => return Ok(ExitCode::SUCCESS),
                    died = rooms.worker_died() => died?,
                    () = tokio::time::sleep(LOOK_INTERVAL) => {}
                }
            }
        })
        .await
    }
}
