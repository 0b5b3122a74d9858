//! How complex a text looks: a number with its reasons.
//!
//! One pass over at most 2 KiB of the text, integers only, nothing allocated: the time has a
//! bound whatever comes in. What it sees are bytes: lengths, marks, and words of the
//! [`Lexicon`]. It does not see meaning, nor words that are not English, nor how hard the
//! thing asked for is to whoever has to do it; of a text without spaces between its words it
//! sees the length alone, and of a long one only its beginning, its end and a piece between.
//!
//! The weights were set by hand before any prompt was scored, by what each feature should be
//! able to do alone: the length by itself never makes a text complex, one category
//! of words makes it medium at most, and several together make it complex.

use super::lexicon::{Category, Lexicon, NO_WORD, hash};
use super::tier::Tier;
use super::window::pieces;

/// The highest score.
pub const MAX_SCORE: u16 = 1000;

/// Reasons that a score gives.
pub const TOP: usize = 4;

/// Characters of a text whose length says nothing: a short question.
const SHORT: u64 = 32;

/// Points for each doubling of the length from there, and at most.
const POINTS_A_DOUBLING: u64 = 32;
const MOST_FOR_LENGTH: i32 = 320;

/// Marks of a program that count as much as one word of it: a line has about so many.
const CODE_MARKS_A_WORD: u32 = 4;

/// The same of a formula.
const MATHS_MARKS_A_WORD: u32 = 3;

/// What a feature can add, and how often it has to be there for half of that. It grows ever
/// more slowly, so that saying a thing ten times is not ten times as complex.
struct Weight {
    most: i32,
    half: u32,
}

/// What a score looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// How long the text is.
    Length,
    /// Words and marks of programs.
    Code,
    /// Words that ask for reasons.
    Reason,
    /// Words of technical or professional matter.
    Technical,
    /// Words of small talk and short answers: these make a text simpler.
    Simple,
    /// Words and marks of mathematics, and numbers.
    Maths,
    /// Words that ask for stories and verse.
    Creative,
    /// Words that put one thing after another.
    Step,
    /// Words for what is to be made.
    Verb,
    /// Questions beside the first.
    Questions,
    /// Lines: lists of conditions, pasted matter.
    Lines,
    /// Messages before it.
    History,
}

impl Feature {
    const COUNT: usize = 12;

    /// Its name in answers and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Code => "code",
            Self::Reason => "reason",
            Self::Technical => "technical",
            Self::Simple => "simple",
            Self::Maths => "maths",
            Self::Creative => "creative",
            Self::Step => "step",
            Self::Verb => "verb",
            Self::Questions => "questions",
            Self::Lines => "lines",
            Self::History => "history",
        }
    }

    const fn weight(self) -> Weight {
        let (most, half) = match self {
            Self::Length => (MOST_FOR_LENGTH, 0),
            Self::Code => (160, 4),
            Self::Reason => (160, 2),
            Self::Technical | Self::Maths => (140, 3),
            Self::Simple => (-120, 2),
            Self::Creative => (60, 2),
            Self::Step => (100, 2),
            Self::Verb => (80, 2),
            Self::Questions => (50, 2),
            Self::Lines | Self::History => (60, 8),
        };
        Weight { most, half }
    }
}

/// What a feature adds to a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contribution {
    /// Which.
    pub feature: Feature,
    /// How much; negative where it makes the text simpler.
    pub points: i32,
}

/// How complex a text looks, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Score {
    /// 0 to [`MAX_SCORE`].
    pub value: u16,
    /// What that means.
    pub tier: Tier,
    reasons: [Option<Contribution>; TOP],
}

impl Score {
    /// What contributed most, the largest first, of either sign; at most [`TOP`], and none that
    /// contributed nothing.
    pub fn reasons(&self) -> impl Iterator<Item = Contribution> {
        self.reasons.into_iter().flatten()
    }
}

