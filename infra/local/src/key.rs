//! The development key: fixed by a setting, or made once and kept.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use rand::RngExt as _;
use rand::distr::Alphanumeric;

/// File of the key in the data folder.
pub(crate) const FILE: &str = "key";

/// Characters of a key's secret: 190 bits.
const SECRET_CHARS: usize = 32;

/// A new key.
pub(crate) fn make() -> String {
    let secret: String = rand::rng().sample_iter(Alphanumeric).take(SECRET_CHARS).map(char::from).collect();
    format!("tw_dev_{secret}")
}

/// The key kept in `path`; made and kept, readable by its owner alone, if there is none.
///
/// # Errors
/// When the file cannot be read or written.
pub(crate) fn keep(path: &Path) -> anyhow::Result<String> {
    if let Some(key) = read(path)? {
        return Ok(key);
    }
    let key = make();
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("the key cannot be kept in {}", path.display()))?;
    writeln!(file, "{key}").with_context(|| format!("the key cannot be kept in {}", path.display()))?;
    Ok(key)
}

/// The key kept in `path`, if there is one.
///
/// # Errors
/// When the file is there and cannot be read.
pub(crate) fn read(path: &Path) -> anyhow::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|key| !key.is_empty())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("the key in {} cannot be read", path.display())),
    }
}
