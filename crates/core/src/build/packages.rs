//! Extensions and kernels in the words of package managers.
//!
//! Source of the names: `spec.extensions` and `spec.kernelType` of the compatible API, as documented for its version 4.20, with the
//! packages that Red Hat's and Fedora's distributions have for them; and the packages of Debian 12.

use onlay_api::machine_config::MachineConfigSpec;
use serde::{Deserialize, Serialize};

use super::spec::{Cause, Failure};
use crate::render::extension::KERNEL_DEVEL;

/// Where a command sees the repository of the extensions image.
const REPOSITORY: &str = "/run/onlay-extensions";
/// Where that repository lies in the extensions image.
const IN_IMAGE: &str = "/usr/share/rpm-ostree/extensions";

/// What a configuration wants of a package manager.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Packages {
    /// Names of extensions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<String>,
    /// Which kernel.
    pub kernel: Kernel,
    /// The image with the packages, by digest; none if the package manager finds them itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// A kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kernel {
    /// The one of the base image.
    #[default]
    Default,
    /// With the patches for real time.
    Realtime,
    /// With pages of 64 KiB.
    BigPages,
}

/// Who installs packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// rpm-ostree.
    RpmOstree,
    /// dnf.
    Dnf,
    /// apt.
    Apt,
}

impl Packages {
    /// What a configuration wants. `image` is the one with the base image's extensions, if one is named.
    pub fn of(spec: &MachineConfigSpec, image: Option<&str>) -> Self {
        let kernel = match spec.kernel_type.as_deref() {
            Some("realtime") => Kernel::Realtime,
            Some("64k-pages") => Kernel::BigPages,
            _ => Kernel::Default,
        };
        let wanted = Self { extensions: spec.extensions.clone(), kernel, image: None };
        if wanted.is_empty() { wanted } else { Self { image: image.map(str::to_owned), ..wanted } }
    }

    /// Whether there is nothing to install.
    pub fn is_empty(&self) -> bool {
        self.extensions.is_empty() && self.kernel == Kernel::Default
    }

    /// Why it can be installed nowhere, as far as that is known without the base image.
    pub fn refusal(&self, architecture: &str) -> Option<Failure> {
        if self.kernel == Kernel::BigPages && architecture != "arm64" {
            return Some(refuse(format!(
                "kernelType 64k-pages is for nodes of architecture arm64, and the pool's are {architecture}; remove \
                 spec.kernelType from the MachineConfig that sets it"
            )));
        }
        let image = self.image.as_deref().filter(|image| !image.contains("@sha256:"))?;
        Some(refuse(format!(
            "the image with the extensions is {image}, which no digest names; set baseOSExtensionsContainerImage to \
             REPOSITORY@sha256:DIGEST, so that equal configurations get equal packages"
        )))
    }

    /// What commands are shown of the extensions image, as an option of `RUN`, for those that use it.
    pub fn mount(&self, manager: Manager) -> Option<String> {
        let image = self.image.as_deref().filter(|_| manager != Manager::Apt)?;
        Some(format!("--mount=type=bind,from={image},source={IN_IMAGE},target={REPOSITORY}"))
    }

    /// The shell script that installs it.
    pub fn script(&self, manager: Manager) -> Result<String, Failure> {
        let mut names: Vec<&str> = Vec::new();
        for extension in &self.extensions {
            let of_extension = manager.packages(extension);
            if of_extension.is_empty() {
                return Err(refuse(format!(
                    "the base image's package manager ({}) has no packages for the extension {extension}; remove it from \
                     spec.extensions of the MachineConfig, or install what it means in the Containerfile",
                    manager.name()
                )));
            }
            names.extend(of_extension);
        }
        let kernel = manager.kernel(self.kernel);
        if self.kernel != Kernel::Default && kernel.is_empty() {
            return Err(refuse(format!(
                "the base image's package manager ({}) has no kernel of the type 64k-pages; remove spec.kernelType",
                manager.name()
            )));
        }
        let names = names.join(" ");
        Ok(match manager {
            Manager::Apt => apt(&names, kernel),
            Manager::Dnf => dnf(&names, kernel, self.image.is_some()),
            Manager::RpmOstree => rpm_ostree(&names, kernel, self.image.is_some()),
        })
    }

