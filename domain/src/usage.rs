//! Tokens and how they were used.

use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// A count of tokens below 2^53, so that it survives every JSON reader.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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

    /// What two records of the same call say together: the larger count of each kind. Records of one call are
    /// partial views of growing counts, so the largest is the final one, in whatever order they arrive.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        Self {
            input: self.input.max(other.input),
            output: self.output.max(other.output),
            cache_read: self.cache_read.max(other.cache_read),
            cache_write: self.cache_write.max(other.cache_write),
            reasoning: self.reasoning.max(other.reasoning),
        }
    }

    /// All tokens of the prompt, cached or not: what price tiers go by.
    #[must_use]
    pub fn prompt(&self) -> u64 {
        self.input.0.saturating_add(self.cache_read.0).saturating_add(self.cache_write.0)
    }
}
