//! The boundaries of a turn, and what is promised for a crash at each.

use turnwise_tests::proxy::{Crash, Hold, Side};

/// What the provider says when it is first called for the turn, and what it says after
/// that: an answer tells which call it came from.
pub(super) const ANSWERS: [&str; 2] = ["The first call answers", "The second call answers"];

/// What the killed process was doing.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mode {
    /// Making a whole answer, which takes longer than the first heartbeat.
    Buffered,
    /// Making a stream whose first words are logged before the last ones come.
    Streamed,
    /// Committing the answer that a killed process had logged to its finish.
    RollingForward,
    /// Storing, in at-most-once mode, that the outcome of a killed process is unknown.
    GivingUp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    AtLeastOnce,
    AtMostOnce,
}

/// How far a turn has come, as far as it matters after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    Nothing,
    /// T1 is applied.
    Begun,
    /// The provider has been called.
    Called,
    /// The stream log holds the provider's finish.
    FinishLogged,
    /// T2 is applied.
    Committed,
    /// T2f is applied.
    GivenUp,
}

/// The boundaries of each mode, with how far each brings the turn. The two reads go out
/// at the same time; the lists have them by name.
const BUFFERED: [(&str, Reached); 8] = [
    ("read conversation", Reached::Nothing),
    ("read turn", Reached::Nothing),
    (T1, Reached::Begun),
    ("provider: call", Reached::Called),
    ("heartbeat", Reached::Called),
    ("provider: answer", Reached::Called),
    ("T2", Reached::Committed),
    (BEHIND_REPLY, Reached::Committed),
];
/// See [`BUFFERED`].
const STREAMED: [(&str, Reached); 11] = [
    ("read conversation", Reached::Nothing),
    ("read turn", Reached::Nothing),
    (T1, Reached::Begun),
    ("provider: call", Reached::Called),
    ("provider: first words", Reached::Called),
    ("log: words", Reached::Called),
    ("provider: last words", Reached::Called),
    ("provider: [DONE]", Reached::Called),
    ("log: finish", Reached::FinishLogged),
    ("T2", Reached::Committed),
    (BEHIND_REPLY, Reached::Committed),
];
/// See [`BUFFERED`].
const ROLLING_FORWARD: [(&str, Reached); 6] = [
    ("read conversation", Reached::FinishLogged),
    ("read turn", Reached::FinishLogged),
    (T1, Reached::FinishLogged),
    ("read log", Reached::FinishLogged),
    ("T2", Reached::Committed),
    (BEHIND_REPLY, Reached::Committed),
];
/// See [`BUFFERED`].
const GIVING_UP: [(&str, Reached); 6] = [
    ("read conversation", Reached::Called),
    ("read turn", Reached::Called),
    (T1, Reached::Called),
    ("read log", Reached::Called),
    ("T2f", Reached::GivenUp),
    (BEHIND_REPLY, Reached::GivenUp),
];

/// The boundary that comes after the client has its reply.
pub(super) const BEHIND_REPLY: &str = "read queue";

/// The boundary that counts an attempt.
const T1: &str = "T1";

/// Both sides of each boundary, in the delivery modes that have it.
pub(super) const CASES: usize = 2 * (2 * (BUFFERED.len() + STREAMED.len() + ROLLING_FORWARD.len()) + GIVING_UP.len());

impl Mode {
    const ALL: [Self; 4] = [Self::Buffered, Self::Streamed, Self::RollingForward, Self::GivingUp];

