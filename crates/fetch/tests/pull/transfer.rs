use trefoil_fetch::{FetchSettings, HttpTransport, RemoteAddress};
use trefoil_repo::pull::{PullSource, pull_remote};

use crate::ground::{Ground, main_ref, settings};
use crate::server::Reply;

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
    let other = crate::server::Server::start(&ground.path("srv"));
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
