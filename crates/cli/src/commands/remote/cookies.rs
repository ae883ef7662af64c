//! `remote add-cookie`, `delete-cookie`, `list-cookies`: the file `NAME.cookies.txt` of a
//! repository, in the format of Netscape.

use clap::Args;
use serde::Serialize;
use trefoil_fetch::{Cookie, CookieJar};
use trefoil_repo::Repo;

use super::Place;
use crate::context::Context;
use crate::error::{CliError, Result};
use crate::{dates, fetching};

/// How long a cookie lasts, as libostree has it: 25 years, in seconds.
const LIFETIME: u64 = 25 * 31_557_600;

/// Arguments of `remote add-cookie` and `remote delete-cookie`.
#[derive(Args, Debug)]
pub struct CookieArgs {
    /// The remote, and the cookie
    #[arg(value_name = "NAME DOMAIN PATH COOKIE_NAME [VALUE]")]
    arguments: Vec<String>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `remote list-cookies`.
#[derive(Args, Debug)]
pub struct ListCookiesArgs {
    /// The remote
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Print the cookies as JSON
    #[arg(long)]
    json: bool,
}

/// A cookie, for `--json`.
#[derive(Debug, Serialize)]
struct CookieView {
    domain: String,
    path: String,
    secure: bool,
    expires: i64,
    name: String,
    value: String,
}

/// Runs `remote add-cookie`.
pub fn add(args: CookieArgs, cx: &Context) -> Result<()> {
    let [remote, domain, path, name, value] = args.arguments.as_slice() else {
        let text = "NAME, DOMAIN, PATH, COOKIE_NAME and VALUE must be specified";
        return Err(CliError::usage(text));
    };
    let has_break = |text: &String| text.contains(['\t', '\n', '\r']);
    if args.arguments.iter().any(has_break) {
        return Err(CliError::failed("A cookie holds no tabs and no line breaks"));
    }
    let repo = Place::open(cx, None)?.repo;
    let mut jar = fetching::cookies(&repo, remote)?;
    jar.0.push(Cookie {
        domain: domain.clone(),
        subdomains: domain.starts_with('.'),
        path: path.clone(),
        secure: false,
        expires: i64::try_from(dates::now() + LIFETIME).unwrap_or(i64::MAX),
        name: name.clone(),
        value: value.clone(),
    });
    write(&repo, remote, &jar, args.dry_run, cx)
}

/// Runs `remote delete-cookie`.
pub fn delete(args: CookieArgs, cx: &Context) -> Result<()> {
    let [remote, domain, path, name] = args.arguments.get(..4).unwrap_or_default() else {
        let text = "NAME, DOMAIN, PATH and COOKIE_NAME must be specified";
        return Err(CliError::usage(text));
    };
    let repo = Place::open(cx, None)?.repo;
    let mut jar = fetching::cookies(&repo, remote)?;
    let before = jar.0.len();
    jar.0.retain(|c| !(c.domain == *domain && c.path == *path && c.name == *name));
    if jar.0.len() == before {
        return Err(CliError::failed("Cookie not found in jar"));
    }
    write(&repo, remote, &jar, args.dry_run, cx)
}

fn write(repo: &Repo, remote: &str, jar: &CookieJar, dry_run: bool, cx: &Context) -> Result<()> {
    let text: String = jar.0.iter().map(|cookie| format!("{cookie}\n")).collect();
    let file = format!("{remote}.cookies.txt");
    match dry_run {
        true => cx.ui.line(format_args!("would write {} cookies to {file}", jar.0.len())),
        // They may let their holder in: for the owner of the repository only.
        false => Ok(repo.dir().write_durable(&file, text.as_bytes(), 0o600)?),
    }
}

/// Runs `remote list-cookies`.
pub fn list(args: ListCookiesArgs, cx: &Context) -> Result<()> {
    let name = args.name.ok_or_else(|| CliError::usage("NAME must be specified"))?;
    let repo = Place::open(cx, None)?.repo;
    let jar = fetching::cookies(&repo, &name)?;
    if args.json {
        let view = jar.0.into_iter().map(|c| CookieView {
            domain: c.domain,
            path: c.path,
            secure: c.secure,
            expires: c.expires,
            name: c.name,
            value: c.value,
        });
        return cx.ui.json(&view.collect::<Vec<_>>());
    }
    for cookie in jar.0 {
        let expires = u64::try_from(cookie.expires).unwrap_or(0);
        cx.ui.line("--")?;
        cx.ui.line(format_args!("Domain: {}", cookie.domain))?;
        cx.ui.line(format_args!("Path: {}", cookie.path))?;
        cx.ui.line(format_args!("Name: {}", cookie.name))?;
        cx.ui.line(format_args!("Secure: {}", if cookie.secure { "TRUE" } else { "FALSE" }))?;
        cx.ui.line(format_args!("Expires: {}", dates::local_iso(expires)))?;
        cx.ui.line(format_args!("Value: {}", cookie.value))?;
    }
    Ok(())
}
