//! The command line.

use clap::{Parser, ValueEnum};

/// The forms of the command.
pub(super) const USAGE: &str =
    "hwprobe LINK | hwprobe show PROFILE | hwprobe diff A B | hwprobe list | hwprobe schema";

/// Find out what a network card can do, with the kernel's own words as evidence.
///
/// A probe disturbs no traffic: what needs a hook in use is left out and says so. A PROFILE is a file that `-o json` wrote, or the
/// name of one that is shipped (`hwprobe list`).
#[derive(Debug, Parser)]
#[command(name = "hwprobe", version, max_term_width = 100, override_usage = USAGE)]
pub(super) struct Arguments {
    /// A link to probe; or `show PROFILE`, `diff PROFILE PROFILE`, `list`, `schema`.
    #[arg(required = true, num_args = 1..=3, value_name = "LINK")]
    pub(super) words: Vec<String>,
    /// How the answer is printed.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub(super) output: Output,
    /// Show below each line of the table why it is believed.
    #[arg(short, long)]
    pub(super) evidence: bool,
    /// What the profile is called; the link's name unless said otherwise.
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// Also try hooks that are in use, and what stops a driver's queues for a moment.
    #[arg(long)]
    pub(super) disruptive: bool,
}

/// How the answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    Table,
    /// The profile, in the form of `hwprobe schema`.
    Json,
}
