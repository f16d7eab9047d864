//! Storage where the kernel makes no overlays: the next driver is taken, and the image is the same.

use onlay_core::build::spec::Outcome;
use rstest::rstest;

use crate::images::newest;
use crate::world::{OSTREE, World, configuration};

/// Puts the directory to work in onto an overlay, which the kernel does not take for another one. buildah knows that, and has
/// fuse-overlayfs make the overlays if that is there.
const ON_AN_OVERLAY: &str = "mkdir $1/lower $1/apart $1/scratch; \
    mount -t overlay overlay -o lowerdir=$1/lower,upperdir=$1/apart,workdir=$1/scratch $2";
/// Takes that away.
const NO_PROGRAM: &str = "mount --bind /dev/null /usr/bin/fuse-overlayfs";
/// Takes the device away that it needs, as in a pod to which nobody gives it.
const NO_DEVICE: &str = "mkdir $1/dev $1/dev/shm; ln -s /proc/self/fd $1/dev/fd; \
    for each in null zero full random urandom tty; do touch $1/dev/$each; mount --bind /dev/$each $1/dev/$each; done; \
    mount --rbind $1/dev /dev";

#[rstest]
#[case::a_program_makes_them("true", &[], "overlay")]
#[case::nor_is_there_a_program_files_are_copied(NO_PROGRAM, &["overlay", "fuse-overlayfs"], "vfs")]
#[case::nor_is_there_its_device_files_are_copied(NO_DEVICE, &["overlay", "fuse-overlayfs"], "vfs")]
fn where_the_kernel_makes_no_overlays(#[case] script: &str, #[case] refused: &[&str], #[case] taken: &str) {
    let world = World::new(OSTREE);
    let text = "FROM configs AS tool\nRUN echo made > /usr/share/made\nFROM configs AS final\nENV A=b\n\
        COPY --from=tool /usr/share/made /usr/share/copied\nRUN cat /etc/motd > /usr/share/seen && rm /usr/share/kept\n";
    let wanted = configuration(&[("/etc/motd", "ours\n")], &[], &[]);
    let (log, outcome) = world.build_apart(&format!("{ON_AN_OVERLAY}; {script}"), wanted, text);
    let warnings: Vec<&str> = log
        .lines()
        .filter_map(|line| line.split_once("warning: storage by ")?.1.split_once(" does not"))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(warnings, refused, "{log}");
    let storage = world.path(&format!("apart/store/storage-{taken}"));
    assert!(storage.join("onlay-works").exists(), "{log}");
    // What buildah itself notes of its storage.
    let by_program = std::fs::read_to_string(storage.join("overlay/.has-mount-program")).unwrap_or_default();
    assert_eq!(by_program == "true", refused.is_empty(), "{by_program}: {log}");

    let Outcome::Pushed { image } = &outcome else { panic!("{outcome:?}: {log}") };
    let layers = world.layers(image);
    assert_eq!(layers[0].0, world.layers(&world.base)[0].0, "the base's layer keeps its digest");
    let layers = world.layers(image);
    for (name, contents) in [("usr/share/copied", "made\n"), ("usr/share/seen", "ours\n"), ("etc/motd", "ours\n")] {
        assert_eq!(newest(&layers, name).as_deref(), Some(contents), "{name}");
    }
    assert_eq!(newest(&layers, "usr/share/.wh.kept").as_deref(), Some(""));
}
