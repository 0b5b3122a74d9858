//! How many cells a process leases at once.

use super::Rate;

/// A lease holds at most this part of a limit, a second's worth: a process that stops takes
/// no more along, and one that asks on pays a write a second.
const LARGEST_PART: u32 = 60;

/// How many cells to lease, where `waiting` requests of this process want one now and `used`
/// cells of its last lease were used. It grows as long as leases are used up, so that a
/// process that rarely asks keeps nothing from the others.
#[must_use]
pub fn size(rate: Rate, used: u32, waiting: u32) -> u32 {
    let most = (rate.limit() / LARGEST_PART).max(1);
    used.saturating_mul(2).clamp(1, most).max(waiting)
}
