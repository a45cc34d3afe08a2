//! The fields of a line, of which each has a type.

use super::error::LineError;
use crate::call_id::{client_agent_id, client_task_id};
use crate::formats::json::{self, Fields};
use crate::json_error::JsonError;
use crate::record::AgentRef;
use crate::text::quoted;
use chrono::{DateTime, SubsecRound as _, Utc};
use domain::{AgentId, Body, Name, TaskId, without_leap_second};
use uuid::Uuid;

/// The fields of a line of one type.
pub(super) struct LineFields<'a> {
    fields: Fields<'a>,
    /// When the line was read, which is the time of what states none.
    pub(super) now: DateTime<Utc>,
}

/// How a line names an object: by its id, or by a key of the client from which the id is derived.
pub(super) enum Named {
    Id(Uuid),
    Key(Name),
}

impl<'a> LineFields<'a> {
    pub(super) fn new(fields: Fields<'a>, now: DateTime<Utc>) -> Self {
        Self { fields, now: now.trunc_subsecs(6) }
    }

    /// # Errors
    /// [`LineError::UnknownField`] for the first field, by name, that is not one of these.
    pub(super) fn allow(&self, of: &'static str, known: &[&str]) -> Result<(), LineError> {
        let unknown = self.fields.iter().map(|(name, _)| name).filter(|name| !known.contains(name)).min();
        unknown.map_or(Ok(()), |field| Err(LineError::UnknownField { of, field: quoted(field) }))
    }

    pub(super) fn text(&self, field: &'static str) -> Result<Option<String>, LineError> {
        let Some(value) = self.fields.raw(field) else { return Ok(None) };
        let text = json::text(value).map(std::borrow::Cow::into_owned);
        text.map(Some).ok_or_else(|| LineError::invalid(field, format_args!("{:?} is not text", quoted(value.get()))))
    }

    pub(super) fn name(&self, field: &'static str) -> Result<Option<Name>, LineError> {
        self.text(field)?.map(|text| name(field, text)).transpose()
    }

    pub(super) fn body(&self, field: &'static str) -> Result<Option<Body>, LineError> {
        let text = self.text(field)?;
        text.map(|text| Body::new(text).map_err(|error| LineError::invalid(field, error))).transpose()
    }

    /// One of several words.
    pub(super) fn word<T: Copy>(
        &self,
        field: &'static str,
        words: &[T],
        word: impl Fn(T) -> &'static str,
    ) -> Result<Option<T>, LineError> {
        let Some(text) = self.text(field)? else { return Ok(None) };
        let found = words.iter().copied().find(|known| word(*known) == text);
        found.map(Some).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|known| word(*known)).collect();
            LineError::invalid(field, format_args!("{:?} is none of {}", quoted(&text), words.join(", ")))
        })
    }

    /// A time in the notation of RFC 3339, in microseconds, which is the precision of the read models.
    pub(super) fn time(&self, field: &'static str) -> Result<Option<DateTime<Utc>>, LineError> {
        let Some(text) = self.text(field)? else { return Ok(None) };
        let time = DateTime::parse_from_rfc3339(&text).map(|time| without_leap_second(time.to_utc()).trunc_subsecs(6));
        time.map(Some).map_err(|_| {
            LineError::invalid(field, format_args!("{:?} is not a time in the notation of RFC 3339", quoted(&text)))
        })
    }

    /// A whole number that is not negative.
    pub(super) fn count(&self, field: &'static str) -> Result<Option<u64>, LineError> {
        let count = self.fields.count(field).map_err(|reason| Self::without_field(field, &reason.to_string()))?;
        Ok(count.map(domain::Quantity::get))
    }

    pub(super) fn flag(&self, field: &'static str) -> Result<bool, LineError> {
        match self.fields.raw(field).map(serde_json::value::RawValue::get) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => {
                Err(LineError::invalid(field, format_args!("{:?} is neither true nor false", quoted(other))))
            }
        }
    }

    /// An object within the line.
    pub(super) fn object(&self, field: &'static str) -> Result<Option<Fields<'a>>, LineError> {
        let Some(value) = self.fields.raw(field) else { return Ok(None) };
        Fields::parse(value.get()).map(Some).map_err(|error| LineError::invalid(field, error))
    }

    pub(super) fn raw(&self, field: &str) -> Option<&'a serde_json::value::RawValue> {
        self.fields.raw(field)
    }

    /// The texts of a list.
    pub(super) fn names(&self, field: &'static str) -> Result<Vec<Name>, LineError> {
        let Some(value) = self.fields.raw(field) else { return Ok(Vec::new()) };
        let items = json::items(value.get()).map_err(|error| LineError::invalid(field, JsonError::from(error)))?;
        let text = |item| json::text(item).ok_or_else(|| LineError::invalid(field, "an item is not text"));
        items.into_iter().map(|item| name(field, text(item)?.into_owned())).collect()
    }

    pub(super) fn named(&self, field: &'static str) -> Result<Option<Named>, LineError> {
        let Some(key) = self.name(field)? else { return Ok(None) };
        Ok(Some(Uuid::try_parse(key.as_str()).map_or(Named::Key(key), Named::Id)))
    }

    /// An agent, by its id or by its name.
    pub(super) fn agent(&self) -> Result<(Option<AgentId>, Option<AgentRef>), LineError> {
        Ok(match self.named("agent")? {
            None => (None, None),
            Some(Named::Id(id)) => (Some(id.into()), None),
            Some(Named::Key(name)) => {
                let agent = AgentRef { id: client_agent_id(&name), name };
                (Some(agent.id), Some(agent))
            }
        })
    }

    /// A task, by its id or by the key that its own line has.
    pub(super) fn task(&self, field: &'static str) -> Result<Option<TaskId>, LineError> {
        Ok(self.named(field)?.map(|named| match named {
            Named::Id(id) => id.into(),
            Named::Key(key) => client_task_id(&key),
        }))
    }

    pub(super) fn without_field(field: &'static str, message: &str) -> LineError {
        LineError::invalid(
            field,
            message.strip_prefix(field).map_or(message, |rest| rest.trim_start_matches([':', ' '])),
        )
    }
}

fn name(field: &'static str, text: String) -> Result<Name, LineError> {
    Name::new(text).map_err(|error| LineError::invalid(field, error))
}
