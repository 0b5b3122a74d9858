//! Bodies as they are stored: deflated JSON behind one byte that names the codec.
//!
//! Write units are counted per kilobyte and a turn's text is most of its rows, so
//! compressing it is the largest saving there is; the codec byte lets a later
//! version read what an earlier one wrote.

use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Error;

/// The bytes are JSON as it is: shorter than its deflated form.
const PLAIN: u8 = 0;
/// The bytes are JSON under raw deflate (RFC 1951).
const DEFLATE: u8 = 1;

/// Effort of compression, of 10: beyond it the time doubles for a percent.
const LEVEL: u8 = 6;

/// Most bytes a packed body may unfold to; no writer of ours comes near it.
const MAX_UNPACKED_BYTES: usize = 64 * 1024 * 1024;

pub(crate) fn pack(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    let json = serde_json::to_vec(value).map_err(|error| Error::corrupt(format!("cannot be written: {error}")))?;
    let deflated = compress_to_vec(&json, LEVEL);
    let (codec, body) = if deflated.len() < json.len() { (DEFLATE, deflated) } else { (PLAIN, json) };
    let mut packed = Vec::with_capacity(body.len() + 1);
    packed.push(codec);
    packed.extend(body);
    Ok(packed)
}

pub(crate) fn unpack<T: DeserializeOwned>(packed: &[u8]) -> Result<T, Error> {
    let json = match packed.split_first() {
        Some((&PLAIN, body)) => body.to_vec(),
        Some((&DEFLATE, body)) => decompress_to_vec_with_limit(body, MAX_UNPACKED_BYTES)
            .map_err(|error| Error::corrupt(format!("packed body: {error}")))?,
        Some((codec, _)) => return Err(Error::corrupt(format!("packed body: unknown codec {codec}"))),
        None => return Err(Error::corrupt("packed body: empty")),
    };
    serde_json::from_slice(&json).map_err(|error| Error::corrupt(format!("packed body: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_packed_and_read_back() {
        let text = "All happy families are alike. ".repeat(40);
        let packed = pack(&text).unwrap();
        assert!(packed.len() < text.len() / 4);
        assert_eq!(unpack::<String>(&packed).unwrap(), text);
    }

    #[test]
    fn a_short_body_does_not_grow_by_more_than_its_codec() {
        assert_eq!(pack(&"a").unwrap(), [PLAIN, b'"', b'a', b'"']);
    }

    #[test]
    fn a_damaged_body_is_an_error() {
        for bytes in [&[][..], &[9, 1], &[DEFLATE, 0xff], &[PLAIN, b'{']] {
            assert!(unpack::<String>(bytes).is_err());
        }
    }
}
