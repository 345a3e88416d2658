//! The backends' web server, a process of its own inside the backend's namespace.

use std::convert::Infallible;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv6Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket};

use crate::pattern;
use crate::plan::{Backend, NAT_BACKEND_PORT, SERVICE_PORT};
use crate::process::Process;
use crate::topology::Namespace;

/// Answers name the backend in this header.
pub(crate) const NAME_HEADER: &str = "x-backend";
/// What the process writes once it listens.
const READY: &str = "ready";
const BACKLOG: u32 = 4096;

/// A slow body sends so many bytes so often.
const STREAM_CHUNK_BYTES: usize = 1024;
const STREAM_INTERVAL: Duration = Duration::from_millis(100);

/// Starts a server in the backend's namespace and waits until it listens.
pub(crate) fn start(backend: Backend, namespace: &Namespace) -> Result<Process> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["serve", "--name", &backend.to_string()]);
    // It ends when this pipe does, so that no server outlives a laboratory that was killed.
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process =
        Process::new(&format!("the server of {backend}"), namespace.spawn(&mut command)?);
    let mut line = String::new();
    if let Some(output) = process.stdout() {
        BufReader::new(output).read_line(&mut line)?;
    }
    if line.trim() != READY {
        bail!("the server of {backend} does not listen: its message is above");
    }
    Ok(process)
}

/// What the process does.
pub(crate) fn serve(name: &str) -> Result<()> {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut listeners = Vec::new();
        for port in [SERVICE_PORT, NAT_BACKEND_PORT] {
            listeners.push(listen(port)?);
        }
        println!("{READY}");
        std::io::stdout().flush()?;
        let name: Bytes = Bytes::copy_from_slice(name.as_bytes());
        let mut tasks = tokio::task::JoinSet::new();
        for listener in listeners {
            tasks.spawn(accept(listener, name.clone()));
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok(())
    })
}

/// For both families: Linux maps IPv4 into this socket.
fn listen(port: u16) -> Result<TcpListener> {
    let socket = TcpSocket::new_v6()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port))?;
    socket.listen(BACKLOG).with_context(|| format!("cannot listen on port {port}"))
}

async fn accept(listener: TcpListener, name: Bytes) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let name = name.clone();
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            let service = service_fn(move |request| answer(request, name.clone()));
            // One request a connection; the server closes first, so that the client keeps no port busy. An error
            // means that the client went away: the client counts that.
            let _ = hyper::server::conn::http1::Builder::new()
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

type Answer = Response<BoxBody<Bytes, Infallible>>;

async fn answer(request: Request<Incoming>, name: Bytes) -> Result<Answer, hyper::Error> {
    let path = request.uri().path().to_owned();
    let (status, body) = if let Some(count) = path.strip_prefix("/bytes/") {
        match count.parse() {
            Ok(count) => (StatusCode::OK, Full::new(pattern::bytes(0, count)).boxed()),
            Err(_) => (StatusCode::BAD_REQUEST, text(format!("{count:?} is no number of bytes\n"))),
        }
    } else {
        match path.as_str() {
            "/" => (StatusCode::OK, text(format!("{}\n", String::from_utf8_lossy(&name)))),
            "/healthz" => (StatusCode::OK, text("ok\n".to_owned())),
            "/stream" => (StatusCode::OK, Stream::new().boxed()),
            "/upload" => receive(request.into_body()).await?,
            _ => (StatusCode::NOT_FOUND, text(format!("nothing at {path}\n"))),
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    if let Ok(value) = header::HeaderValue::from_maybe_shared(name) {
        response.headers_mut().insert(NAME_HEADER, value);
    }
    Ok(response)
}

fn text(text: String) -> BoxBody<Bytes, Infallible> {
    Full::new(Bytes::from(text)).boxed()
}

/// Reads a body of the pattern and says how long it was.
async fn receive(
    mut body: Incoming,
) -> Result<(StatusCode, BoxBody<Bytes, Infallible>), hyper::Error> {
    let mut position = 0_u64;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if let Some(difference) = pattern::first_difference(position, &data) {
            let message = format!("byte {difference} is not what was sent\n");
            return Ok((StatusCode::BAD_REQUEST, text(message)));
        }
        position += data.len() as u64;
    }
    Ok((StatusCode::OK, text(format!("{position} bytes\n"))))
}

/// An endless, slow body of the pattern.
struct Stream {
    position: u64,
    interval: tokio::time::Interval,
}

impl Stream {
    fn new() -> Self {
        Stream { position: 0, interval: tokio::time::interval(STREAM_INTERVAL) }
    }
}

impl Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.interval.poll_tick(context).map(|_| {
            let chunk = pattern::bytes(self.position, STREAM_CHUNK_BYTES);
            self.position += chunk.len() as u64;
            Some(Ok(Frame::data(chunk)))
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
