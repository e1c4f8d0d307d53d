//! A start, whatever it inherits: files, signals, limits, settings, file systems that are not what they should be.

use std::fs;
use std::process::Command;

use keyfob_tests::{DaemonProcess, programs};

use crate::reach::{Home, keyfob, text};
use crate::{directory, skipped};

#[test]
fn a_daemon_keeps_nothing_that_whoever_started_it_had_open() {
    let at = Home::new();
    let (home, run) = (at.path("home"), at.path("run"));
    let login = at.login(&home, &run);
    let shell = |script: &str| {
        let mut command = Command::new("bash");
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).envs(login).arg("-c").arg(script);
        command.env("KEYFOB", programs().join("keyfob")).env("LOCK", at.path("job.lock"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{script}: {}", text(&output));
        assert!(keyfob(&login, &["stop"]).status.success());
        text(&output)
    };
    // Each would wait for the end of the daemon.
    shell(r#"x=$(bash -c 'exec 3>&1 1>&2; "$KEYFOB" list')"#);
    shell(r#"x=$("$KEYFOB" key list 2>&1); test -n "$x""#);
    shell(r#"{ "$KEYFOB" list >/dev/null 2>&1; } 3>&1 | cat"#);
    shell(r#"exec 9>"$LOCK"; flock -n 9; "$KEYFOB" list; exec 9>&-; flock -n "$LOCK" true"#);
    shell(
        r#"exec 250>"$LOCK"; flock -n 250; "${KEYFOB}d" --background >/dev/null; exec 250>&-; flock -n "$LOCK" true"#,
    );
    let said = shell(r#"said=$("${KEYFOB}d" --background) && echo "$said""#);
    assert!(said.starts_with(r#"{"listening":{"pid":"#) && said.contains(r#""socket":""#), "{said}");
}

#[test]
fn a_daemon_works_whatever_it_inherits_or_says_why_not() {
    let at = Home::new();
    let (home, run, gone) = (at.path("home"), at.path("run"), at.path("gone"));
    fs::create_dir(&gone).unwrap();
    let login = at.login(&home, &run);
    let shell = |script: &str| {
        let mut command = Command::new("bash");
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).envs(login).arg("-c").arg(script);
        command.env("KEYFOB", programs().join("keyfob")).env("GONE", &gone).output().unwrap()
    };
    let ok = |script: &str| {
        let output = shell(script);
        assert!(output.status.success(), "{script}: {}", text(&output));
        assert!(keyfob(&login, &["stop"]).status.success(), "{script}");
    };
    ok(r#"cd "$GONE" && rmdir "$GONE" && "$KEYFOB" key new"#);
    ok(r#"umask 777; "$KEYFOB" key new"#);
    ok(r#"trap '' INT QUIT HUP PIPE CHLD; "$KEYFOB" key new"#);
    ok(r#"ulimit -S -n 20; "$KEYFOB" key new"#);
    ok(r#"ulimit -S -f 1; "$KEYFOB" key new"#);
    ok(r#""$KEYFOB" key new <&- 2>&-"#);
    let few = shell(r#"ulimit -n 40; "$KEYFOB" list"#);
    assert!(few.status.code() == Some(69) && text(&few).contains("ulimit -n"), "{}", text(&few));
}

#[test]
fn a_setting_that_makes_no_sense_is_named_in_the_one_line_too() {
    let at = Home::new();
    let (home, run) = (at.path("home"), at.path("run"));
    let with = |name: &'static str, value: &str| {
        let mut env = at.login(&home, &run).to_vec();
        let value = std::path::PathBuf::from(value);
        env.push((name, &value));
        keyfob(&env, &["status"])
    };
    for (name, value) in [("KEYFOB_LOCK_AFTER", "soon"), ("KEYFOB_LOCK_AFTER", "-5m"), ("KEYFOB_LOG", "loud")] {
        let output = with(name, value);
        assert_eq!(output.status.code(), Some(69), "{name}");
        assert!(text(&output).contains(name) && !text(&output).contains(value), "{}", text(&output));
    }
    for (name, value, shown) in [
        ("KEYFOB_LOCK_AFTER", "", "unlocked"),
        ("KEYFOB_LOCK_AFTER", "15m", "locks itself after 15 min"),
        ("KEYFOB_LOCK_AFTER", "never", "unlocked"),
        ("KEYFOB_LOG", "", "unlocked"),
    ] {
        let output = with(name, value);
        assert!(output.status.success() && text(&output).contains(shown), "{name}={value}: {}", text(&output));
        assert!(with(name, value).status.success());
        assert!(keyfob(&at.login(&home, &run), &["stop"]).status.success());
    }
    // A flag that is none, too; and what was typed is not repeated.
    for args in [&["--hunter2"][..], &["hunter2"], &["--log-format", "hunter2"], &["--allow-uid", "hunter2"]] {
        let run = |more: &[&str]| Command::new(programs().join("keyfobd")).args(more).args(args).output().unwrap();
        let output = run(&["--background"]);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(
            text(&output).starts_with(r#"{"failed":{"message":"#) && !text(&output).contains("hunter2"),
            "{args:?}"
        );
        let output = run(&[]);
        assert!(text(&output).contains("keyfobd --help") && !text(&output).contains("hunter2"), "{args:?}");
    }
}

#[test]
fn a_vault_that_can_only_be_read_is_said_to_be_that() {
    let dir = directory();
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    let mount = |args: &[&str]| Command::new("mount").args(args).arg(&data).output();
    if !mount(&["-t", "tmpfs", "-o", "ro,mode=700", "none"]).is_ok_and(|output| output.status.success()) {
        return skipped("only root makes file systems");
    }
    let output = keyfob(&[("HOME", dir.path()), ("KEYFOB_DATA_DIR", &data)], &["list"]);
    assert!(Command::new("umount").arg(&data).status().unwrap().success());
    assert_eq!(output.status.code(), Some(69));
    let said = text(&output);
    assert!(said.contains("write to the data directory") && said.contains("Read-only file system"), "{said}");
}

#[test]
fn a_vault_that_locks_itself_says_so_in_the_log() {
    let at = Home::new();
    let (home, run) = (at.path("home"), at.path("run"));
    let mut env = at.login(&home, &run).to_vec();
    let after = std::path::PathBuf::from("1s");
    env.push(("KEYFOB_LOCK_AFTER", &after));
    assert!(keyfob(&env, &["key", "new"]).status.success());
    assert!(keyfob(&env, &["watch", "-n", "1"]).status.success());
    assert!(keyfob(&env, &["stop"]).status.success());
    let log = keyfob(&env, &["log"]);
    assert!(text(&log).contains("the vault locked itself"), "{}", text(&log));
}

#[test]
fn where_locks_do_nothing_no_daemon_starts() {
    let Ok(strace) = Command::new("strace").arg("-V").output() else {
        return skipped("there is no strace to take the locks away");
    };
    assert!(strace.status.success());
    let dir = directory();
    let daemon = DaemonProcess::command(dir.path());
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=flock", "-e", "inject=flock:retval=0"]);
    command.arg(daemon.get_program()).args(daemon.get_args());
    let (line, status) = DaemonProcess::spawn(command, dir.path()).err().unwrap();
    assert!(line.contains("locks of files do nothing there"), "{line}");
    assert_eq!(status.code(), Some(1));
    assert!(!dir.path().join("data/store").exists(), "nothing was touched");
}
