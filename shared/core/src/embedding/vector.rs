//! A vector, as numbers and as base64.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::PAD;
use base64::engine::{DecodePaddingMode, GeneralPurpose};
use serde::Serialize;

/// Bytes of one number in base64.
const NUMBER_BYTES: usize = size_of::<f32>();

/// Writes padding, as OpenAI does, and reads without it too.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// How a client wants its vectors written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// A JSON array of numbers.
    #[default]
    Float,
    /// Base64 over 32-bit little-endian floats: a quarter of the bytes. OpenAI's clients ask
    /// for it unless they are told otherwise.
    Base64,
}

impl Encoding {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Float, Self::Base64];

    /// Its name in `encoding_format`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::Base64 => "base64",
        }
    }
}

/// A vector of at least one number, all of them finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Vector {
    values: Vec<f32>,
    /// As the upstream wrote it, where it wrote base64.
    base64: Option<String>,
}

/// A vector as it stands in an answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Written {
    /// Numbers.
    Floats(Vec<f32>),
    /// Base64.
    Base64(String),
}

impl Vector {
    /// The vector of `values`; `None` where there are none, or one is no finite number.
    #[must_use]
    pub fn new(values: Vec<f32>) -> Option<Self> {
        let whole = !values.is_empty() && values.iter().all(|value| value.is_finite());
        whole.then_some(Self { values, base64: None })
    }

    /// The vector that `text` holds in base64; `None` where it holds none.
    #[must_use]
    pub fn from_base64(text: String) -> Option<Self> {
        let bytes = BASE64.decode(&text).ok()?;
        let (numbers, rest) = bytes.as_chunks::<NUMBER_BYTES>();
        let values = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let vector = Self::new(values).filter(|_| rest.is_empty())?;
        Some(Self { base64: Some(text), ..vector })
    }

    /// Its numbers.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// How many they are.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.values.len()
    }

    /// The vector as a client wants it. Base64 that came as such is not written anew.
    #[must_use]
    pub fn written(self, encoding: Encoding) -> Written {
        match encoding {
            Encoding::Float => Written::Floats(self.values),
            Encoding::Base64 => Written::Base64(self.base64.unwrap_or_else(|| encode(&self.values))),
        }
    }
}

fn encode(values: &[f32]) -> String {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    BASE64.encode(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn base64_is_little_endian_floats() {
        // What OpenAI's client decodes with numpy's dtype "float32".
        let vector = Vector::new(vec![1.0, -2.5]).unwrap();
        assert_eq!(vector.written(Encoding::Base64), Written::Base64("AACAPwAAIMA=".to_owned()));
    }

    #[test]
    fn base64_that_came_is_kept() {
        let came = "AACAPwAAIMA";
        let vector = Vector::from_base64(came.to_owned()).unwrap();
        assert_eq!(vector.values(), [1.0, -2.5]);
        assert_eq!(vector.clone().written(Encoding::Base64), Written::Base64(came.to_owned()));
        assert_eq!(vector.written(Encoding::Float), Written::Floats(vec![1.0, -2.5]));
    }

    #[test]
    fn what_is_no_vector_is_refused() {
        for values in [vec![], vec![f32::NAN], vec![1.0, f32::INFINITY]] {
            assert_eq!(Vector::new(values.clone()), None, "{values:?}");
        }
        // Nothing, no base64, three bytes, an infinity, the alphabet of URLs.
        for text in ["", "%", "AACA", "AACAfw==", "AA-_Pw=="] {
            assert_eq!(Vector::from_base64(text.to_owned()), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_vector_comes_back(values in prop::collection::vec(-1e30_f32..1e30, 1..20)) {
            let Written::Base64(text) = Vector::new(values.clone()).unwrap().written(Encoding::Base64) else {
                unreachable!("asked for base64");
            };
            let back = Vector::from_base64(text).unwrap();
            prop_assert_eq!(back.values(), &values[..]);
        }
    }
}
