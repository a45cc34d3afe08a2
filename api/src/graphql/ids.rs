//! Global ids: encoding and decoding.
//!
//! An id is opaque to clients: base64url of the name of the type and the key within it. Wherever an id is an argument, the
//! bare UUID is accepted as well, because events, exports and other systems refer to objects by UUID.

pub(crate) use super::Kind;

use super::errors::bad_input;
use super::scalars::Uid;
use async_graphql::{Error, ID};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::derived_id;
use uuid::Uuid;

impl Kind {
    /// Encodes a key as a global id.
    pub(crate) fn id(self, key: impl std::fmt::Display) -> ID {
        ID(URL_SAFE_NO_PAD.encode(format!("{}:{key}", self.as_str())))
    }

    /// Decodes an id of this type, or a bare UUID.
    ///
    /// # Errors
    /// `WRONG_ID_TYPE` for an id of another type, `NOT_AN_ID` for any other text.
    pub(crate) fn parse(self, id: &ID) -> Result<Uuid, Error> {
        if let Ok(uuid) = Uuid::try_parse(id) {
            return Ok(uuid);
        }
        match split(id) {
            Some((kind, key)) if kind == self => Uuid::try_parse(&key).map_err(|_| not_an_id(id)),
            Some((kind, _)) => Err(bad_input(
                "WRONG_ID_TYPE",
                format!("{:?} is the id of type {}, expected {}", id.as_str(), kind.as_str(), self.as_str()),
            )),
            None => Err(not_an_id(id)),
        }
    }

    pub(crate) fn parse_opt(self, id: Option<&ID>) -> Result<Option<Uuid>, Error> {
        id.map(|id| self.parse(id)).transpose()
    }

    /// The id of a new object: the given one, otherwise one derived from the command's id, so that a retry of the command
    /// creates the same object, otherwise a new UUID that sorts by time.
    pub(crate) fn new_id(self, given: Option<&ID>, command_id: Option<Uid>) -> Result<Uuid, Error> {
        if let Some(id) = given {
            return self.parse(id);
        }
        Ok(command_id
            .map_or_else(Uuid::now_v7, |command| derived_id(&["command", self.as_str(), &command.0.to_string()])))
    }
}

/// Splits a global id into its type and key.
pub(crate) fn split(id: &ID) -> Option<(Kind, String)> {
    let bytes = URL_SAFE_NO_PAD.decode(id.as_bytes()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (name, key) = text.split_once(':')?;
    let kind = Kind::ALL.iter().copied().find(|kind| kind.as_str() == name)?;
    Some((kind, key.to_owned()))
}

/// Creates the error for text that is not an id.
pub(crate) fn not_an_id(id: &ID) -> Error {
    let shown: String = id.chars().take(64).collect();
    bad_input("NOT_AN_ID", format!("{shown:?} is not an id; send the `id` of an object as it was returned, or a UUID"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Uuid = Uuid::from_u128(7);

    fn code(error: &Error) -> String {
        let value = error.extensions.as_ref().and_then(|extensions| extensions.get("reason").cloned());
        value.map(|value| value.to_string()).unwrap_or_default()
    }

    #[test]
    fn ids_are_decoded_to_what_was_encoded() {
        let id = Kind::Agent.id(KEY);
        assert_eq!(Kind::Agent.parse(&id).unwrap(), KEY);
        assert_eq!(Kind::Agent.parse(&ID(KEY.to_string())).unwrap(), KEY);
        assert_eq!(split(&Kind::Event.id(42)), Some((Kind::Event, "42".to_owned())));
    }

    #[test]
    fn an_id_of_another_type_is_rejected_with_both_types() {
        let error = Kind::Task.parse(&Kind::Agent.id(KEY)).unwrap_err();
        assert_eq!(code(&error), "\"WRONG_ID_TYPE\"");
        assert!(error.message.contains("Agent") && error.message.contains("Task"));
    }

    #[test]
    fn text_that_is_not_an_id_is_rejected() {
        for bad in ["", "x", "QWdlbnQ", "QWdlbnQ6eA", "Zm9vOmJhcg"] {
            assert_eq!(code(&Kind::Agent.parse(&ID(bad.into())).unwrap_err()), "\"NOT_AN_ID\"", "{bad:?}");
        }
    }

    #[test]
    fn a_retried_command_creates_the_same_object() {
        let command = Some(Uid(Uuid::from_u128(1)));
        assert_eq!(Kind::Agent.new_id(None, command).unwrap(), Kind::Agent.new_id(None, command).unwrap());
        assert_ne!(Kind::Agent.new_id(None, command).unwrap(), Kind::Task.new_id(None, command).unwrap());
        assert_ne!(Kind::Agent.new_id(None, None).unwrap(), Kind::Agent.new_id(None, None).unwrap());
    }
}
