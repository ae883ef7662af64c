//! Metalinks: where copies of the summary are, and what its checksum is.

use data_encoding::HEXLOWER;
use reqwest::Url;
use sha2::{Digest, Sha256, Sha512};

const FILE: &str = "summary";

/// What a metalink says about the summary.
#[derive(Debug, Default)]
pub(crate) struct Metalink {
    /// How long it is, in bytes.
    pub size: u64,
    sha256: Option<String>,
    sha512: Option<String>,
    /// Where copies are, best first.
    pub urls: Vec<Url>,
}

impl Metalink {
    /// Reads the document. The errors are in libostree's words.
    pub fn parse(text: &str) -> Result<Metalink, String> {
        let mut reader = Reader { rest: text, open: Vec::new() };
        let mut found = Metalink::default();
        let (mut any_file, mut our_file, mut known_hash) = (false, false, true);
        // In the element of the summary; only the first counts.
        let mut inside = false;
        let mut hash = String::new();
        let mut take_url = false;
        while let Some(event) = reader.next()? {
            let path: Vec<&str> = reader.open.iter().map(String::as_str).collect();
            match (event, &path[..]) {
                (Event::Start(attributes), ["metalink", "files", "file"]) => {
                    let name = attribute(&attributes, "name")
                        .ok_or("element 'file' requires attribute 'name'")?;
                    any_file = true;
                    inside = name == FILE && !our_file;
                    our_file |= name == FILE;
                }
                (
                    Event::Start(attributes),
                    ["metalink", "files", "file", "verification", "hash"],
                ) if inside => {
                    hash = attribute(&attributes, "type").unwrap_or_default();
                    known_hash = hash == "sha256" || hash == "sha512";
                }
                (Event::Start(attributes), ["metalink", "files", "file", "resources", _])
                    if inside =>
                {
                    if found.size == 0 {
                        return Err("No <size> element found or it is zero".to_string());
                    }
                    if !known_hash && found.sha256.is_none() && found.sha512.is_none() {
                        let what = "No <verification> element with known <hash type=> found";
                        return Err(what.to_string());
                    }
                    let protocol = attribute(&attributes, "protocol").unwrap_or_default();
                    take_url = path[4] == "url" && (protocol == "http" || protocol == "https");
                }
                (Event::Start(_), _) => {}
                (Event::Text(text), ["metalink", "files", "file", "size"]) if inside => {
                    found.size = text.trim().parse().unwrap_or(0);
                }
                (Event::Text(text), ["metalink", "files", "file", "verification", "hash"])
                    if inside =>
                {
                    let slot = match hash.as_str() {
                        "sha256" => &mut found.sha256,
                        "sha512" => &mut found.sha512,
                        _ => continue,
                    };
                    slot.get_or_insert_default().push_str(text.trim());
                }
                (Event::Text(text), ["metalink", "files", "file", "resources", "url"])
                    if inside && take_url =>
                {
                    found.urls.extend(crate::mirrors::parse_base(text.trim()).ok());
                }
                (Event::Text(_), _) => {}
            }
        }
        found.check(any_file, our_file)?;
        Ok(found)
    }

    fn check(&self, any_file: bool, our_file: bool) -> Result<(), String> {
        let hex = |sum: &Option<String>, len| {
            sum.as_ref().is_none_or(|s| {
                s.len() == len
                    && s.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
            })
        };
        let problem = match self {
            _ if !any_file => "No <file> element found".to_string(),
            _ if !our_file => format!("No <file name='{FILE}'> found"),
            Metalink { sha256: None, sha512: None, .. } => {
                "No <verification> hash for sha256 or sha512 found".to_string()
            }
            _ if !hex(&self.sha256, 64) => "Invalid hash digest for sha256".to_string(),
            _ if !hex(&self.sha512, 128) => "Invalid hash digest for sha512".to_string(),
            _ if self.urls.is_empty() => "No <url method='http'> elements found".to_string(),
            _ => return Ok(()),
        };
        Err(problem)
    }

    /// Whether `bytes` are the summary that is meant.
    pub fn verify(&self, bytes: &[u8]) -> Result<(), String> {
        if bytes.len() as u64 != self.size {
            let (wanted, found) = (self.size, bytes.len());
            return Err(format!("Expected size is {wanted} bytes but content is {found} bytes"));
        }
        let (wanted, actual) = match (&self.sha512, &self.sha256) {
            (Some(wanted), _) => (wanted, HEXLOWER.encode(&Sha512::digest(bytes))),
            (None, Some(wanted)) => (wanted, HEXLOWER.encode(&Sha256::digest(bytes))),
            (None, None) => return Err("there is no checksum".to_string()),
        };
        match *wanted == actual {
            true => Ok(()),
            false => Err(format!("Expected checksum is {wanted} but actual is {actual}")),
        }
    }
}

type Attributes = Vec<(String, String)>;

fn attribute(attributes: &Attributes, name: &str) -> Option<String> {
    attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
}

enum Event {
    /// An element begins; it is the last of the open ones.
    Start(Attributes),
    Text(String),
}

/// As much of XML as metalinks are made of: elements, attributes, text; declarations and
/// comments are passed over. No entities but the five of the standard.
struct Reader<'t> {
    rest: &'t str,
    open: Vec<String>,
}

const DEEPEST: usize = 64;

