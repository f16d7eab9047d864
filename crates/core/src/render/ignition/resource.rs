//! Contents of files: data URLs, compression and verification.
//!
//! Source of the rules: the specification of Ignition and RFC 2397. As in Ignition, the hash describes the unpacked
//! contents, and characters that a URL cannot have must be written as `%XX`.

use std::fmt::Display;
use std::io::Read;

use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::{DecodeError, Engine};
use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256, Sha512};

use super::super::error::{Fault, Problem, excerpt};
use super::types::Resource;
use crate::render::bytes;

/// Largest contents of one file, in bytes. Objects of the API are below 1.5 MiB, so only compressed contents get there.
pub const MAX_CONTENTS: usize = 8 << 20;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// The bytes that a resource stands for; none if it has no source. `field` is the path of the resource.
pub fn decode(resource: &Resource, field: impl Display) -> Result<Option<Vec<u8>>, Problem> {
    let Some(source) = resource.source.as_deref().filter(|source| !source.is_empty()) else {
        return match &resource.verification.hash {
            Some(_) if resource.source.is_none() => Err(Fault::NeedsContents.at(format!("{field}.verification.hash"))),
            _ => Ok(resource.source.is_some().then(Vec::new)),
        };
    };
    let packed = read_data_url(source).map_err(|fault| fault.at(format!("{field}.source")))?;
    let contents = unpack(packed, resource.compression.as_deref()).map_err(|fault| match fault {
        Fault::Compression(_) => fault.at(format!("{field}.compression")),
        fault => fault.at(format!("{field}.source")),
    })?;
    if let Some(hash) = &resource.verification.hash {
        verify(&contents, hash).map_err(|fault| fault.at(format!("{field}.verification.hash")))?;
    }
    Ok(Some(contents))
}

fn read_data_url(source: &str) -> Result<Vec<u8>, Fault> {
    let (scheme, rest) = source.split_once(':').ok_or_else(|| without_scheme(source))?;
    if !scheme.eq_ignore_ascii_case("data") {
        return Err(Fault::SourceScheme(excerpt(scheme)));
    }
    let (header, data) =
        rest.split_once(',').ok_or_else(|| Fault::DataUrl("the comma before the contents is missing".to_owned()))?;
    if header.contains('"') {
        return Err(Fault::DataUrl(
            "quotes before the comma; leave out the media type, as in data:;base64,…".to_owned(),
        ));
    }
    let mut parameters = header.split(';').skip(1).peekable();
    while let Some(parameter) = parameters.next() {
        match (parameter, parameters.peek()) {
            ("base64", None) => return read_base64(data),
            (parameter, _) if parameter.contains('=') => {}
            (parameter, _) => {
                let parameter = excerpt(parameter);
                return Err(Fault::DataUrl(format!("{parameter:?} before the comma is neither base64 nor NAME=VALUE")));
            }
        }
    }
    read_percent(data)
}

/// What there is to say of a text where a data URL belongs.
fn without_scheme(text: &str) -> Fault {
    const LONGEST: usize = 60;
    let written: String = text
        .bytes()
        .map(|byte| {
            if SAFE[usize::from(byte)] && byte != b'%' { char::from(byte).to_string() } else { format!("%{byte:02X}") }
        })
        .take(LONGEST + 1)
        .collect();
    let url = if written.len() > LONGEST {
        "data:,TEXT, in which %20 is a space and %0A ends a line".to_owned()
    } else {
        format!("data:,{written}")
    };
    Fault::DataUrl(format!("it does not start with \"data:\"; write {url}"))
}

/// Which bytes stand for themselves in a data URL.
const SAFE: [bool; 256] = {
    let mut safe = [false; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        let is_safe =
            !matches!(byte, b'<' | b'>' | b'#' | b'"' | b'{' | b'}' | b'|' | b'\\' | b'^' | b'[' | b']' | b'`');
        safe[byte as usize] = is_safe;
        byte += 1;
    }
    safe
};

/// The bytes of percent-encoded contents.
fn read_percent(data: &str) -> Result<Vec<u8>, Fault> {
    check_percent(data)?;
    let plain = !data.contains('%');
    Ok(if plain { data.as_bytes().to_vec() } else { percent_encoding::percent_decode_str(data).collect() })
}

/// Checks percent-encoded contents.
pub(super) fn check_percent(data: &str) -> Result<(), Fault> {
    let safe = |byte: u8| SAFE[usize::from(byte)];
    if !bytes::all(data, safe)
        && let Some(at) = data.bytes().position(|byte| !safe(byte))
        && let Some(found) = data.get(at..).and_then(|rest| rest.chars().next())
    {
        let written: String = found.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect();
        return Err(Fault::DataUrl(format!("character {found:?} at {at} of the contents; write {written}")));
    }
    for (at, _) in data.match_indices('%') {
        let digits = data.as_bytes().get(at + 1..at + 3).unwrap_or_default();
        if digits.len() != 2 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(Fault::DataUrl(format!(
                "\"%\" at {at} of the contents without two hexadecimal digits; write %25"
            )));
        }
    }
    Ok(())
}

/// The bytes of base64-encoded contents.
pub(super) fn read_base64(data: &str) -> Result<Vec<u8>, Fault> {
    let written = data.trim_end_matches('=').len();
    BASE64.decode(data).map_err(|error| {
        Fault::DataUrl(match error {
            DecodeError::InvalidByte(at, byte) if at < written => {
                format!("character {:?} at {at} of the base64 text is not one of A-Z a-z 0-9 + /", char::from(byte))
            }
            _ if written % 4 == 1 => "the base64 text is cut off".to_owned(),
            _ => match "=".repeat((4 - written % 4) % 4) {
                end if end.is_empty() => "the base64 text must not end with \"=\"".to_owned(),
                end => format!("the base64 text must end with {end:?}"),
            },
        })
    })
}

fn unpack(packed: Vec<u8>, compression: Option<&str>) -> Result<Vec<u8>, Fault> {
    let contents = match compression {
        None | Some("") => packed,
        Some("gzip") => {
            let mut contents = Vec::new();
            let limit = MAX_CONTENTS as u64 + 1;
            let mut unpacked = MultiGzDecoder::new(packed.as_slice()).take(limit);
            unpacked.read_to_end(&mut contents).map_err(|error| Fault::Gzip(error.to_string()))?;
            contents
        }
        Some(other) => return Err(Fault::Compression(excerpt(other))),
    };
    if contents.len() > MAX_CONTENTS { Err(Fault::TooLarge { limit: MAX_CONTENTS }) } else { Ok(contents) }
}

fn verify(contents: &[u8], hash: &str) -> Result<(), Fault> {
    let malformed = || Fault::Hash(excerpt(hash));
    let (function, expected) = hash.split_once('-').ok_or_else(malformed)?;
    let actual = match function {
        "sha512" => hex(&Sha512::digest(contents)),
        "sha256" => hex(&Sha256::digest(contents)),
        _ => return Err(malformed()),
    };
    if expected.len() != actual.len() || !expected.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(malformed());
    }
    if expected.eq_ignore_ascii_case(&actual) {
        Ok(())
    } else {
        Err(Fault::HashMismatch(format!("{function}-{actual}")))
    }
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
