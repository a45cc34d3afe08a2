//! The versions of FOCUS.

use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// The version of FOCUS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FocusVersion {
    /// 1.2, which most tools read.
    V1_2,
    /// 1.4.
    V1_4,
}

/// A text that is not a version of FOCUS.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the versions of FOCUS are 1.4 and 1.2")]
pub struct UnknownFocusVersion;

impl FocusVersion {
    /// Every version.
    pub const ALL: [Self; 2] = [Self::V1_4, Self::V1_2];

    /// The version as FOCUS writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1_2 => "1.2",
            Self::V1_4 => "1.4",
        }
    }
}

impl fmt::Display for FocusVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for FocusVersion {
    type Err = UnknownFocusVersion;

    fn from_str(text: &str) -> Result<Self, UnknownFocusVersion> {
        Self::ALL.into_iter().find(|version| version.as_str() == text).ok_or(UnknownFocusVersion)
    }
}
