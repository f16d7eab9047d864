//! A base image: the shape of an ostree system, and no more programs than the tests run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::world::run;

const PROGRAMS: [&str; 12] = ["sh", "cat", "find", "mkdir", "rm", "sed", "id", "cp", "ln", "chmod", "chown", "mkfifo"];
const DIRECTORIES: [&str; 11] = [
    "usr/bin",
    "usr/lib64",
    "usr/lib",
    "usr/sbin",
    "etc/ssh",
    "var/lib/apt/lists",
    "var/cache/apt",
    "var/log",
    "run",
    "tmp",
    "sysroot",
];
const LINKS: [(&str, &str); 7] = [
    ("bin", "usr/bin"),
    ("lib", "usr/lib"),
    ("lib64", "usr/lib64"),
    ("sbin", "usr/sbin"),
    ("home", "var/home"),
    ("usr/local", "../var/usrlocal"),
    ("etc/alias", "ssh"),
];
const FILES: [(&str, &str); 7] = [
    ("usr/lib/modules/6.1.0/vmlinuz", "a kernel\n"),
    ("usr/lib/modules/6.1.0/initramfs.img", "its initramfs\n"),
    ("usr/lib/systemd/system/shipped.service", "[Service]\nExecStart=/bin/true\n"),
    ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nprinter:x:77:78::/:/bin/false\n"),
    ("etc/group", "root:x:0:\nprinter:x:78:\n"),
    ("etc/motd", "as shipped\n"),
    ("usr/share/kept", "base\n"),
];

/// The base image with these labels, as skopeo names it. A process makes each one once: tests only read them.
pub fn image(labels: &str) -> String {
    image_with(labels, &[])
}

/// The base image with these programs of this machine besides.
pub fn image_with(labels: &str, programs: &[&str]) -> String {
    static MADE: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap();
    let number = made.len();
    made.entry(format!("{labels}{programs:?}")).or_insert_with(|| make(labels, programs, number)).clone()
}

fn make(labels: &str, programs: &[&str], number: usize) -> String {
    let work = tempfile::tempdir().unwrap();
    rootfs(work.path(), programs);
    let at = |name: &str| work.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("Base"), format!("FROM scratch\nADD rootfs /\n{labels}\n")).unwrap();
    let (root, runroot) = (at("storage"), at("run"));
    let buildah = ["buildah", "--root", &root, "--runroot", &runroot, "--storage-driver", "vfs"];
    let build = ["build", "--isolation", "chroot", "--tag", "localhost/base:1", "--file", &at("Base"), &at("")];
    run(&[&buildah[..], &build].concat());
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("base-{number}"));
    if place.exists() {
        fs::remove_dir_all(&place).unwrap();
    }
    let place = place.to_str().unwrap();
    let image = format!("oci:{place}:1");
    run(&[&buildah[..], &["push", "localhost/base:1", &image]].concat());
    image
}

/// Makes the root file system of a base image.
fn rootfs(directory: &Path, more: &[&str]) -> PathBuf {
    let root = directory.join("rootfs");
    for path in DIRECTORIES {
        fs::create_dir_all(root.join(path)).unwrap();
    }
    for (path, target) in LINKS {
        symlink(target, root.join(path)).unwrap();
    }
    for (path, contents) in FILES {
        fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        fs::write(root.join(path), contents).unwrap();
    }
    let mut files = BTreeSet::new();
    let programs = PROGRAMS.map(|program| format!("/usr/bin/{program}"));
    for program in programs.iter().map(String::as_str).chain(more.iter().copied()) {
        let path = fs::canonicalize(program).unwrap_or_else(|error| panic!("{program}: {error}"));
        let place = root.join(program.trim_start_matches('/'));
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(&path, place).unwrap();
        let libraries = run(&["ldd", path.to_str().unwrap()]);
        let words = libraries.split_whitespace().filter(|word| word.starts_with('/'));
        files.extend(words.map(PathBuf::from));
    }
    for file in files {
        let place = root.join(file.strip_prefix("/").unwrap());
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(fs::canonicalize(&file).unwrap(), place).unwrap();
    }
    root
}
