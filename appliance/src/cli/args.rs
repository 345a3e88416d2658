//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use sluice_model::{Kind, LinkName, Name, Stage};

use crate::event::EventKind;
use crate::wire::{TcpFlag, TraceProtocol};

/// Where the daemon listens unless told otherwise.
pub(super) const DEFAULT_SOCKET: &str = "/run/sluice/api.sock";

/// Look at and change a Sluice gateway.
#[derive(Debug, Parser)]
#[command(name = "sluice", version, max_term_width = 100)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) connection: Connection,
    /// How answers are printed.
    #[arg(short, long, value_enum, default_value_t = Output::Table, global = true)]
    pub(super) output: Output,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Where the daemon is.
#[derive(Debug, Args)]
pub(super) struct Connection {
    /// The daemon's Unix socket.
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET, env = "SLUICE_SOCKET", global = true)]
    pub(super) socket: PathBuf,
    /// The daemon's TCP address, such as http://127.0.0.1:8440, in place of the socket.
    #[arg(long, value_name = "URL", env = "SLUICE_SERVER", global = true)]
    pub(super) server: Option<String>,
    /// A file with the token for --server.
    #[arg(long, value_name = "FILE", env = "SLUICE_TOKEN_FILE", global = true)]
    pub(super) token_file: Option<PathBuf>,
}

/// How answers are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    Table,
    /// As the API gave them.
    Json,
    /// The same as YAML.
    Yaml,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create or replace all objects of a file, or none.
    Apply(ApplyOptions),
    /// List objects, or show one.
    Get {
        /// gateways, services or prefilters.
        kind: Kind,
        /// Only this one.
        name: Option<Name>,
    },
    /// Tell everything about an object.
    Describe {
        /// gateway, service or prefilter.
        kind: Kind,
        /// Its name.
        name: Name,
    },
    /// Remove an object.
    Delete {
        /// gateway, service or prefilter.
        kind: Kind,
        /// Its name.
        name: Name,
        /// Check and plan, but change nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Tell how the gateway is.
    Status,
    /// Show rates by service and backend, live.
    Top(TopOptions),
    /// Show events.
    Events(EventOptions),
    /// Tell what would happen to a packet, and by which object. Nothing is sent.
    Trace(TraceOptions),
    /// Tell where every stage runs, and why.
    Plan(PlanOptions),
    /// Tell why a stage runs where it does, and for every other place why not and what would change that.
    Explain {
        /// prefilter, service or nat.
        stage: Stage,
        /// Only on this link.
        link: Option<LinkName>,
        #[command(flatten)]
        options: PlanOptions,
    },
    /// Ask the card of a link at once what it can do, and try again what it refused.
    Probe {
        /// The link.
        link: LinkName,
    },
    /// Tell the versions of command and daemon.
    Version,
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Write the manual pages.
    Man {
        /// The directory they are written into.
        directory: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(super) struct PlanOptions {
    /// Suppose that cards could do what this capability profile says: a file of `hwprobe LINK -o json`, or the name of
    /// a profile that comes with Sluice, such as nfp.
    #[arg(long, value_name = "FILE")]
    pub(super) profile: Option<PathBuf>,
    /// Suppose it of this link only.
    #[arg(long, value_name = "NAME", requires = "profile")]
    pub(super) of_link: Option<LinkName>,
}

#[derive(Debug, Args)]
pub(super) struct ApplyOptions {
    /// The file (YAML, several documents allowed, or JSON); `-` reads the standard input.
    #[arg(short, long, value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Check and plan, but change nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Args)]
pub(super) struct TopOptions {
    /// Seconds between two looks.
    #[arg(short, long, value_name = "SECONDS", default_value_t = 1.0)]
    pub(super) interval: f64,
    /// Stop after so many looks.
    #[arg(short = 'n', long, value_name = "COUNT")]
    pub(super) count: Option<u64>,
    /// Only this service.
    #[arg(long, value_name = "NAME")]
    pub(super) service: Option<Name>,
}

#[derive(Debug, Args)]
pub(super) struct EventOptions {
    /// Wait for more.
    #[arg(short, long)]
    pub(super) follow: bool,
    /// Only these kinds.
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub(super) kind: Vec<EventKind>,
}

#[derive(Debug, Args)]
pub(super) struct TraceOptions {
    /// The link the packet comes in by. Default: the gateway's first.
    #[arg(long, value_name = "NAME")]
    pub(super) link: Option<LinkName>,
    /// tcp or udp.
    pub(super) protocol: TraceProtocol,
    /// Source address and port: 198.51.100.7:1234 or [2001:db8::7]:1234.
    pub(super) source: SocketAddr,
    /// Destination address and port.
    pub(super) destination: SocketAddr,
    /// TCP flags: fin, syn, rst, psh, ack, urg. Default: ack.
    #[arg(long, value_name = "FLAG", value_delimiter = ',')]
    pub(super) flags: Vec<TcpFlag>,
    /// Bytes behind the TCP or UDP header.
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub(super) payload: u16,
    /// VLAN id of the frame.
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u16).range(1..=4094))]
    pub(super) vlan: Option<u16>,
    /// Time to live, or hop limit.
    #[arg(long, value_name = "HOPS")]
    pub(super) ttl: Option<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn command_line_contradicts_itself_nowhere() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn trace_reads_like_a_sentence() {
        let line =
            "sluice trace --link eth0 tcp 198.51.100.7:1234 192.0.2.10:80 --flags syn -o json";
        let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
        let Command::Trace(options) = arguments.command else { panic!() };
        assert_eq!(
            (options.protocol, options.flags.as_slice()),
            (TraceProtocol::Tcp, &[TcpFlag::Syn][..])
        );
        assert_eq!(arguments.output, Output::Json);
    }

    #[test]
    fn kinds_are_read_in_every_form() {
        for word in ["service", "services", "Service"] {
            let arguments = Arguments::try_parse_from(["sluice", "get", word]).unwrap();
            assert!(matches!(arguments.command, Command::Get { kind: Kind::Service, name: None }));
        }
    }
}
