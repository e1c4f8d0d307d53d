//! [`FileSystem`]: what kind of file system the vault is on, how much room it has, and what "gone" means there.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfs, statfs, statvfs};

/// The file system that a path is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// What it is called; the number of its kind where that has no name here.
    pub kind: String,
    /// Whether what is overwritten there is gone at once: the same blocks are used again. Not known of all kinds.
    pub overwrites_in_place: Option<bool>,
    /// The room that it has for us, in bytes.
    pub free: u64,
    path: PathBuf,
}

impl FileSystem {
    /// The file system of a path.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    pub fn of(path: &Path) -> io::Result<Self> {
        let (kind, overwrites_in_place) = kind(path)?;
        Ok(Self { kind, overwrites_in_place, free: free(path)?, path: path.to_owned() })
    }
}

impl fmt::Display for FileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, free, path, .. } = self;
        write!(f, "the {kind} file system of {} has {} KiB free", path.display(), free / 1024)
    }
}

/// The room for us on the file system of a path, in bytes.
pub(super) fn free(path: &Path) -> io::Result<u64> {
    let StatVfs { f_frsize, f_bavail, f_bfree, .. } = statvfs(path)?;
    // A part may be kept for root.
    let blocks = if rustix::process::geteuid().is_root() { f_bfree } else { f_bavail };
    Ok(blocks.saturating_mul(f_frsize))
}

/// The name of a file system's kind, and whether it overwrites in place: the numbers are those of statfs(2).
#[cfg(target_os = "linux")]
fn kind(path: &Path) -> io::Result<(String, Option<bool>)> {
    #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss, reason = "the type differs between platforms")]
    let number = statfs(path)?.f_type as u64 & 0xffff_ffff;
    let (name, overwrites_in_place) = match number {
        0xef53 => ("ext2, ext3 or ext4", Some(true)),
        0x5846_5342 => ("xfs", Some(true)),
        0x0102_1994 => ("tmpfs", Some(true)),
        0x8584_58f6 => ("ramfs", Some(true)),
        0x4d44 => ("vfat", Some(true)),
        0x2011_bab0 => ("exfat", Some(true)),
        0x5346_544e | 0x7366_746e => ("ntfs", Some(true)),
        0x3153_464a => ("jfs", Some(true)),
        // The file says that it wants to be overwritten in place, and btrfs does so but for snapshots.
        0x9123_683e => ("btrfs", Some(true)),
        0x2fc1_2fc1 => ("zfs", Some(false)),
        0xca45_1a4e => ("bcachefs", Some(false)),
        0xf2f5_2010 => ("f2fs", Some(false)),
        0x3434 => ("nilfs", Some(false)),
        0x794c_7630 => ("overlayfs", None),
        0x6969 => ("nfs", None),
        0xff53_4d42 | 0xfe53_4d42 | 0x517b => ("smb", None),
        0x6573_5546 => ("fuse", None),
        0x0102_1997 => ("9p", None),
        _ => return Ok((format!("0x{number:x}"), None)),
    };
    Ok((name.to_owned(), overwrites_in_place))
}

#[cfg(target_os = "macos")]
fn kind(path: &Path) -> io::Result<(String, Option<bool>)> {
    let name = statfs(path)?.f_fstypename;
    let name: Vec<u8> = name.iter().take_while(|byte| **byte != 0).map(|byte| byte.to_ne_bytes()[0]).collect();
    let name = String::from_utf8_lossy(&name).into_owned();
    let overwrites_in_place = match &*name {
        "hfs" => Some(true),
        "apfs" => Some(false),
        _ => None,
    };
    Ok((name, overwrites_in_place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_temporary_directory_is_on_a_file_system_with_a_name_and_room() {
        let found = FileSystem::of(&std::env::temp_dir()).unwrap();
        assert!(!found.kind.is_empty());
        assert!(found.to_string().contains("KiB free"), "{found}");
        assert!(FileSystem::of(Path::new("/no/such/place")).is_err());
    }
}
