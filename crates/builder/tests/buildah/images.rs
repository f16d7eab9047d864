use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::json;

use crate::world::{OSTREE, World, configuration, run};

/// The entries of a layer: name, and the line that tar prints of it.
pub fn list(layer: &Utf8Path) -> BTreeMap<String, String> {
    let listing = run(&["tar", "--numeric-owner", "--full-time", "-tvzf", layer.as_str()]);
    let entries = listing.lines().map(|line| {
        let name = line.split_whitespace().nth(5).unwrap();
        (name.to_owned(), line.to_owned())
    });
    entries.collect()
}

fn read(layer: &Utf8Path, name: &str) -> String {
    run(&["tar", "-xOzf", layer.as_str(), name])
}

/// The newest contents of a file in several layers.
pub fn newest(layers: &[(String, Utf8PathBuf)], name: &str) -> Option<String> {
    let with = layers.iter().rev().find(|(_, layer)| list(layer).contains_key(name));
    with.map(|(_, layer)| read(layer, name))
}

#[test]
fn an_image_has_the_bases_layers_the_configuration_and_what_the_user_wrote() {
    let mut world = World::new(OSTREE);
    let mut wanted = configuration(
        &[
            ("/etc/motd", "ours\n"),
            ("/etc/alias/new.conf", "x\n"),
            ("/home/core/a", "node only\n"),
            ("/usr/local/b", "node only\n"),
        ],
        &[("/etc/link", "motd")],
        &[("mine.service", "[Service]\nExecStart=/bin/true\n")],
    );
    let owned = json!({"path": "/etc/owned", "user": {"name": "printer"}, "group": {"name": "nobody-knows"}, "contents": {"source": "data:,y"}});
    wanted["storage"]["files"].as_array_mut().unwrap().push(owned);
    let containerfile = "FROM configs AS final\n\
        RUN cat /etc/motd > /usr/share/seen && mkdir -p /var/cache/apt/archives && \\\n  \
          echo junk > /var/cache/apt/archives/a.deb && echo junk > /var/log/dpkg.log && echo junk > /tmp/a\n\
        RUN <<EOF\nset -e\necho \"from a heredoc\" > /usr/share/heredoc\nEOF\n\
        COPY <<'EOF' /etc/copied\nkept as $it is\nEOF\n";
    let built = world.build(wanted, Some(containerfile));
    assert_eq!(built.exit_code, 0);
    let image = built.image().to_owned();
    assert!(image.starts_with(&format!("{}/os/image@sha256:", world.registry.address())), "{image}");

    let base = world.layers(&world.base.clone());
    let layers = world.layers(&image);
    assert_eq!(layers[0].0, base[0].0, "the base's layer keeps its digest");
    let config = list(&layers[1].1);
    let line = |name: &str| config.get(name).unwrap_or_else(|| panic!("{name} of {config:?}")).as_str();
    assert!(line("etc/motd").starts_with("-rw-r----- 0/0"), "{}", line("etc/motd"));
    assert!(line("etc/owned").contains(" 77/0 "), "{}", line("etc/owned"));
    assert!(line("etc/motd").contains("1970-01-01"), "{}", line("etc/motd"));
    assert!(config.contains_key("etc/ssh/new.conf") && !config.contains_key("etc/alias"), "{config:?}");
    assert!(config.contains_key("etc/systemd/system/mine.service"));
    assert!(!config.keys().any(|name| name.contains("home") || name.contains("local")), "{config:?}");
    assert_eq!(read(&layers[1].1, "usr/lib/onlay/base/etc/motd"), "as shipped\n");
    let baked = "/etc/link\n/etc/motd\n/etc/owned\n/etc/ssh/new.conf\n/etc/systemd/system/mine.service\n";
    assert_eq!(read(&layers[1].1, "usr/lib/onlay/baked"), baked);

    assert_eq!(newest(&layers, "usr/share/seen").as_deref(), Some("ours\n"));
    assert_eq!(newest(&layers, "usr/share/heredoc").as_deref(), Some("from a heredoc\n"));
    assert_eq!(newest(&layers, "etc/copied").as_deref(), Some("kept as $it is\n"));
    let all: Vec<String> = layers.iter().skip(1).flat_map(|(_, layer)| list(layer).into_keys()).collect();
    let removed = |(directory, name): (&str, &str)| {
        all.contains(&format!("{directory}/.wh.{name}")) || !all.contains(&format!("{directory}/{name}"))
    };
    let stray = [("var/cache/apt/archives", "a.deb"), ("var/log", "dpkg.log"), ("tmp", "a")];
    let bound = [("etc", "hosts"), ("etc", "hostname"), ("etc", "resolv.conf")];
    assert!(stray.into_iter().chain(bound).all(removed), "{all:?}");
}

