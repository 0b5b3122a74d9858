//! Processes that share one bucket, each with a clock of its own.

use std::time::Duration;

use super::super::*;

/// The row of the bucket, and who asks it.
pub(super) struct Fleet {
    pub(super) rate: Rate,
    row: Option<Bucket>,
    pub(super) writes: u64,
    processes: Vec<Process>,
}

/// One of them: what it has leased, and what it knows.
struct Process {
    ahead: Duration,
    slots: Slots,
    known: Bucket,
    used: u32,
}

/// How many cells a process asks for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Size {
    /// As many each time.
    Fixed(u32),
    /// As [`lease::size`] says.
    AsUsed,
}

impl Fleet {
    /// One process for each of `ahead`, by which its clock is.
    pub(super) fn new(rate: Rate, ahead: impl IntoIterator<Item = Duration>) -> Self {
        let process = |ahead| Process { ahead, slots: Slots::default(), known: Bucket::default(), used: 0 };
        Self { rate, row: None, writes: 0, processes: ahead.into_iter().map(process).collect() }
    }

    /// Whether the process number `index` lets a request through at `at`; if not, how long its
    /// client is to wait.
    pub(super) fn ask(&mut self, index: usize, at: Timestamp, size: Size) -> Result<(), Duration> {
        let rate = self.rate;
        let now = at + self.processes[index].ahead;
        if self.processes[index].slots.take(now).is_some() {
            self.processes[index].used += 1;
            return Ok(());
        }
        let used = std::mem::take(&mut self.processes[index].used);
        let wanted = match size {
            Size::Fixed(cells) => cells,
            Size::AsUsed => lease::size(rate, used, 1),
        };
        loop {
            let take = self.processes[index].known.take(rate, now, wanted)?;
            self.writes += 1;
            let process = &mut self.processes[index];
            match write(&mut self.row, take.write) {
                Some(bucket) => {
                    process.known = bucket;
                    process.slots = Slots::of(&take, rate, bucket.tat_ns);
                    process.used = 1;
                    assert!(
                        process.slots.take(now).is_some(),
                        "the first cell of a lease is good when it is asked for"
                    );
                    return Ok(());
                }
                None => {
                    let found = self.row.unwrap_or_default();
                    assert_ne!(process.known, found, "a write that is refused was made of old knowledge");
                    process.known = found;
                }
            }
        }
    }
}

/// The row after `write`, as the table makes it; `None` where its condition fails.
fn write(row: &mut Option<Bucket>, write: Write) -> Option<Bucket> {
    let written = match (write, *row) {
        (Write::Begin { bucket, .. }, None) => bucket,
        (Write::Begin { bucket, unless_after_ns }, Some(found)) if found.tat_ns <= unless_after_ns => bucket,
        (Write::Add { add_ns, unless_after_ns }, Some(found)) if found.tat_ns <= unless_after_ns => {
            Bucket { tat_ns: found.tat_ns + add_ns, ..found }
        }
        (Write::Begin { .. } | Write::Add { .. }, _) => return None,
    };
    *row = Some(written);
    Some(written)
}