/// The score of `text`, which has `earlier` messages of its conversation before it.
#[must_use]
pub fn score(text: &str, earlier: usize, lexicon: &Lexicon) -> Score {
    let pieces = pieces(text.as_bytes());
    let is_cut = !pieces[2].is_empty();
    let mut seen = Seen::default();
    for (place, piece) in pieces.into_iter().enumerate() {
        seen.read(piece, is_cut && place > 0, is_cut && place < 2, lexicon);
    }
    let contributions = seen.contributions(text.len() as u64, earlier);
    let sum: i32 = contributions.iter().map(|contribution| contribution.points).sum();
    let value = u16::try_from(sum.clamp(0, i32::from(MAX_SCORE))).unwrap_or(MAX_SCORE);
    Score { value, tier: Tier::of_score(value), reasons: top(contributions) }
}

fn top(mut contributions: [Contribution; Feature::COUNT]) -> [Option<Contribution>; TOP] {
    // Stable: of equal ones the first in the order of features comes first.
    for at in 1..Feature::COUNT {
        let mut place = at;
        while place > 0 && contributions[place - 1].points.abs() < contributions[place].points.abs() {
            contributions.swap(place - 1, place);
            place -= 1;
        }
    }
    std::array::from_fn(|at| Some(contributions[at]).filter(|contribution| contribution.points != 0))
}

/// What a byte is to a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// A part of a word: a letter, or any byte of a character beyond ASCII.
    Letter,
    Digit,
    /// Mostly in programs.
    Code,
    /// Mostly in formulas.
    Maths,
    Question,
    Newline,
    Other,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | 0x80.. => Class::Letter,
            b'0'..=b'9' => Class::Digit,
            b'{' | b'}' | b'[' | b']' | b'<' | b'>' | b';' | b'`' | b'|' | b'\\' | b'$' | b'@' | b'#' | b'_' | b'&' => {
                Class::Code
            }
            b'^' | b'+' | b'=' | b'%' => Class::Maths,
            b'?' => Class::Question,
            b'\n' => Class::Newline,
            _ => Class::Other,
        };
        byte += 1;
    }
    classes
};

/// What was counted.
#[derive(Debug, Default)]
struct Seen {
    bytes: u64,
    /// Bytes that begin no character.
    inner_bytes: u64,
    words: [u32; Category::COUNT],
    numbers: u32,
    code_marks: u32,
    maths_marks: u32,
    questions: u32,
    newlines: u32,
}

impl Seen {
    /// Counts what is in `piece`; a word that a cut goes through is no word of the lexicon.
    fn read(&mut self, piece: &[u8], is_cut_before: bool, is_cut_behind: bool, lexicon: &Lexicon) {
        self.bytes += piece.len() as u64;
        let mut at = 0;
        while at < piece.len() {
            match CLASSES[usize::from(piece[at])] {
                Class::Letter | Class::Digit => {
                    let is_whole_before = at > 0 || !is_cut_before;
                    let (end, word) = self.word(piece, at);
                    let is_whole = is_whole_before && (end < piece.len() || !is_cut_behind);
                    if let Some(category) = lexicon.category(word).filter(|_| is_whole) {
                        self.words[category.place()] += 1;
                    }
                    at = end;
                    continue;
                }
                Class::Code => self.code_marks += 1,
                Class::Maths => self.maths_marks += 1,
                Class::Question => self.questions += 1,
                Class::Newline => self.newlines += 1,
                Class::Other => {}
            }
            at += 1;
        }
    }

    /// Where the word ends that begins `at`, and its hash.
    fn word(&mut self, piece: &[u8], at: usize) -> (usize, u32) {
        let (mut end, mut word, mut inner) = (at, NO_WORD, 0);
        while let Some(&byte) = piece.get(end).filter(|byte| CLASSES[usize::from(**byte)].is_of_word()) {
            word = hash(word, byte);
            inner += u64::from(byte & 0b1100_0000 == 0b1000_0000);
            end += 1;
        }
        self.inner_bytes += inner;
        self.numbers += u32::from(piece[at].is_ascii_digit());
        (end, word)
    }

