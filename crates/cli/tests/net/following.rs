//! Progress as JSON lines: what is known of how much there is to come.

use std::fs;

use crate::ground::{Ground, TREFOIL};
use crate::web::{Reply, Seen, Web};

/// The lines of a pull, as a shell gets them.
fn lines(ground: &Ground, url: &str) -> Vec<serde_json::Value> {
    ground.remote(url, &[]);
    let script = format!(
        "exec {TREFOIL} pull --repo=ours --update-frequency=20 --progress-fd=3 origin main 3>lines"
    );
    let output = std::process::Command::new("sh")
        .args(["-c", &script])
        .current_dir(ground.root())
        .output()
        .expect("sh starts");
    assert!(output.status.success(), "{output:?}");
    let text = fs::read_to_string(ground.path("lines")).expect("it was written");
    text.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect()
}

/// With the sizes in the commit the end is known in bytes, early; without, in objects.
#[test]
fn the_end_is_known_early() {
    let ground = Ground::new();
    ground.tree(30);
    let mut state = 4_u32;
    let noise: String = (0..400_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from(33 + (state >> 24) as u8 % 89)
        })
        .collect();
    ground.write("large", &noise);
    ground.must("commit --repo=srv/repo -b main --tree=dir=tree --no-xattrs --generate-sizes");
    ground.must("summary --repo=srv/repo -u");
    let server = Web::start(&ground.path("srv"));
    let root = ground.path("srv");
    server.answer(move |seen: &Seen| {
        let len = fs::metadata(root.join(&seen.path)).map_or(0, |m| m.len());
        let pause = if len > 100_000 { 300 } else { 3 };
        std::thread::sleep(std::time::Duration::from_millis(pause));
        Reply::File
    });
    let told = lines(&ground, &server.url("repo"));
    let last = told.last().expect("there is a last line");
    assert_eq!((&last["done"], &last["seconds_left"]), (&true.into(), &0.into()));
    let received = last["bytes_received"].as_u64().expect("a number");
    assert_eq!(last["bytes_expected"].as_u64(), Some(received), "{last}");
    let numbers: Vec<(u64, u64)> = told
        .iter()
        .filter_map(|line| {
            Some((line["bytes_expected"].as_u64()?, line["bytes_received"].as_u64()?))
        })
        .collect();
    assert!(numbers.windows(2).all(|pair| pair[0] <= pair[1]), "both grow: {numbers:?}");
    let early = numbers.iter().any(|(expected, received)| *expected > received * 2);
    assert!(early, "it is known before half of it came: {numbers:?}");

    ground.commit("main");
    let told = lines(&ground, &server.url("repo"));
    assert!(told.iter().all(|line| line["bytes_expected"].is_null()));
    assert!(told.iter().any(|line| line["seconds_left"].is_u64()), "{told:?}");
}
