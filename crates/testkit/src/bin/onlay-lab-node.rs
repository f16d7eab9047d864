//! The machine around one node of the lab; the argument is the node's directory.

use std::process::ExitCode;

use camino::Utf8PathBuf;
use onlay_testkit::node::supervisor;

fn main() -> ExitCode {
    let Some(directory) = std::env::args().nth(1).map(Utf8PathBuf::from) else {
        eprintln!("usage: onlay-lab-node DIRECTORY (started by `cargo xtask lab up`)");
        return ExitCode::from(2);
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    match runtime.block_on(supervisor::run(&directory)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("error: {error}");
    let mut cause = error.source();
    while let Some(source) = cause {
        eprintln!("  because: {source}");
        cause = source.source();
    }
    ExitCode::FAILURE
}
