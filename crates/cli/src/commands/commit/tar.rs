//! `--tree=tar`: archives laid over the tree.

use std::path::Path;

use clap::Args;
use fancy_regex::{Captures, Regex};
use trefoil_repo::commit::{ArchiveOptions, CommitModifier, import_archive};
use trefoil_repo::{MutableTree, RepoError, Transaction};

use crate::error::{CliError, Result};
use crate::user_files;

/// How archives are read.
#[derive(Args, Debug)]
pub struct TarArgs {
    /// When loading tar archives, automatically create parent directories as needed
    #[arg(long)]
    tar_autocreate_parents: bool,
    /// When loading tar archives, use REGEX,REPLACEMENT against path names
    #[arg(long, value_name = "REGEX,REPLACEMENT")]
    tar_pathname_filter: Option<String>,
}

impl TarArgs {
    /// Refuses a filter that makes no sense, before anything is touched; and options about
    /// archives where there is no `archive`, which libostree would pass over.
    pub fn check(&self, archive: bool) -> Result<()> {
        let given = [
            (self.tar_autocreate_parents, "--tar-autocreate-parents"),
            (self.tar_pathname_filter.is_some(), "--tar-pathname-filter"),
        ];
        if let Some((_, option)) = given.iter().find(|(given, _)| *given && !archive) {
            return Err(CliError::failed(format!("{option} is for --tree=tar=TARFILE")));
        }
        self.filter().map(drop)
    }

    /// Lays the archive at `path`, `-` for the standard input, over `tree`.
    pub fn import(
        &self,
        transaction: &Transaction<'_>,
        path: &Path,
        tree: &mut MutableTree,
        modifier: &CommitModifier,
    ) -> Result<()> {
        let filter = self.filter()?;
        let translate = filter.as_ref().map(|filter| {
            move |path: &str| {
                filter
                    .apply(path)
                    .map_err(|e| RepoError::Refused(format!("--tar-pathname-filter: {path}: {e}")))
            }
        });
        let options = ArchiveOptions {
            autocreate_parents: self.tar_autocreate_parents,
            translate: translate.as_ref().map(|translate| translate as _),
            ..ArchiveOptions::default()
        };
        let mut source = user_files::open(path)?;
        import_archive(transaction, &mut *source, tree, modifier, &options)?;
        Ok(())
    }

    fn filter(&self) -> Result<Option<PathnameFilter>> {
        self.tar_pathname_filter.as_deref().map(PathnameFilter::parse).transpose()
    }
}

/// A regular expression and what its matches become, as `g_regex_replace` does it.
struct PathnameFilter {
    regex: Regex,
    replacement: Vec<Part>,
}

/// A part of a replacement.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Group(usize),
    Named(String),
}

impl PathnameFilter {
    fn parse(text: &str) -> Result<Self> {
        let (regex, replacement) = text
            .split_once(',')
            .ok_or_else(|| CliError::failed("Missing ',' in --tar-pathname-filter"))?;
        let regex = Regex::new(regex)
            .map_err(|e| CliError::failed(format!("--tar-pathname-filter: {e}")))?;
        let replacement = parts(replacement).ok_or_else(|| {
            let text = format!("--tar-pathname-filter: cannot read replacement '{replacement}'");
            CliError::failed(text)
        })?;
        Ok(PathnameFilter { regex, replacement })
    }

    fn apply(&self, path: &str) -> std::result::Result<String, fancy_regex::Error> {
        let expand = |captures: &Captures<'_, str>| {
            let part = |part: &Part| match part {
                Part::Text(text) => text.clone(),
                Part::Group(n) => captures.get(*n).map_or(String::new(), |m| m.as_str().into()),
                Part::Named(name) => {
                    captures.name(name).map_or(String::new(), |m| m.as_str().into())
                }
            };
            self.replacement.iter().map(part).collect::<String>()
        };
        Ok(self.regex.try_replacen(path, 0, expand)?.into_owned())
    }
}

/// Reads `\1`, `\g<1>`, `\g<name>`, `\\` and the usual letters; `None` for anything else.
fn parts(replacement: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = replacement;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let letter = rest.chars().next()?;
        let mut after = &rest[letter.len_utf8()..];
        let group = match letter {
            '0'..='9' => Some(Part::Group(letter as usize - '0' as usize)),
            'g' => {
                let (name, behind) = after.strip_prefix('<')?.split_once('>')?;
                after = behind;
                Some(name.parse().map_or_else(|_| Part::Named(name.to_string()), Part::Group))
            }
            '\\' | 't' | 'n' => {
                text.push(match letter {
                    't' => '\t',
                    'n' => '\n',
                    other => other,
                });
                None
            }
            _ => return None,
        };
        if let Some(group) = group {
            parts.push(Part::Text(std::mem::take(&mut text)));
            parts.push(group);
        }
        rest = after;
    }
    text.push_str(rest);
    parts.push(Part::Text(text));
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::PathnameFilter;

    /// Guards what a filter does to paths, with results of `g_regex_replace`.
    #[test]
    fn filters_work_as_in_glib() {
        for (filter, path, expected) in [
            ("^,foo/", "usr/bin", "foo/usr/bin"),
            ("^usr/bin/,usr/sbin/", "usr/bin/x", "usr/sbin/x"),
            ("/bin/,/sbin/", "usr/bin/bin/x", "usr/sbin/bin/x"),
            ("(a)(b)?,[\\1\\2\\0]", "ab-a", "[abab]-[aa]"),
            (r"(?<n>x)y,\g<n>\g<1>\\", "xy", r"xx\"),
            ("a(?=b),c", "abac", "cbac"),
            ("a,", "banana", "bnn"),
        ] {
            let filter = PathnameFilter::parse(filter).expect(filter);
            assert_eq!(filter.apply(path).expect("it matches"), expected);
        }
        for filter in ["nocomma", "(,x", r"a,\q", r"a,\g<1"] {
            assert!(PathnameFilter::parse(filter).is_err(), "{filter}");
        }
    }
}
