//! A simulated fleet of agents, for demonstrations.
//!
//! It executes the same commands as real agents.

use chrono::Utc;
use commands::{Commands, Component, Context, Principal};
use domain::agent::{Agent, AgentCommand, Profile};
use domain::call::{CallFacts, CallKind, Outcome};
use domain::memory::{Memory, MemoryCommand, Realm};
use domain::price_book::PriceBook;
use domain::task::{TaskCommand, TaskSpec};
use domain::{AgentId, Body, CallId, Labels, Meter, Name, Quantity, TaskId, TenantId, Usage, derived_id};
use ingest::{CallReport, prices, report_call};
use rand::Rng;
use rand::rngs::StdRng;
use rand::{SeedableRng, seq::IndexedRandom};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

/// The models of the fleet, as provider and model. The last one has no price.
const MODELS: [(&str, &str); 4] = [
    ("openai", "gpt-4o"),
    ("openai", "gpt-4.1-mini"),
    ("anthropic", "claude-sonnet-4-20250514"),
    ("in-house", "prototype-7b"),
];
const TITLES: [&str; 6] = [
    "Triage the open issues",
    "Summarise yesterday's incidents",
    "Fix the flaky test",
    "Draft the release notes",
    "Review the pull request",
    "Answer the customer",
];
const TOOLS: [&str; 4] = ["search", "read_file", "run_tests", "fetch_page"];
/// The number of calls per task.
const CALLS_PER_TASK: u32 = 12;

/// A simulated fleet.
pub struct Simulation {
    commands: Commands,
    principal: Arc<Principal>,
    agents: Vec<AgentId>,
    calls_per_second: f64,
}

/// An agent, and the task that it works on.
struct Worker {
    agent_id: AgentId,
    /// The task, with the number of calls made for it.
    task: Option<(TaskId, u32)>,
}

impl Simulation {
    /// Creates a fleet of `agents` agents that make `calls_per_second` calls in total.
    #[must_use]
    pub fn new(commands: Commands, tenant: TenantId, agents: u32, calls_per_second: f64) -> Self {
        let agents = (1..=agents).map(|n| derived_id(&["simulation", "agent", &n.to_string()]).into()).collect();
        let principal = Arc::new(Principal::component(tenant, Component::Simulation));
        Self { commands, principal, agents, calls_per_second }
    }

