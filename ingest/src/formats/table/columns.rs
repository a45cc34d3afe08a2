//! What the columns of a table hold.

use domain::{Meter, TagKey};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// When the call started.
    Time,
    /// The model.
    Model,
    /// The provider.
    Provider,
    /// The quantity of a meter. Input is without what was cached.
    Meter(Meter),
    /// The tokens of the whole prompt, with what was cached.
    Prompt,
    /// The name of the agent.
    Agent,
    /// The name of the task.
    Task,
    /// The id of the conversation.
    Conversation,
    /// The id of the user.
    User,
    /// The team.
    Team,
    /// The name or id of the API key.
    Key,
    /// The cost in US dollars that the source computed.
    Cost,
    /// The duration in milliseconds.
    LatencyMs,
    /// The id that the provider gave the response.
    ResponseId,
    /// The id that the provider gave the request.
    RequestId,
    /// The service tier.
    ServiceTier,
    /// The region.
    Region,
    /// The error of a failed call.
    Error,
    /// The value of a tag.
    Tag(TagKey),
}

/// The columns without a value, by the names that options give them.
const NAMES: [(&str, Column); 17] = [
    ("time", Column::Time),
    ("model", Column::Model),
    ("provider", Column::Provider),
    ("prompt", Column::Prompt),
    ("agent", Column::Agent),
    ("task", Column::Task),
    ("conversation", Column::Conversation),
    ("user", Column::User),
    ("team", Column::Team),
    ("key", Column::Key),
    ("cost", Column::Cost),
    ("latency_ms", Column::LatencyMs),
    ("response_id", Column::ResponseId),
    ("request_id", Column::RequestId),
    ("service_tier", Column::ServiceTier),
    ("region", Column::Region),
    ("error", Column::Error),
];

/// Why text does not name columns.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ColumnError {
    /// The text is not of the form FIELD=COLUMN.
    #[error("{0:?} is not of the form FIELD=COLUMN")]
    Form(String),
    /// There is no such field.
    #[error("{found:?} is no field of a call; fields are {fields}, tag:KEY, and the meters {meters}")]
    UnknownField {
        /// The text.
        found: String,
        /// The fields that are no meters.
        fields: String,
        /// The meters.
        meters: String,
    },
}

impl FromStr for Column {
    type Err = ColumnError;

    fn from_str(text: &str) -> Result<Self, ColumnError> {
        if let Some((_, column)) = NAMES.iter().find(|(name, _)| *name == text) {
            return Ok(column.clone());
        }
        if let Ok(meter) = text.parse() {
            return Ok(Self::Meter(meter));
        }
        let tag = text.strip_prefix("tag:").and_then(|key| TagKey::new(key).ok());
        tag.map(Self::Tag).ok_or_else(|| ColumnError::UnknownField {
            found: text.chars().take(64).collect(),
            fields: NAMES.map(|(name, _)| name).join(", "),
            meters: Meter::ALL.iter().map(|meter| meter.name()).collect::<Vec<_>>().join(", "),
        })
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Meter(meter) => f.write_str(meter.name()),
            Self::Tag(key) => write!(f, "tag:{key}"),
            other => {
                let name = NAMES.iter().find(|(_, column)| column == other).map_or("", |(name, _)| name);
                f.write_str(name)
            }
        }
    }
}

/// The columns of a table, by what they hold. A column that is not named has the name of what it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns(BTreeMap<Column, String>);

/// Where the value of a column is.
pub(super) struct Source<'a> {
    pub(super) name: Cow<'a, str>,
}

impl Columns {
    /// The columns that texts of the form FIELD=COLUMN name.
    ///
    /// # Errors
    /// [`ColumnError`] if a text has another form, or names no field.
    pub fn parse(texts: &[String]) -> Result<Self, ColumnError> {
        let mut columns = BTreeMap::new();
        for text in texts {
            let (field, column) = text.split_once('=').ok_or_else(|| ColumnError::Form(text.clone()))?;
            columns.insert(field.trim().parse()?, column.trim().to_owned());
        }
        Ok(Self(columns))
    }

    pub(super) fn source(&self, column: &Column) -> Source<'_> {
        let named = self.0.get(column).map(|name| Cow::Borrowed(name.as_str()));
        Source { name: named.unwrap_or_else(|| Cow::Owned(column.to_string())) }
    }

    /// The columns that are named, with their names in the table.
    pub(super) fn named(&self) -> impl Iterator<Item = (&Column, &str)> {
        self.0.iter().map(|(column, name)| (column, name.as_str()))
    }

    /// The columns that are named, in the form that [`Columns::parse`] reads.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(column, name)| format!("{column}={name}"))
    }

    /// The columns of tags.
    pub(super) fn tags(&self) -> impl Iterator<Item = &Column> {
        self.0.keys().filter(|column| matches!(column, Column::Tag(_)))
    }
}
