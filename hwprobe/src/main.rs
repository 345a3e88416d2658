//! The command `hwprobe`.

use std::process::ExitCode;

fn main() -> ExitCode {
    sluice_hwprobe::cli::main(std::env::args_os())
}
