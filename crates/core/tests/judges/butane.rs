//! Butane files before the real tool.

use onlay_api::machine_config::{MachineConfig, MachineConfigSpec};
use onlay_core::butane::Output;
use onlay_core::butane::edition::Edition;
use onlay_core::render::render;
use serde_json::Value;

use super::cases::{self, Case};
use super::dice::Dice;
use super::generator::{self, Language};
use super::{ask, compare, judge, record};

/// Files of cases that were not recorded, since only the real tool itself looks at them: a mistake each, and every other
/// place of fields that stand in several.
const JUDGED_ONLY: [&str; 2] = ["refusals", "resources"];
/// Every version of openshift 4.
const OPENSHIFT: &[u8] = &[8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22];

/// Every version of both variants.
pub fn editions() -> Vec<Edition> {
    let fcos = (0..=7).map(|minor| ("fcos", format!("1.{minor}.0")));
    let openshift = OPENSHIFT.iter().map(|minor| ("openshift", format!("4.{minor}.0")));
    fcos.chain(openshift).map(|(variant, version)| Edition::of(variant, &version).unwrap()).collect()
}

/// The documents of our own making.
pub fn corpus() -> Vec<Case> {
    let topics = cases::TOPICS.iter().chain(&JUDGED_ONLY);
    topics.flat_map(|topic| cases::of(topic, OPENSHIFT)).collect()
}

/// The real tool is the one that the recordings are from, or they and these tests say different things.
#[test]
fn the_judge_is_the_tool_of_the_recordings() {
    let version = ask::version(&judge::program("butane"));
    for topic in cases::TOPICS {
        assert_eq!(record::recorded_from(topic), version, "record {topic} anew, see tests/butane/main.rs");
    }
    let validator = ask::version(&judge::program("ignition-validate"));
    assert_eq!(validator.replace("Ignition", "Butane"), version);
}

/// Every document of the corpus, with what there is to say about which place of it.
#[test]
fn the_corpus_has_the_real_answers() {
    let tool = judge::program("butane");
    judge::all("butane, corpus", &corpus(), |case| {
        let difference = compare::answers(case, &ask::ask(&tool, case)).or_else(|| emitted(case));
        difference.map(|what| format!("{}: {what}\n{}", case.name, case.text))
    });
}

#[test]
fn random_documents_have_the_real_outcome() {
    let tool = judge::program("butane");
    let random = random();
    judge::has_both(random.iter().filter(|case| compare::ours(case).1.is_some()).count(), random.len());
    judge::all("butane, random", &random, |case| {
        let (findings, output) = compare::ours(case);
        let difference = compare::outcomes(&findings, output.as_ref(), &ask::ask(&tool, case));
        difference.or_else(|| emitted(case)).map(|what| format!("{}: {what}\n{}", case.name, case.text))
    });
}

fn random() -> Vec<Case> {
    let editions = editions();
    let seed = judge::seed("butane");
    let case = |number| {
        let mut dice = Dice::new(seed, number);
        let edition = editions[number % editions.len()];
        let document = generator::document(Language::Butane(edition), &mut dice);
        let text = match dice.once_in(2) {
            true => document.to_string(),
            false => serde_saphyr::to_string(&document).unwrap(),
        };
        Case { name: format!("random {number}"), text, raw: dice.once_in(5), strict: dice.once_in(10), files: true }
    };
    (0..judge::random_cases()).map(case).collect()
}

/// Why Ignition refuses what we emit: the translation, and the configuration of a pool that is rendered from it.
fn emitted(case: &Case) -> Option<String> {
    let refused = |what: &str, config: &Value| {
        let refusal = judge::refused_by_ignition(&config.to_string())?;
        Some(format!("the {what} {config:#} is refused: {refusal}"))
    };
    let output = compare::ours(case).1?;
    let value = output.value();
    match output {
        Output::Ignition(_) => refused("translation", &value),
        Output::MachineConfig(_) => {
            let spec: MachineConfigSpec = serde_json::from_value(value["spec"].clone()).unwrap();
            let rendered = render("worker", [&MachineConfig::new("50-case", spec)]);
            refused("translation", &value["spec"]["config"])
                .or_else(|| refused("rendered configuration", &rendered.ok()?.spec.config))
        }
    }
}
