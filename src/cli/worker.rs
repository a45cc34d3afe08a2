//! `apex worker`

use super::{stop_signal, with_workers};
use crate::config::{Common, Kafka};
use crate::rooms::Rooms;
use anyhow::Context as _;
use clap::ValueEnum;
use projections::{MissingEvent, PartitionedError, PartitionedFeed, Projection};
use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use streams::relay::RelayConfig;
use streams::{Consumer, ConsumerError, Log, PartitionBatch};
use tokio::time::MissedTickBehavior;

/// Feed read models, from the log or from Kafka.
///
/// Runs until it is stopped. From Kafka, as many processes as there are partitions share the work, and the partitions
/// of one that ends move to the others. A projection is fed from the log or from Kafka: whoever feeds it from the other
/// stands by.
#[derive(Debug, clap::Args)]
pub(super) struct WorkerCommand {
    /// Where the events come from
    #[arg(long, value_enum)]
    source: EventSource,

    /// Which read models to feed; all that can be, if none is named
    #[arg(long = "projection", value_name = "NAME")]
    projections: Vec<String>,

    /// What the names of the consumer groups begin with: GROUP.PROJECTION
    #[arg(long, env = "APEX_KAFKA_GROUP", default_value = "apex")]
    kafka_group: String,

    #[command(flatten)]
    kafka: Kafka,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EventSource {
    /// The log in PostgreSQL
    Log,
    /// The topics that the relay fills
    Kafka,
}

/// Events taken from Kafka at once.
const BATCH_EVENTS: usize = 1000;
/// How often the projection's own checkpoint is brought up to the partitions'.
const SETTLE_INTERVAL: Duration = Duration::from_millis(250);
/// How long Kafka may take to bring an event.
const KAFKA_PATIENCE: Duration = Duration::from_secs(5);
/// The same, once it did not bring one and as long as it brings none.
const AWAY_PATIENCE: Duration = Duration::from_secs(1);
/// How often a failure that goes on is told.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(30);
/// The pause after a failure that may pass.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// The pause where it is for others to feed the projection.
const STANDBY_PAUSE: Duration = Duration::from_secs(5);

impl WorkerCommand {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        with_workers(common, async |rooms| {
            let projections = self.chosen()?;
            match self.source {
                EventSource::Log => {
                    for projection in projections {
                        projections::give_back(projection, &rooms.pool, &rooms.log).await?;
                        rooms.start_projection(projection);
                    }
                }
                EventSource::Kafka => {
                    let config = self.kafka.relay().context("no broker is named: set APEX_KAFKA_BROKERS")?;
                    for projection in projections {
                        start(rooms, projection, &config, &format!("{}.{}", self.kafka_group, projection.name()));
                    }
                }
            }
            tokio::select! {
                () = stop_signal() => {}
                died = rooms.worker_died() => died?,
            }
            Ok(ExitCode::SUCCESS)
        })
        .await
    }

    fn chosen(&self) -> anyhow::Result<Vec<&'static dyn Projection>> {
        let can_be_fed =
            |projection: &&dyn Projection| self.source == EventSource::Log || !projection.needs_log_order();
        if self.projections.is_empty() {
            return Ok(projections::all().into_iter().filter(can_be_fed).collect());
        }
        let named = self.projections.iter().map(|name| {
            let projection = projections::by_name(name).with_context(|| format!("there is no projection {name:?}"))?;
            if !can_be_fed(&projection) {
                return Err(PartitionedError::NeedsLogOrder(projection.name()).into());
            }
            Ok(projection)
        });
        named.collect()
    }
}

fn start(rooms: &mut Rooms, projection: &'static dyn Projection, config: &RelayConfig, group: &str) {
    let (pool, log, stop) = (rooms.pool.clone(), rooms.log.clone(), rooms.stop_signal());
    let (config, group) = (config.clone(), group.to_owned());
    rooms.spawn(projection.name(), async move { feed(projection, pool, log, config, group, stop).await });
}

