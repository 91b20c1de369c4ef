//! The `trommel` command: parse, call, turn the outcome into an exit code.

fn main() {}
