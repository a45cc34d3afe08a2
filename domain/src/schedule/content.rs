//! What a schedule exports.

use super::error::ScheduleError;
use super::limits::{MAX_DIMENSIONS, MAX_SCHEDULED_FILTERS};
use crate::split::MONEY_DIGITS;
use crate::text::{Name, TagKey};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant),+
        }

        impl $name {
            /// All values.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in events and on the command line.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

names! {
    /// What the files of a schedule contain.
    ContentKind {
        /// The report of usage and cost.
        CostReport = "cost_report",
        /// The statements of all cost centres.
        CostStatements = "cost_statements",
        /// A row for each call.
        Calls = "calls",
        /// What calls cost in the form of FOCUS.
        Focus = "focus",
    }
}

names! {
    /// The format of the files of a schedule.
    FileFormat {
        /// Comma-separated values with a header.
        Csv = "csv",
        /// One JSON document.
        Json = "json",
        /// One JSON object a line.
        Ndjson = "ndjson",
        /// Apache Parquet.
        Parquet = "parquet",
    }
}

names! {
    /// The version of FOCUS.
    FocusEdition {
        /// Version 1.4.
        V1_4 = "1.4",
        /// Version 1.2.
        V1_2 = "1.2",
    }
}

/// A condition on the calls of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduledFilter {
    /// The dimension, as reports name it.
    pub dimension: Name,
    /// The value; calls without one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Name>,
}

/// What the files of a schedule contain, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduledContent {
    /// What they contain.
    pub kind: ContentKind,
    /// The format.
    pub format: FileFormat,
    /// The dimensions of a report, as reports name them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<Name>,
    /// The conditions of a report or of statements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<ScheduledFilter>,
    /// The key of the tag that dimensions and conditions are about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag_key: Option<TagKey>,
    /// The number of rows of highest cost of a report, before one of the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top: Option<u32>,
    /// The decimal places of the rounded totals of statements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digits: Option<u32>,
    /// The version of FOCUS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub focus_version: Option<FocusEdition>,
}

impl ScheduledContent {
    /// Content without options.
    #[must_use]
    pub fn new(kind: ContentKind, format: FileFormat) -> Self {
        let (by, filters) = (Vec::new(), Vec::new());
        Self { kind, format, by, filters, tag_key: None, top: None, digits: None, focus_version: None }
    }

    pub(super) fn check(&self) -> Result<(), ScheduleError> {
        let (is_report, is_statement) =
            (self.kind == ContentKind::CostReport, self.kind == ContentKind::CostStatements);
        let options = [
            ("by", !self.by.is_empty(), is_report),
            ("top", self.top.is_some(), is_report),
            ("filters", !self.filters.is_empty(), is_report || is_statement),
            ("tag_key", self.tag_key.is_some(), is_report || is_statement),
            ("digits", self.digits.is_some(), is_statement),
            ("focus_version", self.focus_version.is_some(), self.kind == ContentKind::Focus),
        ];
        if let Some((option, ..)) = options.into_iter().find(|(_, is_given, is_allowed)| *is_given && !is_allowed) {
            return Err(ScheduleError::Option { option, kind: self.kind.as_str(), reason: "is not an option of" });
        }
        if self.by.len() > MAX_DIMENSIONS || self.filters.len() > MAX_SCHEDULED_FILTERS {
            return Err(ScheduleError::TooManyDimensions);
        }
        match self.digits {
            Some(digits) if digits > MONEY_DIGITS => return Err(ScheduleError::TooManyDigits(digits)),
            _ => {}
        }
        let (formats, is_format): (_, &[FileFormat]) = match self.kind {
            ContentKind::CostReport | ContentKind::CostStatements => {
                ("csv or json", &[FileFormat::Csv, FileFormat::Json])
            }
            ContentKind::Calls | ContentKind::Focus => {
                ("csv, ndjson or parquet", &[FileFormat::Csv, FileFormat::Ndjson, FileFormat::Parquet])
            }
        };
        if is_format.contains(&self.format) {
            return Ok(());
        }
        Err(ScheduleError::InvalidFormat { kind: self.kind.as_str(), format: self.format.as_str(), formats })
    }
}
