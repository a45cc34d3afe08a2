//! Where a browser goes after a sign-in: a path of this server, and nowhere else.

use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// The longest path, in bytes.
const MAX_BYTES: usize = 2048;

/// A path of this server, with its query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnPath(String);

/// The text is not a path of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "it is not a path of this server: send one that begins with a single `/`, of at most 2048 visible ASCII characters \
     without `\\`"
)]
pub struct ReturnPathError;

impl Default for ReturnPath {
    fn default() -> Self {
        Self("/".to_owned())
    }
}

impl FromStr for ReturnPath {
    type Err = ReturnPathError;

    fn from_str(text: &str) -> Result<Self, ReturnPathError> {
        // Browsers read `//host`, `/\host` and, after removing line breaks and tabs, `/<tab>/host` as another server.
        let is_path = text.starts_with('/') && !text.starts_with("//");
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        if is_path && is_plain && text.len() <= MAX_BYTES { Ok(Self(text.to_owned())) } else { Err(ReturnPathError) }
    }
}

impl fmt::Display for ReturnPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_server_are_accepted() {
        for path in ["/", "/graphiql", "/auth/cli?port=4711&state=a%2Fb", "/a//b", "/@b", "/#x"] {
            assert_eq!(path.parse::<ReturnPath>().unwrap().to_string(), path);
        }
        for other in [
            "",
            "graphiql",
            "//evil.example",
            "/\\evil.example",
            "/a\\b",
            "\\/evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/\t/evil.example",
            "/\n/evil.example",
            " /",
            "/a b",
            "/\u{e9}",
            &format!("/{}", "a".repeat(MAX_BYTES)),
        ] {
            assert!(other.parse::<ReturnPath>().is_err(), "{other:?}");
        }
        // What is accepted is of the same origin for a parser of URLs as in browsers.
        let base: openidconnect::url::Url = "https://apex.example/auth/callback".parse().unwrap();
        for path in ["/", "/a//b", "/@b", "/..//evil.example", "/.//evil.example", "/%2F/evil.example"] {
            let path: ReturnPath = path.parse().unwrap();
            assert_eq!(base.join(&path.to_string()).unwrap().origin(), base.origin(), "{path}");
        }
    }
}
