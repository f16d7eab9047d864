use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use proptest::prelude::*;
use rstest::rstest;

use crate::build::inputs::Reason;
use crate::change::disruption::{Disruption, Rebuild, Step};
use crate::change::plan::{Past, Plan, PlanNode, PlanPool, plan};
use crate::rollout::candidates::max_unavailable;
use crate::rollout::wait::WaitReason;

fn mins(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

/// What the tests assume: stage 1, drain 2, apply 3, reboot 4, build 10 minutes.
fn past() -> Past {
    Past {
        build: vec![mins(10)],
        stage: vec![mins(1)],
        drain: vec![mins(2)],
        apply: vec![mins(3)],
        reboot: vec![mins(4)],
    }
}

/// Nodes as words: `a:reboot`, `a:live`, `a:drain`, `a`, with `out` and `controller` as further flags.
fn nodes(words: &str) -> Vec<PlanNode<'_>> {
    words
        .split_whitespace()
        .map(|word| {
            let mut flags = word.split(':');
            let name = flags.next().unwrap();
            let flags: Vec<_> = flags.collect();
            let has = |flag| flags.contains(&flag);
            let steps = vec![Step::Reload("a.service".into())];
            let disruption = match () {
                () if has("reboot") => Disruption::Reboot,
                () if has("live") => Disruption::Live { drain: false, steps },
                () if has("drain") => Disruption::Live { drain: true, steps },
                () => Disruption::None,
            };
            PlanNode { name, disruption, out: has("out"), runs_controller: has("controller") }
        })
        .collect()
}

fn pool(words: &str, max: usize) -> PlanPool<'_> {
    PlanPool { nodes: nodes(words), max_unavailable: Ok(max), paused: false, rebuild: Rebuild::NotLayered }
}

/// `a 1+6` for each turn: node, beginning, duration in minutes.
fn turns(plan: &Plan) -> String {
    let turn =
        |turn: &crate::change::plan::Turn| format!("{} {}+{}", turn.node, turn.begins.as_mins(), turn.takes.as_mins());
    plan.turns.iter().map(turn).collect::<Vec<_>>().join(", ")
}

#[rstest]
#[case::one_after_the_other("a:reboot b:reboot", 1, "a 1+6, b 7+6", 13, 1)]
#[case::two_at_once("a:reboot b:reboot c:reboot", 2, "a 1+6, b 1+6, c 7+6", 13, 2)]
#[case::all_at_once("a:reboot b:reboot", 9, "a 1+6, b 1+6", 7, 2)]
#[case::a_slot_is_taken_up_as_soon_as_it_is_free("a:reboot b:live c:live", 2, "a 1+6, b 1+3, c 4+3", 7, 2)]
#[case::without_a_drain("a:live b:live", 1, "a 0+3, b 3+3", 6, 1)]
#[case::with_a_drain_and_no_reboot("a:drain", 1, "a 0+5", 5, 1)]
#[case::nodes_that_nothing_reaches("a b:reboot c", 1, "b 1+6", 7, 1)]
#[case::the_controllers_node_goes_last("a:reboot:controller b:reboot c:reboot", 3, "b 1+6, c 1+6, a 7+6", 13, 2)]
#[case::a_broken_node_is_updated_beside_the_others("a:reboot b:reboot:out", 2, "a 1+6, b 1+6", 7, 2)]
#[case::nobody("", 1, "", 0, 0)]
#[case::nothing_to_do("a b", 1, "", 0, 0)]
fn who_goes_when(
    #[case] words: &str,
    #[case] max: usize,
    #[case] expected: &str,
    #[case] total: i64,
    #[case] together: usize,
) {
    let plan = plan(&pool(words, max), &past());
    assert_eq!(turns(&plan), expected);
    assert_eq!((plan.total.as_mins(), plan.together), (total, together));
    assert_eq!(plan.waiting, []);
}

#[rstest]
#[case::a_broken_node_keeps_its_slot(
    "a:reboot b:reboot:out",
    1,
    "b 1+6",
    "a: waiting for b: at most 1 of the pool may be out of service"
)]
#[case::a_broken_node_that_nothing_reaches_keeps_it_too(
    "a:reboot b:out",
    1,
    "",
    "a: waiting for b: at most 1 of the pool may be out of service"
)]
fn who_does_not_go(#[case] words: &str, #[case] max: usize, #[case] expected: &str, #[case] waiting: &str) {
    let plan = plan(&pool(words, max), &past());
    assert_eq!(turns(&plan), expected);
    let found: Vec<String> = plan.waiting.iter().map(|each| format!("{}: {}", each.node, each.reason)).collect();
    assert_eq!(found, [waiting]);
}

