//! From the path of a request to what it may mean. Everything not named here does not exist.

use trefoil_format::checksum::Checksum;
use trefoil_format::name::RefName;
use trefoil_format::object::{LoosePath, MAX_NAME_LEN, ObjectName, ObjectType};

/// Longest path that is looked at, in bytes, before decoding.
const PATH_LIMIT: usize = 4096;
/// The types of objects a client asks for, as archive repositories hold them.
const SERVED: [ObjectType; 6] = [
    ObjectType::File,
    ObjectType::DirTree,
    ObjectType::DirMeta,
    ObjectType::Commit,
    ObjectType::CommitMeta,
    ObjectType::TombstoneCommit,
];

/// Below which directory a ref lies.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum RefBase {
    /// `refs/heads`.
    Heads,
    /// `refs/mirrors`.
    Mirrors,
}

impl RefBase {
    /// The directory, relative to the repository.
    pub const fn path(self) -> &'static str {
        match self {
            RefBase::Heads => "refs/heads",
            RefBase::Mirrors => "refs/mirrors",
        }
    }
}

/// What a client may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// The settings a client needs.
    Config,
    /// An object, by the name an archive repository gives it.
    Object(ObjectName),
    /// A ref: the directory, and the path in it.
    Ref(RefBase, String),
    /// The summary or what belongs to it: a path relative to the repository.
    Summary(String),
    /// Any other file: a path relative to the repository.
    File(String),
    /// The question whether a ref moved.
    Follow,
    /// Word from a machine that follows.
    Report,
}

impl Resource {
    /// Reads the path of a request target as it was sent, percent signs and all. `None` is for
    /// whatever is not served, well formed or not.
    ///
    /// Each component is decoded once and by itself: an encoded slash or NUL is no way out, and
    /// neither is an empty component, `.`, `..` or anything else that begins with a dot.
    pub fn parse(path: &str) -> Option<Resource> {
        if path.len() > PATH_LIMIT {
            return None;
        }
        let parts: Option<Vec<String>> =
            path.strip_prefix('/')?.split('/').map(component).collect();
        let parts = parts?;
        let words: Vec<&str> = parts.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["config"] => Some(Resource::Config),
            ["trefoil", "follow"] => Some(Resource::Follow),
            ["trefoil", "report"] => Some(Resource::Report),
            ["summary" | "summary.sig" | "summary.idx" | "summary.idx.sig"] | ["summaries", _] => {
                Some(Resource::Summary(words.join("/")))
            }
            ["objects", folder, file] => object(folder, file).map(Resource::Object),
            ["refs", "heads", name @ ..] => refs(RefBase::Heads, name),
            ["refs", "mirrors", _, _, ..] => refs(RefBase::Mirrors, &words[2..]),
            ["deltas" | "delta-indexes" | "extensions", _, ..] => {
                Some(Resource::File(words.join("/")))
            }
            _ => None,
        }
    }
}

fn refs(base: RefBase, name: &[&str]) -> Option<Resource> {
    let name = RefName::new(&name.join("/")).ok()?;
    Some(Resource::Ref(base, name.as_str().to_string()))
}

fn object(folder: &str, file: &str) -> Option<ObjectName> {
    let (rest, _) = file.split_once('.')?;
    let checksum = Checksum::from_hex(&format!("{folder}{rest}")).ok()?;
    let name = SERVED
        .into_iter()
        .map(|kind| ObjectName::new(checksum, kind))
        .find(|name| LoosePath::new(name, true).file_name() == file)?;
    // A folder of another length than two would make the same checksum.
    (folder.len() == LoosePath::FOLDER_LEN).then_some(name)
}

/// Decodes one component and refuses what no file that we serve is called.
fn component(text: &str) -> Option<String> {
    let name = decode(text)?;
    let fine = !name.is_empty()
        && name.len() <= MAX_NAME_LEN
        && !name.starts_with('.')
        && !name.contains('/')
        && !name.chars().any(char::is_control);
    fine.then_some(name)
}

/// Undoes percent-encoding; `None` where it is malformed or does not give UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first != b'%' {
            bytes.push(first);
            rest = after;
            continue;
        }
        let digit = |at: usize| after.get(at).and_then(|&b| char::from(b).to_digit(16));
        bytes.push((digit(0)? * 16 + digit(1)?) as u8);
        rest = &after[2..];
    }
    String::from_utf8(bytes).ok()
}
