//! Units before systemd.

use std::path::{Path, PathBuf};
use std::process::Command;

use onlay_core::butane::{Options, translate};
use onlay_core::render::ignition::unit;
use serde_json::Value;

use super::dice::Dice;
use super::{cases, judge, record};

/// What systemd says of a line that is neither section nor option, wherever it stands.
const BROKEN: [&str; 6] = [
    "Missing '='",
    "Missing key name",
    "Assignment outside of section",
    "Invalid section header",
    "Bad characters in section header",
    "Unknown section ''",
];

/// What it says of a section that a unit of this type does not have, and into which it then does not look.
const UNKNOWN_SECTION: &str = "Unknown section '";

/// A program or a path of the node, which need not be on the machine that judges.
const OF_THE_NODE: [&str; 2] = [" is not executable: ", "No such file or directory"];

/// Contents of units and what they are for.
const TABLE: [&str; 37] = [
    "[Service]\nExecStart=/bin/true\nRestart\\\n=no\n",
    "[Service\\\n]\nExecStart=/bin/true\n",
    "\\\n[Service]\nExecStart=/bin/true\n",
    "[Service]\nExecStart=/bin/true\rRestart\r",
    "[\"Service\"]\nExecStart=/bin/true\n",
    "[Service]\nExecStart=/bin/true\n\u{a0}\n",
    "",
    "\n\n",
    "# nothing but a comment\n",
    "[Service]\nExecStart=/bin/true\n",
    "[Service]\r\nExecStart=/bin/true\r\n",
    "\u{feff}[Service]\nExecStart=/bin/true\n",
    "[Service]\nExecStart=/bin/echo a \\\n  b\n",
    "[Service]\nExecStart=/bin/echo a \\\n# a comment within\n  b\n",
    "[Service]\nExecStart=/bin/echo a \\\n\n",
    "[Service]\nExecStart=/bin/echo a \\\n",
    "[Service]\nExecStart=/bin/echo a \\\\\nRestart=no\n",
    "[Service]\nExecStart=/bin/true\n; a comment\n  # another\n",
    "  [Service]  \n  ExecStart = /bin/true  \n",
    "[Service]\nExecStart=/bin/true\n[Service]\nRestart=no\n",
    "[Service]\nExecStart=/bin/true\n[X-Ours]\nanything=1\n",
    "[Service]\nExecStart=/bin/true\nX-Ours=1\n",
    "[Service\nExecStart=/bin/true\n",
    "[Service]x\nExecStart=/bin/true\n",
    "[Service] # a comment\nExecStart=/bin/true\n",
    "[]\nExecStart=/bin/true\n",
    "Service]\nExecStart=/bin/true\n",
    "ExecStart=/bin/true\n",
    "ExecStart=/bin/true\n[Service]\nExecStart=/bin/true\n",
    "[Service]\nExecStart=/bin/true\nRestart\n",
    "[Service]\nExecStart=/bin/true\nRestart no\n",
    "[Service]\nExecStart=/bin/true\n=no\n",
    "[Service]\nExecStart=/bin/true\n = no\n",
    "[Service]\nExecStart=/bin/true\nnonsense\n[Install]\nWantedBy=multi-user.target\n",
    "[Ser[vice]\nExecStart=/bin/true\n",
    "[Service]\nExecStart=/bin/true\n[X-Ours]]\nanything=1\n",
    "[Service]\nExecStart=/bin/true\n\u{1}\n",
];

