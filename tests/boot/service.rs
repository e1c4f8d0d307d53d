//! The rows about the units: a user's, and the system's.

use crate::Seen;
use crate::machine::Machine;
use crate::rows::{Row, expect, refuse};

/// In the order in which they build on each other.
pub(crate) const ROWS: [Row; 19] = [
    ("a fresh user installs it with one command", fresh_user),
    ("twenty first connections at once reach one daemon", first_connections),
    ("a daemon that a program started gives way to the unit", gives_way),
    ("cron and su reach the unit's daemon", without_runtime_dir),
    ("the sandbox shows the vault and nothing else of the home", sandbox),
    ("stop starts none to stop it", stop),
    ("a start that fails says why to each client, and the unit stays", failing_start),
    ("start waits until the daemon listens, or says that it does not", notify),
    ("no client starts a daemon beside the unit", no_second_daemon),
    ("a daemon whose path leads elsewhere ends", path_taken),
    ("a data directory outside of the sandbox is told with the line to add", outside),
    ("root in a user's unit is told who may, and never to allow the overflow user", overflow_user),
    ("another user is refused and starts nothing", another_user),
    ("a second ListenStream answers", second_stream),
    ("the journal has the levels and one time", journal),
    ("a credential opens the vault", credential),
    ("a restart keeps every connection attempt", restart),
    ("uninstall leaves the vault", uninstall),
    ("the system's unit serves those who are allowed", system_unit),
];

/// Installs the programs as cargo does, and the service.
pub(crate) const INSTALL: &str = "mkdir -p ~/.cargo/bin && cp --remove-destination /opt/keyfob /opt/keyfobd ~/.cargo/bin/ && keyfob service install 2>&1";

fn fresh_user(machine: &mut Machine) -> Seen {
    let said = machine
        .user("user0", &format!("test ! -e ~/.local && {INSTALL} && keyfob key new >/dev/null && keyfob status"))?;
    expect(&said, "started by    systemd")?;
    let mode = machine.user(
        "user0",
        "stat -c %a ~/.local/share/keyfob; systemctl --user is-enabled keyfobd.socket keyfobd.service",
    )?;
    expect(&mode, "700\nenabled\nenabled")?;
    Ok(first_line(&said, "keyfobd "))
}

fn first_connections(machine: &mut Machine) -> Seen {
    let script = "systemctl --user stop keyfobd.service 2>/dev/null; for n in $(seq 20); do keyfob --json status & done | grep -o '\"pid\":[0-9]*' | sort | uniq -c; wait";
    let said = machine.user("user0", script)?;
    expect(&said, "     20 \"pid\"")?;
    Ok(said.trim().to_owned())
}

fn gives_way(machine: &mut Machine) -> Seen {
    let before = "mkdir -p ~/.cargo/bin && cp --remove-destination /opt/keyfob /opt/keyfobd ~/.cargo/bin/ && keyfob key new && keyfob status";
    expect(&machine.user("user1", before)?, "started by    the first command")?;
    machine.root("loginctl enable-linger user1")?;
    let said = machine.user("user1", &format!("{INSTALL} && keyfob status && daemons && keyfob key list"))?;
    expect(&said, "started by    systemd")?;
    expect(&said, "1 unused")?;
    expect(&said, "\n1\n")?;
    Ok("the key pair is there, one daemon runs".to_owned())
}

fn without_runtime_dir(machine: &mut Machine) -> Seen {
    let pid = "grep -o '\"pid\":[0-9]*'";
    let script = format!(
        "keyfob --json status | {pid}; env -i HOME=$HOME PATH=$PATH keyfob --json status | {pid}; \
         env -i HOME=$HOME PATH=$PATH setsid keyfob --no-start --json status | {pid}"
    );
    let said = machine.user("user0", &script)?;
    let by_sudo =
        machine.root(&format!("cd /; sudo -u user0 -i /home/user0/.cargo/bin/keyfob --json status | {pid}"))?;
    let mut pids: Vec<_> = said.lines().chain(by_sudo.lines()).collect();
    let count = pids.len();
    pids.dedup();
    if pids.len() == 1 && count == 4 { Ok(format!("{count} ways, {}", pids[0])) } else { Err(said + &by_sudo) }
}

