//! The estimate beside the tokenizer it is fitted to, text by text.
#![allow(clippy::unwrap_used, reason = "a test may stop where it breaks")]

use tiktoken_rs::o200k_base_singleton;
use turnwise_core::tokens::estimate_tokens;

macro_rules! texts {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../../tests/fixtures/texts/", $name, ".txt")))),*]
    };
}

/// What people and programs write.
const NATURAL: [(&str, &str); 12] = texts![
    "english", "german", "french", "russian", "chinese", "japanese", "arabic", "hindi", "rust", "python", "json",
    "markdown",
];

/// What is no language.
const OTHER: [(&str, &str); 4] = texts!["emoji", "base64", "digits", "urls"];

/// Estimates of [`NATURAL`] stay within these of the truth.
const NATURAL_BAND: std::ops::RangeInclusive<f64> = 0.85..=1.15;

/// No estimate of anything is less; those of [`OTHER`] are no more either.
const LEAST: f64 = 0.7;
const MOST: f64 = 1.3;

fn exact(text: &str) -> usize {
    o200k_base_singleton().encode(text, &std::collections::HashSet::new()).unwrap().0.len()
}

#[expect(clippy::cast_precision_loss, reason = "counts of some thousands")]
fn ratio(text: &str) -> f64 {
    estimate_tokens(text) as f64 / exact(text) as f64
}

#[test]
fn natural_text_and_code_are_estimated_within_their_band() {
    for (name, text) in NATURAL {
        println!("{name}: {} tokens, {:.2}", exact(text), ratio(text));
        assert!(NATURAL_BAND.contains(&ratio(text)), "{name}: {:.3}", ratio(text));
    }
    let prose = include_str!("../../../tests/fixtures/prose.txt");
    assert!(NATURAL_BAND.contains(&ratio(prose)), "prose: {:.3}", ratio(prose));
}

#[test]
fn what_is_no_language_is_not_estimated_far_too_low() {
    for (name, text) in OTHER {
        println!("{name}: {} tokens, {:.2}", exact(text), ratio(text));
        assert!((LEAST..=MOST).contains(&ratio(text)), "{name}: {:.3}", ratio(text));
    }
}

/// Numerical Recipes' generator; its high bits are random enough.
fn random(seed: u32) -> impl Iterator<Item = usize> {
    let next = |state: &u32| Some(state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    std::iter::successors(Some(seed), next).skip(1).map(|state| (state >> 8) as usize)
}

/// 2,000 characters of `alphabet` without any order.
fn noise(alphabet: &str) -> String {
    let alphabet: Vec<char> = alphabet.chars().collect();
    random(7).take(2_000).map(|number| alphabet[number % alphabet.len()]).collect()
}

#[test]
fn nothing_made_to_look_short_is_estimated_far_too_low() {
    let range = |first: char, last: char| (first..=last).collect::<String>();
    let (small, capitals) = (range('a', 'z'), range('A', 'Z'));
    let cases = [
        ("letters", noise(&small)),
        ("words of letters", noise(&format!("{small}     "))),
        ("capitals", noise(&capitals)),
        ("mixed case", noise(&format!("{small}{capitals}"))),
        ("all of ascii", noise(&range('!', '~'))),
        ("signs", noise("!?.,;:-_()[]{}<>/|@#$%^&*+=~")),
        ("blanks", noise(" \n\t")),
        ("hexadecimal", noise("0123456789abcdef")),
        ("accents", noise(&range('À', 'ſ'))),
        ("han", noise(&range('一', '鿿'))),
        ("other scripts", noise(&range('\u{1000}', '\u{2fff}'))),
        ("other planes", noise(&range('\u{10300}', '\u{1efff}'))),
        ("emoji", noise(&range('\u{1f300}', '\u{1f6ff}'))),
        ("one letter words", "a b c x y z ".repeat(100)),
        ("one letter lines", "a\nb\n".repeat(300)),
        ("short words", "go to it as we do so if no ".repeat(100)),
        ("digits one by one", "1 2 3 4 ".repeat(100)),
        ("camel case", "aBcDeFgHiJ".repeat(100)),
        ("german in capitals", NATURAL[1].1.to_uppercase()),
        ("a line", "-".repeat(2_000)),
        ("a blank", " ".repeat(5_000)),
    ];
    for (name, text) in cases {
        println!("{name}: {:.2}", ratio(&text));
        assert!(ratio(&text) >= LEAST, "{name}: {:.3}", ratio(&text));
    }
}

#[test]
fn the_table_of_han_characters_is_the_tokenizers() {
    // What is one token costs less than a token, what is several costs two.
    for character in '\u{4E00}'..='\u{9FFF}' {
        let text = character.to_string().repeat(10);
        let is_common = exact(&character.to_string()) == 1;
        assert_eq!(estimate_tokens(&text) < 10, is_common, "{character}");
    }
}

#[test]
fn older_models_make_no_fewer_tokens() {
    for (name, text) in NATURAL {
        let old = tiktoken_rs::cl100k_base_singleton().encode(text, &std::collections::HashSet::new()).unwrap().0.len();
        assert!(old * 100 >= exact(text) * 98, "{name}: {old}, and {} of the newer", exact(text));
    }
}
