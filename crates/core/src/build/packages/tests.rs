use rstest::rstest;

use super::*;

fn wanted(extensions: &[&str], kernel: &str, image: Option<&str>) -> Packages {
    let spec = MachineConfigSpec {
        extensions: extensions.iter().map(|name| (*name).to_owned()).collect(),
        kernel_type: Some(kernel.to_owned()),
        ..MachineConfigSpec::default()
    };
    Packages::of(&spec, image)
}

#[rstest]
#[case::nothing(&[], "default", true)]
#[case::no_word_for_the_kernel(&[], "", true)]
#[case::an_extension(&["usbguard"], "default", false)]
#[case::a_kernel(&[], "realtime", false)]
fn the_image_counts_where_something_is_wanted(#[case] extensions: &[&str], #[case] kernel: &str, #[case] empty: bool) {
    let packages = wanted(extensions, kernel, Some("example.com/e@sha256:1"));
    assert_eq!((packages.is_empty(), packages.image.is_none()), (empty, empty));
}

#[rstest]
#[case::rpm_ostree(&["/usr/bin/rpm-ostree", "/usr/bin/dnf"], Some(Manager::RpmOstree))]
#[case::dnf(&["/usr/bin/dnf"], Some(Manager::Dnf))]
#[case::debian_with_dnf(&["/usr/bin/dnf", "/usr/bin/apt-get"], Some(Manager::Apt))]
#[case::nothing(&[], None)]
fn the_package_manager_is_known_by_its_program(#[case] programs: &[&str], #[case] expected: Option<Manager>) {
    assert_eq!(Manager::of(|program| programs.contains(&program)), expected);
}

#[rstest]
#[case::apt("apt", Manager::Apt, None)]
#[case::dnf("dnf", Manager::Dnf, None)]
#[case::dnf_with_an_image("dnf-image", Manager::Dnf, Some("example.com/e@sha256:1"))]
#[case::rpm_ostree("rpm-ostree", Manager::RpmOstree, None)]
#[case::rpm_ostree_with_an_image("rpm-ostree-image", Manager::RpmOstree, Some("example.com/e@sha256:1"))]
fn scripts(#[case] name: &str, #[case] manager: Manager, #[case] image: Option<&str>) {
    let packages = wanted(&["kerberos", "usbguard"], "realtime", image);
    let script = packages.script(manager).unwrap();
    insta::assert_snapshot!(name, format!("{}\n{script}", packages.mount(manager).unwrap_or_default()));
}

#[test]
fn a_kernel_alone_installs_nothing_else() {
    for manager in [Manager::Apt, Manager::Dnf, Manager::RpmOstree] {
        let script = wanted(&[], "realtime", None).script(manager).unwrap();
        assert!(!script.contains("usbguard") && !script.contains("install \n"), "{script}");
    }
}

#[rstest]
#[case::an_extension(&["wasm"], "default", "(apt-get) has no packages for the extension wasm; remove it from spec.extensions")]
#[case::a_kernel(&[], "64k-pages", "(apt-get) has no kernel of the type 64k-pages; remove spec.kernelType")]
fn what_debian_does_not_have_is_refused(#[case] extensions: &[&str], #[case] kernel: &str, #[case] words: &str) {
    let failure = wanted(extensions, kernel, None).script(Manager::Apt).unwrap_err();
    assert_eq!(failure.cause, Cause::InputRefused);
    assert!(failure.message.contains(words), "{}", failure.message);
}

#[test]
fn every_known_extension_has_packages_where_rpm_is() {
    for name in crate::render::extension::KNOWN {
        for manager in [Manager::Dnf, Manager::RpmOstree] {
            assert!(!manager.packages(name).is_empty(), "{name}");
        }
    }
}

#[rstest]
#[case::big_pages_elsewhere("64k-pages", None, "amd64", Some("architecture arm64"))]
#[case::big_pages("64k-pages", None, "arm64", None)]
#[case::a_tag("realtime", Some("example.com/e:1"), "amd64", Some("which no digest names"))]
#[case::a_digest("realtime", Some("example.com/e@sha256:1"), "amd64", None)]
#[case::a_tag_that_nobody_needs("default", Some("example.com/e:1"), "amd64", None)]
fn what_can_be_known_early_is_refused_early(
    #[case] kernel: &str,
    #[case] image: Option<&str>,
    #[case] architecture: &str,
    #[case] words: Option<&str>,
) {
    let refusal = wanted(&[], kernel, image).refusal(architecture).map(|failure| failure.message);
    match words {
        None => assert_eq!(refusal, None),
        Some(words) => assert!(refusal.as_deref().unwrap_or_default().contains(words), "{refusal:?}"),
    }
}
