//! Allocation rules on the database.

use super::super::operations::{AllocationOperations, ShownRules};
use super::{OnDatabase, now};
use chrono::{DateTime, Utc};
use commands::OutcomeKind;
use domain::Body;
use domain::allocation::{AllocationRuleSet, AllocationRules, AllocationRulesCommand};

impl AllocationOperations for OnDatabase<'_> {
    async fn allocation_rules(&self, version: Option<u64>) -> anyhow::Result<Option<ShownRules>> {
        let (rooms, id) = (self.rooms, AllocationRules::id());
        let rules = rooms.commands.load::<AllocationRules>(&rooms.principal, id).await?;
        let events = rooms.log.of_tenants(rooms.reads.clone());
        let version = version.unwrap_or_else(|| rules.state.version());
        let found = projections::allocation_rules(&events, &rooms.principal.authorise()?, version).await?;
        let in_force = rules.state.in_force().to_vec();
        Ok(found.map(|found| ShownRules { version: found.version, set: found.set, in_force }))
    }

    async fn set_allocation_rules(
        &self,
        rules: AllocationRuleSet,
        effective_from: Option<DateTime<Utc>>,
        reason: Option<Body>,
    ) -> anyhow::Result<OutcomeKind> {
        let command = AllocationRulesCommand::Set { rules, effective_from, reason, at: now() };
        let (context, id) = (self.context(), AllocationRules::id());
        Ok(self.rooms.commands.execute::<AllocationRules>(&context, id, command).await?.kind)
    }
}
