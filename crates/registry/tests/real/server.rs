//! A registry with TLS and a password, for one test.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, Stdio};

use oci_client::Client;
use oci_client::client::{Certificate, CertificateEncoding, ClientConfig};
use oci_client::secrets::RegistryAuth;
use tempfile::TempDir;

/// Of the password `secret`.
const HASH: &str = "$2b$04$s7wBjuPU/s5ncY23BoLXGuhUUGuUHIDwzZ/U8Z/fDM08gS6YchnWe";

/// A running docker-registry on a free port of the loopback device.
pub struct Server {
    pub address: String,
    pub authority: String,
    process: Child,
    /// Held open: the registry dies of a closed pipe.
    _log: BufReader<ChildStderr>,
    _directory: TempDir,
}

impl Server {
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let identity = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let authority = identity.cert.pem();
        fs::write(at("tls.crt"), &authority).unwrap();
        fs::write(at("tls.key"), identity.signing_key.serialize_pem()).unwrap();
        fs::write(at("htpasswd"), format!("tiny:{HASH}\n")).unwrap();
        let config = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http: {{addr: '127.0.0.1:0', tls: {{certificate: {}, key: {}}}}}\n\
             auth: {{htpasswd: {{realm: tiny, path: {}}}}}\n",
            at("blobs"),
            at("tls.crt"),
            at("tls.key"),
            at("htpasswd"),
        );
        fs::write(at("registry.yml"), config).unwrap();
        let mut process = Command::new("docker-registry")
            .args(["serve", &at("registry.yml")])
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("docker-registry must be installed");
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let lines = log.by_ref().lines().map_while(Result::ok);
        let address = lines.filter_map(|line| listening(&line)).next().expect("an address in the log");
        Self { address, authority, process, _log: log, _directory: directory }
    }

    pub fn client(&self) -> Client {
        let data = self.authority.clone().into_bytes();
        let _already_chosen = rustls::crypto::ring::default_provider().install_default();
        Client::new(ClientConfig {
            extra_root_certificates: vec![Certificate { encoding: CertificateEncoding::Pem, data }],
            ..ClientConfig::default()
        })
    }

    pub fn login(&self) -> RegistryAuth {
        RegistryAuth::Basic("tiny".to_owned(), "secret".to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn listening(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("listening on ")?;
    rest.split([',', '"']).next().map(str::to_owned)
}
