//! Whole runs on a disk with two deployments, with the machine's programs played by a script; `systemctl` and `journalctl` answer
//! what those of systemd 252 wrote.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Mutex;

use camino::{Utf8Path, Utf8PathBuf};
use onlay_host::command::{self, Run, Runner};
use onlay_host::record::{File, Record};
use onlay_host::state::{Confirmed, GuardReport, GuardSettings, Quarantine};
use rstest::rstest;
use tempfile::TempDir;

use crate::machine::Machine;
use crate::{boot, watch};

const OLD: &str = "debian/old.0";
const NEW: &str = "debian/new.0";
const GREETING: &str = "/etc/greeting";

/// Programs of a machine whose kubelet ends at each start; `onlay-ostree` of both deployments can be made to fail.
#[derive(Default)]
struct Programs {
    calls: Mutex<Vec<String>>,
    booted_is_broken: bool,
    confirmed_is_broken: bool,
    /// The kubelet runs; while systemd is asked about it, the agent gives its word here.
    well: bool,
    word: Option<Utf8PathBuf>,
}

impl Programs {
    /// The calls that change something, in order.
    fn changes(&self) -> Vec<String> {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|call| !call.starts_with("timeout ")).cloned().collect()
    }
}

impl Run for Programs {
    fn output(&self, words: &[&str]) -> Result<String, command::Error> {
        self.calls.lock().unwrap().push(words.join(" "));
        match words {
            ["onlay-ostree", ..] if self.booted_is_broken => Runner::here().output(&["false"]),
            ["unshare", ..] if self.confirmed_is_broken => Runner::here().output(&["false"]),
            ["timeout", _, "systemctl", "list-units", ..] => {
                Ok(include_str!("fixtures/systemd-252/crashing.units").into())
            }
            ["timeout", _, "systemctl", "show", ..] if self.well => {
                if let Some(word) = &self.word {
                    fs::write(word, NEW).unwrap();
                }
                Ok(include_str!("fixtures/systemd-252/well.show").into())
            }
            ["timeout", _, "systemctl", "show", ..] => Ok(include_str!("fixtures/systemd-252/crashing.show").into()),
            [.., "--unit", "kubelet.service"] => Ok(include_str!("fixtures/systemd-252/crashing.journal").into()),
            _ => Ok(String::new()),
        }
    }
}

/// A disk whose deployment `new` is booted, 300 s after the guard began to wait for at most 300 s.
struct Disk {
    directory: TempDir,
}

impl Disk {
    fn new() -> Self {
        let disk = Self { directory: TempDir::new().unwrap() };
        for id in [OLD, NEW] {
            let root = disk.deployment(id);
            for directory in ["usr/etc", "etc", "proc", "var/lib", "run/onlay"] {
                fs::create_dir_all(root.join(directory)).unwrap();
            }
            symlink(disk.path(), root.join("sysroot")).unwrap();
        }
        disk.uptime(1300.0);
        fs::write(disk.deployment(NEW).join("run/onlay/guard-began"), "1000.0").unwrap();
        let machine = disk.machine();
        machine.state.save(&Confirmed { id: OLD.into(), digest: "sha256:old".into() }).unwrap();
        machine.state.save(&GuardSettings { deadline_seconds: 300 }).unwrap();
        for (id, greeting) in [(OLD, "old"), (NEW, "new")] {
            disk.record(id, greeting);
        }
        disk
    }

    fn path(&self) -> &Utf8Path {
        Utf8Path::from_path(self.directory.path()).unwrap()
    }

    fn deployment(&self, id: &str) -> Utf8PathBuf {
        self.path().join("ostree/deploy").join(id.replace('/', "/deploy/"))
    }

    fn machine(&self) -> Machine {
        Machine::open(&self.deployment(NEW)).unwrap()
    }

    fn uptime(&self, seconds: f64) {
        fs::write(self.deployment(NEW).join("proc/uptime"), format!("{seconds} 1.0\n")).unwrap();
    }

    fn record(&self, id: &str, greeting: &str) {
        let state = self.machine().state;
        let sha256 = state.contents().put(greeting.as_bytes()).unwrap();
        let owner = |id: u32| onlay_host::record::Owner::Id(id);
        let (user, group) = (owner(my_user()), owner(my_group()));
        let mut record = Record {
            config: format!("rendered-worker-{greeting}"),
            image: format!("registry/os@sha256:{greeting}"),
            ..Default::default()
        };
        record.tree.files.insert(GREETING.into(), File { mode: 0o644, user, group, sha256 });
        state.save_record(id, &record).unwrap();
    }

