use std::io;

use clap::{Args, Command};
use clap_complete::Shell;

use super::{Failure, Session};

/// Print completions for a shell
///
/// Example: keyfob completions bash > ~/.local/share/bash-completion/completions/keyfob
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self, session: &mut Session<'_, '_>, command: &mut Command) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, command, "keyfob", &mut script);
        io::Write::write_all(&mut session.output.io.stdout, &script)?;
        Ok(())
    }
}
