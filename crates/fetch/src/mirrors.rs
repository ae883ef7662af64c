use reqwest::Url;
use trefoil_repo::pull::transport::{FetchError, FetchProblem};

/// An address that files lie below.
pub(crate) fn parse_base(text: &str) -> Result<Url, FetchError> {
    let refused =
        |what: String| FetchError { url: text.to_string(), problem: FetchProblem::Refused(what) };
    let url = Url::parse(text).map_err(|e| refused(format!("Invalid URI '{text}': {e}")))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err(refused(format!("Invalid URI scheme in {text}"))),
    }
}

/// The address of the file `path` below `base`. The path is taken as it is: `?`, `#` and `%` in
/// the name of a ref are not special.
pub(crate) fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_query(None);
    url.set_fragment(None);
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path.split('/'));
    }
    url
}

/// The addresses in a list of mirrors: one a line, HTTP only, `#` begins a comment.
pub(crate) fn parse_list(text: &str) -> Vec<Url> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter_map(|line| parse_base(line).ok())
        .collect()
}

/// An address without what is secret in it, for messages.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Only an address that has no host refuses.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards that a name cannot change the address, and that passwords are not shown.
    #[test]
    fn paths_stay_below_their_base() {
        let base = parse_base("http://me:secret@host/repo/").expect("an address");
        assert_eq!(
            shown(&below(&base, "refs/heads/a?b#c%d")),
            "http://host/repo/refs/heads/a%3Fb%23c%25d"
        );
        let base = parse_base("http://host/repo").expect("an address");
        assert_eq!(below(&base, "summary").as_str(), "http://host/repo/summary");
        assert_eq!(below(&base, "../../x").as_str(), "http://host/repo/x");
        let list = parse_list("\n# us\nhttp://a/\nfile:///b\n  https://c/d\nnonsense\n");
        assert_eq!(list.iter().map(Url::as_str).collect::<Vec<_>>(), ["http://a/", "https://c/d"]);
        let error = parse_base("badscheme://something").expect_err("no HTTP");
        assert_eq!(error.problem.to_string(), "Invalid URI scheme in badscheme://something");
    }
}
