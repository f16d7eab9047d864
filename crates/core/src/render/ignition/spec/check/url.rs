//! URLs: which ones a configuration may name.
//!
//! Source of the rules: RFC 3986 and RFC 2397 as Ignition's URL and data URL readers take them, measured.

use super::super::super::resource::{check_percent, read_base64};
use super::super::fault::Fault;
use super::Rules;
use crate::render::bytes;

/// A URL, as far as rules look at it.
pub struct Url<'a> {
    /// Scheme in lower case; empty if there is none.
    pub scheme: String,
    /// What follows the scheme, without query and fragment.
    rest: &'a str,
    /// What follows the `?`.
    query: &'a str,
}

/// Reads a URL.
pub fn parse(text: &str) -> Result<Url<'_>, Fault> {
    let broken = || Fault::Url(text.to_owned());
    let (before, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (scheme, rest) = scheme(before).ok_or_else(broken)?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let plain = bytes::all(before, |byte| (byte >= 0x20) & (byte != 0x7f));
    let opaque = !scheme.is_empty() && !rest.starts_with('/');
    let sound = opaque
        || if rest.starts_with('/') { hierarchy(rest) } else { !first_segment(rest).contains(':') && escapes(rest) };
    if plain && sound && escapes(fragment) {
        Ok(Url { scheme: scheme.to_ascii_lowercase(), rest, query })
    } else {
        Err(broken())
    }
}

/// Scheme and rest; the scheme is empty if there is none. None for a URL that starts with a colon.
fn scheme(text: &str) -> Option<(&str, &str)> {
    for (at, c) in text.char_indices() {
        match c {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if at > 0 => {}
            ':' if at == 0 => return None,
            ':' => return Some((&text[..at], &text[at + 1..])),
            _ => break,
        }
    }
    Some(("", text))
}

fn first_segment(path: &str) -> &str {
    path.split('/').next().unwrap_or_default()
}

fn hierarchy(rest: &str) -> bool {
    match rest.strip_prefix("//").filter(|authority| !authority.starts_with('/')) {
        None => escapes(rest),
        Some(rest) => {
            let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
            let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
            user_info(user) && host_and_port(host) && escapes(path)
        }
    }
}

fn user_info(user: &str) -> bool {
    user.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte)) && escapes(user)
}

fn host_and_port(host: &str) -> bool {
    let (name, port) = if host.starts_with('[') {
        match host.rfind(']') {
            Some(end) => (&host[..end], &host[end + 1..]),
            None => return false,
        }
    } else {
        host.rfind(':').map_or((host, ""), |at| host.split_at(at))
    };
    let port_is_number = match port.strip_prefix(':') {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_digit()),
        None => port.is_empty(),
    };
    let in_name =
        |byte: u8| !byte.is_ascii() || byte.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:[]<>\"%".contains(&byte);
    port_is_number && name.bytes().all(in_name) && escapes(name)
}

/// Whether each `%` has its two hexadecimal digits.
fn escapes(text: &str) -> bool {
    text.match_indices('%').all(|(at, _)| {
        let digits = text.as_bytes().get(at + 1..at + 3).unwrap_or_default();
        digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit)
    })
}

/// Checks the source of contents.
pub fn source(rules: Rules, text: &str) -> Result<(), Fault> {
    let url = parse(text)?;
    match url.scheme.as_str() {
        "http" | "https" | "tftp" => Ok(()),
        "gs" if rules.minor >= 2 => Ok(()),
        "s3" => s3_version(&url),
        "arn" if rules.minor >= 4 => {
            s3_arn(&url)?;
            s3_version(&url)
        }
        "data" => data(text).map_err(Fault::DataUrl),
        _ => Err(Fault::Scheme(url.scheme, schemes(rules))),
    }
}

fn schemes(rules: Rules) -> &'static str {
    match rules.minor {
        0 | 1 => "http, https, tftp, s3 or data",
        2 | 3 => "http, https, tftp, s3, gs or data",
        _ => "http, https, tftp, s3, arn, gs or data",
    }
}

fn s3_version(url: &Url<'_>) -> Result<(), Fault> {
    let pairs = url.query.split('&').filter(|pair| !pair.contains(';'));
    let mut versions = pairs.filter_map(|pair| match pair.split_once('=') {
        Some(("versionId", version)) => Some(version),
        None if pair == "versionId" => Some(""),
        _ => None,
    });
    if versions.next() == Some("") { Err(Fault::S3Version) } else { Ok(()) }
}

fn s3_arn(url: &Url<'_>) -> Result<(), Fault> {
    // arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE
    let sections: Vec<&str> = url.rest.splitn(5, ':').collect();
    let [_, "s3", _, _, resource] = sections.as_slice() else { return Err(Fault::S3Arn) };
    let parts = if resource.starts_with("accesspoint/") { 3 } else { 2 };
    if url.rest.split('/').count() < parts { Err(Fault::S3Arn) } else { Ok(()) }
}

