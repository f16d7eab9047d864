//! A registry with TLS and a password.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// Of the password `secret`.
const HASH: &str = "$2b$04$s7wBjuPU/s5ncY23BoLXGuhUUGuUHIDwzZ/U8Z/fDM08gS6YchnWe";

/// A running docker-registry on a free port of the loopback device.
pub struct Registry {
    pub address: String,
    pub authority: String,
    process: Child,
    /// Held open: the registry dies of a closed pipe.
    _log: BufReader<ChildStderr>,
    directory: TempDir,
}

impl Registry {
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        fs::create_dir(at("ca")).unwrap();
        let identity = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let authority = identity.cert.pem();
        fs::write(at("ca/ca.crt"), &authority).unwrap();
        fs::write(at("tls.key"), identity.signing_key.serialize_pem()).unwrap();
        fs::write(at("htpasswd"), format!("tiny:{HASH}\n")).unwrap();
        let config = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http: {{addr: '127.0.0.1:0', tls: {{certificate: {}, key: {}}}}}\n\
             auth: {{htpasswd: {{realm: tiny, path: {}}}}}\n",
            at("blobs"),
            at("ca/ca.crt"),
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
        Self { address, authority, process, _log: log, directory }
    }

    /// Credentials of this registry, as a secret holds them.
    pub fn docker_config(&self, password: &str) -> String {
        let login = STANDARD.encode(format!("tiny:{password}"));
        json!({"auths": {&self.address: {"auth": login}}}).to_string()
    }

    /// Pushes an image with these labels and nothing in it, and gives it by digest.
    pub fn push(&self, name: &str, labels: &serde_json::Value) -> String {
        let directory = self.directory.path().join(name.replace(['/', ':'], "-"));
        fs::create_dir_all(directory.join("blobs/sha256")).unwrap();
        let blob = |media_type: &str, contents: &[u8]| {
            let hex: String = Sha256::digest(contents).iter().map(|byte| format!("{byte:02x}")).collect();
            fs::write(directory.join("blobs/sha256").join(&hex), contents).unwrap();
            json!({"mediaType": media_type, "digest": format!("sha256:{hex}"), "size": contents.len()})
        };
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": {"Labels": labels},
            "rootfs": {"type": "layers", "diff_ids": []},
            "history": [{"created_by": name, "empty_layer": true}],
        });
        let config = blob("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
        let of = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({"schemaVersion": 2, "mediaType": of, "config": config, "layers": []});
        let manifest = blob(of, manifest.to_string().as_bytes());
        let index = json!({"schemaVersion": 2, "manifests": [manifest]});
        fs::write(directory.join("index.json"), index.to_string()).unwrap();
        fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion": "1.0.0"}"#).unwrap();
        self.copy(&directory, name);
        let repository = name.rsplit_once(':').unwrap().0;
        format!("{}/{repository}@{}", self.address, manifest["digest"].as_str().unwrap())
    }

    fn copy(&self, from: &std::path::Path, name: &str) {
        let authorities: PathBuf = self.directory.path().join("ca");
        let status = Command::new("skopeo")
            .args(["copy", "--quiet", "--preserve-digests", "--dest-creds", "tiny:secret", "--dest-cert-dir"])
            .arg(authorities)
            .arg(format!("oci:{}", from.display()))
            .arg(format!("docker://{}/{name}", self.address))
            .status()
            .expect("skopeo must be installed");
        assert!(status.success());
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn listening(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("listening on ")?;
    rest.split([',', '"']).next().map(str::to_owned)
}