fn sandbox(machine: &mut Machine) -> Seen {
    let script = "keyfob --json status | grep -o '\"pid\":[0-9]*' | cut -d: -f2";
    let pid = machine.user("user0", script)?;
    let pid = pid.trim();
    machine.user("user0", "echo precious > ~/precious")?;
    let look = format!(
        "cd /proc/{pid}/root/home && find . -type f -o -type s | sort | head -n 40; ls -A /proc/{pid}/root/run/user/1000 /proc/{pid}/root/root; \
         grep Seccomp: /proc/{pid}/status"
    );
    let said = machine.root(&look)?;
    refuse(&said, "precious")?;
    refuse(&said, ".bashrc")?;
    expect(&said, "./user0/.cargo/bin/keyfobd")?;
    expect(&said, "./user0/.local/share/keyfob/store/keys")?;
    expect(&said, "Seccomp:\t2")?;
    let outside = said.lines().filter(|line| line.starts_with("./") && !line.contains(".local/share/keyfob")).count();
    if outside == 1 { Ok("the vault, its socket and the program".to_owned()) } else { Err(said) }
}

fn stop(machine: &mut Machine) -> Seen {
    let script = "keyfob stop; systemctl --user is-active keyfobd.socket keyfobd.service; keyfob stop 2>&1; \
                  systemctl --user is-active keyfobd.service; true";
    let said = machine.user("user0", script)?;
    let expected = "stopped\nactive\ninactive\nno daemon is running\ninactive\n";
    if said == expected { Ok("it stays inactive".to_owned()) } else { Err(said) }
}

fn failing_start(machine: &mut Machine) -> Seen {
    let script = "cd ~/.local/share/keyfob/store; keyfob stop; cp format /tmp/format; echo nonsense > format\n\
                  for n in $(seq 12); do keyfob list; echo \"exit $?\"; done 2>&1\n\
                  keyfob service status 2>&1; systemctl --user is-active keyfobd.socket; daemons\n\
                  cp /tmp/format format; sleep 4; keyfob list; keyfob status";
    let said = machine.user("user0", script)?;
    let told = said.matches("keyfobd does not start: ").count();
    let exits = said.matches("exit 69").count();
    if told < 12 || exits != 12 {
        return Err(format!("{told} were told, {exits} exits with 69: {said}"));
    }
    refuse(&said, "closed the connection")?;
    expect(&said, "\nactive\n")?;
    expect(&said, "started by    systemd")?;
    Ok("12 of 12 were told; once mended it works without a word to systemd".to_owned())
}

fn notify(machine: &mut Machine) -> Seen {
    let script = "cd ~/.local/share/keyfob/store; keyfob stop; cp format /tmp/format; echo nonsense > format\n\
                  systemctl --user start keyfobd.service; echo \"start $?\"; systemctl --user show -p StatusText keyfobd.service\n\
                  cp /tmp/format format; systemctl --user start keyfobd.service; echo \"start $?\"; \
                  keyfob --no-start status | grep health";
    let said = machine.user("user0", script)?;
    expect(&said, "start 1\nStatusText=")?;
    expect(&said, "start 0\nhealth        ok")?;
    Ok(first_line(&said, "StatusText="))
}

fn no_second_daemon(machine: &mut Machine) -> Seen {
    let script = "exec 2>/dev/null; systemctl --user stop keyfobd.socket keyfobd.service; keyfob status | grep started\n\
                  systemctl --user stop keyfobd.service; rm $XDG_RUNTIME_DIR/keyfob/keyfob.sock; keyfob status | grep started\n\
                  systemctl --user is-active keyfobd.socket; daemons";
    let said = machine.user("user0", script)?;
    let by = "started by    systemd\n";
    if said == format!("{by}{by}active\n1\n") {
        Ok("stopped, or its file removed: the unit is started".to_owned())
    } else {
        Err(said)
    }
}

fn path_taken(machine: &mut Machine) -> Seen {
    let script = "keyfob key new >/dev/null; pid=$(systemctl --user show -P MainPID keyfobd.service)\n\
                  rm $XDG_RUNTIME_DIR/keyfob/keyfob.sock; mkfifo $XDG_RUNTIME_DIR/keyfob/keyfob.sock\n\
                  for n in $(seq 100); do kill -0 $pid 2>/dev/null || break; sleep 0.2; done; kill -0 $pid 2>/dev/null && echo still there\n\
                  rm $XDG_RUNTIME_DIR/keyfob/keyfob.sock; keyfob status | grep started";
    let said = machine.user("user0", script)?;
    if said == "started by    systemd\n" { Ok("it drained and ended".to_owned()) } else { Err(said) }
}

