//! One build: its registry, its base image, and what the pod would have mounted.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use camino::{Utf8Path, Utf8PathBuf};
use flate2::Compression;
use flate2::write::GzEncoder;
use onlay_api::machine_config::MachineConfigSpec;
use onlay_builder::{Deadline, Destination, Paths};
use onlay_core::build::extras::Extras;
use onlay_core::build::packages::Packages;
use onlay_core::build::spec::{CONFIGURATION_KEY, Failure, Outcome, SPEC_KEY, Spec};
use onlay_testkit::{RegistryServer, SpoiledRegistry, Validity};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Builder;

use crate::base;

/// Labels of a base image of an ostree system.
pub const OSTREE: &str = "LABEL ostree.final-diffid=sha256:aa ostree.bootable=1";

/// Bytes that a cache may hold: less than every machine has free.
pub const LIMIT: u64 = 1 << 30;

/// Tells a test process that it is the builder of the world in this directory.
pub const CHILD: &str = "ONLAY_TEST_BUILD_IN";

/// What the pod has mounted, in the directory of a world.
fn paths(directory: &Utf8Path, work: &str) -> Paths {
    let all = Paths::below(directory, &directory.join("cache"));
    let work = directory.join(work);
    Paths { authorities: directory.join("ca"), message: work.join("message"), work, ..all }
}

/// Builds in the directory of another process's world.
pub fn build_in(directory: &Utf8Path) {
    onlay_builder::run(&paths(directory, "work-child"), &Destination::Registry, None, &[]);
}

/// A process and everything below it.
pub fn family(pid: u32) -> Vec<u32> {
    let processes =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let parent = |pid: &u32| -> Option<u32> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
    };
    let children = processes.filter(|each: &u32| parent(each) == Some(pid));
    std::iter::once(pid).chain(children.flat_map(family)).collect()
}

