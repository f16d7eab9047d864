//! The lab itself: what runs stays, a killed `up` is gone on with, and `down` leaves nothing and touches nothing else.
//!
//! There is one lab on a machine, the one of all tests: this one takes it away and brings it up again, and the next test
//! installs onlay in it anew.

use crate::cluster::Cluster;
use onlay_testkit::programs::without_package;
use onlay_testkit::{Lab, Layout, Progress, command, lab, node, process, wait};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::{Child, Command};

/// How long `up` may take until it is killed.
const UP: Duration = Duration::from_secs(120);
/// A setting that the lab raises, and a value that it finds too low.
const SETTING: (&str, &str) = ("fs/inotify/max_user_instances", "999");

#[tokio::test]
async fn what_runs_stays_what_was_killed_goes_on_and_nothing_is_left() {
    let lab = Cluster::fresh().await.give_away();
    let (layout, progress) = (lab.layout(), Progress::stderr());
    let foreign = Foreign::make(layout).await;
    let before = Sight::look(layout).await;
    before.shows_a_lab(layout);
    let settings = changed_settings(layout);
    lab::down(layout, &progress).await.unwrap();
    let after = Sight::look(layout).await;
    after.shows_no_lab(&before);
    for (name, value) in settings {
        assert_eq!(setting(&name), value, "{name} is what it was before the lab");
    }
    foreign.is_as_it_was().await;

    // Killed while the control plane starts, and taken away.
    let (name, low) = SETTING;
    let usual = setting(name);
    set(name, low);
    up_until_killed(layout, "kube-apiserver").await;
    assert_ne!(setting(name), low, "the lab has raised {name}");
    lab::down(layout, &progress).await.unwrap();
    assert_eq!(setting(name), low);
    set(name, &usual);
    Sight::look(layout).await.shows_no_lab(&before);
    foreign.is_as_it_was().await;

    // Killed while nodes boot, and gone on with.
    up_until_killed(layout, "node-worker-0").await;
    Lab::up(&progress).await.unwrap();
    let first = running(layout);
    assert!(first.len() > 8, "{first:?}");
    Lab::up(&progress).await.unwrap();
    assert_eq!(running(layout), first, "what runs stays");
    foreign.is_as_it_was().await;
}

/// Every daemon with its process, and every node with its first process and the number of its boots.
fn running(layout: &Layout) -> BTreeMap<String, Vec<i64>> {
    let daemons = process::names(layout).into_iter().filter_map(|name| {
        let pid = process::running(layout, &name)?;
        Some((name, vec![i64::from(pid)]))
    });
    let nodes = node::installed(layout).into_iter().map(|name| {
        let state = node::Node::new(layout, &name).unwrap().state().unwrap();
        (name, vec![i64::from(state.leader.unwrap()), i64::try_from(state.boots).unwrap()])
    });
    daemons.chain(nodes).collect()
}

/// Runs `cargo xtask lab up` until a daemon has begun, and kills it.
async fn up_until_killed(layout: &Layout, daemon: &str) {
    let mut cargo = command::command(&["cargo", "build", "--quiet", "--workspace", "--bin", "xtask"]);
    without_package(cargo.as_std_mut()).current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    command::output(&mut cargo).await.unwrap();
    let built = std::env::current_exe().unwrap();
    let xtask = built.ancestors().nth(2).unwrap().join("xtask");
    let mut up = Command::new(xtask).args(["lab", "up"]).kill_on_drop(true).spawn().unwrap();
    wait::until(&format!("`up` to start {daemon}"), UP, async || match up.try_wait() {
        Ok(None) => Ok::<_, String>(process::running(layout, daemon).map(|_| Ok(()))),
        ended => Ok(Some(Err(format!("`up` has ended: {ended:?}")))),
    })
    .await
    .unwrap()
    .unwrap();
    up.kill().await.unwrap();
}

/// What the machine has of the lab, and what else could be mistaken for it.
#[derive(Debug, Default)]
struct Sight {
    /// Processes that name the state directory, or are in a group of a node.
    processes: Vec<String>,
    /// Mount points and sources below the state directory.
    mounts: Vec<String>,
    /// Control groups of nodes.
    groups: BTreeSet<PathBuf>,
    /// The bridge, and links of nodes.
    links: Vec<String>,
    /// Rules of the firewall: the lab's, and all others.
    rules: (Vec<String>, Vec<String>),
    /// The state directory, and what programs keep elsewhere of a node.
    files: Vec<PathBuf>,
}

