//! `cargo xtask bench lab --cold`: the demo of a machine that has built nothing yet.

use super::{Figure, Goal, Measured, seconds};
use crate::{Outcome, run};
use onlay_testkit::{Layout, Progress, lab};
use std::path::Path;
use std::time::Instant;

const HOW: &str = "`cargo xtask demo` with a new cache of the lab, new objects of cargo and of Go; Debian packages of the machine and what cargo and \
                   Go have downloaded stay";

/// The demo with new directories beside the lab's cache, which are removed afterwards. A lab that runs is taken down first.
pub fn measure() -> Measured<Figure> {
    let layout = Layout::from_environment()?;
    down(&layout)?;
    let beside = layout.cache().parent().ok_or("the cache of the lab is the root directory")?;
    std::fs::create_dir_all(beside)?;
    let scratch = tempfile::Builder::new().prefix("onlay-lab-cold-").tempdir_in(beside)?;
    let cache = scratch.path().join("cache");
    let start = Instant::now();
    let told = demo(scratch.path(), &cache);
    let taken = start.elapsed().as_secs_f64();
    let cache = cache.to_str().ok_or("the path of the new cache is not UTF-8")?;
    if let Err(error) = down(&Layout::new(layout.state(), cache)?) {
        let kept = scratch.keep();
        return Err(format!("the lab that uses {} is still there: {error}", kept.display()).into());
    }
    told?;
    Ok(seconds("demo, cold", taken, Goal::AtMost(1800.0), HOW))
}

fn demo(scratch: &Path, cache: &Path) -> Outcome {
    let mut demo = run::cargo();
    demo.args(["xtask", "demo"]).env("ONLAY_LAB_CACHE", cache);
    demo.env("CARGO_TARGET_DIR", scratch.join("target")).env("GOCACHE", scratch.join("go"));
    Ok(run::pass(&mut demo)?)
}

fn down(layout: &Layout) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(lab::down(layout, &Progress::stderr()))?)
}
