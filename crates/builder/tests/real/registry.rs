//! A registry with TLS and a password, for one test.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Of the password `secret`.
const HASH: &str = "$2b$04$s7wBjuPU/s5ncY23BoLXGuhUUGuUHIDwzZ/U8Z/fDM08gS6YchnWe";

/// A running docker-registry on a free port of the loopback device.
pub struct Registry {
    pub address: String,
    process: Child,
    /// Held open: the registry dies of a closed pipe.
    _log: BufReader<ChildStderr>,
}

impl Registry {
    /// Starts it in a directory; its authority is written to `ca/ca.crt` there.
    pub fn start(directory: &Path) -> Self {
        let at = |name: &str| directory.join(name).to_str().unwrap().to_owned();
        fs::create_dir_all(at("ca")).unwrap();
        let identity = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        fs::write(at("ca/ca.crt"), identity.cert.pem()).unwrap();
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
        Self { address, process, _log: log }
    }

    /// A secret of Kubernetes for this registry, as its pod sees it.
    pub fn write_secret(&self, directory: &Path, password: &str) {
        fs::create_dir_all(directory).unwrap();
        let login = STANDARD.encode(format!("tiny:{password}"));
        let text = format!(r#"{{"auths":{{"{}":{{"auth":"{login}"}}}}}}"#, self.address);
        fs::write(directory.join(".dockerconfigjson"), text).unwrap();
    }

    /// Ends it for good.
    pub fn stop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}

fn listening(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("listening on ")?;
    rest.split([',', '"']).next().map(str::to_owned)
}
