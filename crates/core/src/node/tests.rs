//! The step machine as a table, and what is reported of it.

mod laws;

use super::machine::*;
use super::{kargs, report};
use crate::change::disruption;
use jiff::Timestamp;
use onlay_api::conditions::ConditionStatus;
use onlay_api::machine_config_node::UpdatePhase;
use onlay_api::{MachineConfigNodeStatus, Needs, Permit};
use rstest::rstest;

fn target(config: &str) -> Target {
    Target { config: config.into(), image: format!("r.example.com/os@sha256:{config}") }
}

fn boot(id: &str, deployment: &str) -> Boot {
    Boot { id: id.into(), deployment: deployment.into() }
}

/// A node that runs "old" in boot "1" and shall run "new".
fn node() -> Observed {
    Observed {
        target: Some(target("new")),
        permit: Permit::Disrupt,
        boot: boot("1", "old"),
        staged: None,
        confirmed: true,
        running: Some(target("old")),
        journal: None,
        quarantined: None,
        went_back: false,
        last_words: None,
    }
}

fn journal(done: Option<Step>) -> Journal {
    let deployment = done.map(|_| "new".to_owned());
    let needs = if done.is_some() { Needs::Reboot } else { Needs::Unknown };
    Journal { done, needs, deployment, ..Journal::begin(target("new"), &boot("1", "old")) }
}

/// The journal of a change of the running system.
fn live(needs: Needs, done: Step) -> Journal {
    let services = vec![disruption::Step::Restart("chronyd.service".into())];
    Journal { needs, services, deployment: Some("next".into()), ..journal(Some(done)) }
}

fn at(done: Step) -> Observed {
    Observed { staged: Some("new".into()), journal: Some(journal(Some(done))), ..node() }
}

#[rstest]
#[case::the_target_is_not_known(Observed { target: None, ..node() }, Decision::Wait(Wait::Target))]
#[case::the_node_runs_its_target(Observed { running: Some(target("new")), ..node() }, Decision::Rest)]
#[case::a_held_node_does_not_begin(Observed { permit: Permit::Hold, ..node() }, Decision::Wait(Wait::PermitToStage))]
#[case::an_update_begins(Observed { permit: Permit::Stage, ..node() }, Decision::Begin(journal(None)))]
#[case::a_bad_pair_is_not_tried_again(
    Observed { quarantined: Some("no kubelet".into()), ..node() },
    Decision::Stop(Trouble::WentBack { reason: "no kubelet".into() })
)]
#[case::staging_needs_no_permit_to_disrupt(
    Observed { permit: Permit::Stage, journal: Some(journal(None)), ..node() },
    Decision::Do(Step::Stage, journal(None))
)]
#[case::a_staged_node_waits_for_its_turn(
    Observed { permit: Permit::Stage, ..at(Step::Stage) },
    Decision::Wait(Wait::PermitToDisrupt)
)]
#[case::then_it_goes(at(Step::Stage), Decision::Do(Step::Converge, journal(Some(Step::Stage))))]
#[case::then_it_unlocks(at(Step::Converge), Decision::Do(Step::Unlock, journal(Some(Step::Converge))))]
#[case::then_it_reboots(at(Step::Unlock), Decision::Do(Step::Reboot, journal(Some(Step::Unlock))))]
#[case::a_reboot_that_was_asked_for_and_did_not_come_is_asked_again(
    at(Step::Reboot),
    Decision::Do(Step::Reboot, journal(Some(Step::Reboot)))
)]
#[case::past_the_permit_it_goes_on_without_one(
    Observed { permit: Permit::Hold, ..at(Step::Converge) },
    Decision::Do(Step::Unlock, journal(Some(Step::Converge)))
)]
#[case::a_new_target_before_the_unlock_undoes(
    Observed { target: Some(target("newer")), ..at(Step::Converge) },
    Decision::Undo(journal(Some(Step::Converge)))
)]
#[case::a_new_target_after_the_unlock_waits_for_the_reboot(
    Observed { target: Some(target("newer")), ..at(Step::Unlock) },
    Decision::Do(Step::Reboot, journal(Some(Step::Unlock)))
)]
#[case::a_deployment_that_somebody_discarded_is_staged_again(
    Observed { staged: None, ..at(Step::Stage) },
    Decision::Begin(journal(None))
)]
#[case::the_target_is_booted(
    Observed { boot: boot("2", "new"), staged: None, running: None, ..at(Step::Reboot) },
    Decision::Do(Step::Verify, journal(Some(Step::Reboot)))
)]
#[case::a_reboot_by_hand_while_locked_is_no_failed_attempt(
    Observed { boot: boot("2", "old"), staged: None, ..at(Step::Stage) },
    Decision::Begin(Journal { boot_id: "2".into(), ..journal(None) })
)]
#[case::the_old_system_came_up_although_unlocked(
    Observed { boot: boot("2", "old"), staged: None, ..at(Step::Unlock) },
    Decision::Begin(Journal { boot_id: "2".into(), attempts: 1, ..journal(None) })
)]
#[case::somebody_chose_another_system(
    Observed { boot: boot("2", "third"), staged: None, ..at(Step::Unlock) },
    Decision::Stop(Trouble::OtherBooted { deployment: "third".into() })
)]
#[case::what_somebody_chose_is_looked_at_first(
    Observed { boot: boot("2", "third"), staged: None, confirmed: false, running: None, ..at(Step::Unlock) },
    Decision::Accept
)]
#[case::a_choice_without_an_update_is_looked_at_too(Observed { confirmed: false, running: None, ..node() }, Decision::Accept)]
#[case::the_guard_went_back_and_was_cut_off_before_its_report(
    Observed { boot: boot("2", "old"), staged: None, quarantined: Some("x".into()), ..at(Step::Reboot) },
    Decision::NoteWentBack
)]
#[case::the_guard_went_back(Observed { went_back: true, ..at(Step::Reboot) }, Decision::NoteWentBack)]
fn the_next_step(#[case] observed: Observed, #[case] expected: Decision) {
    assert_eq!(decide(&observed), expected);
}

