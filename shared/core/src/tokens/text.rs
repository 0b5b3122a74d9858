//! How many tokens a text is, about: one pass over its characters.
//!
//! It does roughly what the tokenizer o200k_base does before it merges: it takes the text
//! apart into words, numbers, blanks, punctuation and runs of one script. What each of them
//! costs is a sum of named coefficients, in thousandths of a token. They were fitted, by
//! least squares with none below zero, to 900 pieces of 2,500 characters: text in 45
//! languages, source code, JSON, YAML, TOML, Markdown, and what is no language at all.
//! `infra/decisions/token-counting.md` has the ratios that came out.

use super::tables::{END_OF_HAN, FIRST_HAN, is_common_han, is_common_pair};

/// A word behind a blank, which the tokenizer takes along with it.
const WORD: u64 = 730;
/// A word behind anything else, or the next part of one in camel case: it is often one token
/// with what stands before it.
const GLUED_WORD: u64 = 400;
/// Letters of a word that come with it.
const FREE_LETTERS: u64 = 3;
/// Each letter beyond them.
const LETTER: u64 = 181;
/// Two letters that seldom follow one another.
const RARE_PAIR: u64 = 793;
/// Each further letter of a word in capitals.
const CAPITAL: u64 = 225;
/// Each further capital before small letters.
const CAPITAL_IN_WORD: u64 = 700;
/// A Latin letter beyond ASCII.
const ACCENTED: u64 = 500;
/// One that follows another.
const ACCENTED_PAIR: u64 = 400;

/// Digits of a token.
const DIGITS_PER_TOKEN: u64 = 3;
/// A number, however long.
const NUMBER: u64 = 328;
/// A token of its digits.
const DIGITS: u64 = 1_000;
/// A blank before a number, which is a token of its own.
const BLANK_BEFORE_NUMBER: u64 = 638;

/// The end of a line.
const NEWLINE: u64 = 800;
/// The same behind punctuation, where it mostly belongs to that token.
const NEWLINE_AFTER_PUNCTUATION: u64 = 27;
/// Blanks at the beginning of a line, or several within one.
const INDENT: u64 = 1_207;
/// Blanks that come with it.
const FREE_BLANKS: u64 = 17;
/// Each blank beyond them.
const BLANK: u64 = 8;
/// A tab between two columns.
const TAB: u64 = 500;
/// Another kind of blank behind the second.
const MIXED_BLANK: u64 = 454;

/// Punctuation that stands alone before a letter, and is often one token with the word.
const SIGN_BEFORE_WORD: u64 = 739;
/// Punctuation that stands alone elsewhere.
const SIGN: u64 = 870;
/// Several signs in a row.
const SIGNS: u64 = 967;
/// Another kind of sign behind the second.
const MIXED_SIGN: u64 = 568;
/// Signs of a long line of equal ones that come with it.
const FREE_SIGNS: u64 = 16;
/// Each sign of such a line.
const LINE_SIGN: u64 = 15;

/// What a character is to the estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Small,
    Capital,
    /// A Latin letter beyond ASCII.
    Accented,
    Digit,
    Blank,
    Tab,
    Newline,
    /// Of ASCII, and what cannot be seen in it.
    Sign,
    Run(Run),
}

/// Characters whose runs cost something at their beginning and something each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    Greek,
    Cyrillic,
    /// Armenian and Georgian.
    Caucasian,
    Hebrew,
    Arabic,
    Indic,
    /// Scripts of India and its neighbours that the tokenizer knows less well.
    RareIndic,
    Thai,
    Kana,
    Hangul,
    CommonHan,
    RareHan,
    EastAsianSign,
    /// Dashes, quotation marks, the signs of Latin-1.
    Typographic,
    Combining,
    Box,
    Arrow,
    Symbol,
    Braille,
    Emoji,
    /// Of the basic plane.
    Other,
    /// Of the other planes.
    Astral,
}

impl Run {
    /// What a run costs, and each character in it.
    const fn costs(self) -> (u64, u64) {
        match self {
            Self::Greek => (0, 406),
            Self::Cyrillic => (1_250, 125),
            Self::Caucasian => (0, 297),
            Self::Hebrew => (301, 383),
            Self::Arabic => (386, 283),
            Self::Indic => (0, 389),
            Self::RareIndic => (0, 612),
            Self::Thai => (0, 427),
            Self::Kana => (0, 747),
            Self::Hangul => (1_632, 178),
            Self::CommonHan => (0, 820),
            Self::RareHan => (0, 2_000),
            Self::EastAsianSign => (0, 853),
            Self::Typographic => (0, 331),
            Self::Combining => (0, 1_633),
            Self::Box => (400, 400),
            Self::Arrow => (0, 1_000),
            Self::Symbol => (0, 2_000),
            Self::Braille => (0, 3_000),
            Self::Emoji => (148, 1_800),
            Self::Other => (1_412, 1_728),
            Self::Astral => (821, 3_894),
        }
    }
}