/// Runs a program, and gives what it wrote to stdout.
pub fn run(words: &[&str]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap_or_else(|error| panic!("{words:?}: {error}"));
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// One build. The directory and everything that is mounted in it go away with it.
pub struct World {
    pub registry: RegistryServer,
    pub base: String,
    /// Bytes that the cache may hold.
    pub limit: u64,
    /// When a person last asked to build once more.
    pub rebuilt: Option<String>,
    /// What stands before the registry, if anything.
    pub front: Option<SpoiledRegistry>,
    /// The annotations that say which MachineConfig said what.
    pub origins: BTreeMap<String, String>,
    /// What the builds are given besides.
    pub extras: Extras,
    pub packages: Packages,
    /// When a build has to end.
    pub deadline: Option<Deadline>,
    directory: TempDir,
    tries: u32,
}

/// What a build left.
pub struct Built {
    pub exit_code: i32,
    pub outcome: Outcome,
}

impl World {
    pub fn new(labels: &str) -> Self {
        Self::on(&base::image(labels))
    }

    /// On a base image, as skopeo names it.
    pub fn on(base: &str) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let registry = runtime.block_on(RegistryServer::start()).unwrap();
        let base = runtime.block_on(registry.push(base, "os/base:1")).unwrap();
        let world = Self {
            registry,
            base,
            limit: LIMIT,
            rebuilt: None,
            front: None,
            origins: BTreeMap::new(),
            extras: Extras::default(),
            packages: Packages::default(),
            deadline: None,
            directory: tempfile::tempdir().unwrap(),
            tries: 0,
        };
        world.write_secret("pull", RegistryServer::PASSWORD);
        world.write_secret("push", RegistryServer::PASSWORD);
        fs::create_dir(world.path("ca")).unwrap();
        fs::write(world.path("ca/ca.crt"), world.registry.authority()).unwrap();
        world
    }

    /// Puts a proxy before the registry that spoils its answers on demand; builds know only that.
    pub fn with_front(self) -> Self {
        self.with_front_valid(None)
    }

    /// The same with a certificate that is valid then, and at no other time.
    pub fn with_front_valid(mut self, validity: Option<Validity>) -> Self {
        let front = self.registry.spoiled(validity).unwrap();
        self.base = self.base.replace(self.registry.address(), front.address());
        for secret in ["pull", "push"] {
            fs::write(self.path(secret).join(".dockerconfigjson"), front.docker_config()).unwrap();
        }
        self.front = Some(front);
        self
    }

    /// The first part of the names of images.
    pub fn address(&self) -> &str {
        self.front.as_ref().map_or(self.registry.address(), SpoiledRegistry::address)
    }

    pub fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.directory.path()).unwrap().join(name)
    }

    /// A secret of Kubernetes for the registry, as the pod sees it in the directory `name`.
    pub fn write_secret(&self, name: &str, password: &str) {
        fs::create_dir_all(self.path(name)).unwrap();
        let contents = self.registry.docker_config(password);
        fs::write(self.path(name).join(".dockerconfigjson"), contents).unwrap();
    }

    /// Makes the directory in which builds leave things for later ones.
    pub fn with_cache(self) -> Self {
        fs::create_dir(self.path("cache")).unwrap();
        self
    }

    /// Writes what a pod has mounted, and builds. Every build has a directory of its own, as every pod has, and the cache
    /// if there is one.
    pub fn build(&mut self, configuration: Value, containerfile: Option<&str>) -> Built {
        self.tries += 1;
        let work = format!("work-{}", self.tries);
        fs::create_dir_all(self.path(&work)).unwrap();
        self.write_spec(configuration, containerfile);
        let paths = paths(&self.path(""), &work);
        let exit_code = onlay_builder::run(&paths, &Destination::Registry, self.deadline, &[]);
        let message = fs::read_to_string(&paths.message).unwrap();
        Built { exit_code, outcome: Outcome::from_message(&message).expect("an outcome") }
    }

    /// Builds the same twice at once, and gives the exit codes.
    pub fn build_twice(&self, configuration: Value, containerfile: &str) -> [i32; 2] {
        self.write_spec(configuration, Some(containerfile));
        let build = |work: &str| {
            fs::create_dir_all(self.path(work)).unwrap();
            onlay_builder::run(&paths(&self.path(""), work), &Destination::Registry, None, &[])
        };
        thread::scope(|scope| {
            let other = scope.spawn(|| build("work-other"));
            [build("work-one"), other.join().unwrap()]
        })
    }

    /// Builds in another process, which is killed with everything below it as soon as it prints these words.
    pub fn kill_at(&self, words: &str, configuration: Value, containerfile: &str) {
        fs::create_dir_all(self.path("work-child")).unwrap();
        self.write_spec(configuration, Some(containerfile));
        let mut builder = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "cache::a_process_that_builds", "--ignored", "--nocapture"])
            .env(CHILD, self.path(""))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(builder.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains(words)), "the build has never said {words}");
        for pid in family(builder.id()) {
            // One that has ended meanwhile is no concern.
            let _ended = Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap();
        }
        assert!(!builder.wait().unwrap().success());
        self.unmount();
    }

    /// Builds in another process, in a mount namespace of its own that this script has changed: it sees the world's directory as
    /// `$1` and the one to work in as `$2`. Gives the log, and the outcome, which the script may have moved below `apart`.
    pub fn build_apart(&self, script: &str, configuration: Value, containerfile: &str) -> (String, Outcome) {
        let work = self.path("work-child");
        fs::create_dir_all(&work).unwrap();
        self.write_spec(configuration, Some(containerfile));
        let script = format!("set -e; {script}; shift 2; exec \"$@\"");
        let output = Command::new("unshare")
            // Nothing of it goes on running, as in a pod.
            .args([
                "--mount",
                "--pid",
                "--fork",
                "--mount-proc",
                "sh",
                "-c",
                &script,
                "sh",
                self.path("").as_str(),
                work.as_str(),
            ])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "cache::a_process_that_builds", "--ignored", "--nocapture"])
            .env(CHILD, self.path(""))
            .output()
            .unwrap();
        let log = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{log}{}", String::from_utf8_lossy(&output.stderr));
        let message = ["apart/message", "work-child/message"].map(|name| fs::read_to_string(self.path(name)));
        let message = message.into_iter().find_map(Result::ok).unwrap();
        (log, Outcome::from_message(&message).expect("an outcome"))
    }

    fn write_spec(&self, configuration: Value, containerfile: Option<&str>) {
        let spec = Spec {
            architecture: "amd64".to_owned(),
            build: "worker-5d56".to_owned(),
            rendered: "rendered-worker-31fc".to_owned(),
            origins: self.origins.clone(),
            base: self.base.clone(),
            target: format!("{}/os/image:worker-5d56", self.address()),
            pull_secret: "pull-secret".to_owned(),
            push_secret: "push-secret".to_owned(),
            containerfile: containerfile.map(str::to_owned),
            rebuilt: self.rebuilt.clone(),
            cache_limit: Some(self.limit),
            extras: self.extras.clone(),
            packages: self.packages.clone(),
        };
        let configuration = MachineConfigSpec { config: configuration, ..MachineConfigSpec::default() };
        fs::create_dir_all(self.path("spec")).unwrap();
        fs::write(self.path("spec").join(SPEC_KEY), serde_json::to_vec(&spec).unwrap()).unwrap();
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(&serde_json::to_vec(&configuration).unwrap()).unwrap();
        fs::write(self.path("spec").join(CONFIGURATION_KEY), packer.finish().unwrap()).unwrap();
    }

    /// Whether any build has pushed an image.
    pub fn has_image(&self) -> bool {
        let (certificates, credentials) = (self.registry.cert_dir(), self.registry.auth_file());
        let access = ["--cert-dir", certificates.as_str(), "--authfile", credentials.as_str()];
        let image = format!("docker://{}/os/image:worker-5d56", self.registry.address());
        Command::new("skopeo").arg("inspect").args(access).arg(image).output().unwrap().status.success()
    }

    /// The environment that an image gives to whatever runs in it.
    pub fn environment(&self, image: &str) -> Value {
        let (certificates, credentials) = (self.registry.cert_dir(), self.registry.auth_file());
        let access = ["--cert-dir", certificates.as_str(), "--authfile", credentials.as_str()];
        let text = run(&[&["skopeo", "inspect", "--config"][..], &access, &[&format!("docker://{image}")]].concat());
        serde_json::from_str::<Value>(&text).unwrap()["config"]["Env"].clone()
    }

    /// The labels of an image.
    pub fn labels(&self, image: &str) -> Value {
        let (certificates, credentials) = (self.registry.cert_dir(), self.registry.auth_file());
        let access = ["--cert-dir", certificates.as_str(), "--authfile", credentials.as_str()];
        let text = run(&[&["skopeo", "inspect"][..], &access, &[&format!("docker://{image}")]].concat());
        serde_json::from_str::<Value>(&text).unwrap()["Labels"].clone()
    }

    /// Fetches an image, and gives its layers in order: their digests and where their archives lie.
    pub fn layers(&self, image: &str) -> Vec<(String, Utf8PathBuf)> {
        let place = self.path("fetched");
        if place.exists() {
            fs::remove_dir_all(&place).unwrap();
        }
        let target = format!("dir:{place}");
        let (certificates, credentials) = (self.registry.cert_dir(), self.registry.auth_file());
        let access = ["--src-cert-dir", certificates.as_str(), "--src-authfile", credentials.as_str()];
        run(&[&["skopeo", "copy", "--quiet"][..], &access, &[&format!("docker://{image}"), &target]].concat());
        let manifest: Value = serde_json::from_slice(&fs::read(place.join("manifest.json")).unwrap()).unwrap();
        let digests = manifest["layers"].as_array().unwrap().iter().map(|layer| layer["digest"].as_str().unwrap());
        digests.map(|digest| (digest.to_owned(), place.join(digest.split_once(':').unwrap().1))).collect()
    }
}

