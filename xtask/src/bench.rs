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
    println!("\n{}", table(&figures));
    outcome
}

/// The figures under their headings, each column as wide as what is in it.
fn table(figures: &[Figure]) -> String {
    let heading = ["WHAT", "MEASURED", "GOAL", "HOW"];
    let rows: Vec<_> = std::iter::once(heading).chain(figures.iter().map(Figure::row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let (what, value, goal) = (width(0), width(1), width(2));
    rows.iter().map(|row| format!("{:what$}  {:>value$}  {:goal$}  {}\n", row[0], row[1], row[2], row[3])).collect()
}

impl Figure {
    fn row(&self) -> [&str; 4] {
        [&self.what, &self.value, self.goal, self.how]
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let figures = [seconds("a", 1.5, "", "by a clock"), mebibytes("of memory", 2048.0, "3 MiB", "by the kernel")];
        let lines = ["WHAT       MEASURED  GOAL   HOW", "a            1.50 s         by a clock"];
        assert_eq!(table(&figures).lines().collect::<Vec<_>>()[..2], lines);
    }
}
