//! What is limited, and how much of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LimitedResource {
    /// Requests, and operations over a WebSocket, each minute.
    Requests,
    /// Bytes of requests that give commands, each minute.
    IngestBytes,
    /// The complexity of the documents that are executed, each minute.
    Complexity,
    /// Subscriptions and event streams that are open at the same time.
    Subscriptions,
}

impl LimitedResource {
    /// Every resource.
    pub const ALL: [Self; 4] = [Self::Requests, Self::IngestBytes, Self::Complexity, Self::Subscriptions];

    /// The name in settings, metrics and messages.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::IngestBytes => "ingest_bytes",
            Self::Complexity => "complexity",
            Self::Subscriptions => "subscriptions",
        }
    }
}

/// How much of a resource: 1 to 1,000,000,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u32", into = "u32")]
#[schemars(extend("minimum" = 1, "maximum" = 1_000_000_000))]
pub struct LimitAmount(u32);

/// The number is not the amount of a limit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not the amount of a limit, which is a number from 1 to {max}", max = LimitAmount::MAX)]
pub struct LimitAmountError(String);

impl LimitAmount {
    /// The largest amount. As the limit of a tenant it is as good as none.
    pub const MAX: u32 = 1_000_000_000;
    /// The smallest amount.
    pub const ONE: Self = Self(1);

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for LimitAmount {
    type Error = LimitAmountError;

    fn try_from(amount: u32) -> Result<Self, Self::Error> {
        let is_valid = (1..=Self::MAX).contains(&amount);
        if is_valid { Ok(Self(amount)) } else { Err(LimitAmountError(amount.to_string())) }
    }
}

impl From<LimitAmount> for u32 {
    fn from(amount: LimitAmount) -> Self {
        amount.0
    }
}

impl FromStr for LimitAmount {
    type Err = LimitAmountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed: u32 = text.parse().map_err(|_| LimitAmountError(text.to_owned()))?;
        Self::try_from(parsed)
    }
}

impl fmt::Display for LimitAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A limit on each resource; none where the default applies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LimitValues {
    /// Requests, and operations over a WebSocket, each minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<LimitAmount>,
    /// Bytes of requests that give commands, each minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingest_bytes_per_minute: Option<LimitAmount>,
    /// The complexity of the documents that are executed, each minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complexity_per_minute: Option<LimitAmount>,
    /// Subscriptions and event streams that are open at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscriptions: Option<LimitAmount>,
}

impl LimitValues {
    /// The limit on a resource.
    #[must_use]
    pub const fn of(&self, resource: LimitedResource) -> Option<LimitAmount> {
        match resource {
            LimitedResource::Requests => self.requests_per_minute,
            LimitedResource::IngestBytes => self.ingest_bytes_per_minute,
            LimitedResource::Complexity => self.complexity_per_minute,
            LimitedResource::Subscriptions => self.subscriptions,
        }
    }

    /// Sets the limit on a resource.
    pub fn set(&mut self, resource: LimitedResource, amount: Option<LimitAmount>) {
        let value = match resource {
            LimitedResource::Requests => &mut self.requests_per_minute,
            LimitedResource::IngestBytes => &mut self.ingest_bytes_per_minute,
            LimitedResource::Complexity => &mut self.complexity_per_minute,
            LimitedResource::Subscriptions => &mut self.subscriptions,
        };
        *value = amount;
    }

    /// These limits, with those of `defaults` where there is none.
    #[must_use]
    pub fn or(self, defaults: Self) -> Self {
        Self {
            requests_per_minute: self.requests_per_minute.or(defaults.requests_per_minute),
            ingest_bytes_per_minute: self.ingest_bytes_per_minute.or(defaults.ingest_bytes_per_minute),
            complexity_per_minute: self.complexity_per_minute.or(defaults.complexity_per_minute),
            subscriptions: self.subscriptions.or(defaults.subscriptions),
        }
    }
}
