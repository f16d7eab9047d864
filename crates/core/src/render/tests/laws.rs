use super::*;
use proptest::prelude::*;

prop_compose! {
    fn any_file()(
        path in "/etc/[a-c]",
        mode in prop::option::of(0i64..0o1000),
        contents in prop::option::of("[xyz]{0,3}"),
        user in prop::option::of(0i64..3),
    ) -> Value {
        let contents = contents.map(|contents| json!({"source": format!("data:,{contents}")}));
        json!({"path": path, "mode": mode, "contents": contents, "user": {"id": user}})
    }
}

prop_compose! {
    fn any_unit()(
        name in "[a-c]\\.service",
        contents in prop::option::of(prop::sample::select(vec!["", "[Unit]\n", "[Service]\nA=b\n"])),
        enabled in prop::option::of(any::<bool>()),
        mask in prop::option::of(any::<bool>()),
        dropin in prop::option::of("[ab]\\.conf"),
    ) -> Value {
        let dropins: Vec<Value> = dropin.iter().map(|name| json!({"name": name, "contents": "[Unit]\n"})).collect();
        json!({"name": name, "contents": contents, "enabled": enabled, "mask": mask, "dropins": dropins})
    }
}

/// Keeps the first entry of each key.
fn once(entries: Vec<Value>, key: &str) -> Vec<Value> {
    let mut known = std::collections::HashSet::new();
    entries.into_iter().filter(|entry| known.insert(entry[key].clone())).collect()
}

prop_compose! {
    fn any_machine_config(name: String)(
        role in prop::sample::select(vec!["worker", "worker-automount"]),
        files in prop::collection::vec(any_file(), 0..4),
        links in prop::collection::vec("/etc/[d-f]", 0..2),
        units in prop::collection::vec(any_unit(), 0..4),
        arguments in prop::collection::vec("[a-c]( [a-c])?", 0..3),
        extensions in prop::collection::vec(prop::sample::select(vec!["ipsec", "sysstat", "usbguard"]), 0..3),
        keys in prop::collection::btree_set("[a-c]", 0..3),
        kernel in prop::option::of(prop::sample::select(vec!["", "default", "realtime"])),
        image in prop::option::of("(r/[ab]:1)?"),
        fips in prop::option::of(any::<bool>()),
    ) -> MachineConfig {
        let links = links.iter().map(|path| json!({"path": path, "target": "/usr/lib/x"})).collect();
        machine_config(&name, role, json!({
            "config": {
                "ignition": {"version": "3.1.0"},
                "storage": {"files": once(files, "path"), "links": once(links, "path")},
                "systemd": {"units": once(units, "name")},
                "passwd": {"users": [{"name": "core", "sshAuthorizedKeys": keys}]},
            },
            "kernelArguments": arguments,
            "extensions": extensions,
            "kernelType": kernel,
            "osImageURL": image,
            "fips": fips,
        }))
    }
}

fn any_machine_configs() -> impl Strategy<Value = Vec<MachineConfig>> {
    prop::collection::btree_set("[0-9]{2}-[ab]", 0..5)
        .prop_flat_map(|names| names.into_iter().map(any_machine_config).collect::<Vec<_>>())
}

const FIELDS: [&str; 29] = [
    "ignition",
    "version",
    "storage",
    "files",
    "links",
    "directories",
    "path",
    "mode",
    "contents",
    "source",
    "compression",
    "verification",
    "hash",
    "append",
    "user",
    "id",
    "name",
    "systemd",
    "units",
    "dropins",
    "passwd",
    "users",
    "sshAuthorizedKeys",
    "kernelArguments",
    "shouldExist",
    "target",
    "enabled",
    "mask",
    "overwrite",
];

const TEXTS: [&str; 15] = [
    "3.4.0",
    "core",
    "/etc/a",
    "/etc/a/b",
    "/etc/a/",
    "a.service",
    "b.conf",
    "data:,a",
    "data:;base64,H4sI",
    "gzip",
    "[Unit]\nA=b\\\n",
    "sha256-00",
    "quiet a=\"b",
    "\0",
    "",
];