fn outside(machine: &mut Machine) -> Seen {
    let script = "mkdir -m 700 ~/elsewhere; systemctl --user set-environment KEYFOB_DATA_DIR=$HOME/elsewhere/v; keyfob stop\n\
                  keyfob list; systemctl --user unset-environment KEYFOB_DATA_DIR; sleep 4; keyfob list && echo well";
    let said = machine.user("user0", &format!("({script}) 2>&1"))?;
    expect(&said, "BindPaths=/home/user0/elsewhere/v")?;
    expect(&said, "well")?;
    Ok(first_line(&said, "keyfob: "))
}

fn overflow_user(machine: &mut Machine) -> Seen {
    let said = machine
        .root("KEYFOB_SERVER_UID=1000 KEYFOB_SOCKET=/run/user/1000/keyfob/keyfob.sock /opt/keyfob list 2>&1; true")?;
    expect(&said, "user namespace")?;
    refuse(&said, "allow-uid")?;
    refuse(&said, "65534")?;
    let script = "systemctl --user stop keyfobd.service; mkdir -p ~/.config/systemd/user/keyfobd.service.d; \
                  printf '[Service]\\nExecStart=\\nExecStart=%%h/.cargo/bin/keyfobd --allow-uid 65534\\n' > ~/.config/systemd/user/keyfobd.service.d/a.conf; \
                  systemctl --user daemon-reload; keyfob list; rm -r ~/.config/systemd/user/keyfobd.service.d; systemctl --user daemon-reload; sleep 4; \
                  keyfob key new >/dev/null; keyfob grant --all-sessions --may read --uid 1001 --name other --for 1h; true";
    let refused = machine.user("user0", &format!("({script}) 2>&1"))?;
    expect(&refused, "it would let in everybody")?;
    expect(&refused, "a grant to another user needs")?;
    Ok(first_line(&said, "keyfob: "))
}

fn another_user(machine: &mut Machine) -> Seen {
    // Or their directory goes soon after their session.
    machine.root("loginctl enable-linger user0; systemctl start user@1000.service")?;
    let script = "KEYFOB_SOCKET=/run/user/1000/keyfob/keyfob.sock /opt/keyfob list; echo \"exit $?\"; daemons";
    let said = machine.user("user2", &format!("({script}) 2>&1; true"))?;
    expect(&said, "you may not connect")?;
    expect(&said, "exit 69\n0\n")?;
    machine.root("loginctl disable-linger user0")?;
    Ok(first_line(&said, "keyfob: "))
}

fn second_stream(machine: &mut Machine) -> Seen {
    let script = "d=~/.config/systemd/user/keyfobd.socket.d; mkdir -p $d; printf '[Socket]\\nListenStream=%%t/keyfob/second.sock\\n' > $d/a.conf\n\
                  systemctl --user stop keyfobd.service keyfobd.socket; systemctl --user daemon-reload; systemctl --user start keyfobd.socket\n\
                  timeout 20 keyfob --socket $XDG_RUNTIME_DIR/keyfob/second.sock list; echo \"exit $?\"; timeout 20 keyfob list\n\
                  rm -r $d; systemctl --user stop keyfobd.socket keyfobd.service; systemctl --user daemon-reload; systemctl --user reset-failed; \
                  keyfob status | grep started";
    let said = machine.user("user0", &format!("({script}) 2>&1"))?;
    expect(&said, "leave one `ListenStream=`")?;
    expect(&said, "exit 69")?;
    expect(&said, "started by    systemd")?;
    Ok(first_line(&said, "keyfob: "))
}

fn journal(machine: &mut Machine) -> Seen {
    let script = "journalctl _UID=1000 -t keyfobd -o json --no-pager | grep -o '\"PRIORITY\":\"[0-9]\"' | sort | uniq -c; \
                  journalctl _UID=1000 -t keyfobd -o cat --no-pager | tail -n 3";
    let said = machine.root(script)?;
    expect(&said, "\"PRIORITY\":\"3\"")?;
    expect(&said, "\"PRIORITY\":\"6\"")?;
    if said.lines().any(|line| line.starts_with("20")) {
        return Err(format!("a second time: {said}"));
    }
    expect(&machine.user("user0", "keyfob log -n 5")?, "the vault is open")?;
    Ok(said.lines().last().unwrap_or_default().trim().to_owned())
}

