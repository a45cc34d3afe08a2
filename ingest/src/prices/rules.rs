//! Compiles rules of which the first one that applies decides, as most tables have them, into components of which the one
//! with the most conditions applies, as prices have them.

use domain::Meter;
use domain::price_book::{Conditions, ContextSize, MAX_COMPONENTS, PriceComponent, Rate};
use std::collections::BTreeSet;
use std::num::NonZeroU64;

/// A rate with the conditions under which it applies, unless an earlier rule does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) when: Conditions,
    pub(super) rate: Rate,
}

/// The components of a meter: one for the conditions of each rule, and one for those of any rules that can apply together,
/// each with the rate of the first of them. So whichever rules apply to a call, there is a component with all of their
/// conditions, and it is the one that has the most. None if there are more than a price can have.
pub(super) fn compile(meter: Meter, per: NonZeroU64, rules: &[Rule]) -> Option<Vec<PriceComponent>> {
    let mut cases: BTreeSet<Conditions> = rules.iter().map(|rule| rule.when.clone()).collect();
    loop {
        let mut more = BTreeSet::new();
        for (n, one) in cases.iter().enumerate() {
            more.extend(cases.iter().skip(n + 1).filter_map(|other| both(one, other)));
        }
        let before = cases.len();
        cases.extend(more);
        if cases.len() > MAX_COMPONENTS {
            return None;
        }
        if cases.len() == before {
            break;
        }
    }
    let component = |when: Conditions| {
        let first = rules.iter().find(|rule| is_implied(&rule.when, &when))?;
        Some(PriceComponent { meter, rate: first.rate, per, when })
    };
    Some(cases.into_iter().filter_map(component).collect())
}

/// The conditions of calls that meet both; none if no call can.
pub(super) fn both(one: &Conditions, other: &Conditions) -> Option<Conditions> {
    fn same<T: Clone + PartialEq>(one: &Option<T>, other: &Option<T>) -> Option<Option<T>> {
        match (one, other) {
            (Some(one), Some(other)) => (one == other).then(|| Some(one.clone())),
            (Some(only), None) | (None, Some(only)) => Some(Some(only.clone())),
            (None, None) => Some(None),
        }
    }
    let above = one.context.into_iter().chain(other.context).map(|context| context.above).max();
    Some(Conditions {
        context: above.map(|above| ContextSize { above, graduated: false }),
        service_tier: same(&one.service_tier, &other.service_tier)?,
        speed: same(&one.speed, &other.speed)?,
        region: same(&one.region, &other.region)?,
        time: same(&one.time, &other.time)?,
    })
}

/// Whether every call that meets `when` meets the conditions.
fn is_implied(conditions: &Conditions, when: &Conditions) -> bool {
    both(conditions, when).as_ref() == Some(when)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Name;
    use domain::price_book::{MILLION, rate};

    fn rule(above: u64, tier: Option<&str>, speed: Option<&str>, dollars: u32) -> Rule {
        let context = (above > 0).then_some(ContextSize { above, graduated: false });
        let named = |text: &str| Name::new(text).unwrap();
        let when =
            Conditions { context, service_tier: tier.map(named), speed: speed.map(named), ..Conditions::default() };
        Rule { when, rate: rate(dollars.into()).unwrap() }
    }

    fn compiled(rules: &[Rule]) -> Vec<String> {
        let components = compile(Meter::Input, MILLION, rules).unwrap();
        components.iter().map(|component| format!("{} {}", component.rate, component.when)).collect()
    }

    #[test]
    fn the_first_rule_that_applies_decides() {
        // Batches have one rate for every size, and precede the sizes.
        let rules = [rule(0, Some("batch"), None, 1), rule(200, None, None, 4), rule(0, None, None, 2)];
        let expected = ["2 ", "1 service_tier batch", "4 context > 200", "1 context > 200, service_tier batch"];
        assert_eq!(compiled(&rules), expected);
        let three = [rule(0, Some("batch"), None, 1), rule(0, None, Some("fast"), 9), rule(0, None, None, 2)];
        assert_eq!(
            compiled(&three),
            ["2 ", "9 speed fast", "1 service_tier batch", "1 service_tier batch, speed fast"]
        );
    }

    #[test]
    fn more_components_than_a_price_has_are_not_compiled() {
        let rules: Vec<_> = (0..65).map(|above| rule(above, None, None, 1)).collect();
        assert_eq!(compile(Meter::Input, MILLION, &rules), None);
    }
}