impl Reader<'_> {
    fn next(&mut self) -> Result<Option<Event>, String> {
        loop {
            let Some(at) = self.rest.find('<') else {
                return match (self.open.is_empty(), self.rest.trim().is_empty()) {
                    (true, true) => Ok(None),
                    (true, false) => Err(format!("{}", Malformed::NoElement)),
                    (false, _) => Err("Document ended unexpectedly".to_string()),
                };
            };
            let (text, tag) = self.rest.split_at(at);
            if !text.trim().is_empty() {
                if self.open.is_empty() {
                    return Err(format!("{}", Malformed::NoElement));
                }
                self.rest = tag;
                return unescape(text).map(|text| Some(Event::Text(text)));
            }
            if let Some(comment) = tag.strip_prefix("<!--") {
                self.rest = after(comment, "-->")?;
            } else if tag.starts_with("<?") {
                self.rest = after(tag, "?>")?;
            } else if tag.starts_with("<!") {
                return Err("declarations of types are not read".to_string());
            } else if let Some(name) = tag.strip_prefix("</") {
                self.rest = after(name, ">")?;
                let name = name[..name.len() - self.rest.len() - 1].trim();
                if self.open.pop().as_deref() != Some(name) {
                    return Err(format!("Element '{name}' was closed, but is not open"));
                }
            } else {
                return self.start(&tag[1..]).map(Some);
            }
        }
    }

    fn start(&mut self, tag: &str) -> Result<Event, String> {
        let end = tag_end(tag).ok_or("Document ended unexpectedly inside a tag")?;
        let offset = self.rest.len() - tag.len() + end + 1;
        let inner = &tag[..end];
        let (inner, is_empty) = match inner.strip_suffix('/') {
            Some(inner) => (inner, true),
            None => (inner, false),
        };
        let name_len = inner.find(char::is_whitespace).unwrap_or(inner.len());
        let (name, attributes) = inner.split_at(name_len);
        if name.is_empty() || self.open.len() == DEEPEST {
            return Err(format!("'<{name}' cannot be read"));
        }
        let attributes = attributes_of(attributes)?;
        self.open.push(name.to_string());
        self.rest = &self.rest[offset..];
        if is_empty {
            // Nothing that counts is ever empty.
            self.open.pop();
            return Ok(Event::Text(String::new()));
        }
        Ok(Event::Start(attributes))
    }
}

enum Malformed {
    NoElement,
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Document must begin with an element (e.g. <book>)")
    }
}

fn after<'t>(text: &'t str, mark: &str) -> Result<&'t str, String> {
    text.split_once(mark).map(|(_, rest)| rest).ok_or(format!("'{mark}' is missing"))
}

/// Where the `>` of a tag is, outside of quotes.
fn tag_end(tag: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in tag.char_indices() {
        match (quote, c) {
            (None, '>') => return Some(at),
            (None, '"' | '\'') => quote = Some(c),
            (Some(q), c) if q == c => quote = None,
            _ => {}
        }
    }
    None
}

fn attributes_of(mut text: &str) -> Result<Attributes, String> {
    let mut found = Vec::new();
    loop {
        text = text.trim_start();
        if text.is_empty() {
            return Ok(found);
        }
        let bad = || format!("attributes '{text}' cannot be read");
        let (name, rest) = text.split_once('=').ok_or_else(bad)?;
        let rest = rest.trim_start();
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\'')).ok_or_else(bad)?;
        let (value, rest) = rest[1..].split_once(quote).ok_or_else(bad)?;
        found.push((name.trim().to_string(), unescape(value)?));
        text = rest;
    }
}

fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, entity)) = rest.split_once('&') {
        out.push_str(before);
        let (name, after) = entity.split_once(';').ok_or("'&' without ';'")?;
        out.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => return Err(format!("entity '&{name};' is not known")),
        });
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(inner: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?>\n<metalink version=\"3.0\">\n<!-- a > b -->\
             <deeply><nested attr='>'/>text</deeply>\
             <files><file name=\"other\"/><file name=\"summary\">{inner}</file></files></metalink>\n"
        )
    }

    const SUM: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn whole(size: u64, hash: &str) -> String {
        document(&format!(
            "<size>{size}</size><verification>{hash}</verification><resources>\
             <url protocol=\"ftp\">ftp://x/</url>\
             <url protocol=\"http\" location=\"US\"> http://x/a&amp;b/summary </url></resources>"
        ))
    }

    /// Guards what is taken out of a document with much else in it.
    #[test]
    fn the_summary_is_found_and_verified() {
        let hash = format!("<hash type=\"md5\">x</hash><hash type=\"sha256\">{SUM}</hash>");
        let found = Metalink::parse(&whole(3, &hash)).expect("a metalink");
        assert_eq!(found.urls[0].as_str(), "http://x/a&b/summary");
        found.verify(b"abc").expect("the right content");
        assert!(found.verify(b"abd").expect_err("other").starts_with("Expected checksum is"));
        let size = found.verify(b"ab").expect_err("short");
        assert_eq!(size, "Expected size is 3 bytes but content is 2 bytes");
    }

    /// Guards libostree's words for what is missing, and that garbage is an error.
    #[test]
    fn what_is_missing_is_told() {
        let refused = |text: &str| Metalink::parse(text).expect_err("refused");
        assert!(refused("bacon").starts_with("Document must begin with an element"));
        assert!(refused(&whole(0, "")).contains("<size>"));
        let md5 = "<hash type=\"md5\">x</hash>";
        assert!(refused(&whole(3, md5)).contains("with known <hash"));
        let short = "<hash type=\"sha512\">bacon</hash>";
        assert_eq!(refused(&whole(3, short)), "Invalid hash digest for sha512");
        let no_url = format!("<verification><hash type='sha256'>{SUM}</hash></verification>");
        assert!(refused(&document(&no_url)).contains("<url method="));
        assert_eq!(refused("<metalink></metalink>"), "No <file> element found");
        for cut in 0..120 {
            let text = whole(3, md5);
            let _ = Metalink::parse(&text[..cut]).expect_err("cut short");
        }
    }
}
