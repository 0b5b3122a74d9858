//! The development key: fixed by a setting, or made once and kept. And the pepper that the
//! digests of other keys depend on.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::RngExt as _;
use rand::distr::Alphanumeric;
use turnwise_core::access::{MIN_PEPPER_BYTES, Peppers};

/// File of the key in the data folder.
pub(crate) const FILE: &str = "key";

/// File of the pepper in the data folder.
pub(crate) const PEPPER_FILE: &str = "pepper";

/// Characters of a key's secret: 190 bits.
const SECRET_CHARS: usize = 32;

/// A new development key.
pub(crate) fn make() -> String {
    format!("tw_dev_{}", secret())
}

/// A new key for the operator of a deployment.
pub(crate) fn make_operators() -> String {
    format!("tw_admin_{}", secret())
}

fn secret() -> String {
    rand::rng().sample_iter(Alphanumeric).take(SECRET_CHARS).map(char::from).collect()
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
    write(path, &key)?;
    Ok(key)
}

/// The pepper of this machine's keys, kept in `path` or, without one, in memory: made if there
/// is none. `TURNWISE_KEY_PEPPERS` has the form that a deployment is given.
///
/// # Errors
/// When the file cannot be read or written, or holds something else.
pub(crate) fn peppers(path: Option<&Path>) -> anyhow::Result<Peppers> {
    let kept = path.map(read).transpose()?.flatten();
    let text = match kept {
        Some(text) => text,
        None => {
            let text = make_pepper();
            path.map(|path| write(path, &text)).transpose()?;
            text
        }
    };
    Peppers::parse(PEPPER_FILE, &text).context("the file of the pepper in the data folder is damaged")
}

/// A new pepper, as `TURNWISE_KEY_PEPPERS` has it.
pub(crate) fn make_pepper() -> String {
    let secret: [u8; MIN_PEPPER_BYTES] = rand::rng().random();
    format!("1:{}", STANDARD.encode(secret))
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    let written = opened.and_then(|mut file| writeln!(file, "{text}"));
    written.with_context(|| format!("a secret cannot be kept in {}", path.display()))
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