    /// What each feature adds, for a text of so many bytes with so many messages before it.
    fn contributions(&self, bytes: u64, earlier: usize) -> [Contribution; Feature::COUNT] {
        let words = |category: Category| self.words[category.place()];
        let counted = |feature: Feature, count: u32| Contribution { feature, points: grown(feature, count) };
        // Of a long text as many of its characters are taken for its bytes as in what was read.
        let characters = bytes - bytes.saturating_mul(self.inner_bytes) / self.bytes.max(1);
        let maths = words(Category::Maths) + (self.maths_marks + self.numbers) / MATHS_MARKS_A_WORD;
        [
            Contribution { feature: Feature::Length, points: points_for_length(characters) },
            counted(Feature::Code, words(Category::Code) + self.code_marks / CODE_MARKS_A_WORD),
            counted(Feature::Reason, words(Category::Reason)),
            counted(Feature::Technical, words(Category::Technical)),
            counted(Feature::Simple, words(Category::Simple)),
            counted(Feature::Maths, maths),
            counted(Feature::Creative, words(Category::Creative)),
            counted(Feature::Step, words(Category::Step)),
            counted(Feature::Verb, words(Category::Verb)),
            counted(Feature::Questions, self.questions.saturating_sub(1)),
            counted(Feature::Lines, self.newlines),
            counted(Feature::History, u32::try_from(earlier).unwrap_or(u32::MAX)),
        ]
    }
}

impl Class {
    const fn is_of_word(self) -> bool {
        matches!(self, Self::Letter | Self::Digit)
    }
}

/// What so many of a feature add: half of its most at its half, and never more than its most.
fn grown(feature: Feature, count: u32) -> i32 {
    let Weight { most, half } = feature.weight();
    // Nothing that a window can hold is so often there; a history could be.
    let count = i32::try_from(count.min(1_000_000)).unwrap_or(i32::MAX);
    most * count / (count + i32::try_from(half).unwrap_or(i32::MAX)).max(1)
}

