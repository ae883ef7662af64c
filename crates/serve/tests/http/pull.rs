//! Real clients: `ostree` and `curl`.

use std::process::Command;

use http_body_util::BodyExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use trefoil_repo::RepoMode;
use trefoil_testkit::ostree::{Ostree, missing};

use crate::support::{Lab, Running};

fn text(path: &std::path::Path) -> String {
    path.to_str().expect("temporary paths are UTF-8").to_string()
}

/// Commits a tree of several sorts of files with `ostree`.
fn commit(lab: &Lab, ostree: &Ostree, version: &str) -> String {
    let tree = lab.path("tree");
    std::fs::create_dir_all(tree.join("dir/deep")).expect("writable");
    std::fs::write(tree.join("version"), version).expect("writable");
    std::fs::write(tree.join("dir/deep/empty"), "").expect("writable");
    std::fs::write(tree.join("dir/large"), version.repeat(200_000)).expect("writable");
    let _ = std::os::unix::fs::symlink("dir/large", tree.join("link"));
    let repo = format!("--repo={}", text(&lab.path("repo")));
    let tree = format!("--tree=dir={}", text(&tree));
    ostree.run(&["commit", &repo, "-b", "os/main", &tree]).trim().to_string()
}

fn pull(lab: &Lab, ostree: &Ostree, server: &Running, name: &str, more: &[&str]) -> String {
    let repo = format!("--repo={}", text(&lab.path(name)));
    if !lab.path(name).exists() {
        // Archive takes the objects as they come; only the other modes take deltas.
        let mode = if more.is_empty() { "--mode=archive" } else { "--mode=bare-user" };
        ostree.run(&["init", &repo, mode]);
        ostree.run(&["remote", "add", &repo, "--no-gpg-verify", "origin", &server.url()]);
    }
    ostree.run(&[&["pull", &repo, "origin", "os/main"], more].concat());
    ostree.run(&["fsck", &repo]);
    ostree.run(&["rev-parse", &repo, "origin:os/main"]).trim().to_string()
}

/// Guards the purpose of it all: `ostree` pulls from us, with and without a summary and deltas,
/// again after a commit made while we serve, and finds nothing wrong.
#[test]
fn ostree_pulls() {
    let Some(ostree) = Ostree::find() else { return };
    let lab = Lab::new(RepoMode::Archive);
    let server = lab.serve();
    let one = commit(&lab, &ostree, "one");
    assert_eq!(pull(&lab, &ostree, &server, "plain", &[]), one);
    let two = commit(&lab, &ostree, "two");
    assert_eq!(pull(&lab, &ostree, &server, "plain", &[]), two);
    let repo = format!("--repo={}", text(&lab.path("repo")));
    let to = format!("--to={two}");
    ostree.run(&["static-delta", "generate", &repo, "--empty", &to]);
    ostree.run(&["summary", &repo, "-u"]);
    let delta = ["--require-static-deltas"];
    assert_eq!(pull(&lab, &ostree, &server, "by-delta", &delta), two);
    let log = server.log.lock().expect("alive");
    assert!(log.iter().any(|a| a.target.ends_with("/superblock") && a.status == 200));
    assert!(log.iter().all(|a| a.problem.is_none()), "{log:?}");
}

/// Guards packing on the fly with the real client, which verifies every object.
#[test]
fn ostree_pulls_from_bare_user() {
    let Some(ostree) = Ostree::find() else { return };
    let lab = Lab::new(RepoMode::BareUser);
    let server = lab.serve();
    let one = commit(&lab, &ostree, "one");
    assert_eq!(pull(&lab, &ostree, &server, "client", &[]), one);
}

/// Guards a repository that has its objects in a parent, of another mode at that.
#[test]
fn parents_are_looked_into() {
    let Some(ostree) = Ostree::find() else { return };
    let lab = Lab::new(RepoMode::BareUser);
    let one = commit(&lab, &ostree, "one");
    let child = Lab::new(RepoMode::Archive);
    let parent = text(&lab.path("repo"));
    let config = format!("[core]\nrepo_version=1\nmode=archive-z2\nparent={parent}\n");
    child.put("config", config.as_bytes());
    let server = child.serve();
    assert_eq!(pull(&child, &ostree, &server, "client", &[]), one);
}

fn curl(words: &[&str]) -> Option<String> {
    let features = Command::new("curl").arg("--version").output();
    if !features.is_ok_and(|o| String::from_utf8_lossy(&o.stdout).contains("HTTP2")) {
        missing("curl with HTTP/2 is not installed");
        return None;
    }
    let output = Command::new("curl").args(words).output().expect("curl can be started");
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Guards HTTP/2 without TLS: a large file, a part, a condition, a refusal, and the upgrade
/// header, which is declined and not an error.
#[test]
fn http2_by_prior_knowledge() {
    let lab = Lab::new(RepoMode::Archive);
    let content = vec![b'y'; 3_000_000];
    lab.put("extensions/file", &content);
    let server = lab.serve();
    let url = format!("{}extensions/file", server.url());
    let head = ["-sS", "-o", "/dev/null", "-w", "%{http_version} %{http_code} %{size_download}\n"];
    let h2 = |more: &[&str]| curl(&[&head[..], &["--http2-prior-knowledge", &*url], more].concat());
    let Some(all) = h2(&[]) else { return };
    assert_eq!(all, "2 200 3000000\n");
    assert_eq!(h2(&["-r", "10-19"]).as_deref(), Some("2 206 10\n"));
    assert_eq!(h2(&["-H", "if-none-match: *"]).as_deref(), Some("2 304 0\n"));
    assert_eq!(h2(&["-X", "POST"]).as_deref(), Some("2 405 19\n"));
    assert_eq!(
        curl(&[&head[..], &["--http2", &*url]].concat()).as_deref(),
        Some("1.1 200 3000000\n")
    );
}

/// Guards many requests at once on one HTTP/2 connection, more than may be under way, with
/// answers larger than the windows of flow control.
#[test]
fn http2_many_at_once() {
    let lab = Lab::new(RepoMode::Archive);
    let content = |n: usize| vec![b'a' + (n % 26) as u8; 1 + n * 3000];
    let count = 200;
    (0..count).for_each(|n| lab.put(&format!("extensions/{n}"), &content(n)));
    let server = lab.serve();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let stream = tokio::net::TcpStream::connect(server.address).await.expect("it listens");
        let io = TokioIo::new(stream);
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.expect("h2");
        tokio::spawn(connection);
        let tasks: Vec<_> = (0..count)
            .map(|n| {
                let mut sender = sender.clone();
                let uri = format!("{}extensions/{n}", server.url());
                let request = hyper::Request::get(uri).body(String::new()).expect("a request");
                tokio::spawn(async move {
                    let response = sender.send_request(request).await.expect("an answer");
                    assert_eq!(response.status(), 200);
                    response.into_body().collect().await.expect("all of it").to_bytes()
                })
            })
            .collect();
        for (n, task) in tasks.into_iter().enumerate() {
            assert!(task.await.expect("it does not panic") == content(n), "{n}");
        }
    });
    let log = server.log.lock().expect("alive");
    assert!(log.iter().all(|a| a.version == "HTTP/2.0"), "{log:?}");
}