#[test]
fn a_paused_pool_waits() {
    let mut paused = pool("a:reboot b", 1);
    paused.paused = true;
    let plan = plan(&paused, &past());
    assert_eq!((plan.turns, plan.at_once, plan.waiting[0].reason.as_str()), (vec![], vec![], "the pool is paused"));
}

#[test]
fn a_pool_whose_limit_cannot_be_read_waits() {
    let mut pool = pool("a:reboot", 1);
    pool.max_unavailable = max_unavailable(Some(&IntOrString::String("lots".into())), 1);
    let plan = plan(&pool, &past());
    assert_eq!(plan.waiting[0].reason, WaitReason::MaxUnavailable("lots".into()).to_string());
}

#[test]
fn an_image_is_built_before() {
    let mut pool = pool("a:reboot b:live", 1);
    pool.rebuild = Rebuild::New(vec![Reason::Base]);
    let plan = plan(&pool, &past());
    assert_eq!((plan.before, turns(&plan).as_str()), (mins(11), "a 11+6, b 17+3"));
}

#[rstest]
#[case::nothing_seen(&[], 120, 0)]
#[case::one(&[30], 30, 1)]
#[case::the_middle_one(&[50, 10, 20], 20, 3)]
#[case::the_lower_one_of_two(&[50, 10, 20, 30], 20, 4)]
fn times_are_medians_or_stated_assumptions(#[case] seen: &[i64], #[case] takes: i64, #[case] samples: usize) {
    let drain = seen.iter().copied().map(SignedDuration::from_secs).collect();
    let plan = plan(&pool("a:drain", 1), &Past { drain, ..Past::default() });
    assert_eq!((plan.paces.drain.takes.as_secs(), plan.paces.drain.samples), (takes, samples));
    assert_eq!(plan.turns[0].takes, plan.paces.drain.takes + SignedDuration::from_secs(15));
}

proptest! {
    #[test]
    fn a_plan_keeps_the_rules(
        kinds in prop::collection::vec((0..4_usize, prop::bool::weighted(0.2)), 0..9),
        controller in 0..9_usize,
        max in 1..4_usize,
    ) {
        let kind = ["", ":live", ":drain", ":reboot"];
        let words: Vec<String> = kinds.iter().enumerate().map(|(index, (of, out))| {
            let out = if *out { ":out" } else { "" };
            let controller = if index == controller { ":controller" } else { "" };
            format!("n{index}{}{out}{controller}", kind[*of])
        }).collect();
        let words = words.join(" ");
        let pool = pool(&words, max);
        let plan = plan(&pool, &past());
        let of = |name: &str| pool.nodes.iter().find(|node| node.name == name).unwrap();

        // Everybody is in one list, and in one only.
        let turns = plan.turns.iter().map(|turn| turn.node.as_str());
        let waiting = plan.waiting.iter().map(|each| each.node.as_str());
        let mut listed: Vec<&str> = turns.chain(waiting).chain(plan.at_once.iter().map(String::as_str)).collect();
        listed.sort_unstable();
        prop_assert_eq!(listed, pool.nodes.iter().map(|node| node.name).collect::<Vec<_>>());

        // Never more than may be out, except for those that were out before.
        let out = pool.nodes.iter().filter(|node| node.out).count();
        for turn in plan.turns.iter().filter(|turn| !of(&turn.node).out) {
            let beside = plan.turns.iter().filter(|other| !of(&other.node).out);
            let together = beside.filter(|other| other.begins <= turn.begins && turn.begins < other.ends()).count();
            prop_assert!(together + out <= max, "{together} beside {out}: {}", words);
        }

        // The controller's node begins when all others that go are back, unless it is broken anyway.
        for turn in plan.turns.iter().filter(|turn| of(&turn.node).runs_controller && !of(&turn.node).out) {
            let others = plan.turns.iter().filter(|other| other.node != turn.node);
            prop_assert!(others.into_iter().all(|other| other.ends() <= turn.begins), "{}", words);
        }
        // Nobody waits for ever while there is a free slot.
        prop_assert!(plan.waiting.is_empty() || out >= max, "{:?}: {}", plan.waiting, words);
    }
}