impl Built {
    /// The image that was pushed.
    pub fn image(&self) -> &str {
        match &self.outcome {
            Outcome::Pushed { image } => image,
            Outcome::Failed(failure) => panic!("{}", failure.describe()),
        }
    }

    /// The failure, with the exit code.
    pub fn failure(&self) -> (&Failure, i32) {
        match &self.outcome {
            Outcome::Pushed { image } => panic!("pushed {image}"),
            Outcome::Failed(failure) => (failure, self.exit_code),
        }
    }
}

impl World {
    /// Unmounts what builds have mounted, which goes away with a pod.
    pub fn unmount(&self) {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let places = mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(Path::new);
        let ours: Vec<&Path> = places.filter(|place| place.starts_with(self.directory.path())).collect();
        for place in ours.iter().rev() {
            run(&["umount", "--lazy", place.to_str().unwrap()]);
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.unmount();
    }
}

/// A configuration with these files, links and units, as Ignition writes them.
pub fn configuration(files: &[(&str, &str)], links: &[(&str, &str)], units: &[(&str, &str)]) -> Value {
    let source = |contents: &str| format!("data:,{}", contents.replace(' ', "%20").replace('\n', "%0A"));
    let files: Vec<_> = files
        .iter()
        .map(|(path, contents)| json!({"path": path, "mode": 0o640, "contents": {"source": source(contents)}}))
        .collect();
    let links: Vec<_> = links.iter().map(|(path, target)| json!({"path": path, "target": target})).collect();
    let units: Vec<_> = units.iter().map(|(name, contents)| json!({"name": name, "contents": contents})).collect();
    json!({
        "ignition": {"version": "3.4.0"},
        "storage": {"files": files, "links": links},
        "systemd": {"units": units},
    })
}