#[test]
fn a_target_that_is_never_finalised_ends_in_words() {
    let tried = Journal { attempts: 1, ..journal(Some(Step::Unlock)) };
    let last_words = Some("no space left".to_owned());
    let observed = Observed {
        boot: boot("2", "old"),
        staged: None,
        journal: Some(tried),
        last_words: last_words.clone(),
        ..node()
    };
    let decision = decide(&observed);
    assert_eq!(decision, Decision::Stop(Trouble::NotFinalised { attempts: 2, last_words }));
    let Decision::Stop(trouble) = decision else { panic!("{decision:?}") };
    assert!(trouble.to_string().contains("no space left"), "{trouble}");
}

#[test]
fn only_names_that_differ_need_no_reboot() {
    let journal = Journal { needs: Needs::None, deployment: None, ..journal(Some(Step::Stage)) };
    let observed = Observed { permit: Permit::Stage, journal: Some(journal.clone()), ..node() };
    assert_eq!(decide(&observed), Decision::Rename(journal));
}

#[rstest]
#[case::files_alone_need_no_permit_to_disrupt(Needs::Write, Step::Stage, Permit::Stage, Some(Step::Converge))]
#[case::but_a_paused_pool_holds_them(Needs::Write, Step::Stage, Permit::Hold, None)]
#[case::services_wait_for_their_turn(Needs::Services, Step::Stage, Permit::Stage, None)]
#[case::then_files_are_written(Needs::Services, Step::Stage, Permit::Disrupt, Some(Step::Converge))]
#[case::then_units_are_told(Needs::Services, Step::Converge, Permit::Disrupt, Some(Step::Services))]
#[case::then_the_system_is_looked_at(Needs::Services, Step::Services, Permit::Disrupt, Some(Step::Verify))]
#[case::past_the_permit_nothing_holds_them(Needs::Drain, Step::Converge, Permit::Hold, Some(Step::Services))]
fn a_change_of_the_running_system(
    #[case] needs: Needs,
    #[case] done: Step,
    #[case] permit: Permit,
    #[case] expected: Option<Step>,
) {
    let journal = live(needs, done);
    let decision = decide(&Observed { permit, journal: Some(journal.clone()), ..node() });
    match expected {
        Some(step) => assert_eq!(decision, Decision::Do(step, journal)),
        None => assert!(matches!(decision, Decision::Wait(_)), "{decision:?}"),
    }
}

#[rstest]
#[case::once_it_is_tried_again(1, false)]
#[case::twice_the_node_goes_back(MAX_ATTEMPTS, true)]
fn a_changed_system_that_is_not_well(#[case] attempts: u32, #[case] goes_back: bool) {
    let journal = Journal { attempts, failure: Some("it fails".into()), ..live(Needs::Services, Step::Converge) };
    let decision = decide(&Observed { journal: Some(journal.clone()), ..node() });
    let expected = if goes_back { Decision::GoBack(journal) } else { Decision::Do(Step::Services, journal) };
    assert_eq!(decision, expected);
}

