//! Token counts and the usage of a call.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// A count of tokens below 2^53, which every JSON parser reads exactly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u64", into = "u64")]
pub struct Tokens(u64);

/// Why a number is not a token count.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TokensError {
    /// The number is below zero.
    #[error("{0} is negative; a token count is 0 or more")]
    Negative(i64),
    /// The number is 2^53 or above.
    #[error("{0} is too large for a token count; the limit is {max}", max = Tokens::MAX)]
    TooLarge(u64),
}

impl Tokens {
    /// The largest count: 2^53 - 1.
    pub const MAX: u64 = (1 << 53) - 1;
    /// Zero tokens.
    pub const ZERO: Self = Self(0);

    /// Validates a count.
    ///
    /// # Errors
    /// [`TokensError::TooLarge`] if the count is 2^53 or above.
    pub fn new(count: u64) -> Result<Self, TokensError> {
        if count <= Self::MAX { Ok(Self(count)) } else { Err(TokensError::TooLarge(count)) }
    }

    /// The number of tokens.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for Tokens {
    type Error = TokensError;

    fn try_from(count: u64) -> Result<Self, Self::Error> {
        Self::new(count)
    }
}

impl TryFrom<i64> for Tokens {
    type Error = TokensError;

    fn try_from(count: i64) -> Result<Self, Self::Error> {
        u64::try_from(count).map_err(|_| TokensError::Negative(count)).and_then(Self::new)
    }
}

impl From<Tokens> for u64 {
    fn from(tokens: Tokens) -> Self {
        tokens.0
    }
}

impl fmt::Display for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The tokens of one call, by kind.
///
/// `input`, `cache_read` and `cache_write` are disjoint: counts of providers that include cached tokens in the prompt
/// (OpenAI) are normalised on import. `reasoning` is included in `output`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Prompt tokens that were neither read from nor written to the provider's cache.
    pub input: Tokens,
    /// Generated tokens, including reasoning tokens.
    pub output: Tokens,
    /// Prompt tokens read from the provider's cache.
    #[serde(default)]
    pub cache_read: Tokens,
    /// Prompt tokens written to the provider's cache.
    #[serde(default)]
    pub cache_write: Tokens,
    /// The reasoning tokens that are included in `output`.
    #[serde(default)]
    pub reasoning: Tokens,
}

/// Why counts contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UsageError {
    /// There are more reasoning tokens than output tokens, which include them.
    #[error("{reasoning} reasoning tokens exceed the {output} output tokens, which include them")]
    ReasoningExceedsOutput {
        /// The number of reasoning tokens.
        reasoning: u64,
        /// The number of output tokens.
        output: u64,
    },
}

impl Usage {
    /// Checks that the counts do not contradict each other.
    ///
    /// # Errors
    /// [`UsageError::ReasoningExceedsOutput`] if there are more reasoning tokens than output tokens.
    pub fn check(&self) -> Result<(), UsageError> {
        if self.reasoning > self.output {
            return Err(UsageError::ReasoningExceedsOutput { reasoning: self.reasoning.0, output: self.output.0 });
        }
        Ok(())
    }

    /// Joins the usage of two records of one call, in any order. Records are partial views of growing counts, so the larger
    /// count is the final one. The three kinds of prompt tokens are one count that is split up: they are taken together,
    /// from the record with the larger prompt, or else with more cached tokens.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        let detail = |usage: &Self| {
            let cached = usage.cache_read.0.saturating_add(usage.cache_write.0);
            (usage.prompt(), cached, usage.cache_read)
        };
        let prompt = if detail(other) > detail(self) { other } else { self };
        Self {
            input: prompt.input,
            cache_read: prompt.cache_read,
            cache_write: prompt.cache_write,
            output: self.output.max(other.output),
            reasoning: self.reasoning.max(other.reasoning),
        }
    }

    /// The number of prompt tokens, including cached ones. Price tiers depend on it.
    #[must_use]
    pub fn prompt(&self) -> u64 {
        self.input.0.saturating_add(self.cache_read.0).saturating_add(self.cache_write.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usage([input, output, cache_read, cache_write, reasoning]: [u64; 5]) -> Usage {
        let [input, output, cache_read, cache_write, reasoning] =
            [input, output, cache_read, cache_write, reasoning].map(Tokens);
        Usage { input, output, cache_read, cache_write, reasoning }
    }

    #[test]
    fn a_prompt_that_two_records_split_differently_is_counted_once() {
        let whole = usage([1000, 5, 0, 0, 0]);
        let split = usage([200, 5, 800, 0, 0]);
        assert_eq!(whole.join(&split), split);
        assert_eq!(split.join(&whole), split);
    }

    proptest! {
        #[test]
        fn joining_is_commutative_associative_and_idempotent(
            a in prop::array::uniform5(0_u64..5), b in prop::array::uniform5(0_u64..5), c in prop::array::uniform5(0_u64..5),
        ) {
            let (a, b, c) = (usage(a), usage(b), usage(c));
            prop_assert_eq!(a.join(&b), b.join(&a));
            prop_assert_eq!(a.join(&b).join(&c), a.join(&b.join(&c)));
            prop_assert_eq!(a.join(&a), a);
            prop_assert_eq!(a.join(&b).prompt(), a.prompt().max(b.prompt()));
        }
    }
}
