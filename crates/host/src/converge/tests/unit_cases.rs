use rstest::rstest;

use super::Machine;
use crate::converge::{Site, converge, install_unit, look};
use crate::record::Record;

const AUTOFS: &str = "[Service]\nExecStart=/usr/sbin/automount\n[Install]\nWantedBy=multi-user.target\n";
const WANTED: &str = "etc/systemd/system/multi-user.target.wants/autofs.service";

fn shipped() -> Machine {
    Machine::new(&[("usr/lib/systemd/system/autofs.service", AUTOFS)])
}

#[test]
fn a_unit_of_the_configuration_is_written_and_enabled() {
    let machine = Machine::new(&[]);
    let before = machine.snapshot();
    machine.converge_all(&machine.unit("autofs.service", Some(AUTOFS), Some(true)));
    assert_eq!(machine.text("etc/systemd/system/autofs.service").as_deref(), Some(AUTOFS));
    assert_eq!(machine.target(WANTED).as_deref(), Some("/etc/systemd/system/autofs.service"));
    machine.converge_all(&Record::default());
    assert_eq!(machine.snapshot(), before);
}

#[test]
fn a_unit_that_only_the_next_image_has_is_enabled_by_its_file_there() {
    let (booted, next) = (Machine::new(&[]), shipped());
    let site = Site { image: &next.root, ..booted.site() };
    let outcome = converge(site, &booted.unit("autofs.service", None, Some(true))).unwrap();
    assert_eq!((outcome.failed.len(), outcome.ignored.len()), (0, 0));
    assert_eq!(booted.target(WANTED).as_deref(), Some("/usr/lib/systemd/system/autofs.service"));
}

#[test]
fn a_unit_that_only_the_next_image_ships_enabled_is_disabled_before_it_boots() {
    let (booted, next) = (Machine::new(&[]), shipped());
    next.put(&format!("usr/{WANTED}"), "-> /lib/systemd/system/autofs.service");
    let record = booted.unit("autofs.service", None, Some(false));
    let site = Site { image: &next.root, ..booted.site() };
    assert_eq!(converge(site, &record).unwrap().changed.len(), 1);
    assert_eq!(booted.target(WANTED).as_deref(), Some("/dev/null"), "the merge keeps what lies in /etc");
    assert!(look(site, &record).unwrap().is_clean());
    booted.put("usr/lib/systemd/system/autofs.service", AUTOFS);
    booted.put(&format!("usr/{WANTED}"), "-> /lib/systemd/system/autofs.service");
    booted.converge_all(&record);
    assert!(!booted.exists(WANTED));
}

#[test]
fn a_unit_that_the_image_does_not_have_is_ignored_and_its_links_go() {
    let machine = shipped();
    let record = machine.unit("autofs.service", None, Some(true));
    machine.converge_all(&record);
    assert!(machine.exists(WANTED));
    std::fs::remove_file(machine.path("usr/lib/systemd/system/autofs.service")).unwrap();
    let outcome = machine.converge_all(&record);
    assert_eq!(outcome.ignored[0].what, "autofs.service");
    assert!(!machine.exists(WANTED));
}

#[test]
fn a_changed_install_section_moves_the_link() {
    let machine = Machine::new(&[]);
    machine.converge_all(&machine.unit("a.service", Some("[Install]\nWantedBy=x.target"), Some(true)));
    machine.converge_all(&machine.unit("a.service", Some("[Install]\nWantedBy=y.target"), Some(true)));
    assert!(!machine.exists("etc/systemd/system/x.target.wants"));
    assert!(machine.exists("etc/systemd/system/y.target.wants/a.service"));
}

#[test]
fn units_named_by_also_are_enabled_and_disabled_too() {
    let machine = Machine::new(&[
        ("usr/lib/systemd/system/a.service", "[Install]\nAlias=dbus-a.service\nAlso=a.socket"),
        ("usr/lib/systemd/system/a.socket", "[Install]\nWantedBy=sockets.target\nAlso=a.service"),
    ]);
    let before = machine.snapshot();
    machine.converge_all(&machine.unit("a.service", None, Some(true)));
    assert!(machine.exists("etc/systemd/system/sockets.target.wants/a.socket"));
    assert!(machine.exists("etc/systemd/system/dbus-a.service"));
    machine.converge_all(&machine.unit("a.service", None, Some(false)));
    assert!(!machine.exists("etc/systemd/system/sockets.target.wants/a.socket"));
    assert!(!machine.exists("etc/systemd/system/dbus-a.service"));
    machine.converge_all(&Record::default());
    assert_eq!(
        machine.snapshot().get("etc/systemd/system/dbus-a.service"),
        before.get("etc/systemd/system/dbus-a.service")
    );
}

#[test]
fn an_instance_is_enabled_by_its_template() {
    let machine = Machine::new(&[("usr/lib/systemd/system/a@.service", "[Install]\nWantedBy=x.target")]);
    machine.converge_all(&machine.unit("a@b.service", None, Some(true)));
    let link = machine.target("etc/systemd/system/x.target.wants/a@b.service");
    assert_eq!(link.as_deref(), Some("/usr/lib/systemd/system/a@.service"));
}