    fn greeting(&self, id: &str) -> Option<String> {
        fs::read_to_string(self.deployment(id).join("etc/greeting")).ok()
    }

    fn report(&self) -> Option<GuardReport> {
        self.machine().state.load().unwrap()
    }

    fn quarantined(&self) -> usize {
        self.machine().state.load::<Quarantine>().unwrap().unwrap_or_default().entries.len()
    }
}

fn my_user() -> u32 {
    id_of("-u")
}

fn my_group() -> u32 {
    id_of("-g")
}

fn id_of(flag: &str) -> u32 {
    Runner::here().output(&["id", flag]).unwrap().trim().parse().unwrap()
}

#[test]
fn silence_leads_back_with_the_old_files_and_a_reason() {
    let disk = Disk::new();
    fs::write(disk.deployment(OLD).join("etc/greeting"), "spoiled").unwrap();
    let programs = Programs::default();
    watch::watch(&disk.machine(), &programs).unwrap();

    let changes = programs.changes();
    assert!(changes[0].starts_with("unshare --mount sh -c mount --bind"), "{changes:?}");
    assert!(changes[0].ends_with("debian/deploy/old.0/usr onlay-ostree rollback --to debian/old.0"), "{changes:?}");
    assert_eq!(changes[1..], ["systemctl reboot"]);
    assert_eq!(disk.greeting(OLD).as_deref(), Some("old"));
    assert_eq!(disk.greeting(NEW), None, "the deployment that is left is not touched");
    assert_eq!(disk.quarantined(), 1);
    let report = disk.report().unwrap();
    assert_eq!((report.from.id.as_str(), report.to.id.as_str()), (NEW, OLD));
    assert_eq!((report.from.digest.as_str(), report.config.as_str()), ("sha256:new", "rendered-worker-new"));
    assert!(report.reason.starts_with("deployment debian/new.0 was not confirmed within 300 s"), "{}", report.reason);
    assert!(report.reason.contains("kubelet.service: started again and again (exit-code)"), "{}", report.reason);
    assert!(report.reason.contains("failed to parse kubelet flag: unknown flag: --nonsense"), "{}", report.reason);
    let quarantine = disk.machine().state.load::<Quarantine>().unwrap().unwrap();
    assert_eq!(quarantine.entries[0].reason, report.reason, "what people read is the entry");
}

#[test]
fn the_agents_word_ends_the_watch_without_a_trace() {
    let disk = Disk::new();
    fs::write(disk.deployment(NEW).join("run/onlay/confirmed"), format!("{NEW}\n")).unwrap();
    let programs = Programs::default();
    watch::watch(&disk.machine(), &programs).unwrap();
    assert!(programs.changes().is_empty());
    assert_eq!((disk.quarantined(), disk.report()), (0, None));
}

#[test]
fn a_machine_that_looks_well_is_given_time_to_reach_the_api_server() {
    let disk = Disk::new();
    let word = disk.deployment(NEW).join("run/onlay/confirmed");
    let programs = Programs { well: true, word: Some(word), ..Default::default() };
    watch::watch(&disk.machine(), &programs).unwrap();
    assert!(programs.changes().is_empty());
    assert_eq!((disk.quarantined(), disk.report()), (0, None));
}

#[test]
fn a_machine_that_looks_well_is_not_given_more_than_ten_deadlines() {
    let disk = Disk::new();
    disk.uptime(1000.0 + 3000.0);
    let programs = Programs { well: true, ..Default::default() };
    watch::watch(&disk.machine(), &programs).unwrap();
    assert_eq!(programs.changes().last().map(String::as_str), Some("systemctl reboot"));
    let reason = disk.report().unwrap().reason;
    assert!(reason.contains("kubelet.service: active (running), wrote last: "), "{reason}");
}

#[test]
fn a_configuration_that_cannot_be_made_true_gets_no_time() {
    let disk = Disk::new();
    fs::create_dir_all(disk.deployment(NEW).join("etc/greeting/theirs")).unwrap();
    let programs = Programs { well: true, ..Default::default() };
    watch::watch(&disk.machine(), &programs).unwrap();
    assert_eq!(programs.changes().last().map(String::as_str), Some("systemctl reboot"));
}

