//! Server-sent events, parsed byte by byte.
//!
//! Follows the WHATWG rules for event streams
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>), so that the
//! events do not depend on where the network cut the bytes: inside a line end,
//! inside a character, anywhere.

/// Longest single event, in bytes. A chunk of text has a few hundred; one with an
/// inline image may have some hundred thousand. A line that never ends stops here.
pub const MAX_EVENT_BYTES: usize = 1024 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frame {
    /// Its type, empty where none was given (readers take that as `message`).
    pub event: String,
    /// Its `data:` lines, joined by line feeds.
    pub data: String,
    /// The last id given in the stream so far.
    pub id: String,
}

/// An event is longer than [`MAX_EVENT_BYTES`]. Nothing after it can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is longer than {MAX_EVENT_BYTES} bytes")]
pub struct TooLong;

/// A stream read so far.
#[derive(Debug, Default)]
pub struct Parser {
    /// The line at hand, without its end.
    line: Vec<u8>,
    /// The event at hand; its data ends in a line feed for each `data:` line.
    frame: Frame,
    /// The last byte was a CR: an LF that follows belongs to the same line end.
    after_cr: bool,
    /// A line has ended, so that no byte order mark can follow.
    past_first_line: bool,
}

impl Parser {
    /// Takes in `bytes` and appends the events they complete to `frames`.
    ///
    /// # Errors
    /// [`TooLong`]; events before the long one have been appended.
    pub fn push(&mut self, mut bytes: &[u8], frames: &mut Vec<Frame>) -> Result<(), TooLong> {
        while let Some(&first) = bytes.first() {
            if self.after_cr && first == b'\n' {
                bytes = &bytes[1..];
            }
            self.after_cr = false;

            let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            self.line.extend_from_slice(&bytes[..end.unwrap_or(bytes.len())]);
            if self.line.len() + self.frame.data.len() > MAX_EVENT_BYTES {
                return Err(TooLong);
            }
            let Some(end) = end else { return Ok(()) };
            self.after_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            self.end_line(frames);
        }
        Ok(())
    }

    /// The event that the stream's end left without its blank line, if any. The
    /// standard drops it; a lenient reader may look whether it is whole.
    #[must_use]
    pub fn end(mut self) -> Option<Frame> {
        let mut frames = Vec::new();
        self.end_line(&mut frames);
        self.dispatch(&mut frames);
        frames.pop()
    }