#[rstest]
#[case::preset_enables(Some("enable autofs.service"), false, true)]
#[case::preset_disables(Some("disable *"), true, false)]
#[case::no_preset_and_shipped_enabled(None, true, true)]
#[case::no_preset_and_shipped_disabled(None, false, false)]
fn a_unit_that_leaves_returns_to(#[case] preset: Option<&str>, #[case] was: bool, #[case] is: bool) {
    for asked in [true, false] {
        let machine = shipped();
        if let Some(preset) = preset {
            machine.put("usr/lib/systemd/system-preset/90-x.preset", preset);
        }
        if was {
            machine.put(&format!("usr/{WANTED}"), "-> /lib/systemd/system/autofs.service");
            machine.put(WANTED, "-> /lib/systemd/system/autofs.service");
        }
        machine.converge_all(&machine.unit("autofs.service", None, Some(asked)));
        assert_eq!(machine.exists(WANTED), asked);
        machine.converge_all(&Record::default());
        assert_eq!(machine.exists(WANTED), is, "after it was asked to be {asked}");
    }
}

#[test]
fn links_that_people_made_for_other_units_stay() {
    let machine = shipped();
    machine.put("etc/systemd/system/x.target.wants/b.service", "-> /usr/lib/systemd/system/b.service");
    machine.put("etc/systemd/system/x.target.wants/autofs.service", "-> /usr/lib/systemd/system/autofs.service");
    machine.converge_all(&machine.unit("autofs.service", None, Some(true)));
    assert!(machine.exists("etc/systemd/system/x.target.wants/autofs.service"));
    machine.converge_all(&machine.unit("autofs.service", None, Some(false)));
    assert!(!machine.exists("etc/systemd/system/x.target.wants/autofs.service"));
    assert!(machine.exists("etc/systemd/system/x.target.wants/b.service"));
}

#[test]
fn masked_units_point_nowhere_and_come_back() {
    let machine = shipped();
    let mut record = machine.unit("autofs.service", None, Some(true));
    record.tree.units.get_mut("autofs.service").unwrap().masked = Some(true);
    machine.converge_all(&record);
    assert_eq!(machine.target("etc/systemd/system/autofs.service").as_deref(), Some("/dev/null"));
    machine.converge_all(&Record::default());
    assert!(!machine.exists("etc/systemd/system/autofs.service"));
}

#[test]
fn a_mask_made_by_hand_goes_when_the_configuration_says_so() {
    let machine = shipped();
    machine.put("etc/systemd/system/autofs.service", "-> /dev/null");
    let mut record = machine.unit("autofs.service", None, Some(true));
    assert_eq!(machine.converge_all(&record).ignored.len(), 1);
    record.tree.units.get_mut("autofs.service").unwrap().masked = Some(false);
    machine.converge_all(&record);
    assert!(machine.exists(WANTED));
}

#[test]
fn an_alias_whose_name_is_taken_is_left_alone() {
    let machine = Machine::new(&[
        ("usr/lib/systemd/system/b.service", "[Install]\nAlias=display-manager.service"),
        ("etc/systemd/system/display-manager.service", "-> /usr/lib/systemd/system/a.service"),
    ]);
    let outcome = machine.converge_all(&machine.unit("b.service", None, Some(true)));
    assert_eq!(outcome.ignored.len(), 1);
    assert!(machine.target("etc/systemd/system/display-manager.service").unwrap().ends_with("a.service"));
}

#[test]
fn drop_ins_lie_beside_the_unit_and_go_with_the_configuration() {
    let machine = shipped();
    let before = machine.snapshot();
    let mut record = machine.unit("autofs.service", None, None);
    let digest = machine.state.contents().put(b"[Service]\nNice=5\n").unwrap();
    record.tree.units.get_mut("autofs.service").unwrap().dropins.insert("10-nice.conf".into(), digest);
    machine.converge_all(&record);
    assert_eq!(
        machine.text("etc/systemd/system/autofs.service.d/10-nice.conf").as_deref(),
        Some("[Service]\nNice=5\n")
    );
    machine.converge_all(&Record::default());
    assert_eq!(machine.snapshot(), before);
}

#[test]
fn onlays_own_unit_stays_when_every_record_leaves() {
    let machine = Machine::new(&[]);
    install_unit(machine.site(), "onlay-guard.service", "[Install]\nWantedBy=multi-user.target").unwrap();
    machine.converge_all(&machine.files(&[("/etc/a", "x")]));
    machine.converge_all(&Record::default());
    assert!(machine.exists("etc/systemd/system/onlay-guard.service"));
    assert!(machine.exists("etc/systemd/system/multi-user.target.wants/onlay-guard.service"));
    let again = install_unit(machine.site(), "onlay-guard.service", "[Install]\nWantedBy=multi-user.target").unwrap();
    assert!(again.is_clean());
}
