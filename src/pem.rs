//! Files of certificates in PEM.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{Error as SyntaxError, PemObject as _};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use thiserror::Error;

/// The largest file of certificates that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Why the certificates of a file cannot be used. The file is named by the message around it.
#[derive(Debug, Error)]
pub enum PemError {
    /// The file cannot be read.
    #[error("it cannot be read")]
    Read(#[from] std::io::Error),
    /// The file is too large.
    #[error("it has more than {MAX_FILE_BYTES} bytes, which is the limit")]
    TooLarge,
    /// The file is damaged.
    #[error("it is not PEM")]
    Syntax(#[from] SyntaxError),
    /// The file has something else.
    #[error("it has no certificate in PEM")]
    Empty,
    /// A certificate is not valid.
    #[error(transparent)]
    Certificate(#[from] rustls::Error),
}

/// The certificates of a file, of which it has at least one. Whether they are valid is not checked.
///
/// # Errors
/// [`PemError`] if the file cannot be read, or has none.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let mut pem = Vec::new();
    File::open(file)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut pem)?;
    if u64::try_from(pem.len()).map_or(true, |bytes| bytes > MAX_FILE_BYTES) {
        return Err(PemError::TooLarge);
    }
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>()?;
    if certificates.is_empty() { Err(PemError::Empty) } else { Ok(certificates) }
}

/// The authorities that browsers trust, and those of a file.
///
/// # Errors
/// [`PemError`] if the certificates of the file cannot be read, or one of them is not valid.
pub fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, PemError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for certificate in ca_file.map_or_else(|| Ok(Vec::new()), certificates)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_certificates_of_a_file_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let of = |text: &str| {
            let file = folder.path().join("ca.pem");
            std::fs::write(&file, text).unwrap();
            certificates(&file)
        };
        let block = |label: &str| format!("-----BEGIN {label}-----\nAQID\n-----END {label}-----\n");
        let two = of(&format!("Authority\n{}{}", block("CERTIFICATE"), block("CERTIFICATE"))).unwrap();
        assert_eq!(two, [CertificateDer::from(vec![1, 2, 3]), CertificateDer::from(vec![1, 2, 3])]);
        for none in ["", "Authority\n", &block("PRIVATE KEY")] {
            assert!(matches!(of(none), Err(PemError::Empty)), "{none}");
        }
        assert!(matches!(of("-----BEGIN CERTIFICATE-----\nAQID\n"), Err(PemError::Syntax(_))));
        assert!(matches!(of(&block("CERTIFICATE").repeat(20_000)), Err(PemError::TooLarge)));
        assert!(matches!(certificates(&folder.path().join("missing")), Err(PemError::Read(_))));
    }
}
