use trefoil_serve::{Report, Resource, fuzzing};

use super::Target;

pub const TARGET: Target = Target {
    name: "http",
    formats: "requests to `trefoil serve`: paths, the question whether a ref moved, conditions \
              and ranges, reports of machines",
    run,
};

/// The length of what is asked for, and the head of a request.
fn run(bytes: &[u8]) {
    let Some((len, rest)) = bytes.split_first_chunk::<8>() else { return };
    let len = u64::from_le_bytes(*len);
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let (text, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    if let Some(report) = Report::parse(body.as_bytes()) {
        assert!(Report::parse(&report.to_bytes()).is_some(), "{report:?}");
    }
    let mut lines = text.split("\r\n");
    let target = lines.next().unwrap_or_default().split(' ').nth(1).unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    resource(path);
    let _ = fuzzing::is_question(query);
    let headers: Vec<(&str, &str)> =
        lines.filter_map(|line| line.split_once(':')).map(|(k, v)| (k, v.trim())).collect();
    for strong in [false, true] {
        if let Some(range) = fuzzing::range(headers.iter().copied(), len, strong) {
            assert!(range.start <= range.end && range.end <= len, "{range:?} of {len} bytes");
        }
    }
}

/// Whatever a path means, it is no way out of the repository and none to what is hidden.
fn resource(path: &str) {
    let path = match Resource::parse(path) {
        Some(Resource::Summary(path) | Resource::File(path) | Resource::Ref(_, path)) => path,
        Some(Resource::Object(_) | Resource::Config | Resource::Follow | Resource::Report)
        | None => return,
    };
    assert!(!path.contains('\0'));
    for component in path.split('/') {
        assert!(!component.is_empty() && !component.starts_with('.'), "{path}");
    }
}
