//! What pages say: the example of the README in another language, run as it stands there, and the names of tests.

use std::io::ErrorKind;
use std::process::Command;

use data_encoding::BASE64URL_NOPAD;
use keyfob_tests::{DaemonProcess, programs};

use crate::directory;

/// The code block of a language in the README.
fn example(language: &str) -> &'static str {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

/// Runs an example against a daemon; it must print a stamp.
#[allow(clippy::print_stdout, reason = "says that a test was skipped")]
fn stamps(language: &str, interpreter: &str, flag: &str) {
    let dir = directory();
    let _daemon = DaemonProcess::start(dir.path());
    // Where the README has the programs installed.
    let path = std::env::join_paths(
        std::iter::once(programs().to_owned()).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let path = path.unwrap();
    let mut command = Command::new(interpreter);
    command.arg(flag).arg(example(language)).env("PATH", path).env("KEYFOB_SOCKET", dir.path().join("keyfob.sock"));
    let output = match command.output() {
        // CI has to have it; a person need not.
        Err(error) if error.kind() == ErrorKind::NotFound && std::env::var_os("CI").is_none() => {
            return println!("skipped: {interpreter} is not installed");
        }
        output => output.unwrap(),
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let stamp = BASE64URL_NOPAD.decode(output.stdout.trim_ascii()).unwrap();
    assert!(String::from_utf8(stamp).unwrap().starts_with(r#"{"publicKey":"0"#));
}

#[test]
fn the_python_example_stamps() {
    stamps("python", "python3", "-c");
}

#[test]
fn every_test_that_the_architecture_page_names_is_there() {
    let page = include_str!("../../daemon/ARCHITECTURE.md");
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let named: Vec<_> = page.split('`').filter_map(|text| text.split_once(".rs: ")).collect();
    assert!(named.len() > 40, "the page names its tests as `file.rs: function`");
    for (file, name) in named {
        let text = std::fs::read_to_string(root.join(format!("{file}.rs"))).unwrap_or_default();
        assert!(text.contains(&format!("fn {name}(")), "{file}.rs has no test {name}");
    }
}
