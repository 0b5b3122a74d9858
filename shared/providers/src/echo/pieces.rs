//! A text cut into the pieces that a stream brings one by one.

/// Most pieces of a text: with the wrapping of their chunks they stay within
/// [`MAX_ANSWER_BYTES`](turnwise_core::limits::MAX_ANSWER_BYTES). A text of more
/// comes in longer pieces.
pub(super) const MAX_PIECES: usize = 10_000;

/// Characters to a token: the echo's whole tokenizer, so that what it counts, where it is
/// cut and what it reports always agree.
pub(super) const CHARS_PER_TOKEN: usize = 4;

/// Tokens of `text`.
pub(super) fn count(text: &str) -> u64 {
    u64::try_from(text.chars().count().div_ceil(CHARS_PER_TOKEN)).unwrap_or(u64::MAX)
}

/// The words of `text`, each with the white space after it.
pub(super) fn words(text: &str) -> Vec<&str> {
    cut(text, text.split_inclusive(char::is_whitespace).map(str::len))
}

/// `json` by about a token, which may begin and end anywhere.
pub(super) fn tokens(json: &str) -> Vec<&str> {
    let mut characters = json.chars();
    let lengths = std::iter::from_fn(|| {
        let length = characters.by_ref().take(CHARS_PER_TOKEN).map(char::len_utf8).sum();
        (length > 0).then_some(length)
    });
    cut(json, lengths)
}

/// `text` cut into parts of these lengths in bytes, which are joined where they are
/// too many.
fn cut(text: &str, lengths: impl Iterator<Item = usize>) -> Vec<&str> {
    let ends = lengths.scan(0, |end, length| {
        *end += length;
        Some(*end)
    });
    let ends: Vec<usize> = ends.collect();
    let joined = ends.len().div_ceil(MAX_PIECES).max(1);
    let mut start = 0;
    let pieces = ends.chunks(joined).filter_map(|ends| {
        let end = *ends.last()?;
        text.get(std::mem::replace(&mut start, end)..end)
    });
    pieces.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_four_characters() {
        assert_eq!(["", "abcd", "abcde", "größe"].map(count), [0, 1, 2, 2]);
    }

    #[test]
    fn a_word_keeps_its_white_space() {
        let check = |text: &str, expected: &[&str]| assert_eq!(words(text), expected);
        check("two  words\n", &["two ", " ", "words\n"]);
        check("größe 😀", &["größe ", "😀"]);
        check("", &[]);
    }

    #[test]
    fn json_is_cut_between_characters() {
        let check = |json: &str, expected: &[&str]| assert_eq!(tokens(json), expected);
        check("", &[]);
        check("{}", &["{}"]);
        check(r#"{"ä":"😀"}"#, &[r#"{"ä""#, r#":"😀""#, "}"]);
    }

    #[test]
    fn a_text_has_a_most_of_pieces() {
        let check = |count: usize, pieces: usize| {
            let text = "ä ".repeat(count);
            assert_eq!(words(&text).len(), pieces, "{count}");
            assert_eq!(words(&text).concat(), text);
        };
        check(MAX_PIECES, MAX_PIECES);
        check(MAX_PIECES + 1, MAX_PIECES / 2 + 1);
        check(3 * MAX_PIECES - 1, MAX_PIECES);
    }
}
