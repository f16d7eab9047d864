//! The lab's certificate authority, the certificates it signs, and the kubeconfigs made from them.
//!
//! One authority signs everything, as in a small real cluster. Files are written whole, key before certificate, so
//! that a run killed at any point leaves either a usable pair or none.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use serde_json::json;
use time::{OffsetDateTime, SignedDuration};

use crate::layout::{self, LayoutError};

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A key or certificate could not be made or read.
    #[error(
        "failed to make the certificate of {name}; if {directory} was changed by hand, `lab down` and `lab up` renew it"
    )]
    Certificate {
        /// Common name or file name.
        name: String,
        /// Where the authority lies.
        directory: Utf8PathBuf,
        /// What rcgen said.
        source: rcgen::Error,
    },
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] LayoutError),
}

/// The lab's certificate authority, kept in a directory.
pub struct Pki {
    directory: Utf8PathBuf,
    ca_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// PEM of the certificate, or of the public key alone.
    pub certificate: Utf8PathBuf,
    /// PEM of the key, readable by root only.
    pub key: Utf8PathBuf,
}

/// A certificate and its key in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PemPair {
    /// The certificate.
    pub certificate: String,
    /// The key, PKCS#8.
    pub key: String,
}

/// Who a client certificate speaks for: Kubernetes reads the user from CN and the group from O.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User<'a> {
    /// User name.
    pub name: &'a str,
    /// Group; rcgen writes one O at most.
    pub group: Option<&'a str>,
}

/// When a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    from: OffsetDateTime,
    until: OffsetDateTime,
}

impl Validity {
    /// From one hour to another, counted from now: `hours(-2, -1)` is over, `hours(1, 2)` is yet to come.
    pub fn hours(from: i64, until: i64) -> Self {
        let now = OffsetDateTime::UNIX_EPOCH + SignedDuration::seconds(Timestamp::now().as_second());
        Self { from: now + SignedDuration::hours(from), until: now + SignedDuration::hours(until) }
    }
}

impl User<'static> {
    /// A member of `system:masters`.
    pub const ADMIN: Self = Self { name: "lab-admin", group: Some("system:masters") };
    /// The user that the bootstrap policy lets run kube-proxy.
    pub const PROXY: Self = Self { name: "system:kube-proxy", group: None };
}

/// What a kubelet needs to join: its identity towards the API server and its own serving certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeCredentials {
    /// PEM of the authority: for `clientCAFile`, and to trust the registry.
    pub ca: String,
    /// Kubeconfig of `system:node:NAME`, with everything embedded.
    pub kubeconfig: String,
    /// Certificate and key the kubelet serves with; the API server verifies it.
    pub serving: PemPair,
}

impl Pki {
    /// Opens the authority in `directory`, or makes one there.
    pub fn ensure(directory: &Utf8Path) -> Result<Self, PkiError> {
        let failed = failure("onlay-lab-ca", directory);
        let (certificate, key_path) = (directory.join("ca.crt"), directory.join("ca.key"));
        let key = match (certificate.is_file(), std::fs::read_to_string(&key_path)) {
            (true, Ok(pem)) => KeyPair::from_pem(&pem).map_err(&failed)?,
            _ => {
                let key = KeyPair::generate().map_err(&failed)?;
                let ca = authority().self_signed(&key).map_err(&failed)?;
                layout::write_whole(&key_path, key.serialize_pem(), 0o600)?;
                layout::write_whole(&certificate, ca.pem(), 0o644)?;
                key
            }
        };
        let ca_pem = std::fs::read_to_string(&certificate)
            .map_err(|source| LayoutError::Io { path: certificate.clone(), source })?;
        Ok(Self { directory: directory.to_owned(), ca_pem, issuer: Issuer::new(authority(), key) })
    }

    /// PEM of the authority's certificate.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// File with [`Pki::ca_pem`].
    pub fn ca_file(&self) -> Utf8PathBuf {
        self.directory.join("ca.crt")
    }

    /// The key that signs service account tokens, made when missing; `certificate` is its public half.
    pub fn ensure_token_key(&self) -> Result<Pair, PkiError> {
        self.ensure_pair("service-account", || {
            let key = KeyPair::generate().map_err(failure("service-account", &self.directory))?;
            Ok(PemPair { certificate: key.public_key_pem(), key: key.serialize_pem() })
        })
    }

