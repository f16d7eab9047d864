//! What makes an installed system one certain node: the files that a provisioning tool writes before the first boot.
//!
//! They lie in the first deployment's /etc and in /var. ostree carries what differs from the image into every later
//! deployment, so they are written once.

use std::io::Read;

use camino::{Utf8Path, Utf8PathBuf};

use crate::layout::{self, LayoutError};
use crate::network::{self, HOST, NetworkError, NodeAddress};
use crate::pki::{NodeCredentials, Pki, PkiError, User};
use crate::registry::{self, RegistryError};
use crate::{Layout, control_plane};

const CNI: &str = include_str!("../../../../lab/node/cni.conflist");

/// Why a node has no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The name is not a node's.
    #[error(transparent)]
    Name(#[from] NetworkError),
    /// A certificate could not be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The registry's password is missing.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] LayoutError),
    /// No random numbers for the machine id.
    #[error("failed to make a machine id")]
    Random(#[source] std::io::Error),
}

/// Everything that tells a node from its siblings.
#[derive(Debug, Clone)]
pub struct Identity {
    name: String,
    address: NodeAddress,
    machine_id: String,
    credentials: NodeCredentials,
    proxy: String,
    /// User and password.
    registry: (String, String),
}

#[derive(Debug, PartialEq, Eq)]
struct File {
    /// Below the root: `etc/…` or `var/…`.
    path: String,
    mode: u32,
    contents: String,
}

impl Identity {
    /// A new identity for the node `name`, with certificates of its own.
    pub fn new(layout: &Layout, pki: &Pki, name: &str) -> Result<Self, IdentityError> {
        let address = network::address_of(name)?;
        Ok(Self {
            credentials: pki.issue_node(name, &[address.ip.into()], control_plane::URL)?,
            proxy: pki.kubeconfig(User::PROXY, control_plane::URL)?,
            registry: (registry::USER.to_owned(), registry::password(layout)?),
            machine_id: machine_id().map_err(IdentityError::Random)?,
            name: name.to_owned(),
            address,
        })
    }

    /// Writes the files below `etc` and `var`, the node's /etc and /var.
    pub fn write(&self, etc: &Utf8Path, var: &Utf8Path) -> Result<(), IdentityError> {
        for file in self.files() {
            layout::write_whole(&place(&file.path, etc, var), file.contents, file.mode)?;
        }
        Ok(())
    }

    fn files(&self) -> Vec<File> {
        let public = |path: &str, contents| File { path: path.to_owned(), mode: 0o644, contents };
        let secret = |path: &str, contents| File { path: path.to_owned(), mode: 0o600, contents };
        let NodeAddress { ip, pods } = &self.address;
        let (name, ca, registry) = (&self.name, &self.credentials.ca, registry::ADDRESS);
        vec![
            public("etc/hostname", format!("{name}\n")),
            public("etc/hosts", format!("127.0.0.1 localhost\n::1 localhost\n{ip} {name}\n")),
            public("etc/machine-id", format!("{}\n", self.machine_id)),
            public("etc/resolv.conf", format!("nameserver {HOST}\n")),
            public(
                "etc/systemd/network/10-host0.network",
                format!("[Match]\nName=host0\n\n[Network]\nAddress={ip}/24\nGateway={HOST}\nLinkLocalAddressing=no\n"),
            ),
            public("etc/cni/net.d/10-lab.conflist", CNI.replace("PODS", pods)),
            public("etc/kubernetes/ca.crt", ca.clone()),
            public("etc/kubernetes/kubelet.env", format!("KUBELET_ARGS={}\n", self.kubelet_arguments())),
            secret("etc/kubernetes/kubelet.conf", self.credentials.kubeconfig.clone()),
            secret("etc/kubernetes/kube-proxy.conf", self.proxy.clone()),
            public("etc/kubernetes/pki/kubelet.crt", self.credentials.serving.certificate.clone()),
            secret("etc/kubernetes/pki/kubelet.key", self.credentials.serving.key.clone()),
            public(&format!("etc/containers/certs.d/{registry}/ca.crt"), ca.clone()),
            public(
                &format!("etc/containerd/certs.d/{registry}/hosts.toml"),
                format!(
                    "server = \"https://{registry}\"\n\n[host.\"https://{registry}\"]\n  ca = \"/etc/kubernetes/ca.crt\"\n"
                ),
            ),
            secret("var/lib/kubelet/config.json", self.pull_secret()),
        ]
    }

    fn kubelet_arguments(&self) -> String {
        format!("--hostname-override={} --node-ip={}", self.name, self.address.ip)
    }

    /// Credentials that count for every pull of kubelet and for the node's own images.
    fn pull_secret(&self) -> String {
        let (user, password) = &self.registry;
        registry::files::docker_config(registry::ADDRESS, user, password)
    }
}

fn place(path: &str, etc: &Utf8Path, var: &Utf8Path) -> Utf8PathBuf {
    match path.split_once('/') {
        Some(("var", below)) => var.join(below),
        Some((_, below)) => etc.join(below),
        None => etc.join(path),
    }
}

/// 32 hexadecimal digits, as machine-id(5) wants.
fn machine_id() -> std::io::Result<String> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn identity(directory: &Utf8Path) -> Identity {
        let pki = Pki::ensure(&directory.join("pki")).unwrap();
        let address = network::address_of("worker-1").unwrap();
        Identity {
            name: "worker-1".to_owned(),
            credentials: pki.issue_node("worker-1", &[address.ip.into()], "https://api").unwrap(),
            proxy: pki.kubeconfig(User::PROXY, "https://api").unwrap(),
            registry: ("lab".to_owned(), "secret".to_owned()),
            machine_id: machine_id().unwrap(),
            address,
        }
    }

    fn written() -> (tempfile::TempDir, impl Fn(&str) -> String) {
        let temporary = tempfile::tempdir().unwrap();
        let directory = Utf8PathBuf::from_path_buf(temporary.path().to_owned()).unwrap();
        identity(&directory).write(&directory.join("etc"), &directory.join("var")).unwrap();
        (temporary, move |path: &str| std::fs::read_to_string(directory.join(path)).unwrap())
    }

    #[test]
    fn the_node_knows_its_name_and_addresses() {
        let (_kept, read) = written();
        assert_eq!(read("etc/hostname"), "worker-1\n");
        assert!(read("etc/systemd/network/10-host0.network").contains("Address=10.223.0.21/24\nGateway=10.223.0.1\n"));
        assert!(read("etc/kubernetes/kubelet.env").contains("--node-ip=10.223.0.21"));
        assert_eq!(read("etc/machine-id").trim().len(), 32);
    }

    #[test]
    fn its_pods_have_the_addresses_that_the_host_routes_to_it() {
        let (_kept, read) = written();
        let config: serde_json::Value = serde_json::from_str(&read("etc/cni/net.d/10-lab.conflist")).unwrap();
        assert_eq!(config["plugins"][0]["ipam"]["ranges"][0][0]["subnet"], "10.244.21.0/24");
    }

    #[test]
    fn kubelet_pulls_with_the_registrys_credentials() {
        let (_kept, read) = written();
        let config: serde_json::Value = serde_json::from_str(&read("var/lib/kubelet/config.json")).unwrap();
        assert_eq!(config["auths"][registry::ADDRESS]["auth"], "bGFiOnNlY3JldA==", "base64 of lab:secret");
    }

    #[test]
    fn keys_and_passwords_are_for_root_alone() {
        let (kept, _) = written();
        for path in ["etc/kubernetes/kubelet.conf", "etc/kubernetes/pki/kubelet.key", "var/lib/kubelet/config.json"] {
            let mode = kept.path().join(path).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{path}");
        }
    }
}
