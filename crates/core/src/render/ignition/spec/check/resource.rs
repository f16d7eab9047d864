//! Contents by URL, and the `ignition` section.

use super::super::fault::Fault;
use super::super::fields::Minor;
use super::super::path::At;
use super::super::report::Report;
use super::super::tree::{Record, Tree};
use super::{Rules, url};

/// The version that a configuration says it follows.
pub fn version(rules: Rules, ignition: &Record, at: &At<'_>, report: &mut Report) {
    let version = ignition.text("version");
    match numbers(version) {
        None => report.error(at.at("version"), Fault::Version(version.to_owned())),
        Some(found) if found != own(rules.minor) => {
            let expected = format!("3.{}.0", rules.minor);
            report.error(at.at("version"), Fault::OtherVersion(version.to_owned(), expected));
        }
        Some(_) => {}
    }
}

/// Whether a text is a version, but not that of this specification.
pub fn is_other_version(version: &str, minor: Minor) -> bool {
    numbers(version).is_some_and(|found| found != own(minor))
}

/// The specification 3.x.0 that a text is the version of.
pub fn minor_of(version: &str) -> Option<Minor> {
    let found = numbers(version)?;
    let minor = Minor::try_from(found.0[1]).ok()?;
    (found == own(minor)).then_some(minor)
}

/// Three numbers, the prerelease and the build of a semantic version.
type Numbers<'a> = ([i64; 3], &'a str, &'a str);

fn own(minor: Minor) -> Numbers<'static> {
    ([3, i64::from(minor), 0], "", "")
}

fn numbers(version: &str) -> Option<Numbers<'_>> {
    let (rest, build) = version.split_once('+').unwrap_or((version, ""));
    let (rest, prerelease) = rest.split_once('-').unwrap_or((rest, ""));
    let numbers: Vec<i64> = rest.splitn(3, '.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    Some((numbers.try_into().ok()?, prerelease, build))
}

/// Configurations to merge need a source, since specification 3.1.
pub fn merged(rules: Rules, config: &Record, at: &At<'_>, report: &mut Report) {
    required_sources(rules, config, "merge", at, report);
}

/// Certificate authorities need a source.
pub fn authorities(rules: Rules, tls: &Record, at: &At<'_>, report: &mut Report) {
    required_sources(rules, tls, "certificateAuthorities", at, report);
}

fn required_sources(rules: Rules, record: &Record, list: &'static str, at: &At<'_>, report: &mut Report) {
    if rules.minor == 0 {
        return;
    }
    for (index, resource) in record.list(list).iter().filter_map(Tree::as_record).enumerate() {
        let source = resource.text("source");
        let result = if source.is_empty() { Err(Fault::SourceMissing) } else { url::source(rules, source) };
        report.check(|| at.at(list).nth(index), result);
    }
}

/// A reference of specification 3.0, whose source may be absent.
pub fn old_reference(rules: Rules, resource: &Record, at: &At<'_>, report: &mut Report) {
    report.check(|| at.at("source"), given_source(rules, resource));
}

/// A certificate authority of specification 3.0.
pub fn old_authority(rules: Rules, resource: &Record, at: &At<'_>, report: &mut Report) {
    report.check(|| at.at("source"), url::source(rules, resource.text("source")));
}

/// Contents by URL.
pub fn resource(rules: Rules, resource: &Record, at: &At<'_>, report: &mut Report) {
    let compression = resource.text("compression");
    if !["", "gzip"].contains(&compression) {
        report.error(at.at("compression"), Fault::Compression(compression.to_owned()));
    }
    let hash = resource.record("verification").and_then(|verification| verification.get("hash"));
    if hash.is_some() && resource.get("source").is_none() {
        report.error(at.at("verification").at("hash"), Fault::HashWithoutSource);
    }
    report.check(|| at.at("source"), given_source(rules, resource));
    if !resource.list("httpHeaders").is_empty() {
        let source = resource.text("source");
        let scheme = url::parse(source).map(|url| url.scheme);
        let result = match scheme.as_deref() {
            _ if source.is_empty() => Err(Fault::HeadersNeedHttp),
            Ok("http" | "https") => Ok(()),
            Ok(_) => Err(Fault::HeadersNeedHttp),
            Err(fault) => Err(fault.clone()),
        };
        report.check(|| at.at("httpHeaders"), result);
    }
}

/// The source, if there is one.
pub fn given_source(rules: Rules, resource: &Record) -> Result<(), Fault> {
    match resource.text("source") {
        "" => Ok(()),
        source => url::source(rules, source),
    }
}

/// A header of a request.
pub fn header(header: &Record, at: &At<'_>, report: &mut Report) {
    if header.text("name").is_empty() {
        report.error(at.at("name"), Fault::HeaderName);
    }
    if header.given_text("value") == Some("") {
        report.error(at.at("value"), Fault::HeaderValue);
    }
}

/// The form of a hash; whether it is the right one shows when the contents are there.
pub fn verification(rules: Rules, verification: &Record, at: &At<'_>, report: &mut Report) {
    let Some(hash) = verification.given_text("hash") else { return };
    let known: &[(&str, usize)] =
        if rules.minor == 0 { &[("sha512", 128)] } else { &[("sha512", 128), ("sha256", 64)] };
    let forms = if rules.minor == 0 {
        "sha512-<128 hexadecimal digits>"
    } else {
        "sha512-<128 hexadecimal digits> or sha256-<64 hexadecimal digits>"
    };
    let split = hash.split_once('-');
    let result = match split.and_then(|(name, digits)| Some((known.iter().find(|(known, _)| *known == name)?, digits)))
    {
        None => Err(Fault::Hash(hash.to_owned(), forms)),
        Some(((function, expected), digits)) if digits.len() != *expected => {
            Err(Fault::HashLength { function, found: digits.len(), expected: *expected })
        }
        Some(_) => Ok(()),
    };
    report.check(|| at.at("hash"), result);
}

/// Proxies of the provisioning.
pub fn proxy(proxy: &Record, at: &At<'_>, report: &mut Report) {
    for field in ["httpProxy", "httpsProxy"] {
        let Some(text) = proxy.given_text(field) else { continue };
        match url::parse(text).map(|url| url.scheme) {
            Err(fault) => report.error(at.at(field), fault),
            Ok(scheme) if scheme == "http" && field == "httpsProxy" => {
                report.warning(at.at(field), Fault::InsecureProxy)
            }
            Ok(scheme) if scheme == "http" || scheme == "https" => {}
            Ok(_) => report.error(at.at(field), Fault::Proxy(text.to_owned())),
        }
    }
}