async fn feed(
    projection: &'static dyn Projection,
    pool: projections::Pool,
    log: Log,
    config: RelayConfig,
    group: String,
    stop: impl Future<Output = ()> + Send,
) -> anyhow::Result<()> {
    let mut stop = std::pin::pin!(stop);
    let consumer = Arc::new(Consumer::join(&config, &group, projection.categories())?);
    let partitions = tokio::select! {
        () = &mut stop => return Ok(()),
        partitions = partitions(&consumer) => partitions?,
    };
    let feed = PartitionedFeed { projection, pool, log, partitions };
    while let Err(error) = feed.take_over().await {
        tokio::select! {
            () = &mut stop => return Ok(()),
            passed = pass_over(error) => passed?,
        }
    }
    let (mut stall, mut complaint) = (Stall::default(), Complaint::default());
    let mut ticks = tokio::time::interval(SETTLE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = &mut stop => return Ok(()),
            _ = ticks.tick() => {
                if let Err(error) = stall.settle(&feed).await {
                    pass_over(error).await?;
                }
            }
            batches = consumer.next(BATCH_EVENTS) => match batches {
                Ok(batches) => {
                    stall.is_away = false;
                    tokio::select! {
                        () = &mut stop => return Ok(()),
                        applied = apply(&feed, &consumer, batches) => applied?,
                    }
                }
                Err(error) => {
                    complaint.make(&error);
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            },
        }
    }
}

/// What is told now and then for as long as it goes on.
#[derive(Default)]
struct Complaint {
    made: Option<Instant>,
    since: u32,
}

impl Complaint {
    fn make(&mut self, error: &ConsumerError) {
        self.since += 1;
        if self.made.is_none_or(|made| made.elapsed() > COMPLAINT_INTERVAL) {
            let (times, error) = (self.since, error as &dyn std::error::Error);
            tracing::warn!(times, error, "Kafka cannot be read, and is asked again");
            *self = Self { made: Some(Instant::now()), since: 0 };
        }
    }
}

/// What the projection waits for.
#[derive(Default)]
struct Stall {
    /// And since when.
    awaited: Option<(MissingEvent, Instant)>,
    /// Kafka did not bring it in time, and has brought nothing since.
    is_away: bool,
}

impl Stall {
    /// Brings the projection's own checkpoint up to the partitions'. What Kafka does not bring in time is read from the
    /// log: it has lost it, or is away.
    async fn settle(&mut self, feed: &PartitionedFeed) -> Result<(), PartitionedError> {
        let awaited = feed.advance_low_watermark().await?;
        self.awaited = match (self.awaited.take(), awaited) {
            (Some((before, since)), Some(awaited)) if before == awaited => {
                if since.elapsed() > if self.is_away { AWAY_PATIENCE } else { KAFKA_PATIENCE } {
                    if !std::mem::replace(&mut self.is_away, true) {
                        let (projection, topic) = (feed.projection.name(), &*awaited.partition.topic);
                        let (partition, position) = (awaited.partition.number, awaited.position.get());
                        tracing::warn!(projection, topic, partition, position, "Kafka is away; the log is read");
                    }
                    feed.fill_all().await?;
                }
                Some((awaited, since))
            }
            (_, awaited) => awaited.map(|awaited| (awaited, Instant::now())),
        };
        Ok(())
    }
}

/// How many partitions the topics have, once the relay has made them.
async fn partitions(consumer: &Arc<Consumer>) -> anyhow::Result<std::collections::HashMap<Arc<str>, i32>> {
    loop {
        let asked = consumer.clone();
        let error = match tokio::task::spawn_blocking(move || asked.partitions()).await? {
            Ok(partitions) => return Ok(partitions),
            Err(error @ (ConsumerError::Kafka(_) | ConsumerError::NoTopic(_))) => error,
        };
        tracing::warn!(error = &error as &dyn std::error::Error, "the topics are asked for again");
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

/// Applies each batch, however often it takes.
async fn apply(feed: &PartitionedFeed, consumer: &Consumer, batches: Vec<PartitionBatch>) -> anyhow::Result<()> {
    for batch in batches {
        while let Err(error) = feed.apply(&batch.partition, &batch.events).await {
            pass_over(error).await?;
        }
        consumer.mark_applied(&batch);
    }
    Ok(())
}

/// Waits a while after what may pass; what does not ends the worker.
async fn pass_over(error: PartitionedError) -> anyhow::Result<()> {
    let pause = match error {
        PartitionedError::Apply(_) | PartitionedError::Read(_) | PartitionedError::Database(_) => RETRY_PAUSE,
        // A worker of the new code takes over, or this one is replaced.
        PartitionedError::VersionMismatch { .. } => STANDBY_PAUSE,
        PartitionedError::NeedsLogOrder(_)
        // Who takes it over again may know of other topics.
        | PartitionedError::FedFromLog(_)
        | PartitionedError::PartitionsChanged { .. }
        | PartitionedError::PartitionAdded { .. } => return Err(error.into()),
    };
    tracing::warn!(error = &error as &dyn std::error::Error, "a batch from Kafka waits");
    tokio::time::sleep(pause).await;
    Ok(())
}
