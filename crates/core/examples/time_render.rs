//! How long `core::render::render` takes for the MachineConfigs of a directory: `cargo xtask bench render` asks this.
//!
//! Prints the median of several runs in seconds. Reading the files is not part of it.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a measurement needs files, arguments and a clock"
)]

use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};

use onlay_api::MachineConfig;
use onlay_core::render::render;

/// How often the MachineConfigs are rendered.
const RUNS: usize = 21;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args_os().nth(1).ok_or("expected a directory of MachineConfigs")?;
    let mut machine_configs: Vec<MachineConfig> = Vec::new();
    for entry in fs::read_dir(directory)? {
        machine_configs.push(serde_saphyr::from_str(&fs::read_to_string(entry?.path())?)?);
    }
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let start = Instant::now();
        let rendered = black_box(render("worker", black_box(&machine_configs))?);
        times.push(start.elapsed());
        drop(rendered);
    }
    times.sort();
    println!("{}", times.get(RUNS / 2).map_or(0.0, Duration::as_secs_f64));
    Ok(())
}
