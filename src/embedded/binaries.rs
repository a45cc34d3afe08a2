//! Finds an installed PostgreSQL.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::error::{EmbeddedError, OLDEST_MAJOR};
use super::user::ServerUser;

const PROGRAMS: [&str; 3] = ["initdb", "pg_ctl", "postgres"];

/// The directories in which packages install the programs: `parent/prefix*/suffix`.
const PACKAGE_DIRS: [(&str, &str, &str); 10] = [
    ("/usr/lib/postgresql", "", "bin"),                          // Debian, Ubuntu
    ("/usr", "pgsql-", "bin"),                                   // PGDG packages for RPM
    ("/usr/lib", "postgresql", "bin"),                           // SUSE
    ("/usr/libexec", "postgresql", ""),                          // Alpine
    ("/opt/homebrew/opt", "postgresql", "bin"),                  // Homebrew, Apple silicon
    ("/usr/local/opt", "postgresql", "bin"),                     // Homebrew, Intel
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql", "bin"),     // Homebrew, Linux
    ("/Library/PostgreSQL", "", "bin"),                          // EDB installer
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"), // Postgres.app
    ("/usr/local", "pgsql", "bin"),                              // built from source
];

/// The programs of one PostgreSQL installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    dir: PathBuf,
    major: u32,
}

impl Binaries {
    /// Finds the newest installation, or for an existing data directory the one of its major version.
    pub(super) fn find(user: &ServerUser, pg_bin: Option<&Path>, data: Option<&Path>) -> Result<Self, EmbeddedError> {
        let found = match pg_bin {
            Some(dir) => {
                vec![examine(dir, user).ok_or_else(|| EmbeddedError::BinariesUnusable {
                    dir: dir.to_owned(),
                    runner: format!("user id {}", user.uid()),
                })?]
            }
            None => installed(user),
        };
        match data {
            None => newest(found),
            Some(data) => compatible_with(found, data),
        }
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

fn newest(found: Vec<Binaries>) -> Result<Binaries, EmbeddedError> {
    // Reversed, because `max_by_key` returns the last maximum: the first found is preferred.
    found.into_iter().rev().max_by_key(|b| b.major).ok_or(EmbeddedError::NotInstalled)
}

fn compatible_with(found: Vec<Binaries>, data: &Path) -> Result<Binaries, EmbeddedError> {
    let file = data.join("PG_VERSION");
    let required = fs::read_to_string(&file).map_err(|e| EmbeddedError::io("read", &file, e))?;
    let required = required.trim();
    if found.is_empty() {
        return Err(EmbeddedError::NotInstalled);
    }
    let majors: BTreeSet<String> = found.iter().map(|b| b.major.to_string()).collect();
    found.into_iter().find(|b| b.major.to_string() == required).ok_or_else(|| EmbeddedError::VersionMismatch {
        data: data.to_owned(),
        required: required.to_owned(),
        found: majors.into_iter().collect::<Vec<_>>().join(", "),
    })
}

fn installed(user: &ServerUser) -> Vec<Binaries> {
    let mut seen = BTreeSet::new();
    package_dirs()
        .into_iter()
        .chain(path_dirs())
        .chain(pg_config_dir(user))
        .filter_map(|dir| dir.canonicalize().ok())
        .filter(|dir| seen.insert(dir.clone()))
        .filter_map(|dir| examine(&dir, user))
        .collect()
}

fn package_dirs() -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    for (parent, prefix, suffix) in PACKAGE_DIRS {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            if entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()) {
                dirs.push(entry.path().join(suffix));
            }
        }
    }
    dirs
}

fn path_dirs() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Relative entries depend on the working directory.
    std::env::split_paths(&path).filter(|dir| dir.is_absolute()).collect()
}

fn pg_config_dir(user: &ServerUser) -> Option<PathBuf> {
    let output = user.command("pg_config").arg("--bindir").stdin(Stdio::null()).output().ok()?;
    let dir = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim_end());
    (output.status.success() && dir.is_absolute()).then_some(dir)
}

/// The installation in `dir`; `None` unless all programs exist, are new enough, and can be run by `user`.
fn examine(dir: &Path, user: &ServerUser) -> Option<Binaries> {
    let dir = std::path::absolute(dir).ok()?;
    if !PROGRAMS.iter().all(|program| dir.join(program).is_file()) {
        return None;
    }
    let output = user.command(dir.join("postgres")).arg("--version").stdin(Stdio::null()).output().ok()?;
    let major = major_version(&String::from_utf8_lossy(&output.stdout))?;
    (output.status.success() && major >= OLDEST_MAJOR).then_some(Binaries { dir, major })
}

/// 15 of `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`, 18 of `… 18beta1`.
fn major_version(printed: &str) -> Option<u32> {
    let version = printed.split_whitespace().nth(2)?;
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version[..digits].parse().ok()
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "tests")]
mod tests {
    use super::*;

    fn binaries(dir: &str, major: u32) -> Binaries {
        Binaries { dir: PathBuf::from(dir), major }
    }

    #[test]
    fn reads_major_versions() {
        assert_eq!(major_version("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)"), Some(15));
        assert_eq!(major_version("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(major_version("postgres (PostgreSQL) 9.6.24"), Some(9));
        assert_eq!(major_version("sh: not found"), None);
    }

    #[test]
    fn the_newest_installation_is_used_and_the_first_of_equal_ones() {
        let found = vec![binaries("/a", 15), binaries("/b", 17), binaries("/c", 17)];
        assert_eq!(newest(found).ok(), Some(binaries("/b", 17)));
        assert!(matches!(newest(Vec::new()), Err(EmbeddedError::NotInstalled)));
    }

    #[test]
    fn a_data_directory_gets_its_own_major_version() {
        let data = tempfile::tempdir().expect("directory");
        fs::write(data.path().join("PG_VERSION"), "15\n").expect("write");
        let found = vec![binaries("/a", 17), binaries("/b", 15)];
        assert_eq!(compatible_with(found, data.path()).ok(), Some(binaries("/b", 15)));

        let error = compatible_with(vec![binaries("/a", 16), binaries("/b", 17)], data.path());
        let text = error.expect_err("no 15").to_string();
        assert!(text.contains("PostgreSQL 15, but the installed versions are 16, 17"), "{text}");
    }

    #[test]
    fn the_error_says_what_to_install() {
        let text = EmbeddedError::NotInstalled.to_string();
        for advice in [
            "apt-get install postgresql",
            "dnf install postgresql-server",
            "brew install postgresql",
            "APEX_DATABASE_URL",
        ] {
            assert!(text.contains(advice), "{text}");
        }
    }
}
