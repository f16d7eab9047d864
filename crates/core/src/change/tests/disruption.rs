use onlay_api::machine_configuration::{ClusterPolicies, NodeDisruptionPolicy};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use super::diff::any_world;
use super::*;
use crate::build::inputs::Reason;
use crate::change::diff::{Diff, between};
use crate::change::disruption::{Because, Disruption, Rebuild, Step, assess, in_force};

const CA: &str = "/etc/pki/ca-trust/source/anchors/openshift-config-user-ca-bundle.crt";

fn policies(user: Value) -> ClusterPolicies {
    let user: NodeDisruptionPolicy = serde_json::from_value(user).unwrap();
    in_force(Some(&user), &host())
}

/// What changes cost, and why the last one of them does.
fn cost(old: &World, new: &World, policies: &ClusterPolicies) -> (String, String) {
    let diff = between(old.state(), new.state());
    let assessment = assess(&diff, policies, &host(), Rebuild::NotLayered);
    let because = assessment.costs.last().map(|cost| cost.because.to_string());
    (assessment.total.to_string(), because.unwrap_or_default())
}

const AT_BOOT: &str = "takes effect at boot only";
const UNCOVERED: &str = "no entry of the node disruption policy covers it";
const NOTHING: &str = "nothing to do on the node";
const REBOOT: &str = "drain, reboot";

type Edit = fn(&mut World);

fn add(path: &'static str) -> impl Fn(&mut World) {
    move |world| world.desired.files.push(file(path, "x"))
}

#[rstest]
#[case::the_pull_secret("/var/lib/kubelet/config.json", NOTHING, "files /var/lib/kubelet/config.json")]
#[case::nmstate("/etc/nmstate/openshift/a.yml", NOTHING, "files /etc/nmstate/openshift")]
#[case::policy_json("/etc/containers/policy.json", "reload crio.service", "files /etc/containers/policy.json")]
#[case::signatures("/etc/containers/registries.d/a.yaml", "reload crio.service", "files /etc/containers/registries.d")]
#[case::user_authorities(CA, "restart trust.service, restart crio.service", CA)]
#[case::next_to_nmstate("/etc/nmstate/openshift.yml", REBOOT, UNCOVERED)]
#[case::above_nmstate("/etc/nmstate/a.yml", REBOOT, UNCOVERED)]
#[case::another_authority("/etc/pki/ca-trust/source/anchors/other.crt", REBOOT, UNCOVERED)]
#[case::short_names("/etc/containers/registries.conf.d/a.conf", REBOOT, UNCOVERED)]
#[case::any_other_file("/etc/motd2", REBOOT, UNCOVERED)]
fn files_by_the_defaults(#[case] path: &'static str, #[case] disruption: &str, #[case] because: &str) {
    let (total, why) = cost(&world(), &world().edited(add(path)), &in_force(None, &host()));
    assert_eq!(total, disruption);
    assert!(why.ends_with(because), "{why}");
    let (back, _) = cost(&world().edited(add(path)), &world(), &in_force(None, &host()));
    assert_eq!(back, disruption, "a file that leaves costs what a file that comes costs");
}

#[rstest]
#[case::nothing(|_: &mut World| (), NOTHING, "")]
#[case::ssh_keys(|new: &mut World| new.desired.ssh_authorized_keys.clear(), NOTHING, "node disruption policy: sshkey")]
#[case::a_unit(|new: &mut World| new.desired.units[0].enabled = None, REBOOT, UNCOVERED)]
#[case::a_directory(|new: &mut World| new.desired.directories[0].mode = 0o700, REBOOT, UNCOVERED)]
#[case::a_link(|new: &mut World| new.desired.links.clear(), REBOOT, UNCOVERED)]
#[case::kernel_arguments(|new: &mut World| new.desired.kernel_arguments.clear(), REBOOT, AT_BOOT)]
#[case::kernel_type(|new: &mut World| new.spec.kernel_type = Some("64k-pages".into()), REBOOT, AT_BOOT)]
#[case::extensions(|new: &mut World| new.spec.extensions.clear(), REBOOT, AT_BOOT)]
#[case::fips(|new: &mut World| new.spec.fips = Some(true), REBOOT, AT_BOOT)]
#[case::os_image(|new: &mut World| new.spec.os_image_url = Some("other@sha256:bb".into()), REBOOT, AT_BOOT)]
#[case::os_image_from_elsewhere(|new: &mut World| new.spec.os_image_url = Some("mirror@sha256:aaaa".into()), NOTHING,
    "another name of the same image")]
#[case::image(|new: &mut World| new.image = Some("other@sha256:bb"), REBOOT, AT_BOOT)]
#[case::image_of_extensions(|new: &mut World| new.spec.base_os_extensions_container_image = Some("a@sha256:bb".into()), REBOOT,
    AT_BOOT)]
fn all_else_by_the_defaults(#[case] edit: Edit, #[case] disruption: &str, #[case] because: &str) {
    let found = cost(&world(), &world().edited(edit), &in_force(None, &host()));
    assert_eq!(found, (disruption.to_owned(), because.to_owned()));
}

