//! `cargo xtask lab`: a real cluster on this machine.

use std::os::unix::process::CommandExt;
use std::process::Command as Program;

use onlay_testkit::lab::{self, Options};
use onlay_testkit::node::Node;
use onlay_testkit::programs::Profile;
use onlay_testkit::status::Status;
use onlay_testkit::{Lab, Layout, Progress};

use crate::Outcome;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Bring the lab up; what runs already stays
    Up {
        /// How many workers, besides the control plane's node
        #[arg(long, default_value_t = 2)]
        workers: u8,
    },
    /// Take the lab away, and leave nothing of it
    Down,
    /// Say what runs; ends with 1 if not everything does
    Status,
    /// Open a shell in a node, or run a command there
    Shell {
        /// cp-0, worker-0, …
        node: String,
        /// Program and arguments
        #[arg(trailing_var_arg = true)]
        command: Vec<String>,
    },
    /// Show the journal of a node, or the log of a daemon of the host
    Logs {
        /// cp-0, worker-0, …, or etcd, kube-apiserver, … as `status` names them
        name: String,
        /// Arguments for journalctl, for example -f or -u kubelet
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Print the path of the administrator's kubeconfig
    Kubeconfig,
}

/// `cargo xtask lab`
pub fn run(command: Command) -> Outcome {
    let layout = Layout::from_environment()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let progress = Progress::stderr();
    match command {
        Command::Up { workers } => {
            runtime.block_on(Lab::up_with(&Options { layout, workers, profile: Profile::default() }, &progress))?;
        }
        Command::Down => runtime.block_on(lab::down(&layout, &progress))?,
        Command::Status => return status(&runtime.block_on(Status::observe(&layout))?),
        Command::Shell { node, command } => return become_program(shell(&layout, &node, &command)?),
        Command::Logs { name, arguments } => return become_program(logs(&layout, &name, &arguments)?),
        Command::Kubeconfig => println!("{}", layout.kubeconfig()),
    }
    Ok(())
}

fn status(status: &Status) -> Outcome {
    print!("{status}");
    if status.is_up() { Ok(()) } else { Err("not everything runs; `cargo xtask lab up` starts what is missing".into()) }
}

fn shell(layout: &Layout, node: &str, command: &[String]) -> Result<Program, Box<dyn std::error::Error>> {
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let words = if words.is_empty() { vec!["bash", "-l"] } else { words };
    Ok(Node::new(layout, node)?.inside(&words)?)
}

fn logs(layout: &Layout, name: &str, arguments: &[String]) -> Result<Program, Box<dyn std::error::Error>> {
    let log = layout.log(name);
    if log.is_file() {
        let mut tail = Program::new("tail");
        tail.args(["--lines=+1"]).args(arguments).arg(log);
        return Ok(tail);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Ok(Node::new(layout, name)?.journal(&arguments))
}

/// Goes on as the other program, which then owns the terminal and its signals.
fn become_program(mut program: Program) -> Outcome {
    Err(program.exec().into())
}