/// About how many tokens `text` is, rounded up: one at least, if there is any. Allocates
/// nothing.
#[must_use]
pub fn estimate_tokens(text: &str) -> u64 {
    let mut pass = Pass::over(text);
    while let Some((_, class)) = pass.next {
        match class {
            Class::Small | Class::Capital | Class::Accented => pass.word(),
            Class::Digit => pass.number(),
            Class::Blank | Class::Tab | Class::Newline => pass.blanks(),
            Class::Sign => pass.signs(),
            Class::Run(run) => pass.run(run),
        }
    }
    pass.thousandths.div_ceil(1_000).max(u64::from(!text.is_empty()))
}

struct Pass<'a> {
    rest: std::str::Chars<'a>,
    next: Option<(char, Class)>,
    before: Option<Class>,
    thousandths: u64,
}

impl<'a> Pass<'a> {
    fn over(text: &'a str) -> Self {
        let mut rest = text.chars();
        let next = rest.next().map(classed);
        Self { rest, next, before: None, thousandths: 0 }
    }

    /// The next character, if `wanted` takes its class.
    fn take(&mut self, wanted: impl FnOnce(Class) -> bool) -> Option<(char, Class)> {
        let taken = self.next.filter(|(_, class)| wanted(*class))?;
        self.before = Some(taken.1);
        self.next = self.rest.next().map(classed);
        Some(taken)
    }

    /// Capitals, then small letters: a word, or a part of one in camel case.
    fn word(&mut self) {
        let spaced = matches!(self.before, None | Some(Class::Blank | Class::Newline));
        let (mut cost, mut letters, mut last) = (if spaced { WORD } else { GLUED_WORD }, 0, None);
        while let Some((letter, class)) = self.take(|class| class == Class::Capital) {
            cost += cost_behind(&mut last, letter, class);
            letters += 1;
        }
        let capitals: u64 = letters;
        while let Some((letter, class)) = self.take(|class| matches!(class, Class::Small | Class::Accented)) {
            cost += cost_behind(&mut last, letter, class);
            letters += 1;
        }
        cost += match letters == capitals && capitals > 1 {
            true => CAPITAL * (capitals - 1),
            false => LETTER * letters.saturating_sub(FREE_LETTERS) + CAPITAL_IN_WORD * capitals.saturating_sub(1),
        };
        self.thousandths += cost;
    }

    fn number(&mut self) {
        let spaced = self.before == Some(Class::Blank);
        let mut digits: u64 = 0;
        while self.take(|class| class == Class::Digit).is_some() {
            digits += 1;
        }
        let blank = if spaced { BLANK_BEFORE_NUMBER } else { 0 };
        self.thousandths += NUMBER + DIGITS * digits.div_ceil(DIGITS_PER_TOKEN) + blank;
    }

    fn blanks(&mut self) {
        let after_sign = self.before == Some(Class::Sign);
        let (mut all, mut newlines, mut tail, mut changes): (u64, u64, u64, u64) = (0, 0, 0, 0);
        let mut last = None;
        while let Some((_, class)) = self.take(|class| matches!(class, Class::Blank | Class::Tab | Class::Newline)) {
            changes += u64::from(last.is_some_and(|last| last != class));
            last = Some(class);
            all += 1;
            let is_newline = class == Class::Newline;
            newlines += u64::from(is_newline);
            tail = if is_newline { 0 } else { tail + 1 };
        }
        let lines = match (newlines, after_sign) {
            (0, _) => 0,
            (_, true) => NEWLINE_AFTER_PUNCTUATION,
            (_, false) => NEWLINE,
        };
        let tab = if all == 1 && last == Some(Class::Tab) { TAB } else { 0 };
        let indent = if tail > 1 { INDENT + BLANK * tail.saturating_sub(FREE_BLANKS) } else { 0 };
        self.thousandths += lines + tab + indent + MIXED_BLANK * changes.saturating_sub(1);
    }

    fn signs(&mut self) {
        let (mut signs, mut changes, mut last): (u64, u64, Option<char>) = (0, 0, None);
        while let Some((sign, _)) = self.take(|class| class == Class::Sign) {
            changes += u64::from(last.is_some_and(|last| last != sign));
            last = Some(sign);
            signs += 1;
        }
        let before_word = matches!(self.next, Some((_, Class::Small | Class::Capital)));
        let line = if signs > FREE_SIGNS { LINE_SIGN * signs } else { 0 };
        self.thousandths += match (signs, before_word) {
            (1, true) => SIGN_BEFORE_WORD,
            (1, false) => SIGN,
            (_, true | false) => SIGNS + MIXED_SIGN * changes.saturating_sub(1) + line,
        };
    }