#[test]
fn an_image_of_extensions_that_nobody_uses_costs_nothing() {
    let new = empty().edited(|world| world.spec.base_os_extensions_container_image = Some("a@sha256:bb".into()));
    let (total, why) = cost(&empty(), &new, &in_force(None, &host()));
    assert_eq!((total.as_str(), why.as_str()), (NOTHING, "no extension and no other kernel is taken from it"));
}

/// One action of each kind, as people write it.
fn action(words: &str) -> Value {
    match words.split_once(' ') {
        Some(("Reload", unit)) => json!({"type": "Reload", "reload": {"serviceName": unit}}),
        Some((_, unit)) => json!({"type": "Restart", "restart": {"serviceName": unit}}),
        None => json!({"type": words}),
    }
}

fn actions(words: &[&str]) -> Value {
    words.iter().map(|words| action(words)).collect()
}

#[rstest]
#[case::none(&["None"], NOTHING)]
#[case::an_empty_list(&[], NOTHING)]
#[case::reboot(&["Reboot"], REBOOT)]
#[case::drain(&["Drain"], "drain")]
#[case::reload(&["Reload a.service"], "reload a.service")]
#[case::restart(&["Restart a.service"], "restart a.service")]
#[case::daemon_reload(&["DaemonReload"], "daemon-reload")]
#[case::in_the_order_that_is_written(
    &["Reload b.service", "Drain", "Restart a.service", "DaemonReload"],
    "drain, reload b.service, restart a.service, daemon-reload")]
#[case::each_once(&["Restart b.service", "Restart a.service", "Restart b.service"], "restart b.service, restart a.service")]
fn what_people_ask_for(#[case] words: &[&str], #[case] expected: &str) {
    let policy = policies(json!({
        "files": [{"path": "/etc/motd", "actions": actions(words)}],
        "units": [{"name": "autofs.service", "actions": actions(words)}],
        "sshkey": {"actions": actions(words)},
    }));
    let edits: [Edit; 3] = [
        |new: &mut World| new.desired.files[0].mode = 0o600,
        |new: &mut World| new.desired.units[0].enabled = None,
        |new: &mut World| new.desired.ssh_authorized_keys.clear(),
    ];
    for edit in edits {
        assert_eq!(cost(&world(), &world().edited(edit), &policy).0, expected);
    }
}

#[rstest]
#[case::the_longest_path(&[("/etc", "Reboot"), ("/etc/a", "None"), ("/etc/a/b", "Drain")], "/etc/a/b/c", "drain")]
#[case::the_path_itself(&[("/etc/a", "Reboot"), ("/etc/a/b/c", "None")], "/etc/a/b/c", NOTHING)]
#[case::whole_names_only(&[("/etc/a", "None"), ("/etc/ab", "Reboot")], "/etc/a/c", NOTHING)]
#[case::not_half_a_name(&[("/etc/a", "None")], "/etc/ab", REBOOT)]
#[case::the_root(&[("/", "None")], "/opt/a", NOTHING)]
#[case::a_slash_at_the_end(&[("/etc/a/", "None")], "/etc/a", NOTHING)]
#[case::one_place_in_two_ways(&[("/etc/a/", "DaemonReload"), ("/etc/a", "Drain")], "/etc/a/b", "drain, daemon-reload")]
#[case::an_empty_path(&[("", "None")], "/etc/a", REBOOT)]
#[case::a_default_gives_way_to_a_longer_one(&[("/etc/nmstate/openshift/a", "Drain")], "/etc/nmstate/openshift/a", "drain")]
#[case::a_default_is_longer(&[("/etc", "Reboot")], "/etc/nmstate/openshift/a", NOTHING)]
fn the_longest_match_counts(#[case] entries: &[(&str, &str)], #[case] path: &'static str, #[case] expected: &str) {
    let files: Value =
        entries.iter().map(|(path, action)| json!({"path": path, "actions": actions(&[action])})).collect();
    assert_eq!(cost(&world(), &world().edited(add(path)), &policies(json!({ "files": files }))).0, expected);
}

#[test]
fn an_action_that_names_no_unit_is_a_reboot() {
    let policy = policies(json!({"sshkey": {"actions": [{"type": "Reload"}]}}));
    assert_eq!(
        cost(&world(), &world().edited(|new: &mut World| new.desired.ssh_authorized_keys.clear()), &policy).0,
        REBOOT
    );
}

#[test]
fn directories_and_links_are_covered_by_their_path_too() {
    let policy = policies(json!({"files": [
        {"path": "/etc/auto.d", "actions": actions(&["Reload autofs.service"])},
        {"path": "/etc/localtime", "actions": actions(&["None"])},
    ]}));
    let new = world().edited(|new: &mut World| {
        new.desired.directories.clear();
        new.desired.links.clear();
    });
    assert_eq!(cost(&world(), &new, &policy).0, "reload autofs.service");
}

