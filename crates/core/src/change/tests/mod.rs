mod diff;
mod disruption;
mod foresee;
mod past;
mod plan;
mod policy;
mod refusal;
mod registries;
mod rendered;

use onlay_api::MachineConfigSpec;

use super::diff::State;
use super::disruption::HostUnits;
use crate::render::desired::{Desired, DesiredDirectory, DesiredFile, DesiredLink, DesiredUnit, Owner};

const IMAGE: &str = "registry.example.com/os/worker@sha256:aaaa";

/// Everything that a state is made of, owned.
#[derive(Debug, Clone)]
struct World {
    spec: MachineConfigSpec,
    desired: Desired,
    image: Option<&'static str>,
}

impl World {
    fn state(&self) -> State<'_> {
        State { spec: &self.spec, desired: &self.desired, image: self.image }
    }

    fn edited(&self, edit: impl FnOnce(&mut Self)) -> Self {
        let mut edited = self.clone();
        edit(&mut edited);
        edited
    }
}

/// A state with one of everything.
fn world() -> World {
    let spec = MachineConfigSpec {
        extensions: vec!["usbguard".into()],
        fips: Some(false),
        kernel_type: Some("default".into()),
        os_image_url: Some(IMAGE.into()),
        ..MachineConfigSpec::default()
    };
    let desired = Desired {
        files: vec![file("/etc/motd", "hello\n")],
        directories: vec![directory("/etc/auto.d")],
        links: vec![link("/etc/localtime", "/usr/share/zoneinfo/UTC")],
        units: vec![unit("autofs.service")],
        kernel_arguments: vec!["audit=0".into(), "quiet".into()],
        ssh_authorized_keys: vec!["ssh-ed25519 AAAA one".into()],
    };
    World { spec, desired, image: Some(IMAGE) }
}

/// A state with nothing in it.
fn empty() -> World {
    World { spec: MachineConfigSpec::default(), desired: Desired::default(), image: None }
}

fn file(path: &str, contents: &str) -> DesiredFile {
    let owner = Owner::Id(0);
    DesiredFile { path: path.into(), mode: 0o644, user: owner.clone(), group: owner, contents: contents.into() }
}

fn directory(path: &str) -> DesiredDirectory {
    DesiredDirectory { path: path.into(), mode: 0o755, user: Owner::Id(0), group: Owner::Id(0) }
}

fn link(path: &str, target: &str) -> DesiredLink {
    DesiredLink { path: path.into(), target: target.into(), user: Owner::Id(0), group: Owner::Id(0) }
}

fn unit(name: &str) -> DesiredUnit {
    DesiredUnit { name: name.into(), enabled: Some(true), ..DesiredUnit::default() }
}

fn host() -> HostUnits {
    HostUnits { runtime: "crio.service".into(), trust: "trust.service".into() }
}
