use super::*;

#[test]
fn nodes_get_one_entry_and_nothing_else() {
    let mut config = MachineOSConfig::new("worker-automount", Default::default());
    config.spec.machine_config_pool.name = "worker-automount".to_owned();
    config.metadata.uid = Some("uid".to_owned());
    let value = Hidden(json!({"auth": "bGFiOnNlY3JldA=="}));
    let entry = RegistryEntry { key: "registry.example.com:5000".to_owned(), value };
    let secret = derive(&config, Some(&entry), "onlay-node-secrets");
    assert_eq!(secret.metadata.name.as_deref(), Some("pull-worker-automount"));
    assert_eq!(secret.metadata.namespace.as_deref(), Some("onlay-node-secrets"));
    assert_eq!(secret.metadata.owner_references.unwrap()[0].uid, "uid");
    let data = secret.data.unwrap();
    let text = String::from_utf8(data[DOCKER_CONFIG_KEY].0.clone()).unwrap();
    assert_eq!(text, r#"{"auths":{"registry.example.com:5000":{"auth":"bGFiOnNlY3JldA=="}}}"#);
    assert_eq!(data.len(), 1);
}

#[test]
fn an_image_for_everybody_needs_no_entry() {
    let secret = derive(&MachineOSConfig::new("a", Default::default()), None, "onlay-node-secrets");
    assert_eq!(secret.data.unwrap()[DOCKER_CONFIG_KEY].0, br#"{"auths":{}}"#);
}

#[test]
fn credentials_are_not_printed() {
    let entry = RegistryEntry { key: "a".to_owned(), value: Hidden(json!({"auth": "c2VjcmV0"})) };
    assert_eq!(format!("{entry:?}"), r#"RegistryEntry { key: "a", value: (hidden) }"#);
}
