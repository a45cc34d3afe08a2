//! Faults of storage and clock: a library, `preload.c`, that is loaded into the server and reads its instructions from a
//! small file, and a volume for the WAL that can become too small.

use chrono::TimeDelta;
use std::fs::File;
use std::os::unix::fs::{FileExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Offset in the file of the clock's offset in microseconds, as in `preload.c`.
const CLOCK_OFFSET_US: u64 = 0;
/// Offset in the file of how many further syncs of the WAL fail.
pub const WAL_SYNCS_TO_FAIL: u64 = 8;
/// Offset in the file of how many further syncs of tables and indexes fail.
pub const DATA_SYNCS_TO_FAIL: u64 = 12;
const WAL_IS_FULL: u64 = 16;
const FILE_BYTES: usize = 64;

/// Injects faults into the storage and the clock of a server.
pub struct StorageFaults {
    library: PathBuf,
    path: PathBuf,
    instructions: File,
}

impl StorageFaults {
    /// Compiles the library into the cluster's folder, which the server's user may enter in any case.
    pub(super) fn prepare(folder: &Path, user: Option<(u32, u32)>) -> Self {
        let (library, path) = (folder.join("preload.so"), folder.join("storage-faults"));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/cluster/preload.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&library).arg(source);
        let compiled = compiler.output().expect("storage faults need a C compiler, cc (Debian: gcc)");
        assert!(compiled.status.success(), "cc: {}", stderr(&compiled));
        std::fs::write(&path, [0; FILE_BYTES]).unwrap();
        if let Some((uid, gid)) = user {
            chown(&path, Some(uid), Some(gid)).unwrap();
        }
        // Written in place, since the server maps it.
        let instructions = File::options().read(true).write(true).open(&path).unwrap();
        Self { library, path, instructions }
    }

    /// Environment variables of a server that the faults are to reach.
    pub(super) fn environment(&self) -> [(&'static str, &Path); 2] {
        [("LD_PRELOAD", &self.library), ("APEX_TEST_STORAGE_FAULTS", &self.path)]
    }

    /// Sets one of the instructions, such as [`WAL_SYNCS_TO_FAIL`].
    pub fn set(&self, instruction: u64, value: i32) {
        self.instructions.write_all_at(&value.to_ne_bytes(), instruction).unwrap();
    }

    /// How many syncs have still to fail, for [`WAL_SYNCS_TO_FAIL`] or [`DATA_SYNCS_TO_FAIL`].
    pub fn remaining(&self, instruction: u64) -> i32 {
        let mut bytes = [0; 4];
        self.instructions.read_exact_at(&mut bytes, instruction).unwrap();
        i32::from_ne_bytes(bytes)
    }

    /// Sets the server's clock to the system's time plus an offset.
    pub fn set_clock(&self, offset: TimeDelta) {
        let offset_us = offset.num_microseconds().unwrap();
        self.instructions.write_all_at(&offset_us.to_ne_bytes(), CLOCK_OFFSET_US).unwrap();
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

/// The volume of the WAL: a tmpfs, or a folder where none can be mounted.
pub struct WalVolume {
    folder: PathBuf,
    is_mounted: bool,
}

/// Enough for a run.
const LARGE_KIB: u64 = 512 * 1024;

impl WalVolume {
    pub(super) fn create(folder: &Path, user: Option<(u32, u32)>) -> Self {
        // `preload.c` recognizes it by this name.
        let folder = folder.join("pg_wal");
        std::fs::create_dir(&folder).unwrap();
        let options = user.map_or("mode=700".to_owned(), |(uid, gid)| format!("mode=700,uid={uid},gid={gid}"));
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "apex-chaos"]).arg(&folder).output();
        let mounted = mounted.expect("mount is a program of every Linux");
        if !mounted.status.success() {
            eprintln!(
                "Cannot mount a tmpfs ({}), which needs root or CAP_SYS_ADMIN: a full disk is only simulated.",
                stderr(&mounted)
            );
        }
        let volume = Self { folder, is_mounted: mounted.status.success() };
        if volume.is_mounted {
            volume.resize(LARGE_KIB);
        } else if let Some((uid, gid)) = user {
            chown(&volume.folder, Some(uid), Some(gid)).unwrap();
        }
        volume
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn resize(&self, kib: u64) {
        let option = format!("remount,size={kib}k");
        let resized = Command::new("mount").args(["-o", &option]).arg(&self.folder).output().unwrap();
        assert!(resized.status.success(), "mount: {}", stderr(&resized));
    }

    fn used_kib(&self) -> u64 {
        let output = Command::new("df").args(["--output=used", "-k"]).arg(&self.folder).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().nth(1).and_then(|line| line.trim().parse().ok()).unwrap_or_else(|| panic!("df: {text}"))
    }

    /// Shrinks the volume so that only this much space is free.
    pub fn shrink(&self, faults: &StorageFaults, free_kib: u64) {
        if self.is_mounted { self.resize(self.used_kib() + free_kib) } else { faults.set(WAL_IS_FULL, 1) }
    }

    /// Gives the volume its original size again.
    pub fn enlarge(&self, faults: &StorageFaults) {
        if self.is_mounted { self.resize(LARGE_KIB) } else { faults.set(WAL_IS_FULL, 0) }
    }
}

impl Drop for WalVolume {
    fn drop(&mut self) {
        if self.is_mounted {
            // Lazily, since a process of the server may still be ending.
            let unmounted = Command::new("umount").arg("--lazy").arg(&self.folder).status();
            assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking(), "umount failed");
        }
    }
}
