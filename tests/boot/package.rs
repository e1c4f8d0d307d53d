//! The rows about the Debian package: installed, used, upgraded under a running daemon, removed.

use crate::Seen;
use crate::machine::Machine;
use crate::rows::{Row, expect, refuse};

pub(crate) const ROWS: [Row; 4] = [
    ("the package installs, and works at once", install),
    ("after a reboot the vault is there", reboot),
    ("an upgrade keeps settings and the daemon that runs", upgrade),
    ("removing the package keeps the vault", remove),
];

fn install(machine: &mut Machine) -> Seen {
    let said = machine.root("rm -f /usr/local/bin/keyfob*; dpkg -i /opt/first.deb 2>&1; dpkg -L keyfob")?;
    for file in [
        "/usr/bin/keyfobd",
        "/usr/lib/systemd/user/keyfobd.socket",
        "/usr/share/man/man1/keyfob-clear.1.gz",
        "/usr/share/bash-completion/completions/keyfob",
        "/etc/default/keyfobd",
    ] {
        expect(&said, file)?;
    }
    machine.root("systemctl stop user@1003.service 2>/dev/null; true")?;
    let used = machine.user("user3", "keyfob key new && keyfob status && keyfob doctor")?;
    expect(&used, "started by    systemd")?;
    expect(&used, "1 unused")?;
    let without =
        "keyfob service uninstall; keyfob status | grep started; keyfob service install; keyfob key list | wc -l";
    let without = machine.user("user3", &format!("({without}) 2>&1"))?;
    expect(&without, "started by    the first command")?;
    expect(&without, "the units are there already")?;
    Ok(format!("{} files; a user's first command reaches systemd's daemon", said.matches('\n').count()))
}

fn reboot(machine: &mut Machine) -> Seen {
    let keys = "keyfob --json key list";
    let before = machine.user("user3", keys)?;
    machine.root("sync")?;
    machine.power_off();
    machine.boot_again()?;
    let after = machine.user("user3", &format!("{keys}; keyfob status | grep ^started"))?;
    expect(&after, before.trim())?;
    expect(&after, "started by    systemd")?;
    Ok("a user's first command after it finds the key pair, and systemd's daemon".to_owned())
}

fn upgrade(machine: &mut Machine) -> Seen {
    machine.root("echo KEYFOB_LOG=debug >> /etc/default/keyfobd; loginctl enable-linger user3")?;
    let pid = "systemctl --user show -P MainPID keyfobd.service";
    let before = machine.user("user3", &format!("keyfob status | grep ^daemon; {pid}"))?;
    let said = machine.root(
        "dpkg -i --force-confdef --force-confold /opt/second.deb 2>&1; grep KEYFOB_LOG=debug /etc/default/keyfobd",
    )?;
    expect(&said, "KEYFOB_LOG=debug")?;
    let after = machine.user("user3", &format!("keyfob status 2>/tmp/said3 | grep ^daemon; {pid}"))?;
    if before != after {
        return Err(format!("the daemon that ran is another: {before} {after}"));
    }
    let told = machine.user("user3", "cat /tmp/said3")?;
    expect(&told, "keyfob restart")?;
    let script = "(n=0; while [ ! -e /tmp/done3 ]; do keyfob --no-start --json status >/dev/null || echo lost; n=$((n+1)); done; echo \"$n attempts\") & \
                  sleep 1; keyfob restart; touch /tmp/done3; wait; keyfob status | grep -e ^daemon -e ^started; keyfob key list | wc -l";
    let restarted = machine.user("user3", &format!("({script}) 2>&1"))?;
    refuse(&restarted, "lost")?;
    expect(&restarted, "started by    systemd")?;
    expect(&restarted, "in place of 0.1.0")?;
    expect(&restarted, "keyfobd 0.1.1")?;
    // And a daemon that no unit started: it becomes the new one on the same socket.
    let apart = "export KEYFOB_DATA_DIR=$HOME/apart; keyfob key new >/dev/null; before=$(keyfob --json status | grep -o '\"pid\":[0-9]*'); \
                 keyfob restart; [ \"$before\" = \"$(keyfob --json status | grep -o '\"pid\":[0-9]*')\" ] && echo same process; \
                 keyfob status | grep -e ^started -e unused; keyfob stop";
    let apart = machine.user("user3", &format!("({apart}) 2>&1"))?;
    expect(&apart, "same process")?;
    expect(&apart, "1 unused")?;
    Ok(restarted.replace('\n', "; ").trim().to_owned())
}

fn remove(machine: &mut Machine) -> Seen {
    let said = machine.root("dpkg -r keyfob 2>&1; dpkg -P keyfob 2>&1; ls /usr/bin/keyfob /usr/lib/systemd/user/keyfobd.socket /etc/default/keyfobd 2>&1; find /etc/systemd -name 'keyfobd*'; test -s /home/user3/.local/share/keyfob/store/keys && echo kept; true")?;
    expect(&said, "kept")?;
    refuse(&said, "/etc/systemd/user/")?;
    if said.matches("No such file").count() == 3 {
        Ok("the programs, units and settings are gone".to_owned())
    } else {
        Err(said)
    }
}
