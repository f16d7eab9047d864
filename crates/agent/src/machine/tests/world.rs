//! A machine on a temporary directory: deployments with trees of their own, the merge of /etc at shutdown, power cuts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use camino::Utf8Path;
use jiff::Timestamp;
use onlay_api::Permit;
use onlay_core::change::disruption::{self, Disruption};
use onlay_core::node::{Decision, Step, Target, decide};
use onlay_core::render::desired::{Desired, DesiredFile, DesiredUnit, Owner};
use onlay_host::command::{self, Run, Runner};
use onlay_host::disk::{self, Space};
use onlay_host::os::{self, Backend, Deployment, KernelArguments, Request, Staged, Status};

use crate::machine::{Error, Machine, Order, Sight};

pub const BASE: &str = "r:5000/os/base@sha256:base";
pub const LAYERED: &str = "r:5000/os/layered@sha256:layered";
/// The unit that is restarted when the file behind a `+` changes.
pub const UNIT: &str = "extra.service";
/// That file.
pub const EXTRA: &str = "/etc/extra";
const AUTOFS: &str = "[Install]\nWantedBy=multi-user.target\n";

/// The machine's disk and what is in its memory.
#[derive(Debug, Default)]
struct Disk {
    deployments: Vec<Deployment>,
    serial: u32,
    boots: u32,
    commands: Vec<String>,
    reboot_asked: bool,
    /// Whether the shutdown loses the staged deployment although it is unlocked.
    loses_staged: bool,
    /// Unit that systemd calls failed.
    failed_unit: Option<&'static str>,
    /// Bytes that are free in places where that is not plenty.
    free: BTreeMap<&'static str, u64>,
    /// Images that were fetched, in order.
    fetched: Vec<String>,
    /// Deployments that outlive the next shutdown, beside the booted one and the new one.
    pinned: BTreeSet<String>,
}

/// A machine that can be rebooted.
#[derive(Debug, Clone)]
pub struct World {
    dir: Arc<tempfile::TempDir>,
    disk: Arc<Mutex<Disk>>,
}

