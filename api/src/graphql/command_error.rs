//! The typed error in a mutation's payload.

use streams::Version;

/// An error that can express the reasons that every aggregate has for rejecting a command.
pub(crate) trait Rejection {
    fn wrong_version(expected: Version, current: Version) -> Self;
    fn command_id_reused() -> Self;
    fn too_large(message: String) -> Self;
}

/// Declares the error with which the mutations of an aggregate reject a command: an enum of codes, and an object with the
/// code and a message.
///
/// Every aggregate has the codes `INVALID_INPUT`, `WRONG_VERSION` and `COMMAND_ID_REUSED` beside its own.
macro_rules! command_error {
    ($(#[$doc:meta])* $error:ident, $(#[$code_doc:meta])* $code:ident {
        $($(#[$variant_doc:meta])* $variant:ident),+ $(,)?
    }) => {
        $(#[$code_doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, async_graphql::Enum)]
        pub(crate) enum $code {
            /// A field of the input is not valid; `field` names it.
            InvalidInput,
            /// The object does not have the `expectedVersion`; `currentVersion` is the version that it has.
            WrongVersion,
            /// The `commandId` was used before, for another mutation, object or input. Send the command under a new id.
            CommandIdReused,
            $($(#[$variant_doc])* $variant),+
        }

        $(#[$doc])*
        #[derive(Debug, Clone, async_graphql::SimpleObject)]
        pub(crate) struct $error {
            /// Machine-readable reason.
            pub(crate) code: $code,
            /// Human-readable explanation of the reason.
            pub(crate) message: String,
            /// Name of the input field that is not valid, such as `name`. Null if no single field is the cause.
            pub(crate) field: Option<String>,
            /// Version that the object has. Null unless `code` is `WRONG_VERSION`.
            pub(crate) current_version: Option<$crate::graphql::scalars::Long>,
        }

        impl $error {
            fn new(code: $code, message: impl std::fmt::Display) -> Self {
                Self { code, message: message.to_string(), field: None, current_version: None }
            }
        }

        impl From<$crate::graphql::input::Invalid> for $error {
            fn from(invalid: $crate::graphql::input::Invalid) -> Self {
                Self { field: Some(invalid.field.to_owned()), ..Self::new($code::InvalidInput, invalid.message) }
            }
        }

        impl $crate::graphql::command_error::Rejection for $error {
            fn wrong_version(expected: streams::Version, current: streams::Version) -> Self {
                let message = format!("the object has version {current}, expected {expected}");
                Self {
                    current_version: Some(current.as_i64().into()),
                    ..Self::new($code::WrongVersion, message)
                }
            }

            fn command_id_reused() -> Self {
                let message = "this commandId was used for another command; send the command under a new id";
                Self::new($code::CommandIdReused, message)
            }

            fn too_large(message: String) -> Self {
                Self::new($code::InvalidInput, message)
            }
        }
    };
}
pub(crate) use command_error;
