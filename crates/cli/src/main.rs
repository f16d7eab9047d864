//! `onlay`: what the cluster will do, before it does it.

use std::process::ExitCode;

fn main() -> ExitCode {
    onlay_cli::main()
}
