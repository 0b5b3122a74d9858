//! The part of a text that is read: all of a short one, three pieces of a long one.

/// Bytes of the beginning that are read: where most people say what they want.
const HEAD: usize = 1024;

/// Bytes from the middle.
const MIDDLE: usize = 512;

/// Bytes of the end: where it is said behind a pasted text.
const TAIL: usize = 512;

/// Most bytes that are read of any text.
pub(super) const WINDOW: usize = HEAD + MIDDLE + TAIL;

/// The pieces of `text` that are read, in order; a cut may go through a word or a character.
/// Those of a short text are itself and two empty ones.
pub(super) fn pieces(text: &[u8]) -> [&[u8]; 3] {
    if text.len() <= WINDOW {
        return [text, &[], &[]];
    }
    let middle = (text.len() - MIDDLE) / 2;
    // What is longer than the window has its middle behind the head and before the tail.
    let middle = middle.max(HEAD).min(text.len() - TAIL - MIDDLE);
    [&text[..HEAD], &text[middle..middle + MIDDLE], &text[text.len() - TAIL..]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_whole_up_to_the_window() {
        let check = |length: usize, expected: [usize; 3]| {
            let text = vec![b'a'; length];
            assert_eq!(pieces(&text).map(<[u8]>::len), expected, "{length}");
        };
        check(0, [0, 0, 0]);
        check(2047, [2047, 0, 0]);
        check(2048, [2048, 0, 0]);
        check(2049, [1024, 512, 512]);
        check(1 << 20, [1024, 512, 512]);
    }

    #[test]
    fn no_byte_is_read_twice() {
        for length in WINDOW + 1..WINDOW + 1200 {
            let text = vec![b'a'; length];
            let [head, middle, tail] = pieces(&text).map(<[u8]>::as_ptr_range);
            assert!(head.end <= middle.start && middle.end <= tail.start, "{length}");
        }
    }
}
