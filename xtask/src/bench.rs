//! `cargo xtask bench`: figures of onlay, and how each was measured.

mod builds;
mod cold;
mod figure;
mod lab;
mod render;

use self::figure::{Figure, Goal};
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
    Lab {
        /// The demo of a machine that has built nothing before, too: half an hour and 10 GB of disk
        #[arg(long)]
        cold: bool,
    },
    /// Rendering and Butane: no lab
    Render,
    /// Builds, beside the plain way: time, bytes written, pushed and downloaded. A lab that runs is taken down first
    Builds {
        /// The same once more on a base image that is so many MiB larger; 0 for the lab's base image alone
        #[arg(long, default_value_t = 1024)]
        base_mib: u64,
    },
}

type Measured<T> = Result<T, Box<dyn std::error::Error>>;

/// `cargo xtask bench`; what was measured before something failed is printed too. A goal that is missed is an error at the end.
pub fn run(arguments: &Arguments) -> Outcome {
    let mut figures = Vec::new();
    let outcome = measure(arguments, &mut figures);
    println!("\n{}", figure::table(&figures));
    outcome?;
    figure::missed(&figures).map_or(Ok(()), |missed| Err(missed.into()))
}

fn measure(arguments: &Arguments, figures: &mut Vec<Figure>) -> Outcome {
    if matches!(arguments.figures, None | Some(Figures::Render)) {
        figures.extend(render::measure()?);
    }
    if let Some(Figures::Lab { cold: true }) = arguments.figures {
        figures.push(cold::measure()?);
    }
    if matches!(arguments.figures, None | Some(Figures::Lab { .. })) {
        figures.extend(lab::measure()?);
    }
    match arguments.figures {
        None => builds::measure(0, figures),
        Some(Figures::Builds { base_mib }) => builds::measure(base_mib, figures),
        Some(Figures::Lab { .. } | Figures::Render) => Ok(()),
    }
}

fn milliseconds(what: impl Into<String>, seconds: f64, goal: Goal, how: &'static str) -> Figure {
    Figure::new(what, (seconds * 1000.0, "ms"), 2, goal, how)
}

fn seconds(what: impl Into<String>, value: f64, goal: Goal, how: &'static str) -> Figure {
    Figure::new(what, (value, "s"), 2, goal, how)
}

fn mebibytes(what: impl Into<String>, kibibytes: f64, goal: Goal, how: &'static str) -> Figure {
    Figure::new(what, (kibibytes / 1024.0, "MiB"), 1, goal, how)
}
