//! `serve` as a program: how scripts find it, and how it ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::Lab;

/// The program, serving; killed when dropped.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(lab: &Lab, words: &[&str]) -> Served {
    let child = Command::new(env!("CARGO_BIN_EXE_trefoil"))
        .args(["serve", "repo", "--bind=127.0.0.1:0", "--port-file=port"])
        .args(words)
        .current_dir(lab.path(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    Served(child.expect("the program can be started"))
}

fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it takes the request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

/// Sends a signal and waits for a clean end.
fn end(served: &mut Served, signal: &str) {
    let pid = served.0.id().to_string();
    let sent = Command::new("kill").args([signal, &pid]).status();
    assert!(sent.expect("kill is there").success());
    let until = Instant::now() + Duration::from_secs(15);
    loop {
        if let Some(status) = served.0.try_wait().expect("it is our child") {
            assert!(status.success(), "{signal}: {status}");
            return;
        }
        assert!(Instant::now() < until, "{signal} does not end it");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Guards what scripts rely on: the first line, the port file, the log, the end.
#[test]
fn scripts_find_it() {
    let lab = Lab::with_history("archive");
    let mut served = start(&lab, &["-v"]);
    let mut out = BufReader::new(served.0.stdout.take().expect("it is piped"));
    let mut line = String::new();
    out.read_line(&mut line).expect("it says where it is");
    let port = std::fs::read_to_string(lab.path("port")).expect("the file is there by now");
    assert_eq!(line, format!("http://127.0.0.1:{}/\n", port.trim()));
    let port = port.trim().parse().expect("a number");
    assert!(get(port, "/refs/heads/main").starts_with("HTTP/1.1 200"));
    assert!(get(port, "/trefoil/follow?ref=main").starts_with("HTTP/1.1 404"));
    end(&mut served, "-TERM");
    let mut log = String::new();
    served.0.stderr.take().expect("it is piped").read_to_string(&mut log).expect("it is text");
    assert!(log.contains("\"GET /refs/heads/main HTTP/1.1\" 200 65 bytes"), "{log}");
}

/// Guards the JSON lines, `--follow`, and that nobody who waits or reads slowly delays the end.
#[test]
fn json_lines_and_interrupt() {
    let lab = Lab::with_history("bare-user");
    let mut served = start(&lab, &["--json", "--follow"]);
    let mut lines = BufReader::new(served.0.stdout.take().expect("it is piped")).lines();
    let mut next = || -> serde_json::Value {
        let line = lines.next().expect("one more line").expect("it is text");
        serde_json::from_str(&line).expect("it is JSON")
    };
    let url = next()["listening"].as_str().map(str::to_string).expect("the address");
    let port = url.trim_end_matches('/').rsplit_once(':').expect("a port").1.parse();
    let port = port.expect("a number");
    let main = lab.must(&["rev-parse", "main"]);
    let main = main.trim();
    let told = get(port, "/trefoil/follow?ref=main");
    assert!(told.ends_with(&format!("{{\"ref\":\"main\",\"checksum\":\"{main}\"}}\n")), "{told}");
    let line = next();
    assert_eq!(
        (&line["status"], &line["target"]),
        (&200.into(), &"/trefoil/follow?ref=main".into())
    );
    let mut waiting = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let request =
        format!("GET /trefoil/follow?ref=main&current={main} HTTP/1.1\r\nhost: x\r\n\r\n");
    waiting.write_all(request.as_bytes()).expect("it takes the request");
    std::thread::sleep(Duration::from_millis(200));
    end(&mut served, "-INT");
}

/// Guards a taken port: an error that names it, and no port file.
#[test]
fn a_taken_port_is_told() {
    let lab = Lab::with_history("archive");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("it has one").to_string();
    let said = lab.trefoil(&["serve", "--bind", &address, "--port-file=port"]);
    assert!(!said.ok && said.error_line().contains(&address), "{said:?}");
    assert!(!lab.path("port").exists());
}
