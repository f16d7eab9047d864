use onlay_api::layering_policy::Cache;
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
#[case::on_a_nearly_full_disk_that_is_large(Seen { free: 21 * GIB, size: 1000 * GIB, ..seen() }, Verdict::Use)]
#[case::on_a_nearly_full_disk_and_in_use(Seen { free: 9 * GIB, alone: false, ..seen() }, Verdict::Use)]
#[case::on_a_nearly_full_disk_with_nothing_in_it(Seen { free: 9 * GIB, used: 0, ..seen() }, Verdict::Use)]
#[case::broken(Seen { suspect: true, ..seen() }, Verdict::Empty(Why::Suspect))]
#[case::broken_and_in_use(Seen { suspect: true, alone: false, ..seen() }, Verdict::Avoid(Why::Suspect))]
fn a_cache_is_used_emptied_or_left_alone(#[case] seen: Seen, #[case] expected: Verdict) {
    assert_eq!(judge(seen), expected);
}

fn policy(type_: CacheType, limit: Option<&str>) -> BuildPolicy {
    let cache = Cache { type_, size_limit: limit.map(str::to_owned), ..Cache::default() };
    BuildPolicy { cache: Some(cache), ..BuildPolicy::default() }
}

#[rstest]
#[case::that_nobody_sets(BuildPolicy::default(), Some(20 * GIB))]
#[case::on_nodes(policy(CacheType::Node, None), Some(20 * GIB))]
#[case::of_a_volume(policy(CacheType::Volume, Some("5Gi")), Some(5 * GIB))]
#[case::in_powers_of_ten(policy(CacheType::Node, Some("3G")), Some(3_000_000_000))]
#[case::in_bytes(policy(CacheType::Node, Some("1048576")), Some(1 << 20))]
#[case::of_no_cache(policy(CacheType::None, None), None)]
fn the_limit_of_a_cache(#[case] policy: BuildPolicy, #[case] expected: Option<u64>) {
    assert_eq!(limit(&policy), Ok(expected));
}

#[rstest]
#[case::with_an_unknown_unit("10GB")]
#[case::broken("1.5Gi")]
#[case::zero("0")]
#[case::without_a_number("Gi")]
#[case::too_large("99999999999Ti")]
fn a_limit_that_is_no_size_is_named(#[case] text: &str) {
    let error = limit(&policy(CacheType::Node, Some(text))).unwrap_err();
    assert!(error.starts_with(&format!("spec.build.cache.sizeLimit: {text:?} is no size; write")), "{error}");
}

#[rstest]
#[case(Why::Suspect, "a build before found it broken")]
#[case(Why::TooLarge { used: 21 * GIB, limit: 20 * GIB }, "it has 21504 MiB and may have 20480 MiB")]
#[case(Why::LittleSpace { free: GIB }, "its file system has 1024 MiB free, less than 10 % and than it may hold")]
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