impl World {
    /// A machine that was installed from the base image and never met.
    pub fn new() -> Self {
        let world = World { dir: Arc::new(tempfile::tempdir().unwrap()), disk: Arc::default() };
        for directory in ["run", "boot", "var/lib", "proc/sys/kernel/random", "usr", "sysroot"] {
            fs::create_dir_all(world.path(directory)).unwrap();
        }
        let id = world.deploy(BASE, vec!["root=LABEL=root".into(), "rw".into()]);
        world.disk().deployments[0].booted = true;
        fs::remove_dir(world.path("usr")).unwrap();
        fs::rename(world.tree(&id).join("usr"), world.path("usr")).unwrap();
        copy(&world.path("usr/etc"), &world.path("etc"));
        world.boots();
        world
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path.trim_start_matches('/'))
    }

    pub fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.path(path)).ok()
    }

    pub fn exists(&self, path: &str) -> bool {
        self.path(path).symlink_metadata().is_ok()
    }

    /// Every path below /etc with its contents or target.
    pub fn etc(&self) -> BTreeMap<String, String> {
        tree_of(&self.path("etc"))
    }

    pub fn booted(&self) -> Deployment {
        self.disk().deployments.iter().find(|known| known.booted).unwrap().clone()
    }

    pub fn deployments(&self) -> Vec<String> {
        self.disk().deployments.iter().map(|known| known.id.clone()).collect()
    }

    pub fn boot_count(&self) -> u32 {
        self.disk().boots
    }

    pub fn commands(&self) -> Vec<String> {
        self.disk().commands.clone()
    }

    pub fn lose_staged(&self, loses: bool) {
        self.disk().loses_staged = loses;
    }

    pub fn fail_unit(&self, unit: Option<&'static str>) {
        self.disk().failed_unit = unit;
    }

    pub fn set_free(&self, place: &'static str, bytes: u64) {
        self.disk().free.insert(place, bytes);
    }

    pub fn fetched(&self) -> Vec<String> {
        self.disk().fetched.clone()
    }

    /// An agent that has just been started.
    pub fn agent(&self) -> Machine {
        self.try_agent().unwrap()
    }

    /// An agent, unless another one is there.
    pub fn try_agent(&self) -> Result<Machine, Error> {
        let root = Utf8Path::from_path(self.dir.path()).unwrap();
        Machine::open(root, Box::new(self.clone()), Box::new(self.clone()), Box::new(self.clone()))
    }

    /// An orderly reboot: an unlocked staged deployment is finalised, with the changes of /etc, and what is neither new,
    /// booted nor pinned goes, as libostree does it.
    pub fn reboot(&self) {
        let staged = self.disk().deployments.iter().find(|known| known.staged).cloned();
        let loses = self.disk().loses_staged;
        match staged {
            Some(staged) if !staged.locked && !loses => {
                let mut disk = self.disk();
                let pinned = disk.pinned.clone();
                disk.deployments.retain(|known| known.booted || known.staged || pinned.contains(&known.id));
                drop(disk);
                self.boot_into(&staged.id);
            }
            Some(_) => self.power_cut(),
            None => self.boots(),
        }
    }

    /// The power goes and comes back: what is staged is lost.
    pub fn power_cut(&self) {
        self.disk().deployments.retain(|known| !known.staged);
        self.boots();
    }

    /// Somebody boots another deployment, with the /etc that it has.
    pub fn choose(&self, id: &str) {
        self.disk().deployments.retain(|known| !known.staged);
        self.boot_into(id);
    }

    fn boot_into(&self, id: &str) {
        let old = self.booted();
        let (old_tree, new_tree) = (self.tree(&old.id), self.tree(id));
        if !new_tree.join("etc").exists() {
            merge(&self.path("usr/etc"), &self.path("etc"), &new_tree.join("usr/etc"), &new_tree.join("etc"));
        }
        for part in ["usr", "etc"] {
            fs::rename(self.path(part), old_tree.join(part)).unwrap();
            fs::rename(new_tree.join(part), self.path(part)).unwrap();
        }
        for known in &mut self.disk().deployments {
            known.booted = known.id == id;
            (known.staged, known.locked) = (false, false);
        }
        self.boots();
    }

    fn boots(&self) {
        let mut disk = self.disk();
        disk.boots += 1;
        disk.reboot_asked = false;
        fs::remove_dir_all(self.path("run")).unwrap();
        fs::create_dir_all(self.path("run")).unwrap();
        fs::write(self.path("proc/sys/kernel/random/boot_id"), format!("boot-{}\n", disk.boots)).unwrap();
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap()
    }

    fn tree(&self, id: &str) -> PathBuf {
        self.path("sysroot/ostree/deploy/os/deploy").join(id.trim_start_matches("os/"))
    }

    fn deploy(&self, image: &str, kargs: Vec<String>) -> String {
        let digest = image.split_once('@').unwrap().1.to_owned();
        let mut disk = self.disk();
        let name = format!("{}.{}", digest.trim_start_matches("sha256:"), disk.serial);
        disk.serial += 1;
        let id = format!("os/{name}");
        let path = format!("ostree/deploy/os/deploy/{name}").into();
        let image = Some(image.to_owned());
        let deployment =
            Deployment { id: id.clone(), image, digest: Some(digest), kargs, path, ..Deployment::default() };
        disk.deployments.insert(0, deployment);
        drop(disk);
        let tree = self.tree(&id);
        let write = |path: &str, text: &str| {
            let path = tree.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("usr/etc/shipped", "as shipped");
        write("usr/lib/os-release", "ID=os");
        if id.starts_with("os/layered") {
            write("usr/lib/systemd/system/autofs.service", AUTOFS);
        }
        id
    }
}

impl Backend for World {
    fn kernel_arguments(&self) -> KernelArguments {
        KernelArguments::OnHost
    }

    fn status(&self) -> Result<Status, os::Error> {
        let deployments = self.disk().deployments.clone();
        Ok(Status { booted: Some(self.booted().id), deployments })
    }

    fn stage(&self, request: &Request<'_>) -> Result<Staged, os::Error> {
        let authfile = fs::read_to_string(self.path(request.authfile.unwrap().as_str())).unwrap();
        assert!(authfile.contains("auths"), "{authfile}");
        self.discard()?;
        let id = self.deploy(request.image, request.kernel_arguments.to_vec());
        let mut disk = self.disk();
        disk.fetched.push(request.image.to_owned());
        disk.pinned.extend(request.keep.iter().cloned());
        (disk.deployments[0].staged, disk.deployments[0].locked) = (true, true);
        Ok(Staged { id, digest: disk.deployments[0].digest.clone().unwrap() })
    }

    fn unlock(&self) -> Result<(), os::Error> {
        self.disk().deployments.iter_mut().for_each(|known| known.locked = false);
        Ok(())
    }

