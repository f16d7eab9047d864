//! What a pool and its nodes go through, for people.

use onlay_core::change::disruption::{Disruption, Rebuild};
use onlay_core::change::foresee::{Forecast, Move};
use onlay_core::change::plan::{Pace, Plan};

use super::changes;

/// Names of nodes that are shown for a group; the plan below has all of them.
const NAMED: usize = 5;

/// A pool, from its name to the time that all of it takes.
pub fn text(forecast: &Forecast) -> String {
    let mut text = match &forecast.from {
        Some(from) if *from == forecast.to => format!("pool {}: keeps {}\n", forecast.pool, forecast.to),
        Some(from) => format!("pool {}: {from} → {}\n", forecast.pool, forecast.to),
        None => format!("pool {}: new, {}\n", forecast.pool, forecast.to),
    };
    for setting in &forecast.settings {
        text.push_str(&format!("  {}: {} → {}\n", setting.field, setting.old, setting.new));
    }
    text.push_str(&format!("  new image: {}\n", forecast.rebuild_why));
    for group in &forecast.moves {
        text.push_str(&of_move(group));
    }
    text + &of_plan(forecast)
}

fn of_move(group: &Move) -> String {
    let mut names: Vec<String> = group.nodes.iter().take(NAMED).cloned().collect();
    if group.nodes.len() > NAMED {
        names.push(format!("{} more", group.nodes.len() - NAMED));
    }
    let who = if names.is_empty() { "no nodes".to_owned() } else { names.join(", ") };
    let from = if group.from.is_empty() { "nothing" } else { &group.from };
    let brief = changes::in_brief(&group.comparison.changes, "    ");
    let what = if brief.is_empty() { "    nothing differs\n".to_owned() } else { brief };
    format!("\n  from {from}: {who}\n{what}    in all: {}\n", group.comparison.cost)
}

fn of_plan(forecast: &Forecast) -> String {
    let Some(plan) = &forecast.plan else {
        return "\n  no plan: nodes that run cannot take this\n".to_owned();
    };
    let size = plan.turns.len() + plan.waiting.len() + plan.at_once.len();
    if size == 0 {
        return String::new();
    }
    let limit = match forecast.max_unavailable {
        Some(max) => format!("at most {max} of {size} out of service"),
        None => "spec.maxUnavailable cannot be read".to_owned(),
    };
    let lines = lines(plan);
    let width = |column: fn(&[String; 3]) -> &String| lines.iter().map(|line| column(line).chars().count()).max();
    let (first, second) = (width(|line| &line[0]).unwrap_or(0), width(|line| &line[1]).unwrap_or(0));
    let mut text = format!("\n  nodes ({limit}):\n");
    for [when, who, what] in &lines {
        text.push_str(&format!("    {when:first$}  {who:second$}  {what}\n"));
    }
    if !plan.turns.is_empty() {
        let what = if plan.waiting.is_empty() { "all of it takes" } else { "what does not wait takes" };
        text.push_str(&format!("  {what} {:#}: {}\n", plan.total, paces(plan, &forecast.rebuild)));
    }
    text
}

/// When, who, and what, of every node.
fn lines(plan: &Plan) -> Vec<[String; 3]> {
    let turns = plan.turns.iter().map(|turn| {
        let what = format!("{}, {:#}", turn.disruption, turn.takes);
        [format!("after {:#}", turn.begins), turn.node.clone(), what]
    });
    let at_once = plan.at_once.iter().map(|node| ["at once".to_owned(), node.clone(), Disruption::None.to_string()]);
    let waiting = plan.waiting.iter().map(|each| ["waits".to_owned(), each.node.clone(), each.reason.clone()]);
    turns.chain(at_once).chain(waiting).collect()
}

/// What the time is made of, and how that is known.
fn paces(plan: &Plan, rebuild: &Rebuild) -> String {
    let any = |is: fn(&Disruption) -> bool| plan.turns.iter().any(|turn| is(&turn.disruption));
    let is_reboot = |disruption: &Disruption| *disruption == Disruption::Reboot;
    let parts = [
        ("building", plan.paces.build, matches!(rebuild, Rebuild::New(_))),
        ("staging", plan.paces.stage, any(is_reboot)),
        ("a drain", plan.paces.drain, any(Disruption::drains)),
        (
            "a change without a reboot",
            plan.paces.apply,
            any(|disruption| matches!(disruption, Disruption::Live { .. })),
        ),
        ("a reboot", plan.paces.reboot, any(is_reboot)),
    ];
    let used = parts.iter().filter(|(_, _, is_used)| *is_used);
    used.map(|(name, pace, _)| format!("{name} {}", of_pace(pace))).collect::<Vec<_>>().join(", ")
}

fn of_pace(pace: &Pace) -> String {
    match pace.samples {
        0 => format!("{:#} (assumed)", pace.takes),
        1 => format!("{:#} (as seen once)", pace.takes),
        samples => format!("{:#} (median of {samples})", pace.takes),
    }
}
