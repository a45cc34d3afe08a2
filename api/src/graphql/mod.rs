//! The GraphQL schema. One file an aggregate; each is registered here with one line in each root.

pub(crate) mod agent;
pub(crate) mod alert;
pub(crate) mod as_of;
pub(crate) mod budget;
pub(crate) mod call;
pub(crate) mod connection;
pub(crate) mod errors;
pub(crate) mod events;
pub(crate) mod follow;
pub(crate) mod ids;
pub(crate) mod input;
pub(crate) mod loaders;
pub(crate) mod memory;
pub(crate) mod node;
pub(crate) mod payload;
pub(crate) mod price;
pub(crate) mod projections_status;
pub(crate) mod report;
pub(crate) mod request;
pub(crate) mod scalars;
pub(crate) mod subscription;
pub(crate) mod task;

use crate::{Deps, Limits};
use async_graphql::connection::Connection;
use async_graphql::{Context, MergedObject, MergedSubscription, Result, Schema, SelectionField};
use commands::Commands;
use projections::Pool;
use scalars::Position;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What resolvers work with.
pub(crate) struct Services {
    pub(crate) commands: Commands,
    pub(crate) pool: Pool,
    pub(crate) limits: Limits,
    pub(crate) shutdown: CancellationToken,
}

/// What can be asked.
#[derive(MergedObject, Default)]
pub(crate) struct Query(
    node::NodeQuery,
    agent::AgentQuery,
    task::TaskQuery,
    call::CallQuery,
    memory::MemoryQuery,
    budget::BudgetQuery,
    alert::AlertQuery,
    price::PriceQuery,
    report::ReportQuery,
    events::EventQuery,
    projections_status::ProjectionQuery,
);

/// What can be done.
#[derive(MergedObject, Default)]
pub(crate) struct Mutation(
    agent::AgentMutation,
    task::TaskMutation,
    call::CallMutation,
    memory::MemoryMutation,
    budget::BudgetMutation,
    price::PriceMutation,
    projections_status::ProjectionMutation,
);

/// What can be followed.
#[derive(MergedSubscription, Default)]
pub(crate) struct Subscription(
    subscription::EventSubscription,
    subscription::UsageSubscription,
    alert::AlertSubscription,
);

/// The schema with what its resolvers work with.
pub(crate) type ApexSchema = Schema<Query, Mutation, Subscription>;

/// The schema on the services of a process.
pub(crate) fn schema(deps: &Deps, limits: &Limits, shutdown: CancellationToken) -> ApexSchema {
    let services =
        Services { commands: deps.commands.clone(), pool: deps.pool.clone(), limits: limits.clone(), shutdown };
    builder().data(Arc::new(services)).extension(crate::limits::ComplexityLimit(limits.max_complexity)).finish()
}

fn builder() -> async_graphql::SchemaBuilder<Query, Mutation, Subscription> {
    macro_rules! describe_pages {
        ($builder:expr; $($node:ty),+ $(,)?) => {
            $builder$(.override_output_type_description::<Connection<String, $node>>("A page of a list."))+
        };
    }
    let builder = Schema::build(Query::default(), Mutation::default(), Subscription::default())
        .register_output_type::<node::UserError>()
        // The library's own limit on recursion; what is within ours is within it.
        .limit_recursive_depth(crate::limits::MAX_NESTING);
    describe_pages!(
        builder;
        agent::Agent, task::Task, call::Call, memory::Memory, budget::Budget, alert::BudgetAlert, price::Price,
        events::Event,
    )
}

/// The schema in GraphQL's own language, as it is committed in `schema.graphql`.
#[must_use]
pub fn schema_sdl() -> String {
    let options = async_graphql::SDLExportOptions::new()
        .use_space_ident()
        .include_specified_by()
        .prefer_single_line_descriptions();
    builder().finish().sdl_with_options(options)
}

/// Fields that lead from one read model to another, with the projection that feeds what they lead to.
const RELATIONS: [(&str, &str); 4] = [("agent", "agents"), ("task", "tasks"), ("tasks", "tasks"), ("calls", "calls")];

/// Waits until the read models behind a field, and behind what is asked for inside it, have seen a position.
pub(crate) async fn ready(ctx: &Context<'_>, own: &[&'static str], position: Option<Position>) -> Result<()> {
    let Some(position) = position else { return Ok(()) };
    let services = ctx.data::<Arc<Services>>()?;
    let mut needed: BTreeSet<&str> = own.iter().copied().collect();
    follow_relations(ctx.field(), &mut needed);
    let needed: Vec<_> = needed.into_iter().collect();
    let waited = projections::wait_for(&services.pool, &needed, position.0, services.limits.projection_wait).await;
    waited.map(drop).map_err(|error| errors::wait(&error))
}

fn follow_relations(field: SelectionField<'_>, needed: &mut BTreeSet<&'static str>) {
    for inside in field.selection_set() {
        needed.extend(RELATIONS.iter().find(|(name, _)| *name == inside.name()).map(|(_, projection)| *projection));
        follow_relations(inside, needed);
    }
}

/// The value whose wire name stands in a row.
pub(crate) fn from_wire<T: Copy>(all: &[T], name: impl Fn(T) -> &'static str, text: &str) -> Result<T> {
    all.iter()
        .copied()
        .find(|&value| name(value) == text)
        .ok_or_else(|| errors::internal(&UnknownName(text.to_owned())))
}

#[derive(Debug, thiserror::Error)]
#[error("a row of a read model holds the unknown name {0:?}")]
struct UnknownName(String);

#[cfg(test)]
mod tests {
    use super::*;

    /// A variable without a value stands for the default of its argument (section 6.4.1 of the specification), also if the
    /// variable may be null. The library takes null for it, and would refuse such a variable where null is not allowed.
    #[test]
    fn every_argument_with_a_default_takes_null_for_it() {
        let sdl = schema_sdl();
        let with_default: Vec<_> = sdl.lines().filter(|line| line.contains(": ") && line.contains(" = ")).collect();
        assert!(with_default.len() > 5, "{with_default:?}");
        for line in with_default {
            assert!(!line.contains("! = "), "{line}: make it an Option, and take its default for none");
        }
    }

    #[test]
    fn the_committed_schema_is_the_schema() {
        let committed = include_str!("../../../schema.graphql");
        assert!(schema_sdl() == committed, "schema.graphql is old: write it again with `apex schema > schema.graphql`");
    }
}
