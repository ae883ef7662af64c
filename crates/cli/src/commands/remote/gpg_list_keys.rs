//! `remote gpg-list-keys`.

use clap::Args;
use serde::Serialize;
use trefoil_repo::remote::find_remote;
use trefoil_repo::verify::{KeyringOf, list_keys};
use trefoil_sign::gpg::{KeyInfo, SubkeyInfo, wkd_urls};

use super::Place;
use crate::context::Context;
use crate::error::Result;
use crate::{dates, keys};

/// Arguments of `remote gpg-list-keys`.
#[derive(Args, Debug)]
pub struct GpgListKeysArgs {
    /// Remote whose keys are listed; without it, those of the system
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Print the keys as JSON
    #[arg(long)]
    json: bool,
}

/// A certificate, for `--json`. Times are seconds since 1970, 0 means never.
#[derive(Debug, Serialize)]
struct KeyView {
    fingerprint: String,
    created: i64,
    expires: i64,
    revoked: bool,
    user_ids: Vec<String>,
    subkeys: Vec<String>,
}

/// Runs `remote gpg-list-keys`.
pub fn run(args: GpgListKeysArgs, cx: &Context) -> Result<()> {
    let place = Place::open(cx, None)?;
    let sources = keys::sources(place.remotes_d.as_ref());
    let remote = match &args.name {
        Some(name) => Some(find_remote(&place.repo, place.remotes_d.as_ref(), name)?),
        None => None,
    };
    let of = remote.as_ref().map_or(KeyringOf::System, KeyringOf::Remote);
    let found = list_keys(&place.repo, &of, &sources)?;
    if args.json {
        return cx.ui.json(&found.iter().filter_map(view).collect::<Vec<_>>());
    }
    found.iter().try_for_each(|key| cx.ui.text(text(key)))
}

fn view(key: &KeyInfo) -> Option<KeyView> {
    let (primary, subkeys) = key.subkeys.split_first()?;
    Some(KeyView {
        fingerprint: primary.fingerprint.clone(),
        created: primary.created,
        expires: primary.expires,
        revoked: primary.revoked,
        user_ids: key.user_ids.iter().map(|uid| uid.uid.clone()).collect(),
        subkeys: subkeys.iter().map(|subkey| subkey.fingerprint.clone()).collect(),
    })
}

fn text(key: &KeyInfo) -> String {
    let mut out = String::new();
    let Some((primary, subkeys)) = key.subkeys.split_first() else { return out };
    out.push_str(&subkey_text(primary, "", "Key"));
    for uid in &key.user_ids {
        let marks = marks(uid.revoked, uid.invalid);
        let urls = wkd_urls(&uid.email);
        let (advanced, direct) = urls.unwrap_or_default();
        out.push_str(&format!(
            "  UID: {}{marks}\n  Advanced update URL: {advanced}\n  Direct update URL: {direct}\n",
            uid.uid
        ));
    }
    for subkey in subkeys {
        out.push_str(&subkey_text(subkey, "  ", "Subkey"));
    }
    out
}

fn subkey_text(key: &SubkeyInfo, indent: &str, title: &str) -> String {
    let marks = marks(key.revoked, key.invalid);
    let mut out = format!("{indent}{title}: {}{marks}\n", key.fingerprint);
    out.push_str(&format!("{indent}  Created: {}\n", dates::local_c(key.created)));
    if key.expires > 0 {
        let verb = if key.expired { "Expired" } else { "Expires" };
        out.push_str(&format!("{indent}  {verb}: {}\n", dates::local_c(key.expires)));
    }
    out
}

fn marks(revoked: bool, invalid: bool) -> String {
    let revoked = if revoked { " (revoked)" } else { "" };
    let invalid = if invalid { " (invalid)" } else { "" };
    format!("{revoked}{invalid}")
}
