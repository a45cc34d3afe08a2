//! Statements as they are printed, wherever they were made.

use anyhow::Context as _;
use domain::allocation::{AllocatedUsage, CostStatement, DirectLine, SharedCost};
use domain::{Meter, Sum};
use projections::CostStatements;
use streams::Position;

/// The statements of a period.
#[derive(Clone)]
pub(super) struct View {
    /// The statements, in the order of the codes.
    pub(super) statements: Vec<StatementView>,
    /// All usage.
    pub(super) total: UsageView,
    /// The rounded cost of all usage; none if it is unknown.
    pub(super) rounded_total: Option<String>,
    /// The usage that no rule assigned.
    pub(super) shared: UsageView,
    /// How its cost is shared.
    pub(super) shared_by: String,
    /// Whether it is shared in equal parts instead.
    pub(super) is_in_equal_parts_instead: bool,
    /// The sum of the bases of all parts.
    pub(super) base: String,
    /// The version of the allocation rules.
    pub(super) rules_version: u64,
    /// The position up to which every event of calls is contained.
    pub(super) position: Position,
    /// What the statements were summed from.
    pub(super) summed_from: String,
}

/// The statement of a cost centre.
#[derive(Clone)]
pub(super) struct StatementView {
    pub(super) code: String,
    pub(super) name: String,
    pub(super) lines: Vec<LineView>,
    pub(super) direct: UsageView,
    /// What the part of the shared cost is in proportion to.
    pub(super) base: String,
    /// None if it is unknown, because no shared call has a price.
    pub(super) shared_cost: Option<String>,
    /// None if it is unknown, because no call has a price.
    pub(super) total: Option<String>,
    /// None if the total is unknown.
    pub(super) rounded_total: Option<String>,
}

/// Usage that a rule assigned.
#[derive(Clone)]
pub(super) struct LineView {
    pub(super) rule: u64,
    pub(super) value: Option<String>,
    pub(super) usage: UsageView,
}

/// Sums of usage.
#[derive(Clone, PartialEq)]
pub(super) struct UsageView {
    pub(super) calls: i128,
    pub(super) tool_calls: i128,
    pub(super) unpriced_calls: i128,
    /// The sum of each meter, in the order of [`Meter::ALL`].
    pub(super) quantities: [i128; Meter::COUNT],
    /// None if it is unknown, because no call has a price.
    pub(super) cost: Option<String>,
}

impl From<&AllocatedUsage> for UsageView {
    fn from(usage: &AllocatedUsage) -> Self {
        Self {
            calls: usage.calls,
            tool_calls: usage.tool_calls,
            unpriced_calls: usage.unpriced_calls,
            quantities: usage.quantities,
            cost: usage.known_cost().map(ToString::to_string),
        }
    }
}

/// The name of a way to share costs, as events have it.
pub(super) fn shared_by(by: &SharedCost) -> anyhow::Result<String> {
    let value = serde_json::to_value(by)?;
    let kind = value.get("kind").and_then(serde_json::Value::as_str);
    Ok(kind.context("a way to share costs has a kind")?.to_owned())
}

impl View {
    pub(super) fn new(made: &CostStatements, rules_version: u64, digits: u32) -> anyhow::Result<Self> {
        let allocation = &made.allocation;
        let rounded = allocation.rounded(digits);
        let statement = |statement: &CostStatement| {
            let line = |line: &DirectLine| LineView {
                rule: u64::try_from(line.rule).unwrap_or(u64::MAX),
                value: line.value.clone(),
                usage: (&line.usage).into(),
            };
            let code = &statement.cost_centre.code;
            StatementView {
                code: code.to_string(),
                name: statement.cost_centre.name.to_string(),
                lines: statement.lines.iter().map(line).collect(),
                direct: (&statement.direct).into(),
                base: statement.shared.base.to_string(),
                shared_cost: statement.shared.known_cost(&allocation.shared).map(ToString::to_string),
                total: statement.known_total().map(ToString::to_string),
                rounded_total: statement.known_total().and_then(|_| rounded.get(code)).map(ToString::to_string),
            }
        };
        Ok(Self {
            statements: allocation.statements.iter().map(statement).collect(),
            total: (&allocation.total).into(),
            rounded_total: allocation.rounded_total(digits).as_ref().map(ToString::to_string),
            shared: (&allocation.shared.usage).into(),
            shared_by: shared_by(&allocation.shared.by)?,
            is_in_equal_parts_instead: allocation.shared.is_in_equal_parts_instead,
            base: allocation.shared.base.to_string(),
            rules_version,
            position: made.position,
            summed_from: made.summed_from.clone(),
        })
    }