    fn end_line(&mut self, frames: &mut Vec<Frame>) {
        let bytes = std::mem::take(&mut self.line);
        let bytes = match bytes.strip_prefix(BYTE_ORDER_MARK) {
            Some(rest) if !self.past_first_line => rest,
            Some(_) | None => &bytes,
        };
        self.past_first_line = true;

        let line = String::from_utf8_lossy(bytes);
        if line.is_empty() {
            self.dispatch(frames);
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                self.frame.data.push_str(value);
                self.frame.data.push('\n');
            }
            "event" => value.clone_into(&mut self.frame.event),
            "id" if !value.contains('\0') => value.clone_into(&mut self.frame.id),
            // A comment (an empty field name), `retry`, or a field nobody knows.
            _ => {}
        }
    }

    fn dispatch(&mut self, frames: &mut Vec<Frame>) {
        let next = Frame { id: self.frame.id.clone(), ..Frame::default() };
        let mut frame = std::mem::replace(&mut self.frame, next);
        if frame.data.pop().is_some() {
            frames.push(frame);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The shape of an OpenRouter stream, with all that the standard allows added.
    const RECORDED: &str = "\u{FEFF}: OPENROUTER PROCESSING\n\n\
        data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Grüße 😀\"}}]}\r\n\r\n\
        event: note\rid: 7\rdata: first\rdata:second\r\r\
        retry: 10\n: comment\nunknown: x\ndata\n\n\
        id\ndata:  two spaces\r\n\n\
        event: without data\n\n\
        data: [DONE]\n\n";

    fn parse(pieces: &[&[u8]]) -> Vec<Frame> {
        let mut parser = Parser::default();
        let mut frames = Vec::new();
        for piece in pieces {
            parser.push(piece, &mut frames).unwrap();
        }
        frames
    }

    fn frame(event: &str, data: &str, id: &str) -> Frame {
        Frame { event: event.to_owned(), data: data.to_owned(), id: id.to_owned() }
    }

    #[test]
    fn the_standards_rules_hold() {
        let expected = [
            frame("", r#"{"choices":[{"index":0,"delta":{"content":"Grüße 😀"}}]}"#, ""),
            frame("note", "first\nsecond", "7"),
            frame("", "", "7"),
            frame("", " two spaces", ""),
            frame("", "[DONE]", ""),
        ];
        assert_eq!(parse(&[RECORDED.as_bytes()]), expected);
    }

    #[test]
    fn a_cut_at_any_byte_changes_nothing() {
        let bytes = RECORDED.as_bytes();
        let whole = parse(&[bytes]);
        for at in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(at);
            assert_eq!(parse(&[head, tail]), whole, "cut at {at}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(parse(&single), whole);
    }

    #[test]
    fn a_byte_order_mark_is_only_taken_off_the_start() {
        assert_eq!(parse(&["\u{FEFF}data: a\n\n\u{FEFF}data: b\n\n".as_bytes()]), [frame("", "a", "")]);
    }

    #[test]
    fn bad_utf8_is_replaced() {
        assert_eq!(parse(&[b"data: a\xFFb\xE2\x82\n\n"]), [frame("", "a\u{FFFD}b\u{FFFD}", "")]);
    }

    #[test]
    fn an_id_with_a_nul_is_ignored() {
        assert_eq!(parse(&[b"id: 1\nid: a\0b\ndata: x\n\n"]), [frame("", "x", "1")]);
    }

    #[test]
    fn an_event_has_a_limit() {
        let check = |line: String, fits: bool| {
            let mut parser = Parser::default();
            let mut frames = Vec::new();
            let result = parser.push(b"data: before\n\n", &mut frames).and_then(|()| {
                let mut pieces = line.as_bytes().chunks(64 * 1024);
                pieces.try_for_each(|piece| parser.push(piece, &mut frames))
            });
            assert_eq!(result, if fits { Ok(()) } else { Err(TooLong) });
            assert_eq!(frames, [frame("", "before", "")]);
        };
        check("x".repeat(MAX_EVENT_BYTES), true);
        check("x".repeat(MAX_EVENT_BYTES + 1), false);
        check("data: 0123456789\n".repeat(MAX_EVENT_BYTES / 8), false);
    }

    #[test]
    fn what_the_end_cut_off_can_be_asked_for() {
        let end = |text: &str| {
            let mut parser = Parser::default();
            parser.push(text.as_bytes(), &mut Vec::new()).unwrap();
            parser.end()
        };
        assert_eq!(end("data: [DONE]"), Some(frame("", "[DONE]", "")));
        assert_eq!(end("data: a\ndata: b\n"), Some(frame("", "a\nb", "")));
        assert_eq!(end("data: a\n\n"), None);
        assert_eq!(end(": comment"), None);
    }

    proptest! {
        #[test]
        fn random_bytes_cut_at_random_give_the_same_events(
            lines in prop::collection::vec("(data|event|id|: |)(: ?)?[a-zß😀:\\x00 ]{0,6}(\r|\n|\r\n|\n\n)", 0..20),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
            noise in prop::collection::vec(any::<(prop::sample::Index, u8)>(), 0..4),
        ) {
            let mut bytes = lines.concat().into_bytes();
            for (at, byte) in noise.into_iter().filter(|_| !lines.is_empty()) {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(parse(&pieces), parse(&[&bytes]));
        }
    }
}
