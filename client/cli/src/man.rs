use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command as Program;

use clap::{Args, Command};
use clap_mangen::Man as Page;
use clap_mangen::roff::{Roff, bold, roman};

use super::{Failure, Session};

/// Print the manual page, or write all of them: one for each command, and keyfobd's
///
/// Example: keyfob man --dir ~/.local/share/man/man1
#[derive(Debug, Args)]
pub(super) struct Man {
    /// Write keyfob.1, keyfob-clear.1 and so on, and keyfobd.1, into this directory
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// What the page of `keyfob` itself has besides its options: titles, and what is said of each thing.
const SECTIONS: [(&str, &[(&str, &str)]); 3] = [
    (
        "ENVIRONMENT",
        &[
            ("KEYFOB_SOCKET", "The daemon's socket. Another one is not looked for."),
            ("KEYFOB_DATA_DIR", "The vault's data directory. Its socket is in it, unless that is named too."),
            ("KEYFOB_SESSION", "The session that stamp, sign, show and clear use in place of the active one."),
            ("KEYFOB_SERVER_UID", "The number of a user who is trusted to serve the vault, besides yourself and root."),
            (
                "KEYFOB_LOCK_AFTER",
                "After how long without use a daemon that is started locks the vault, such as 15m; or never.",
            ),
            ("KEYFOB_LOG", "How much a daemon that is started logs: off, error, warn, info, debug."),
            ("NO_COLOR", "No colours."),
        ],
    ),
    (
        "FILES",
        &[
            (
                "$XDG_RUNTIME_DIR/keyfob/keyfob.sock",
                "The socket. Without a runtime directory of your own, keyfob-UID/keyfob.sock with the temporary files.",
            ),
            (
                "~/.local/share/keyfob",
                "The data directory: the vault in store, the key file in key-*, the log in keyfobd.log, and in listening where the daemon listens.",
            ),
        ],
    ),
    (
        "EXIT STATUS",
        &[
            ("0", "Done."),
            ("1", "The vault answered a fault, whose code is printed; or the command failed."),
            ("2", "The command was called wrongly."),
            ("69", "There is no daemon, and none could be started."),
        ],
    ),
];

impl Man {
    pub(super) fn run(self, session: &mut Session<'_, '_>, command: Command) -> Result<(), Failure> {
        let Some(dir) = self.dir else {
            return Ok(write_page(command, &mut session.output.io.stdout)?);
        };
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |source| Failure::File { action, path, source }
        };
        fs::create_dir_all(&dir).map_err(failed("make", &dir))?;
        clap_mangen::generate_to(command.clone(), &dir).map_err(failed("write to", &dir))?;
        let mut page = Vec::new();
        write_page(command, &mut page)?;
        let path = dir.join("keyfob.1");
        fs::write(&path, page).map_err(failed("write", &path))?;
        // The daemon's options are its own to describe.
        let daemon = session.access()?.daemon;
        let path = dir.join("keyfobd.1");
        match Program::new(&daemon).arg("--man").output() {
            Ok(page) => fs::write(&path, page.stdout).map_err(failed("write", &path))?,
            Err(error) => session.output.note(format!("no page of keyfobd, which cannot be run: {error}"))?,
        }
        session.output.note(format!("wrote the manual pages to {}", dir.display()))
    }
}

/// The page of the command itself.
fn write_page(command: Command, out: &mut dyn Write) -> io::Result<()> {
    let page = Page::new(command);
    page.render_title(out)?;
    page.render_name_section(out)?;
    page.render_synopsis_section(out)?;
    page.render_description_section(out)?;
    page.render_options_section(out)?;
    page.render_subcommands_section(out)?;
    let mut roff = Roff::new();
    for (title, entries) in SECTIONS {
        roff.control("SH", [title]);
        for (term, text) in entries {
            roff.control("TP", []).text([bold(*term)]).text([roman(*text)]);
        }
    }
    roff.to_writer(out)?;
    page.render_version_section(out)
}
