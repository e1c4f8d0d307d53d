//! Power that fails while a client stores and removes: what was acknowledged is there, and what was removed is not.

use std::collections::BTreeSet;

use crate::Seen;
use crate::machine::{Machine, pause};
use crate::service::INSTALL;

/// A client that says on the console what was acknowledged, which the host has then.
const WORK: &str = "\
cat > /run/work.sh <<'W'
#!/bin/bash
export PATH=$HOME/.cargo/bin:$PATH
while :; do
  made=()
  for n in 1 2 3; do key=$(keyfob key new) && echo \"KEPT $key\" && made+=(\"$key\"); done
  keyfob key rm --yes \"${made[0]}\" >/dev/null && echo \"GONE ${made[0]}\"
done
W
chmod 755 /run/work.sh
systemd-run -q -p User=user1 -p PAMName=login -p StandardOutput=file:/dev/ttyS0 bash -l /run/work.sh";

/// Cuts the power so often, each time after another while.
pub(crate) fn off(machine: &mut Machine, times: usize) -> Seen {
    machine.root("loginctl enable-linger user1")?;
    machine.user("user1", INSTALL)?;
    // What is tried is what keyfob writes; nobody has synced the programs.
    machine.root("sync")?;
    let (mut acknowledged, mut all_kept) = (0, BTreeSet::<String>::new());
    for number in 0..times {
        let before = machine.console().len();
        machine.root(&format!("chmod 666 /dev/ttyS0; {WORK}"))?;
        for _ in 0..6 + number % 5 {
            pause();
        }
        machine.power_off();
        let console = machine.console().get(before..).unwrap_or_default().to_owned();
        machine.boot_again()?;
        let state =
            "runuser -u user1 -- env XDG_RUNTIME_DIR=/run/user/1001 systemctl --user is-active keyfobd.service 2>&1";
        let running = machine.root(&format!(
            "end=$((SECONDS + 120)); until [ \"$({state})\" = active ] || [ $SECONDS -gt $end ]; do sleep 0.5; done; {state}; true"
        ))?;
        if running.trim() != "active" {
            return Err(format!("after power-off {number} the daemon is {}", running.trim()));
        }
        let there = machine.user("user1", "keyfob --json key list")?;
        let said = |word: &str| -> BTreeSet<String> {
            let lines = console.lines().filter_map(|line| line.split_once(word)).map(|(_, key)| key.trim().to_owned());
            lines.filter(|key| key.len() == 66).collect()
        };
        let (kept, gone) = (said("KEPT "), said("GONE "));
        acknowledged += kept.len() + gone.len();
        if kept.is_empty() {
            return Err("nothing was acknowledged before the power failed".to_owned());
        }
        // The first of a round of three may have been removed, and the power have failed before that was said.
        let round: Vec<_> = console.lines().filter(|line| line.contains("KEPT ")).collect();
        let may_be_gone = if round.len() % 3 == 0 { round.len().checked_sub(3).map(|at| round[at]) } else { None };
        let is_lost = |key: &&&String| {
            !there.contains(key.as_str()) && !may_be_gone.is_some_and(|line| line.contains(key.as_str()))
        };
        all_kept.retain(|key| !gone.contains(key));
        all_kept.extend(kept.difference(&gone).filter(|key| there.contains(key.as_str())).cloned());
        if let Some(lost) = kept.difference(&gone).find(|key| is_lost(&key)) {
            return Err(format!("power-off {number}: {lost} was acknowledged, and is lost"));
        }
        if let Some(lost) = all_kept.iter().find(|key| !there.contains(key.as_str())) {
            return Err(format!("power-off {number}: {lost} was there after another one, and is lost"));
        }
        if let Some(back) = gone.iter().find(|key| there.contains(key.as_str())) {
            return Err(format!("power-off {number}: {back} was removed, and is back"));
        }
    }
    Ok(format!(
        "{times} times: {acknowledged} acknowledged changes, none lost, none back; the daemon ran after each boot"
    ))
}
