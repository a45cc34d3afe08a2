//! The limits of budgets.

/// The maximum number of temporary raises of a budget that are in force at the same time.
pub const MAX_RAISES: usize = 8;
/// The maximum number of recurrences that a budget has one after the other.
pub const MAX_SEGMENTS: usize = 16;
/// The maximum number of budgets of a tenant that are decided on before calls are made.
pub const MAX_CONTROLLED: usize = 1000;
/// The maximum number of models that a budget names as cheaper ones.
pub const MAX_DEGRADED_MODELS: usize = 8;
/// The longest time in minutes that a request for approval waits for an answer: a week.
pub const MAX_APPROVAL_MINUTES: u32 = 7 * 24 * 60;
/// The maximum number of parts of the periods of a budget.
pub const MAX_PARTS: u8 = 8;
/// The maximum number of delegations of a budget that run at the same time.
pub const MAX_DELEGATIONS: usize = 8;
/// The maximum number of parts beside the first ones, of all budgets that apply to one call.
pub const MAX_FURTHER_PARTS: usize = 8;
/// The maximum number of budgets that apply to one call, each counted with its parts. No budget is defined with which more could.
pub const MAX_APPLYING_BUDGETS: usize = 24;
