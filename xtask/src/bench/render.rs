//! `cargo xtask bench render`: figures of rendering and of Butane, on files that are made for it.

use super::{Figure, Goal, Measured, mebibytes, milliseconds};
use crate::run;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;
use wait4::Wait4;

/// How often a program is run; the figure is the median.
const RUNS: usize = 11;
/// Numbers of MachineConfigs, and the goals for each: time within the process, memory of the process.
const SIZES: [(usize, Goal, Goal); 4] = [
    (10, Goal::AtMost(1.0), Goal::Free),
    (100, Goal::Free, Goal::Free),
    (1000, Goal::AtMost(20.0), Goal::AtMost(30.0)),
    (10_000, Goal::Free, Goal::Free),
];
/// Different paths at most: more files of their size are more than an object of the API can hold.
const PATHS: usize = 1000;
/// Bytes of a file.
const CONTENTS: usize = 500;

const IN_PROCESS: &str =
    "core::render::render alone, of MachineConfigs that were read before; release, median of 21 runs in one process";
const REPEATED: &str = "the same; 1,000 paths, each said ten times";
const WHOLE: &str = "from start to end of the process: it also reads the files, parses and checks YAML, and writes the result; release, median of 11 runs";
const WALL: &str = "from start to end of the process, release, median of 11 runs";
const RESIDENT: &str = "ru_maxrss of wait4, at least that of xtask itself, median of 11 runs";

/// Builds the programs as they are shipped, and measures them.
pub fn measure() -> Measured<Vec<Figure>> {
    let words = ["build", "--quiet", "--release", "--workspace", "--bin=onlay", "--example=time_render"];
    run::pass(run::cargo().args(words))?;
    let target = run::root().join(std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned()));
    let (release, files) = (target.join("release"), target.join("bench"));
    let onlay = release.join("onlay");
    let (mut figures, mut resident) = (Vec::new(), Vec::new());
    for (number, goal, goal_resident) in SIZES {
        let (directory, bytes) = write_machine_configs(&files, number)?;
        let seconds: f64 =
            run::read(Command::new(release.join("examples/time_render")).arg(&directory))?.trim().parse()?;
        let how = if number > PATHS { REPEATED } else { IN_PROCESS };
        figures.push(by_size(format!("render, {number} MachineConfigs"), seconds, bytes, goal, how));
        let (seconds, kibibytes) =
            process(&onlay, |onlay| onlay.arg("render").arg(&directory).args(["--pool", "worker"]))?;
        figures.push(by_size(format!("onlay render, {number} files"), seconds, bytes, Goal::Free, WHOLE));
        resident.push(mebibytes(format!("onlay render, {number} files, resident"), kibibytes, goal_resident, RESIDENT));
    }
    figures.extend(resident);
    let file = write_butane(&files)?;
    let (seconds, _) = process(&onlay, |onlay| onlay.arg("butane").arg(&file))?;
    figures.push(milliseconds("onlay butane, 200 lines", seconds, Goal::AtMost(15.0), WALL));
    Ok(figures)
}

/// A time, and what of it falls to each KiB of the input files: about the same in every row if cost grows with bytes.
fn by_size(what: String, seconds: f64, bytes: usize, goal: Goal, how: &'static str) -> Figure {
    let per_kibibyte = seconds * 1e6 / (bytes as f64 / 1024.0);
    milliseconds(what, seconds, goal, how).which_is(&format!("{per_kibibyte:.1} us/KiB"))
}

/// Runs a program several times: seconds and KiB, the median of each.
fn process(program: &Path, with: impl Fn(&mut Command) -> &mut Command) -> Measured<(f64, f64)> {
    let (mut seconds, mut kibibytes) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let mut command = Command::new(program);
        let start = Instant::now();
        let ended = with(&mut command).stdout(Stdio::null()).spawn()?.wait4()?;
        seconds.push(start.elapsed().as_secs_f64());
        kibibytes.push(ended.rusage.maxrss as f64 / 1024.0);
        if !ended.status.success() {
            return Err(format!("`{command:?}` ended with {}", ended.status).into());
        }
    }
    Ok((median(seconds), median(kibibytes)))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// A directory with this many MachineConfigs, each in a file, and how many bytes they have.
fn write_machine_configs(below: &Path, number: usize) -> Measured<(PathBuf, usize)> {
    let directory = below.join(number.to_string());
    std::fs::create_dir_all(&directory)?;
    let mut bytes = 0;
    for at in 0..number {
        let text = machine_config(at);
        bytes += text.len();
        std::fs::write(directory.join(format!("{at:05}.yaml")), text)?;
    }
    Ok((directory, bytes))
}

/// A MachineConfig with a file; every tenth has a unit as well, and every fiftieth an argument.
fn machine_config(at: usize) -> String {
    let contents: String = format!("{at:05}").chars().cycle().take(CONTENTS).collect();
    let mut text = format!(
        "apiVersion: machineconfiguration.openshift.io/v1\nkind: MachineConfig\nmetadata:\n  name: 50-bench-{at:05}\n  \
         labels:\n    machineconfiguration.openshift.io/role: worker\nspec:\n  config:\n    ignition:\n      \
         version: 3.5.0\n    storage:\n      files:\n        - path: /etc/bench/{:05}\n          mode: 420\n          \
         contents:\n            source: data:,{contents}\n",
        at % PATHS
    );
    if at.is_multiple_of(10) {
        text.push_str(&format!(
            "    systemd:\n      units:\n        - name: bench-{:05}.service\n          enabled: true\n          \
             contents: |\n            [Service]\n            ExecStart=/usr/bin/true\n            [Install]\n            \
             WantedBy=multi-user.target\n",
            at % PATHS
        ));
    }
    if at.is_multiple_of(50) {
        text.push_str(&format!("  kernelArguments:\n    - bench.argument{at}=1\n"));
    }
    text
}

/// A Butane file of 200 lines.
fn write_butane(below: &Path) -> Measured<PathBuf> {
    let mut text = "variant: openshift\nversion: 4.19.0\nmetadata:\n  name: 50-bench\n  labels:\n    \
                    machineconfiguration.openshift.io/role: worker\nstorage:\n  files:\n"
        .to_owned();
    for at in 0..32 {
        text.push_str(&format!(
            "    - path: /etc/bench/{at}\n      mode: 0644\n      contents:\n        inline: |\n          first line of \
             {at}\n          second line of {at}\n"
        ));
    }
    let path = below.join("bench.bu");
    std::fs::write(&path, text)?;
    Ok(path)
}