/// What we refuse as broken systemd cannot read either, and what systemd cannot read we refuse.
#[test]
fn systemd_cannot_read_what_we_refuse_and_reads_the_rest() {
    let seed = judge::seed("units");
    let recorded: Vec<String> = recorded();
    let sources: Vec<&str> = TABLE.into_iter().chain(recorded.iter().map(String::as_str)).collect();
    let random = (0..judge::random_cases()).map(|number| mixed(&sources, &mut Dice::new(seed, number)));
    let units: Vec<String> = random.chain(sources.iter().map(|contents| (*contents).to_owned())).collect();
    judge::has_both(units.iter().filter(|contents| unit::sections(contents).is_ok()).count(), units.len());
    judge::all("units, by systemd", &units, |contents| {
        let said = verify("judged.service", contents);
        let is_broken = said.iter().any(|line| BROKEN.iter().any(|broken| line.contains(broken)));
        match unit::sections(contents) {
            Ok(_) if is_broken => Some(format!("{contents:?} is accepted, but systemd says {said:?}")),
            // To systemd a NUL ends the line. No unit that a person writes has one, so we refuse it wherever it stands.
            Err(_) if contents.contains('\0') => None,
            Err(fault) if !is_broken && !said.iter().any(|line| line.contains(UNKNOWN_SECTION)) => {
                Some(format!("{contents:?}: {fault}, but systemd says {said:?}"))
            }
            _ => None,
        }
    });
}

#[test]
fn systemd_has_nothing_to_say_about_units_of_the_project() {
    let units = ours();
    judge::all("units, of the project", &units, |(file, name, contents)| {
        let mut said = verify(name, contents);
        said.retain(|line| !OF_THE_NODE.iter().any(|known| line.contains(known)));
        (!said.is_empty()).then(|| format!("{file}: {name}: {said:#?}"))
    });
}

/// Lines of units, cut, mixed and changed.
fn mixed(sources: &[&str], dice: &mut Dice) -> String {
    let mut lines: Vec<String> = Vec::new();
    for _ in 0..2 {
        let source = sources[dice.below(sources.len())];
        lines.extend(source.split('\n').filter(|_| !dice.once_in(5)).map(str::to_owned));
    }
    for _ in 0..dice.below(3) {
        let at = dice.below(lines.len());
        let mark = dice.pick(&["=", "[", "]", "\\", "#", ";", " ", "\t", "x"]);
        match lines.get_mut(at) {
            Some(line) if dice.once_in(2) => line.push_str(mark),
            Some(line) => line.insert_str(0, mark),
            None => {}
        }
    }
    lines.join("\n")
}

/// What systemd says of a unit, a line each.
fn verify(name: &str, contents: &str) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(name);
    std::fs::write(&file, contents).unwrap();
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .arg(&file)
        .env("SYSTEMD_LOG_COLOR", "0")
        .output()
        .expect("systemd-analyze is in the Debian package systemd, which `cargo xtask test` installs");
    String::from_utf8_lossy(&output.stderr).lines().map(str::to_owned).collect()
}

/// Contents of the units that the real Butane made.
fn recorded() -> Vec<String> {
    let mut found = Vec::new();
    for answer in cases::TOPICS.iter().flat_map(|topic| record::read(topic).into_values()) {
        if answer.stdout.starts_with('{') {
            found.extend(units_in(&answer.value()).into_iter().map(|(_, contents)| contents));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// File, name and contents of each unit that the project ships.
fn ours() -> Vec<(String, String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    for file in ["examples", "deploy", "lab", "crates/host/units"]
        .iter()
        .flat_map(|directory| files_below(&root.join(directory)))
    {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        if name.starts_with("broken.") {
            // The example of what errors look like.
            continue;
        }
        let shown = file.strip_prefix(&root).unwrap().display().to_string();
        let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let values: Vec<Value> = match ending {
            "service" | "timer" | "mount" | "socket" => {
                found.push((shown, name, text));
                continue;
            }
            "yaml" => serde_saphyr::from_multiple(&text).unwrap_or_default(),
            "bu" => {
                translate(&text, &Options::default(), None).map(|made| vec![made.output.value()]).unwrap_or_default()
            }
            _ => continue,
        };
        let units = values.iter().flat_map(units_in);
        found.extend(units.map(|(name, contents)| (shown.clone(), name, contents)));
    }
    found
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// Name and contents of each unit of a MachineConfig or an Ignition configuration.
fn units_in(value: &Value) -> Vec<(String, String)> {
    let config = value.pointer("/spec/config").unwrap_or(value);
    let units = config.pointer("/systemd/units").and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |unit: &Value, name: &str| unit[name].as_str().map(str::to_owned);
    units.iter().filter_map(|unit| Some((text(unit, "name")?, text(unit, "contents")?))).collect()
}
