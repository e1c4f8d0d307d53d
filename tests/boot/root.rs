//! The disks: a Debian root for each release, made once, and what a run takes with it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a root has besides the minimum.
const INCLUDE: &str = "systemd,systemd-sysv,dbus,libpam-systemd,dbus-user-session,linux-image-amd64,sudo,polkitd";

/// Runs what comes over the second serial port: a number, and a script in base64; answers both likewise.
const AGENT: &str = r#"#!/bin/bash
D=/dev/ttyS1
stty -F $D raw -echo
exec 3<>$D
while IFS= read -r line <&3; do
  printf '%s' "${line#* }" | base64 -d > /run/agent.sh || continue
  out=$(timeout -k 5 280 bash /run/agent.sh 2>&1 </dev/null; echo "rc=$?")
  printf '@@%s %s\n' "${line%% *}" "$(printf '%s' "$out" | base64 -w0)" >&3
done
"#;

const AGENT_UNIT: &str = "\
[Unit]
DefaultDependencies=no
After=systemd-user-sessions.service local-fs.target dbus.socket
[Service]
ExecStart=/usr/local/sbin/agent
Restart=always
KillMode=process
[Install]
WantedBy=multi-user.target
";

/// What is done within a root once.
const PREPARE: &str = r"set -e
for n in 0 1 2 3; do useradd -m -s /bin/bash -u 100$n user$n; done
: > /etc/machine-id
echo keyfob > /etc/hostname; echo '127.0.0.1 localhost keyfob' > /etc/hosts
mkdir -p /var/log/journal
echo '/dev/vda / ext4 errors=remount-ro 0 1' > /etc/fstab
ln -sf ../agent.service /etc/systemd/system/multi-user.target.wants/agent.service
systemctl mask systemd-networkd-wait-online.service apt-daily.timer apt-daily-upgrade.timer man-db.timer >/dev/null 2>&1 || true
";

/// Whether this machine has what is needed.
pub(crate) fn check_needs() -> Result<(), String> {
    if !is_root() {
        return Err("making a root takes root: run it with sudo".to_owned());
    }
    for (program, package) in [
        ("debootstrap", "debootstrap"),
        ("qemu-system-x86_64", "qemu-system-x86"),
        ("qemu-img", "qemu-utils"),
        ("mke2fs", "e2fsprogs"),
    ] {
        let is_there = Command::new("sh").args(["-c", "command -v \"$0\" >/dev/null", program]).status();
        if !is_there.is_ok_and(|status| status.success()) {
            return Err(format!("{program} is missing: apt-get install {package}"));
        }
    }
    Ok(())
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// The root of a release: its directory, which has the kernel, and beside it the image.
pub(crate) fn base(dir: &Path, suite: &str) -> Result<PathBuf, String> {
    let root = dir.join(suite);
    let image = dir.join(format!("{suite}.img"));
    if image.exists() {
        return Ok(root);
    }
    crate::say(&format!("making the root of {suite}, which takes some minutes"));
    fs::create_dir_all(dir).map_err(|error| error.to_string())?;
    let _ = fs::remove_dir_all(&root);
    run(Command::new("debootstrap").args(["--variant=minbase", &format!("--include={INCLUDE}"), suite]).arg(&root))?;
    let write = |path: &str, text: &str, mode: u32| {
        let path = root.join(path);
        let written = fs::write(&path, text);
        written
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(mode)))
            .map_err(|error| error.to_string())
    };
    write("usr/local/sbin/agent", AGENT, 0o755)?;
    write("etc/systemd/system/agent.service", AGENT_UNIT, 0o644)?;
    run(Command::new("chroot").arg(&root).args(["bash", "-c", PREPARE]))?;
    let unfinished = image.with_extension("new");
    let _ = fs::remove_file(&unfinished);
    run(Command::new("mke2fs").args(["-q", "-t", "ext4", "-d"]).arg(&root).arg(&unfinished).arg("4G"))?;
    fs::rename(&unfinished, &image).map_err(|error| error.to_string())?;
    Ok(root)
}

/// What a run takes with it: an archive that is a disk there.
pub(crate) fn luggage(dir: &Path, suite: &str, programs: &Path, packages: &[PathBuf]) -> Result<PathBuf, String> {
    let archive = dir.join(format!("{suite}.tar"));
    let mut tar = Command::new("tar");
    tar.arg("-cf").arg(&archive).arg("-C").arg(programs).args(["keyfob", "keyfobd"]);
    for (package, name) in packages.iter().zip(["first.deb", "second.deb"]) {
        let copy = dir.join(name);
        fs::copy(package, &copy).map_err(|error| format!("{}: {error}", package.display()))?;
        tar.arg("-C").arg(dir).arg(name);
    }
    run(&mut tar)?;
    Ok(archive)
}

/// Runs a program to its end.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let last: Vec<_> = said.lines().rev().take(5).collect();
    Err(format!("{command:?}: {}", last.into_iter().rev().collect::<Vec<_>>().join(" | ")))
}
