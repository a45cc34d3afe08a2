//! `apex relay`

use super::{serve, stop_signal, with_workers};
use crate::config::{Common, Kafka};
use anyhow::Context as _;
use std::process::ExitCode;
use std::time::Duration;
use streams::relay::{relay_checkpoint, republish_from};

/// Publish the log to Kafka.
///
/// Runs until it is stopped. Where several run, one publishes and the others stand by.
#[derive(Debug, clap::Args)]
pub(super) struct Relay {
    /// Stop once everything that is in the log now is published
    #[arg(long)]
    until_caught_up: bool,

    /// Publish again from this position on, whichever relay is active: for a broker that lost its data
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(u64).range(1..))]
    from: Option<u64>,

    // Last: what follows would stand under its heading.
    #[command(flatten)]
    kafka: Kafka,
}

/// How often to look whether the relay has caught up.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

impl Relay {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        with_workers(common, async |rooms| {
            anyhow::ensure!(
                self.kafka.kafka_brokers.is_some(),
                "no broker is named: set APEX_KAFKA_BROKERS, or give --kafka-brokers"
            );
            if let Some(from) = self.from {
                let again = republish_from(&rooms.pool, from.into()).await.context("the checkpoint cannot be moved")?;
                anyhow::ensure!(again, "the relay has not come to position {from} yet: it would skip what is before");
                say!("What is from position {from} on is published again.");
            }
            serve::start_relay(rooms, &self.kafka);
            let head = rooms.log.head().await?;
            let mut stop = std::pin::pin!(stop_signal());
            loop {
                let position = relay_checkpoint(&rooms.pool).await.context("the checkpoint cannot be read")?;
                if self.until_caught_up && position >= head {
                    say!("Kafka has everything up to position {position}.");
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
