//! The settings of a remote that are about TLS and HTTP/2, against servers that speak them.

use std::fs;

use crate::certs::{self, Authority, Pair};
use crate::ground::Ground;
use crate::web::Web;

const BOTH: &[&str] = &["h2", "http/1.1"];

fn serve(ground: &Ground, pair: &Pair, clients: Option<&Authority>) -> Web {
    Web::start_tls(&ground.path("srv"), certs::server(pair, BOTH, clients))
}

fn file(ground: &Ground, name: &str, text: &str) -> String {
    let path = ground.path(name);
    fs::write(&path, text).expect("it is ours");
    path.to_str().expect("ASCII").to_string()
}

/// A server is believed when the authorities of `tls-ca-path` vouch for it, now and under its
/// name; otherwise it is refused at once, without asking again and again.
#[test]
fn servers_are_verified() {
    let ground = Ground::new();
    let (authority, other) = (Authority::new("Ours"), Authority::new("Other"));
    let ca = file(&ground, "ca.pem", &authority.pem);
    let both = file(&ground, "both.pem", &format!("{}{}", other.pem, authority.pem));
    let good = serve(&ground, &authority.server("127.0.0.1", false), None);
    for path in [&ca, &both] {
        ground.remote(&good.url("repo"), &[("tls-ca-path", path)]);
        ground.pulls();
    }
    for (what, pair, settings, words) in [
        ("unknown", authority.server("127.0.0.1", false), None, "UnknownIssuer"),
        ("of another", other.server("127.0.0.1", false), Some(&ca), "UnknownIssuer"),
        ("expired", authority.server("127.0.0.1", true), Some(&ca), "expired"),
        ("other name", authority.server("other.example", false), Some(&ca), "not valid for name"),
    ] {
        let server = serve(&ground, &pair, None);
        let settings: Vec<_> =
            settings.map(|ca| ("tls-ca-path", ca.as_str())).into_iter().collect();
        ground.remote(&server.url("repo"), &settings);
        ground.refused(words);
        assert_eq!(server.take_connections(), 1, "{what}: one attempt says all");
        assert!(server.take().is_empty(), "{what}: nothing was asked for");
        ground.remote(&server.url("repo"), &[("tls-permissive", "true")]);
        ground.pulls();
    }
}

/// A certificate that is its own authority, in `tls-ca-path`, stands for itself: as curl has it,
/// also where it says that it is an authority, which is what `openssl req -x509` makes. It still
/// has to be for the host, in time, and that very one.
#[test]
fn a_server_may_vouch_for_itself() {
    let ground = Ground::new();
    for as_authority in [false, true] {
        let pair = certs::self_signed("127.0.0.1", as_authority, false);
        let server = serve(&ground, &pair, None);
        let ca = file(&ground, "self.pem", &pair.cert);
        ground.remote(&server.url("repo"), &[("tls-ca-path", &ca)]);
        ground.pulls();
        let another = certs::self_signed("127.0.0.1", as_authority, false);
        let ca = file(&ground, "self.pem", &another.cert);
        ground.remote(&server.url("repo"), &[("tls-ca-path", &ca)]);
        ground.refused("certificate");
        for (host, expired) in [("other.example", false), ("127.0.0.1", true)] {
            let pair = certs::self_signed(host, as_authority, expired);
            let server = serve(&ground, &pair, None);
            let ca = file(&ground, "self.pem", &pair.cert);
            ground.remote(&server.url("repo"), &[("tls-ca-path", &ca)]);
            ground.refused("certificate");
            assert!(server.take().is_empty());
        }
    }
}

