//! What stands between a server and its storage and clock: a library of our own, `preload.c`, that does what a small file
//! says, and a room for the WAL that can get too small.

use chrono::TimeDelta;
use std::fs::File;
use std::os::unix::fs::{FileExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where `preload.c` expects its orders.
const CLOCK_OFFSET_US: u64 = 0;
pub(crate) const WAL_SYNCS_TO_FAIL: u64 = 8;
pub(crate) const DATA_SYNCS_TO_FAIL: u64 = 12;
const WAL_IS_FULL: u64 = 16;
const ORDERS_BYTES: usize = 64;

/// The library and its orders.
pub(crate) struct Strikes {
    library: PathBuf,
    path: PathBuf,
    orders: File,
}

impl Strikes {
    /// Compiles the library into a folder of the cluster, which its user may enter in any case.
    pub(crate) fn prepare(folder: &Path, user: Option<(u32, u32)>) -> Self {
        let (library, path) = (folder.join("preload.so"), folder.join("strikes"));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/chaos/preload.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&library).arg(source);
        let compiled = compiler.output().expect("strikes at storage take a C compiler, cc (Debian: gcc)");
        assert!(compiled.status.success(), "cc: {}", said(&compiled));
        std::fs::write(&path, [0; ORDERS_BYTES]).unwrap();
        if let Some((uid, gid)) = user {
            chown(&path, Some(uid), Some(gid)).unwrap();
        }
        // Not written as a whole: the server has mapped it.
        let orders = File::options().read(true).write(true).open(&path).unwrap();
        Self { library, path, orders }
    }

    pub(crate) fn environment(&self) -> [(&'static str, &Path); 2] {
        [("LD_PRELOAD", &self.library), ("APEX_TEST_STRIKES", &self.path)]
    }

    pub(crate) fn order(&self, place: u64, value: i32) {
        self.orders.write_all_at(&value.to_ne_bytes(), place).unwrap();
    }

    pub(crate) fn left(&self, place: u64) -> i32 {
        let mut bytes = [0; 4];
        self.orders.read_exact_at(&mut bytes, place).unwrap();
        i32::from_ne_bytes(bytes)
    }

    pub(crate) fn set_clock(&self, offset: TimeDelta) {
        let offset_us = offset.num_microseconds().unwrap();
        self.orders.write_all_at(&offset_us.to_ne_bytes(), CLOCK_OFFSET_US).unwrap();
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

/// Where the WAL lies: a disk in memory, or a folder where none can be mounted.
pub(crate) struct WalRoom {
    folder: PathBuf,
    is_disk: bool,
}

/// Room that is enough for a run.
const LARGE_KIB: u64 = 512 * 1024;

impl WalRoom {
    pub(crate) fn make(folder: &Path, user: Option<(u32, u32)>) -> Self {
        // `preload.c` knows it by this name.
        let folder = folder.join("pg_wal");
        std::fs::create_dir(&folder).unwrap();
        let options = user.map_or("mode=700".to_owned(), |(uid, gid)| format!("mode=700,uid={uid},gid={gid}"));
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "apex-chaos"]).arg(&folder).output();
        let mounted = mounted.expect("mount is a program of every Linux");
        if !mounted.status.success() {
            eprintln!(
                "No tmpfs can be mounted here ({}), which takes root or CAP_SYS_ADMIN: the disk only seems to be full.",
                said(&mounted)
            );
        }
        let room = Self { folder, is_disk: mounted.status.success() };
        if room.is_disk {
            room.resize(LARGE_KIB);
        } else if let Some((uid, gid)) = user {
            chown(&room.folder, Some(uid), Some(gid)).unwrap();
        }
        room
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn resize(&self, kib: u64) {
        let option = format!("remount,size={kib}k");
        let resized = Command::new("mount").args(["-o", &option]).arg(&self.folder).output().unwrap();
        assert!(resized.status.success(), "mount: {}", said(&resized));
    }

    fn used_kib(&self) -> u64 {
        let output = Command::new("df").args(["--output=used", "-k"]).arg(&self.folder).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().nth(1).and_then(|line| line.trim().parse().ok()).unwrap_or_else(|| panic!("df: {text}"))
    }

    /// Leaves so much room, and no more.
    pub(crate) fn narrow(&self, strikes: &Strikes, left_kib: u64) {
        if self.is_disk { self.resize(self.used_kib() + left_kib) } else { strikes.order(WAL_IS_FULL, 1) }
    }

    pub(crate) fn widen(&self, strikes: &Strikes) {
        if self.is_disk { self.resize(LARGE_KIB) } else { strikes.order(WAL_IS_FULL, 0) }
    }
}

impl Drop for WalRoom {
    fn drop(&mut self) {
        if self.is_disk {
            // Lazily, should a process of the server still be ending.
            let unmounted = Command::new("umount").arg("--lazy").arg(&self.folder).status();
            assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking(), "umount failed");
        }
    }
}
