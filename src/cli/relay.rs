//! `apex relay`

use super::serve;
use super::session::{Session, stop_signal, with_workers};
use crate::config::Kafka;
use anyhow::Context as _;
use std::process::ExitCode;
use std::time::Duration;
use streams::relay::{relay_checkpoint, republish_from};

/// Publish the log to Kafka.
///
/// Runs until it is stopped. If several relays run, one publishes and the others are on standby.
#[derive(Debug, clap::Args)]
pub(super) struct Relay {
    /// Stop when all events that are in the log at the start are published
    #[arg(long)]
    until_caught_up: bool,

    /// Publish again from this position on, for a broker that lost its data. It applies to whichever relay is active
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(u64).range(1..))]
    from: Option<u64>,

    // Last: options after it would be listed under its heading.
    #[command(flatten)]
    kafka: Kafka,
}

/// The interval between reads of the relay's checkpoint.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

impl Relay {
    pub(super) async fn run(self, session: &Session) -> anyhow::Result<ExitCode> {
        with_workers(session, async |rooms| {
            anyhow::ensure!(
                self.kafka.kafka_brokers.is_some(),
                "no Kafka brokers: set APEX_KAFKA_BROKERS or --kafka-brokers"
            );
            if let Some(from) = self.from {
                let is_moved =
                    republish_from(&rooms.pool, from.into()).await.context("the checkpoint cannot be moved")?;
                anyhow::ensure!(
                    is_moved,
                    "the relay has not reached position {from} yet: it would skip earlier events"
                );
                say!("Events from position {from} on are published again.");
            }
            serve::start_relay(rooms, &self.kafka)?;
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
                    () = tokio::time::sleep(POLL_INTERVAL) => {}
                }
            }
        })
        .await
    }
}
