use rstest::rstest;

use super::*;

const GIB: u64 = 1 << 30;

fn seen() -> Seen {
    Seen { alone: true, suspect: false, used: 5 * GIB, limit: 20 * GIB, free: 50 * GIB, size: 100 * GIB }
}

#[rstest]
#[case::as_it_is(seen(), Verdict::Use)]
#[case::just_full(Seen { used: 20 * GIB, ..seen() }, Verdict::Use)]
#[case::too_large(
    Seen { used: 21 * GIB, ..seen() },
    Verdict::Empty(Why::TooLarge { used: 21 * GIB, limit: 20 * GIB })
)]
#[case::too_large_and_in_use(Seen { used: 21 * GIB, alone: false, ..seen() }, Verdict::Use)]
#[case::on_a_nearly_full_disk(Seen { free: 9 * GIB, ..seen() }, Verdict::Empty(Why::LittleSpace { free: 9 * GIB }))]
#[case::on_a_nearly_full_disk_and_in_use(Seen { free: 9 * GIB, alone: false, ..seen() }, Verdict::Use)]
#[case::on_a_nearly_full_disk_with_nothing_in_it(Seen { free: 9 * GIB, used: 0, ..seen() }, Verdict::Use)]
#[case::broken(Seen { suspect: true, ..seen() }, Verdict::Empty(Why::Suspect))]
#[case::broken_and_in_use(Seen { suspect: true, alone: false, ..seen() }, Verdict::Avoid(Why::Suspect))]
fn a_cache_is_used_emptied_or_left_alone(#[case] seen: Seen, #[case] expected: Verdict) {
    assert_eq!(judge(seen), expected);
}

#[rstest]
#[case(Why::Suspect, "a build before found it broken")]
#[case(Why::TooLarge { used: 21 * GIB, limit: 20 * GIB }, "it has 21504 MiB and may have 20480 MiB")]
#[case(Why::LittleSpace { free: GIB }, "its file system has 1024 MiB free, less than 10 %")]
fn the_reason_has_numbers(#[case] why: Why, #[case] expected: &str) {
    assert_eq!(why.to_string(), expected);
}

#[rstest]
#[case::without_the_right_to_mount("mount /s/overlay:/s/overlay, flags: 0x1000: operation not permitted", true)]
#[case::without_the_program(
    r#"overlay: can't stat program "/usr/bin/nosuch": stat /usr/bin/nosuch: no such file"#,
    true
)]
#[case::without_the_device(
    "creating overlay mount to /s/overlay/3/merged, mount_data=\"\": using mount program /usr/bin/fuse-overlayfs: fuse: \
     device not found, try 'modprobe fuse' first",
    true
)]
#[case::on_a_file_system_of_the_wrong_kind(
    "'overlay' is not supported over nfs, a mount_program is required: backing file system is unsupported for this graph driver",
    true
)]
#[case::on_a_full_disk("write /s/storage.lock: no space left on device", false)]
#[case::on_a_disk_that_cannot_be_written("mkdir /s: read-only file system", false)]
fn a_driver_that_is_refused_is_told_from_a_broken_storage(#[case] said: &str, #[case] expected: bool) {
    assert_eq!(is_refused(said), expected);
}
