use super::*;
use std::os::unix::fs::PermissionsExt as _;
use uuid::Uuid;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn file_in(folder: &tempfile::TempDir) -> KeyFile {
    KeyFile::new(folder.path().join("home/identity.keys"))
}

fn write(file: &KeyFile, text: &str) {
    fs::create_dir_all(file.path().parent().unwrap()).unwrap();
    fs::write(file.path(), text).unwrap();
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o600)).unwrap();
}

fn line(version: i32, digit: char) -> String {
    format!("{version} {}\n", digit.to_string().repeat(64))
}

#[test]
fn a_new_file_is_for_its_owner_only_and_is_never_replaced() {
    let folder = folder();
    let file = file_in(&folder);
    assert!(matches!(file.newest(), Err(KeyFileError::Missing(_))));
    assert!(file.create_if_missing().unwrap());
    assert_eq!(fs::metadata(file.path()).unwrap().mode() & 0o777, 0o600);
    let (version, key) = file.newest().unwrap();
    assert_eq!(version, 1);
    assert!(!file.create_if_missing().unwrap(), "it was created before");
    assert!(file.newest().unwrap().1 == key, "the key was replaced");
    let left: Vec<_> = fs::read_dir(file.path().parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "a temporary file is left");
    let other = self::folder();
    let other = file_in(&other);
    other.create_if_missing().unwrap();
    assert!(other.newest().unwrap().1 != key, "two installations have the same key");
}

#[test]
fn of_concurrent_creations_one_counts() {
    let folder = folder();
    let keys: Vec<_> = std::thread::scope(|scope| {
        let creations: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let file = file_in(&folder);
                    file.create_if_missing().unwrap();
                    file.newest().unwrap().1
                })
            })
            .collect();
        creations.into_iter().map(|creation| creation.join().unwrap()).collect()
    });
    assert!(keys.iter().all(|key| *key == keys[0]), "processes have different keys");
}

#[test]
fn a_file_that_others_can_read_is_refused() {
    let folder = folder();
    let file = file_in(&folder);
    write(&file, &line(1, 'a'));
    for mode in [0o640, 0o604, 0o660, 0o610] {
        fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
        let refused = file.newest().err().unwrap();
        assert!(matches!(refused, KeyFileError::Readable { mode: found, .. } if found == mode), "{refused}");
    }
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o400)).unwrap();
    assert!(file.newest().is_ok());
}

#[test]
fn a_file_belongs_to_the_user_or_to_root() {
    const USER: u32 = 10_001;
    let access = |owner, mode| check_access(Path::new("/keys"), owner, mode, USER);
    for (owner, mode) in [(USER, 0o600), (USER, 0o400), (ROOT, 0o600), (ROOT, 0o640), (ROOT, 0o440)] {
        assert!(access(owner, mode).is_ok(), "{owner} {mode:o}");
    }
    for (owner, mode) in [(USER, 0o640), (USER, 0o604), (ROOT, 0o660), (ROOT, 0o650), (ROOT, 0o644), (ROOT, 0o641)] {
        let refused = access(owner, mode).unwrap_err();
        assert!(matches!(refused, KeyFileError::Readable { mode: found, .. } if found == mode), "{owner} {mode:o}");
    }
    let refused = access(USER + 1, 0o600).unwrap_err();
    assert!(matches!(refused, KeyFileError::OtherOwner { user: USER, .. }), "{refused}");
    assert!(refused.to_string().contains("/keys"), "{refused}");
    // A process of root is held to the rule for its own file.
    assert!(check_access(Path::new("/keys"), ROOT, 0o640, ROOT).is_err());
}

#[test]
fn messages_have_the_absolute_path() {
    let file = KeyFile::new(PathBuf::from("nowhere/identity.keys"));
    let missing = file.newest().err().unwrap().to_string();
    let absolute = std::env::current_dir().unwrap().join("nowhere/identity.keys");
    assert!(missing.contains(absolute.to_str().unwrap()), "{missing}");
}

#[test]
fn a_file_that_is_too_large_is_refused_instead_of_cut() {
    let folder = folder();
    let file = file_in(&folder);
    let comment = |bytes: usize| format!("#{}\n", "x".repeat(bytes - 2));
    let limit = usize::try_from(MAX_FILE_BYTES).unwrap();
    let key = line(1, 'a');
    write(&file, &(key.clone() + &comment(limit - key.len())));
    assert_eq!(file.newest().unwrap().0, 1);
    // The newest version would be cut off.
    write(&file, &(key.clone() + &comment(limit - key.len()) + &line(2, 'b')));
    assert!(matches!(file.newest(), Err(KeyFileError::TooLarge { .. })));
}

#[test]
fn a_new_version_is_seen_without_a_restart() {
    let folder = folder();
    let file = file_in(&folder);
    write(&file, &line(1, 'a'));
    let old = file.key(1).unwrap();
    assert!(matches!(file.key(2), Err(KeyFileError::MissingVersion { version: 2, .. })));
    write(&file, &(line(1, 'a') + &line(2, 'b')));
    assert!(file.key(1).unwrap() == old && file.key(2).unwrap() != old);
    assert_eq!(file.newest().unwrap().0, 2);
}

#[test]
fn malformed_files_are_refused_with_the_line() {
    let folder = folder();
    let file = file_in(&folder);
    let valid = line(1, 'a');
    for (text, wrong_line) in [
        ("x".to_owned(), 1),
        (format!("# comment\n\n{valid}2 abc"), 4),
        (line(0, 'a'), 1),
        (format!("{} {}\n", i64::from(i32::MAX) + 1, "a".repeat(64)), 1),
        (valid.clone() + &valid, 2),
        (line(2, 'a') + &valid, 2),
        (line(1, 'A'), 1),
    ] {
        write(&file, &text);
        let refused = file.newest().err().unwrap();
        assert!(matches!(refused, KeyFileError::Malformed { line, .. } if line == wrong_line), "{text:?}: {refused}");
        assert!(!refused.to_string().contains("aaaa"), "the message has the key");
    }
    write(&file, "# nothing\n");
    assert!(matches!(file.newest(), Err(KeyFileError::Empty(_))));
}

#[test]
fn a_hash_is_of_one_secret_one_id_and_one_key() {
    let (key, other_key) = (EncryptionKey([1; 32]), EncryptionKey([2; 32]));
    let (id, other_id) = (ApiKeyId(Uuid::from_u128(1)), ApiKeyId(Uuid::from_u128(2)));
    let (secret, other) = (KeySecret::generate().unwrap(), KeySecret::generate().unwrap());
    let hash = key.hash(id, &secret).unwrap();
    assert!(key.verifies(id, &secret, &hash).unwrap());
    assert!(!key.verifies(id, &other, &hash).unwrap());
    assert!(!key.verifies(other_id, &secret, &hash).unwrap());
    assert!(!other_key.verifies(id, &secret, &hash).unwrap());
    assert!(!key.verifies(id, &secret, &hash[..31]).unwrap());
    assert!(!key.verifies(id, &secret, &[]).unwrap());
    assert_ne!(key.fingerprint().unwrap(), other_key.fingerprint().unwrap());
    assert_ne!(key.fingerprint().unwrap(), hash);
}
