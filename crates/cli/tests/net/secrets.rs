//! Names, passwords, cookies and headers: who gets them, and who must not.

use std::fs;

use crate::ground::Ground;
use crate::web::{Reply, Seen, Web};

/// "me:secret", "you:other" and "any:one" as `Basic` has them.
const ME: &str = "Basic bWU6c2VjcmV0";
const YOU: &str = "Basic eW91Om90aGVy";

/// A server that wants to be told who asks, and the same directory elsewhere.
fn guarded(ground: &Ground, wanted: &'static str) -> (Web, Web) {
    let (guarded, other) = (Web::start(&ground.path("srv")), Web::start(&ground.path("srv")));
    guarded.answer(move |seen| match seen.header("authorization") == Some(wanted) {
        true => Reply::File,
        false => Reply::Status(401),
    });
    (guarded, other)
}

fn with_user(url: &str, user: &str) -> String {
    url.replace("http://", &format!("http://{user}@"))
}

/// From the address, from `.netrc` (in the home, or where `NETRC` says), the address first.
#[test]
fn passwords_come_from_the_address_or_netrc() {
    let ground = Ground::new();
    let (server, _) = guarded(&ground, ME);
    let url = server.url("repo");
    ground.remote(&url, &[]);
    ground.refused("HTTP 401");
    assert_eq!(server.take().len(), 1, "it is not asked again");
    ground.remote(&with_user(&url, "me:secret"), &[]);
    ground.pulls();
    ground.remote(&with_user(&url, "me:wrong"), &[]);
    ground.refused("HTTP 401");
    let said = ground.pull();
    assert!(!said.err.contains("wrong"), "the password is not shown: {said:?}");
    // What is special in an address is written with percent signs.
    let (odd, _) = guarded(&ground, "Basic bSBlOnA6QHM=");
    ground.remote(&with_user(&odd.url("repo"), "m%20e:p%3A%40s"), &[]);
    ground.pulls();

    fs::write(
        ground.path(".netrc"),
        "machine other.example login x password y\n\
                                      machine 127.0.0.1 login me password secret\n",
    )
    .expect("it is ours");
    ground.remote(&url, &[]);
    ground.pulls();
    ground.remote(&with_user(&url, "you:other"), &[]);
    ground.refused("HTTP 401");
    fs::write(ground.path("elsewhere"), "default login me password secret\n").expect("ours");
    fs::remove_file(ground.path(".netrc")).expect("ours");
    ground.remote(&url, &[]);
    let netrc = ground.path("elsewhere");
    let netrc = [("NETRC", netrc.to_str().expect("ASCII"))];
    let said = ground.run(&["pull", "--repo=ours", "origin", "main"], &netrc);
    assert!(said.ok, "{said:?}");
}

/// A redirect to another host, which a port of its own is too, takes nothing along; one that
/// comes back to the remote's is asked with everything again.
#[test]
fn redirects_take_no_secrets_along() {
    let ground = Ground::new();
    let (server, other) = guarded(&ground, ME);
    let (elsewhere, home) = (other.url(""), server.url(""));
    server.answer(move |seen: &Seen| match seen.header("authorization") == Some(ME) {
        false => Reply::Status(401),
        // To the other one; or to the same one, with its whole name.
        true if seen.path.starts_with("repo/objects") => {
            Reply::Redirect(format!("{elsewhere}{}", seen.path))
        }
        true if seen.path.starts_with("repo/") => {
            Reply::Redirect(format!("{home}{}", seen.path.replacen("repo/", "moved/", 1)))
        }
        true => Reply::File,
    });
    std::os::unix::fs::symlink("repo", ground.path("srv/moved")).expect("ours");
    ground.remote(&with_user(&server.url("repo"), "me:secret"), &[]);
    ground.must("remote add-cookie --repo=ours origin secret.example / name value");
    let header = "--http-header=X-Token=secret";
    let said = ground.run(&["pull", "--repo=ours", header, "origin", "main"], &[]);
    assert!(said.ok, "{said:?}");
    for seen in server.take() {
        assert_eq!(seen.header("authorization"), Some(ME), "{seen:?}");
        assert_eq!(seen.header("x-token"), Some("secret"), "{seen:?}");
    }
    let there = other.take();
    assert!(there.len() > 20 && there.iter().all(Seen::is_object));
    for seen in there {
        for name in ["authorization", "x-token", "cookie", "referer"] {
            assert_eq!(seen.header(name), None, "{seen:?}");
        }
    }
}

/// Cookies go to the hosts and paths that they are for.
#[test]
fn cookies_go_where_they_belong() {
    let ground = Ground::new();
    let server = Web::start(&ground.path("srv"));
    ground.remote(&server.url("repo"), &[]);
    for words in ["127.0.0.1 /repo mine yes", "127.0.0.1 /other path no", "other.example / host no"]
    {
        ground.must(&format!("remote add-cookie --repo=ours origin {words}"));
    }
    ground.pulls();
    let seen = server.take();
    assert!(seen.iter().all(|seen| seen.header("cookie") == Some("mine=yes")), "{seen:?}");
    ground.must("remote delete-cookie --repo=ours origin 127.0.0.1 /repo mine");
    // One that ended in 2001.
    let path = ground.path("ours/origin.cookies.txt");
    let mut text = fs::read_to_string(&path).expect("there are cookies");
    text.push_str("127.0.0.1\tFALSE\t/repo\tFALSE\t1000000000\told\tno\n");
    fs::write(&path, text).expect("ours");
    assert!(ground.pull().ok);
    assert!(server.take().iter().all(|seen| seen.header("cookie").is_none()));
}

/// Objects at another place (`contenturl`) are asked for with what belongs to that place.
#[test]
fn content_elsewhere_has_its_own_password() {
    let ground = Ground::new();
    let (server, _) = guarded(&ground, ME);
    let (content, _) = guarded(&ground, YOU);
    let content_url = with_user(&content.url("repo"), "you:other");
    let url = with_user(&server.url("repo"), "me:secret");
    ground.remote(&url, &[("contenturl", &content_url)]);
    ground.pulls();
    assert!(content.take().iter().all(|seen| seen.header("authorization") == Some(YOU)));
    let mains: Vec<Seen> = server.take();
    assert!(mains.iter().all(|seen| !seen.path.ends_with(".filez")), "{mains:?}");
}
