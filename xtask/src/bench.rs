//! `cargo xtask bench`: figures of onlay, and how each was measured.

mod builds;
mod lab;
mod render;

use crate::Outcome;

#[derive(clap::Args)]
pub struct Arguments {
    /// Which figures; all if none are named
    #[command(subcommand)]
    figures: Option<Figures>,
}

#[derive(clap::Subcommand)]
enum Figures {
    /// A real cluster: start, story, rollout, memory. A lab that runs is taken down first
    Lab,
    /// Rendering and Butane: no lab
    Render,
    /// Builds, beside the plain way: time, bytes written, pushed and downloaded. A lab that runs is taken down first
    Builds {
        /// The same once more on a base image that is so many MiB larger
        #[arg(long)]
        base_mib: Option<u64>,
    },
}

/// A row of the table.
struct Figure {
    what: String,
    value: String,
    goal: &'static str,
    how: &'static str,
}

type Measured<T> = Result<T, Box<dyn std::error::Error>>;

/// `cargo xtask bench`; what was measured before something failed is printed too.
pub fn run(arguments: &Arguments) -> Outcome {
    let mut figures = Vec::new();
    let outcome = measure(arguments, &mut figures);
    println!("\n{:42} {:>26}  {:10} HOW", "WHAT", "MEASURED", "GOAL");
    for Figure { what, value, goal, how } in figures {
        println!("{what:42} {value:>26}  {goal:10} {how}");
    }
    outcome
}

fn measure(arguments: &Arguments, figures: &mut Vec<Figure>) -> Outcome {
    if matches!(arguments.figures, None | Some(Figures::Render)) {
        figures.extend(render::measure()?);
    }
    if matches!(arguments.figures, None | Some(Figures::Lab)) {
        figures.extend(lab::measure()?);
    }
    match arguments.figures {
        None => builds::measure(None, figures),
        Some(Figures::Builds { base_mib }) => builds::measure(base_mib, figures),
        Some(Figures::Lab | Figures::Render) => Ok(()),
    }
}

fn milliseconds(what: impl Into<String>, seconds: f64, goal: &'static str, how: &'static str) -> Figure {
    Figure { what: what.into(), value: format!("{:.2} ms", seconds * 1000.0), goal, how }
}

fn seconds(what: impl Into<String>, value: f64, goal: &'static str, how: &'static str) -> Figure {
    Figure { what: what.into(), value: format!("{value:.2} s"), goal, how }
}

fn mebibytes(what: impl Into<String>, kibibytes: f64, goal: &'static str, how: &'static str) -> Figure {
    Figure { what: what.into(), value: format!("{:.1} MiB", kibibytes / 1024.0), goal, how }
}
