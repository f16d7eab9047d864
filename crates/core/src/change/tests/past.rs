use jiff::{SignedDuration, Timestamp};
use onlay_api::conditions::{self, BuildConditionType, NodeConditionType};
use onlay_api::machine_config_node::{StatusOnlay, Update, UpdatePhase};
use onlay_api::{MachineConfigNode, MachineConfigNodeStatus, MachineOSBuild, MachineOSBuildStatus, Needs};
use rstest::rstest;

use crate::change::past;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn build(from: Option<i64>, to: Option<i64>, ended_as: BuildConditionType) -> MachineOSBuild {
    let mut status =
        MachineOSBuildStatus { build_start: from.map(at), build_end: to.map(at), ..MachineOSBuildStatus::default() };
    conditions::set(&mut status.conditions, ended_as, true, "Test", "", at(0), None);
    MachineOSBuild { status: Some(status), ..MachineOSBuild::default() }
}

#[rstest]
#[case::succeeded(Some(10), Some(70), BuildConditionType::Succeeded, &[60])]
#[case::failed(Some(10), Some(70), BuildConditionType::Failed, &[])]
#[case::under_way(Some(10), None, BuildConditionType::Building, &[])]
fn only_builds_that_succeeded_count(
    #[case] from: Option<i64>,
    #[case] to: Option<i64>,
    #[case] ended_as: BuildConditionType,
    #[case] expected: &[i64],
) {
    let past = past::of(&[build(from, to, ended_as)], &[]);
    assert_eq!(past.build, expected.iter().map(|seconds| SignedDuration::from_secs(*seconds)).collect::<Vec<_>>());
}

/// A node whose conditions became true at these times.
fn node(truths: &[(NodeConditionType, i64)], needs: Needs) -> MachineConfigNode {
    let update = Update {
        config: "rendered-worker-a".into(),
        image: "i@sha256:a".into(),
        phase: UpdatePhase::Done,
        needs,
        step: String::new(),
        message: String::new(),
    };
    let onlay = StatusOnlay { update: Some(update), ..StatusOnlay::default() };
    let mut status = MachineConfigNodeStatus { onlay: Some(onlay), ..MachineConfigNodeStatus::default() };
    for (type_, second) in truths {
        conditions::set(&mut status.conditions, *type_, *second > 0, "Test", "", at(second.abs()), None);
    }
    MachineConfigNode { status: Some(status), ..MachineConfigNode::default() }
}

const DRAINING: [(NodeConditionType, i64); 2] = [(NodeConditionType::Cordoned, 10), (NodeConditionType::Drained, 40)];
const REBOOTED: [(NodeConditionType, i64); 2] = [(NodeConditionType::Drained, 40), (NodeConditionType::Updated, 100)];
const BACK: [(NodeConditionType, i64); 3] =
    [(NodeConditionType::Cordoned, -90), (NodeConditionType::Drained, -90), (NodeConditionType::Updated, 80)];
const BEFORE: [(NodeConditionType, i64); 2] = [(NodeConditionType::Drained, 40), (NodeConditionType::Updated, 5)];

#[rstest]
#[case::a_drain(&DRAINING, Needs::Reboot, Some(30), None)]
#[case::a_reboot(&REBOOTED, Needs::Reboot, None, Some(60))]
#[case::an_update_without_a_reboot(&REBOOTED, Needs::None, None, None)]
#[case::a_node_that_is_back_tells_nothing(&BACK, Needs::Reboot, None, None)]
#[case::a_condition_of_the_update_before(&BEFORE, Needs::Reboot, None, None)]
fn conditions_tell_of_the_update_under_way(
    #[case] truths: &[(NodeConditionType, i64)],
    #[case] needs: Needs,
    #[case] drain: Option<i64>,
    #[case] reboot: Option<i64>,
) {
    let past = past::of(&[], &[node(truths, needs)]);
    let seconds = |all: &[SignedDuration]| all.first().map(SignedDuration::as_secs);
    assert_eq!((seconds(&past.drain), seconds(&past.reboot)), (drain, reboot));
}