/// Points for each doubling from [`SHORT`] on, and between two doublings in proportion.
fn points_for_length(characters: u64) -> i32 {
    let Some(doublings) = characters.max(1).ilog2().checked_sub(SHORT.ilog2()) else { return 0 };
    let whole = SHORT << doublings.min(u64::BITS - 1 - SHORT.ilog2());
    let between = u128::from(characters - whole) * u128::from(POINTS_A_DOUBLING) / u128::from(whole);
    let points = u128::from(doublings) * u128::from(POINTS_A_DOUBLING) + between;
    i32::try_from(points).unwrap_or(MOST_FOR_LENGTH).min(MOST_FOR_LENGTH)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::window::WINDOW;
    use super::*;

    fn points(text: &str, earlier: usize, feature: Feature) -> i32 {
        let mut seen = Seen::default();
        let pieces = pieces(text.as_bytes());
        let is_cut = !pieces[2].is_empty();
        for (place, piece) in pieces.into_iter().enumerate() {
            seen.read(piece, is_cut && place > 0, is_cut && place < 2, Lexicon::shipped());
        }
        let all = seen.contributions(text.len() as u64, earlier);
        all.into_iter().find(|contribution| contribution.feature == feature).unwrap().points
    }

    #[test]
    fn each_feature_counts_what_it_is_named_for() {
        let check = |text: &str, feature: Feature, expected: i32| {
            assert_eq!(points(text, 0, feature), expected, "{text:?} {feature:?}");
        };
        check("refactor this Function", Feature::Code, 160 * 2 / 6);
        check("{}[];", Feature::Code, 160 / 5);
        check("{}[", Feature::Code, 0);
        check("PROVE it, because", Feature::Reason, 160 * 2 / 4);
        check("kernel latency", Feature::Technical, 140 * 2 / 5);
        check("hi, thanks", Feature::Simple, -120 * 2 / 4);
        check("solve 2 + 3 = 5", Feature::Maths, 140 * 2 / 5);
        check("a poem", Feature::Creative, 60 / 3);
        check("first a, then b", Feature::Step, 100 * 2 / 4);
        check("write and design", Feature::Verb, 80 * 2 / 4);
        check("a? b? c?", Feature::Questions, 50 * 2 / 4);
        check("a?", Feature::Questions, 0);
        check("a\nb\nc", Feature::Lines, 60 * 2 / 10);
        assert_eq!(points("a", 8, Feature::History), 30);
        assert_eq!(points("a", 0, Feature::History), 0);
    }

    #[test]
    fn the_length_counts_by_doublings() {
        let check =
            |characters: u64, expected: i32| assert_eq!(points_for_length(characters), expected, "{characters}");
        check(0, 0);
        check(32, 0);
        check(48, 16);
        check(63, 31);
        check(64, 32);
        check(512, 128);
        check(16 << 10, 288);
        check(32 << 10, 320);
        check(u64::MAX, 320);
    }

    #[test]
    fn a_character_of_another_script_is_one_character() {
        let latin = "a".repeat(64);
        let cyrillic = "ж".repeat(64);
        let chinese = "字".repeat(64);
        for text in [latin, cyrillic, chinese] {
            assert_eq!(points(&text, 0, Feature::Length), 32, "{text}");
        }
        assert_eq!(points(&"ж".repeat(4096), 0, Feature::Length), 7 * 32);
    }

    #[test]
    fn a_word_is_seen_at_both_ends_and_not_where_a_cut_goes_through_it() {
        let check =
            |text: &str, expected: i32| assert_eq!(points(text, 0, Feature::Reason), expected, "{}", text.len());
        check("why", 160 / 3);
        check("whys", 0);
        let long = "x ".repeat(WINDOW);
        check(&format!("why {long}"), 160 / 3);
        check(&format!("{long} why"), 160 / 3);
        // The head ends inside of it: "why" is all that is seen of "whyever".
        let cut = format!("{}whyever {}", ".".repeat(1024 - 3), ".".repeat(4096));
        check(&cut, 0);
        let whole = format!("{}why.ever {}", ".".repeat(1024 - 4), ".".repeat(4096));
        check(&whole, 160 / 3);
    }

    #[test]
    fn reasons_are_the_largest_four_of_either_sign() {
        let reasons = |text: &str| -> Vec<(&'static str, i32)> {
            let scored = score(text, 0, Lexicon::shipped());
            scored.reasons().map(|reason| (reason.feature.name(), reason.points)).collect()
        };
        assert_eq!(reasons(""), []);
        assert_eq!(reasons("hi"), [("simple", -40)]);
        let text = "Hello. First prove the theorem, then implement the algorithm in Rust and explain its latency.";
        assert_eq!(
            reasons(text),
            [("reason", 80), ("technical", 56), ("step", 50), ("length", 46)],
            "{:?}",
            score(text, 0, Lexicon::shipped())
        );
    }

    #[test]
    fn a_score_has_its_tier() {
        let check = |text: &str, expected: Tier| {
            let scored = score(text, 0, Lexicon::shipped());
            assert_eq!(scored.tier, expected, "{scored:?}");
        };
        check("", Tier::Simple);
        check("What is the capital of France?", Tier::Simple);
        check(
            "Explain why this transaction deadlocks, compare two ways to fix the schema, then write the SQL.",
            Tier::Medium,
        );
    }

    #[test]
    fn what_makes_simple_never_makes_less_than_nothing() {
        let scored = score("hi hello hey thanks what who when where", 0, Lexicon::shipped());
        assert_eq!((scored.value, scored.tier), (0, Tier::Simple));
    }

    #[test]
    fn what_is_outside_of_the_window_changes_nothing() {
        let around = |hidden: &str| format!("{}{}{}", "a ".repeat(512), hidden.repeat(2048), "b ".repeat(4096));
        let hidden = [".", "{", "?", "9", "\n"].map(around);
        assert!(hidden.iter().all(|text| text.len() == hidden[0].len()));
        // The piece from the middle begins behind the hidden part.
        let scores = hidden.map(|text| score(&text, 0, Lexicon::shipped()));
        assert!(scores.iter().all(|scored| *scored == scores[0]), "{scores:?}");
    }

    proptest! {
        #[test]
        fn any_text_has_a_score_within_bounds_and_always_the_same(text in any::<String>(), earlier in any::<usize>()) {
            let scored = score(&text, earlier, Lexicon::shipped());
            prop_assert!(scored.value <= MAX_SCORE);
            prop_assert_eq!(scored.tier, Tier::of_score(scored.value));
            prop_assert!(scored.reasons().count() <= TOP);
            prop_assert_eq!(scored, score(&text, earlier, Lexicon::shipped()));
        }

        #[test]
        fn a_longer_history_never_makes_less(text in "[ -~]{0,200}", earlier in 0_usize..100) {
            let value = |earlier| score(&text, earlier, Lexicon::shipped()).value;
            prop_assert!(value(earlier) <= value(earlier + 1));
        }
    }
}