/// Checks a data URL.
fn data(text: &str) -> Result<(), String> {
    let rest = text.strip_prefix("data:").ok_or("it does not start with \"data:\" in lower case")?;
    let (header, contents) = header(rest)?;
    let checked = if header { read_base64(&contents.replace('\n', "")).map(drop) } else { check_percent(contents) };
    checked.map_err(|fault| match fault {
        super::super::super::super::error::Fault::DataUrl(what) => what,
        other => other.to_string(),
    })
}

/// Whether the contents are base64, and the contents.
fn header(rest: &str) -> Result<(bool, &str), String> {
    let mut rest = rest;
    if !rest.starts_with([';', ',']) {
        rest = media_type(rest)?;
    }
    loop {
        if let Some(contents) = rest.strip_prefix(',') {
            return Ok((false, contents));
        }
        rest = rest.strip_prefix(';').ok_or("the comma before the contents is missing")?;
        let end = rest.find(|c| !is_token(c)).ok_or("the comma before the contents is missing")?;
        let (name, after) = rest.split_at(end);
        match (name, after.chars().next()) {
            ("base64", Some(',')) => return Ok((true, &after[1..])),
            ("", _) => return Err("a parameter without a name".to_owned()),
            (_, Some('=')) => rest = parameter(&after[1..])?,
            _ => return Err(format!("{name:?} before the comma is neither base64 nor NAME=VALUE")),
        }
    }
}

fn media_type(rest: &str) -> Result<&str, String> {
    const TYPES: [&str; 7] = ["text", "image", "audio", "video", "application", "message", "multipart"];
    let broken = || "the media type before the comma is no TYPE/SUBTYPE; leave it out, as in data:,…".to_owned();
    let slash = rest.find(|c| !is_token(c)).filter(|at| rest[*at..].starts_with('/')).ok_or_else(broken)?;
    let kind = &rest[..slash];
    let private = kind.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("x-"));
    if !private && !TYPES.iter().any(|known| kind.starts_with(known)) {
        return Err(broken());
    }
    let after = &rest[slash + 1..];
    let end = after.find(|c| !is_token(c)).ok_or_else(broken)?;
    Ok(&after[end..])
}

/// What follows the value of a parameter.
fn parameter(value: &str) -> Result<&str, String> {
    let broken = || "the value of a parameter before the comma is broken".to_owned();
    let Some(quoted) = value.strip_prefix('"') else {
        let end = value.find(|c| !is_token(c)).filter(|end| *end > 0).ok_or_else(broken)?;
        return Ok(&value[end..]);
    };
    let mut escaped = false;
    for (at, c) in quoted.char_indices() {
        match c {
            c if !c.is_ascii() => break,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Ok(&quoted[at + 1..]),
            _ => {}
        }
    }
    Err(broken())
}

fn is_token(c: char) -> bool {
    c.is_ascii_graphic() && !"()<>@,;:\\\"/[]?=".contains(c)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{Rules, source};

    #[rstest]
    #[case("data:,x", 0)]
    #[case("data:;base64,YQ==", 0)]
    #[case("data:text/plain;charset=utf-8,x", 0)]
    #[case("data:text/plain;a=\"b;c\";base64,YQ==", 0)]
    #[case("data:x-a/b,x", 0)]
    #[case("https://user@host:80/path?query#fragment", 0)]
    #[case("s3://bucket/key?versionId=1", 0)]
    #[case("gs://bucket/key", 2)]
    #[case("arn:aws:s3:::bucket/key", 4)]
    #[case("arn:aws:s3:us:1:accesspoint/a/b", 4)]
    fn sources(#[case] text: &str, #[case] since: u8) {
        for minor in 0..=6 {
            assert_eq!(source(Rules { minor }, text).is_ok(), minor >= since, "{text} in 3.{minor}");
        }
    }

    #[rstest]
    #[case("")]
    #[case("x")]
    #[case("ftp://x")]
    #[case("://x")]
    #[case("http://[::1")]
    #[case("http://host:port/")]
    #[case("http://host/%zz")]
    #[case("s3://b/k?versionId=")]
    #[case("arn:aws:sns:::b/k")]
    #[case("arn:aws:s3:us:1:accesspoint/a")]
    #[case("DATA:,x")]
    #[case("data:x")]
    #[case("data:foo/bar,x")]
    #[case("data:;foo,x")]
    #[case("data:,a b")]
    #[case("data:;base64,YQ")]
    fn no_sources(#[case] text: &str) {
        assert!(source(Rules { minor: 6 }, text).is_err(), "{text}");
    }
}
