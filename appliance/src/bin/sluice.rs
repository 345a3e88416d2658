//! The command `sluice`.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    sluice_appliance::cli::main(std::env::args_os()).await
}
