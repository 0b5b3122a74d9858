//! Amazon's event stream: binary frames with headers, each with two checksums.

use aws_smithy_eventstream::error::Error as Corrupt;
use aws_smithy_eventstream::frame::read_message_from;
use aws_smithy_types::event_stream::Message;

/// Longest frame, in bytes. One holds some words, or at most a whole encrypted thought; the
/// length it announces is believed, and waited for, only up to here.
pub(super) const MAX_FRAME_BYTES: usize = 1024 * 1024;

/// Shortest frame, in bytes: two lengths and two checksums.
const MIN_FRAME_BYTES: usize = 16;

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) payload: Vec<u8>,
}

/// What a frame is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// An event of this name.
    Event(String),
    /// An error of this name, its message in the payload.
    Exception(String),
    /// An error that the service's description does not know, all of it in headers.
    Error { code: String, message: String },
}

/// What cannot be read as a frame. Nothing after it can be, either.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("a frame announces {0} bytes")]
    Length(usize),
    #[error("a frame is damaged")]
    Damaged(#[from] Corrupt),
    #[error("a frame does not say what it is")]
    Nameless,
}

/// Frames out of bytes, however they are cut.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// Bytes from the first frame that is not whole, never more than that and what came last.
    pending: Vec<u8>,
    /// How many of them are read.
    read: usize,
}

impl Frames {
    /// Takes in `bytes`. All frames that were whole before have been taken out.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.pending.drain(..self.read);
        self.read = 0;
        self.pending.extend_from_slice(bytes);
    }

    /// The next frame that is whole, if there is one.
    ///
    /// # Errors
    /// [`Broken`].
    pub(super) fn next(&mut self) -> Result<Option<Frame>, Broken> {
        let rest = self.pending.get(self.read..).unwrap_or_default();
        let Some(length) = rest.first_chunk::<4>() else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if !(MIN_FRAME_BYTES..=MAX_FRAME_BYTES).contains(&length) {
            return Err(Broken::Length(length));
        }
        let Some(whole) = rest.get(..length) else { return Ok(None) };
        let message = read_message_from(whole)?;
        self.read += length;
        frame(&message).map(Some)
    }
}

fn frame(message: &Message) -> Result<Frame, Broken> {
    let header = |wanted: &str| {
        let header = message.headers().iter().find(|header| header.name().as_str() == wanted)?;
        header.value().as_string().ok().map(|text| text.as_str().to_owned())
    };
    let kind = match header(":message-type").as_deref() {
        Some("event") => header(":event-type").map(Kind::Event),
        Some("exception") => header(":exception-type").map(Kind::Exception),
        Some("error") => {
            let message = header(":error-message").unwrap_or_default();
            header(":error-code").map(|code| Kind::Error { code, message })
        }
        Some(_) | None => None,
    };
    Ok(Frame { kind: kind.ok_or(Broken::Nameless)?, payload: message.payload().to_vec() })
}

