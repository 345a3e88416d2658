//! The configuration as a user changes it: by the command, with backup, restore, export and import.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod common;

use std::fs;
use std::path::PathBuf;

use common::{GATEWAY, Server, service};
use serde_json::{Value, json};

fn file(server: &Server, name: &str, text: &str) -> PathBuf {
    let path = server.gateway.directory.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

fn web(backends: &str) -> String {
    service("web", "192.0.2.10", backends)
}

/// Runs a command that succeeds.
async fn run(server: &Server, arguments: &str) -> String {
    let (code, out, error) = server.sluice(arguments).await;
    assert_eq!(code, 0, "{arguments}: {error}{out}");
    out
}

/// Runs a command that fails.
async fn fail(server: &Server, arguments: &str) -> String {
    let (code, out, error) = server.sluice(arguments).await;
    assert_eq!(code, 1, "{arguments}: {out}{error}");
    error
}

/// A gateway with one service, at revision 1.
async fn server() -> Server {
    let server = Server::start().await;
    let first = file(&server, "first.yaml", &(GATEWAY.to_owned() + &web("[{address: 10.0.1.1}]")));
    run(&server, &format!("apply -f {} -m first", first.display())).await;
    server
}

#[tokio::test]
async fn edit_diff_validate_commit_history_rollback() {
    let server = server().await;
    assert_eq!(run(&server, "diff").await, "nothing changes\n");
    assert!(fail(&server, "commit").await.contains("there is nothing to commit"));
    let more = file(&server, "more.yaml", &service("api", "192.0.2.11", "[{address: 10.0.1.2}]"));
    let out = run(&server, &format!("apply --candidate -f {}", more.display())).await;
    assert_eq!(
        out,
        "Service/api created\nin your candidate; `sluice commit` makes it take effect\n"
    );
    run(&server, "delete service web --candidate").await;
    assert_eq!(run(&server, "diff").await, "Service/api created\nService/web removed\n");
    assert!(run(&server, "validate").await.starts_with("valid: "));
    let out = run(&server, "commit --dry-run").await;
    assert!(out.contains("this would be revision 2; nothing was changed"), "{out}");
    assert!(run(&server, "plan --candidate").await.contains("Service/api"));
    let out = run(&server, "candidates").await;
    assert!(out.contains("root") && out.contains("Service/web removed"), "{out}");
    let out = run(&server, "export --candidate").await;
    assert!(out.contains("name: api") && !out.contains("name: web"), "{out}");
    assert!(run(&server, "export").await.contains("name: web"));

    let out = run(&server, "commit -m other-service").await;
    assert_eq!(out, "Service/api created\nService/web removed\nrevision 2\n");
    let out = run(&server, "history").await;
    let rows: Vec<Vec<&str>> = out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((rows[1][0], rows[1][3..6].to_vec()), ("2", vec!["root", "local", "candidate"]));
    assert_eq!(rows[1][6..], ["1", "0", "1", "other-service"]);
    assert_eq!((rows[2][0], rows[2].last()), ("1", Some(&"first")));
    let out = run(&server, "history 2").await;
    assert!(
        out.starts_with("revision 2, ")
            && out.ends_with("\n\nService/api created\nService/web removed\n"),
        "{out}"
    );
    let out = run(&server, "rollback 1 -m back").await;
    assert_eq!(out, "Service/web created\nService/api removed\nrevision 3\n");
    assert!(run(&server, "history -n 1").await.contains("back; same as 1"));
    let error = fail(&server, "rollback 9").await;
    assert!(
        error.contains("revision 9 is not kept: `sluice history` lists those that are"),
        "{error}"
    );
}

#[tokio::test]
async fn commit_that_is_not_confirmed_is_told_and_returns() {
    let server = server().await;
    let change = file(&server, "change.yaml", &web("[{address: 10.0.1.2}]"));
    let change = change.display();
    run(&server, &format!("apply --candidate -f {change}")).await;
    let out = run(&server, "commit --confirm 600").await;
    assert!(
        out.ends_with(
            "revision 1 returns in 600 s unless revision 2 is confirmed: `sluice confirm`\n"
        ),
        "{out}"
    );
    assert!(run(&server, "confirm --show").await.ends_with("committed by root\n"));
    let error = fail(&server, &format!("apply -f {change}")).await;
    assert!(error.contains("revision 2 waits to be confirmed until"), "{error}");
    assert_eq!(run(&server, "confirm").await, "revision 2 is confirmed\n");
    assert!(fail(&server, "confirm").await.contains("no commit waits to be confirmed"));

    run(&server, "rollback 1 --confirm 600").await;
    let out = run(&server, "confirm --return").await;
    assert!(out.contains("10.0.1.2") && out.ends_with("revision 4\n"), "{out}");
    run(&server, "rollback 1 --confirm 1").await;
    server
        .gateway
        .until("it returned", async || {
            run(&server, "confirm --show").await == "no commit waits to be confirmed\n"
        })
        .await;
    let out = run(&server, "history -n 2").await;
    let what: Vec<_> = out.lines().skip(1).map(|line| line.split("  ").last().unwrap()).collect();
    assert_eq!(
        what,
        ["revision 5 was not confirmed in time; same as 4", "same as 1; not confirmed"]
    );
    let error = fail(&server, &format!("apply --confirm 0 -f {change}")).await;
    assert!(
        error.contains("confirmSeconds: 0 s are not a time to confirm within: expected 1 to 86400"),
        "{error}"
    );
}

#[tokio::test]
async fn candidate_that_cannot_be_committed_names_object_field_and_way_out() {
    let server = server().await;
    let twin = file(&server, "twin.yaml", &service("twin", "192.0.2.10", "[{address: 10.0.1.2}]"));
    run(&server, &format!("apply --candidate -f {}", twin.display())).await;
    let (code, out, error) = server.sluice("validate").await;
    assert_eq!(
        (code, error.as_str()),
        (1, "error: the candidate cannot be committed as it is; nothing was changed\n")
    );
    assert!(out.contains("Service/twin") && out.contains("spec.port"), "{out}");
    let error = fail(&server, "commit").await;
    assert!(
        error.starts_with("error: The configuration is not valid; nothing was changed\n"),
        "{error}"
    );
    assert_eq!(
        run(&server, "discard").await,
        "Service/twin created\nthrown away; nothing was changed\n"
    );
    assert_eq!(run(&server, "discard").await, "there was nothing in it\n");

    // Somebody else changes the same field meanwhile.
    let mine = file(&server, "mine.yaml", &web("[{address: 10.0.1.1, weight: 5}]"));
    run(&server, &format!("apply --candidate -f {}", mine.display())).await;
    server.gateway.apply(&web("[{address: 10.0.1.1, weight: 7}]")).await.unwrap();
    let conflict =
        "conflict: Service/web: spec.backends[0].weight: 5 here, 7 in what is in force; it was 1\n";
    assert!(run(&server, "diff").await.contains(conflict));
    let error = fail(&server, "commit").await;
    assert!(error.contains("Service/web: spec.backends[0].weight"), "{error}");
}

#[tokio::test]
async fn editor_puts_what_is_saved_into_the_candidate() {
    let server = server().await;
    let script = file(&server, "editor", "#!/bin/sh\nsed -i \"$1\" \"$2\"\n");
    let edit = async |expression: &str| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_sluice"));
        command.arg("--socket").arg(&server.socket).args(["edit", "service", "web"]);
        command.env("EDITOR", format!("sh {} {expression}", script.display())).env_remove("VISUAL");
        let output = command.output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    assert_eq!(edit("s/nothing//").await, (0, "nothing was changed\n".to_owned(), String::new()));
    let (code, out, error) = edit("s/weight:.*/weight:5/;s/:5/:\\x205/").await;
    assert_eq!(code, 0, "{error}");
    assert!(out.contains("  spec.backends[0].weight: 1 -> 5\nin your candidate"), "{out}");
    // The next editor opens what the candidate says.
    let (_, out, _) = edit("s/5$/6/").await;
    assert!(out.contains("spec.backends[0].weight: 5 -> 6"), "{out}");
    let (code, _, error) = edit("s/dsr/dsrr/").await;
    assert_eq!(code, 1);
    assert!(error.contains("spec.mode") && error.contains("is kept in "), "{error}");
    let kept = error.lines().find_map(|line| line.strip_prefix("what you wrote is kept in "));
    fs::remove_file(kept.unwrap()).unwrap();
    let out = run(&server, "commit").await;
    assert!(out.contains("spec.backends[0].weight: 1 -> 6"), "{out}");
}

#[tokio::test]
async fn session_that_a_change_would_cut_off_is_named_by_the_command() {
    let server = server().await;
    let yaml = "{apiVersion: sluice.dev/v1, kind: Prefilter, metadata: {name: block}, spec: {deny: [203.0.113.0/24]}}";
    let deny = file(&server, "deny.yaml", yaml);
    let apply = async |more: &[&str]| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_sluice"));
        command.arg("--socket").arg(&server.socket).arg("apply").arg("-f").arg(&deny).args(more);
        let output = command.env("SSH_CONNECTION", "203.0.113.7 50000 192.0.2.1 22").output().await;
        let output = output.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    let (code, _, error) = apply(&[]).await;
    assert_eq!(code, 1);
    assert!(
        error.contains("Prefilter/block: spec.deny[0]: 203.0.113.0/24 denies 203.0.113.7"),
        "{error}"
    );
    let (code, out, _) = apply(&["--accept-warnings", "--confirm", "600"]).await;
    assert_eq!(code, 0);
    assert!(out.contains("warning: Prefilter/block: spec.deny[0]: "), "{out}");
    assert!(out.contains("revision 1 returns in 600 s"), "{out}");
}

#[tokio::test]
async fn export_can_be_imported_and_import_removes_what_is_not_in_it() {
    let server = server().await;
    let all = run(&server, "export").await;
    assert!(!all.contains("resourceVersion") && !all.contains("status"), "{all}");
    let more = file(&server, "more.yaml", &service("api", "192.0.2.11", "[]"));
    run(&server, &format!("apply -f {}", more.display())).await;
    let all = file(&server, "all.yaml", &all);
    let out = run(&server, &format!("import -f {} --dry-run", all.display())).await;
    assert!(
        out.starts_with("Service/api removed\nthis would be revision 3; nothing was changed\n"),
        "{out}"
    );
    let out = run(&server, &format!("import -f {} -m tidy", all.display())).await;
    assert_eq!(out, "Service/api removed\nrevision 3\n");
    assert!(run(&server, "history -n 1").await.contains("import"));
    let other = Server::start().await;
    run(&other, &format!("import -f {}", all.display())).await;
    assert_eq!(run(&other, "export").await, fs::read_to_string(&all).unwrap());
}

const PASSPHRASE: &str = "correct horse battery staple";
const PASSWORD: &str = "four words that nobody guesses";

/// A gateway with a user and a token, and its backup.
async fn with_backup() -> (Server, PathBuf, PathBuf) {
    let server = server().await;
    let user = json!({"name": "anna", "role": "administrator", "password": PASSWORD}).to_string();
    let answer = server.ask("POST", "/v1/users", &user).await;
    assert!((200..300).contains(&answer.status), "{answer:?}");
    let token = json!({"name": "monitor", "role": "viewer"}).to_string();
    let answer = server.ask("POST", "/v1/tokens", &token).await;
    assert!((200..300).contains(&answer.status), "{answer:?}");
    let passphrase = file(&server, "passphrase", &format!("{PASSPHRASE}\n"));
    let backup = server.gateway.directory.path().join("sluice.backup");
    let line = format!("backup {} --passphrase-file {}", backup.display(), passphrase.display());
    let out = run(&server, &line).await;
    assert!(out.starts_with("revision 1 with users, tokens and keys in "), "{out}");
    // What is there is not overwritten.
    assert!(fail(&server, &line).await.contains("sluice.backup: "));
    (server, backup, passphrase)
}

async fn get(server: &Server, path: &str) -> Value {
    let answer = server.ask("GET", path, "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Everything that a restore may change.
async fn everything(server: &Server) -> (String, Value, Value, Value) {
    let objects = run(server, "export").await;
    let (users, tokens) = (get(server, "/v1/users").await, get(server, "/v1/tokens").await);
    (objects, users, tokens, get(server, "/v1/revisions").await)
}

#[tokio::test]
async fn backup_returns_objects_users_and_tokens_on_another_machine() {
    use std::os::unix::fs::PermissionsExt;
    let (server, backup, passphrase) = with_backup().await;
    assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&backup).unwrap();
    for secret in ["anna", "monitor", "argon2id$", "192.0.2.10", PASSPHRASE] {
        assert!(!text.contains(secret), "{secret} stands in the backup");
    }
    let (backup, passphrase) = (backup.display(), passphrase.display());

    let other = Server::start().await;
    let before = everything(&other).await;
    let line = format!("restore {backup} --passphrase-file {passphrase}");
    let out = run(&other, &format!("{line} --dry-run")).await;
    assert!(out.contains("this would be revision 1; nothing was changed"), "{out}");
    assert_eq!(everything(&other).await, before);
    // Users do not return by themselves.
    let error = fail(&other, &format!("{line} --confirm 60")).await;
    assert!(error.contains("--keep-users"), "{error}");
    assert_eq!(everything(&other).await, before);

    run(&other, &line).await;
    let ((objects, users, tokens, _), (there, users_there, tokens_there, _)) =
        (everything(&server).await, everything(&other).await);
    assert_eq!((there, users_there, tokens_there), (objects, users, tokens));
    assert!(run(&other, "history").await.contains("restore"));
    assert_eq!(other.gateway.status_of("web").await.backends[0].share, 1.0);
    // The password is the same; it survives the restart of the daemon as the files do.
    let sign_in = json!({"user": "anna", "password": PASSWORD}).to_string();
    let answer = other.ask("POST", "/v1/session", &sign_in).await;
    assert_eq!((answer.status, answer.json()["role"].as_str()), (200, Some("administrator")));
    let state = other.gateway.directory.path().join("state");
    let users = fs::read_to_string(state.join("users.json")).unwrap();
    assert!(users.contains("anna") && !users.contains(PASSWORD), "{users}");
}

#[tokio::test]
async fn restore_can_leave_users_as_they_are_and_wait_to_be_confirmed() {
    let (_server, backup, passphrase) = with_backup().await;
    let other = Server::start().await;
    let (backup, passphrase) = (backup.display(), passphrase.display());
    let line =
        format!("restore {backup} --passphrase-file {passphrase} --keep-users --confirm 600");
    assert!(run(&other, &line).await.contains("revision 0 returns in 600 s"));
    assert_eq!(get(&other, "/v1/users").await["items"], json!([]));
    run(&other, "confirm --return").await;
    assert!(!run(&other, "export").await.contains("web"));
}

type Damage<'a> = &'a dyn Fn(&mut Value);

#[tokio::test]
async fn wrong_passphrase_and_damaged_backups_change_nothing() {
    let (server, backup, passphrase) = with_backup().await;
    let good: Value = serde_json::from_str(&fs::read_to_string(&backup).unwrap()).unwrap();
    let user = json!({"name": "bert", "role": "administrator", "password": PASSWORD}).to_string();
    server.ask("POST", "/v1/users", &user).await;
    let more = file(&server, "more.yaml", &service("api", "192.0.2.11", "[]"));
    run(&server, &format!("apply -f {}", more.display())).await;
    let before = everything(&server).await;
    let restore = async |text: &str, passphrase: &PathBuf| {
        let path = file(&server, "damaged.backup", text);
        let passphrase = passphrase.display();
        fail(&server, &format!("restore {} --passphrase-file {passphrase}", path.display())).await
    };
    let wrong = file(&server, "wrong", "correct horse battery stable\n");
    let error = restore(&good.to_string(), &wrong).await;
    assert!(error.contains("the passphrase is another one, or the file was changed"), "{error}");
    let damaged = |change: &dyn Fn(&mut Value)| {
        let mut value = good.clone();
        change(&mut value);
        value.to_string()
    };
    let sealed = good["sealed"].as_str().unwrap();
    let middle = sealed.len() / 2;
    let other = if sealed.as_bytes()[middle] == b'A' { "B" } else { "A" };
    let flipped = format!("{}{other}{}", &sealed[..middle], &sealed[middle + 1..]);
    let changes: [(Damage<'_>, &str); 7] = [
        (&|value| value["sealed"] = json!(flipped), "the file was changed"),
        (&|value| value["sealed"] = json!(&sealed[..middle & !3]), "the file was changed"),
        (&|value| value["sealed"] = json!("?"), "not Base64"),
        (&|value| value["revision"] = json!(77), "the file was changed"),
        (&|value| value["version"] = json!(2), "opens backups of format sluice-backup, version 1"),
        (&|value| value["key"]["memoryKib"] = json!(1 << 30), "too much memory"),
        (&|value| value["nonce"] = json!("AAAA"), "its nonce has another length"),
    ];
    for (change, expected) in changes {
        let error = restore(&damaged(change), &passphrase).await;
        assert!(error.contains(expected), "{expected}: {error}");
    }
    let text = good.to_string();
    for text in ["", "{}", "\0\u{7f}", &text[..text.len() / 2]] {
        let error = restore(text, &passphrase).await;
        assert!(error.contains("damaged.backup: is not a backup, or damaged"), "{error}");
    }
    assert_eq!(everything(&server).await, before);
    let short = file(&server, "short", "1234567\n");
    let path = server.gateway.directory.path().join("new.backup");
    let error =
        fail(&server, &format!("backup {} --passphrase-file {}", path.display(), short.display()))
            .await;
    assert!(error.contains("passphrase: expected 8 characters or more"), "{error}");
    assert!(!path.exists());
}
