//! Opening a sysroot, and naming what is in it.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

use ostree_ext::gio::{Cancellable, File};
use ostree_ext::ostree::{Deployment, Sysroot};

use crate::error::Error;
use crate::kargs;

/// Made by ostree's first step of a boot.
const BOOTED: &str = "/run/ostree-booted";
const LOCK_DEADLINE: Duration = Duration::from_secs(60);
const LOCK_RETRY: Duration = Duration::from_millis(100);

/// Opens a sysroot for reading.
pub fn open(path: &Path) -> Result<Sysroot, Error> {
    let sysroot = Sysroot::new(Some(&File::for_path(path)));
    load(&sysroot, path)?;
    Ok(sysroot)
}

/// Opens the booted system for changes, in mounts of its own, and locks it.
///
/// On many hosts /sysroot and /boot are read-only: libostree makes them writable for itself when it is told that
/// nobody else sees its mounts.
pub fn open_booted(action: &'static str) -> Result<Sysroot, Error> {
    let root = Path::new("/");
    if !Path::new(BOOTED).exists() {
        return Err(Error::NotBooted { action, root: root.into() });
    }
    with_own_mounts()?;
    let sysroot = Sysroot::new(Some(&File::for_path(root)));
    sysroot.set_mount_namespace_in_use();
    load(&sysroot, root)?;
    if sysroot.booted_deployment().is_none() {
        return Err(Error::NotBooted { action, root: root.into() });
    }
    lock(&sysroot, root)?;
    load(&sysroot, root)?;
    Ok(sysroot)
}

/// Opens a sysroot that is not booted, makes it if it does not exist yet, and locks it.
pub fn open_offline(path: &Path) -> Result<Sysroot, Error> {
    let doing = |source| Error::doing(format!("make the sysroot {}", path.display()), source);
    fs::create_dir_all(path.join("boot")).map_err(doing)?;
    let sysroot = Sysroot::new(Some(&File::for_path(path)));
    sysroot
        .ensure_initialized(Cancellable::NONE)
        .map_err(|source| Error::doing(format!("make the sysroot {}", path.display()), source))?;
    load(&sysroot, path)?;
    lock(&sysroot, path)?;
    Ok(sysroot)
}

/// `osname/checksum.serial`: the name of a deployment, also of its directory.
pub fn id(deployment: &Deployment) -> String {
    format!("{}/{}.{}", deployment.osname(), deployment.csum(), deployment.deployserial())
}

/// The deployment of that name.
pub fn find<'a>(deployments: &'a [Deployment], wanted: &str) -> Result<&'a Deployment, Error> {
    let named = deployments.iter().find(|deployment| id(deployment) == wanted);
    let known = || deployments.iter().map(id).collect::<Vec<_>>().join(", ");
    named.ok_or_else(|| Error::UnknownDeployment { id: wanted.into(), known: known() })
}

/// The kernel arguments of a deployment, without the one that ostree adds.
pub fn kernel_arguments(deployment: &Deployment) -> Vec<String> {
    let options = deployment.bootconfig().and_then(|config| config.get("options"));
    kargs::split(options.as_deref().unwrap_or_default())
}

fn load(sysroot: &Sysroot, path: &Path) -> Result<(), Error> {
    sysroot
        .load(Cancellable::NONE)
        .map_err(|source| Error::doing(format!("read the sysroot {}", path.display()), source))
}

/// Waits for the lock that every program of ostree takes before it changes a sysroot.
fn lock(sysroot: &Sysroot, path: &Path) -> Result<(), Error> {
    let file = path.join("ostree/lock");
    let deadline = Instant::now() + LOCK_DEADLINE;
    let mut told = false;
    loop {
        let locked = sysroot.try_lock().map_err(|source| Error::doing(format!("lock {}", file.display()), source))?;
        if locked {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(Error::Busy { seconds: LOCK_DEADLINE.as_secs(), lock: file });
        }
        if !told {
            eprintln!("waiting for another ostree process to release {}", file.display());
            told = true;
        }
        thread::sleep(LOCK_RETRY);
    }
}

/// Runs this program again in a mount namespace of its own, if it shares the one of PID 1.
fn with_own_mounts() -> Result<(), Error> {
    let namespace = |path: &str| -> Result<PathBuf, Error> {
        fs::read_link(path).map_err(|source| Error::doing(format!("read {path}; run this as root"), source))
    };
    if namespace("/proc/self/ns/mnt")? != namespace("/proc/1/ns/mnt")? {
        return Ok(());
    }
    let program = env::current_exe().map_err(|source| Error::doing("find the path of this program", source))?;
    let failed =
        process::Command::new("unshare").args(["--mount", "--"]).arg(program).args(env::args_os().skip(1)).exec();
    Err(Error::doing("run unshare (package util-linux)", failed))
}
