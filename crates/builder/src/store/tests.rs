use super::*;

fn directory() -> (tempfile::TempDir, Utf8PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = Utf8Path::from_path(directory.path()).unwrap().to_owned();
    (directory, path)
}

fn paths(cache: &Utf8Path) -> Paths {
    Paths { cache: cache.to_owned(), work: cache.with_extension("work"), ..Paths::default() }
}

/// Something in the storage that is larger than it may be below.
fn fill(cache: &Utf8Path) {
    fs::create_dir_all(cache.join("storage-overlay/overlay")).unwrap();
    fs::write(cache.join("storage-overlay/overlay/file"), vec![1; 100_000]).unwrap();
}

#[test]
fn a_cache_in_use_is_shared_and_not_emptied() {
    let (_kept, cache) = directory();
    let mut first = Store::open(&paths(&cache), Some(1 << 30)).unwrap();
    assert!(first.is_alone());
    first.share().unwrap();
    fill(&cache);
    let second = Store::open(&paths(&cache), Some(1000)).unwrap();
    assert!(!second.is_alone());
    assert_eq!(second.storage(Driver::Overlay), cache.join("storage-overlay"));
    assert!(cache.join("storage-overlay/overlay/file").exists());
    drop((first, second));
    let third = Store::open(&paths(&cache), Some(1000)).unwrap();
    assert!(third.is_alone() && !cache.join("storage-overlay").exists());
}

#[test]
fn a_suspect_cache_is_left_alone_while_in_use_and_then_emptied() {
    let (_kept, cache) = directory();
    let mut first = Store::open(&paths(&cache), Some(1 << 30)).unwrap();
    first.share().unwrap();
    fill(&cache);
    first.suspect();
    let second = Store::open(&paths(&cache), Some(1 << 30)).unwrap();
    assert!(second.is_alone() && second.storage(Driver::Overlay).starts_with(cache.with_extension("work")));
    drop((first, second));
    Store::open(&paths(&cache), Some(1 << 30)).unwrap();
    assert_eq!(names(&cache).unwrap().len(), 2, "the lock and a new home");
}

#[test]
fn what_a_killed_build_was_removing_is_removed() {
    let (_kept, cache) = directory();
    fs::create_dir_all(cache.join("trash-storage-overlay/overlay")).unwrap();
    Store::open(&paths(&cache), Some(1 << 30)).unwrap();
    assert!(!cache.join("trash-storage-overlay").exists());
}

#[test]
fn without_a_cache_a_build_has_a_storage_of_its_own() {
    let (_kept, cache) = directory();
    let missing = paths(&cache.join("missing"));
    for limit in [None, Some(1 << 30)] {
        let store = Store::open(&missing, limit).unwrap();
        assert!(store.is_alone() && store.home().starts_with(&missing.work));
    }
}