    /// Why it cannot be installed where no package manager is known.
    pub fn without_manager(&self) -> Failure {
        refuse(format!(
            "the base image has none of the package managers that are known here (rpm-ostree, dnf, apt-get), and {} shall be \
             installed; remove spec.extensions and spec.kernelType from the MachineConfigs",
            self.describe()
        ))
    }

    /// For people: what is installed.
    pub fn describe(&self) -> String {
        let kernel = match self.kernel {
            Kernel::Default => None,
            Kernel::Realtime => Some("the kernel for real time"),
            Kernel::BigPages => Some("the kernel with pages of 64 KiB"),
        };
        let extensions = self.extensions.iter().map(|name| format!("extension {name}"));
        extensions.chain(kernel.map(str::to_owned)).collect::<Vec<_>>().join(", ")
    }
}

fn refuse(message: String) -> Failure {
    Failure::new(Cause::InputRefused, message)
}

impl Manager {
    /// The one of an image, by whether its programs are there; none if nothing here knows how to install packages.
    pub fn of(mut has: impl FnMut(&str) -> bool) -> Option<Self> {
        // An image of rpm-ostree may have dnf beside it, and dnf's packages for Debian exist.
        let known =
            [("/usr/bin/rpm-ostree", Self::RpmOstree), ("/usr/bin/apt-get", Self::Apt), ("/usr/bin/dnf", Self::Dnf)];
        known.into_iter().find(|(program, _)| has(program)).map(|(_, manager)| manager)
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RpmOstree => "rpm-ostree",
            Self::Dnf => "dnf",
            Self::Apt => "apt-get",
        }
    }

    /// The packages of an extension; none if there are none.
    fn packages(self, extension: &str) -> &'static [&'static str] {
        match (self, extension) {
            (_, "sysstat") => &["sysstat"],
            (_, "usbguard") => &["usbguard"],
            (Self::Apt, "ipsec") => &["libreswan"],
            (Self::Apt, "kerberos") => &["krb5-user"],
            (Self::Apt, "two-node-ha") => &["pacemaker", "pcs", "fence-agents"],
            (Self::Apt, KERNEL_DEVEL) => &["\"linux-headers-$(dpkg --print-architecture)\""],
            (Self::Apt, _) => &[],
            (_, "ipsec") => &["NetworkManager-libreswan", "libreswan"],
            (_, "kerberos") => &["krb5-workstation", "libkadm5"],
            (_, "two-node-ha") => &["pacemaker", "pcs", "fence-agents-all"],
            (_, "sandboxed-containers") => &["kata-containers"],
            (_, "wasm") => &["crun-wasm"],
            (_, KERNEL_DEVEL) => &["kernel-devel", "kernel-headers"],
            _ => &[],
        }
    }

    /// The packages of a kernel; none if there are none, or if it is the base image's own.
    fn kernel(self, kernel: Kernel) -> &'static [&'static str] {
        match (self, kernel) {
            (_, Kernel::Default) | (Self::Apt, Kernel::BigPages) => &[],
            (Self::Apt, Kernel::Realtime) => &["\"linux-image-rt-$(dpkg --print-architecture)\""],
            (_, Kernel::Realtime) => {
                &["kernel-rt-core", "kernel-rt-modules", "kernel-rt-modules-core", "kernel-rt-modules-extra"]
            }
            (_, Kernel::BigPages) => {
                &["kernel-64k-core", "kernel-64k-modules", "kernel-64k-modules-core", "kernel-64k-modules-extra"]
            }
        }
    }
}

/// What every script begins with.
const HEAD: &str = "#!/bin/sh\nset -eu\n";

