//! A web server and its users, for the test of the package: this program again, in other namespaces.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Subcommand;

/// A segment that is lost once is sent again within this time; an answer that is later is lost.
const PATIENCE: Duration = Duration::from_secs(5);
const BETWEEN_REQUESTS: Duration = Duration::from_millis(20);
/// Connections that stay open, and go on asking.
const HELD: usize = 20;
const BETWEEN_HELD_REQUESTS: Duration = Duration::from_millis(100);

#[derive(Subcommand)]
pub(crate) enum Traffic {
    /// Answers HTTP until its standard input ends
    Serve { address: SocketAddr },
    /// Asks so many times, each time by a new connection
    Ask { address: SocketAddr, times: usize },
    /// Asks by new connections and by held ones until its standard input ends
    Hold { address: SocketAddr },
}

pub(super) fn traffic(what: &Traffic) -> Result<ExitCode> {
    match what {
        Traffic::Serve { address } => serve(*address)?,
        Traffic::Ask { address, times } => {
            for turn in 0..*times {
                Connection::open(*address)
                    .and_then(|mut connection| connection.ask())
                    .with_context(|| format!("request {turn}"))?;
            }
            println!("{times} requests, 0 failed");
        }
        Traffic::Hold { address } => hold(*address)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn serve(address: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("ready");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Answers requests without a body until the client closes.
fn answer(stream: TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let mut stream = stream;
    while let Some(line) = lines.next().transpose()? {
        if line.is_empty() {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n")?;
        }
    }
    Ok(())
}

struct Connection {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Connection {
    fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).context("connect")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let reader = BufReader::new(stream.try_clone()?);
        Ok(Connection { stream, reader })
    }

    fn ask(&mut self) -> Result<()> {
        self.stream.write_all(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n").context("ask")?;
        let mut status = String::new();
        self.reader.read_line(&mut status).context("answer")?;
        if !status.starts_with("HTTP/1.1 200 ") {
            bail!("the answer begins with {status:?}");
        }
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            if self.reader.read_line(&mut line).context("answer")? == 0 {
                bail!("the answer is cut off");
            }
        }
        let mut body = [0; 3];
        self.reader.read_exact(&mut body).context("body")?;
        Ok(())
    }
}

fn hold(address: SocketAddr) -> Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicUsize::new(0));
    let held: Result<Vec<Connection>> = (0..HELD).map(|_| Connection::open(address)).collect();
    let mut users: Vec<thread::JoinHandle<Result<()>>> = Vec::new();
    for mut connection in held? {
        let (stop, done) = (stop.clone(), done.clone());
        users.push(thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                connection.ask().context("a held connection")?;
                done.fetch_add(1, Ordering::Relaxed);
                thread::sleep(BETWEEN_HELD_REQUESTS);
            }
            Ok(())
        }));
    }
    let (stop_new, done_new) = (stop.clone(), done.clone());
    users.push(thread::spawn(move || {
        while !stop_new.load(Ordering::Relaxed) {
            Connection::open(address)?.ask().context("a new connection")?;
            done_new.fetch_add(1, Ordering::Relaxed);
            thread::sleep(BETWEEN_REQUESTS);
        }
        Ok(())
    }));
    println!("ready");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    stop.store(true, Ordering::Relaxed);
    let mut lost = Vec::new();
    for user in users {
        match user.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => lost.push(format!("{error:#}")),
            Err(_) => lost.push("a user panicked".to_owned()),
        }
    }
    println!("{} requests, {} connections lost", done.load(Ordering::Relaxed), lost.len());
    if let Some(first) = lost.first() {
        bail!("{} connections were lost, one of them: {first}", lost.len());
    }
    Ok(())
}
