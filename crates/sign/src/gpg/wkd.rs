use data_encoding::{Encoding, Specification};
use sequoia_openpgp::types::HashAlgorithm;

/// Where the owner of an address publishes its keys (OpenPGP Web Key Directory): the advanced
/// and the direct address. `None` for what is no mail address.
pub fn wkd_urls(email: &str) -> Option<(String, String)> {
    let (local, domain) = email.split_once('@')?;
    if domain.contains('@') {
        return None;
    }
    let name = encoded(&local.to_ascii_lowercase())?;
    let escaped = percent_encoded(local);
    let below = domain.to_ascii_lowercase();
    let advanced =
        format!("https://openpgpkey.{domain}/.well-known/openpgpkey/{below}/hu/{name}?l={escaped}");
    let direct = format!("https://{domain}/.well-known/openpgpkey/hu/{name}?l={escaped}");
    Some((advanced, direct))
}

/// The SHA-1 checksum in z-base-32.
fn encoded(local: &str) -> Option<String> {
    let mut hash = HashAlgorithm::SHA1.context().ok()?.for_digest();
    hash.update(local.as_bytes());
    Some(zbase32()?.encode(&hash.into_digest().ok()?))
}

fn zbase32() -> Option<Encoding> {
    let mut spec = Specification::new();
    spec.symbols.push_str("ybndrfg8ejkmcpqxot1uwisza345h769");
    spec.encoding().ok()
}

fn percent_encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes()
        .map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    /// Guards the addresses; the values are those of libostree's own test.
    #[test]
    fn addresses_are_those_of_libostree() {
        let (advanced, direct) = super::wkd_urls("test@test.com").expect("an address");
        let name = "iffe93qcsgp4c8ncbb378rxjo6cn9q6u?l=test";
        let place = "test.com/.well-known/openpgpkey";
        assert_eq!(advanced, format!("https://openpgpkey.{place}/test.com/hu/{name}"));
        assert_eq!(direct, format!("https://{place}/hu/{name}"));
        assert_eq!(super::wkd_urls("no address"), None);
    }
}
