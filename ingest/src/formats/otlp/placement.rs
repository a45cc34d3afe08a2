//! Whether cached tokens and reasoning tokens are inside of the counts of prompt and output, or beside them.

use crate::error::RefusalReason;
use domain::{Meter, Quantity, Usage};

/// A quantity; refused if it is too large.
pub(super) fn checked(number: u64) -> Result<Quantity, RefusalReason> {
    Quantity::new(number).map_err(|cause| RefusalReason::Quantity { field: "gen_ai.usage", cause })
}

/// The counts that decide what is inside of what.
pub(super) struct Counts {
    input: u64,
    output: u64,
    cached: u64,
    reasoning: u64,
}

/// Whether parts are beside their whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placement {
    pub(super) cached_beside: bool,
    pub(super) reasoning_beside: bool,
}

impl Counts {
    pub(super) fn of(usage: &Usage) -> Self {
        let input = usage.get(Meter::Input).get();
        let reasoning = usage.get(Meter::Reasoning).get();
        Self { input, output: usage.get(Meter::Output).get(), cached: usage.prompt() - input, reasoning }
    }

    /// Where cached tokens and reasoning tokens are, and whether the counts decide it.
    pub(super) fn placement(&self, total: Option<u64>) -> (Placement, bool) {
        let places = [(false, false), (true, false), (false, true), (true, true)];
        let places = places.map(|(cached_beside, reasoning_beside)| Placement { cached_beside, reasoning_beside });
        let fits = |place: &Placement| {
            // What is zero is inside.
            let is_possible = |part: u64, whole: u64, beside: bool| if beside { part > 0 } else { part <= whole };
            is_possible(self.cached, self.input, place.cached_beside)
                && is_possible(self.reasoning, self.output, place.reasoning_beside)
        };
        let possible: Vec<_> = places.into_iter().filter(fits).collect();
        let sum = |place: &Placement| {
            // Fewer than 2^11 quantities below 2^53: the sum does not overflow.
            let beside = |part: u64, beside: bool| if beside { part } else { 0 };
            let cached = beside(self.cached, place.cached_beside);
            self.input + cached + self.output + beside(self.reasoning, place.reasoning_beside)
        };
        let of_total: Vec<_> = possible.iter().filter(|place| Some(sum(place)) == total).collect();
        let convention = possible.first().copied();
        let convention = convention.unwrap_or(Placement { cached_beside: false, reasoning_beside: false });
        match of_total.as_slice() {
            [decided] => (**decided, true),
            // By the total both may be: the convention is one of them, or none is.
            _ => (convention, possible.len() == 1),
        }
    }
}

impl Placement {
    /// Makes the meters disjoint, and each whole include its parts.
    pub(super) fn apply(self, usage: &mut Usage) -> Result<(), RefusalReason> {
        if self.reasoning_beside {
            usage.set(Meter::Output, checked(usage.get(Meter::Output).get() + usage.get(Meter::Reasoning).get())?);
        }
        for &whole in Meter::ALL {
            let parts: u64 = whole.parts().map(|part| usage.get(part).get()).sum();
            if parts > usage.get(whole).get() {
                usage.set(whole, checked(usage.get(whole).get() + parts)?);
            }
        }
        let input = usage.get(Meter::Input).get();
        let cached = usage.prompt() - input;
        if !self.cached_beside {
            usage.set(Meter::Input, checked(input.saturating_sub(cached))?);
        }
        // What was cached of the parts of the input is counted as cached.
        let mut rest = usage.get(Meter::Input);
        for part in Meter::Input.parts() {
            let uncached = usage.get(part).min(rest);
            usage.set(part, uncached);
            rest = checked(rest.get() - uncached.get())?;
        }
        Ok(())
    }
}