/// What is shown to a server that wants to know who asks, and what cannot be.
#[test]
fn clients_show_their_certificate() {
    let ground = Ground::new();
    let (authority, other) = (Authority::new("Ours"), Authority::new("Other"));
    let ca = file(&ground, "ca.pem", &authority.pem);
    let server = serve(&ground, &authority.server("127.0.0.1", false), Some(&authority));
    let pair = |name: &str, of: &Authority| {
        let pair = of.client(name);
        let cert = file(&ground, &format!("{name}.cert"), &pair.cert);
        (cert, file(&ground, &format!("{name}.key"), &pair.key))
    };
    let ((cert, key), (wrong_cert, wrong_key)) = (pair("me", &authority), pair("them", &other));
    let url = server.url("repo");
    let with = |cert: &str, key: &str| {
        let pair = [("tls-client-cert-path", cert), ("tls-client-key-path", key)];
        ground.remote(&url, &[&[("tls-ca-path", ca.as_str())][..], &pair].concat());
    };
    with(&cert, &key);
    ground.pulls();
    assert!(!server.take().is_empty());
    let both: String =
        [&cert, &key].map(|path| fs::read_to_string(path).expect("it was written")).concat();
    let both = file(&ground, "both.pem", &both);
    with(&both, &both);
    ground.pulls();
    server.take();
    ground.remote(&url, &[("tls-ca-path", &ca)]);
    // What the server says of it and that it closes the connection race with each other.
    ground.refused("error: While fetching");
    with(&wrong_cert, &wrong_key);
    ground.refused("error: While fetching");
    assert!(server.take().is_empty(), "nobody without a good certificate asked for anything");
    with(&cert, &wrong_key);
    ground.refused("tls-client-key-path: ");
    with(&cert, &ca);
    ground.refused("no private key in it");
    ground.remote(&url, &[("tls-client-cert-path", &cert)]);
    ground.refused("must specify both \"tls-client-cert-path\" and \"tls-client-key-path\"");
    with("pkcs11:token=x;object=cert", "pkcs11:token=x;object=key");
    ground.refused("PKCS#11");
    with("/nonexistent", &key);
    ground.refused("/nonexistent");
    server.take();
    ground.remote(&url, &[("tls-ca-path", &key)]);
    ground.refused("no certificate in it");
    assert!(server.take().is_empty());
}

/// HTTP/2 is spoken where the server does, over one connection however many objects come, and
/// `http2=false` has HTTP/1.1 instead; the requests are the same.
#[test]
fn http2_is_spoken_unless_it_must_not() {
    let ground = Ground::new();
    ground.tree(40);
    ground.commit("main");
    let authority = Authority::new("Ours");
    let ca = file(&ground, "ca.pem", &authority.pem);
    let pair = authority.server("127.0.0.1", false);
    let server = serve(&ground, &pair, None);
    let old = Web::start_tls(&ground.path("srv"), certs::server(&pair, &["http/1.1"], None));
    let mut asked = Vec::new();
    for (web, settings, http2) in [
        (&server, &[("tls-ca-path", ca.as_str())][..], true),
        (&server, &[("tls-ca-path", &ca), ("http2", "true")], true),
        (&server, &[("tls-ca-path", &ca), ("http2", "false")], false),
        (&old, &[("tls-ca-path", &ca)], false),
    ] {
        web.take_connections();
        ground.remote(&web.url("repo"), settings);
        ground.pulls();
        let seen = web.take();
        assert!(seen.iter().all(|s| s.http2 == http2), "{settings:?}: {:?}", seen.first());
        let mut paths: Vec<String> = seen.into_iter().map(|s| s.path).collect();
        paths.sort();
        let twice = paths.windows(2).find(|pair| pair[0] == pair[1]);
        assert_eq!(twice, None, "nothing is asked for twice");
        let connections = web.take_connections();
        match http2 {
            true => assert_eq!(connections, 1),
            false => assert!((2..=16).contains(&connections), "{connections} connections"),
        }
        asked.push(paths);
    }
    assert!(asked[0].len() > 100);
    assert!(asked.iter().all(|paths| *paths == asked[0]));
}

/// What came encrypted does not go on in the clear.
#[test]
fn no_redirect_leaves_tls() {
    let ground = Ground::new();
    let authority = Authority::new("Ours");
    let ca = file(&ground, "ca.pem", &authority.pem);
    let server = serve(&ground, &authority.server("127.0.0.1", false), None);
    let plain = Web::start(&ground.path("srv"));
    let elsewhere = plain.url("");
    server.answer(move |seen| crate::web::Reply::Redirect(format!("{elsewhere}{}", seen.path)));
    ground.remote(&server.url("repo"), &[("tls-ca-path", &ca)]);
    ground.refused("redirected to scheme 'http', which is not followed from https");
    assert!(plain.take().is_empty());
    // The other way round is fine.
    let elsewhere = server.url("");
    server.answer(|_| crate::web::Reply::File);
    plain.answer(move |seen| crate::web::Reply::Redirect(format!("{elsewhere}{}", seen.path)));
    ground.remote(&plain.url("repo"), &[("tls-ca-path", &ca)]);
    ground.pulls();
}