    fn discard(&self) -> Result<(), os::Error> {
        self.disk().deployments.retain(|known| !known.staged);
        Ok(())
    }

    fn rollback(&self, id: &str) -> Result<(), os::Error> {
        self.disk().deployments.sort_by_key(|known| known.id != id);
        Ok(())
    }

    fn prune(&self, keep: &[String]) -> Result<(), os::Error> {
        let mut disk = self.disk();
        disk.deployments.retain(|known| known.booted || known.staged || keep.contains(&known.id));
        disk.pinned.retain(|id| keep.contains(id));
        Ok(())
    }
}

impl Space for World {
    fn free(&self, path: &Utf8Path) -> Result<u64, disk::Error> {
        let place = path.strip_prefix(self.dir.path()).unwrap();
        Ok(self.disk().free.get(format!("/{place}").as_str()).copied().unwrap_or(1 << 40))
    }
}

impl Run for World {
    fn output(&self, command: &[&str]) -> Result<String, command::Error> {
        self.disk().commands.push(command.join(" "));
        match command {
            ["systemctl", "--no-block", "reboot"] => self.disk().reboot_asked = true,
            ["systemctl", "show", _, "--", units @ ..] => {
                let failed = self.disk().failed_unit;
                let block = |unit: &&str| match *unit {
                    missing if missing.starts_with("missing") => format!("Id={missing}\nLoadState=not-found\n"),
                    bad if Some(bad) == failed => {
                        format!("Id={bad}\nActiveState=failed\nSubState=failed\nResult=exit-code\n")
                    }
                    well => format!("Id={well}\nLoadState=loaded\nActiveState=active\nCanReload=no\n"),
                };
                return Ok(units.iter().map(block).collect::<Vec<_>>().join("\n"));
            }
            ["systemctl", "restart", "--", _] => {}
            ["journalctl", "--boot=-1", ..] => return Ok("error: Finalizing deployment: no space left\n".into()),
            ["systemctl", "daemon-reload"] => {}
            other => {
                return Runner::here().output(&["sh", "-c", &format!("echo {other:?} is not played here >&2; exit 1")]);
            }
        }
        Ok(String::new())
    }
}

/// What the controller wants: a configuration of this name on an image.
pub fn order(config: &str, image: &str, permit: Permit) -> Order {
    Order { target: Some(Target { config: config.into(), image: image.into() }), permit }
}

/// What getting from one configuration to another costs: names that differ behind a `+` only take a restart.
fn change(running: Option<&Target>, target: &Target) -> Disruption {
    let base = |target: &Target| target.config.split('+').next().map(str::to_owned);
    if running.and_then(base) != base(target) {
        return Disruption::Reboot;
    }
    let unit = if target.config.ends_with("missing") { "missing.service" } else { UNIT };
    Disruption::Live {
        drain: false,
        steps: vec![disruption::Step::DaemonReload, disruption::Step::Restart(unit.into())],
    }
}

/// The configuration with a name: every name has another file, and all enable autofs but `empty`. What stands behind a `+`
/// is the text of one more file.
pub fn desired(config: &str) -> Desired {
    if let Some((base, text)) = config.split_once('+') {
        let mut desired = desired(base);
        let shipped = desired.files.last().cloned();
        desired.files.extend(shipped.map(|file| DesiredFile { path: EXTRA.into(), contents: text.into(), ..file }));
        return desired;
    }
    if config == "empty" {
        return Desired::default();
    }
    let number = |flag: u32| Owner::Id(flag);
    let (uid, gid) = ids();
    let file = |path: &str, text: &str| DesiredFile {
        path: path.into(),
        mode: 0o644,
        user: number(uid),
        group: number(gid),
        contents: text.as_bytes().to_vec(),
    };
    let files = vec![file(&format!("/etc/{config}"), config), file("/etc/shipped", config)];
    let units = vec![DesiredUnit { name: "autofs.service".into(), enabled: Some(true), ..DesiredUnit::default() }];
    Desired { files, units, kernel_arguments: vec![format!("config={config}")], ..Desired::default() }
}

fn ids() -> (u32, u32) {
    use std::os::unix::fs::MetadataExt as _;
    let own = fs::metadata("/proc/self").unwrap();
    (own.uid(), own.gid())
}

