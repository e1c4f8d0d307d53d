//! [`Machine`]: a Debian that runs in qemu, to which scripts are given over a serial port.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use data_encoding::BASE64;

/// What each user's script begins with.
const PRELUDE: &str = "\
export PATH=$HOME/.cargo/bin:$PATH
daemons() { for c in $(grep -lx keyfobd /proc/[0-9]*/comm 2>/dev/null); do grep -P \"^Uid:\\t$(id -u)\\t\" ${c%comm}status; done | wc -l; }";

/// How long a boot in software may take.
const BOOT: Duration = Duration::from_secs(300);

/// How often a boot is tried.
const TRIES: usize = 3;

/// How long a script may take.
const SCRIPT: Duration = Duration::from_secs(290);

/// A machine. Its power fails when it is dropped.
pub(crate) struct Machine {
    root: PathBuf,
    disk: PathBuf,
    luggage: PathBuf,
    /// Sockets and the console are here.
    dir: PathBuf,
    qemu: Child,
    number: u64,
    /// Where in the console the last boot begins.
    console_begin: usize,
}

impl Machine {
    /// Boots a machine with a new disk over this root, and unpacks the luggage in `/opt`.
    pub(crate) fn boot(dir: &Path, suite: &str, root: &Path, luggage: &Path) -> Result<Self, String> {
        let run_dir = dir.join(format!("run-{suite}"));
        let _ = fs::remove_dir_all(&run_dir);
        fs::create_dir_all(&run_dir).map_err(|error| error.to_string())?;
        let disk = run_dir.join("disk.qcow2");
        let base = root.with_extension("img");
        crate::root::run(
            Command::new("qemu-img").args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"]).arg(base).arg(&disk),
        )?;
        let qemu = start(root, &disk, luggage, &run_dir)?;
        let mut machine = Self {
            root: root.to_owned(),
            disk,
            luggage: luggage.to_owned(),
            dir: run_dir,
            qemu,
            number: 0,
            console_begin: 0,
        };
        machine.wait().or_else(|_| machine.boot_again())?;
        machine.root("cd /opt && tar -xf /dev/vdb && chmod 755 keyfob keyfobd")?;
        Ok(machine)
    }

    /// Runs a script as root. An exit code that is not 0 is an error, as is anything that does not end.
    pub(crate) fn root(&mut self, script: &str) -> Result<String, String> {
        let said = self.run(script, SCRIPT)?;
        let (text, code) = said.rsplit_once("rc=").unwrap_or((&said, "?"));
        if code.trim() == "0" {
            Ok(text.to_owned())
        } else {
            Err(format!("exit code {}: {}", code.trim(), text.trim()))
        }
    }

    /// Runs a script in a login session of a user.
    pub(crate) fn user(&mut self, user: &str, script: &str) -> Result<String, String> {
        let encoded = BASE64.encode(format!("{PRELUDE}\n{script}").as_bytes());
        let session = "systemd-run -q --pipe --wait -p PAMName=login";
        self.root(&format!(
            "echo {encoded} | base64 -d > /run/{user}.sh; chmod 755 /run/{user}.sh; {session} -p User={user} bash -l /run/{user}.sh"
        ))
    }

    /// The power fails. What the guest's kernel had not written is lost.
    pub(crate) fn power_off(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }

    /// Boots it again.
    ///
    /// In software a kernel panics now and then before it has mounted anything; it is tried again then.
    pub(crate) fn boot_again(&mut self) -> Result<(), String> {
        let mut booted = Err(String::new());
        for _ in 0..TRIES {
            self.power_off();
            self.console_begin = self.console().len();
            self.qemu = start(&self.root, &self.disk, &self.luggage, &self.dir)?;
            booted = self.wait();
            if booted.is_ok() {
                break;
            }
        }
        booted
    }

    /// What it wrote to its console since it was made.
    pub(crate) fn console(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.dir.join("console")).unwrap_or_default()).into_owned()
    }

    fn wait(&mut self) -> Result<(), String> {
        let end = Instant::now() + BOOT;
        loop {
            if self.run("systemctl is-system-running --wait >/dev/null; true", Duration::from_secs(60)).is_ok() {
                return Ok(());
            }
            if self.console().get(self.console_begin..).is_some_and(|console| console.contains("Kernel panic")) {
                return Err("its kernel panicked".to_owned());
            }
            if Instant::now() > end || self.qemu.try_wait().is_ok_and(|ended| ended.is_some()) {
                return Err(format!("it does not boot; see {}", self.dir.join("console").display()));
            }
            pause();
        }
    }

    fn run(&mut self, script: &str, within: Duration) -> Result<String, String> {
        self.number += 1;
        let stream = UnixStream::connect(self.dir.join("agent")).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(within)).map_err(|error| error.to_string())?;
        let line = format!("{} {}\n", self.number, BASE64.encode(script.as_bytes()));
        (&stream).write_all(line.as_bytes()).map_err(|error| error.to_string())?;
        let begin = format!("@@{} ", self.number);
        for line in BufReader::new(&stream).lines() {
            let line = line.map_err(|_| format!("no answer within {} s", within.as_secs()))?;
            if let Some(said) = line.strip_prefix(&begin) {
                let said = BASE64.decode(said.trim().as_bytes()).map_err(|error| error.to_string())?;
                return Ok(String::from_utf8_lossy(&said).into_owned());
            }
        }
        Err("the machine is off".to_owned())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.power_off();
        keyfob_tests::ended(self.qemu.id());
    }
}

fn start(root: &Path, disk: &Path, luggage: &Path, dir: &Path) -> Result<Child, String> {
    let boot = root.join("boot");
    let find = |prefix: &str| {
        let entries = fs::read_dir(&boot).map_err(|error| error.to_string())?;
        let mut names = entries.flatten().map(|entry| entry.path());
        let found = names.find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)));
        found.ok_or_else(|| format!("there is no {prefix} in {}", boot.display()))
    };
    let _ = fs::remove_file(dir.join("agent"));
    let console = fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(dir.join("console"))
        .map_err(|error| error.to_string())?;
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args([
        "-accel",
        "tcg,thread=multi",
        "-cpu",
        "max",
        "-smp",
        "2",
        "-m",
        "1536",
        "-display",
        "none",
        "-nic",
        "none",
    ]);
    qemu.arg("-kernel").arg(find("vmlinuz")?).arg("-initrd").arg(find("initrd")?);
    qemu.args(["-append", "root=/dev/vda rw console=ttyS0 quiet systemd.show_status=0 random.trust_cpu=on"]);
    qemu.arg("-drive").arg(format!("file={},if=virtio,format=qcow2,cache=writeback", disk.display()));
    qemu.arg("-drive").arg(format!("file={},if=virtio,format=raw,readonly=on", luggage.display()));
    qemu.args(["-device", "virtio-rng-pci", "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]);
    qemu.arg("-serial").arg(format!("unix:{},server=on,wait=off", dir.join("agent").display()));
    qemu.stdin(Stdio::null()).stdout(console).stderr(Stdio::null());
    let qemu = qemu.spawn().map_err(|error| error.to_string())?;
    keyfob_tests::started(qemu.id());
    Ok(qemu)
}

/// Lets a moment pass.
pub(crate) fn pause() {
    // Nothing tells when a machine has booted so far that its agent listens.
    std::thread::park_timeout(Duration::from_secs(1));
}
