//! The certificates of the webhook: an authority of its own, and what it signs. What to do next is a pure decision.
//!
//! An authority that follows another one is published beside it, and signs only after [`SETTLED`], when every API server has
//! learnt of it. Clocks may differ by [`SKEW`].

mod issue;
#[cfg(test)]
mod tests;

use jiff::{SignedDuration, Timestamp};
use x509_parser::extensions::GeneralName;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::X509Certificate;

pub use issue::{IssueError, add_authority, begin, sign};

/// How long an authority is valid.
pub const AUTHORITY_LIFE: SignedDuration = SignedDuration::from_hours(24 * 365);
/// How long a serving certificate is valid.
pub const SERVING_LIFE: SignedDuration = SignedDuration::from_hours(24 * 90);
/// How far clocks may differ: certificates are valid that long before they are made.
pub const SKEW: SignedDuration = SignedDuration::from_hours(2);
/// How long an authority is only published before it signs.
pub const SETTLED: SignedDuration = SignedDuration::from_hours(1);

/// The end of a certificate in PEM.
const END: &str = "-----END CERTIFICATE-----\n";

/// What the Secret holds, all in PEM.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Pems {
    /// Certificates of the authorities to trust, the newest one first.
    pub authorities: String,
    /// Key of the newest authority.
    pub authority_key: String,
    /// The serving certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// What certificates say, as far as the decision needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The authorities, the newest one first.
    pub authorities: Vec<Certificate>,
    /// The serving certificate.
    pub serving: Option<Certificate>,
    /// Whether both keys are those of their certificates.
    pub keys_fit: bool,
}

/// What one certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Whom it names.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Since when it is valid.
    pub from: Timestamp,
    /// Until when it is valid.
    pub until: Timestamp,
    /// The hosts that it is for, sorted.
    pub hosts: Vec<String>,
}

impl Certificate {
    fn is_valid(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }

    /// Whether less than a third of its life is left.
    fn is_old(&self, now: Timestamp) -> bool {
        self.until.duration_since(now) < self.until.duration_since(self.from) / 3
    }
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    Keep,
    /// Make an authority and a serving certificate.
    Begin,
    /// Make an authority that will follow the newest one.
    AddAuthority,
    /// Make a serving certificate, signed by the newest authority.
    Sign,
}

/// What to do with these certificates.
pub fn next(facts: &Facts, hosts: &[String], now: Timestamp) -> Next {
    let Some(newest) = facts.authorities.first().filter(|newest| facts.keys_fit && newest.is_valid(now)) else {
        return Next::Begin;
    };
    if newest.is_old(now) {
        return Next::AddAuthority;
    }
    let Some(serving) = &facts.serving else { return Next::Sign };
    let trusted = facts.authorities.iter().any(|each| each.subject == serving.issuer && each.is_valid(now));
    if !trusted || !serving.is_valid(now) || !hosts.iter().all(|host| serving.hosts.contains(host)) {
        return Next::Sign;
    }
    let settled = newest.from + SKEW + SETTLED <= now;
    let due = serving.is_old(now) || serving.issuer != newest.subject;
    if settled && due { Next::Sign } else { Next::Keep }
}

/// Reads what the Secret holds; what cannot be read is not there.
pub fn facts(pems: &Pems) -> Facts {
    let authorities = blocks(&pems.authorities);
    let newest = authorities.first().copied().unwrap_or_default();
    let keys_fit = is_pair(&pems.authority_key, newest) && is_pair(&pems.key, &pems.certificate);
    Facts {
        keys_fit,
        authorities: authorities.into_iter().filter_map(read).collect(),
        serving: read(&pems.certificate),
    }
}

/// The certificates of a text, one text each.
fn blocks(pem: &str) -> Vec<&str> {
    pem.split_inclusive(END).filter(|block| block.contains(END)).map(|block| block.trim_start_matches('\n')).collect()
}

fn is_pair(key: &str, certificate: &str) -> bool {
    let Ok((_, pem)) = parse_x509_pem(certificate.as_bytes()) else { return false };
    pem.parse_x509().is_ok_and(|certificate| issue::is_key_of(key, certificate.public_key().raw))
}

fn read(certificate: &str) -> Option<Certificate> {
    let (_, pem) = parse_x509_pem(certificate.as_bytes()).ok()?;
    let certificate = pem.parse_x509().ok()?;
    let validity = certificate.validity();
    Some(Certificate {
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        from: Timestamp::from_second(validity.not_before.timestamp()).ok()?,
        until: Timestamp::from_second(validity.not_after.timestamp()).ok()?,
        hosts: hosts(&certificate),
    })
}

fn hosts(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|extension| &extension.value.general_names);
    let mut hosts: Vec<String> = names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => address(bytes),
            _ => None,
        })
        .collect();
    hosts.sort();
    hosts
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Some(std::net::Ipv4Addr::from(bytes).to_string());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|bytes| std::net::Ipv6Addr::from(bytes).to_string())
}