    /// Runs until `shutdown` completes.
    ///
    /// # Errors
    /// If a command fails.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> anyhow::Result<()> {
        let mut shutdown = std::pin::pin!(shutdown);
        let mut random = StdRng::from_os_rng();
        let prices = prices::load_or_init(
            &self.commands,
            &Principal::component(self.principal.tenant().clone(), Component::Apex),
        )
        .await?;
        self.register().await?;
        let mut fleet: Vec<_> = self.agents.iter().map(|&agent_id| Worker { agent_id, task: None }).collect();
        let mut ticks = interval(Duration::from_secs_f64(1.0 / self.calls_per_second));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                () = &mut shutdown => return Ok(()),
                _ = ticks.tick() => {}
            }
            let index = random.random_range(0..fleet.len());
            if let Some(worker) = fleet.get_mut(index) {
                self.step(worker, &prices.state, &mut random).await?;
            }
        }
    }

    fn context(&self) -> Context {
        Context::new(self.principal.clone(), Uuid::now_v7())
    }

    async fn register(&self) -> anyhow::Result<()> {
        for (number, &agent_id) in self.agents.iter().enumerate() {
            let profile = Profile {
                name: Name::new(format!("simulated-{}", number + 1))?,
                kind: Some(Name::new("simulated")?),
                model: None,
                labels: Labels::default(),
            };
            let at = Utc::now();
            let register = AgentCommand::Register { profile, at };
            self.commands.execute::<Agent>(&self.context(), agent_id.0, register).await?;
            let activate = AgentCommand::Activate { at };
            match self.commands.execute::<Agent>(&self.context(), agent_id.0, activate).await {
                // The agent was paused or retired since.
                Ok(_) | Err(commands::Error::Rejected(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// One step of an agent: it starts a task, makes a call or ends its task. A stopped agent does nothing.
    async fn step(&self, worker: &mut Worker, prices: &PriceBook, random: &mut StdRng) -> anyhow::Result<()> {
        match worker.task {
            None => worker.task = self.start_task(worker.agent_id, random).await?,
            Some((task_id, calls)) if calls >= CALLS_PER_TASK => {
                self.end_task(task_id, random).await?;
                worker.task = None;
            }
            Some((task_id, calls)) => {
                self.call(worker.agent_id, task_id, prices, random).await?;
                let percent = u8::try_from((calls + 1) * 100 / CALLS_PER_TASK).unwrap_or(100).min(100);
                let progress = TaskCommand::Progress { percent, note: None, at: Utc::now() };
                match self.commands.execute_task(&self.context(), task_id, progress).await {
                    Ok(_) => worker.task = Some((task_id, calls + 1)),
                    // The task was cancelled.
                    Err(commands::Error::Rejected(_)) => worker.task = None,
                    Err(error) => return Err(error.into()),
                }
                if random.random_ratio(1, 20) {
                    self.remember(worker.agent_id, random).await?;
                }
            }
        }
        Ok(())
    }

    async fn start_task(&self, agent_id: AgentId, random: &mut StdRng) -> anyhow::Result<Option<(TaskId, u32)>> {
        let title = TITLES.choose(random).copied().unwrap_or("Work");
        let task_id = TaskId(Uuid::now_v7());
        let at = Utc::now();
        let spec = TaskSpec { title: Name::new(title)?, agent_id, dag_id: None };
        for command in [TaskCommand::Submit { spec, at }, TaskCommand::Start { at }] {
            match self.commands.execute_task(&self.context(), task_id, command).await {
                Ok(_) => {}
                Err(commands::Error::Rejected(_)) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some((task_id, 0)))
    }

    async fn end_task(&self, task_id: TaskId, random: &mut StdRng) -> anyhow::Result<()> {
        let at = Utc::now();
        let command = if random.random_ratio(1, 8) {
            TaskCommand::Fail { error: Body::new("the tests still fail")?, at }
        } else {
            TaskCommand::Complete { result: Some(Body::new("done")?), at }
        };
        match self.commands.execute_task(&self.context(), task_id, command).await {
            Ok(_) | Err(commands::Error::Rejected(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn call(
        &self,
        agent_id: AgentId,
        task_id: TaskId,
        prices: &PriceBook,
        random: &mut StdRng,
    ) -> anyhow::Result<()> {
        let is_tool = random.random_ratio(1, 4);
        let (provider, model) = MODELS.choose(random).copied().unwrap_or(MODELS[0]);
        let tool = TOOLS.choose(random).copied().unwrap_or("search");
        let mut tokens = |most: u64| Quantity::new(if is_tool { 0 } else { random.random_range(1..=most) });
        let usage = Usage::from_iter([
            (Meter::Input, tokens(6000)?),
            (Meter::Output, tokens(900)?),
            (Meter::CacheRead, tokens(12_000)?),
        ]);
        let kind = if is_tool { CallKind::Tool } else { CallKind::Llm };
        let facts = CallFacts {
            agent_id: Some(agent_id),
            task_id: Some(task_id),
            provider: (!is_tool).then(|| Name::new(provider)).transpose()?,
            model: (!is_tool).then(|| Name::new(model)).transpose()?,
            tool: is_tool.then(|| Name::new(tool)).transpose()?,
            outcome: Some(Outcome::Ok),
            usage,
            latency_ms: Some(random.random_range(80..6000)),
            ..CallFacts::new(kind, Utc::now(), Name::new("simulation")?)
        };
        let report = CallReport::new(CallId(Uuid::now_v7()), facts, prices);
        report_call(&self.commands, &self.context(), &report).await?;
        Ok(())
    }

    async fn remember(&self, agent_id: AgentId, random: &mut StdRng) -> anyhow::Result<()> {
        let id = Uuid::now_v7();
        let at = Utc::now();
        let tool = TOOLS.choose(random).copied().unwrap_or("search");
        let content = Body::new(format!("{tool} is slow in the morning; try again after the nightly build"))?;
        let store = MemoryCommand::Store { agent_id, content, tags: vec![Name::new(tool)?], at };
        self.commands.execute::<Memory>(&self.context(), id, store).await?;
        if random.random_bool(0.5) {
            let share = MemoryCommand::Share { realm: Realm::Village, at };
            self.commands.execute::<Memory>(&self.context(), id, share).await?;
        }
        Ok(())
    }
}
