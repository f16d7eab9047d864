//! Contents as data URLs.

use onlay_core::butane::contents::data_url;
use onlay_core::render::ignition::resource::{MAX_CONTENTS, decode};
use onlay_core::render::ignition::types::{Resource, Verification};

/// Any contents come back from their URL; a URL that is read has contents that come back.
pub fn target(input: &[u8]) {
    comes_back(input);
    let Ok(source) = std::str::from_utf8(input) else { return };
    for compression in [None, Some("gzip")] {
        let given = Resource {
            source: Some(source.to_owned()),
            compression: compression.map(str::to_owned),
            verification: Verification { hash: None },
        };
        if let Ok(Some(contents)) = decode(&given, "contents") {
            assert!(contents.len() <= MAX_CONTENTS, "{} bytes", contents.len());
            comes_back(&contents);
        }
    }
}

fn comes_back(contents: &[u8]) {
    for may_pack in [false, true] {
        let url = data_url(contents, "", may_pack);
        let given = Resource {
            source: Some(url.source),
            compression: url.compression.map(str::to_owned),
            verification: Verification { hash: None },
        };
        let back = decode(&given, "contents").ok().flatten();
        assert_eq!(back.as_deref(), Some(contents), "other contents came back from {given:?}");
    }
}
