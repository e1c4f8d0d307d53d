use std::fs;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Command};
use clap_mangen::Man as Page;

use super::{Failure, Session};

/// Print the manual page, or write one for each command
///
/// Example: keyfob man --dir ~/.local/share/man/man1
#[derive(Debug, Args)]
pub(super) struct Man {
    /// Write keyfob.1, keyfob-clear.1 and so on into this directory
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Man {
    pub(super) fn run(self, session: &mut Session<'_, '_>, command: Command) -> Result<(), Failure> {
        let Some(dir) = self.dir else {
            Page::new(command).render(&mut session.output.io.stdout)?;
            return Ok(());
        };
        let failed = |action, path: &PathBuf| {
            let path = path.clone();
            move |source| Failure::File { action, path, source }
        };
        fs::create_dir_all(&dir).map_err(failed("make", &dir))?;
        clap_mangen::generate_to(command, &dir).map_err(failed("write to", &dir))?;
        writeln!(session.output.io.stderr, "wrote the manual pages to {}", dir.display())?;
        Ok(())
    }
}