    /// These statements and those of the next page; none if the pages were made from different sums.
    pub(super) fn followed_by(mut self, next: Self) -> Option<Self> {
        let is_same = (self.position, self.rules_version) == (next.position, next.rules_version)
            && (&self.total, &self.rounded_total) == (&next.total, &next.rounded_total)
            && (&self.shared, &self.base) == (&next.shared, &next.base);
        self.statements.extend(next.statements);
        is_same.then_some(self)
    }

    /// Whether the statements of all cost centres add up to the total: the usage, and each cost of which all parts are known.
    pub(super) fn adds_up(&self) -> bool {
        let mut assigned: Vec<_> = counts(&self.shared).collect();
        for statement in &self.statements {
            assigned.iter_mut().zip(counts(&statement.direct)).for_each(|(sum, of)| *sum = sum.saturating_add(of));
        }
        let all = |of: fn(&StatementView) -> Option<&String>| self.statements.iter().map(of);
        let direct = all(|of| of.direct.cost.as_ref()).chain([self.shared.cost.as_ref()]);
        assigned.into_iter().eq(counts(&self.total))
            && is_sum(self.total.cost.as_ref(), direct)
            && is_sum(self.shared.cost.as_ref(), all(|of| of.shared_cost.as_ref()))
            && is_sum(self.total.cost.as_ref(), all(|of| of.total.as_ref()))
            && is_sum(self.rounded_total.as_ref(), all(|of| of.rounded_total.as_ref()))
    }
}

/// The numbers of calls, and the sum of each meter.
fn counts(usage: &UsageView) -> impl Iterator<Item = i128> {
    [usage.calls, usage.tool_calls, usage.unpriced_calls].into_iter().chain(usage.quantities)
}

