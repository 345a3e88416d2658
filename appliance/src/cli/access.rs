//! `sluice user`, `token`, `session`, `audit` and `certificate`: who may do what, who did what, and what the gateway shows of itself.

use std::fs;
use std::path::Path;

use hyper::Method;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::CliError;
use super::apply::read;
use super::args::{CertificateCommand, Output, SessionCommand, TokenCommand, UserCommand};
use super::client::{Body, Client};
use super::output::{print, table, text, write};
use crate::access::{CertificateAbout, Checked, Outcome, Record};
use crate::wire::{AuditPage, CreatedToken, SessionList, TokenList, User, UserList};

/// The most that the API gives at once.
const PAGE: usize = 1000;

pub(super) async fn user(
    client: &Client,
    command: UserCommand,
    output: Output,
) -> Result<(), CliError> {
    match command {
        UserCommand::List => {
            let users: UserList = client.get("/v1/users").await?;
            print(&users, output, |users| {
                let mut rows = table(["NAME", "ROLE", "SIGNS IN BY", "SINCE"]);
                for user in &users.items {
                    let since = time(user.created);
                    rows.add_row([user.name.to_string(), user.role.to_string(), ways(user), since]);
                }
                text(&rows)
            })
        }
        UserCommand::Add { name, role, password_file, certificate } => {
            let mut body = json!({"name": name, "role": role});
            insert(&mut body, "password", password_file.as_deref().map(first_line).transpose()?);
            insert(&mut body, "certificate", certificate);
            let user: User = client.post("/v1/users", Body::json(&body)?).await?;
            print(&user, output, |user| {
                format!("{} may sign in by {} as {}", user.name, ways(user), user.role)
            })
        }
        UserCommand::Set { name, role, certificate } => {
            let mut body = Value::Object(Map::new());
            insert(&mut body, "role", role.map(|role| role.to_string()));
            insert(&mut body, "certificate", certificate);
            let path = format!("/v1/users/{name}");
            let user: User = client.ask(Method::PATCH, &path, Body::json(&body)?).await?;
            print(&user, output, |user| {
                format!("{} may sign in by {} as {}", user.name, ways(user), user.role)
            })
        }
        UserCommand::Password { name, password_file } => {
            let body = Body::json(&json!({"password": first_line(&password_file)?}))?;
            client.done(Method::POST, &format!("/v1/users/{name}/password"), Some(body)).await?;
            write(&format!("{name} has another password; other sessions of {name} are over"))
        }
        UserCommand::Remove { name } => {
            client.done(Method::DELETE, &format!("/v1/users/{name}"), None).await?;
            write(&format!("{name} is removed, and all sessions of {name} are over"))
        }
    }
}

/// How a user signs in, in words.
fn ways(user: &User) -> String {
    let code = if user.totp { "password with code" } else { "password" };
    let mut ways: Vec<String> = user.password.then(|| code.to_owned()).into_iter().collect();
    ways.extend(user.certificate.iter().map(|name| format!("certificate {name}")));
    if ways.is_empty() { "nothing".to_owned() } else { ways.join(", ") }
}

pub(super) async fn token(
    client: &Client,
    command: TokenCommand,
    output: Output,
) -> Result<(), CliError> {
    match command {
        TokenCommand::List => {
            let tokens: TokenList = client.get("/v1/tokens").await?;
            print(&tokens, output, |tokens| {
                let mut rows = table(["ID", "NAME", "ROLE", "MADE BY", "ENDS", "USED"]);
                for token in &tokens.items {
                    let role = token.role.to_string();
                    let looks = if token.read_only { " (only looks)" } else { "" };
                    rows.add_row([
                        token.id.clone(),
                        token.name.to_string(),
                        role + looks,
                        token.created_by.clone(),
                        token.expires.map_or("never".to_owned(), time),
                        token.used.map_or("-".to_owned(), time),
                    ]);
                }
                text(&rows)
            })
        }
        TokenCommand::Add { name, role, read_only, days } => {
            let mut body = json!({"name": name, "role": role, "readOnly": read_only});
            insert(&mut body, "days", days);
            let made: CreatedToken = client.post("/v1/tokens", Body::json(&body)?).await?;
            // Alone in the output, so that `> FILE` makes what --token-file takes.
            print(&made, output, |made| made.secret.clone())
        }
        TokenCommand::Remove { id } => {
            client.done(Method::DELETE, &format!("/v1/tokens/{}", segment(&id)?), None).await?;
            write(&format!("token {id} is removed"))
        }
    }
}

