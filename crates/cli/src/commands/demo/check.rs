//! What libostree says of the result.

use trefoil_fsat::Dir;

use crate::commands::lab::compare::Comparison;
use crate::commands::lab::machine::Machine;
use crate::commands::lab::peer::Peer;
use crate::commands::lab::table::{number, time};
use crate::context::Context;
use crate::error::Result;

/// The closing line.
#[derive(Debug)]
pub struct Verdict {
    /// In words.
    pub text: String,
    /// Whether everything agreed.
    pub good: bool,
}

/// Lets `ostree` check our repository and list our deployments, and compares our newest
/// deployment, which was recycled or not, with the one `ostree` made of the same commit.
pub fn check(cx: &Context, ours: &Machine, theirs: Option<&(Peer, Machine)>) -> Result<Verdict> {
    let Some((peer, theirs)) = theirs else {
        let text = "libostree was not asked: `ostree` is not installed.".to_string();
        return Ok(Verdict { text, good: true });
    };
    let progress = cx.progress("ostree fsck");
    let repo = format!("--repo={}", ours.repo_path().display());
    let fsck = peer.run(&["fsck", "--quiet", &repo]);
    drop(progress);
    let fsck = match fsck {
        Ok(ran) => Ok(format!("ostree fsck: passes, in {}", time(ran.seconds))),
        Err(e) => Err(format!("ostree fsck: {e}")),
    };
    let lists = compare_lists(ours, peer)?;
    let progress = cx.progress("comparing the deployments");
    let trees = compare_trees(&recycled(ours)?, &recycled(theirs)?, "tree and /etc")?;
    drop(progress);
    let results = [fsck, lists, trees];
    let good = results.iter().all(std::result::Result::is_ok);
    for result in results {
        let (Ok(text) | Err(text)) = result;
        cx.ui.line(text)?;
    }
    cx.ui.line("")?;
    let text = match good {
        true => format!("libostree {} agrees: fsck, status, tree and /etc.", peer.version),
        false => format!("libostree {} does NOT agree; see above.", peer.version),
    };
    Ok(Verdict { text, good })
}

/// The last deployment that was recycled: the one before the last.
fn recycled(machine: &Machine) -> Result<Dir> {
    let sysroot = machine.open()?;
    Ok(sysroot.dir().open_dir(sysroot.deployment(1)?.path())?)
}

fn compare_lists(ours: &Machine, peer: &Peer) -> Result<std::result::Result<String, String>> {
    let sysroot = format!("--sysroot={}", ours.path().display());
    let status = match peer.run(&["admin", "status", &sysroot]) {
        Ok(ran) => ran.output,
        Err(e) => return Ok(Err(format!("ostree admin status: {e}"))),
    };
    let named: Vec<&str> = status
        .lines()
        .flat_map(|line| line.split_whitespace())
        .filter(|word| trefoil_sysroot::parse_name(word).is_some())
        .collect();
    let opened = ours.open()?;
    let listed: Vec<String> = opened.deployments().iter().map(|d| d.name()).collect();
    Ok(if named == listed {
        Ok(format!("ostree admin status: the same {} deployments in the same order", listed.len()))
    } else {
        Err(format!("ostree admin status differs: {named:?}, ours: {listed:?}"))
    })
}

fn compare_trees(
    ours: &Dir,
    theirs: &Dir,
    what: &str,
) -> Result<std::result::Result<String, String>> {
    let found = Comparison::of(ours, theirs)?;
    if found.differences.is_empty() {
        return Ok(Ok(format!(
            "recycled {what} against libostree's deployment of the same commit: all {} entries \
             equal, {} of them the same inode",
            number(found.entries),
            number(found.same_inode)
        )));
    }
    Ok(Err(format!("recycled {what} differs from libostree's: {}", found.differences.join(", "))))
}
