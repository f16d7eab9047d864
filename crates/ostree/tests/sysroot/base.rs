//! The smallest bootable commit, as an image in an OCI directory, and a place for a sysroot.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::tool::{onlay_ostree, run};

/// A temporary directory with an ostree repository; sysroots below it are removed with it.
pub struct Workshop {
    directory: TempDir,
}

impl Workshop {
    pub fn new() -> Self {
        let directory = TempDir::with_prefix("onlay-ostree-").unwrap();
        let workshop = Self { directory };
        run("ostree", &["init", "--mode=bare-user", "--repo", &workshop.path("repo")]);
        workshop
    }

    pub fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_string()
    }

    /// Commits a system whose /etc/greeting says `greeting`, and writes it as an image; returns `oci:DIRECTORY`.
    pub fn image(&self, greeting: &str) -> String {
        let tree = PathBuf::from(self.path("tree"));
        write_system(&tree, greeting);
        let repo = format!("--repo={}", self.path("repo"));
        let contents = format!("--tree=dir={}", tree.display());
        run(
            "ostree",
            &["commit", &repo, "-b", greeting, &contents, "--bootable", "--timestamp=2025-01-01 00:00:00 +0000"],
        );
        fs::remove_dir_all(&tree).unwrap();
        self.encapsulate(greeting, greeting)["image"].as_str().unwrap().to_string()
    }

    pub fn encapsulate(&self, commit: &str, output: &str) -> Value {
        onlay_ostree(&["encapsulate", "--repo", &self.path("repo"), "--commit", commit, "--output", &self.path(output)])
    }

    /// Installs an image into the sysroot `sys`; returns the answer.
    pub fn deploy(&self, image: &str, more: &[&str]) -> Value {
        let sysroot = self.path("sys");
        let mut args = vec!["deploy", "--sysroot", &sysroot, "--stateroot", "debian", "--image", image];
        args.extend(more);
        onlay_ostree(&args)
    }

    pub fn status(&self) -> Value {
        onlay_ostree(&["status", "--sysroot", &self.path("sys")])
    }
}

impl Drop for Workshop {
    /// ostree makes the roots of deployments immutable; nothing could remove the directory otherwise.
    fn drop(&mut self) {
        let deployments = self.directory.path().join("sys/ostree/deploy/debian/deploy");
        for entry in fs::read_dir(deployments).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                run("chattr", &["-i", entry.path().to_str().unwrap()]);
            }
        }
    }
}

fn write_system(tree: &Path, greeting: &str) {
    let modules = tree.join("usr/lib/modules/6.1.0-tiny");
    for directory in ["boot", "proc", "sys", "dev", "run", "tmp", "sysroot", "var", "usr/etc"] {
        fs::create_dir_all(tree.join(directory)).unwrap();
    }
    fs::create_dir_all(&modules).unwrap();
    symlink("sysroot/ostree", tree.join("ostree")).unwrap();
    fs::write(modules.join("vmlinuz"), "kernel").unwrap();
    fs::write(modules.join("initramfs.img"), "initramfs").unwrap();
    fs::write(tree.join("usr/lib/os-release"), "ID=tiny\n").unwrap();
    fs::write(tree.join("usr/etc/greeting"), greeting).unwrap();
}