#[rstest]
#[case::to_the_same_system(boot("2", "old"), Journal { boot_id: "2".into(), ..journal(None) })]
#[case::to_another_one(boot("2", "third"), Journal { boot_id: "2".into(), from: "third".into(), ..journal(None) })]
fn a_reboot_in_a_change_of_the_running_system_begins_it_again(#[case] boot: Boot, #[case] again: Journal) {
    let journal = Some(live(Needs::Services, Step::Converge));
    assert_eq!(decide(&Observed { boot, journal, ..node() }), Decision::Begin(again));
}

#[test]
fn a_change_of_the_running_system_is_told_without_image_and_reboot() {
    let journal = Some(live(Needs::Services, Step::Services));
    let status = reported(&Observed { journal, ..node() }, None);
    let told =
        |kind: &str| status.conditions.iter().any(|each| each.type_ == kind && each.status == ConditionStatus::True);
    assert_eq!((told("AppliedFiles"), told("AppliedOSImage"), told("RebootedNode")), (true, false, false));
    let update = status.onlay.unwrap().update.unwrap();
    assert_eq!((update.phase, update.message.as_str()), (UpdatePhase::Verifying, "restart chronyd.service"));
}

#[rstest]
#[case::installers_arguments_stay(&["rw", "a=1"], &[], &["b"], &["rw", "a=1", "b"])]
#[case::the_old_configurations_arguments_leave(&["rw", "a=1", "b"], &["a=1"], &["c"], &["rw", "b", "c"])]
#[case::an_argument_set_twice_leaves_once(&["a", "a"], &["a"], &[], &["a"])]
#[case::the_deployments_own_argument_is_not_copied(&["ostree=/ostree/boot.0/x", "rw"], &[], &[], &["rw"])]
fn kernel_arguments(
    #[case] booted: &[&str],
    #[case] before: &[&str],
    #[case] after: &[&str],
    #[case] expected: &[&str],
) {
    let own = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    assert_eq!(kargs::next(&own(booted), &own(before), &own(after)), own(expected));
}

fn reported(observed: &Observed, failure: Option<&str>) -> MachineConfigNodeStatus {
    reported_after(&MachineConfigNodeStatus::default(), observed, failure)
}

fn reported_after(
    before: &MachineConfigNodeStatus,
    observed: &Observed,
    failure: Option<&str>,
) -> MachineConfigNodeStatus {
    let decision = decide(observed);
    let facts = report::Facts {
        observed,
        decision: &decision,
        failure,
        generation: Some(3),
        deployments: Vec::new(),
        adopted_image: None,
        booted_image: None,
    };
    report::status(before, &facts, Timestamp::UNIX_EPOCH)
}

#[rstest]
#[case::waiting_for_its_turn(Observed { permit: Permit::Stage, ..at(Step::Stage) }, UpdatePhase::Staged)]
#[case::applying(at(Step::Converge), UpdatePhase::Applying)]
#[case::rebooting(at(Step::Unlock), UpdatePhase::Rebooting)]
#[case::done(Observed { running: Some(target("new")), ..node() }, UpdatePhase::Done)]
#[case::gone_back(Observed { quarantined: Some("x".into()), ..node() }, UpdatePhase::RolledBack)]
fn the_phase(#[case] observed: Observed, #[case] expected: UpdatePhase) {
    assert_eq!(reported(&observed, None).onlay.unwrap().update.unwrap().phase, expected);
}

/// The Node was deleted and made again meanwhile, and its new MachineConfigNode does not name an image before the controller
/// has heard that the update is over.
#[rstest]
#[case::it_runs_what_it_was_updated_to("new", Some(UpdatePhase::Done))]
#[case::it_undid_the_update("old", None)]
fn an_update_that_left_no_journal_is_over(#[case] running: &str, #[case] expected: Option<UpdatePhase>) {
    let rebooting = reported(&at(Step::Unlock), None);
    let observed = Observed { target: None, permit: Permit::Hold, running: Some(target(running)), ..node() };
    let told = reported_after(&rebooting, &observed, None).onlay.unwrap().update;
    assert_eq!(told.map(|update| update.phase), expected);
}

#[test]
fn a_target_that_only_has_another_name_for_the_booted_image_is_reported_by_its_name() {
    let status = reported(&Observed { running: Some(target("new")), ..node() }, None);
    assert_eq!(status.config_image.unwrap().current_image, Some(target("new").image));
}

#[test]
fn a_failure_is_told_in_the_update_and_degrades_the_node() {
    let status = reported(&Observed { journal: Some(journal(None)), ..node() }, Some("the registry is away"));
    assert_eq!(status.onlay.unwrap().update.unwrap().message, "the registry is away");
    let degraded = status.conditions.iter().find(|condition| condition.type_ == "NodeDegraded").unwrap();
    assert_eq!(degraded.message, "the registry is away");
    assert!(status.conditions.len() <= 17, "3 more belong to rollout, and 20 is the limit of the schema");
}
