//! Packages that a configuration wants. The package managers are stand-ins: they write down what they are told and what they
//! see, and know nothing of dependencies, signatures or kernels. apt and dnf themselves install packages in the tests of the lab;
//! rpm-ostree is in no Debian.

use onlay_core::build::packages::{Kernel, Packages};
use onlay_core::build::spec::{Cause, EXIT_DEFINITIVE};
use serde_json::Value;
use tokio::runtime::Builder;

use crate::base;
use crate::images::newest;
use crate::world::{OSTREE, World, configuration};

/// A base image that has a program for packages: it writes down its arguments and what it finds of the extensions image.
fn with_manager(name: &str) -> String {
    let script = "#!/bin/sh\\necho \"$@\" >> /usr/share/said\\nfor file in /run/onlay-extensions/*; do echo \"$file\" >> /usr/share/said; done\\n\
                  case \"$*\" in *krb5*) echo no such package; exit 1;; esac\\n";
    format!("{OSTREE}\nRUN printf '{script}' > /usr/bin/{name} && chmod 755 /usr/bin/{name}\n")
}

fn nothing() -> Value {
    configuration(&[], &[], &[])
}

fn extensions(names: &[&str]) -> Packages {
    Packages { extensions: names.iter().map(|name| (*name).to_owned()).collect(), ..Packages::default() }
}

#[test]
fn an_extension_comes_from_the_image_that_holds_it_before_what_the_user_wrote() {
    let mut world = World::new(&with_manager("rpm-ostree"));
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let lines =
        "RUN mkdir -p /usr/share/rpm-ostree/extensions && echo x > /usr/share/rpm-ostree/extensions/usbguard.rpm\n";
    let image = runtime.block_on(world.registry.push(&base::image(lines), "os/extensions:1")).unwrap();
    world.packages = Packages { image: Some(image), ..extensions(&["usbguard"]) };
    let built = world.build(nothing(), Some("FROM configs AS final\nRUN cp /usr/share/said /usr/share/seen\n"));
    let layers = world.layers(built.image());
    let said = "install usbguard\n/run/onlay-extensions/usbguard.rpm\n";
    assert_eq!(newest(&layers, "usr/share/seen").as_deref(), Some(said));
    let left = |path| newest(&layers, path);
    assert_eq!((left("etc/yum.repos.d/onlay-extensions.repo"), left("run/onlay-packages")), (None, None));
}

#[test]
fn an_extension_needs_no_containerfile() {
    let mut world = World::new(&with_manager("dnf"));
    world.packages = extensions(&["usbguard", "sysstat"]);
    let built = world.build(configuration(&[("/etc/new", "x\n")], &[], &[]), None);
    let said = "install -y usbguard sysstat\n/run/onlay-extensions/*\nclean all\n/run/onlay-extensions/*\n";
    let layers = world.layers(built.image());
    assert_eq!(newest(&layers, "usr/share/said").as_deref(), Some(said));
    assert_eq!(newest(&layers, "etc/new").as_deref(), Some("x\n"));
}

#[test]
fn packages_that_cannot_be_installed_are_told_with_the_package_managers_words() {
    let mut world = World::new(&with_manager("dnf"));
    world.packages = extensions(&["kerberos"]);
    let built = world.build(nothing(), Some("FROM configs AS final\nRUN echo a\n"));
    let (failure, _) = built.failure();
    assert_eq!((failure.cause, &failure.step), (Cause::InstructionFailed, &None));
    assert!(failure.message.contains("the packages that MachineConfigs want (spec.extensions"), "{}", failure.message);
    assert!(failure.output.iter().any(|line| line == "no such package"), "{:?}", failure.output);
    assert!(!world.has_image());
}

#[test]
fn a_base_image_without_a_package_manager_or_without_the_packages_is_told_before_anything_runs() {
    for (lines, packages, words) in [
        (OSTREE.to_owned(), extensions(&["usbguard"]), "has none of the package managers that are known here"),
        (with_manager("apt-get"), extensions(&["wasm"]), "(apt-get) has no packages for the extension wasm"),
        (
            with_manager("apt-get"),
            Packages { kernel: Kernel::BigPages, ..Packages::default() },
            "has no kernel of the type 64k-pages",
        ),
    ] {
        let mut world = World::new(&lines);
        world.packages = packages;
        let built = world.build(nothing(), None);
        let (failure, exit_code) = built.failure();
        assert_eq!((failure.cause, exit_code), (Cause::InputRefused, EXIT_DEFINITIVE), "{failure:?}");
        assert!(failure.message.contains(words), "{}", failure.message);
    }
}