/// JSON that looks like an Ignition configuration until one looks closer.
fn hostile_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(TEXTS.to_vec()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(prop::sample::select(FIELDS.to_vec()), inner, 0..6)
                .prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

/// A section at its place, so that the inner readers are reached.
fn placed(section: usize, inner: Value) -> Value {
    let version = json!({"version": "3.4.0"});
    match section {
        0 => inner,
        1 => json!({"ignition": version, "storage": inner}),
        2 => json!({"ignition": version, "storage": {"files": [inner]}}),
        3 => json!({"ignition": version, "systemd": {"units": [inner]}}),
        _ => json!({"ignition": version, "passwd": {"users": [inner]}, "kernelArguments": {"shouldExist": inner}}),
    }
}

proptest! {
    #[test]
    fn the_order_of_arrival_does_not_matter(
        (given, shuffled) in any_machine_configs().prop_flat_map(|given| (Just(given.clone()), Just(given).prop_shuffle()))
    ) {
        prop_assert_eq!(render("pool", &given), render("pool", &shuffled));
    }

    #[test]
    fn merging_with_nothing_changes_nothing(given in any_machine_configs(), position in 0usize..100) {
        let alone = render("pool", &given).unwrap();
        let mut joined = given;
        joined.insert(position % (joined.len() + 1), machine_config(&format!("{position:02}-c"), "worker", json!({})));
        let joined = render("pool", &joined).unwrap();
        prop_assert_eq!(joined.name, alone.name);
        prop_assert_eq!(joined.spec, alone.spec);
    }

    #[test]
    fn rendering_what_was_rendered_changes_nothing(given in any_machine_configs()) {
        let once = render("pool", &given).unwrap();
        let twice = render("pool", &[MachineConfig::new("once", once.spec.clone())]).unwrap();
        prop_assert_eq!(twice.name, once.name);
        prop_assert_eq!(twice.spec, once.spec);
    }

    #[test]
    fn merging_can_be_done_in_steps(given in any_machine_configs(), cut in 0usize..5) {
        let mut workers = given;
        workers.iter_mut().for_each(|each| each.metadata.labels = None);
        workers.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        let whole = render("pool", &workers).unwrap();
        let (first, rest) = workers.split_at(cut.min(workers.len()));
        let first = MachineConfig::new("00", render("pool", first).unwrap().spec);
        let stepped = render("pool", std::iter::once(&first).chain(rest)).unwrap();
        prop_assert_eq!(stepped.spec, whole.spec);
    }

    #[test]
    fn what_is_rendered_can_be_applied(given in any_machine_configs()) {
        let rendered = render("pool", &given).unwrap();
        let desired = desired::of(&rendered.spec).unwrap();
        prop_assert!(desired.files.is_sorted_by(|a, b| a.path < b.path));
        prop_assert!(desired.units.is_sorted_by(|a, b| a.name < b.name));
    }

    #[test]
    fn no_configuration_breaks_the_renderer(inner in hostile_json(), other in hostile_json(), section in 0usize..5) {
        let given = [ignition("00-fine", files(&[file("/etc/a", "a")])),
            machine_config("50-a", "worker", json!({"config": placed(section, inner)})),
            machine_config("60-b", "worker", json!({"config": placed(section, other)}))];
        if let Ok(rendered) = render("pool", &given) {
            prop_assert!(desired::of(&rendered.spec).is_ok());
        }
    }

    #[test]
    fn no_text_in_a_spec_breaks_the_renderer(text in any::<String>()) {
        let spec = json!({"kernelArguments": [text], "extensions": [text], "kernelType": text, "osImageURL": text});
        let _ = render("pool", &[machine_config("50-a", "worker", spec)]);
    }
}
