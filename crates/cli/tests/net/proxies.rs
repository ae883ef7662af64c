//! The setting `proxy` of a remote, and the variables of the environment.

use crate::certs::{self, Authority};
use crate::ground::Ground;
use crate::proxy::{Manner, Proxy};
use crate::web::{Web, dead_port};

/// "me:secret" as `Basic` has it.
const BASIC: &str = "Basic bWU6c2VjcmV0";

/// Plain requests go to the proxy with the whole address, encrypted ones through a tunnel, in
/// which the proxy sees nothing of the remote's headers.
#[test]
fn all_goes_through_a_proxy() {
    let ground = Ground::new();
    let plain = Web::start(&ground.path("srv"));
    let authority = Authority::new("Ours");
    let ca = ground.path("ca.pem");
    std::fs::write(&ca, &authority.pem).expect("it is ours");
    let ca = ca.to_str().expect("ASCII");
    let pair = authority.server("127.0.0.1", false);
    let tls = Web::start_tls(&ground.path("srv"), certs::server(&pair, &["h2"], None));
    let proxy = Proxy::http(Manner::Open);
    for scheme in ["http://", ""] {
        let address = format!("{scheme}127.0.0.1:{}", proxy.port);
        ground.remote(&plain.url("repo"), &[("proxy", &address)]);
        ground.pulls();
        let (asked, served) = (proxy.take(), plain.take());
        assert_eq!(asked.len(), served.len());
        assert!(asked.iter().all(|head| head.starts_with(&format!("GET {}", plain.url("repo")))));

        ground.remote(&tls.url("repo"), &[("proxy", &address), ("tls-ca-path", ca)]);
        let header = "--http-header=X-Secret=word";
        let said = ground.run(&["pull", "--repo=ours", header, "origin", "main"], &[]);
        assert!(said.ok, "{said:?}");
        let asked = proxy.take();
        assert_eq!(asked.len(), 1, "one tunnel for HTTP/2: {asked:?}");
        assert!(asked[0].starts_with(&format!("CONNECT {}", tls.address())), "{asked:?}");
        assert!(!asked[0].to_ascii_lowercase().contains("secret"), "{asked:?}");
        assert!(tls.take().iter().all(|seen| seen.header("x-secret") == Some("word")));
    }
}

/// A proxy that wants a name and a password gets those in its address, and the remote does not.
#[test]
fn a_proxy_may_want_a_password() {
    let ground = Ground::new();
    let plain = Web::start(&ground.path("srv"));
    let authority = Authority::new("Ours");
    let pair = authority.server("127.0.0.1", false);
    let tls = Web::start_tls(&ground.path("srv"), certs::server(&pair, &[], None));
    let proxy = Proxy::http(Manner::Guarded(BASIC));
    let socks = Proxy::socks(Manner::Guarded("me:secret"));
    for (scheme, port) in [("http", proxy.port), ("socks5", socks.port)] {
        let address = format!("{scheme}://me:secret@127.0.0.1:{port}");
        for web in [&plain, &tls] {
            ground.remote(&web.url("repo"), &[("proxy", &address), ("tls-permissive", "true")]);
            ground.pulls();
            let seen = web.take();
            assert!(!seen.is_empty());
            let leaked = |seen: &crate::web::Seen| {
                seen.headers.keys().any(|name| name.contains("authorization"))
            };
            assert!(!seen.iter().any(leaked), "{scheme}");
        }
        let address = format!("{scheme}://me:wrong@127.0.0.1:{port}");
        for web in [&plain, &tls] {
            ground.remote(&web.url("repo"), &[("proxy", &address), ("tls-permissive", "true")]);
            ground.refused("error: While fetching");
            assert!(web.take().is_empty());
        }
    }
}

/// A proxy that refuses, says nothing or is not there: no pull, and no way around it.
#[test]
fn there_is_no_way_around_a_proxy() {
    let ground = Ground::new();
    let plain = Web::start(&ground.path("srv"));
    let authority = Authority::new("Ours");
    let pair = authority.server("127.0.0.1", false);
    let tls = Web::start_tls(&ground.path("srv"), certs::server(&pair, &[], None));
    let (closed, silent) = (Proxy::http(Manner::Closed), Proxy::http(Manner::Silent));
    let socks = Proxy::socks(Manner::Closed);
    let ways = [
        format!("http://127.0.0.1:{}", closed.port),
        format!("http://127.0.0.1:{}", silent.port),
        format!("http://127.0.0.1:{}", dead_port()),
        format!("socks5://127.0.0.1:{}", socks.port),
        "nonsense://127.0.0.1:1".to_string(),
    ];
    for way in &ways {
        for web in [&plain, &tls] {
            ground.remote(&web.url("repo"), &[("proxy", way), ("tls-permissive", "true")]);
            let words = ["pull", "--repo=ours", "--network-retries=1", "origin", "main"];
            let said = ground.run(&words, &[]);
            assert!(!said.ok && said.err.starts_with("error: "), "{way}: {said:?}");
            assert!(web.take().is_empty(), "{way}");
        }
    }
}

/// The environment names a proxy for those remotes that do not, and hosts that need none.
#[test]
fn the_environment_may_name_a_proxy() {
    let ground = Ground::new();
    let plain = Web::start(&ground.path("srv"));
    let (proxy, socks) = (Proxy::http(Manner::Open), Proxy::socks(Manner::Open));
    let (address, dead) =
        (format!("http://127.0.0.1:{}", proxy.port), format!("http://127.0.0.1:{}", dead_port()));
    let socks_address = format!("socks5h://127.0.0.1:{}", socks.port);
    let pull = |settings: &[(&str, &str)], environment: &[(&str, &str)]| {
        ground.remote(&plain.url("repo"), settings);
        let said = ground.run(&["pull", "--repo=ours", "origin", "main"], environment);
        assert!(said.ok, "{environment:?}: {said:?}");
        plain.take();
        (!proxy.take().is_empty(), !socks.take().is_empty())
    };
    assert_eq!(pull(&[], &[]), (false, false));
    assert_eq!(pull(&[], &[("http_proxy", &address)]), (true, false));
    assert_eq!(pull(&[], &[("all_proxy", &socks_address)]), (false, true));
    assert_eq!(pull(&[], &[("https_proxy", &dead), ("HTTP_PROXY", &dead)]), (false, false));
    assert_eq!(pull(&[("proxy", &address)], &[("http_proxy", &dead)]), (true, false));
    assert_eq!(pull(&[("proxy", "")], &[("http_proxy", &dead)]), (false, false));
    for none in ["127.0.0.1", "example.com, 127.0.0.1", "*"] {
        assert_eq!(pull(&[], &[("http_proxy", &dead), ("no_proxy", none)]), (false, false));
    }
    // What stands before the host in an address is none of it.
    let url = plain.url("repo").replace("http://", "http://me:pass@");
    ground.remote(&url, &[]);
    let environment = [("http_proxy", dead.as_str()), ("no_proxy", "127.0.0.1")];
    let said = ground.run(&["pull", "--repo=ours", "origin", "main"], &environment);
    assert!(said.ok, "{said:?}");
}