impl Sight {
    async fn look(layout: &Layout) -> Self {
        let state = layout.state().as_str();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mounts = mounts.lines().filter(|line| line.split(' ').any(|word| is_below(word, state)));
        let rules = command::run(&["iptables-save"]).await.unwrap();
        let rules = rules.lines().filter(|line| line.starts_with("-A")).map(str::to_owned);
        let mut groups = BTreeSet::new();
        collect_groups(Path::new("/sys/fs/cgroup"), &mut groups);
        let links = names_in("/sys/class/net").into_iter();
        Self {
            processes: processes(state),
            mounts: mounts.map(str::to_owned).collect(),
            groups,
            links: links.filter(|name| name == "onlaylab0" || name.strip_prefix("vb-").is_some_and(is_node)).collect(),
            rules: rules.partition(|rule| rule.contains("--comment onlay-lab ")),
            files: files(layout),
        }
    }

    /// A lab that is up is seen: else there would be nothing to miss later.
    fn shows_a_lab(&self, layout: &Layout) {
        let daemons = process::names(layout).into_iter().filter_map(|name| process::running(layout, &name));
        for pid in daemons {
            let is_seen = self.processes.iter().any(|known| known.starts_with(&format!("{pid} ")));
            assert!(is_seen, "process {pid} of the lab: {:#?}", self.processes);
        }
        assert_eq!(self.links.len(), 4, "{:?}", self.links);
        assert_eq!(self.rules.0.len(), 6, "{:?}", self.rules);
        assert!(self.groups.len() >= 3 && self.files.iter().any(|path| path == layout.state()), "{self:?}");
    }

    /// Nothing of the lab is there, and of all others' rules each.
    fn shows_no_lab(&self, before: &Self) {
        let Self { processes, mounts, groups, links, rules, files } = self;
        let none: [&[String]; 4] = [processes, mounts, links, &rules.0];
        assert!(none.iter().all(|left| left.is_empty()) && groups.is_empty() && files.is_empty(), "left: {self:#?}");
        assert_eq!(rules.1, before.rules.1, "the rules of others");
    }
}

fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether this is the name of one of the lab's nodes.
fn is_node(name: &str) -> bool {
    ["cp-", "worker-"].iter().any(|role| name.strip_prefix(role).is_some_and(|number| number.parse::<u8>().is_ok()))
}

fn names_in(directory: impl AsRef<Path>) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Processes of the lab, each as its number and its words.
fn processes(state: &str) -> Vec<String> {
    let of_lab = names_in("/proc").into_iter().filter(|pid| pid.parse::<u32>().is_ok()).filter_map(|pid| {
        let place = Path::new("/proc").join(&pid);
        // One that has just ended has nothing to read.
        let words = std::fs::read(place.join("cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        let groups = std::fs::read_to_string(place.join("cgroup")).unwrap_or_default();
        let links = ["exe", "cwd"].map(|link| std::fs::read_link(place.join(link)).unwrap_or_default());
        let named = words.split([' ', '=']).any(|word| is_below(word, state));
        let there = links.iter().any(|link| is_below(&link.to_string_lossy(), state));
        let grouped = groups.split(['/', '\n']).any(|group| group.strip_prefix("onlay-lab-").is_some_and(is_node));
        (named || there || grouped).then(|| format!("{pid} {words}"))
    });
    of_lab.collect()
}

fn collect_groups(directory: &Path, groups: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_string_lossy().strip_prefix("onlay-lab-").is_some_and(is_node) {
            groups.insert(entry.path());
        } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect_groups(&entry.path(), groups);
        }
    }
}

/// The state directory, and places where systemd-nspawn and ip keep something of a machine or a network.
fn files(layout: &Layout) -> Vec<PathBuf> {
    let nspawn = names_in("/run/systemd/nspawn").into_iter().map(|name| format!("/run/systemd/nspawn/{name}"));
    let places = nspawn
        .chain(["/run/systemd/machines", "/run/netns", "/var/lib/machines", "/var/log/journal"].map(str::to_owned));
    let mut files: Vec<PathBuf> = Vec::new();
    for place in places {
        let of_nodes = names_in(&place).into_iter().filter(|name| is_node(name) || name.contains("onlay"));
        files.extend(of_nodes.map(|name| Path::new(&place).join(name)));
    }
    files.extend(layout.state().exists().then(|| layout.state().as_std_path().to_owned()));
    files
}

