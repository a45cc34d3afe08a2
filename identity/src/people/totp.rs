//! One-time codes by time (TOTP, RFC 6238): six digits, a step of 30 seconds, SHA-1, as every authenticator app has them.

use crate::error::IdentityError;
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use std::fmt;
use totp_rs::{Algorithm, Builder, Secret, Totp};

const DIGITS: u8 = 6;
const STEP_SECONDS: u64 = 30;
/// How many steps before and after the current one are accepted, because clocks differ.
const SKEW_STEPS: u16 = 1;
const SECRET_BYTES: usize = 20;
/// The name that authenticator apps show.
const ISSUER: &str = "Apex";

/// The secret of the codes of a user. It is redacted in `Debug` output and must not be logged.
#[derive(Clone)]
pub(crate) struct TotpSecret(Vec<u8>);

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl TotpSecret {
    /// A new secret from the random numbers of the operating system.
    ///
    /// # Errors
    /// [`IdentityError::Random`] if the operating system gives none.
    pub(crate) fn generate() -> Result<Self, IdentityError> {
        let mut bytes = vec![0; SECRET_BYTES];
        OsRng.try_fill_bytes(&mut bytes)?;
        Ok(Self(bytes))
    }

    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The secret as authenticator apps read it.
    pub(crate) fn text(&self) -> String {
        Secret::new(self.0.clone().into_boxed_slice()).to_base32()
    }

    /// The address that a QR code for authenticator apps has.
    pub(crate) fn url(&self, account: &str) -> String {
        let encode = |text: &str| -> String {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
            let encoded = |byte: u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
            text.bytes().map(encoded).collect()
        };
        let (account, secret) = (encode(account), self.text());
        format!("otpauth://totp/{ISSUER}:{account}?secret={secret}&issuer={ISSUER}")
    }

    /// The time step of a code that is valid at a time; none if the code is wrong.
    ///
    /// # Errors
    /// [`IdentityError::Totp`] if the stored secret is not one.
    pub(crate) fn step_of(&self, code: &str, unix_seconds: u64) -> Result<Option<i64>, IdentityError> {
        let is_code = code.len() == usize::from(DIGITS) && code.bytes().all(|byte| byte.is_ascii_digit());
        if !is_code {
            return Ok(None);
        }
        let step = self.totp()?.check(code, unix_seconds);
        Ok(step.and_then(|step| i64::try_from(step).ok()))
    }

    fn totp(&self) -> Result<Totp, IdentityError> {
        let builder = Builder::new().with_algorithm(Algorithm::SHA1).with_digits(DIGITS).with_skew(SKEW_STEPS);
        builder.with_step_duration(STEP_SECONDS).with_secret(self.0.clone()).build().map_err(|_| IdentityError::Totp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vectors of RFC 6238 for SHA-1, with their last six digits.
    #[test]
    fn codes_are_those_of_the_standard() {
        let secret = TotpSecret::from_bytes(b"12345678901234567890".to_vec());
        for (time, code) in
            [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")]
        {
            let step = i64::try_from(time / STEP_SECONDS).unwrap();
            assert_eq!(secret.step_of(code, time).unwrap(), Some(step), "{time}");
            // A step earlier or later is accepted too, and is told.
            assert_eq!(secret.step_of(code, time + STEP_SECONDS).unwrap(), Some(step));
            assert_eq!(secret.step_of(code, time + 3 * STEP_SECONDS).unwrap(), None);
        }
        for wrong in ["", "28708", "2870822", "28708a", " 287082", "000000", "２８７０８２"] {
            assert_eq!(secret.step_of(wrong, 59).unwrap(), None, "{wrong:?}");
        }
        assert_eq!(secret.text(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let url = secret.url("ada@example.org");
        assert_eq!(url, format!("otpauth://totp/Apex:ada%40example.org?secret={}&issuer=Apex", secret.text()));
        assert_eq!(format!("{secret:?}"), "[redacted]");
    }
}
