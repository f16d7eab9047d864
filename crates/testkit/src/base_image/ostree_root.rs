//! Turns an ordinary root file system into the root of an ostree commit.
//!
//! Only /etc (as /usr/etc) and /usr belong to the image; /var is the node's own and holds no more than what apt and dpkg
//! need in a container that is built from the image; everything else is a link to one of them
//! (<https://ostreedev.github.io/ostree/adapting-existing/>). The database of dpkg lies in /usr, since it tells what the
//! image is made of.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};

use camino::Utf8Path;

/// The version below /usr/lib/modules. The nodes share the kernel of the machine, so kernel and initramfs are stand-ins
/// that make the commit bootable.
const KERNEL: &str = "6.1.0-lab";

/// Directories that are empty in the image, with their modes.
const MOUNT_POINTS: [(&str, u32); 7] = [
    ("boot", 0o755),
    ("dev", 0o755),
    ("proc", 0o755),
    ("run", 0o755),
    ("sys", 0o755),
    ("sysroot", 0o755),
    ("tmp", 0o1777),
];

/// Links from the root to places that can be written, and their targets.
const LINKS: [(&str, &str); 9] = [
    ("home", "var/home"),
    ("media", "run/media"),
    ("mnt", "var/mnt"),
    ("opt", "var/opt"),
    ("ostree", "sysroot/ostree"),
    ("root", "var/roothome"),
    ("srv", "var/srv"),
    ("usr/local", "../var/usrlocal"),
    ("var/lib/dpkg", "../../usr/lib/sysimage/dpkg"),
];

/// What apt, dpkg and maintainer scripts expect below /var in a container, with modes.
const VAR: [(&str, u32); 17] = [
    ("var", 0o755),
    ("var/cache", 0o755),
    ("var/cache/apt", 0o755),
    ("var/cache/apt/archives", 0o755),
    ("var/cache/apt/archives/partial", 0o755),
    ("var/home", 0o755),
    ("var/lib", 0o755),
    ("var/lib/apt", 0o755),
    ("var/lib/apt/lists", 0o755),
    ("var/lib/apt/lists/partial", 0o755),
    ("var/log", 0o755),
    ("var/mnt", 0o755),
    ("var/opt", 0o755),
    ("var/roothome", 0o700),
    ("var/srv", 0o755),
    ("var/usrlocal", 0o755),
    ("var/usrlocal/bin", 0o755),
];

/// Files that tell one machine from another and so are no part of an image.
const IDENTITY: [&str; 2] = ["etc/hostname", "etc/resolv.conf"];

/// Rearranges `root` in place.
pub(super) fn arrange(root: &Utf8Path) -> io::Result<()> {
    for name in IDENTITY {
        remove(&root.join(name))?;
    }
    std::fs::write(root.join("etc/machine-id"), "")?;
    std::fs::create_dir_all(root.join("usr/lib/sysimage"))?;
    std::fs::rename(root.join("var/lib/dpkg"), root.join("usr/lib/sysimage/dpkg"))?;

    remove(&root.join("var"))?;
    for (name, mode) in MOUNT_POINTS {
        remove(&root.join(name))?;
        make(&root.join(name), mode)?;
    }
    for (name, mode) in VAR {
        make(&root.join(name), mode)?;
    }
    for (name, target) in LINKS {
        remove(&root.join(name))?;
        symlink(target, root.join(name))?;
    }
    symlink("../run", root.join("var/run"))?;
    symlink("../run/lock", root.join("var/lock"))?;

    let modules = root.join("usr/lib/modules").join(KERNEL);
    std::fs::create_dir_all(&modules)?;
    for name in ["vmlinuz", "initramfs.img"] {
        std::fs::write(modules.join(name), "the nodes share the kernel of the machine\n")?;
    }
    std::fs::rename(root.join("etc"), root.join("usr/etc"))
}

fn make(path: &Utf8Path, mode: u32) -> io::Result<()> {
    std::fs::create_dir(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(mode))
}

fn remove(path: &Utf8Path) -> io::Result<()> {
    let Ok(metadata) = path.symlink_metadata() else { return Ok(()) };
    if metadata.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arranged() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(directory.path()).unwrap();
        for name in ["boot", "dev", "etc", "home", "opt", "root", "usr/local/bin", "var/lib/dpkg/info", "var/tmp"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        for name in ["etc/hostname", "etc/resolv.conf", "etc/passwd", "var/lib/dpkg/status"] {
            std::fs::write(root.join(name), name).unwrap();
        }
        arrange(root).unwrap();
        directory
    }

    #[test]
    fn the_configuration_moves_below_usr_without_what_tells_machines_apart() {
        let root = arranged();
        let names = |path| {
            let mut names: Vec<_> =
                root.path().join(path).read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names("usr/etc"), ["machine-id", "passwd"]);
        assert!(!root.path().join("etc").exists());
    }

    #[test]
    fn the_package_database_is_part_of_the_image_and_found_where_dpkg_looks() {
        let root = arranged();
        assert!(root.path().join("usr/lib/sysimage/dpkg/status").is_file());
        assert_eq!(std::fs::read_to_string(root.path().join("var/lib/dpkg/status")).unwrap(), "var/lib/dpkg/status");
    }

    #[test]
    fn places_that_people_write_to_are_links_into_var() {
        let root = arranged();
        for (link, target) in [("home", "var/home"), ("usr/local", "../var/usrlocal"), ("ostree", "sysroot/ostree")] {
            assert_eq!(root.path().join(link).read_link().unwrap().to_str(), Some(target), "{link}");
        }
        let mode = |path| root.path().join(path).metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("root"), mode("tmp"), mode("boot")), (0o700, 0o1777, 0o755));
    }

    #[test]
    fn the_image_brings_no_var_tmp() {
        assert!(!arranged().path().join("var/tmp").exists());
    }
}
