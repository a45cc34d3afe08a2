//! The GraphQL schema. An aggregate is one file or folder, with a `mod` line and a line in `aggregates!` here.

mod access_log;
mod agent;
mod aggregate_changes;
mod aggregates;
mod alert_endpoint;
mod allocation;
mod approval;
mod as_of;
mod budget;
mod call;
mod command_error;
mod command_options;
mod connection;
mod cost_changes;
mod entity;
pub(crate) mod errors;
pub(crate) mod events;
pub(crate) mod follow;
mod freshness;
mod identity;
mod ids;
mod input;
mod invoice;
pub(crate) mod loaders;
mod memory;
mod meter_costs;
mod outlook;
mod payload;
mod price;
mod projection;
mod rate_limit;
mod replay;
mod report;
mod report_dimension;
mod report_freshness;
mod report_page;
mod report_totals;
mod request_hash;
mod reservation;
pub(crate) mod scalars;
mod schedule;
pub(crate) mod services;
mod span_contents;
mod stored;
mod tag_key;
mod task;
mod task_costs;
mod trace;
mod usage;
mod usage_totals;
mod user;

use crate::config::Limits;
use crate::deps::Deps;
use crate::limits::ComplexityLimit;
use crate::rate_limits::RateLimiter;
use async_graphql::connection::Connection;
use async_graphql::{MergedObject, MergedSubscription, SDLExportOptions, Schema, SchemaBuilder};
use projections::KnownReports;
use projections::invoices::Reconciliations;
use services::Services;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

aggregates::aggregates! {
    agent: Agent, AgentQuery, AgentMutation, AgentCommandError, "A page of agents.";
    task: Task, TaskQuery, TaskMutation, TaskCommandError, "A page of tasks.";
    call: Call, CallQuery, CallMutation, CallCommandError, "A page of calls.";
    memory: Memory, MemoryQuery, MemoryMutation, MemoryCommandError, "A page of memories.";
    schedule: Schedule, ScheduleQuery, ScheduleMutation, ScheduleCommandError, "A page of schedules.";
    budget: Budget, BudgetQuery, BudgetMutation, BudgetCommandError, "A page of budgets.";
    invoice: Invoice, InvoiceQuery, InvoiceMutation, InvoiceCommandError, "A page of invoices.";
}

/// The root of all queries, which read and never write. Types nest by one level for each part that is merged, and the compiler bounds
/// how deep: parts are merged in groups.
#[derive(MergedObject, Default)]
pub(crate) struct Query(
    AggregateQuery,
    BudgetAlertQuery,
    BudgetReportQuery,
    PricingQuery,
    FigureQuery,
    LogQuery,
    OperatorQuery,
);

/// The queries of alerts, and of requests for approval.
#[derive(MergedObject, Default)]
pub(crate) struct BudgetAlertQuery(
    budget::AlertQuery,
    budget::ThresholdQuery,
    budget::WatchQuery,
    approval::ApprovalQuery,
    alert_endpoint::AlertEndpointQuery,
);

/// The queries of reservations, and of reports of budgets.
#[derive(MergedObject, Default)]
pub(crate) struct BudgetReportQuery(
    reservation::ReservationQuery,
    budget::RefusalQuery,
    budget::HistoryQuery,
    budget::PreviewQuery,
);

/// The queries of prices, and of what costs are allocated by.
#[derive(MergedObject, Default)]
pub(crate) struct PricingQuery(
    price::PriceQuery,
    price::RepricingQuery,
    tag_key::TagKeyQuery,
    allocation::AllocationQuery,
);

/// The queries of the log, and of what is read from it.
#[derive(MergedObject, Default)]
pub(crate) struct LogQuery(
    aggregates::NodeQuery,
    trace::TraceQuery,
    events::EventQuery,
    replay::ReplayQuery,
    aggregate_changes::AggregateChangeQuery,
);

/// The queries of operators: of who may do what, and of how the server does.
#[derive(MergedObject, Default)]
pub(crate) struct OperatorQuery(
    access_log::AccessLogQuery,
    identity::IdentityQuery,
    user::UserQuery,
    rate_limit::RateLimitQuery,
    projection::ProjectionQuery,
);

