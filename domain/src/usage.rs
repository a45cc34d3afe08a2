//! Tokens and how they were used.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// A count of tokens below 2^53, so that it survives every JSON reader.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u64", into = "u64")]
pub struct Tokens(u64);

/// A number that is no token count.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TokensError {
    /// Below zero.
    #[error("{0} is negative; a token count is 0 or more")]
    Negative(i64),
    /// 2^53 or above.
    #[error("{0} is too large for a token count; the limit is {max}", max = Tokens::MAX)]
    TooLarge(u64),
}

impl Tokens {
    /// The largest count: 2^53 - 1.
    pub const MAX: u64 = (1 << 53) - 1;
    /// None.
    pub const ZERO: Self = Self(0);

    /// Checks a count.
    ///
    /// # Errors
    /// [`TokensError::TooLarge`] from 2^53 on.
    pub fn new(count: u64) -> Result<Self, TokensError> {
        if count <= Self::MAX { Ok(Self(count)) } else { Err(TokensError::TooLarge(count)) }
    }

    /// The count.
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
/// `input`, `cache_read` and `cache_write` are disjoint: providers that report cached tokens inside the prompt
/// count (OpenAI) are normalised when they are read. `reasoning` is the part of `output` that was not shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Prompt tokens that came from no cache.
    pub input: Tokens,
    /// Generated tokens, reasoning included.
    pub output: Tokens,
    /// Prompt tokens read from the provider's cache.
    #[serde(default)]
    pub cache_read: Tokens,
    /// Prompt tokens written to the provider's cache.
    #[serde(default)]
    pub cache_write: Tokens,
    /// The part of `output` spent on reasoning.
    #[serde(default)]
    pub reasoning: Tokens,
}

/// Counts that contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UsageError {
    /// Reasoning is a part of output.
    #[error("{reasoning} reasoning tokens exceed the {output} output tokens that they are a part of")]
    ReasoningExceedsOutput {
        /// Reasoning tokens.
        reasoning: u64,
        /// Output tokens.
        output: u64,
    },
}

impl Usage {
    /// Checks the counts against each other.
    ///
    /// # Errors
    /// [`UsageError::ReasoningExceedsOutput`].
    pub fn check(&self) -> Result<(), UsageError> {
        if self.reasoning > self.output {
            return Err(UsageError::ReasoningExceedsOutput { reasoning: self.reasoning.0, output: self.output.0 });
        }
        Ok(())
    }

    /// What two records of the same call say together. Records of one call are partial views of growing counts, so the
    /// larger is the final one, in whatever order they arrive. The three kinds of prompt tokens are one count that is
    /// split up: they are taken together, from the record that saw the larger prompt and knows more of the cache.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        let knowledge = |usage: &Self| {
            let cached = usage.cache_read.0.saturating_add(usage.cache_write.0);
            (usage.prompt(), cached, usage.cache_read)
        };
        let prompt = if knowledge(other) > knowledge(self) { other } else { self };
        Self {
            input: prompt.input,
            cache_read: prompt.cache_read,
            cache_write: prompt.cache_write,
            output: self.output.max(other.output),
            reasoning: self.reasoning.max(other.reasoning),
        }
    }

    /// All tokens of the prompt, cached or not: what price tiers go by.
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
        fn joining_is_the_same_in_any_order_and_never_adds(
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