fn credential(machine: &mut Machine) -> Seen {
    let script = "keyfob service install --credential; keyfob vault rekey credential; keyfob stop; keyfob status | grep lock; \
                  ls -l ~/.config/keyfob; grep LoadCred ~/.config/systemd/user/keyfobd.service; keyfob service status";
    let said = machine.user("user0", &format!("({script}) 2>&1"))?;
    expect(&said, "unlocked, wrapping key from systemd's credential")?;
    expect(&said, "-rw-------")?;
    let version = machine.root("systemctl --version | head -n 1 | cut -d' ' -f2 | grep -o '^[0-9]*'")?;
    let is_encrypted = version.trim().parse::<u32>().is_ok_and(|version| version >= 258);
    expect(&said, if is_encrypted { "LoadCredentialEncrypted=keyfob:/home" } else { "LoadCredential=keyfob:/home" })?;
    // Nothing else has it, and so the unit is not taken away.
    let kept = "(keyfob service uninstall; f=$(ls ~/.config/keyfob/wrapping-key*); mv $f /tmp/away; keyfob stop; keyfob status | grep lock; \
                keyfob service status; mv /tmp/away $f; keyfob stop; sleep 4; keyfob status | grep lock) 2>&1; true";
    let kept = machine.user("user0", kept)?;
    expect(&kept, "`keyfob vault rekey key-file` first")?;
    expect(&kept, "unlocked, wrapping key from systemd's credential")?;
    Ok(first_line(&said, "LoadCredential"))
}

fn restart(machine: &mut Machine) -> Seen {
    let script = "keyfob status >/dev/null; (n=0; while [ ! -e /tmp/done ]; do keyfob --no-start --json status >/dev/null || echo lost; n=$((n+1)); done; echo \"$n attempts\") & \
                  for n in $(seq 5); do keyfob restart; done; touch /tmp/done; wait; rm /tmp/done; keyfob status | grep started";
    let said = machine.user("user0", &format!("({script}) 2>&1"))?;
    refuse(&said, "lost")?;
    expect(&said, "started by    systemd")?;
    Ok(first_line(&said, "attempts"))
}

fn uninstall(machine: &mut Machine) -> Seen {
    let script = "keyfob service uninstall; keyfob key list | wc -l; keyfob status | grep started; ls ~/.config/systemd/user; keyfob stop; keyfob service install";
    let said = machine.user("user1", &format!("({script}) 2>&1"))?;
    expect(&said, "started by    the first command")?;
    refuse(&said, "ls: ")?;
    Ok(first_line(&said, "stopped, and"))
}

fn system_unit(machine: &mut Machine) -> Seen {
    let install = "cp /opt/keyfob /opt/keyfobd /usr/local/bin/ && keyfob service install --system --allow user2 2>&1";
    let said = machine.root(install)?;
    expect(&said, "serves /var/lib/keyfob on /run/keyfob/keyfob.sock")?;
    let env = "export KEYFOB_SOCKET=/run/keyfob/keyfob.sock KEYFOB_SERVER_UID=$(id -u keyfob)";
    let used = machine.user("user2", &format!("{env}; keyfob key new && keyfob status && keyfob stop; true"))?;
    expect(&used, "1 unused")?;
    let refused = machine.user("user3", &format!("({env}; keyfob list) 2>&1; true"))?;
    expect(&refused, "you may not connect")?;
    let granted = machine.root(&format!("{env}; (keyfob grant --all-sessions --may read --uid 1003 --name shared --for 1h; keyfob grants; keyfob service status --system) 2>&1"))?;
    expect(&granted, "shared")?;
    let through = machine.user(
        "user3",
        "(export KEYFOB_SOCKET=/run/keyfob/grant-shared.sock KEYFOB_SERVER_UID=$(id -u keyfob); keyfob status) 2>&1",
    )?;
    expect(&through, "which is all of the vault that is here")?;
    refuse(&granted, "!!")?;
    let gone = machine.root("keyfob service uninstall --system 2>&1; ls /etc/systemd/system | grep -c keyfobd; test -d /var/lib/keyfob/store && echo kept; true")?;
    expect(&gone, "0\nkept")?;
    Ok("the allowed user and a grant, nobody else".to_owned())
}

/// The line of a text that has this in it.
fn first_line(text: &str, with: &str) -> String {
    text.lines().find(|line| line.contains(with)).unwrap_or_default().trim().to_owned()
}
