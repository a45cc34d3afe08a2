//! Costs by meter that a server reports.

use super::{Behind, Meters, Times};
use crate::cli::backend::{meter_name, while_late};
use crate::cli::report::messages::{MAX_WAIT, incomplete};
use crate::cli::report::server::filter;
use crate::client::Client;
use domain::{Meter, Sum, TagKey};
use projections::{CallFilters, MeterCost, MeterCostGroup, MeterCosts, ReportRow, Totals, tag_key};
use serde::Deserialize;
use serde_json::json;

/// The document of costs by meter.
pub(in crate::cli) fn document() -> String {
    let meters = "meters { meter quantity billedQuantity calls cost }";
    format!(
        "query($by: [Dimension!], $filter: [UsageFilter!], $tagKey: String, $timeZone: String, $from: DateTime, $to: DateTime,
            $minPosition: Position) {{
            meterCosts(by: $by, filter: $filter, tagKey: $tagKey, timeZone: $timeZone, from: $from, to: $to,
                minPosition: $minPosition) {{
                groups {{ keys {{ value name }} calls unpricedCalls cost {meters} }}
                {meters} calls unpricedCalls cost position secondsBehind
            }}
        }}"
    )
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    groups: Vec<Group>,
    #[serde(flatten)]
    total: Total,
    position: String,
    seconds_behind: Option<u64>,
}

#[derive(Deserialize)]
struct Group {
    keys: Vec<Key>,
    #[serde(flatten)]
    total: Total,
}

#[derive(Deserialize)]
struct Key {
    value: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Total {
    calls: i64,
    unpriced_calls: i64,
    /// None if there are calls and none of them has a price.
    cost: Option<Sum>,
    meters: Vec<Of>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Of {
    meter: Option<String>,
    quantity: String,
    billed_quantity: String,
    calls: i64,
    cost: Option<Sum>,
}

impl Of {
    /// None if a meter or a number is not one.
    fn meter_cost(self) -> Option<MeterCost> {
        let meter = match self.meter {
            Some(name) => Some(*Meter::ALL.iter().find(|meter| meter_name(**meter) == name)?),
            None => None,
        };
        let (quantity, billed_quantity) = (self.quantity.parse().ok()?, self.billed_quantity.parse().ok()?);
        Some(MeterCost { meter, quantity, billed_quantity, calls: self.calls, cost: self.cost })
    }
}

impl Total {
    fn parts(self) -> Option<(Totals, Vec<MeterCost>)> {
        let (calls, unpriced_calls, cost) = (self.calls, self.unpriced_calls, self.cost.unwrap_or_default());
        let meters = self.meters.into_iter().map(Of::meter_cost).collect::<Option<_>>()?;
        Some((Totals::of_costs((calls, 0, unpriced_calls), cost), meters))
    }
}

impl Group {
    fn group(self) -> Option<MeterCostGroup> {
        let (totals, meters) = self.total.parts()?;
        let (keys, names) = self.keys.into_iter().map(|key| (key.value, key.name)).unzip();
        Some(MeterCostGroup { row: ReportRow { keys, names, is_rest: false, totals, base: None }, meters })
    }
}

/// Asks a server for costs, and again while its read models are behind.
pub(super) async fn read(client: &Client, meters: &Meters) -> anyhow::Result<(MeterCosts, Behind)> {
    let Times { zone, from, to } = meters.times()?;
    // What is wrong is said as on the database.
    CallFilters::new(&meters.filters)?;
    let key = tag_key(&meters.by, &meters.filters)?.map(TagKey::as_str);
    let head = client.head().await?;
    let by: Vec<_> = meters.by.iter().map(|by| by.dimension().as_str().to_uppercase()).collect();
    let variables = json!({
        "by": by,
        "filter": meters.filters.iter().map(filter).collect::<Vec<_>>(),
        "tagKey": key,
        "timeZone": zone.name(),
        "from": from,
        "to": to,
        "minPosition": (!meters.no_wait).then(|| head.to_string()),
    });
    let ask = async || {
        let answer: Answer = client.get(&document(), variables.clone(), "/meterCosts").await?;
        Ok(answer)
    };
    let answer = while_late(meters.wait.min(MAX_WAIT), &incomplete(meters.wait, ""), ask).await?;
    let position = client.position(&answer.position, "position")?;
    let incomplete = || client.incomplete("costs of the meters");
    let groups: Option<Vec<_>> = answer.groups.into_iter().map(Group::group).collect();
    let (total, of_all) = answer.total.parts().ok_or_else(incomplete)?;
    let costs = MeterCosts { groups: groups.ok_or_else(incomplete)?, meters: of_all, total, position };
    Ok((costs, Behind { head, seconds: answer.seconds_behind }))
}