#[test]
fn a_containerfile_with_carriage_returns_and_a_byte_order_mark_builds_as_one_without() {
    let mut world = World::new(OSTREE);
    let text = "# escape=\\\nFROM configs AS final\n\
        RUN echo joined \\\n  # why\n  > /usr/share/joined\n\
        RUN <<EOF\nset -e\necho script > /usr/share/script\nEOF\n\
        RUN <<EOF\n#!/bin/sh\necho program > /usr/share/program\nEOF\n\
        RUN cat <<EOF > /usr/share/input\ninput\nEOF\n\
        COPY <<'EOF' /etc/copied\none\ntwo\nEOF\n";
    let text = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    let built = world.build(configuration(&[], &[], &[]), Some(&text));
    let layers = world.layers(built.image());
    for name in ["joined", "script", "program", "input"] {
        assert_eq!(newest(&layers, &format!("usr/share/{name}")), Some(format!("{name}\n")), "{name}");
    }
    assert_eq!(newest(&layers, "etc/copied").as_deref(), Some("one\ntwo\n"));
}

#[test]
fn a_configuration_alone_gives_the_same_image_every_time() {
    let mut world = World::new(OSTREE);
    let wanted = configuration(&[("/etc/motd", "ours\n")], &[], &[]);
    let first = world.build(wanted.clone(), None).image().to_owned();
    let second = world.build(wanted, None).image().to_owned();
    assert_eq!(first, second);
    assert_eq!(world.layers(&first).len(), 2);
}

#[test]
fn no_configuration_and_no_containerfile_is_the_base() {
    let mut world = World::new(OSTREE);
    let built = world.build(configuration(&[], &[], &[]), Some("# nothing yet\n"));
    let layers = world.layers(built.image());
    assert_eq!(layers[0].0, world.layers(&world.base.clone())[0].0);
}

#[test]
fn equal_configurations_give_equal_layers_whatever_the_instructions_are() {
    let wanted = || configuration(&[("/etc/motd", "ours\n"), ("/etc/new/a", "x\n")], &[("/etc/link", "motd")], &[]);
    let mut world = World::new(OSTREE);
    let built = ["uuid", "boot_id"].map(|what| {
        let text = format!("FROM configs AS final\nRUN cat /proc/sys/kernel/random/{what} > /usr/share/own\n");
        // Each build has a storage of its own.
        let image = world.build(wanted(), Some(&text)).image().to_owned();
        world.layers(&image).into_iter().map(|(digest, _)| digest).collect::<Vec<_>>()
    });
    assert_eq!(built[0][..2], built[1][..2]);
    assert_ne!(built[0][2..], built[1][2..]);
    let alone = world.build(wanted(), None).image().to_owned();
    let layers = world.layers(&alone);
    assert_eq!(layers[1].0, built[0][1]);
    let entries = list(&layers[1].1);
    assert!(entries.values().all(|line| line.contains("1970-01-01")), "{entries:?}");
    let directories: Vec<&str> =
        entries.keys().filter_map(|name| name.strip_suffix('/')).filter(|name| !name.starts_with("usr")).collect();
    assert_eq!(directories, ["etc", "etc/new"]);
}