fn setting(name: &str) -> String {
    std::fs::read_to_string(Path::new("/proc/sys").join(name)).unwrap().trim().to_owned()
}

fn set(name: &str, value: &str) {
    std::fs::write(Path::new("/proc/sys").join(name), value).unwrap();
}

/// The settings that the lab has changed, with what they were before.
fn changed_settings(layout: &Layout) -> BTreeMap<String, String> {
    let record = std::fs::read_to_string(layout.state().join("settings.json")).unwrap();
    let record: BTreeMap<String, BTreeMap<String, u64>> = serde_json::from_str(&record).unwrap();
    record.into_iter().map(|(name, change)| (name, change["before"].to_string())).collect()
}

/// Things like the lab's that the lab did not make.
struct Foreign {
    directory: PathBuf,
    group: PathBuf,
    process: Child,
    /// The value of [`SETTING`] that the machine had.
    setting: String,
}

/// A bridge that is not the lab's.
const BRIDGE: &str = "onlaylab9";
/// A rule that is not the lab's.
const RULE: [&str; 9] = ["INPUT", "-s", "192.0.2.7/32", "-m", "comment", "--comment", "not onlay-lab", "-j", "DROP"];
/// What is in a file that is not the lab's.
const WORDS: &str = "mine";

impl Foreign {
    async fn make(layout: &Layout) -> Self {
        let directory = PathBuf::from(format!("{}-of-others", layout.state()));
        let mut groups = BTreeSet::new();
        collect_groups(Path::new("/sys/fs/cgroup"), &mut groups);
        let group = groups.first().unwrap().with_file_name("onlay-lab-of-others");
        take_away(&directory, &group);
        let mount = directory.join("mount");
        std::fs::create_dir_all(&mount).unwrap();
        std::fs::create_dir(&group).unwrap();
        command::run(&["mount", "-t", "tmpfs", "tmpfs", mount.to_str().unwrap()]).await.unwrap();
        for place in [&directory, &mount] {
            std::fs::write(place.join("thesis.txt"), WORDS).unwrap();
        }
        command::run(&["ip", "link", "add", "name", BRIDGE, "type", "bridge"]).await.unwrap();
        command::run(&[&["iptables", "-I"], &RULE[..]].concat()).await.unwrap();
        let process = Command::new("sleep").arg("infinity").current_dir(&directory).kill_on_drop(true).spawn().unwrap();
        Self { directory, group, process, setting: setting(SETTING.0) }
    }

    async fn is_as_it_was(&self) {
        for place in [self.directory.clone(), self.directory.join("mount")] {
            assert_eq!(std::fs::read_to_string(place.join("thesis.txt")).unwrap(), WORDS);
        }
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(mounts.contains(&format!("{}/mount", self.directory.display())), "{mounts}");
        assert!(self.group.is_dir() && Path::new("/sys/class/net").join(BRIDGE).exists());
        command::run(&[&["iptables", "-C"], &RULE[..]].concat()).await.unwrap();
        let state = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id().unwrap())).unwrap();
        assert!(state.contains(") S "), "the process of others sleeps: {state}");
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        take_away(&self.directory, &self.group);
        let (name, low) = SETTING;
        if setting(name) == low {
            set(name, &self.setting);
        }
    }
}

/// Removes what is there of the foreign things, also those of a run that was killed.
fn take_away(directory: &Path, group: &Path) {
    let mount = directory.join("mount");
    let quietly = |program: &str, words: &[&str]| {
        let mut command = std::process::Command::new(program);
        let _absent = command.args(words).stderr(std::process::Stdio::null()).status();
    };
    quietly("umount", &[mount.to_str().unwrap()]);
    quietly("ip", &["link", "delete", "dev", BRIDGE]);
    quietly("iptables", &[&["-D"], &RULE[..]].concat());
    let _absent = (std::fs::remove_dir_all(directory), std::fs::remove_dir(group));
}
