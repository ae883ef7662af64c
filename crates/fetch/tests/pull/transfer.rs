use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use trefoil_fetch::{FetchSettings, HttpTransport, RemoteAddress};
use trefoil_repo::pull::{PullSource, pull_remote};

use crate::ground::{Ground, chain, main_ref, settings};
use crate::server::{Reply, Server};

fn pull_with(ground: &Ground, repo: &str, transport: &HttpTransport) {
    let source = PullSource {
        transport,
        localcache: &[],
        summary: None,
        cache: None,
        collection_id: None,
        http_trusted: false,
        progress: None,
    };
    pull_remote(&ground.open(repo), &source, &main_ref()).expect("pull");
    ground.fsck(repo);
}

/// A transfer that breaks off in the middle of a file goes on there: no byte comes twice.
#[test]
fn broken_transfers_are_taken_up_again() {
    let Some(ground) = Ground::new() else { return };
    let noise: Vec<u8> =
        (0..1_000_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    ground.write("noise", &noise);
    ground.commit();
    // Longer than what is held in memory, so that a stream is being read when it breaks off.
    ground.server.lie(|request| match request.path.contains("objects") && request.nth == 0 {
        true => Reply::Half,
        false => Reply::Honest,
    });
    ground.init("ours", "archive");
    ground.pull("ours", &main_ref()).expect("pull");
    ground.fsck("ours");
    let (_, bytes) = ground.server.take_counts();
    let size = |path: &str| std::fs::metadata(ground.path(path)).expect("file").len();
    let objects: u64 =
        ground.objects("ours").iter().map(|path| size(&format!("ours/{}", path.display()))).sum();
    assert_eq!(bytes, objects + size("srv/repo/summary"));
}

/// A transfer that stands still in the middle of a stream is ended and taken up again, where it
/// was; a server that does nothing else is given up in bounded time.
#[test]
fn transfers_that_stand_still_are_taken_up_again() {
    let Some(ground) = Ground::new() else { return };
    let noise: Vec<u8> =
        (0..1_000_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    ground.write("noise", &noise);
    ground.commit();
    let started = Instant::now();
    ground.server.lie(|request| match request.path.ends_with(".filez") && request.nth == 0 {
        true => Reply::Stall,
        false => Reply::Honest,
    });
    ground.init("ours", "bare-user");
    ground.pull("ours", &main_ref()).expect("pull");
    ground.fsck("ours");
    ground.server.lie(|request| match request.path.ends_with(".filez") {
        true if request.headers.contains_key("range") => Reply::Trickle(Duration::from_millis(50)),
        true => Reply::Stall,
        false => Reply::Honest,
    });
    ground.init("never", "archive");
    let error = ground.pull("never", &main_ref()).expect_err("it never ends");
    assert!(chain(&error).contains("Operation too slow"), "{}", chain(&error));
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!(ground.ostree("never", &["refs"]), "");
}

/// A list of mirrors falls over to the next where one does not have a file.
#[test]
fn mirrors_stand_in_for_each_other() {
    let Some(ground) = Ground::new() else { return };
    ground.tree(5);
    ground.commit();
    let list = format!(
        "# mirrors\n\n{}\n{}\n{}\n",
        ground.server.url("nothing-here"),
        ground.server.url("first"),
        ground.server.url("repo")
    );
    std::fs::write(ground.path("srv/list"), list).expect("write");
    std::os::unix::fs::symlink("repo", ground.path("srv/first")).expect("link");
    ground.server.lie(|request| match request.path.starts_with("first/objects") {
        true if request.path.ends_with(".filez") => Reply::Status(404),
        _ => Reply::Honest,
    });
    ground.init("ours", "bare-user");
    let address = RemoteAddress::MirrorList(ground.server.url("list"));
    let transport = HttpTransport::open(settings(), &address, None).expect("a transport");
    pull_with(&ground, "ours", &transport);
}

/// Headers, the name of the program, cookies and passwords are sent, and not to other hosts.
#[test]
fn what_is_sent() {
    let Some(ground) = Ground::new() else { return };
    ground.tree(1);
    ground.commit();
    let other = Server::start(&ground.path("srv"));
    let elsewhere = other.url("repo");
    ground.server.lie(move |request| match request.path.ends_with(".filez") {
        true => {
            let rest = request.path.trim_start_matches("repo");
            Reply::Redirect(format!("{elsewhere}{rest}"))
        }
        false => Reply::Honest,
    });
    let settings = FetchSettings {
        user_agent: "libostree/1 more/2".to_string(),
        headers: vec![("X-Secret".to_string(), "s".to_string())],
        ..settings()
    };
    let url = ground.server.url("repo").replace("http://", "http://me:pass@");
    let address = RemoteAddress::Url(url);
    let transport = HttpTransport::open(settings, &address, None).expect("a transport");
    ground.init("ours", "bare-user");
    pull_with(&ground, "ours", &transport);
    for request in ground.server.take_requests() {
        assert_eq!(
            request.headers.get("user-agent").map(String::as_str),
            Some("libostree/1 more/2")
        );
        assert_eq!(request.headers.get("x-secret").map(String::as_str), Some("s"));
        // "me:pass"
        let basic = request.headers.get("authorization").map(String::as_str);
        assert_eq!(basic, Some("Basic bWU6cGFzcw=="));
    }
    let redirected = other.take_requests();
    assert!(!redirected.is_empty());
    for request in redirected {
        assert!(!request.headers.contains_key("x-secret"), "{request:?}");
        assert!(!request.headers.contains_key("authorization"), "{request:?}");
    }
}

/// A transfer that was redirected and broke off goes on by way of the remote: what is secret is
/// not sent to where it was redirected to.
#[test]
fn going_on_elsewhere_takes_no_secrets_along() {
    let Some(ground) = Ground::new() else { return };
    let noise: Vec<u8> =
        (0..400_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    ground.write("noise", &noise);
    ground.commit();
    let other = Server::start(&ground.path("srv"));
    other.lie(|request| match request.nth == 0 {
        true => Reply::Half,
        false => Reply::Honest,
    });
    let elsewhere = other.url("");
    ground.server.lie(move |request| match request.path.ends_with(".filez") {
        true => Reply::Redirect(format!("{elsewhere}{}", request.path)),
        false => Reply::Honest,
    });
    let headers = vec![("X-Secret".to_string(), "s".to_string())];
    let settings = FetchSettings { headers, ..settings() };
    let address = RemoteAddress::Url(ground.server.url("repo"));
    let transport = HttpTransport::open(settings, &address, None).expect("a transport");
    ground.init("ours", "bare-user");
    pull_with(&ground, "ours", &transport);
    let there = other.take_requests();
    assert!(there.iter().any(|request| request.headers.contains_key("range")), "{there:?}");
    assert!(there.iter().all(|request| !request.headers.contains_key("x-secret")), "{there:?}");
}

/// A mirror that goes away in the middle of a pull is stood in for by the next one.
#[test]
fn a_mirror_may_die_in_the_middle() {
    let Some(ground) = Ground::new() else { return };
    ground.tree(20);
    ground.commit();
    let dying = Server::start(&ground.path("srv"));
    let left = Arc::new(AtomicU64::new(15));
    dying.lie(move |_| match left.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1)) {
        Ok(_) => Reply::Honest,
        Err(_) => Reply::Nothing,
    });
    let list = format!("{}\n{}\n", dying.url("repo"), ground.server.url("repo"));
    std::fs::write(ground.path("srv/list"), list).expect("write");
    ground.init("ours", "bare-user");
    let address = RemoteAddress::MirrorList(ground.server.url("list"));
    let transport = HttpTransport::open(settings(), &address, None).expect("a transport");
    ground.server.take_requests();
    pull_with(&ground, "ours", &transport);
    assert!(!ground.server.take_requests().is_empty());
    let nobody = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = nobody.local_addr().expect("an address").port();
    drop(nobody);
    std::fs::write(ground.path("srv/list"), format!("http://127.0.0.1:{port}/repo\n"))
        .expect("write");
    let error = HttpTransport::open(settings(), &address, None).expect_err("no mirror works");
    assert!(error.problem.to_string().starts_with("No valid mirrors were found"), "{error:?}");
}

/// A metalink leads on where a copy of the summary cannot be had, is an old one or too long; the
/// rest comes from beside the good one.
#[test]
fn a_metalink_falls_over() {
    let Some(ground) = Ground::new() else { return };
    ground.tree(3);
    ground.commit();
    let summary = std::fs::read(ground.path("srv/repo/summary")).expect("summary");
    let digest = trefoil_format::checksum::Checksum::of(&summary).to_hex();
    let (old, long) = (Server::start(&ground.path("srv")), Server::start(&ground.path("srv")));
    let mut changed = summary.clone();
    changed[0] ^= 1;
    old.lie(move |_| Reply::Content(changed.clone()));
    long.lie(|_| Reply::Endless);
    let nobody = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = nobody.local_addr().expect("an address").port();
    drop(nobody);
    let urls = [
        format!("http://127.0.0.1:{port}/repo/summary"),
        old.url("repo/summary"),
        long.url("repo/summary"),
        ground.server.url("repo/summary"),
    ];
    let write = |urls: &[String]| {
        let url = |url: &String| format!("<url protocol=\"http\">{url}</url>");
        let text = format!(
            "<metalink><files><file name=\"summary\"><size>{}</size><verification>\
             <hash type=\"sha256\">{digest}</hash></verification><resources>{}</resources>\
             </file></files></metalink>",
            summary.len(),
            urls.iter().map(url).collect::<String>()
        );
        std::fs::write(ground.path("srv/metalink"), text).expect("write");
    };
    write(&urls);
    ground.init("ours", "bare-user");
    let address = RemoteAddress::Metalink(ground.server.url("metalink"));
    let mut transport = HttpTransport::open(settings(), &address, None).expect("a transport");
    assert_eq!(transport.take_summary(), Some(summary.clone()));
    pull_with(&ground, "ours", &transport);
    assert_eq!(old.take_requests().len(), 1);
    write(&urls[..3]);
    let error = HttpTransport::open(settings(), &address, None).expect_err("none is good");
    assert!(error.problem.to_string().starts_with("Exhausted 3 metalink targets"), "{error:?}");
    // No more was read than there could be.
    assert!(long.take_counts().1 < 64 << 20);
}
