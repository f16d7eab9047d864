//! Contents as data URLs.
//!
//! Source of the rules: the real tool, measured. The shortest of percent-encoding, base64 and packed base64 wins; base64
//! only if it is strictly shorter, gzip only if it saves the length of the word that says so. The packed bytes are
//! another compressor's than the real tool's, so that near the threshold the choice can differ.

use std::fmt::Write as _;
use std::io::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compression, GzBuilder};

/// The operating system "unknown" in a gzip header, which keeps it the same everywhere.
const UNKNOWN_OS: u8 = 255;
/// The word that says that contents are packed.
const GZIP: &str = "gzip";

/// A data URL, and the compression to write beside it unless the configuration has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataUrl {
    /// The URL.
    pub source: String,
    /// `gzip` or nothing; absent if the contents were packed by the person who wrote them.
    pub compression: Option<&'static str>,
}

/// The shortest data URL of these contents. `given` is the compression that the configuration says.
pub fn data_url(contents: &[u8], given: &str, may_pack: bool) -> DataUrl {
    let packed_by_hand = !given.is_empty();
    let mut best = format!(",{}", percent(contents));
    let plain = format!(";base64,{}", STANDARD.encode(contents));
    if plain.len() < best.len() {
        best = plain;
    }
    let mut compression = "";
    let packed = if packed_by_hand || !may_pack { None } else { pack(contents) };
    if let Some(packed) = packed.map(|packed| format!(";base64,{}", STANDARD.encode(packed)))
        && packed.len() + GZIP.len() < best.len()
    {
        best = packed;
        compression = GZIP;
    }
    DataUrl { source: format!("data:{best}"), compression: (!packed_by_hand).then_some(compression) }
}

/// Contents with every byte but letters, digits and `-_.!~*'()` written as `%XX`.
pub fn percent(contents: &[u8]) -> String {
    let mut text = String::with_capacity(contents.len());
    for byte in contents {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(byte) {
            text.push(char::from(*byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// Contents as gzip; none if the compressor fails, which it does not in memory.
fn pack(contents: &[u8]) -> Option<Vec<u8>> {
    let mut packer = GzBuilder::new().mtime(0).operating_system(UNKNOWN_OS).write(Vec::new(), Compression::best());
    packer.write_all(contents).ok()?;
    packer.finish().ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{DataUrl, data_url, percent};

    #[rstest]
    #[case::nothing(b"", "data:,")]
    #[case::plain_characters(b"aZ09-_.!~*'()", "data:,aZ09-_.!~*'()")]
    #[case::all_others(b"a b/%\n", "data:,a%20b%2F%25%0A")]
    #[case::base64_only_if_shorter(b"\xff\x00\x01\x02\x03\x04", "data:;base64,/wABAgME")]
    fn shortest_encoding(#[case] contents: &[u8], #[case] source: &str) {
        let expected = DataUrl { source: source.to_owned(), compression: Some("") };
        assert_eq!(data_url(contents, "", false), expected);
    }

    #[rstest]
    #[case::much_of_the_same(&"line\n".repeat(100), "", true, Some("gzip"))]
    #[case::little("line\n", "", true, Some(""))]
    #[case::not_allowed(&"line\n".repeat(100), "", false, Some(""))]
    #[case::packed_already(&"line\n".repeat(100), "gzip", true, None)]
    fn packs_what_gets_shorter(
        #[case] contents: &str,
        #[case] given: &str,
        #[case] may_pack: bool,
        #[case] expected: Option<&str>,
    ) {
        assert_eq!(data_url(contents.as_bytes(), given, may_pack).compression, expected);
    }

    #[test]
    fn percent_encoding_is_bytewise() {
        assert_eq!(percent("é".as_bytes()), "%C3%A9");
    }
}