#[test]
fn several_changes_cost_what_they_cost_together() {
    let new = world().edited(|new: &mut World| {
        add("/etc/containers/policy.json")(new);
        add(CA)(new);
        new.desired.ssh_authorized_keys.clear();
    });
    let (total, _) = cost(&world(), &new, &in_force(None, &host()));
    assert_eq!(total, "reload crio.service, restart trust.service, restart crio.service");
}

#[test]
fn a_new_image_is_a_reboot_whatever_else_changes() {
    let new = world().edited(|new: &mut World| new.desired.ssh_authorized_keys.clear());
    let (old, policies) = (world(), in_force(None, &host()));
    let diff = between(old.state(), new.state());
    let with = |rebuild| assess(&diff, &policies, &host(), rebuild).total;
    assert_eq!(with(Rebuild::Same), Disruption::None);
    assert_eq!(with(Rebuild::New(vec![Reason::Path("/etc/apt/a".into())])), Disruption::Reboot);
    assert_eq!(with(Rebuild::Left), Disruption::Reboot);
}

#[test]
fn programs_read_a_disruption() {
    let live = Disruption::Live { drain: true, steps: vec![Step::DaemonReload, Step::Restart("a.service".into())] };
    assert_eq!(
        serde_json::to_value([live, Disruption::None, Disruption::Reboot]).unwrap(),
        json!([{"live": {"drain": true, "steps": ["daemonReload", {"restart": "a.service"}]}}, "none", "reboot"])
    );
    assert_eq!(serde_json::to_value(Because::Policy("sshkey".into())).unwrap(), json!({"policy": "sshkey"}));
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::DaemonReload),
        "[a-d].service".prop_map(Step::Reload),
        "[a-d].service".prop_map(Step::Restart),
    ]
}

fn any_disruption() -> impl Strategy<Value = Disruption> {
    let steps = prop::collection::vec(any_step(), 0..4);
    let live = (any::<bool>(), steps).prop_map(|(drain, steps)| {
        // Through `together`, which leaves out what is there twice.
        Disruption::together([&Disruption::Live { drain, steps }])
    });
    prop_oneof![1 => Just(Disruption::None), 1 => Just(Disruption::Reboot), 8 => live]
}

fn steps(of: &Disruption) -> &[Step] {
    if let Disruption::Live { steps, .. } = of { steps } else { &[] }
}

fn strength(of: &Disruption) -> usize {
    match of {
        Disruption::None => 0,
        Disruption::Live { drain: false, .. } => 1,
        Disruption::Live { drain: true, .. } => 2,
        Disruption::Reboot => 3,
    }
}

proptest! {
    #[test]
    fn together_is_the_strongest_with_every_step_once(all in prop::collection::vec(any_disruption(), 0..5)) {
        let together = Disruption::together(&all);
        prop_assert_eq!(strength(&together), all.iter().map(strength).max().unwrap_or_default());
        if together != Disruption::Reboot {
            let mut expected: Vec<Step> = all.iter().flat_map(steps).cloned().collect();
            expected.sort();
            expected.dedup();
            let mut found = steps(&together).to_vec();
            found.sort();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn together_does_not_ask_for_the_order(
        (all, shuffled) in prop::collection::vec(any_disruption(), 0..5)
            .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle()))
    ) {
        prop_assert_eq!(Disruption::together(&all), Disruption::together(&shuffled));
    }

    #[test]
    fn nothing_adds_nothing_and_the_same_adds_nothing(one in any_disruption()) {
        prop_assert_eq!(&Disruption::together([&one]), &one);
        prop_assert_eq!(&Disruption::together([&one, &Disruption::None, &one]), &one);
    }

    /// Two lists that agree on an order keep it.
    #[test]
    fn steps_keep_their_order(all in prop::collection::vec(any_step(), 0..6), cut in prop::collection::vec(0..3_u8, 6)) {
        let whole = Disruption::together([&Disruption::Live { drain: true, steps: all }]);
        let part = |of: u8| {
            let chosen = steps(&whole).iter().zip(&cut).filter(|(_, cut)| **cut == of || **cut == 2);
            Disruption::Live { drain: true, steps: chosen.map(|(step, _)| step.clone()).collect() }
        };
        let together = Disruption::together([&part(0), &part(1)]);
        for part in [part(0), part(1)] {
            let mut rest = steps(&together).iter();
            prop_assert!(steps(&part).iter().all(|step| rest.any(|other| other == step)), "{together:?} after {part:?}");
        }
    }

    #[test]
    fn a_change_costs_the_same_in_any_company(old in any_world(), new in any_world()) {
        let policies = in_force(None, &host());
        let diff = between(old.state(), new.state());
        let whole = assess(&diff, &policies, &host(), Rebuild::NotLayered);
        let mut alone = Vec::new();
        for (change, cost) in diff.changes.iter().zip(&whole.costs) {
            let single = Diff { changes: vec![change.clone()] };
            let total = assess(&single, &policies, &host(), Rebuild::NotLayered).total;
            prop_assert_eq!(&total, &cost.disruption);
            alone.push(total);
        }
        alone.reverse();
        prop_assert_eq!(whole.total, Disruption::together(&alone));
    }
}
