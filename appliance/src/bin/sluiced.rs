//! The daemon `sluiced`.

use std::process::ExitCode;

use clap::Parser;
use sluice_appliance::daemon::{self, Options};

#[tokio::main]
async fn main() -> ExitCode {
    daemon::main(Options::parse()).await
}
