use std::io;

use clap::{Args, ValueEnum};
use clap_complete::env::Shells;

use super::{Failure, Session};

/// Print completions for a shell; they offer the names of sessions and key pairs too
///
/// Example: keyfob completions bash > ~/.local/share/bash-completion/completions/keyfob
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

/// The variable by which a shell asks the command itself what there is to complete.
pub(super) const VARIABLE: &str = "KEYFOB_COMPLETE";

impl Completions {
    pub(super) fn run(self, session: &mut Session<'_, '_>) -> Result<(), Failure> {
        let shells = Shells::builtins();
        let name = self.shell.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let shell = shells.completer(&name).ok_or_else(|| Failure::Input("there is no such shell".to_owned()))?;
        let mut script = Vec::new();
        shell.write_registration(VARIABLE, "keyfob", "keyfob", "keyfob", &mut script)?;
        io::Write::write_all(&mut session.output.io.stdout, &script)?;
        Ok(())
    }
}
