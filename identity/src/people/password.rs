//! Passwords: what is accepted as one.

use super::email::Email;
use std::fmt;
use thiserror::Error;
use unicode_normalization::UnicodeNormalization as _;

/// The shortest new password, in characters.
const MIN_CHARACTERS: usize = 12;
/// The longest password, in bytes.
const MAX_BYTES: usize = 1024;

/// A password, in Unicode's canonical composition, so that it does not depend on the keyboard. It is redacted in `Debug`
/// output and must not be logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

/// Why a text is not accepted as a new password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PasswordError {
    /// It is too short.
    #[error("the password has fewer than {MIN_CHARACTERS} characters: choose a longer one")]
    TooShort,
    /// It is too long.
    #[error("the password has more than {MAX_BYTES} bytes: choose a shorter one")]
    TooLong,
    /// It is easily guessed.
    #[error("the password is easily guessed: it is the address, or has fewer than five different characters")]
    EasilyGuessed,
}

impl Password {
    /// A password that a person presents; none if it is longer than any that is accepted.
    #[must_use]
    pub fn presented(text: &str) -> Option<Self> {
        // Composition shortens text or triples it at most.
        (text.len() <= 3 * MAX_BYTES)
            .then(|| Self(text.nfc().collect()))
            .filter(|password| password.0.len() <= MAX_BYTES)
    }

    /// A password that a person chooses.
    ///
    /// # Errors
    /// [`PasswordError`] if it is too short, too long or easily guessed.
    pub fn chosen(text: &str, email: &Email) -> Result<Self, PasswordError> {
        let password = Self::presented(text).ok_or(PasswordError::TooLong)?;
        if password.0.chars().count() < MIN_CHARACTERS {
            return Err(PasswordError::TooShort);
        }
        let different: std::collections::BTreeSet<_> = password.0.chars().collect();
        if different.len() < 5 || password.0.to_lowercase() == email.as_str() {
            return Err(PasswordError::EasilyGuessed);
        }
        Ok(password)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_long_and_easily_guessed_passwords_are_refused() {
        let email = Email::parse("ada@example.org").unwrap();
        let chosen = |text: &str| Password::chosen(text, &email).map(drop);
        assert_eq!(chosen("green tea, twice"), Ok(()));
        assert_eq!(chosen("grün Tee 二つ!"), Ok(()));
        assert_eq!(chosen("green tea"), Err(PasswordError::TooShort));
        assert_eq!(chosen(&"green tea ".repeat(200)), Err(PasswordError::TooLong));
        assert_eq!(chosen(&"x".repeat(10_000_000)), Err(PasswordError::TooLong));
        for guessed in ["aaaaaaaaaaaa", "121212121212", "ada@example.org", "Ada@Example.org"] {
            assert_eq!(chosen(guessed), Err(PasswordError::EasilyGuessed), "{guessed}");
        }
        assert!(Password::presented("x").is_some() && Password::presented(&"x".repeat(2000)).is_none());
    }

    #[test]
    fn a_password_does_not_depend_on_the_keyboard_and_is_redacted() {
        let (composed, decomposed) = (Password::presented("zo\u{eb}"), Password::presented("zoe\u{308}"));
        assert!(composed == decomposed);
        assert_eq!(format!("{composed:?}"), "Some([redacted])");
    }
}
