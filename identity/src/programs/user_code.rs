//! The code that a person types: eight consonants, as RFC 8628 recommends. They spell no words, and are read and typed without
//! mistakes, in either case and with or without the hyphen.

use rand::Rng as _;
use rand::TryRngCore as _;
use rand::rngs::OsRng;

/// The letters of a code: 20, so that eight of them have 34.5 bits.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// The number of letters.
const LENGTH: usize = 8;

/// A code in its one form: eight capital letters.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct UserCode(String);

impl UserCode {
    /// A new code.
    ///
    /// # Errors
    /// If the operating system gives no random numbers.
    pub(super) fn generate() -> Result<Self, rand::rand_core::OsError> {
        // Seeds are taken from the operating system; a failure of it is found before.
        OsRng.try_next_u32()?;
        let mut random = OsRng.unwrap_err();
        let letter = |_| char::from(LETTERS[random.random_range(0..LETTERS.len())]);
        Ok(Self((0..LENGTH).map(letter).collect()))
    }

    /// The code in a text that a person typed; none if it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let letters: String = text
            .chars()
            .filter(|c| !c.is_whitespace() && *c != '-')
            .take(LENGTH + 1)
            .collect::<String>()
            .to_uppercase();
        let is_code = letters.len() == LENGTH && letters.bytes().all(|letter| LETTERS.contains(&letter));
        is_code.then_some(Self(letters))
    }

    /// As it is shown: in two groups.
    pub(super) fn shown(&self) -> String {
        let (first, second) = self.0.split_at(LENGTH / 2);
        format!("{first}-{second}")
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        let code = UserCode::generate().unwrap();
        let shown = code.shown();
        assert_eq!((shown.len(), shown.as_bytes()[4]), (9, b'-'));
        for typed in
            [shown.clone(), shown.to_lowercase(), shown.replace('-', " "), format!(" {} ", shown.replace('-', ""))]
        {
            assert!(UserCode::parse(&typed) == Some(code.clone()), "{typed:?}");
        }
        for wrong in ["", "BCDF-GHJ", "BCDF-GHJKL", "ABCD-EFGH", "BCDF-GHJ1", "ßßßß-ßßßß"] {
            assert!(UserCode::parse(wrong).is_none(), "{wrong:?}");
        }
        assert!(UserCode::generate().unwrap() != UserCode::generate().unwrap());
    }
}
