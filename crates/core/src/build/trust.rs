//! Authorities that builds trust besides the machine's: for registries, and for commands of a Containerfile.
//!
//! Source of the ConfigMap's key: what clusters write that fill ConfigMaps with the label `config.openshift.io/inject-trusted-cabundle`.
//! Commands find the authorities by the environment that their programs look into. An `ARG` is in the environment of commands,
//! and not in that of the image; what it says is where the file lies, so that other authorities make no other layers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use onlay_api::layering_policy::BuildPolicy;
use onlay_api::names::{TRUSTED_CA_CONFIG_MAP, TRUSTED_CA_KEY};

use super::extras::Contents;

/// The directory where commands see the authorities.
pub const DIRECTORY: &str = "/run/onlay-ca";
/// Name in [`DIRECTORY`] of what the base image trusts, and these authorities.
pub const BUNDLE: &str = "ca-bundle.crt";
/// Name in [`DIRECTORY`] of what apt reads.
pub const APT: &str = "apt.conf";

/// Where programs look for the name of a file with authorities: OpenSSL and Go, curl, Python's requests and pip, git, Node.js.
const VARIABLES: [&str; 5] =
    ["SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS"];

/// What stands around a certificate.
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";
/// The first byte of every certificate: it is a sequence of ASN.1.
const SEQUENCE: u8 = 0x30;

/// Name of the ConfigMap with the authorities of a pool's builds.
pub fn config_map(policy: &BuildPolicy) -> &str {
    policy.trusted_ca.as_ref().map_or(TRUSTED_CA_CONFIG_MAP, |named| &named.name)
}

/// The authorities of a pool's builds, in PEM; none if the policy names no ConfigMap, and the usual one is not there or empty. An
/// error says what is wrong with the ConfigMap.
pub fn authorities(policy: &BuildPolicy, found: Option<&Contents>) -> Result<Option<String>, String> {
    let is_named = policy.trusted_ca.is_some();
    let bundle = found.and_then(|contents| contents.0.get(TRUSTED_CA_KEY));
    match (found, bundle) {
        (None, _) if is_named => Err("does not exist".to_owned()),
        (Some(contents), None) if is_named => {
            let keys: Vec<&str> = contents.0.keys().map(String::as_str).collect();
            let has = if keys.is_empty() { "is empty".to_owned() } else { format!("has {}", keys.join(", ")) };
            Err(format!("has no key {TRUSTED_CA_KEY}, and {has}; write certificates in PEM there"))
        }
        (_, None) => Ok(None),
        (_, Some(bundle)) if !is_named && bundle.trim_ascii().is_empty() => Ok(None),
        (_, Some(bundle)) => certificates(bundle).map(Some),
    }
}

/// The certificates in a text, one below the other; whatever stands between them is left out.
pub fn certificates(bundle: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(bundle);
    let blocks: Vec<&str> = text.split(BEGIN).skip(1).collect();
    if blocks.is_empty() {
        return Err(format!("has no certificate in key {TRUSTED_CA_KEY}; write certificates in PEM there ({BEGIN} …)"));
    }
    let of_block = |(index, block): (usize, &&str)| {
        let body = block.split_once(END).map(|(body, _)| body.split_whitespace().collect::<String>());
        let body = body.filter(|body| STANDARD.decode(body).is_ok_and(|bytes| bytes.first() == Some(&SEQUENCE)));
        let broken = || {
            let number = index + 1;
            format!("has a broken certificate in key {TRUSTED_CA_KEY}, number {number} of {}; correct it", blocks.len())
        };
        body.map(|body| format!("{BEGIN}\n{}{END}\n", lines(&body))).ok_or_else(broken)
    };
    blocks.iter().enumerate().map(of_block).collect()
}

/// A text in lines as PEM has them.
fn lines(text: &str) -> String {
    text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned() + "\n").collect()
}

/// The instruction that tells commands where the authorities are.
pub fn instruction() -> String {
    let variables: String = VARIABLES.iter().map(|name| format!(" {name}={DIRECTORY}/{BUNDLE}")).collect();
    format!("ARG{variables} APT_CONFIG={DIRECTORY}/{APT}\n")
}

/// What apt reads: it looks for authorities in no environment. What the image itself configures comes behind it, and wins.
pub fn apt() -> String {
    format!("Acquire::https::CAInfo \"{DIRECTORY}/{BUNDLE}\";\n")
}

#[cfg(test)]
mod tests;