/// Nodes look for the kernel and its initramfs in the directory of its modules, where Debian's packages do not put them. The kernel
/// before may be one of a package, or just be there.
const MOVE_KERNEL: &str = r#"
after=
for image in /boot/vmlinuz-*; do
    [ -e "$image" ] || continue
    version=${image#/boot/vmlinuz-}
    mv "$image" "/usr/lib/modules/$version/vmlinuz"
    mv "/boot/initrd.img-$version" "/usr/lib/modules/$version/initramfs.img"
    after="$after $version "
done
[ -n "$after" ] || before=
for version in $before; do
    case $after in *" $version "*) continue ;; esac
    if dpkg --status "linux-image-$version" > /dev/null 2>&1; then apt-get purge -y "linux-image-$version"; fi
    rm -rf "/usr/lib/modules/$version"
done
rm -rf /boot/* /vmlinuz /vmlinuz.old /initrd.img /initrd.img.old
"#;

fn apt(names: &str, kernel: &[&str]) -> String {
    let install = "apt-get install -y --no-install-recommends";
    let mut script = format!("{HEAD}apt-get update\n");
    if !names.is_empty() {
        script.push_str(&format!("{install} {names}\n"));
    }
    if !kernel.is_empty() {
        script.push_str("before=$(ls /usr/lib/modules)\n");
        script
            .push_str("if command -v dracut > /dev/null; then initramfs=dracut; else initramfs=initramfs-tools; fi\n");
        script.push_str(&format!("{install} \"$initramfs\" {}\n", kernel.join(" ")));
        script.push_str(MOVE_KERNEL.trim_start());
    }
    script + "rm -rf /var/lib/apt/lists/*\n"
}

/// The kernel's packages that an image has, in a line.
const OLD_KERNEL: &str = "old=$(rpm -qa --qf '%{NAME}\\n' | grep -xE 'kernel(-core|-modules|-modules-core|-modules-extra)?' | \
                          tr '\\n' ' ')\n";

fn dnf(names: &str, kernel: &[&str], has_repository: bool) -> String {
    // What an image brings that is named by digest needs no signature.
    let repository = if has_repository {
        format!(" --repofrompath=onlay-extensions,file://{REPOSITORY} --setopt=onlay-extensions.gpgcheck=0")
    } else {
        String::new()
    };
    let mut script = HEAD.to_owned();
    if !names.is_empty() {
        script.push_str(&format!("dnf install -y{repository} {names}\n"));
    }
    if !kernel.is_empty() {
        script.push_str(OLD_KERNEL);
        script.push_str("[ -z \"$old\" ] || rpm --erase --nodeps $old\n");
        script.push_str(&format!("dnf install -y{repository} {}\n", kernel.join(" ")));
        script.push_str("version=$(rpm -q --qf '%{VERSION}-%{RELEASE}.%{ARCH}' ");
        script.push_str(kernel.first().copied().unwrap_or_default());
        script.push_str(")\nfor directory in /usr/lib/modules/\"$version\"*; do\n");
        script.push_str(
            "    [ -e \"$directory/initramfs.img\" ] || dracut --no-hostonly --kver \"${directory##*/}\" --force ",
        );
        script.push_str("\"$directory/initramfs.img\"\ndone\n");
        script.push_str(
            "for directory in /usr/lib/modules/*; do [ -e \"$directory/vmlinuz\" ] || rm -rf \"$directory\"; done\n",
        );
    }
    script + "dnf clean all\n"
}

fn rpm_ostree(names: &str, kernel: &[&str], has_repository: bool) -> String {
    let mut script = HEAD.to_owned();
    let file = "/etc/yum.repos.d/onlay-extensions.repo";
    if has_repository {
        let lines =
            format!("[onlay-extensions]\\nname=Extensions\\nbaseurl=file://{REPOSITORY}\\nenabled=1\\ngpgcheck=0\\n");
        script.push_str(&format!("mkdir -p /etc/yum.repos.d\nprintf '{lines}' > {file}\n"));
    }
    if !names.is_empty() {
        script.push_str(&format!("rpm-ostree install {names}\n"));
    }
    if !kernel.is_empty() {
        let install: String = kernel.iter().map(|name| format!(" --install={name}")).collect();
        script.push_str(OLD_KERNEL);
        script.push_str(&format!("rpm-ostree override remove $old{install}\n"));
    }
    if has_repository {
        script.push_str(&format!("rm {file}\n"));
    }
    script
}

#[cfg(test)]
mod tests;
