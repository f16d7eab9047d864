//! Ignition configurations before the real validator.

use onlay_api::machine_config::{MachineConfig, MachineConfigSpec};
use onlay_core::render::ignition::spec::configuration;
use onlay_core::render::render;
use serde_json::{Value, json};

use super::dice::Dice;
use super::generator::{self, Language};
use super::{cases, judge, record, words};

/// Configurations with one thing wrong or nearly wrong each, for every specification.
const CORPUS: &str = include_str!("ignition.jsonl");

/// Every specification that was released.
const MINORS: std::ops::RangeInclusive<u8> = 0..=6;

#[test]
fn our_reader_refuses_what_the_validator_refuses_and_nothing_else() {
    judge::all("ignition, corpus", &corpus(), |config| differs(config));
}

#[test]
fn random_configurations_have_the_real_outcome() {
    let seed = judge::seed("ignition");
    let made = |number: usize| {
        let mut dice = Dice::new(seed, number);
        let minor = u8::try_from(number % 7).unwrap();
        generator::document(Language::Ignition(minor), &mut dice).to_string()
    };
    let random: Vec<String> = (0..judge::random_cases()).map(made).collect();
    let is_accepted = |config: &&String| configuration::read(config.as_bytes()).is_ok();
    judge::has_both(random.iter().filter(is_accepted).count(), random.len());
    judge::all("ignition, random", &random, |config| differs(config));
}

#[test]
fn changed_configurations_have_the_real_outcome() {
    let seed = judge::seed("changed ignition");
    let corpus = corpus();
    let changed = |number: usize| {
        let mut dice = Dice::new(seed, number);
        let mut config: Value = serde_json::from_str(&corpus[dice.below(corpus.len())]).unwrap();
        change(&mut config, &mut dice);
        config.to_string()
    };
    let changed: Vec<String> = (0..judge::random_cases()).map(changed).collect();
    judge::all("ignition, changed", &changed, |config| differs(config));
}

/// What the real tool made of Butane files, and the configurations that are wrong.
fn corpus() -> Vec<String> {
    let recorded = cases::TOPICS.iter().flat_map(|topic| record::read(topic).into_values());
    let recorded = recorded.filter(|answer| answer.stdout.starts_with('{')).map(|answer| answer.stdout);
    let broken = CORPUS.lines().filter(|line| !line.starts_with('#')).flat_map(|line| {
        MINORS.map(move |minor| {
            let mut config: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            let ignition = config.as_object_mut().unwrap().entry("ignition").or_insert_with(|| json!({}));
            if let Some(ignition) = ignition.as_object_mut() {
                ignition.entry("version").or_insert_with(|| json!(format!("3.{minor}.0")));
            }
            config.to_string()
        })
    });
    let all: std::collections::BTreeSet<String> = recorded.chain(broken).collect();
    all.into_iter().collect()
}

/// How our verdict differs from that of the validator.
fn differs(config: &str) -> Option<String> {
    let refusal = judge::refused_by_ignition(config);
    let ours = configuration::read(config.as_bytes());
    match (&ours, &refusal) {
        // The validator reads one specification more than was released: 3.7.0-experimental, which may still change.
        (Err(_), None) if config.contains("-experimental") => return None,
        (Err(report), None) => return Some(format!("{config}\nis refused by us alone: {report:?}")),
        (Ok(_), Some(refusal)) => return Some(format!("{config}\nis refused by the validator alone: {refusal}")),
        _ => {}
    }
    // A pool's configuration takes less than Ignition does: nothing that a running node cannot have, no 3.6. It never
    // takes more.
    // It takes an empty configuration for none at all, as the compatible API does.
    if config == "{}" {
        return None;
    }
    let spec = MachineConfigSpec { config: serde_json::from_str(config).ok()?, ..MachineConfigSpec::default() };
    let refusal = refusal?;
    let rendered = render("worker", [&MachineConfig::new("50-case", spec)]);
    rendered.is_ok().then(|| format!("{config}\nis rendered, but the validator says {refusal}"))
}

/// Changes something somewhere.
fn change(value: &mut Value, dice: &mut Dice) {
    match value {
        Value::Object(fields) if !fields.is_empty() && !dice.once_in(6) => {
            let at = dice.below(fields.len());
            if let Some(below) = fields.values_mut().nth(at) {
                change(below, dice);
            }
        }
        Value::Object(fields) => {
            let (name, value) = (fields.keys().next().cloned(), Value::from(words::strange(dice)));
            match name {
                Some(name) if dice.once_in(2) => drop(fields.remove(&name)),
                _ => drop(fields.insert(dice.pick(&["path", "name", "contents", "mode", "nope"]).to_owned(), value)),
            }
        }
        Value::Array(entries) if !entries.is_empty() => {
            let at = dice.below(entries.len());
            match dice.below(4) {
                0 => entries.push(entries[at].clone()),
                _ => change(&mut entries[at], dice),
            }
        }
        Value::Number(_) => *value = words::strange_number(dice).into(),
        Value::Bool(flag) => *flag = !*flag,
        _ => *value = Value::from(words::strange(dice)),
    }
}
