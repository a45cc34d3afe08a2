//! Addresses of people, by which they are known within a tenant.

use std::fmt;
use thiserror::Error;

/// The longest address, in bytes (RFC 5321 with erratum 1690).
const MAX_BYTES: usize = 254;
/// The longest part before the `@`, in bytes.
const MAX_LOCAL_BYTES: usize = 64;

/// A normalized address: in Unicode's canonical composition and in lower case. It is redacted in `Debug` output, since it is
/// personal.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email(String);

/// The text is not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("it is not an e-mail address: send NAME@DOMAIN, of at most 254 bytes and without spaces")]
pub struct EmailError;

impl Email {
    /// Normalizes an address. That it exists is not checked.
    ///
    /// # Errors
    /// [`EmailError`] if the text does not have the form of one.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        if text.len() > 4 * MAX_BYTES {
            return Err(EmailError);
        }
        let normalized = domain::normalized(text.trim()).map_err(|_| EmailError)?.to_lowercase();
        let (local, host) = normalized.split_once('@').ok_or(EmailError)?;
        let is_host = !host.is_empty() && !host.starts_with('.') && !host.ends_with('.') && !host.contains("..");
        let is_plain = !normalized.contains(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | ',' | ';' | '"'));
        let fits = normalized.len() <= MAX_BYTES && local.len() <= MAX_LOCAL_BYTES;
        if local.is_empty() || !is_host || host.contains('@') || !is_plain || !fits {
            return Err(EmailError);
        }
        Ok(Self(normalized))
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_written_differently_are_one() {
        let ada = Email::parse("ada@example.org").unwrap();
        for same in [" ada@example.org ", "Ada@Example.ORG", "ADA@EXAMPLE.ORG"] {
            assert_eq!(Email::parse(same).unwrap(), ada, "{same:?}");
        }
        // The same letter, composed and decomposed.
        assert_eq!(Email::parse("zo\u{eb}@example.org").unwrap(), Email::parse("zoe\u{308}@example.org").unwrap());
        assert_eq!(format!("{ada:?}"), "[redacted]");
    }

    #[test]
    fn other_texts_are_no_addresses() {
        let too_long = format!("{}@example.org", "a".repeat(65));
        for wrong in [
            "",
            "ada",
            "@example.org",
            "ada@",
            "ada@@example.org",
            "ada@b@c",
            "a da@example.org",
            "ada@exam ple.org",
            "ada@.org",
            "ada@example.",
            "ada@a..b",
            "ada@example.org\n",
            "a\u{0}da@example.org",
            "a\u{200b}da@example.org",
            "Ada <ada@example.org>",
            &too_long,
            &format!("ada@{}", "a".repeat(300)),
            &"@".repeat(100_000),
        ] {
            // White space around an address is removed.
            assert!(Email::parse(wrong).is_err() || wrong.ends_with('\n'), "{wrong:?}");
        }
    }
}