/// Does one turn; the journal is not marked when `mark` is not set, as after a crash.
pub fn turn(world: &World, machine: &Machine, order: Option<&Order>, mark: bool) -> Result<Decision, Error> {
    let sight = machine.observe(order, Timestamp::UNIX_EPOCH)?;
    let decision = decide(&sight.observed);
    let journal = world.path("var/lib/onlay/journal.json");
    let before = fs::read(&journal).ok();
    carry_out(world, machine, &sight, decision.clone())?;
    if let (false, Some(before)) = (mark, before) {
        fs::write(&journal, before).unwrap();
    }
    Ok(decision)
}

fn carry_out(world: &World, machine: &Machine, sight: &Sight, decision: Decision) -> Result<(), Error> {
    let wanted = |target: &Target| desired(&target.config);
    match decision {
        Decision::Begin(journal) => machine.write_journal(&journal),
        Decision::Rename(journal) => machine.rename(&journal, &wanted(&journal.target)),
        Decision::GoBack(journal) => machine.go_back(&journal, Timestamp::UNIX_EPOCH),
        Decision::Undo(journal) => machine.undo(&journal, &sight.observed.boot.deployment),
        Decision::Accept => machine.accept(),
        Decision::NoteWentBack => machine.note_went_back(),
        Decision::Rest => machine.say_again(sight.confirmed.as_ref().unwrap()),
        Decision::Wait(_) | Decision::Stop(_) => Ok(()),
        Decision::Do(step, mut journal) => {
            match step {
                Step::Stage => {
                    let change = change(sight.observed.running.as_ref(), &journal.target);
                    let staged = machine.stage(&journal, &wanted(&journal.target), &change, r#"{"auths":{}}"#)?;
                    return machine.write_journal(&staged);
                }
                Step::Converge => machine.converge(&journal)?,
                Step::Unlock => machine.unlock()?,
                Step::Services => machine.tell(&journal.services)?,
                Step::Verify => {
                    let outcome = machine.verify(&journal);
                    if let (true, Err(error)) = (journal.is_live(), &outcome) {
                        machine.write_journal(&journal.failed(error.to_string()))?;
                    }
                    return outcome;
                }
                Step::Reboot => {}
            }
            journal.done = Some(step);
            machine.write_journal(&journal)?;
            if step == Step::Reboot {
                machine.reboot()?;
                assert!(world.disk().reboot_asked);
                world.reboot();
            }
            Ok(())
        }
    }
}

/// Turns of a fresh agent until nothing changes; the last decision.
pub fn settle(world: &World, order: &Order) -> Decision {
    for _ in 0..20 {
        let machine = world.agent();
        let decision = turn(world, &machine, Some(order), true).unwrap();
        if matches!(decision, Decision::Rest | Decision::Wait(_) | Decision::Stop(_)) {
            return decision;
        }
    }
    panic!("no rest after 20 turns");
}

/// The merge that ostree makes: the new image's /etc, with what was changed or deleted in the old one.
fn merge(old_default: &Path, old: &Path, new_default: &Path, new: &Path) {
    copy(new_default, new);
    let (default, current) = (tree_of(old_default), tree_of(old));
    for (path, text) in &current {
        if default.get(path) != Some(text) && text != "dir" {
            let target = new.join(path);
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            let _ = fs::remove_file(&target);
            match text.strip_prefix("-> ") {
                Some(link) => std::os::unix::fs::symlink(link, target).unwrap(),
                None => drop(fs::copy(old.join(path), target).unwrap()),
            }
        }
    }
    for path in default.keys().filter(|path| !current.contains_key(*path)) {
        let _ = fs::remove_file(new.join(path));
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for (path, text) in tree_of(from) {
        match text.as_str() {
            "dir" => fs::create_dir_all(to.join(path)).unwrap(),
            _ => {
                fs::create_dir_all(to.join(&path).parent().unwrap()).unwrap();
                fs::copy(from.join(&path), to.join(&path)).unwrap();
            }
        }
    }
}

fn tree_of(base: &Path) -> BTreeMap<String, String> {
    let mut tree = BTreeMap::new();
    let mut open = vec![base.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let text = match path.symlink_metadata().unwrap() {
                meta if meta.is_symlink() => format!("-> {}", fs::read_link(&path).unwrap().display()),
                meta if meta.is_dir() => {
                    open.push(path.clone());
                    "dir".to_owned()
                }
                _ => fs::read_to_string(&path).unwrap(),
            };
            tree.insert(path.strip_prefix(base).unwrap().to_str().unwrap().to_owned(), text);
        }
    }
    tree
}
