//! `kubectl onlay`: the same program, under the name by which kubectl finds it.

use std::process::ExitCode;

fn main() -> ExitCode {
    onlay_cli::main()
}
