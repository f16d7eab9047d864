//! The credentials with which the node pulls its image: those of its kubelet, and those that were derived for its pool.
//!
//! They lie below /run, readable by root only, for as long as the image is fetched.

use serde_json::{Map, Value};

/// Where kubelet keeps the node's own credentials. Source: `kubelet --root-dir`, file `config.json`.
pub const KUBELET_CONFIG: &str = "var/lib/kubelet/config.json";

/// Why credentials cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the credentials of {origin}: expected {{\"auths\": {{\"HOST\": {{\"auth\": …}}}}}}")]
pub struct Error {
    origin: String,
    source: serde_json::Error,
}

/// One docker config of several, each with the words for where it came from. Later ones win on the same registry.
pub fn merge<'a>(configs: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<String, Error> {
    let mut auths = Map::new();
    for (origin, config) in configs {
        let config: Value =
            serde_json::from_slice(config).map_err(|source| Error { origin: origin.to_owned(), source })?;
        if let Some(entries) = config.get("auths").and_then(Value::as_object) {
            auths.extend(entries.clone());
        }
    }
    Ok(serde_json::json!({ "auths": auths }).to_string())
}

#[cfg(test)]
mod tests {
    use super::merge;

    #[test]
    fn the_derived_secret_wins_over_the_kubelets_entry() {
        let kubelet = br#"{"auths": {"a": {"auth": "old"}, "b": {"auth": "b"}}}"#.as_slice();
        let derived = br#"{"auths": {"a": {"auth": "new"}}}"#.as_slice();
        let merged = merge([("kubelet", kubelet), ("secret", derived)]).unwrap();
        assert_eq!(merged, r#"{"auths":{"a":{"auth":"new"},"b":{"auth":"b"}}}"#);
    }

    #[test]
    fn a_broken_config_says_whose_it_is() {
        let error = merge([("secret onlay-node-secrets/pull-worker", b"{".as_slice())]).unwrap_err().to_string();
        assert!(error.contains("pull-worker"), "{error}");
    }
}
