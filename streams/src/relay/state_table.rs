//! The read models that have a state topic.

/// A read model with one row per stream.
#[derive(Debug, Clone, Copy)]
pub struct StateTable {
    /// The name of the read model, and of its topic: `PREFIX.state.NAME`.
    pub name: &'static str,
    /// The name of the topic's checkpoint.
    pub checkpoint: &'static str,
    /// The category of the streams.
    pub category: &'static str,
    /// The table of the read model.
    pub table: &'static str,
    /// The column with the stream's id.
    pub id: &'static str,
    /// Columns that are not published.
    pub hidden: &'static [&'static str],
    /// Decimal columns, which are published as strings.
    pub decimals: &'static [&'static str],
}
