use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use trefoil_trust::targets::{INPUT_LIMIT, TIME_LIMIT, Target};

use crate::Result;

/// Memory of the whole process in MiB, that of the engine included.
const PROCESS_MIB: u64 = 2048;

/// The program that fuzzes, built.
pub struct Engine {
    program: PathBuf,
    seconds: u64,
    seed: u32,
}

/// What became of one target.
pub struct Outcome {
    pub executions: u64,
    /// Inputs that each reach something the others do not.
    pub inputs: u64,
    pub reached: u64,
    /// Where the input lies that something is wrong with, and what.
    pub found: Option<String>,
}

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn scratch() -> PathBuf {
    package().join("../../target/fuzz")
}

impl Engine {
    pub fn build(seconds: u64, seed: u32) -> Result<Engine> {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(package()).args(["build", "--locked", "--workspace"]);
        // Of the whole workspace, so that libraries have the features any other build gave them.
        cargo.args(["--features", "trefoil-trust/libfuzzer"]);
        cargo.args(["--bin", "trust-engine", "--message-format", "json-render-diagnostics"]);
        // In the profile of any debug build, so that the libraries of others are shared with it.
        cargo.env("CARGO_INCREMENTAL", "0");
        cargo.env("RUSTC_WORKSPACE_WRAPPER", package().join("instrument"));
        // What `cargo run` told this process about our package would be news to the build
        // scripts of others, and have them run again.
        let told = std::env::vars_os().map(|(name, _)| name).filter(|name| {
            let name = name.to_string_lossy();
            ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|start| name.starts_with(start))
        });
        for name in told {
            cargo.env_remove(name);
        }
        cargo.stderr(std::process::Stdio::inherit());
        let output = cargo.output().map_err(|e| format!("cannot run cargo: {e}"))?;
        if !output.status.success() {
            return Err("the engine could not be built; a C++ compiler is needed (g++)".into());
        }
        let program = executable(&String::from_utf8_lossy(&output.stdout))
            .ok_or("cargo did not say where the engine is")?;
        // The next build of anything by this name would replace it.
        fs::create_dir_all(scratch())?;
        let kept = scratch().join("trust-engine");
        let _ = fs::remove_file(&kept);
        fs::copy(program, &kept)?;
        Ok(Engine { program: kept, seconds, seed })
    }

    pub fn run(&self, target: &Target) -> Result<Outcome> {
        let learned = scratch().join("corpus").join(target.name);
        let found = scratch().join("found");
        let log = scratch().join(format!("{}.log", target.name));
        fs::create_dir_all(&learned)?;
        fs::create_dir_all(&found)?;
        let prefix = found.join(format!("{}-", target.name));
        let status = Command::new(&self.program)
            .env("TRUST_TARGET", target.name)
            .args([learned, package().join("corpus").join(target.name)])
            .arg(format!("-max_total_time={}", self.seconds))
            .arg(format!("-seed={}", self.seed))
            .arg(format!("-max_len={INPUT_LIMIT}"))
            .arg(format!("-timeout={}", TIME_LIMIT.as_secs()))
            .arg(format!("-rss_limit_mb={PROCESS_MIB}"))
            .arg(format!("-artifact_prefix={}", prefix.display()))
            .args(["-print_final_stats=1", "-detect_leaks=0"])
            .stdout(File::create(scratch().join(format!("{}.out", target.name)))?)
            .stderr(File::create(&log)?)
            .status()?;
        let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        let mut outcome = Outcome {
            executions: number_after(&text, "stat::number_of_executed_units:").unwrap_or(0),
            inputs: number_after(&text, " corp: ").unwrap_or(0),
            reached: number_after(&text, " cov: ").unwrap_or(0),
            found: None,
        };
        eprintln!(
            "{}: {} executions, {} inputs, {} counters reached",
            target.name, outcome.executions, outcome.inputs, outcome.reached
        );
        if !status.success() || outcome.executions == 0 {
            outcome.found = Some(problem(&text, &log));
        }
        Ok(outcome)
    }
}

/// The path of the program in what cargo says of its build.
fn executable(messages: &str) -> Option<PathBuf> {
    let mut told = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let path = message.get("executable")?.as_str()?;
        path.ends_with("trust-engine").then(|| PathBuf::from(path))
    });
    told.next_back()
}

/// The last number that stands behind `label`.
fn number_after(text: &str, label: &str) -> Option<u64> {
    let (_, rest) = text.rsplit_once(label)?;
    let rest = rest.trim_start();
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// What the engine said about its finding.
fn problem(text: &str, log: &Path) -> String {
    let lines = text.lines().filter(|line| {
        ["panicked at", "ERROR: libFuzzer", "Test unit written to", "memory allocation of"]
            .iter()
            .any(|word| line.contains(word))
    });
    let lines: Vec<&str> = lines.collect();
    format!("{} (all of it: {})", lines.join("\n  "), log.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards the figures: libFuzzer's closing lines are read as they are.
    #[test]
    fn closing_lines() {
        let text = "#8\tINITED cov: 5 ft: 6 corp: 1/2b\n\
                    #99\tDONE   cov: 51 ft: 60 corp: 13/1500b lim: 4 exec/s: 9\n\
                    stat::number_of_executed_units: 99\nstat::peak_rss_mb: 38\n";
        assert_eq!(number_after(text, " cov: "), Some(51));
        assert_eq!(number_after(text, " corp: "), Some(13));
        assert_eq!(number_after(text, "stat::number_of_executed_units:"), Some(99));
        assert_eq!(number_after(text, "nothing"), None);
    }
}
