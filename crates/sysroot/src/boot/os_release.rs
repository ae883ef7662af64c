use trefoil_fsat::Dir;

use crate::{Result, SysrootError};

/// Largest os-release file we read.
const LIMIT: u64 = 1 << 20;

/// The name for people of the system in `deployment`: `PRETTY_NAME`, else `ID`, of
/// `usr/lib/os-release`, else of `etc/os-release`.
pub(crate) fn read_name(deployment: &Dir) -> Result<String> {
    let bytes = match deployment.read_beneath_opt("usr/lib/os-release", LIMIT)? {
        Some(bytes) => bytes,
        None => deployment.read_beneath_opt("etc/os-release", LIMIT)?.ok_or_else(|| {
            SysrootError::State(format!(
                "{} has neither usr/lib/os-release nor etc/os-release",
                deployment.path().display()
            ))
        })?,
    };
    let text = String::from_utf8_lossy(&bytes);
    name(&text).ok_or_else(|| SysrootError::State("No PRETTY_NAME or ID in /etc/os-release".into()))
}

pub(crate) fn name(text: &str) -> Option<String> {
    value(text, "PRETTY_NAME").or_else(|| value(text, "ID"))
}

/// The last value of `key` that is quoted as a shell would accept it.
fn value(text: &str, key: &str) -> Option<String> {
    let lines = text.split('\n').rev().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once('='))
        .filter(|(k, _)| *k == key)
        .find_map(|(_, v)| unquote(v))
}

/// Removes one level of shell quoting; `None` where a quote is not closed.
fn unquote(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => loop {
                match chars.next()? {
                    '\'' => break,
                    c => out.push(c),
                }
            },
            '"' => loop {
                match chars.next()? {
                    '"' => break,
                    '\\' => match chars.next()? {
                        c @ ('"' | '\\' | '`' | '$') => out.push(c),
                        '\n' => {}
                        c => out.extend(['\\', c]),
                    },
                    c => out.push(c),
                }
            },
            '\\' => match chars.next() {
                Some('\n') => {}
                Some(c) => out.push(c),
                None => return None,
            },
            c => out.push(c),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards: titles come out of os-release as a shell (and libostree) would read them.
    #[test]
    fn names() {
        assert_eq!(name("ID=a\nPRETTY_NAME=\"B \\\"c\\\" $d\"\n").as_deref(), Some("B \"c\" $d"));
        assert_eq!(name("ID='x y'\n#PRETTY_NAME=no").as_deref(), Some("x y"));
        assert_eq!(name("PRETTY_NAME='open\nID=z").as_deref(), Some("z"));
        assert_eq!(name("NAME=x"), None);
        assert_eq!(name("ID=first\nID=last").as_deref(), Some("last"));
    }
}
