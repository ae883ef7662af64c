//! `docs/trust.md`, made of what the rigs noted.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use clap::Args;

use crate::Result;
use crate::figures::Run;

/// The rigs in the order of the page: the name of the verb, and what its section says first.
const RIGS: &[(&str, &str)] = &[
    (
        "power-cut",
        "The file system's writes are recorded between flushes; the disk as it was at every \
         flush, and with random subsets of the writes after it, is mounted and looked at.",
    ),
    (
        "power-cut --fs esp-fat",
        "The same in a virtual machine, where GRUB's configuration lies on an EFI system partition, \
         which is FAT.",
    ),
    (
        "faults",
        "Every mutating call through the file system layer fails once with each error, and the \
         process dies once before and after it.",
    ),
    ("fuzz", "Bytes that nobody vouches for, in everything that parses them."),
    ("neighbours", "Trefoil and libostree at work on one repository and sysroot at once."),
];

#[derive(Args)]
pub struct Options {
    /// Where to write the page
    #[arg(long, value_name = "FILE", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/trust.md"))]
    out: PathBuf,
}

pub fn run(options: &Options) -> Result<()> {
    let mut runs = Vec::new();
    for (rig, about) in RIGS {
        match Run::load(rig)? {
            Some(run) => runs.push((*rig, *about, run)),
            None => return Err(format!("no figures of `{rig}`: run `trust {rig}` first").into()),
        }
    }
    fs::write(&options.out, page(&runs))?;
    Ok(())
}

fn page(runs: &[(&str, &str, Run)]) -> String {
    let mut out = String::from(
        "# Trust\n\nWhat was tried, and what was lost. Made by `trust report` from the runs it \
         names; do not edit.\n",
    );
    for (rig, about, run) in runs {
        let _ = write!(out, "\n## {rig}\n{about}\n\n    {}\n\n", run.command);
        out.push_str("| what | program | tried | lost | seed |\n|---|---|---|---|---|\n");
        for figure in &run.figures {
            let tried: Vec<_> =
                figure.tried.iter().map(|(what, count)| format!("{count} {what}")).collect();
            let seed = figure.seed.map_or("-".into(), |seed| seed.to_string());
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {seed} |",
                figure.subject,
                figure.program,
                tried.join(", "),
                figure.lost,
            );
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Figure;

    /// The page says how often each thing was tried and how to try it again.
    #[test]
    fn a_page_has_every_figure_and_its_command() {
        let figure = Figure {
            subject: "deploy on ext4".into(),
            program: "trefoil".into(),
            tried: vec![("flush boundaries".into(), 12), ("write subsets".into(), 40)],
            lost: 0,
            seed: Some(7),
        };
        let run = Run { command: "trust power-cut --seed 7".into(), figures: vec![figure] };
        let page = page(&[("power-cut", "About.", run)]);
        assert!(page.contains("    trust power-cut --seed 7\n"));
        assert!(page.contains(
            "| deploy on ext4 | trefoil | 12 flush boundaries, 40 write subsets | 0 | 7 |"
        ));
    }
}