#[test]
fn an_image_says_where_it_comes_from() {
    let mut world = World::new(OSTREE);
    let (repository, digest) = world.base.split_once('@').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    for containerfile in [None, Some("FROM configs AS final\nLABEL mine=1\n")] {
        let built = world.build(configuration(&[], &[], &[]), containerfile);
        let labels = world.labels(built.image());
        let expected = [
            ("dev.onlay.machineosbuild", "worker-5d56"),
            ("dev.onlay.machineosconfig", "worker"),
            ("dev.onlay.rendered", "rendered-worker-31fc"),
            ("dev.onlay.version", env!("CARGO_PKG_VERSION")),
            ("org.opencontainers.image.base.digest", &digest),
            ("org.opencontainers.image.base.name", &repository),
            ("ostree.bootable", "1"),
        ];
        assert!(expected.iter().all(|(name, value)| labels[*name] == *value), "{labels}");
        assert_eq!(labels.get("mine").is_some(), containerfile.is_some());
    }
}

#[test]
fn what_existing_nodes_would_not_get_is_declared_for_them() {
    let mut world = World::new(OSTREE);
    let containerfile = "FROM configs AS final\n\
        RUN echo sssd:x:990:985:SSSD:/:/bin/false >> /etc/passwd && echo sssd:x:985:printer >> /etc/group && \\\n  \
          mkdir -p /var/lib/sss/db /usr/lib/sysusers.d /usr/lib/tmpfiles.d && chmod 700 /var/lib/sss/db && \\\n  \
          chown 990:985 /var/lib/sss/db && echo seed > /var/lib/sss/seed && ln -s db /var/lib/sss/link && \\\n  \
          echo 'u sssd - x /' > /usr/lib/sysusers.d/sssd.conf && \\\n  \
          echo 'd /var/lib/sss 0755 root root -' > /usr/lib/tmpfiles.d/sssd.conf && \\\n  \
          mkdir -p /var/lib/apt/x && echo junk > /run/x && mkdir -p /var/home/a\n";
    let built = world.build(configuration(&[], &[], &[]), Some(containerfile));
    let layers = world.layers(built.image());
    let accounts = "g sssd 985\nu sssd 990:sssd SSSD / /bin/false\nm printer sssd\n";
    assert_eq!(newest(&layers, "usr/lib/sysusers.d/00-onlay.conf").as_deref(), Some(accounts));
    let var = "d /var/home 0755 root root -\nd /var/home/a 0755 root root -\nd /var/lib/sss/db 0700 sssd sssd -\n\
        L /var/lib/sss/link - - - - db\nC /var/lib/sss/seed 0644 root root - /usr/lib/onlay/var/lib/sss/seed\n";
    assert_eq!(newest(&layers, "usr/lib/tmpfiles.d/onlay.conf").as_deref(), Some(var));
    assert_eq!(newest(&layers, "usr/lib/onlay/var/lib/sss/seed").as_deref(), Some("seed\n"));
    let last = list(&layers.last().unwrap().1);
    assert!(["seed", "link"].iter().all(|name| last.contains_key(&format!("var/lib/sss/.wh.{name}"))), "{last:?}");
    assert!(last["usr/lib/sysusers.d/00-onlay.conf"].starts_with("-rw-r--r-- 0/0"), "{last:?}");
}

#[test]
fn what_a_package_or_a_command_does_to_a_configured_path_is_kept_beside_it() {
    let mut world = World::new(OSTREE);
    let files = [("/etc/tool.conf", "ours\n"), ("/etc/motd", "ours\n"), ("/etc/gone", "ours\n")];
    let wanted = configuration(&files, &[("/etc/link", "motd")], &[]);
    let containerfile = "FROM configs AS final\n\
        RUN echo shipped > /etc/tool.conf.dpkg-dist && echo changed > /etc/motd && rm /etc/gone /etc/link\n";
    let built = world.build(wanted, Some(containerfile));
    let layers = world.layers(built.image());
    assert_eq!(newest(&layers, "usr/lib/onlay/base/etc/tool.conf").as_deref(), Some("shipped\n"));
    assert_eq!(newest(&layers, "usr/lib/onlay/base/etc/motd").as_deref(), Some("changed\n"));
    for path in ["etc/tool.conf", "etc/motd", "etc/gone"] {
        assert_eq!(newest(&layers, path).as_deref(), Some("ours\n"), "{path}");
    }
    let last = list(&layers.last().unwrap().1);
    assert!(last.contains_key("etc/.wh.tool.conf.dpkg-dist"), "{last:?}");
    assert!(last["etc/gone"].starts_with("-rw-r----- 0/0") && last["etc/link"].contains("-> motd"), "{last:?}");
}
