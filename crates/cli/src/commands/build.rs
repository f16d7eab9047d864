//! `onlay build`: the image of a pool, built here as a Job of the cluster would.

mod ask;
mod place;
mod signals;

use std::io;
use std::path::PathBuf;

use camino::Utf8PathBuf;
use onlay_builder::{Destination, Paths};

use crate::finding::{Finding, any_error};
use crate::pool_name::pool_name;
use crate::{Exit, Streams, input, world};

/// Arguments of `onlay build`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// YAML or JSON files, directories of them, directories with a kustomization, or - for standard input
    #[arg(required_unless_present = "inside", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Pool to build for; may be left out if the files have one MachineOSConfig
    #[arg(long, value_name = "NAME", value_parser = pool_name)]
    pool: Option<String>,
    /// Image to build on, instead of the one that the files name
    #[arg(long, value_name = "IMAGE")]
    base: Option<String>,
    /// Push the image to where the MachineOSConfig says
    #[arg(long)]
    push: bool,
    /// Write the image into a new file, as an archive of the OCI image layout
    #[arg(long, value_name = "FILE", conflicts_with = "push")]
    archive: Option<Utf8PathBuf>,
    /// Credentials for registries [default: what podman and docker have kept]
    #[arg(long, value_name = "FILE")]
    authfile: Option<Utf8PathBuf>,
    /// More authorities for registries, in PEM
    #[arg(long, value_name = "FILE")]
    registry_ca: Option<Utf8PathBuf>,
    /// Where layers are kept for the next build [default: onlay in the cache of the user]
    #[arg(long, value_name = "DIRECTORY")]
    cache_dir: Option<Utf8PathBuf>,
    /// Look into directories below the given ones
    #[arg(short = 'R', long)]
    recursive: bool,
    /// The directory of a build that goes on in another user namespace
    #[arg(long, hide = true, value_name = "DIRECTORY")]
    inside: Option<Utf8PathBuf>,
}

impl Arguments {
    fn destination(&self) -> Destination {
        match &self.archive {
            Some(file) => Destination::Archive(file.clone()),
            None if self.push => Destination::Registry,
            None => Destination::Nowhere,
        }
    }
}

/// Runs `onlay build`.
pub fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> io::Result<Exit> {
    if let (Some(directory), Some(cache)) = (&arguments.inside, &arguments.cache_dir) {
        let paths = Paths::below(directory, cache);
        let _held = place::hold(directory.as_std_path());
        let code = onlay_builder::run(&paths, &arguments.destination(), None, &[]);
        // Some files in it belong to other users of this namespace, which nobody outside of it can remove.
        std::fs::remove_dir_all(&paths.work)?;
        return Ok(exit(code));
    }
    let input = input::read(&arguments.files, arguments.recursive, streams.input);
    let mut findings = Vec::new();
    let prepared = match world::take(input, &mut findings) {
        Some(objects) => prepare(arguments, objects, &mut findings),
        None => Ok(None),
    };
    let prepared = prepared.unwrap_or_else(|finding| {
        findings.push(finding);
        None
    });
    streams.show(&findings)?;
    let Some((place, signals)) = prepared.filter(|_| !any_error(&findings)) else { return Ok(Exit::Error) };
    streams.out.flush()?;
    let itself = itself(arguments, &place)?;
    let code = onlay_builder::run(place.paths(), &arguments.destination(), None, &itself);
    place.remove()?;
    Ok(signals.exit().unwrap_or_else(|| exit(code)))
}

/// Reads what there is to build, and puts it where the builder looks for it.
fn prepare(
    arguments: &Arguments,
    objects: Vec<input::Object>,
    findings: &mut Vec<Finding>,
) -> Result<Option<(place::Place, signals::Signals)>, Finding> {
    if let Some(file) = arguments.archive.as_ref().filter(|file| file.exists()) {
        return Err(Finding::error(file.as_str(), "is there already; remove it, or give another name with --archive"));
    }
    let access = ask::Access::read(arguments.authfile.as_deref(), arguments.registry_ca.as_deref())?;
    let asked = ask::build(objects, arguments.pool.as_deref(), arguments.base.as_deref(), &access, findings)?;
    if any_error(findings) {
        return Ok(None);
    }
    let signals = signals::listen();
    let signals = signals.map_err(|error| Finding::error("build", format!("failed to wait for signals: {error}")))?;
    let place = place::make(arguments.cache_dir.as_deref(), &asked, &access, findings)?;
    Ok(Some((place, signals)))
}

/// How this program is run again, inside a user namespace.
fn itself(arguments: &Arguments, place: &place::Place) -> io::Result<Vec<String>> {
    let program = std::env::current_exe()?.into_os_string().into_string();
    let program =
        program.map_err(|path| io::Error::other(format!("the path of this program is no text: {}", path.display())))?;
    let (directory, cache) = (place.directory().display().to_string(), place.paths().cache.to_string());
    let mut words = vec![program, "build".into(), "--inside".into(), directory, "--cache-dir".into(), cache];
    words.extend(arguments.push.then(|| "--push".to_owned()));
    words.extend(arguments.archive.iter().flat_map(|file| ["--archive".to_owned(), file.to_string()]));
    Ok(words)
}

fn exit(code: i32) -> Exit {
    if code == 0 { Exit::Well } else { Exit::Error }
}