    /// A serving certificate for the given names and addresses, kept as `NAME.crt` and `NAME.key`.
    pub fn ensure_server(&self, name: &str, dns: &[&str], ips: &[IpAddr]) -> Result<Pair, PkiError> {
        self.ensure_pair(name, || self.issue_server(name, dns, ips))
    }

    /// A client certificate, kept as `NAME.crt` and `NAME.key`.
    pub fn ensure_client(&self, name: &str, user: User<'_>) -> Result<Pair, PkiError> {
        self.ensure_pair(name, || self.issue_client(user))
    }

    /// A new serving certificate for the given names and addresses.
    pub fn issue_server(&self, name: &str, dns: &[&str], ips: &[IpAddr]) -> Result<PemPair, PkiError> {
        self.issue_server_valid(name, dns, ips, None)
    }

    /// The same, valid then and at no other time.
    pub fn issue_server_valid(
        &self,
        name: &str,
        dns: &[&str],
        ips: &[IpAddr],
        validity: Option<Validity>,
    ) -> Result<PemPair, PkiError> {
        let dns: Vec<_> = dns.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(dns).map_err(failure(name, &self.directory))?;
        params.subject_alt_names.extend(ips.iter().map(|ip| SanType::IpAddress(*ip)));
        params.distinguished_name = subject(User { name, group: None });
        if let Some(Validity { from, until }) = validity {
            (params.not_before, params.not_after) = (from, until);
        }
        self.sign(params, ExtendedKeyUsagePurpose::ServerAuth, name)
    }

    /// A new client certificate.
    pub fn issue_client(&self, user: User<'_>) -> Result<PemPair, PkiError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(user);
        self.sign(params, ExtendedKeyUsagePurpose::ClientAuth, user.name)
    }

    /// Everything a new node needs; `server` is the API server's URL.
    pub fn issue_node(&self, name: &str, ips: &[IpAddr], server: &str) -> Result<NodeCredentials, PkiError> {
        let user = format!("system:node:{name}");
        Ok(NodeCredentials {
            ca: self.ca_pem.clone(),
            kubeconfig: self.kubeconfig(User { name: &user, group: Some("system:nodes") }, server)?,
            serving: self.issue_server(name, &[name], ips)?,
        })
    }

