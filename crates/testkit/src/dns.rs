//! The cluster's DNS: CoreDNS as a daemon of the host, like the control plane, behind the usual service `kube-dns`.
//!
//! It listens on the bridge, so nodes may ask it too, and passes on what it does not know to the host's own servers. It
//! needs no image and no node, so it answers before the first node is there.

use std::net::SocketAddr;
use std::process::Command;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::net::UdpSocket;

use crate::assets::{Assets, AssetsError};
use crate::control_plane;
use crate::layout::{self, LayoutError};
use crate::network::{DNS_SERVICE, HOST, KUBERNETES_SERVICE};
use crate::pki::{Pki, PkiError, User};
use crate::process::{self, ProcessError};
use crate::{Layout, network};

/// The daemon.
pub const DAEMON: &str = "coredns";

const USER: &str = "lab:coredns";
const ROLE: &str = "lab:coredns";
const MANAGER: &str = "onlay-lab";

/// Why the cluster has no DNS.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// CoreDNS is missing.
    #[error(transparent)]
    Assets(#[from] AssetsError),
    /// Its kubeconfig could not be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// Its configuration could not be written.
    #[error(transparent)]
    File(#[from] LayoutError),
    /// It did not come up.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// An object of the cluster could not be written.
    #[error("failed to apply {what}")]
    Apply {
        /// Kind and name.
        what: String,
        /// What the API server said.
        source: Box<kube::Error>,
    },
}

/// Starts CoreDNS unless it runs, publishes it as a service, and waits until it knows the cluster.
pub async fn up(layout: &Layout, assets: &Assets, pki: &Pki, client: &Client) -> Result<(), DnsError> {
    publish(client).await?;
    let directory = layout.service(DAEMON);
    let kubeconfig = directory.join("kubeconfig");
    pki.ensure_kubeconfig(&kubeconfig, User { name: USER, group: None }, control_plane::URL)?;
    let corefile = directory.join("Corefile");
    layout::write_whole(&corefile, corefile_for(kubeconfig.as_str()), 0o644)?;
    let mut command = Command::new(assets.program(DAEMON)?);
    command.args(["-conf", corefile.as_str()]);
    Ok(process::ensure(layout, DAEMON, command, async || knows_the_cluster().await).await?)
}

fn corefile_for(kubeconfig: &str) -> String {
    format!(
        ".:53 {{\n\
         \x20 bind {HOST}\n\
         \x20 errors\n\
         \x20 kubernetes cluster.local in-addr.arpa ip6.arpa {{\n\
         \x20   kubeconfig {kubeconfig}\n\
         \x20   fallthrough in-addr.arpa ip6.arpa\n\
         \x20 }}\n\
         \x20 forward . /etc/resolv.conf\n\
         \x20 cache 30\n\
         }}\n"
    )
}

async fn publish(client: &Client) -> Result<(), DnsError> {
    let role = json!({"rules": [
        {"apiGroups": [""], "resources": ["namespaces", "services"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]});
    let binding = json!({
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": ROLE},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}],
    });
    let labels = json!({"kubernetes.io/service-name": "kube-dns", "endpointslice.kubernetes.io/managed-by": MANAGER});
    let port = |name, protocol| json!({"name": name, "protocol": protocol, "port": 53});
    let ports = json!([port("dns", "UDP"), port("dns-tcp", "TCP")]);
    let service = json!({"spec": {"clusterIP": DNS_SERVICE, "ports": ports}});
    let slice = json!({
        "metadata": {"labels": labels}, "addressType": "IPv4", "ports": ports, "endpoints": [{"addresses": [HOST]}],
    });
    apply(&Api::<ClusterRole>::all(client.clone()), ROLE, role).await?;
    apply(&Api::<ClusterRoleBinding>::all(client.clone()), ROLE, binding).await?;
    apply(&Api::<Service>::namespaced(client.clone(), "kube-system"), "kube-dns", service).await?;
    apply(&Api::<EndpointSlice>::namespaced(client.clone(), "kube-system"), "kube-dns", slice).await
}

async fn apply<K>(api: &Api<K>, name: &str, mut object: Value) -> Result<(), DnsError>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
{
    object["apiVersion"] = K::api_version(&()).into();
    object["kind"] = K::kind(&()).into();
    object["metadata"]["name"] = name.into();
    let failed = |source| DnsError::Apply { what: format!("{} {name}", K::kind(&())), source: Box::new(source) };
    api.patch(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(object)).await.map(drop).map_err(failed)
}

/// Asks for the API server's service, as a pod would, and expects its address.
async fn knows_the_cluster() -> Result<(), String> {
    let answer = ask("kubernetes.default.svc.cluster.local").await.map_err(|error| error.to_string())?;
    if answer.ends_with(&KUBERNETES_SERVICE.octets()) {
        Ok(())
    } else {
        Err(format!("the answer has code {}", answer.get(3).map_or(0, |flags| flags & 0x0f)))
    }
}

/// One question for the address of `name` (RFC 1035, section 4): the bytes of the answer.
async fn ask(name: &str) -> std::io::Result<Vec<u8>> {
    let socket = UdpSocket::bind((network::HOST, 0)).await?;
    socket.connect(SocketAddr::from((HOST, 53))).await?;
    socket.send(&question(name)).await?;
    let mut answer = vec![0; 512];
    let patience = std::time::Duration::from_secs(1);
    let length = tokio::time::timeout(patience, socket.recv(&mut answer)).await??;
    answer.truncate(length);
    Ok(answer)
}

fn question(name: &str) -> Vec<u8> {
    let header = [0x6f, 0x6e, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0];
    let labels = name.split('.').flat_map(|label| {
        let length = u8::try_from(label.len()).unwrap_or(u8::MAX);
        std::iter::once(length).chain(label.bytes())
    });
    header.into_iter().chain(labels).chain([0, 0, 1, 0, 1]).collect()
}
