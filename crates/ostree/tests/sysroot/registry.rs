//! A registry with TLS and a password, for one test.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, Command, Stdio};

use sha2::{Digest, Sha256};

use crate::base::Workshop;
use crate::tool::run;

const USER: &str = "tiny";
const PASSWORD: &str = "secret";
const PASSWORD_HASH: &str = "$2b$04$s7wBjuPU/s5ncY23BoLXGuhUUGuUHIDwzZ/U8Z/fDM08gS6YchnWe";

/// A running docker-registry on a free port of the loopback device.
pub struct Registry<'a> {
    workshop: &'a Workshop,
    process: Child,
    /// Held open: the registry dies of a closed pipe.
    _log: BufReader<ChildStderr>,
    address: String,
}

impl<'a> Registry<'a> {
    pub fn start(workshop: &'a Workshop) -> Self {
        let at = |name: &str| workshop.path(name);
        fs::create_dir(at("certs")).unwrap();
        fs::create_dir(at("no-certs")).unwrap();
        let identity = rcgen::generate_simple_self_signed(["127.0.0.1".to_string()]).unwrap();
        fs::write(at("certs/ca.crt"), identity.cert.pem()).unwrap();
        fs::write(at("tls.key"), identity.signing_key.serialize_pem()).unwrap();
        fs::write(at("htpasswd"), format!("{USER}:{PASSWORD_HASH}\n")).unwrap();
        let config = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http: {{addr: '127.0.0.1:0', tls: {{certificate: {}, key: {}}}}}\n\
             auth: {{htpasswd: {{realm: tiny, path: {}}}}}\n",
            at("blobs"),
            at("certs/ca.crt"),
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
        let address = log
            .by_ref()
            .lines()
            .map_while(Result::ok)
            .find_map(|line| listening(&line))
            .expect("an address in the log");
        let registry = Self { workshop, process, _log: log, address };
        registry.write_credentials("auth.json", PASSWORD);
        registry.write_credentials("wrong.json", "guess");
        registry
    }

    /// Copies an image from `oci:DIRECTORY` to a repository; returns its pull specification by digest.
    pub fn push(&self, image: &str, repository: &str) -> String {
        let digest_file = self.workshop.path("digest");
        let target = format!("docker://{}/{repository}", self.address);
        let (auth, certs) = (self.workshop.path("auth.json"), self.workshop.path("certs"));
        let options = ["--preserve-digests", "--digestfile", &digest_file];
        let access = ["--dest-authfile", &auth, "--dest-cert-dir", &certs];
        run("skopeo", &[&["copy", "-q"][..], &options[..], &access[..], &[image, &target][..]].concat());
        format!("{}/{repository}@{}", self.address, fs::read_to_string(digest_file).unwrap())
    }

    /// The options of onlay-ostree for these files of credentials and certificates.
    pub fn access(&self, authfile: &str, certs: &str) -> [String; 4] {
        ["--authfile".into(), self.workshop.path(authfile), "--cert-dir".into(), self.workshop.path(certs)]
    }

    fn write_credentials(&self, name: &str, password: &str) {
        let login = run("base64", &["-w0", &self.text_file(&format!("{USER}:{password}"))]);
        let json = serde_json::json!({ "auths": { &self.address: { "auth": login } } });
        fs::write(self.workshop.path(name), json.to_string()).unwrap();
    }

    fn text_file(&self, text: &str) -> String {
        let path = self.workshop.path("text");
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Registry<'_> {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// An image that holds no ostree commit, as `oci:DIRECTORY`.
pub fn plain_image(workshop: &Workshop) -> String {
    let directory = workshop.path("plain");
    fs::create_dir_all(format!("{directory}/blobs/sha256")).unwrap();
    let blob = |media_type: &str, contents: &[u8]| {
        let hex: String = Sha256::digest(contents).iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(format!("{directory}/blobs/sha256/{hex}"), contents).unwrap();
        serde_json::json!({ "mediaType": media_type, "digest": format!("sha256:{hex}"), "size": contents.len() })
    };
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": {}, "rootfs": { "type": "layers", "diff_ids": [] },
        "history": [{ "created_by": "a person", "empty_layer": true }],
    });
    let config = blob("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
    let manifest_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest =
        serde_json::json!({ "schemaVersion": 2, "mediaType": manifest_type, "config": config, "layers": [] });
    let manifest = blob(manifest_type, manifest.to_string().as_bytes());
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [manifest] });
    fs::write(format!("{directory}/index.json"), index.to_string()).unwrap();
    fs::write(format!("{directory}/oci-layout"), r#"{"imageLayoutVersion": "1.0.0"}"#).unwrap();
    format!("oci:{directory}")
}

fn listening(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("listening on ")?;
    rest.split([',', '"']).next().map(String::from)
}
