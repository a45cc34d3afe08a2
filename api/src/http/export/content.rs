//! What is exported.

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Calls,
    Focus,
}

impl Content {
    /// What the access log calls it.
    pub(super) fn data(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Focus => "focus",
        }
    }
}
