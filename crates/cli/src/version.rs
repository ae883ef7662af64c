//! The text of `--version`: YAML that scripts parse.

/// The version of libostree whose behaviour is followed.
pub const FOLLOWED: &str = "2026.4";

/// Abilities that scripts ask for by libostree's word. Only what is really there is listed.
const FEATURES: [&str; 5] = ["libarchive", "initial-var", "sign-ed25519", "sign-spki", "trefoil"];
/// Only in a build that can verify OpenPGP signatures.
const GPG_FEATURE: &str = "gpgme";

/// The whole text, to be written in one go.
pub fn text() -> String {
    let mut out = format!("libostree:\n Version: '{FOLLOWED}'\n");
    if let Some(commit) = option_env!("TREFOIL_GIT_COMMIT") {
        out.push_str(&format!(" Git: {commit}\n"));
    }
    out.push_str(" Features:\n");
    for feature in FEATURES.into_iter().chain(cfg!(feature = "gpg").then_some(GPG_FEATURE)) {
        out.push_str(&format!("  - {feature}\n"));
    }
    out.push_str(&format!("trefoil:\n Version: '{}'\n", env!("CARGO_PKG_VERSION")));
    out
}
