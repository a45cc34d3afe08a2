//! `apex completions` and `apex man`.

use super::output;
use anyhow::Context as _;
use clap_complete::Shell;
use std::path::PathBuf;
use std::process::ExitCode;

/// Print the completion script for a shell.
///
/// For bash: `apex completions bash > ~/.local/share/bash-completion/completions/apex`. For zsh, write it to a file
/// named `_apex` in a directory of `$fpath`; for fish, to `~/.config/fish/completions/apex.fish`.
#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Write the manual pages, one for each subcommand.
///
/// For `man apex`: `apex man --out ~/.local/share/man/man1`.
#[derive(Debug, clap::Args)]
pub(super) struct Man {
    /// The directory to write to; it is created if it does not exist
    #[arg(long, value_name = "DIRECTORY")]
    out: PathBuf,
}

impl Completions {
    pub(super) fn run(self, mut command: clap::Command) -> anyhow::Result<ExitCode> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "apex", &mut script);
        output::write(&String::from_utf8(script)?)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Man {
    pub(super) fn run(self, command: clap::Command) -> anyhow::Result<ExitCode> {
        let shown = self.out.display();
        std::fs::create_dir_all(&self.out).with_context(|| format!("{shown} cannot be created"))?;
        clap_mangen::generate_to(command, &self.out)
            .with_context(|| format!("the manual cannot be written to {shown}"))?;
        say!("The manual is in {shown}; start with `man {shown}/apex.1`.");
        Ok(ExitCode::SUCCESS)
    }
}
