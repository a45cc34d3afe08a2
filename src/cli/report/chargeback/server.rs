//! Statements that a server makes.

use super::Chargeback;
use super::view::{LineView, StatementView, UsageView, View};
use crate::cli::backend::while_late;
use crate::cli::point::Point;
use crate::cli::report::messages::{MAX_WAIT, incomplete};
use crate::cli::report::server::{field, filter, warn_of_parked};
use crate::client::{Client, PageInfo};
use domain::{Meter, TagKey};
use projections::{NamedFilter, tag_key};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The number of statements of a page.
const PAGE: usize = 100;
/// How many times the pages are read before they add up.
const ATTEMPTS: usize = 5;

/// The document of a page, with a field for each meter.
pub(in crate::cli) fn document() -> String {
    let meters: Vec<_> = Meter::ALL.iter().map(|meter| field(meter.column())).collect();
    format!(
        "query($from: DateTime!, $to: DateTime!, $filter: [UsageFilter!], $tagKey: String, $costCentre: String,
            $rulesVersion: Long, $knownAt: AsOf, $digits: Int, $minPosition: Position, $first: Int!, $after: String) {{
            costStatements(from: $from, to: $to, filter: $filter, tagKey: $tagKey, costCentre: $costCentre,
                rulesVersion: $rulesVersion, knownAt: $knownAt, digits: $digits, minPosition: $minPosition,
                first: $first, after: $after) {{
                nodes {{
                    costCentre {{ code name }} lines {{ rule value usage {{ ...usage }} }} direct {{ ...usage }}
                    shared {{ base cost }} total roundedTotal
                }}
                total {{ ...usage }} roundedTotal shared {{ usage {{ ...usage }} by {{ kind }} inEqualPartsInstead base }}
                rulesVersion position summedFrom pageInfo {{ hasNextPage endCursor }}
            }}
        }}
        fragment usage on AllocatedUsage {{ calls toolCalls unpricedCalls {} cost }}",
        meters.join(" ")
    )
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    nodes: Vec<Statement>,
    total: Usage,
    rounded_total: Option<String>,
    shared: Shared,
    rules_version: u64,
    position: String,
    summed_from: String,
    page_info: PageInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    cost_centre: Centre,
    lines: Vec<Line>,
    direct: Usage,
    shared: Part,
    total: Option<String>,
    rounded_total: Option<String>,
}

#[derive(Deserialize)]
struct Centre {
    code: String,
    name: String,
}

#[derive(Deserialize)]
struct Line {
    rule: u64,
    value: Option<String>,
    usage: Usage,
}

#[derive(Deserialize)]
struct Part {
    base: String,
    cost: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shared {
    usage: Usage,
    by: By,
    in_equal_parts_instead: bool,
    base: String,
}

#[derive(Deserialize)]
struct By {
    kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Usage {
    calls: i64,
    tool_calls: i64,
    unpriced_calls: i64,
    cost: Option<String>,
    /// The meters.
    #[serde(flatten)]
    quantities: Map<String, Value>,
}

impl Usage {
    /// The sums; none if a number is not one.
    fn view(self) -> Option<UsageView> {
        let mut quantities = [0; Meter::COUNT];
        for (meter, sum) in Meter::ALL.iter().zip(&mut quantities) {
            *sum = self.quantities.get(&field(meter.column()))?.as_str()?.parse().ok()?;
        }
        Some(UsageView {
            calls: self.calls.into(),
            tool_calls: self.tool_calls.into(),
            unpriced_calls: self.unpriced_calls.into(),
            quantities,
            cost: self.cost,
        })
    }
}

impl Statement {
    fn view(self) -> Option<StatementView> {
        let line = |line: Line| Some(LineView { rule: line.rule, value: line.value, usage: line.usage.view()? });
        Some(StatementView {
            code: self.cost_centre.code,
            name: self.cost_centre.name,
            lines: self.lines.into_iter().map(line).collect::<Option<_>>()?,
            direct: self.direct.view()?,
            base: self.shared.base,
            shared_cost: self.shared.cost,
            total: self.total,
            rounded_total: self.rounded_total,
        })
    }
}

impl Page {
    /// The statements, and the cursor of the next page if there is one.
    fn view(self, client: &Client) -> anyhow::Result<(View, Option<String>)> {
        let position = client.position(&self.position, "position")?;
        let next = self.page_info.next();
        let view = || {
            Some(View {
                statements: self.nodes.into_iter().map(Statement::view).collect::<Option<_>>()?,
                total: self.total.view()?,
                rounded_total: self.rounded_total,
                shared: self.shared.usage.view()?,
                shared_by: self.shared.by.kind.to_lowercase(),
                is_in_equal_parts_instead: self.shared.in_equal_parts_instead,
                base: self.shared.base,
                rules_version: self.rules_version,
                position,
                summed_from: self.summed_from,
            })
        };
        Ok((view().ok_or_else(|| client.incomplete("sums of the statements"))?, next))
    }
}

/// Prints statements that a server makes. The server waits for its read models, and is asked again until the time is over.
pub(super) async fn statements(client: &Client, command: &Chargeback) -> anyhow::Result<()> {
    let mut variables = variables(command)?;
    if !command.no_wait && command.known_at.is_none() {
        let head = client.head().await?;
        variables["minPosition"] = head.to_string().into();
    }
    for _ in 0..ATTEMPTS {
        if let Some(view) = read(client, command, variables.clone()).await? {
            command.print(view)?;
            return warn_of_parked(client).await;
        }
    }
    anyhow::bail!(
        "the log grew each of {ATTEMPTS} times while the statements were read, so that they would not add up: run it again, or \
         name a position with --known-at"
    )
}

/// The statements of all pages; none if the pages were made from different sums, and do not add up. Pages of one position may
/// be: a part of the read model may be ahead of the position.
async fn read(client: &Client, command: &Chargeback, mut variables: Value) -> anyhow::Result<Option<View>> {
    let (document, mut read) = (document(), None::<View>);
    let mut is_joined = false;
    loop {
        let ask = async || Ok(client.get::<Page>(&document, variables.clone(), "/costStatements").await?);
        let page = while_late(command.wait.min(MAX_WAIT), &incomplete(command.wait, ""), ask).await?;
        let (mut view, next) = page.view(client)?;
        if let Some(before) = read.take() {
            let Some(joined) = before.followed_by(view) else { return Ok(None) };
            (view, is_joined) = (joined, true);
        }
        let Some(next) = next else { return Ok(Some(view).filter(|view| !is_joined || view.adds_up())) };
        variables["after"] = next.into();
        read = Some(view);
    }
}

fn variables(command: &Chargeback) -> anyhow::Result<Value> {
    let filters: Vec<_> = command.filters.iter().map(|given: &NamedFilter| filter(given)).collect();
    Ok(json!({
        "from": command.from,
        "to": command.to,
        "filter": (!filters.is_empty()).then_some(filters),
        "tagKey": tag_key(&[], &command.filters)?.map(TagKey::as_str),
        "costCentre": command.cost_centre.as_ref().map(|code| code.as_str()),
        "rulesVersion": command.rules_version,
        "knownAt": command.known_at.map(|known_at| match known_at {
            Point::Position(position) => json!({ "position": position.to_string() }),
            Point::Time(time) => json!({ "time": time }),
        }),
        "digits": command.digits,
        "first": PAGE,
    }))
}
