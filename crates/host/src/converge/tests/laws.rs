//! Laws over random records: what a run reaches does not depend on what was before, nor on where an earlier run was killed.

use proptest::prelude::*;

use super::{Machine, Snapshot, me, my_group};
use crate::converge::{Reach, Site, converge};
use crate::record::{Directory, Link, Record, Unit};
use crate::root::Root;
use crate::root::gate::Gate;
use crate::state::State;

const PATHS: [&str; 8] =
    ["/etc/a", "/etc/b/c", "/etc/b/d", "/etc/shipped", "/opt/x", "/var/lib/y/z", "/var/theirs", "/etc/link"];
const UNITS: [&str; 3] = ["own.service", "image.service", "shipped.service"];
const INSTALL: &str = "[Install]\nWantedBy=multi-user.target\n";

fn machine() -> Machine {
    Machine::new(&[
        ("opt", "-> var/opt"),
        ("usr/etc/shipped", "as shipped"),
        ("etc/shipped", "as shipped"),
        ("etc/theirs", "left alone"),
        ("etc/b/theirs", "left alone"),
        ("var/theirs", "theirs"),
        ("usr/lib/systemd/system/image.service", INSTALL),
        ("usr/lib/systemd/system/shipped.service", INSTALL),
        (
            "usr/etc/systemd/system/multi-user.target.wants/shipped.service",
            "-> /usr/lib/systemd/system/shipped.service",
        ),
        ("etc/systemd/system/multi-user.target.wants/shipped.service", "-> /usr/lib/systemd/system/shipped.service"),
    ])
}

/// What a configuration says of each path (nothing, a file, a link, a directory) and each unit.
#[derive(Debug, Clone)]
struct Asked {
    paths: Vec<Option<u8>>,
    units: Vec<Option<AskedUnit>>,
}

/// Whether the unit brings its own file, is enabled, is masked.
type AskedUnit = (bool, Option<bool>, Option<bool>);

fn any_configuration() -> impl Strategy<Value = Asked> {
    let paths = proptest::collection::vec(proptest::option::of(0..5_u8), PATHS.len());
    let unit = (any::<bool>(), any::<Option<bool>>(), proptest::option::weighted(0.2, any::<bool>()));
    let units = proptest::collection::vec(proptest::option::of(unit), UNITS.len());
    (paths, units).prop_map(|(paths, units)| Asked { paths, units })
}

fn record(machine: &Machine, asked: &Asked) -> Record {
    let mut record = Record::default();
    for (path, what) in PATHS.iter().zip(&asked.paths) {
        match what {
            None => {}
            Some(kind @ 0..3) => {
                let file = machine.file(&format!("contents {kind}"), 0o600 + u32::from(*kind));
                record.tree.files.insert((*path).into(), file);
            }
            Some(3) => {
                let link = Link { target: "/etc/theirs".into(), hard: false, user: me(), group: my_group() };
                record.tree.links.insert((*path).into(), link);
            }
            Some(_) => {
                let directory = Directory { mode: 0o750, user: me(), group: my_group() };
                record.tree.directories.insert((*path).into(), directory);
            }
        }
    }
    for (name, what) in UNITS.iter().zip(&asked.units) {
        if let Some((own, enabled, masked)) = what {
            let sha256 = own.then(|| machine.state.contents().put(format!("# own\n{INSTALL}").as_bytes()).unwrap());
            let unit = Unit { sha256, enabled: *enabled, masked: *masked, ..Unit::default() };
            record.tree.units.insert((*name).into(), unit);
        }
    }
    record
}

/// What a fresh machine looks like with this configuration.
fn reached(asked: &Asked) -> Snapshot {
    let machine = machine();
    machine.converge(&record(&machine, asked));
    tree(&machine)
}

/// The tree as far as it means anything: directories only where they are named, links that enable a unit by its name.
fn tree(machine: &Machine) -> Snapshot {
    let mut snapshot = machine.snapshot();
    snapshot.retain(|path, (_, contents)| contents != "dir" || PATHS.contains(&format!("/{path}").as_str()));
    for (_, (_, contents)) in snapshot.iter_mut().filter(|(path, _)| path.contains(".wants/")) {
        *contents = contents.rsplit('/').next().unwrap_or_default().to_owned();
    }
    snapshot
}

/// Converges behind a gate that shuts after `changes`; says whether the run came to its end.
fn killed(machine: &Machine, asked: &Asked, changes: u32) -> bool {
    let gate = Gate::after(changes);
    let record = record(machine, asked);
    let state = State { root: Root::open(machine.state.root.path()).unwrap().behind(&gate) };
    let root = Root::open(machine.root.path()).unwrap().behind(&gate);
    let site = Site { root: &root, image: &root, state: &state, reach: Reach::Whole };
    let finished = converge(site, &record).is_ok();
    finished && !gate.is_shut()
}

/// Fewer cases than usual: each one writes a disk, many times where runs are killed.
fn one_in(part: u32) -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases / part + 1, failure_persistence: None, ..usual }
}

proptest! {
    #![proptest_config(one_in(10))]

    #[test]
    fn what_was_before_does_not_matter(before in any_configuration(), after in any_configuration()) {
        let machine = machine();
        machine.converge(&record(&machine, &before));
        machine.converge(&record(&machine, &after));
        prop_assert_eq!(tree(&machine), reached(&after));
    }

    #[test]
    fn what_is_not_named_stays(asked in any_configuration()) {
        let machine = machine();
        let before = machine.snapshot();
        machine.converge(&record(&machine, &asked));
        prop_assert_eq!(machine.text("etc/theirs"), Some("left alone".to_owned()));
        prop_assert_eq!(machine.text("etc/b/theirs"), Some("left alone".to_owned()));
        machine.converge_all(&Record::default());
        let now = machine.snapshot();
        let added: Vec<_> = now.iter().filter(|(path, _)| !before.contains_key(*path)).collect();
        prop_assert!(added.iter().all(|(_, (_, contents))| contents == "dir"), "{added:?}");
        for (path, thing) in &before {
            prop_assert_eq!(now.get(path), Some(thing), "{}", path);
        }
    }
}

proptest! {
    #![proptest_config(one_in(64))]

    #[test]
    fn a_run_killed_at_any_change_is_finished_by_the_next(before in any_configuration(), after in any_configuration()) {
        let expected = reached(&after);
        for changes in 0.. {
            let machine = machine();
            converge(machine.site(), &record(&machine, &before)).unwrap();
            let finished = killed(&machine, &after, changes);
            converge(machine.site(), &record(&machine, &after)).unwrap();
            prop_assert_eq!(tree(&machine), expected.clone(), "killed after {} changes", changes);
            if finished {
                break;
            }
        }
    }

    #[test]
    fn a_run_killed_at_any_change_can_be_turned_back(asked in any_configuration()) {
        for changes in 0.. {
            let machine = machine();
            let before = tree(&machine);
            let finished = killed(&machine, &asked, changes);
            let outcome = converge(machine.site(), &Record::default()).unwrap();
            prop_assert_eq!(outcome.failed, vec![]);
            prop_assert_eq!(tree(&machine), before, "killed after {} changes", changes);
            if finished {
                break;
            }
        }
    }
}