    pub(super) const fn boundaries(self) -> &'static [(&'static str, Reached)] {
        match self {
            Self::Buffered => &BUFFERED,
            Self::Streamed => &STREAMED,
            Self::RollingForward => &ROLLING_FORWARD,
            Self::GivingUp => &GIVING_UP,
        }
    }

    const fn deliveries(self) -> &'static [Delivery] {
        match self {
            Self::Buffered | Self::Streamed | Self::RollingForward => &[Delivery::AtLeastOnce, Delivery::AtMostOnce],
            Self::GivingUp => &[Delivery::AtMostOnce],
        }
    }

    /// Where an earlier process was killed, and what it had come to.
    pub(super) const fn earlier(self) -> Option<Crash> {
        match self {
            Self::Buffered | Self::Streamed => None,
            Self::RollingForward => Some(Crash { boundary: "T2", side: Side::Before }),
            Self::GivingUp => Some(Crash { boundary: "log: finish", side: Side::Before }),
        }
    }

    const fn begins_at(self) -> Reached {
        match self {
            Self::Buffered | Self::Streamed => Reached::Nothing,
            Self::RollingForward => Reached::FinishLogged,
            Self::GivingUp => Reached::Called,
        }
    }

    pub(super) const fn streams(self) -> bool {
        match self {
            Self::Buffered => false,
            Self::Streamed | Self::RollingForward | Self::GivingUp => true,
        }
    }

    /// What comes first where two things would race.
    pub(super) const fn hold(self) -> Hold {
        match self {
            Self::Buffered => Hold { boundary: "provider: answer", until: "heartbeat" },
            Self::Streamed | Self::RollingForward | Self::GivingUp => {
                Hold { boundary: "provider: last words", until: "log: words" }
            }
        }
    }
}

impl Delivery {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::AtLeastOnce => "at-least-once",
            Self::AtMostOnce => "at-most-once",
        }
    }
}

/// Each mode in each delivery mode that has it.
pub(super) fn turns() -> impl Iterator<Item = (Mode, Delivery)> {
    Mode::ALL.into_iter().flat_map(|mode| mode.deliveries().iter().map(move |delivery| (mode, *delivery)))
}

/// One crash, and what is promised for it.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) mode: Mode,
    pub(super) delivery: Delivery,
    pub(super) crash: Crash,
    pub(super) expected: Expected,
}

/// What a client that retries gets in the end, and what it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expected {
    /// The answer; none where it must stay unknown whether there was one.
    pub(super) answer: Option<&'static str>,
    /// Calls of the provider.
    pub(super) calls: usize,
    /// Attempts at the turn.
    pub(super) attempts: u64,
}

/// A crash on either side of each boundary.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (mode, delivery) in turns() {
        let mut before = mode.begins_at();
        let mut attempts_before = u64::from(mode.earlier().is_some());
        for &(boundary, after) in mode.boundaries() {
            let attempts_after = attempts_before + u64::from(boundary == T1);
            let sides = [(Side::Before, before, attempts_before), (Side::After, after, attempts_after)];
            cases.extend(sides.map(|(side, reached, attempts)| Case {
                mode,
                delivery,
                crash: Crash { boundary, side },
                expected: expected(reached, delivery, attempts),
            }));
            (before, attempts_before) = (after, attempts_after);
        }
    }
    cases
}

/// What the promise says where the turn has come so far, in so many attempts.
const fn expected(reached: Reached, delivery: Delivery, attempts: u64) -> Expected {
    let [first, second] = [Some(ANSWERS[0]), Some(ANSWERS[1])];
    let (answer, calls, ended) = match (reached, delivery) {
        (Reached::Nothing, _) | (Reached::Begun, Delivery::AtLeastOnce) => (first, 1, false),
        (Reached::Called, Delivery::AtLeastOnce) => (second, 2, false),
        // T1 alone does not tell whether the call was made.
        (Reached::Begun, Delivery::AtMostOnce) => (None, 0, false),
        (Reached::Called, Delivery::AtMostOnce) => (None, 1, false),
        (Reached::FinishLogged, _) => (first, 1, false),
        (Reached::Committed, _) => (first, 1, true),
        (Reached::GivenUp, _) => (None, 1, true),
    };
    Expected { answer, calls, attempts: if ended { attempts } else { attempts + 1 } }
}

/// The text of the first `events` events of the first answer's stream: a role, a word
/// each, and what ends it.
pub(super) fn first_words(events: u64) -> String {
    let words = usize::try_from(events).unwrap().saturating_sub(1);
    ANSWERS[0].split_inclusive(' ').take(words).collect()
}
