//! A disk that is soon full, or that fails: a small file system that only the processes of a test
//! see.
//!
//! It lives in a mount namespace of its own and is gone with the process that holds it, so that
//! nothing is left behind. One in memory needs no privilege where the kernel lets users have
//! namespaces; one that fails as a disk does is on a loop device, which takes root.

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::needs::cannot_run;
use crate::program::run_by;

/// A mounted file system. Dropping it ends it.
pub struct SmallDisk {
    holder: Child,
    path: PathBuf,
    own_user: bool,
}

const FILLER: &str = "filler";

/// Mounts an image (`$2`) at a directory (`$1`).
const MOUNT_DEVICE: &str = r#"mount -o loop,errors=remount-ro "$2" "$1""#;

/// Says that the file system is there, and keeps it until this process goes.
const HOLD: &str = "echo ready && exec cat >/dev/null";

impl SmallDisk {
    /// Mounts `kib` KiB at the directory `path`.
    ///
    /// # Panics
    ///
    /// Where that is not allowed.
    #[must_use]
    pub fn mount(path: &Path, kib: u32) -> Self {
        let needs =
            "a kernel that gives users mount namespaces, or root; `unshare`, `nsenter`, `mount`";
        Self::mount_in_memory(path, kib, true)
            .or_else(|as_user| {
                let as_root = Self::mount_in_memory(path, kib, false);
                as_root.map_err(|as_root| format!("{as_user}; {as_root}"))
            })
            .unwrap_or_else(|reason| cannot_run(&reason, needs))
    }

    /// Mounts a file system on a disk of its own, which [`SmallDisk::fail`] breaks.
    ///
    /// # Panics
    ///
    /// As [`SmallDisk::mount`].
    #[must_use]
    pub fn mount_on_a_device(path: &Path, kib: u32) -> Self {
        let image = path.with_extension("image");
        let script = format!(
            r#"truncate -s "$3K" "$2" && mkfs.ext4 -q -F "$2" && {MOUNT_DEVICE} && {HOLD}"#
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script, "sh"]);
        command.arg(path).arg(image).arg(kib.to_string());
        let needs = "root, a loop device, `mkfs.ext4` and `fsck.ext4`";
        Self::hold(&mut command, path, false).unwrap_or_else(|reason| cannot_run(&reason, needs))
    }

    fn mount_in_memory(path: &Path, kib: u32, own_user: bool) -> Result<Self, String> {
        let script = format!(r#"mount -t tmpfs -o "size=$2k,mode=700" none "$1" && {HOLD}"#);
        let mut command = Command::new("unshare");
        command.arg("--mount");
        if own_user {
            command.args(["--user", "--map-root-user"]);
        }
        command
            .args(["sh", "-c", &script, "sh"])
            .arg(path)
            .arg(kib.to_string());
        Self::hold(&mut command, path, own_user)
    }

    /// Starts the process that holds the file system.
    fn hold(command: &mut Command, path: &Path, own_user: bool) -> Result<Self, String> {
        let spawned = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut holder = spawned.map_err(|error| format!("unshare: {error}"))?;
        let mut line = String::new();
        let stdout = holder.stdout.take().ok_or("no standard output")?;
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line)
            .map_err(|error| error.to_string())?;
        if line.trim() == "ready" {
            return Ok(Self {
                holder,
                path: path.to_owned(),
                own_user,
            });
        }
        let output = holder
            .wait_with_output()
            .map_err(|error| error.to_string())?;
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }

    /// The same command where the file system is to be seen.
    #[must_use]
    pub fn inside(&self, command: &Command) -> Command {
        let mut inside = Command::new("nsenter");
        inside.args(["--mount", "--target", &self.holder.id().to_string()]);
        if self.own_user {
            inside.args(["--user", "--preserve-credentials"]);
        }
        inside.arg("--");
        run_by(inside, command)
    }

    /// The file system as it is seen from here.
    #[must_use]
    pub fn seen_from_outside(&self) -> PathBuf {
        let mut path = OsString::from(format!("/proc/{}/root", self.holder.id()));
        path.push(&self.path);
        path.into()
    }

    /// Copies what is in a directory onto it, and syncs that.
    ///
    /// # Panics
    ///
    /// When it cannot be copied.
    pub fn take_in(&self, from: &Path) {
        let copied = Command::new("cp")
            .arg("-a")
            .arg(from.join("."))
            .arg(self.seen_from_outside())
            .output();
        let copied = copied.expect("cp");
        assert!(copied.status.success(), "{copied:?}");
        let mut sync = Command::new("sync");
        let synced = sync.arg("-f").arg(self.seen_from_outside()).output();
        let synced = synced.expect("sync");
        assert!(synced.status.success(), "{synced:?}");
    }

    /// Writes until no more than `left_kib` KiB are free.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn fill_up_to(&self, left_kib: u64) {
        let path = self.seen_from_outside().join(FILLER);
        let mut filler = fs::File::options()
            .create(true)
            .append(true)
            .open(&path)
            .expect("a file");
        let page = [0_u8; 4096];
        // Until there is no room at all, and then back by what is to be left.
        while filler.write_all(&page).is_ok() {}
        let length = filler.metadata().expect("a file").len();
        filler
            .set_len(length.saturating_sub(left_kib << 10))
            .expect("room is given back");
    }

    /// Mounts it anew, so that it can only be read, or can be written again.
    ///
    /// # Panics
    ///
    /// When that fails.
    pub fn remount(&self, read_only: bool) {
        let options = if read_only {
            "remount,ro"
        } else {
            "remount,rw"
        };
        let mut mount = Command::new("mount");
        mount.args(["-o", options]).arg(&self.path);
        let mounted = self.inside(&mount).output().expect("mount");
        assert!(mounted.status.success(), "{mounted:?}");
    }

    /// Lets a disk of [`SmallDisk::mount_on_a_device`] fail: the kernel takes it for damaged and
    /// writes nothing more, also not to files that are open.
    ///
    /// # Panics
    ///
    /// When the kernel cannot be asked to.
    pub fn fail(&self) {
        self.shell(
            r#"echo 1 >"/sys/fs/ext4/$(basename "$(findmnt -no SOURCE "$1")")/trigger_fs_error""#,
        );
    }

    /// Repairs a disk that has failed, as an operator does. Nobody may use it meanwhile.
    ///
    /// # Panics
    ///
    /// When that fails.
    pub fn repair(&self) {
        let repair = r#"umount "$1"; fsck.ext4 -p "$2"; [ $? -le 1 ]"#;
        self.shell(&format!("{repair} && {MOUNT_DEVICE}"));
    }

    /// Runs a script where the file system is to be seen, with its directory and its image.
    fn shell(&self, script: &str) {
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(&self.path);
        command.arg(self.path.with_extension("image"));
        let done = self.inside(&command).output().expect("a shell");
        assert!(done.status.success(), "{script}: {done:?}");
    }

    /// Gives all the room back.
    ///
    /// # Panics
    ///
    /// When that fails.
    pub fn free(&self) {
        fs::remove_file(self.seen_from_outside().join(FILLER)).expect("the filler is there");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Killed means that the namespace and the file system in it are gone.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
