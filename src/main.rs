//! The `trommel` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    trommel::cli::main()
}