/// The queries of figures.
#[derive(MergedObject, Default)]
pub(crate) struct FigureQuery(
    report::ReportQuery,
    task_costs::TaskCostQuery,
    meter_costs::MeterCostQuery,
    allocation::StatementQuery,
    cost_changes::CostChangeQuery,
    outlook::ForecastQuery,
    outlook::AnomalyQuery,
);

/// The root of all mutations. The mutations of a request are executed one after the other.
#[derive(MergedObject, Default)]
pub(crate) struct Mutation(
    AggregateMutation,
    reservation::ReservationMutation,
    call::ImportMutation,
    price::PriceMutation,
    price::RepricingMutation,
    tag_key::TagKeyMutation,
    allocation::AllocationMutation,
    AlertMutation,
    identity::IdentityMutation,
    user::UserMutation,
    rate_limit::RateLimitMutation,
    projection::ProjectionMutation,
);

/// The mutations of alerts, of requests for approval, and of what budgets delegate.
#[derive(MergedObject, Default)]
pub(crate) struct AlertMutation(
    alert_endpoint::AlertEndpointMutation,
    budget::AlertAnswerMutation,
    budget::WatchMutation,
    approval::ApprovalMutation,
    budget::DelegationMutation,
);

/// The root of all subscriptions. A request subscribes to exactly one field.
#[derive(MergedSubscription, Default)]
pub(crate) struct Subscription(
    events::EventSubscription,
    usage_totals::UsageSubscription,
    budget::AlertSubscription,
    budget::ThresholdSubscription,
    budget::PeriodSubscription,
);

/// The schema with the services that its resolvers use.
pub(crate) type ApexSchema = Schema<Query, Mutation, Subscription>;

/// Builds the schema on the services of the process.
pub(crate) fn schema(
    deps: &Deps,
    limits: &Limits,
    rate_limiter: Arc<RateLimiter>,
    shutdown: CancellationToken,
) -> ApexSchema {
    let services = Services {
        commands: deps.commands.clone(),
        identities: deps.identities.clone(),
        pool: deps.pool.clone(),
        reads: deps.reads.clone(),
        events: deps.commands.log().of_tenants(deps.reads.clone()),
        // The other half is for the report.
        known_reports: KnownReports::new(limits.request_timeout / 2),
        reconciliations: Reconciliations::new(limits.request_timeout / 2),
        limits: limits.clone(),
        rate_limiter: rate_limiter.clone(),
        shutdown,
    };
    builder().data(Arc::new(services)).extension(ComplexityLimit { max: limits.max_complexity, rate_limiter }).finish()
}

fn builder() -> SchemaBuilder<Query, Mutation, Subscription> {
    let builder = Schema::build(Query::default(), Mutation::default(), Subscription::default())
        .data(read_models())
        .register_output_type::<UserError>()
        // The limit of the library on recursion, which documents within the limits of this crate do not reach.
        .limit_recursive_depth(Limits::MAX_NESTING);
    describe_pages(builder)
        .override_output_type_description::<Connection<String, budget::BudgetAlert>>("A page of alerts.")
        .override_output_type_description::<Connection<String, budget::BudgetCrossing>>("A page of crossed thresholds.")
        .override_output_type_description::<Connection<String, budget::BudgetThreshold>>(
            "A page of crossed thresholds of periods.",
        )
        .override_output_type_description::<Connection<String, approval::Approval>>("A page of requests for approval.")
        .override_output_type_description::<Connection<String, budget::BudgetRefusalCount>>(
            "A page of counts of what budgets refused.",
        )
        .override_output_type_description::<Connection<String, alert_endpoint::AlertDelivery>>(
            "A page of deliveries of alerts.",
        )
        .override_output_type_description::<Connection<String, invoice::InvoiceVariance>>(
            "A page of the variances of an invoice.",
        )
        .override_output_type_description::<Connection<String, schedule::ScheduleRun>>("A page of runs of a schedule.")
        .override_output_type_description::<Connection<String, cost_changes::ChangedUsageRow>>(
            "A page of the rows of a report that changed.",
        )
        .override_output_type_description::<Connection<String, cost_changes::CausingEvent>>(
            "A page of the events that changed a report.",
        )
        .override_output_type_description::<Connection<String, price::Price>>("A page of prices.")
        .override_output_type_description::<Connection<String, trace::TraceSpan>>("A page of the spans of a trace.")
        .override_output_type_description::<Connection<String, events::Event>>("A page of events.")
        .override_output_type_description::<Connection<String, identity::ServiceAccount>>("A page of service accounts.")
        .override_output_type_description::<Connection<String, identity::ApiKey>>("A page of API keys.")
        .override_output_type_description::<Connection<String, identity::Team>>("A page of teams.")
        .override_output_type_description::<Connection<String, identity::TeamMember>>("A page of members of a team.")
        .override_output_type_description::<Connection<String, identity::TeamAgent>>("A page of agents of a team.")
        .override_output_type_description::<Connection<String, identity::RoleDefinition>>("A page of roles.")
        .override_output_type_description::<Connection<String, identity::RoleAssignment>>("A page of role assignments.")
        .override_output_type_description::<Connection<String, identity::AccessReviewRow>>(
            "A page of an access review.",
        )
        .override_output_type_description::<Connection<String, user::User>>("A page of users.")
        .override_output_type_description::<Connection<String, user::Invitation>>("A page of invitations.")
        .override_output_type_description::<report_page::UsageReport>("A page of a report, with its totals.")
        .override_output_type_description::<outlook::CostAnomalyPage>("A page of anomalies, with how they were found.")
        .override_output_type_description::<allocation::CostStatementPage>(
            "A page of statements of cost centres, with what they have in common.",
        )
}