pub(super) async fn session(
    client: &Client,
    command: SessionCommand,
    output: Output,
) -> Result<(), CliError> {
    match command {
        SessionCommand::List => {
            let sessions: SessionList = client.get("/v1/sessions").await?;
            print(&sessions, output, |sessions| {
                let mut rows = table(["ID", "USER", "FROM", "BEGAN", "USED", "BROWSER"]);
                for session in &sessions.items {
                    rows.add_row([
                        session.id.clone(),
                        session.user.clone(),
                        session.from.clone(),
                        time(session.created),
                        time(session.seen),
                        session.agent.escape_debug().to_string(),
                    ]);
                }
                text(&rows)
            })
        }
        SessionCommand::End { id } => {
            client.done(Method::DELETE, &format!("/v1/sessions/{}", segment(&id)?), None).await?;
            write(&format!("session {id} is over"))
        }
    }
}

pub(super) async fn check_audit(client: &Client, output: Output) -> Result<(), CliError> {
    let checked: Checked = client.get("/v1/audit/check").await?;
    print(&checked, output, |checked| {
        let Checked { records, first, last, broken } = checked;
        let head = format!("{records} records, {first} to {last}");
        if broken.is_empty() {
            return format!("{head}: none was changed or taken away");
        }
        let mut lines = vec![format!("{head}: BROKEN")];
        lines.extend(broken.iter().map(|at| format!("{}:{}: {}", at.file, at.line, at.problem)));
        lines.join("\n")
    })?;
    if checked.broken.is_empty() { Ok(()) } else { Err(CliError::AuditBroken) }
}

pub(super) async fn audit(client: &Client, limit: usize, output: Output) -> Result<(), CliError> {
    let mut page = AuditPage { items: Vec::new() };
    while page.items.len() < limit {
        let wanted = (limit - page.items.len()).min(PAGE);
        let before = page.items.last().map(|record| format!("&before={}", record.number));
        let path = format!("/v1/audit?limit={wanted}{}", before.unwrap_or_default());
        let more: AuditPage = client.get(&path).await?;
        let ended = more.items.len() < wanted;
        page.items.extend(more.items);
        if ended {
            break;
        }
    }
    print(&page, output, |page| {
        let mut rows = table(["NUMBER", "TIME", "WHO", "BY", "FROM", "WHAT", "OUTCOME", "WHY"]);
        for Record { number, time: at, entry, .. } in &page.items {
            let outcome = match entry.outcome {
                Outcome::Allowed => "done",
                Outcome::Refused => "refused",
                Outcome::Failed => "failed",
            };
            rows.add_row([
                number.to_string(),
                time(*at),
                entry.who.escape_debug().to_string(),
                entry.kind.clone(),
                entry.from.clone(),
                entry.action.escape_debug().to_string(),
                format!("{outcome} ({})", entry.status),
                entry.reason.clone().unwrap_or_default(),
            ]);
        }
        text(&rows)
    })
}

pub(super) async fn certificate(
    client: &Client,
    command: Option<CertificateCommand>,
    output: Output,
) -> Result<(), CliError> {
    let about: CertificateAbout = match command {
        None | Some(CertificateCommand::Show) => client.get("/v1/certificate").await?,
        Some(CertificateCommand::Replace { chain, key }) => {
            let body = json!({"certificate": file(&chain)?, "key": file(&key)?});
            client.ask(Method::PUT, "/v1/certificate", Body::json(&body)?).await?
        }
    };
    print(&about, output, |about| {
        let by = if about.self_signed { "itself" } else { about.issuer.as_str() };
        let lines = [
            format!("for          {}", about.names.join(", ")),
            format!("subject      {}", about.subject),
            format!("vouched by   {by}"),
            format!("valid        {} to {}", time(about.not_before), time(about.not_after)),
            format!("fingerprint  {}", about.fingerprint),
        ];
        lines.join("\n")
    })
}

fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

fn insert(body: &mut Value, field: &str, value: Option<impl Into<Value>>) {
    if let (Value::Object(fields), Some(value)) = (body, value) {
        fields.insert(field.to_owned(), value.into());
    }
}

/// A public name in a path: what is none is told here, for it would be another path.
fn segment(id: &str) -> Result<&str, CliError> {
    let is_one = !id.is_empty()
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let wrong = || {
        CliError::Argument(format!("{}: expected an id as the list tells it", id.escape_debug()))
    };
    if is_one { Ok(id) } else { Err(wrong()) }
}

/// Passwords never stand on the command line, where every process could read them.
fn first_line(path: &Path) -> Result<String, CliError> {
    let (_, text) = read(path)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn file(path: &Path) -> Result<String, CliError> {
    fs::read_to_string(path).map_err(|error| CliError::File { path: path.to_owned(), error })
}
