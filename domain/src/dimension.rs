//! Dimensions of calls that have names, and tags by their keys.

/// What precedes the key of a tag.
pub(crate) const TAG: &str = "tag:";

/// Declares an enum of dimensions, which is text wherever it is written: their names, and `tag:KEY`. Its error has the variants
/// `Unknown`, with the beginning of a text that names none, and `TagKey`.
macro_rules! dimensions {
    ($(#[$meta:meta])* $dimension:ident or $error:ident { $($(#[$doc:meta])* $variant:ident: $name:literal;)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(extend("minLength" = 1))]
        pub enum $dimension {
            $($(#[$doc])* $variant,)+
            /// The value of the tag with a key.
            Tag($crate::text::TagKey),
        }

        impl $dimension {
            /// The name; of a tag without its key.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                    Self::Tag(_) => "tag",
                }
            }

            /// The names of all dimensions but tags.
            const NAMES: &'static [&'static str] = &[$($name),+];
        }

        impl std::fmt::Display for $dimension {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    Self::Tag(key) => write!(f, "{}{key}", $crate::dimension::TAG),
                    $(Self::$variant)|+ => f.write_str(self.name()),
                }
            }
        }

        impl std::str::FromStr for $dimension {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                if let Some(key) = text.strip_prefix($crate::dimension::TAG) {
                    return $crate::text::TagKey::new(key).map(Self::Tag).map_err($error::TagKey);
                }
                match text {
                    $($name => Ok(Self::$variant),)+
                    _ => Err($error::Unknown(text.chars().take(64).collect())),
                }
            }
        }

        impl TryFrom<String> for $dimension {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$dimension> for String {
            fn from(dimension: $dimension) -> Self {
                dimension.to_string()
            }
        }
    };
}
pub(crate) use dimensions;