/// The schema in GraphQL's schema definition language, as it is committed in `schema.graphql`.
#[must_use]
pub fn schema_sdl() -> String {
    sdl(&builder().finish())
}

/// A schema in GraphQL's schema definition language.
pub(crate) fn sdl(schema: &ApexSchema) -> String {
    let options = SDLExportOptions::new().use_space_ident().include_specified_by().prefer_single_line_descriptions();
    schema.sdl_with_options(options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// A variable without a value stands for the default of its argument (section 6.4.1 of the specification), even if the
    /// variable may be null. The library passes null instead, and would reject such a variable where null is not allowed.
    #[test]
    fn every_argument_with_a_default_accepts_null() {
        let sdl = schema_sdl();
        let with_default: Vec<_> = sdl.lines().filter(|line| line.contains(": ") && line.contains(" = ")).collect();
        assert!(with_default.len() > 5, "{with_default:?}");
        for line in with_default {
            assert!(!line.contains("! = "), "{line}: make it an Option, and use its default for none");
        }
    }

    #[test]
    fn the_committed_schema_is_the_schema() {
        let committed = include_str!("../../../schema.graphql");
        assert!(
            schema_sdl() == committed,
            "schema.graphql is out of date: regenerate it with `apex schema > schema.graphql`"
        );
    }

    /// A query with `minPosition` waits for the read models of the objects that it selects, however they are reached.
    #[test]
    fn every_object_type_with_a_global_id_declares_the_projections_that_feed_it() {
        let sdl = schema_sdl();
        let nodes: BTreeSet<_> = sdl
            .lines()
            .filter_map(|line| line.strip_prefix("type ")?.strip_suffix(" implements Node {"))
            // Events are read from the log itself, and identities from what is folded of it in memory.
            .filter(|name| !["Event", "ServiceAccount", "ApiKey", "User", "Team", "CustomRole"].contains(name))
            .map(str::to_owned)
            .collect();
        let declared: BTreeSet<_> = read_models().0.into_keys().collect();
        assert!(nodes.len() > 4 && nodes == declared, "{nodes:?} are objects, {declared:?} are in `aggregates!`");
    }

    #[test]
    fn every_type_field_argument_and_value_has_a_description() {
        let sdl = schema_sdl();
        let mut previous = "";
        for line in sdl.lines() {
            let declares = |line: &str| {
                let text = line.trim_start();
                let is_name = text.starts_with(|first: char| first.is_ascii_alphabetic());
                is_name
                    && !text.starts_with("schema ")
                    && !text.starts_with("query:")
                    && !text.starts_with("mutation:")
                    && !text.starts_with("subscription:")
            };
            if declares(line) && !previous.trim_start().starts_with('"') && !line.starts_with("directive") {
                // The lines of a block description are text.
                let is_text = sdl[..line.as_ptr() as usize - sdl.as_ptr() as usize].matches("\"\"\"").count() % 2 == 1;
                assert!(is_text, "no description: {line}");
            }
            previous = line;
        }
    }
}