    /// A kubeconfig for `user` at `server` with a new client certificate, everything embedded. It is JSON, which every
    /// reader of kubeconfigs takes.
    pub fn kubeconfig(&self, user: User<'_>, server: &str) -> Result<String, PkiError> {
        let pair = self.issue_client(user)?;
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "onlay-lab", "cluster": {
                "server": server, "certificate-authority-data": STANDARD.encode(&self.ca_pem),
            }}],
            "users": [{"name": user.name, "user": {
                "client-certificate-data": STANDARD.encode(pair.certificate),
                "client-key-data": STANDARD.encode(pair.key),
            }}],
            "contexts": [{"name": "onlay-lab", "context": {"cluster": "onlay-lab", "user": user.name}}],
            "current-context": "onlay-lab",
        });
        Ok(format!("{config:#}\n"))
    }

    /// A kubeconfig file for `user`, made when missing.
    pub fn ensure_kubeconfig(&self, path: &Utf8Path, user: User<'_>, server: &str) -> Result<(), PkiError> {
        if !path.is_file() {
            layout::write_whole(path, self.kubeconfig(user, server)?, 0o600)?;
        }
        Ok(())
    }

    fn ensure_pair(&self, name: &str, issue: impl FnOnce() -> Result<PemPair, PkiError>) -> Result<Pair, PkiError> {
        let at = |ending: &str| self.directory.join(format!("{name}.{ending}"));
        let files = Pair { certificate: at("crt"), key: at("key") };
        if !files.certificate.is_file() || !files.key.is_file() {
            let pair = issue()?;
            layout::write_whole(&files.key, pair.key, 0o600)?;
            layout::write_whole(&files.certificate, pair.certificate, 0o644)?;
        }
        Ok(files)
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        usage: ExtendedKeyUsagePurpose,
        name: &str,
    ) -> Result<PemPair, PkiError> {
        let failed = failure(name, &self.directory);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(&failed)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(&failed)?;
        Ok(PemPair { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

fn authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject(User { name: "onlay-lab-ca", group: None });
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn subject(user: User<'_>) -> rcgen::DistinguishedName {
    let mut name = rcgen::DistinguishedName::new();
    name.push(DnType::CommonName, user.name);
    if let Some(group) = user.group {
        name.push(DnType::OrganizationName, group);
    }
    name
}

fn failure(name: &str, directory: &Utf8Path) -> impl Fn(rcgen::Error) -> PkiError {
    let (name, directory) = (name.to_owned(), directory.to_owned());
    move |source| PkiError::Certificate { name: name.clone(), directory: directory.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> (tempfile::TempDir, Utf8PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(directory.path().to_owned()).unwrap();
        (directory, path)
    }

    async fn openssl_verify(ca: &Utf8Path, certificate: &str, more: &[&str]) -> String {
        let file = ca.with_file_name("leaf.pem");
        std::fs::write(&file, certificate).unwrap();
        let words = [&["openssl", "verify", "-x509_strict", "-CAfile", ca.as_str()], more, &[file.as_str()]].concat();
        crate::command::run(&words).await.unwrap_or_else(|error| error.to_string())
    }

    #[tokio::test]
    async fn openssl_accepts_a_serving_certificate_for_its_names_and_addresses() {
        let (_keep, path) = directory();
        let pki = Pki::ensure(&path).unwrap();
        let node = pki.issue_node("worker-0", &[IpAddr::from([10, 223, 0, 20])], "https://10.223.0.1:6443").unwrap();
        let more = ["-verify_ip", "10.223.0.20", "-verify_hostname", "worker-0", "-purpose", "sslserver"];
        assert!(openssl_verify(&pki.ca_file(), &node.serving.certificate, &more).await.contains("OK"));
    }

    #[tokio::test]
    async fn openssl_accepts_a_certificate_while_it_is_valid() {
        let (_keep, path) = directory();
        let pki = Pki::ensure(&path).unwrap();
        let pair = pki.issue_server_valid("front", &["front"], &[], Some(Validity::hours(1, 3))).unwrap();
        let at = |hours: i64| (Timestamp::now().as_second() + hours * 3600).to_string();
        for (hours, words) in [(0, "certificate is not yet valid"), (2, ": OK"), (4, "certificate has expired")] {
            let said = openssl_verify(&pki.ca_file(), &pair.certificate, &["-attime", &at(hours)]).await;
            assert!(said.contains(words), "in {hours} h: {said}");
        }
    }

    #[tokio::test]
    async fn an_authority_opened_again_signs_for_the_same_certificate() {
        let (_keep, path) = directory();
        let first = Pki::ensure(&path).unwrap().ca_pem().to_owned();
        let again = Pki::ensure(&path).unwrap();
        assert_eq!(again.ca_pem(), first);
        let client = again.issue_client(User::ADMIN).unwrap();
        let said = openssl_verify(&again.ca_file(), &client.certificate, &["-purpose", "sslclient"]).await;
        assert!(said.contains("OK"));
    }

    #[test]
    fn an_authority_without_a_certificate_is_the_leftover_of_a_killed_run_and_made_anew() {
        let (_keep, path) = directory();
        layout::write_whole(&path.join("ca.key"), "half", 0o600).unwrap();
        Pki::ensure(&path).unwrap();
    }

    #[test]
    fn a_pair_is_made_once() {
        let (_keep, path) = directory();
        let pki = Pki::ensure(&path).unwrap();
        let read = |pair: &Pair| std::fs::read_to_string(&pair.certificate).unwrap();
        let first = read(&pki.ensure_client("admin", User::ADMIN).unwrap());
        assert_eq!(read(&pki.ensure_client("admin", User::ADMIN).unwrap()), first);
    }

    #[test]
    fn kube_reads_the_kubeconfig() {
        let (_keep, path) = directory();
        let text = Pki::ensure(&path).unwrap().kubeconfig(User::ADMIN, "https://10.223.0.1:6443").unwrap();
        let config = kube::config::Kubeconfig::from_yaml(&text).unwrap();
        assert_eq!(config.current_context.as_deref(), Some("onlay-lab"));
        assert_eq!(config.auth_infos[0].name, "lab-admin");
    }
}
