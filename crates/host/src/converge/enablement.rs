//! Enabling and disabling of units: the links below `/etc/systemd/system` that their `[Install]` sections ask for.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

use super::entry::UNITS;
use super::{Error, Failure, Pass, Problem, base};
use crate::record::{Record, Unit};
use crate::root::{self, Access, Kind, Root};
use crate::units::{self, Install, Name};

/// Where images keep unit files, most important first.
const IMAGE_UNITS: [&str; 3] = ["/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
const SHIPPED_UNITS: &str = "/usr/etc/systemd/system";
const PRESETS: [&str; 4] = [
    "/etc/systemd/system-preset",
    "/run/systemd/system-preset",
    "/usr/local/lib/systemd/system-preset",
    "/usr/lib/systemd/system-preset",
];
const NOTHING: &str = "/dev/null";
const MAX_ALIASES: u8 = 8;

/// Links by their path, with their targets.
type Links = BTreeMap<Utf8PathBuf, Utf8PathBuf>;

/// A unit file with its drop-ins.
struct Found {
    /// The file's own name, after aliases.
    name: String,
    /// The path that links point at.
    path: Utf8PathBuf,
    install: Install,
}

impl Pass<'_> {
    /// Makes every unit of `record` enabled or disabled as it says, and returns to their preset those that left it.
    pub(super) fn enable_units(&mut self, record: &Record) -> Result<(), Error> {
        let mut left: BTreeSet<String> = self.held.units.keys().cloned().collect();
        for (name, unit) in &record.tree.units {
            if unit.enabled.is_some() {
                left.remove(name);
            }
            let done = self.unmask(name, unit).and_then(|()| match (unit.enabled, unit.masked) {
                // Enabling a masked unit means nothing.
                (Some(true), Some(true)) => self.shipped_links(name).map(Some),
                (None, _) => Ok(None),
                (Some(true), _) => self.links_to_enable(name).map(Some),
                (Some(false), _) => self.disable(name).map(Some),
            });
            self.finish(name, done)?;
        }
        for name in left {
            let done = self.links_by_preset(&name).map(Some);
            let gone = done.is_ok();
            self.finish(&name, done)?;
            if gone {
                self.held.units.remove(&name);
            }
        }
        Ok(())
    }

    /// Puts a unit of onlay itself into the tree and enables it.
    pub(super) fn install_unit(&mut self, name: &str, contents: &str) -> Result<(), Error> {
        let path = Utf8Path::new(UNITS).join(name);
        let access = Access::mine(0o644);
        let present = base::Copy::File { access, contents: contents.as_bytes().to_vec() };
        match base::copy(self.site.root, &path) {
            Ok(there) if there == present => {}
            Ok(_) => self.mend(path.as_str(), |root| Ok(root.write(&path, contents.as_bytes(), access)?)),
            Err(failure) => self.fail(name, failure),
        }
        match self.links_to_enable(name) {
            Ok(links) => {
                let missing = |link: &Utf8PathBuf| !matches!(self.site.root.meta(link), Ok(Some(_)));
                let links = links.into_iter().filter(|(link, _)| missing(link)).collect();
                self.link_all(&links);
            }
            Err(failure) => self.fail(name, failure),
        }
        Ok(())
    }

    /// Makes the links of a unit, holding them first, and removes those it held that it no longer has.
    fn finish(&mut self, name: &str, links: Result<Option<Links>, Failure>) -> Result<(), Error> {
        let links = match links {
            Ok(Some(links)) => links,
            Ok(None) => return Ok(()),
            Err(failure) => {
                self.fail(name, failure);
                return Ok(());
            }
        };
        let held = self.held.units.entry(name.to_owned()).or_default().clone();
        let mut missing = Links::new();
        for (link, target) in &links {
            if self.lacks(link, target, &held).map_err(|source| self.root_error(source))? {
                missing.insert(link.clone(), target.clone());
            }
        }
        self.hold_links(name, &missing)?;
        self.link_all(&missing);
        for stale in held.iter().filter(|link| !links.contains_key(*link)) {
            self.unlink(stale);
            if let Some(held) = self.held.units.get_mut(name) {
                held.remove(stale);
            }
        }
        Ok(())
    }

    fn hold_links(&mut self, name: &str, links: &Links) -> Result<(), Error> {
        if !self.act {
            return Ok(());
        }
        for link in links.keys() {
            let missing = self.site.root.missing_parents(link).map_err(|source| self.root_error(source))?;
            self.held.made.extend(missing);
        }
        self.held.units.entry(name.to_owned()).or_default().extend(links.keys().cloned());
        self.write_held()
    }

    /// Whether a link has to be made: one of somebody else is as good when it names the same unit, our own follows the
    /// unit file. A name that belongs to something else is not taken away from it.
    fn lacks(&mut self, link: &Utf8Path, target: &Utf8Path, held: &BTreeSet<Utf8PathBuf>) -> Result<bool, root::Error> {
        let there = self.site.root.read_link(link)?;
        let there = there.as_deref().map(Utf8Path::new);
        if held.contains(link) {
            return Ok(there != Some(target));
        }
        if there.is_some_and(|there| there.file_name() == target.file_name()) {
            return Ok(false);
        }
        let is_alias = link.parent() == Some(Utf8Path::new(UNITS));
        if !is_alias || self.site.root.meta(link)?.is_none() {
            return Ok(true);
        }
        let reason = format!("is not made a name of {target}: it belongs to something else");
        self.outcome.ignored.push(Problem { what: link.to_string(), reason });
        Ok(false)
    }

    fn link_all(&mut self, links: &Links) {
        let own = Access::mine(0);
        for (link, target) in links {
            self.mend(link.as_str(), |root| Ok(root.link(link, target.as_str(), (own.uid, own.gid))?));
        }
    }

    fn unlink(&mut self, link: &Utf8Path) {
        if self.act
            && let Err(error) = self.site.root.clear_leftover(link)
        {
            self.fail(link.as_str(), error);
        }
        match self.site.root.meta(link) {
            Ok(Some(meta)) if meta.kind == Kind::Link => self.mend(link.as_str(), |root| Ok(root.remove(link)?)),
            Ok(_) => {}
            Err(error) => self.fail(link.as_str(), error),
        }
    }

    /// Removes a mask when the record says that the unit is not masked.
    fn unmask(&mut self, name: &str, unit: &Unit) -> Result<(), Failure> {
        let path = Utf8Path::new(UNITS).join(name);
        if unit.masked == Some(false) && is_mask(self.site.root, &path)? {
            self.unlink(&path);
        }
        Ok(())
    }

    /// Links that enable `unit` and what its `Also=` names.
    fn links_to_enable(&mut self, unit: &str) -> Result<Links, Failure> {
        let mut links = Links::new();
        let units = self.with_also(unit)?;
        if units.is_empty() {
            let reason =
                "cannot be enabled: neither the configuration nor the image has a unit file for it, or it is masked";
            self.outcome.ignored.push(Problem { what: unit.to_owned(), reason: reason.into() });
        }
        for (name, found) in units {
            let own = found.install.links(&name);
            links.extend(own.into_iter().map(|link| (Utf8Path::new(UNITS).join(link), found.path.clone())));
        }
        Ok(links)
    }

    /// Removes every link to `unit` and to what its `Also=` names, whoever made it.
    ///
    /// A link that only the image brings, which boots next, cannot be removed before it is there: until then a link to
    /// nothing takes its place, since what lies in `/etc` wins when the image arrives.
    fn disable(&mut self, unit: &str) -> Result<Links, Failure> {
        let mut names: BTreeSet<String> = self.with_also(unit)?.into_keys().collect();
        names.insert(unit.to_owned());
        let mut placeholders = Links::new();
        for name in names {
            if !self.is_booted_image() {
                let coming = self.shipped_links(&name)?.into_keys();
                placeholders.extend(coming.map(|link| (link, Utf8PathBuf::from(NOTHING))));
            }
            for (link, target) in links_to(self.site.root, UNITS, &name)? {
                if target != NOTHING || !placeholders.contains_key(&link) {
                    self.unlink(&link);
                }
            }
        }
        Ok(placeholders)
    }

    fn is_booted_image(&self) -> bool {
        std::ptr::eq(self.site.root, self.site.image)
    }

    /// The links that `unit` has when nobody speaks of it: as a preset says, else as the base image shipped it.
    fn links_by_preset(&mut self, unit: &str) -> Result<Links, Failure> {
        let preset = match self.find(unit)? {
            Some(_) => units::preset(self.presets()?.iter().map(String::as_str), unit),
            None => None,
        };
        match preset {
            Some(true) => self.links_to_enable(unit),
            Some(false) => self.disable(unit),
            None => self.shipped_links(unit),
        }
    }

    fn shipped_links(&self, unit: &str) -> Result<Links, Failure> {
        let baked = base::baked(self.site.image)?;
        let here = |path: &Utf8Path| Utf8Path::new("/").join(path.strip_prefix("/usr").unwrap_or(path));
        let shipped = links_to(self.site.image, SHIPPED_UNITS, unit)?.into_iter();
        Ok(shipped.map(|(path, target)| (here(&path), target)).filter(|(link, _)| !baked.contains(link)).collect())
    }

    /// The unit files of `unit` and of everything that is enabled with it, by the name they are enabled as.
    fn with_also(&self, unit: &str) -> Result<BTreeMap<String, Found>, Failure> {
        let mut all = BTreeMap::new();
        let mut open = vec![unit.to_owned()];
        while let Some(unit) = open.pop() {
            let Some(found) = self.find(&unit)? else { continue };
            let name = if Name::parse(&unit).template().is_some() { unit } else { found.name.clone() };
            open.extend(found.install.also.iter().filter(|also| !all.contains_key(*also) && **also != name).cloned());
            all.insert(name, found);
        }
        Ok(all)
    }

    /// The file of `unit` in the tree as it will run: what lies in `/etc` first, then the image's.
    fn find(&self, unit: &str) -> Result<Option<Found>, Failure> {
        let template = Name::parse(unit).template();
        for name in std::iter::once(unit).chain(template.as_deref()) {
            if !units::is_unit_name(name) {
                return Err(Failure(format!("{name} is no name of a unit")));
            }
            if let Some((name, path, text)) = self.unit_file(name, 0)? {
                let mut texts = vec![text];
                texts.extend(self.drop_ins(&name)?);
                let install = Install::parse(texts.iter().map(String::as_str));
                return Ok(Some(Found { name, path, install }));
            }
        }
        Ok(None)
    }

    /// Name, path and text of a unit file, aliases followed; none when the unit is masked or missing.
    fn unit_file(&self, name: &str, aliases: u8) -> Result<Option<(String, Utf8PathBuf, String)>, Failure> {
        for (tree, directory) in self.unit_directories() {
            let path = Utf8Path::new(directory).join(name);
            let seen_as = if directory == SHIPPED_UNITS { Utf8Path::new(UNITS).join(name) } else { path.clone() };
            if let Some(target) = tree.read_link(&path)? {
                let target = Utf8Path::new(&target);
                match target.file_name() {
                    Some("null") => return Ok(None),
                    Some(real) if real != name && aliases < MAX_ALIASES => return self.unit_file(real, aliases + 1),
                    _ => {}
                }
                let bytes = match tree.read(&path)? {
                    Some(bytes) => Some(bytes),
                    None => self.site.image.read(&Utf8Path::new(directory).join(target))?,
                };
                if let Some(bytes) = bytes {
                    return Ok(Some((name.to_owned(), seen_as, text(bytes))));
                }
            } else if let Some(bytes) = tree.read(&path)? {
                return Ok(Some((name.to_owned(), seen_as, text(bytes))));
            }
        }
        Ok(None)
    }

    fn drop_ins(&self, name: &str) -> Result<Vec<String>, Failure> {
        let mut drop_ins = BTreeMap::new();
        for (tree, directory) in self.unit_directories().into_iter().rev() {
            let directory = Utf8Path::new(directory).join(format!("{name}.d"));
            for file in tree.list(&directory)?.into_iter().filter(|file| file.ends_with(".conf")) {
                let bytes = tree.read(&directory.join(&file))?.unwrap_or_default();
                drop_ins.insert(file, text(bytes));
            }
        }
        Ok(drop_ins.into_values().collect())
    }

    /// Where unit files lie, most important first.
    fn unit_directories(&self) -> Vec<(&Root, &'static str)> {
        let mut directories = vec![(self.site.root, UNITS)];
        if !self.is_booted_image() {
            directories.push((self.site.image, SHIPPED_UNITS));
        }
        directories.extend(IMAGE_UNITS.map(|directory| (self.site.image, directory)));
        directories
    }

    /// The texts of all preset files, in the order in which systemd reads them.
    fn presets(&self) -> Result<Vec<String>, Failure> {
        let mut presets = BTreeMap::new();
        for directory in PRESETS.into_iter().rev() {
            let tree = if directory.starts_with("/usr") { self.site.image } else { self.site.root };
            for file in tree.list(Utf8Path::new(directory))?.into_iter().filter(|file| file.ends_with(".preset")) {
                let bytes = tree.read(&Utf8Path::new(directory).join(&file))?.unwrap_or_default();
                presets.insert(file, text(bytes));
            }
        }
        Ok(presets.into_values().collect())
    }
}

/// Links below `directory` that enable `unit`: its names in `.wants`, `.requires` and `.upholds`, and its aliases.
fn links_to(tree: &Root, directory: &str, unit: &str) -> Result<Links, Failure> {
    let mut links = Links::new();
    let directory = Utf8Path::new(directory);
    for name in tree.list(directory)? {
        let path = directory.join(&name);
        if name.ends_with(".wants") || name.ends_with(".requires") || name.ends_with(".upholds") {
            for entry in tree.list(&path)? {
                let is_instance = Name::parse(&entry).template().is_some_and(|template| template == unit);
                if (entry == unit || is_instance)
                    && let Some(target) = tree.read_link(&path.join(&entry))?
                {
                    links.insert(path.join(&entry), target.into());
                }
            }
        } else if name != unit
            && let Some(target) = tree.read_link(&path)?
            && Utf8Path::new(&target).file_name() == Some(unit)
        {
            links.insert(path, target.into());
        }
    }
    Ok(links)
}

fn is_mask(tree: &Root, path: &Utf8Path) -> Result<bool, Failure> {
    Ok(tree.read_link(path)?.is_some_and(|target| target == NOTHING))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}