#[test]
fn a_way_back_that_was_cut_off_is_gone_to_the_end() {
    let disk = Disk::new();
    let programs = Programs { booted_is_broken: true, confirmed_is_broken: true, ..Default::default() };
    let error = watch::watch(&disk.machine(), &programs).unwrap_err();
    assert_eq!(error.to_string(), "failed to let deployment debian/old.0 boot next");
    assert_eq!((disk.quarantined(), disk.report()), (1, None));
    assert!(!programs.changes().contains(&"systemctl reboot".to_string()));

    let programs = Programs::default();
    watch::watch(&disk.machine(), &programs).unwrap();
    assert_eq!(programs.changes().last().map(String::as_str), Some("systemctl reboot"));
    assert_eq!(disk.quarantined(), 1);
}

#[test]
fn the_booted_deployments_program_helps_when_the_confirmed_ones_does_not_work() {
    let disk = Disk::new();
    let programs = Programs { confirmed_is_broken: true, ..Default::default() };
    watch::watch(&disk.machine(), &programs).unwrap();
    assert_eq!(programs.changes()[1..], ["onlay-ostree rollback --to debian/old.0", "systemctl reboot"]);
}

#[test]
fn the_same_image_and_configuration_is_left_only_once() {
    let disk = Disk::new();
    watch::watch(&disk.machine(), &Programs::default()).unwrap();
    disk.machine().state.forget::<GuardReport>().unwrap();
    for _boot in 0..2 {
        let programs = Programs::default();
        watch::watch(&disk.machine(), &programs).unwrap();
        assert!(programs.changes().is_empty());
        let report = disk.report().unwrap();
        assert_eq!(report.to.id, NEW);
        assert!(report.reason.contains("before, and it was booted again"), "{}", report.reason);
    }
    disk.record(NEW, "newer");
    let programs = Programs::default();
    watch::watch(&disk.machine(), &programs).unwrap();
    assert_eq!(programs.changes().last().map(String::as_str), Some("systemctl reboot"));
    assert_eq!(disk.quarantined(), 2);
}

#[test]
fn a_host_that_never_confirmed_anything_only_says_so() {
    let disk = Disk::new();
    disk.machine().state.forget::<Confirmed>().unwrap();
    let programs = Programs::default();
    watch::watch(&disk.machine(), &programs).unwrap();
    assert!(programs.changes().is_empty());
    assert_eq!(disk.quarantined(), 0);
    assert!(disk.report().unwrap().reason.contains("nothing to go back to"));
}

#[test]
fn a_watch_that_starts_again_goes_on_waiting_from_the_first_start() {
    let disk = Disk::new();
    fs::remove_file(disk.deployment(NEW).join("run/onlay/guard-began")).unwrap();
    for (uptime, waited) in [(1000.5, 0.0), (1100.0, 99.5), (1300.5, 300.0)] {
        disk.uptime(uptime);
        assert_eq!(disk.machine().see().unwrap().waited.as_secs_f64(), waited);
    }
}

#[rstest]
#[case::a_spoiled_file_is_mended(Some("spoiled"))]
#[case::a_missing_file_comes_back(None)]
fn a_boot_makes_the_files_of_the_booted_deployment_right(#[case] before: Option<&str>) {
    let disk = Disk::new();
    if let Some(before) = before {
        fs::write(disk.deployment(NEW).join("etc/greeting"), before).unwrap();
    }
    let programs = Programs::default();
    boot::boot(&disk.machine(), &programs).unwrap();
    assert_eq!(disk.greeting(NEW).as_deref(), Some("new"));
    assert_eq!(disk.greeting(OLD), None);
    assert!(programs.changes().is_empty(), "no unit changed, so systemd is left alone");
}

#[test]
fn a_changed_unit_is_told_to_systemd() {
    let disk = Disk::new();
    let machine = disk.machine();
    let mut record = machine.record().unwrap().unwrap();
    let text = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n";
    let sha256 = machine.state.contents().put(text.as_bytes()).unwrap();
    let unit = onlay_host::record::Unit { sha256: Some(sha256), enabled: Some(true), ..Default::default() };
    record.tree.units.insert("hello.service".into(), unit);
    machine.state.save_record(NEW, &record).unwrap();

    let programs = Programs::default();
    boot::boot(&machine, &programs).unwrap();
    assert!(disk.deployment(NEW).join("etc/systemd/system/multi-user.target.wants/hello.service").is_symlink());
    assert_eq!(programs.changes(), ["systemctl daemon-reload", "systemctl start --no-block default.target"]);

    let again = Programs::default();
    boot::boot(&machine, &again).unwrap();
    assert!(again.changes().is_empty());
}

#[test]
fn a_deployment_without_a_record_is_left_as_it_is() {
    let disk = Disk::new();
    disk.machine().state.forget_record(NEW).unwrap();
    boot::boot(&disk.machine(), &Programs::default()).unwrap();
    assert_eq!(disk.greeting(NEW), None);
}
