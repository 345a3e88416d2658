//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use sluice_model::{Kind, LinkName, Name, Stage};

use crate::access::Role;
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
    /// The daemon's TCP address, such as https://192.0.2.1:8440, in place of the socket.
    #[arg(long, value_name = "URL", env = "SLUICE_SERVER", global = true)]
    pub(super) server: Option<String>,
    /// A file with the token for --server.
    #[arg(long, value_name = "FILE", env = "SLUICE_TOKEN_FILE", global = true)]
    pub(super) token_file: Option<PathBuf>,
    /// The SHA-256 of the certificate of --server, for one that the gateway made itself: its console and log show it.
    #[arg(long, value_name = "DIGITS", env = "SLUICE_FINGERPRINT", global = true)]
    pub(super) fingerprint: Option<String>,
    /// A file with the authority that vouches for the certificate of --server. Default: the system's.
    #[arg(
        long,
        value_name = "FILE",
        env = "SLUICE_CA",
        global = true,
        conflicts_with = "fingerprint"
    )]
    pub(super) ca: Option<PathBuf>,
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
        #[command(flatten)]
        options: ChangeOptions,
    },
    /// Open an object in an editor ($VISUAL, $EDITOR or vi) and put what is saved into your candidate.
    Edit {
        /// gateway, service or prefilter.
        kind: Kind,
        /// Its name.
        name: Name,
    },
    /// Tell what a commit of your candidate would change, and who is in its way.
    Diff,
    /// Tell whether your candidate could be committed, and everything that speaks against it.
    Validate,
    /// Make your candidate take effect: all of it, or nothing.
    Commit(CommitOptions),
    /// Confirm the commit that waits, over a new connection; else the revision before returns.
    Confirm {
        /// Return to the revision before now.
        #[arg(long = "return")]
        return_now: bool,
        /// Only tell which commit waits.
        #[arg(long, conflicts_with = "return_now")]
        show: bool,
    },
    /// Make the objects of an earlier revision take effect again, as a new revision.
    Rollback {
        /// Its number, as `sluice history` tells it.
        revision: u64,
        #[command(flatten)]
        options: CommitOptions,
    },
    /// Throw your candidate away.
    Discard,
    /// Tell who prepares what, and where editors contradict each other.
    Candidates,
    /// List revisions, the newest first, or tell what one of them changed.
    History {
        /// Only this one, with what it changed.
        revision: Option<u64>,
        /// At most so many.
        #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20)]
        limit: usize,
    },
    /// Write the whole configuration with users, tokens and keys into a file, encrypted.
    Backup {
        /// The file, which must not exist yet.
        file: PathBuf,
        #[command(flatten)]
        passphrase: PassphraseOptions,
    },
    /// Make a backup take effect: its objects, its users, its tokens.
    Restore {
        /// The file.
        file: PathBuf,
        #[command(flatten)]
        passphrase: PassphraseOptions,
        /// Leave users and tokens as they are.
        #[arg(long)]
        keep_users: bool,
        #[command(flatten)]
        options: WaitOptions,
    },
    /// Print all objects as YAML, as they would stand in files.
    Export {
        /// Of your candidate in place of what is in force.
        #[arg(long)]
        candidate: bool,
    },
    /// Make a file the whole configuration: what is not in it is removed. Objects of files stay.
    Import {
        /// The file (YAML or JSON); `-` reads the standard input.
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        options: ApplyingOptions,
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
    /// See and change who may sign in.
    User {
        #[command(subcommand)]
        command: UserCommand,
    },
    /// See, make and remove tokens for machines.
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// See who is signed in with a browser, and end it.
    Session {
        #[command(subcommand)]
        command: SessionCommand,
    },
    /// Tell who did or tried what, the newest first.
    Audit {
        /// At most so many records.
        #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 50)]
        limit: usize,
        #[command(subcommand)]
        command: Option<AuditCommand>,
    },
    /// Tell what the gateway's certificate says, or give it another.
    Certificate {
        #[command(subcommand)]
        command: Option<CertificateCommand>,
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

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// List users.
    List,
    /// Add a user, who signs in by a password, a certificate, or either.
    Add {
        /// The name.
        name: Name,
        /// What the user may do.
        #[arg(long, value_enum)]
        role: Role,
        /// The file with the password in its first line; `-` reads the standard input.
        #[arg(long, value_name = "FILE", required_unless_present = "certificate")]
        password_file: Option<PathBuf>,
        /// The DNS name in the certificate that the user signs in by.
        #[arg(long, value_name = "NAME")]
        certificate: Option<String>,
    },
    /// Change what a user may do, or the certificate that the user signs in by.
    Set {
        /// The name.
        name: Name,
        /// What the user may do.
        #[arg(long, value_enum, required_unless_present = "certificate")]
        role: Option<Role>,
        /// The DNS name in the certificate that the user signs in by; an empty one takes it away.
        #[arg(long, value_name = "NAME")]
        certificate: Option<String>,
    },
    /// Give a user another password; the user's sessions end.
    Password {
        /// The name.
        name: Name,
        /// The file with the password in its first line; `-` reads the standard input.
        #[arg(long, value_name = "FILE")]
        password_file: PathBuf,
    },
    /// Remove a user; the user's sessions end.
    Remove {
        /// The name.
        name: Name,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// List tokens, without their secrets.
    List,
    /// Make a token and print its secret, this once.
    Add {
        /// What it is for.
        name: Name,
        /// What may be done with it.
        #[arg(long, value_enum)]
        role: Role,
        /// Looking only, whatever the role.
        #[arg(long)]
        read_only: bool,
        /// Days until it ends. Default: it never does.
        #[arg(long, value_name = "COUNT")]
        days: Option<u32>,
    },
    /// Remove a token.
    Remove {
        /// Its id, as the list tells it.
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum SessionCommand {
    /// List sessions of browsers.
    List,
    /// End a session.
    End {
        /// Its id, as the list tells it.
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Tell whether a record was changed or taken away; the exit code is 1 if so.
    Check,
}

#[derive(Debug, Subcommand)]
pub(super) enum CertificateCommand {
    /// Tell what the certificate in use says.
    Show,
    /// Give the gateway another certificate; connections from now on see it.
    Replace {
        /// The chain in PEM, the gateway's own certificate first.
        #[arg(long, value_name = "FILE")]
        chain: PathBuf,
        /// Its private key in PEM, without a passphrase.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(super) struct PlanOptions {
    /// Of your candidate in place of what is in force.
    #[arg(long, conflicts_with = "profile")]
    pub(super) candidate: bool,
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
    #[command(flatten)]
    pub(super) options: ApplyingOptions,
}

/// How a change of single objects is made.
#[derive(Debug, Args)]
pub(super) struct ChangeOptions {
    /// Check and plan, but change nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Put it into your candidate; nothing takes effect before `sluice commit`.
    #[arg(long)]
    pub(super) candidate: bool,
    /// Do it even if it cuts off the session that it is made in.
    #[arg(long)]
    pub(super) accept_warnings: bool,
}

/// How objects of a file are made.
#[derive(Debug, Args)]
pub(super) struct ApplyingOptions {
    #[command(flatten)]
    pub(super) change: ChangeOptions,
    /// Return to the revision before unless `sluice confirm` comes within so many seconds.
    #[arg(long, value_name = "SECONDS", conflicts_with = "candidate")]
    pub(super) confirm: Option<u32>,
    /// What it is for, for the history.
    #[arg(short, long, value_name = "TEXT", conflicts_with = "candidate")]
    pub(super) message: Option<String>,
}

/// How something takes effect.
#[derive(Debug, Args)]
pub(super) struct CommitOptions {
    /// What it is for, for the history.
    #[arg(short, long, value_name = "TEXT")]
    pub(super) message: Option<String>,
    #[command(flatten)]
    pub(super) wait: WaitOptions,
}

/// Whether something takes effect at all, and for how long.
#[derive(Debug, Args)]
pub(super) struct WaitOptions {
    /// Return to the revision before unless `sluice confirm` comes within so many seconds.
    #[arg(long, value_name = "SECONDS")]
    pub(super) confirm: Option<u32>,
    /// Check and plan, but change nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Do it even if it cuts off the session that it is made in.
    #[arg(long)]
    pub(super) accept_warnings: bool,
}

/// What a backup is sealed with. It never stands on the command line, where every process could read it.
#[derive(Debug, Args)]
pub(super) struct PassphraseOptions {
    /// The file with the passphrase in its first line; `-` reads the standard input.
    #[arg(long, value_name = "FILE")]
    pub(super) passphrase_file: PathBuf,
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
