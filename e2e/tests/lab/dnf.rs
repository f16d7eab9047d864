//! dnf itself: it installs an extension and another kernel from an image that holds a repository.
//!
//! No machine of the lab reaches a repository of rpm packages, so the test makes its own, with Debian's rpm, and a base image as
//! those of rpm's distributions are: dnf in place of apt, and a kernel that packages have brought. The kernels are stand-ins, as
//! that of the lab's base image is; dracut makes a true initramfs.

use crate::builds::{POOL, cluster, log_of, pod_of};
use crate::cluster::{BUILD, Cluster, NODE, WORKERS, layered, machine_config, updated};
use kube::ResourceExt;
use serde_json::json;

const CONFIG: &str = "60-test-dnf";

/// The image with the extensions: dnf, and a repository of an extension and two kernels.
const EXTENSIONS: &str = r"FROM configs AS final
RUN apt-get update && apt-get install -y --no-install-recommends createrepo-c dnf dracut rpm && rm -rf /var/lib/apt/lists/*
COPY <<'EOF' /etc/rpm/macros
%_dbpath /usr/lib/sysimage/rpm
%_topdir /tmp/rpm
%_rpmdir /usr/share/rpm-ostree/extensions
EOF
COPY <<'EOF' /usr/share/specs/usbguard.spec
Name: usbguard
Version: 1.0
Release: 1
Summary: A stand-in
License: none
BuildArch: noarch
%description
%install
mkdir -p %{buildroot}/usr/share %{buildroot}/usr/lib/systemd/system
cd %{buildroot}/usr
echo an extension > share/usbguard
printf '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n' > lib/systemd/system/usbguard.service
printf '[Install]\nWantedBy=multi-user.target\n' >> lib/systemd/system/usbguard.service
%files
/usr/share/usbguard
/usr/lib/systemd/system/usbguard.service
EOF
COPY <<'EOF' /usr/share/specs/kernel.spec
Name: kernel%{?kind}
Version: %{of}
Release: 1
Summary: A stand-in
License: none
%description
%install
version=%{of}-1.%{_arch}%{?mark}
mkdir -p %{buildroot}/usr/lib/modules/$version
cd %{buildroot}/usr/lib/modules/$version
echo a kernel > vmlinuz
touch modules.builtin modules.order extra
depmod --basedir %{buildroot}/usr $version
%package core
Summary: A stand-in
%description core
%files core
/usr/lib/modules/*/vmlinuz
%package modules-core
Summary: A stand-in
%description modules-core
%files modules-core
/usr/lib/modules/*/modules.*
%package modules
Summary: A stand-in
%description modules
%files modules
%package modules-extra
Summary: A stand-in
%description modules-extra
%files modules-extra
/usr/lib/modules/*/extra
EOF
RUN <<EOF
set -e
cd /usr/share/specs
rpmbuild --quiet -bb usbguard.spec
rpmbuild --quiet -bb --define 'of 6.1.0' kernel.spec
rpmbuild --quiet -bb --define 'of 6.2.0' --define 'kind -rt' --define 'mark +rt' kernel.spec
createrepo_c --quiet /usr/share/rpm-ostree/extensions
EOF
";

/// What makes the base image of that one: its kernel is that of a package, and the repository is gone.
const BASE: &str = r"RUN <<EOF
set -e
rm -r /usr/lib/modules/*
dnf install -y --repofrompath=here,file:///usr/share/rpm-ostree/extensions --setopt=here.gpgcheck=0 kernel-core kernel-modules
echo its initramfs > /usr/lib/modules/6.1.0-1.x86_64/initramfs.img
rm -r /usr/share/rpm-ostree /usr/share/specs /usr/bin/apt-get
EOF
";

/// Builds an image, and gives its name by digest.
async fn build(cluster: &Cluster, containerfile: &str) -> String {
    cluster.apply(layered(POOL, containerfile)).await;
    let built = cluster.build_is(POOL, "Succeeded", BUILD).await;
    built.status.unwrap().digested_image_push_spec.unwrap()
}

#[tokio::test]
async fn dnf_installs_an_extension_and_another_kernel_from_the_image_with_the_extensions() {
    let cluster = cluster().await;
    let extensions = build(&cluster, EXTENSIONS).await;
    let base = build(&cluster, &format!("{EXTENSIONS}{BASE}")).await;
    cluster.kubectl(&["delete", "machineosconfig", POOL]).await;

    let units = json!([{"name": "usbguard.service", "enabled": true}]);
    let wanted = json!({
        "config": {"ignition": {"version": "3.4.0"}, "systemd": {"units": units}},
        "osImageURL": base,
        "baseOSExtensionsContainerImage": extensions,
        "extensions": ["usbguard"],
        "kernelType": "realtime",
    });
    cluster.apply(machine_config(CONFIG, POOL, wanted)).await;
    cluster.renders(POOL, CONFIG).await;
    let mut config = layered(POOL, "");
    config["spec"].as_object_mut().unwrap().remove("containerFile");
    cluster.apply(config).await;
    let built = cluster.build_is(POOL, "Succeeded", BUILD).await;
    let pod = pod_of(&cluster, &built).await;
    let log = log_of(&cluster, &pod.name_any()).await;
    assert!(log.contains("onlay: dnf installs extension usbguard, the kernel for real time"), "{log}");

    cluster.label(WORKERS[0], "node-role.kubernetes.io/test=").await;
    cluster.pool_is(POOL, "on the image", NODE, |pool| updated(pool, 1)).await;
    let says = async |command: &str| cluster.on_node(WORKERS[0], command).await;
    assert_eq!(says("cat /usr/share/usbguard; systemctl is-active usbguard").await, "an extension\nactive");
    assert_eq!(says("ls /usr/lib/modules").await, "6.2.0-1.x86_64+rt", "one kernel, the one for real time");
    assert_eq!(
        says("cat /usr/lib/modules/*/vmlinuz; ls /usr/lib/modules/*/extra").await,
        "a kernel\n/usr/lib/modules/6.2.0-1.x86_64+rt/extra"
    );
    let initramfs = says("lsinitrd /usr/lib/modules/*/initramfs.img").await;
    assert!(initramfs.contains("usr/lib/ostree/ostree-prepare-root"), "{initramfs}");
}
