//! `cargo xtask lab`: a real cluster on this machine.

use onlay_testkit::{Lab, Layout, Progress, lab};

use crate::Outcome;

/// What to do with the lab.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Bring the lab up; what runs already stays
    Up,
    /// Take the lab away and leave nothing of it
    Down,
    /// Print the path of the administrator's kubeconfig
    Kubeconfig,
}

/// Runs the command in a runtime of its own.
pub fn run(command: Command) -> Outcome {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(act(command))
}

async fn act(command: Command) -> Outcome {
    let layout = Layout::from_environment()?;
    let progress = Progress::stderr();
    match command {
        Command::Up => drop(Lab::up(&layout, &progress).await?),
        Command::Down => lab::down(&layout, &progress).await?,
        Command::Kubeconfig => println!("{}", layout.kubeconfig()),
    }
    Ok(())
}
