//! Vectors made by hashing words, with no model: signed feature hashing.
//!
//! They know which words and which parts of words two texts share, and nothing of what those
//! mean: "car" and "automobile" are strangers to them. That is enough to try embeddings out
//! without a key, and for tests, since equal texts have equal vectors on every machine: all
//! sums are of whole numbers, and the one root and the one division after them are exact to
//! the bit under IEEE 754. Texts are taken apart by the tables of Unicode that this build has.
//!
//! Each feature of a text is hashed, and the hash says which dimension it goes to and with
//! which sign, so that features that meet in a dimension cancel each other as often as they
//! add up (Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", 2009).

use std::collections::BTreeMap;

use unicode_normalization::UnicodeNormalization as _;

use crate::fault::Fault;
use crate::limits::{HASH_DIMENSIONS, MAX_HASH_DIMENSIONS};

/// How many numbers a vector has, 1 to [`MAX_HASH_DIMENSIONS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashDimensions(usize);

impl HashDimensions {
    /// As many as asked for, or the usual number.
    ///
    /// # Errors
    /// A fault of `dimensions` when they are too many or none.
    pub fn new(asked: Option<u64>) -> Result<Self, Fault> {
        let Some(asked) = asked else { return Ok(Self(HASH_DIMENSIONS)) };
        let dimensions = usize::try_from(asked).ok().filter(|asked| (1..=MAX_HASH_DIMENSIONS).contains(asked));
        let message = || format!("A hash embedding has 1 to {MAX_HASH_DIMENSIONS} dimensions, not {asked}.");
        dimensions.map(Self).ok_or_else(|| Fault::new("dimensions", message()))
    }
}

/// What a text is made of, and what one of its kind weighs: a word says more than a part of
/// it, of which it has many.
#[derive(Debug, Clone, Copy)]
enum Feature {
    Word,
    /// Two words, one after the other.
    Pair,
    /// Three characters of a word, or of its ends with a mark for the end.
    Trigram,
}

impl Feature {
    /// Keeps a word and a trigram of the same characters apart.
    const fn seed(self) -> u8 {
        match self {
            Self::Word => b'w',
            Self::Pair => b'p',
            Self::Trigram => b't',
        }
    }

    const fn weight(self) -> u64 {
        match self {
            Self::Word => 4,
            Self::Pair => 2,
            Self::Trigram => 1,
        }
    }
}

/// Stands before and behind a word in its trigrams; no word has it.
const WORD_END: char = ' ';

/// A feature that comes n times counts the root of n times; the roots are of n times this, so
/// that whole numbers tell them apart.
const COUNT_SCALE: u64 = 1 << 16;

/// The vector of `text`, of length 1. Never zero, also for a text without words.
#[must_use]
pub fn embed(text: &str, dimensions: HashDimensions) -> Vec<f32> {
    let mut sums = vec![0_i64; dimensions.0];
    for (hash, (feature, count)) in features(text) {
        let weight = feature.weight() * (count * COUNT_SCALE).isqrt();
        add(&mut sums, hash, i64::try_from(weight).unwrap_or(i64::MAX));
    }
    if sums.iter().all(|sum| *sum == 0) {
        // Nothing in it, or all of it cancelled out: the text as a whole decides.
        add(&mut sums, hash(Feature::Word, text.chars()), 1);
    }
    normalised(&sums)
}

/// The features of a text by their hash, and how often each comes.
fn features(text: &str) -> BTreeMap<u64, (Feature, u64)> {
    let mut found = BTreeMap::new();
    let mut note = |feature: Feature, hash: u64| found.entry(hash).or_insert((feature, 0)).1 += 1;

    let normal = normal(text);
    let words: Vec<&str> = normal.split(|char: char| !char.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    // A text of signs alone is told from others by its signs.
    let parts = if words.is_empty() { vec![normal.as_str()] } else { words.clone() };
    for word in &words {
        note(Feature::Word, hash(Feature::Word, word.chars()));
    }
    for pair in words.windows(2) {
        let together = pair[0].chars().chain([WORD_END]).chain(pair[1].chars());
        note(Feature::Pair, hash(Feature::Pair, together));
    }
    for part in parts {
        let marked: Vec<char> = [WORD_END].into_iter().chain(part.chars()).chain([WORD_END]).collect();
        for three in marked.windows(3) {
            note(Feature::Trigram, hash(Feature::Trigram, three.iter().copied()));
        }
    }
    found
}

/// `text` without what makes no difference to a reader: case, and the ways to write the same
/// characters.
fn normal(text: &str) -> String {
    // Folding can take characters apart again.
    caseless::default_case_fold_str(&text.nfkc().collect::<String>()).nfkc().collect()
}

fn add(sums: &mut [i64], hash: u64, weight: i64) {
    let dimensions = u64::try_from(sums.len()).unwrap_or(1);
    // The lowest bit is the sign, the others choose the dimension.
    let at = usize::try_from((hash >> 1) % dimensions).unwrap_or(0);
    sums[at] += if hash & 1 == 0 { weight } else { -weight };
}

/// 64 bits of FNV-1a, whose low bits are then mixed with its high ones as `MurmurHash3` ends:
/// alone they are poor.
fn hash(feature: Feature, text: impl Iterator<Item = char>) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    let mut hash = step(OFFSET, feature.seed());
    for char in text {
        hash = char.encode_utf8(&mut [0; 4]).bytes().fold(hash, step);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "rounded to the nearest, by IEEE 754")]
