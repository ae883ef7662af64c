use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use serde_json::Value;

use crate::lab::{Lab, can_attach};

/// Guards images in the loop of a developer: an edit is in the image, which says so; one that is in
/// use is a round that failed and says why, and is made up for by the next.
#[test]
fn an_image_follows_the_tree() {
    if !can_attach(&["mkfs.ext4"]) {
        return;
    }
    let lab = Lab::new(0);
    lab.create(&[]);
    let words = ["dev", "tree", "--ref=os", "--listen=127.0.0.1:0", "--settle=150", "--json"];
    let metadata = "--add-metadata-string=version=edited";
    let mut dev = lab
        .command(&[&words[..], &["--image=disk.img", metadata]].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let mut out = BufReader::new(dev.stdout.take().expect("it is piped"));
    let mut err = BufReader::new(dev.stderr.take().expect("it is piped"));
    let mut said = String::new();
    while !said.contains("up to date at") {
        assert!(err.read_line(&mut said).expect("it can be read") > 0, "{said}");
    }
    let mut round = || -> Value {
        let mut line = String::new();
        out.read_line(&mut line).expect("it can be read");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"))
    };
    lab.tree.write("usr/lib/version", "edited");
    let first = round();
    assert_eq!((&first["outcome"], &first["machine"]), (&"deployed".into(), &"disk.img".into()));
    assert!(first["pulled_ms"].is_u64() && first["deployed_ms"].is_u64(), "{first}");
    assert_eq!(lab.versions()[0], "edited");
    let failed = lab.mounted("disk.img", |_| {
        lab.tree.write("usr/lib/version", "edited while it is mounted");
        round()
    });
    assert_eq!(failed["outcome"], "failed");
    assert!(failed["error"].as_str().is_some_and(|e| e.contains("in use")), "{failed}");
    lab.wait_until_free();
    lab.tree.write("usr/lib/version", "edited again");
    assert_eq!(round()["outcome"], "deployed");
    let pid = dev.id().to_string();
    let sent = std::process::Command::new("kill").args(["-TERM", &pid]).status();
    assert!(sent.expect("kill runs").success());
    err.read_to_string(&mut said).expect("it can be read");
    assert_eq!(dev.wait().expect("it ends").code(), Some(0), "{said}");
    assert!(said.ends_with("ended after 3 rounds\n"), "{said}");
    lab.check_ext4();
}