#[cfg(test)]
pub(super) mod tests {
    use aws_smithy_eventstream::frame::write_message_to;
    use aws_smithy_types::event_stream::{Header, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    /// A frame as Amazon writes it.
    pub(in crate::bedrock) fn encoded(headers: &[(&str, &str)], payload: &str) -> Vec<u8> {
        let message = headers.iter().fold(Message::new(payload.as_bytes().to_vec()), |message, (name, value)| {
            let (name, value) = ((*name).to_owned(), (*value).to_owned());
            message.add_header(Header::new(name, HeaderValue::String(value.into())))
        });
        let mut bytes = Vec::new();
        write_message_to(&message, &mut bytes).unwrap();
        bytes
    }

    fn event(name: &str, payload: &str) -> Vec<u8> {
        encoded(&[(":message-type", "event"), (":event-type", name), (":content-type", "application/json")], payload)
    }

    /// All frames in `bytes`, or what is wrong with them.
    fn read(pieces: &[&[u8]]) -> (Vec<Frame>, Result<(), String>) {
        let (mut frames, mut seen) = (Frames::default(), Vec::new());
        for piece in pieces {
            frames.push(piece);
            loop {
                match frames.next() {
                    Ok(Some(frame)) => seen.push(frame),
                    Ok(None) => break,
                    Err(broken) => return (seen, Err(broken.to_string())),
                }
            }
        }
        (seen, Ok(()))
    }

    fn check_broken(bytes: &[u8], expected: &str) {
        assert_eq!(read(&[bytes]).1.unwrap_err(), expected);
    }

    #[test]
    fn frames_are_read_by_their_headers() {
        let bytes = [
            event("messageStart", r#"{"role":"assistant"}"#),
            encoded(&[(":exception-type", "throttlingException"), (":message-type", "exception")], "{}"),
            encoded(&[(":message-type", "error"), (":error-code", "Bad"), (":error-message", "no")], ""),
        ];
        let (frames, result) = read(&[&bytes.concat()]);
        let kinds: Vec<Kind> = frames.into_iter().map(|frame| frame.kind).collect();
        assert_eq!(
            kinds,
            [
                Kind::Event("messageStart".to_owned()),
                Kind::Exception("throttlingException".to_owned()),
                Kind::Error { code: "Bad".to_owned(), message: "no".to_owned() },
            ]
        );
        assert_eq!(result, Ok(()));
    }

    #[test]
    fn a_frame_that_announces_4_gb_is_refused_at_once() {
        check_broken(&[0xff; 4], "a frame announces 4294967295 bytes");
        let announced = |length: usize| u32::try_from(length).unwrap().to_be_bytes();
        check_broken(&announced(MAX_FRAME_BYTES + 1), "a frame announces 1048577 bytes");
        check_broken(&announced(MIN_FRAME_BYTES - 1), "a frame announces 15 bytes");
        assert_eq!(read(&[&announced(MAX_FRAME_BYTES)]), (vec![], Ok(())));
    }

    #[test]
    fn a_frame_of_the_greatest_length_is_read() {
        let spare = MAX_FRAME_BYTES - event("e", "").len();
        assert_eq!(read(&[&event("e", &"x".repeat(spare))]).0.len(), 1);
        assert!(read(&[&event("e", &"x".repeat(spare + 1))]).1.is_err());
    }

    #[test]
    fn a_wrong_checksum_is_noticed_wherever_the_damage_is() {
        let bytes = event("messageStart", r#"{"role":"assistant"}"#);
        for at in 4..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            check_broken(&damaged, "a frame is damaged");
        }
    }

    #[test]
    fn a_frame_says_what_it_is() {
        check_broken(&encoded(&[], "{}"), "a frame does not say what it is");
        check_broken(&encoded(&[(":message-type", "event")], "{}"), "a frame does not say what it is");
        check_broken(&encoded(&[(":message-type", "surprise")], "{}"), "a frame does not say what it is");
    }

    proptest! {
        #[test]
        fn rubbish_never_panics_and_is_not_hoarded(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20),
            good in any::<bool>(),
        ) {
            let mut frames = Frames::default();
            if good {
                frames.push(&event("messageStart", "{}"));
            }
            for piece in &pieces {
                frames.push(piece);
                loop {
                    match frames.next() {
                        Ok(Some(_)) => {}
                        Ok(None) => break,
                        Err(_) => return Ok(()),
                    }
                }
                prop_assert!(frames.pending.len() <= MAX_FRAME_BYTES + piece.len());
            }
        }

        #[test]
        fn damage_anywhere_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = [event("a", "{}"), event("b", "{\"x\":1}")].concat();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let (cut, _) = bytes.split_at(at);
            let whole = read(&[&bytes]);
            prop_assert_eq!(read(&[cut, &bytes[at..]]), whole);
        }
    }
}
