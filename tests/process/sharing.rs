//! The page on sharing, its commands run as they stand there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use keyfob_tests::programs;

use crate::grants::{can_make_namespaces, command, daemon, own_uid, said};
use crate::{directory, skipped};

/// The commands of the page on sharing, by the heading that they stand below.
fn of_the_page(heading: &str) -> &'static str {
    let page = include_str!("../../client/SHARING.md");
    let (_, rest) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    rest.split_once("```sh\n").unwrap().1.split_once("```").unwrap().0
}

/// Runs the commands that stand below a heading, beside a daemon with `work` and `private`.
fn follows(heading: &str) -> String {
    let dir = directory();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (_daemon, _) = daemon(dir.path());
    let bin = dir.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let stands_for = |name: &str, script: &str| {
        fs::write(bin.join(name), script).unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    };
    stands_for("docker", include_str!("container.sh"));
    stands_for("as", "#!/bin/sh\nuid=$1; shift; exec setpriv --reuid \"$uid\" --clear-groups \"$@\"\n");
    // Where another user finds it.
    assert!(Command::new("cp").arg(programs().join("keyfob")).arg(&bin).status().unwrap().success());
    let path = std::env::join_paths([&*bin, Path::new("/usr/bin"), Path::new("/bin")]).unwrap();
    let shared = dir.path().join("ci");
    fs::create_dir(&shared).unwrap();
    let script = of_the_page(heading).replace("/srv/ci", shared.to_str().unwrap());
    assert_eq!(script.lines().count(), 3, "{script}");
    let mut shell = command(dir.path(), "sh");
    let output = shell.args(["-exc", &script]).env("PATH", path).output().unwrap();
    assert!(output.status.success(), "{heading}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_page_on_sharing_is_true_for_ones_own_programs_and_for_an_agent() {
    let own = follows("Your own programs");
    assert!(own.contains("private") && own.contains("X-Stamp: "), "{own}");
    let agent = follows("An agent, or any program that you do not trust with the vault");
    assert!(agent.contains("X-Stamp: ") && !agent.contains("private"), "{agent}");
}

#[test]
fn the_page_on_sharing_is_true_for_a_container() {
    if !can_make_namespaces() {
        return skipped("no namespaces may be made here");
    }
    let said = follows("A container");
    assert!(said.contains("X-Stamp: ") && said.contains("revoked 1 grant"), "{said}");
}

#[test]
fn the_page_on_sharing_is_true_for_another_user() {
    if own_uid() != 0 || Command::new("setpriv").arg("--version").stdout(Stdio::null()).status().is_err() {
        return skipped("only root is somebody else for a while, and it takes setpriv");
    }
    let said = follows("Another user");
    assert!(said.contains("work") && !said.contains("private") && said.contains("revoked ci"), "{said}");
}
