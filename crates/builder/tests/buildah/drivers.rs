//! Storage where the kernel makes no overlays: the next driver is taken, and the image is the same.

use onlay_core::build::spec::Outcome;

use crate::images::newest;
use crate::world::{OSTREE, World, configuration};

/// Puts the directory to work in onto an overlay, which the kernel does not take for another one, and takes away the program that
/// makes overlays instead.
const NO_OVERLAYS: &str = "mkdir $1/lower $1/apart $1/scratch; \
    mount -t overlay overlay -o lowerdir=$1/lower,upperdir=$1/apart,workdir=$1/scratch $2; \
    if [ -e /usr/bin/fuse-overlayfs ]; then mount --bind /dev/null /usr/bin/fuse-overlayfs; fi";

#[test]
fn where_no_overlay_can_be_made_a_build_goes_on_with_copies() {
    let world = World::new(OSTREE);
    let text = "FROM configs AS tool\nRUN echo made > /usr/share/made\nFROM configs AS final\nENV A=b\n\
        COPY --from=tool /usr/share/made /usr/share/copied\nRUN cat /etc/motd > /usr/share/seen && rm /usr/share/kept\n";
    let wanted = configuration(&[("/etc/motd", "ours\n")], &[], &[]);
    let (log, outcome) = world.build_apart(NO_OVERLAYS, wanted, text);
    let warnings: Vec<&str> = log
        .lines()
        .filter_map(|line| line.split_once("warning: storage by ")?.1.split_once(" does not"))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(warnings, ["overlay", "fuse-overlayfs"], "{log}");
    assert!(world.path("apart/store/storage-vfs/onlay-works").exists(), "{log}");

    let Outcome::Pushed { image } = &outcome else { panic!("{outcome:?}: {log}") };
    let layers = world.layers(image);
    assert_eq!(layers[0].0, world.layers(&world.base)[0].0, "the base's layer keeps its digest");
    let layers = world.layers(image);
    for (name, contents) in [("usr/share/copied", "made\n"), ("usr/share/seen", "ours\n"), ("etc/motd", "ours\n")] {
        assert_eq!(newest(&layers, name).as_deref(), Some(contents), "{name}");
    }
    assert_eq!(newest(&layers, "usr/share/.wh.kept").as_deref(), Some(""));
}
