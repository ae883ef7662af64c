//! The page that names a guard for every invariant names tests that exist.

#![allow(clippy::disallowed_methods, reason = "tests look at the real file system")]

use std::fs;
use std::path::Path;

/// Fewer names than this, and the page is not read as it should be.
const AT_LEAST: usize = 60;

/// Guards that no test which guards an invariant is renamed or deleted behind the page's back,
/// and that no row is without a guard.
#[test]
fn every_guard_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(root.join("docs/invariants.md")).expect("the page");
    let quoted = page.split('`').skip(1).step_by(2);
    let guards: Vec<_> = quoted.filter_map(|name| name.split_once("::")).collect();
    assert!(guards.len() >= AT_LEAST, "only {} guards are named", guards.len());
    for (file, test) in guards {
        if file == "FILE" {
            continue;
        }
        let source = fs::read_to_string(root.join(file)).unwrap_or_default();
        let head = format!("fn {test}(");
        let at = source.find(&head).unwrap_or_else(|| panic!("{file} has no test {test}"));
        let before: String = source[..at].lines().rev().take(12).collect();
        assert!(before.contains("#[test]"), "{file}: {test} is no test");
    }
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        let guard = row.split('|').nth(2).unwrap_or_default();
        let named = guard.contains("::") || guard.contains("`trust ") || guard.contains("the same");
        assert!(named || guard.contains("guarded by"), "without a guard: {row}");
    }
}