/// Whether an amount is the sum of its parts. If one of them is unknown, that is unknown too, and nothing speaks against it.
fn is_sum<'v>(amount: Option<&String>, mut parts: impl Iterator<Item = Option<&'v String>>) -> bool {
    let sum = parts.try_fold(Sum::default(), |mut sum, part| {
        sum += &Sum::parse(part?).ok()?;
        Some(sum)
    });
    let amount = amount.and_then(|amount| Sum::parse(amount).ok());
    sum.zip(amount).is_none_or(|(sum, amount)| sum == amount)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::allocation::{AllocationDimension, AllocationRule, AllocationRuleSet, Allocator, CostCentre};
    use domain::{CostCentreCode, Name};

    /// Usage with a team, or with none: the number of calls, of those without a price, and the cost.
    type Row = (Option<&'static str>, i128, i128, &'static str);

    fn code(text: &str) -> CostCentreCode {
        CostCentreCode::new(text).unwrap()
    }

    fn view(shared_cost: SharedCost, rows: &[Row]) -> View {
        let team = AllocationDimension::Team;
        let centre = |text| CostCentre { code: code(text), name: Name::new(text).unwrap() };
        let rules = AllocationRuleSet {
            cost_centres: vec![centre("A"), centre("B"), centre("C")],
            rules: vec![AllocationRule::Codes { dimension: team.clone() }],
            shared_cost,
        };
        let mut allocator = Allocator::new(&rules, &[team]);
        for (key, calls, unpriced_calls, cost) in rows {
            let (calls, unpriced_calls, cost) = (*calls, *unpriced_calls, Sum::parse(cost).unwrap());
            let usage = AllocatedUsage { calls, unpriced_calls, cost, ..AllocatedUsage::default() };
            allocator.add(&[key.map(str::to_owned)], &usage);
        }
        let allocation = allocator.finish().unwrap();
        View::new(&CostStatements { allocation, position: 7_u64.into(), summed_from: String::new() }, 1, 2).unwrap()
    }

    /// The part of the shared cost, the total and the rounded total of each statement, and the rounded total of all.
    fn shown(view: &View) -> (Vec<[Option<&str>; 3]>, Option<&str>) {
        let mut amounts = Vec::new();
        for of in &view.statements {
            amounts.push([of.shared_cost.as_deref(), of.total.as_deref(), of.rounded_total.as_deref()]);
        }
        (amounts, view.rounded_total.as_deref())
    }

    #[test]
    fn a_cost_without_any_priced_call_is_unknown_and_not_zero() {
        let (zero, unknown) = ([Some("0"); 3], [Some("0"), None, None]);
        let nothing_shared = view(SharedCost::InEqualParts, &[(Some("A"), 2, 2, "0")]);
        assert_eq!(shown(&nothing_shared), (vec![unknown, zero, zero], None));
        let shared = [(Some("A"), 1, 0, "2.005"), (None, 2, 2, "0")];
        let equal = view(SharedCost::InEqualParts, &shared);
        let priced = [None, Some("2.005"), Some("2")];
        assert_eq!(shown(&equal), (vec![priced, [None; 3], [None; 3]], Some("2")));
        // Who has no part of it does not have an unknown one.
        let to_one = view(SharedCost::To { cost_centre: code("C") }, &shared);
        let priced = [Some("0"), Some("2.005"), Some("2")];
        assert_eq!(shown(&to_one), (vec![priced, zero, [None; 3]], Some("2")));
    }

    /// The first statement, and the others, as two pages.
    fn pages(view: &View) -> [View; 2] {
        let (mut first, mut rest) = (view.clone(), view.clone());
        first.statements.truncate(1);
        rest.statements.remove(0);
        [first, rest]
    }

    #[test]
    fn pages_that_were_made_from_different_sums_do_not_add_up() {
        let rows: [Row; 3] = [(Some("A"), 2, 0, "10"), (Some("B"), 3, 1, "20"), (None, 1, 0, "0.01")];
        let of = |rows: &[Row]| pages(&view(SharedCost::ByDirectCost, rows));
        let [first, rest] = of(&rows);
        assert!(first.clone().followed_by(rest).unwrap().adds_up());
        // One more call.
        let [_, more] = of(&[rows[0], rows[1], rows[2], (Some("C"), 1, 0, "1")]);
        assert!(first.clone().followed_by(more).is_none());
        // The same total, and a call or a cost that was corrected from one cost centre to another one.
        for [a, b] in [[(1, "10"), (4, "20")], [(2, "9"), (3, "21")]] {
            let [_, moved] = of(&[(Some("A"), a.0, 0, a.1), (Some("B"), b.0, 1, b.1), rows[2]]);
            assert!(!first.clone().followed_by(moved).unwrap().adds_up());
        }
        let [_, mut other] = of(&rows);
        other.position = 8_u64.into();
        assert!(first.followed_by(other).is_none());
    }

    #[test]
    fn statements_with_unknown_costs_add_up_by_their_calls() {
        let rows = [(Some("A"), 2, 2, "0"), (Some("B"), 1, 0, "3"), (None, 1, 1, "0")];
        let unknown = view(SharedCost::InEqualParts, &rows);
        assert!(unknown.adds_up());
        let mut lost = unknown;
        lost.statements.remove(0);
        assert!(!lost.adds_up());
    }
}