fn normalised(sums: &[i64]) -> Vec<f32> {
    let squares: i128 = sums.iter().map(|sum| i128::from(*sum) * i128::from(*sum)).sum();
    let length = (squares as f64).sqrt();
    sums.iter().map(|sum| (*sum as f64 / length) as f32).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::digest::Digest;

    fn of(text: &str, dimensions: u64) -> Vec<f32> {
        embed(text, HashDimensions::new(Some(dimensions)).unwrap())
    }

    fn likeness(one: &str, other: &str) -> f32 {
        let usual = HashDimensions::new(None).unwrap();
        embed(one, usual).iter().zip(embed(other, usual)).map(|(a, b)| a * b).sum()
    }

    /// The numbers of a vector, bit by bit.
    fn check_digest(text: &str, dimensions: u64, expected: &str) {
        let bytes: Vec<u8> = of(text, dimensions).iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(Digest::of(bytes).as_str(), expected, "{text:?} in {dimensions} dimensions");
    }

    /// The expected values come from a second implementation, in Python. Vectors are kept by
    /// whoever asked for them: one that changes is a model of another name.
    #[test]
    fn vectors_never_change() {
        let fox = [0.0, -0.552_344_8, 0.0, 0.184_114_92, -0.368_229_84, 0.092_057_46, -0.460_287_3, 0.552_344_8];
        assert_eq!(of("The quick brown fox", 8), fox);
        assert_eq!(of("!?", 4), [-0.707_106_77, 0.0, -0.707_106_77, 0.0]);

        let text = "The quick brown fox jumps over the lazy dog. Größe: 5 ㎏, naïve café!";
        check_digest(text, 256, "7a818783a9eaacb7263ef9bbcf382b1a1ec6c8078f8838d80e6fd373bbbb4fdf");
        check_digest(text, 4096, "05eae69df463db010f038bd8ecedfa95e7679aa91cae3bb23ebb6b855ba7cff1");
        check_digest("日本語のテキスト", 256, "8f9468a11879f49b5b929757416f4b923cf29a90cc4227e88e1086f48fdb5cc7");
        check_digest(" ", 256, "63eb9fd1ae6389e691ca17b4cc2cd622632ecab81ffb8efbde0a608c7954f4cb");
    }

    #[test]
    fn like_texts_are_nearer_than_others() {
        let near = [
            ("How do I reset my password?", "password reset", "The weather in Berlin is sunny today."),
            ("the invoice was paid in March", "Invoices paid last March", "a recipe for apple cake"),
            ("Kündigungsfrist im Mietvertrag", "Mietvertrag: Kündigung", "Öffnungszeiten der Bibliothek"),
            ("東京の天気予報", "東京の天気", "新しい電話を買う"),
        ];
        for (text, like, other) in near {
            let (like, other) = (likeness(text, like), likeness(text, other));
            assert!(like > other + 0.2, "{text}: {like} against {other}");
        }
        assert!(likeness("the dog bites the man", "the dog bites the man") > 0.9999);
        let turned = likeness("the dog bites the man", "the man bites the dog");
        assert!(turned < 0.999, "the order of words counts: {turned}");
    }

    #[test]
    fn how_a_text_is_written_makes_no_difference() {
        for (one, other) in [
            ("Straße", "STRASSE"),
            ("cafe\u{301}", "café"),
            ("ｆｕｌｌ", "full"),
            ("one, two", "one  TWO!"),
            ("Ⅸ", "ix"),
        ] {
            assert_eq!(of(one, 256), of(other, 256), "{one:?} {other:?}");
        }
    }

    #[test]
    fn dimensions_have_their_limits() {
        assert_eq!(HashDimensions::new(None), Ok(HashDimensions(HASH_DIMENSIONS)));
        assert_eq!(HashDimensions::new(Some(1)), Ok(HashDimensions(1)));
        assert_eq!(HashDimensions::new(Some(4096)), Ok(HashDimensions(MAX_HASH_DIMENSIONS)));
        for asked in [0, 4097, u64::MAX] {
            assert_eq!(HashDimensions::new(Some(asked)).unwrap_err().field, "dimensions");
        }
    }

    proptest! {
        #[test]
        fn every_text_has_a_vector_of_length_1(text in "\\PC{0,40}|[a-c ]{0,9}|[ !?.]{0,5}", dimensions in 1_u64..20) {
            let vector = of(&text, dimensions);
            prop_assert_eq!(vector.len(), usize::try_from(dimensions).unwrap());
            let length: f32 = vector.iter().map(|value| value * value).sum();
            prop_assert!((length - 1.0).abs() < 1e-5, "{length}");
        }
    }
}
