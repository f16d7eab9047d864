//! Making certificates.

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData,
};
use time::OffsetDateTime;

use super::{AUTHORITY_LIFE, Pems, SERVING_LIFE, SKEW};

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The library refused.
    #[error("failed to make a certificate of the webhook")]
    Library(#[from] rcgen::Error),
    /// The time is none that a certificate can hold.
    #[error("failed to make a certificate of the webhook: the clock says {0}")]
    Clock(Timestamp),
}

/// An authority, and a serving certificate that it signed.
pub fn begin(hosts: &[String], now: Timestamp) -> Result<Pems, IssueError> {
    let (certificate, key) = authority(now)?;
    let pems = Pems { authorities: certificate, authority_key: key, ..Pems::default() };
    sign(&pems, hosts, now)
}

/// The same with one more authority in front, and without those that are over.
pub fn add_authority(pems: &Pems, now: Timestamp) -> Result<Pems, IssueError> {
    let (certificate, key) = authority(now)?;
    let blocks = super::blocks(&pems.authorities);
    let kept = blocks.iter().filter(|block| super::read(block).is_some_and(|each| each.is_valid(now)));
    let authorities = std::iter::once(certificate.as_str()).chain(kept.copied()).collect();
    Ok(Pems { authorities, authority_key: key, ..pems.clone() })
}

/// The same with a new serving certificate.
pub fn sign(pems: &Pems, hosts: &[String], now: Timestamp) -> Result<Pems, IssueError> {
    let newest = super::blocks(&pems.authorities).first().copied().unwrap_or_default();
    let issuer = Issuer::from_ca_cert_pem(newest, KeyPair::from_pem(&pems.authority_key)?)?;
    let mut params = CertificateParams::new(hosts.to_vec())?;
    params.distinguished_name = named(hosts.first().map(String::as_str).unwrap_or_default());
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = (at(now - SKEW)?, at(now + SERVING_LIFE)?);
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;
    Ok(Pems { certificate: certificate.pem(), key: key.serialize_pem(), ..pems.clone() })
}

/// Whether a key in PEM belongs to a certificate with this public key.
pub(super) fn is_key_of(key: &str, public: &[u8]) -> bool {
    KeyPair::from_pem(key).is_ok_and(|key| key.subject_public_key_info() == public)
}

/// Certificate and key of a new authority, whose name is its own.
fn authority(now: Timestamp) -> Result<(String, String), IssueError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&format!("onlay-webhook-ca-{}", now.as_millisecond()));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    (params.not_before, params.not_after) = (at(now - SKEW)?, at(now + AUTHORITY_LIFE)?);
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn named(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

fn at(time: Timestamp) -> Result<OffsetDateTime, IssueError> {
    OffsetDateTime::from_unix_timestamp(time.as_second()).map_err(|_| IssueError::Clock(time))
}