    fn run(&mut self, run: Run) {
        let (beginning, each) = run.costs();
        self.thousandths += beginning;
        while self.take(|class| class == Class::Run(run)).is_some() {
            self.thousandths += each;
        }
    }
}

/// What `letter` costs beside its word, and which it is: 0 to 25, more for one beyond ASCII.
fn cost_behind(last: &mut Option<u8>, letter: char, class: Class) -> u64 {
    const BEYOND: u8 = 26;
    let now = match class == Class::Accented {
        true => BEYOND,
        // A letter of ASCII, by its callers.
        false => (letter.to_ascii_lowercase() as u8).wrapping_sub(b'a').min(BEYOND),
    };
    let before = last.replace(now);
    let own = if now == BEYOND { ACCENTED } else { 0 };
    own + match before {
        Some(BEYOND) if now == BEYOND => ACCENTED_PAIR,
        Some(before) if before < BEYOND && now < BEYOND && !is_common_pair(before, now) => RARE_PAIR,
        Some(_) | None => 0,
    }
}

fn classed(character: char) -> (char, Class) {
    let class = match character {
        'a'..='z' => Class::Small,
        ' ' => Class::Blank,
        'A'..='Z' => Class::Capital,
        '0'..='9' => Class::Digit,
        '\n' | '\r' => Class::Newline,
        '\t' | '\u{B}' | '\u{C}' => Class::Tab,
        '\0'..='\x7F' => Class::Sign,
        '×' | '÷' => Class::Run(Run::Typographic),
        'À'..='ɏ' | '\u{1E00}'..='\u{1EFF}' => Class::Accented,
        beyond => Class::Run(run_of(beyond)),
    };
    (character, class)
}

/// By Unicode's blocks.
const fn run_of(character: char) -> Run {
    match character as u32 {
        0x300..=0x36F => Run::Combining,
        0x370..=0x3FF | 0x1F00..=0x1FFF => Run::Greek,
        0x400..=0x52F => Run::Cyrillic,
        0x530..=0x58F | 0x10A0..=0x10FF => Run::Caucasian,
        0x590..=0x5FF => Run::Hebrew,
        0x600..=0x6FF => Run::Arabic,
        0xA00..=0xA7F | 0xD80..=0xDFF | 0x1000..=0x109F | 0x1780..=0x17FF => Run::RareIndic,
        0x900..=0xD7F => Run::Indic,
        0xE00..=0xE7F => Run::Thai,
        0x80..=0xBF | 0x2000..=0x206F => Run::Typographic,
        0x2190..=0x22FF | 0xFE0F => Run::Arrow,
        0x2500..=0x257F => Run::Box,
        0x2800..=0x28FF => Run::Braille,
        0x2070..=0x2BFF => Run::Symbol,
        0x3000..=0x303F | 0xFF00..=0xFFDF => Run::EastAsianSign,
        0x3040..=0x30FF => Run::Kana,
        han @ FIRST_HAN..END_OF_HAN if is_common_han(han) => Run::CommonHan,
        0x3400..=0x9FFF => Run::RareHan,
        0xAC00..=0xD7AF => Run::Hangul,
        0x1F000..=0x1FFFF => Run::Emoji,
        0x10000.. => Run::Astral,
        _ => Run::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_no_token_and_anything_is_one() {
        assert_eq!(estimate_tokens(""), 0);
        for text in [" ", "a", "\n", "1", ".", "ä", "漢", "😀", "hello", " hello"] {
            assert_eq!(estimate_tokens(text), estimate_tokens(text).clamp(1, 3), "{text:?}");
        }
    }

    #[test]
    fn a_word_grows_with_what_is_unusual_in_it() {
        let check = |less: &str, more: &str| assert!(estimate_tokens(less) < estimate_tokens(more), "{less} {more}");
        check("understanding", "xkqzvbnmwqrtp");
        check("the end of the story", "tHe ENd oF thE sTOrY");
        check("das grosse Gebaude am Fluss", "das größe Gebäude äm Flüß");
        check(&"的".repeat(10), &"龘".repeat(10));
        check("1234567890", "1 2 3 4 5 6 7 8 9 0");
        check(&" ".repeat(80), &" \n\t".repeat(27));
        check(&"-".repeat(60), &"-=+".repeat(20));
    }
}
