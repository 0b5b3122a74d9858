//! The table's queue: T0, the way back to a place, and how a turn is stopped from outside.

use turnwise_core::turn::{Delivery, Outcome, Place, Previous, Revoke};

use crate::flaws::Flaw;
use crate::hashed::Plain;
use crate::rows::{Attempt, Input, Key, Meta, State, Turn};
use crate::table::Table;
use crate::writes::Halt;

impl Table {
    /// The place that comes next, with its turn.
    pub(crate) fn queue_head(&self) -> Option<Key> {
        self.queue.first_key_value().map(|(_, key)| *key)
    }

    /// Applies T0 if its conditions hold, and tells whether they did.
    pub(crate) fn join(
        &mut self,
        attempt: Attempt,
        key: Key,
        input: Input,
        delivery: Plain<Delivery>,
        joined: &Place,
    ) -> bool {
        let Place { seen_tail, previous, place, attempts, seen_head } = *joined;
        let tail_as_seen = self.meta.as_ref().map(|meta| meta.queue_tail) == seen_tail;
        let turn_as_seen = match previous {
            Previous::Absent => !self.turns.contains_key(&key),
            Previous::Queued { epoch, .. } => self.is_queued(key, epoch),
            Previous::Failed { epoch } => self.is_failed(key, epoch),
            Previous::Lost { epoch } => self.is_processing(key, epoch),
        };
        let is_next = |head| {
            let idle = |meta: &Meta| meta.head == head && meta.holder.is_none() && meta.queued == 0;
            self.meta.as_ref().is_none_or(idle)
        };
        let next_or_any = seen_head.is_none_or(is_next);
        let accepted = tail_as_seen && turn_as_seen && next_or_any && !self.queue.contains_key(&place);
        if accepted {
            let meta = self.meta.get_or_insert_default();
            meta.queue_tail = place;
            meta.queued += 1;
            self.queue.insert(place, key);
            let first = self.turns.get(&key);
            let (delivery, epoch) = first.map_or((delivery, 0), |turn| (turn.delivery, turn.epoch));
            let turn = Turn { input, delivery, epoch, attempt, attempts, place: Some(place), state: State::Queued };
            self.turns.insert(key, turn);
        }
        accepted
    }

    /// Takes the row of a place away.
    pub(crate) fn leave(&mut self, place: u64, flaw: Option<Flaw>) {
        if let Some(meta) = &mut self.meta {
            meta.queued = meta.queued.saturating_sub(1);
        }
        if flaw != Some(Flaw::QueueRowKept) {
            self.queue.remove(&place);
        }
    }

    /// Puts the row of a failed turn's place back.
    pub(crate) fn rejoin(&mut self, key: Key, flaw: Option<Flaw>) {
        let (Some(meta), Some(turn)) = (&mut self.meta, self.turns.get_mut(&key)) else { return };
        meta.queued += 1;
        if flaw == Some(Flaw::RequeuedAtTheEnd) {
            meta.queue_tail += 1;
            turn.place = Some(meta.queue_tail);
        }
        self.queue.extend(turn.place.map(|place| (place, key)));
    }

    /// Ends a turn as cancelled if the conditions hold, and tells whether they did.
    pub(crate) fn stop(&mut self, halt: &Halt, flaw: Option<Flaw>) -> bool {
        let Halt { key, epoch, owner, revoked } = *halt;
        let accepted = match revoked.0 {
            Revoke::Withdraw { place } => self.is_queued(key, epoch) && self.queue.contains_key(&place),
            Revoke::Stop { epoch } => self.is_held_by(owner, epoch) && self.is_processing(key, epoch),
            Revoke::End { epoch } => self.is_processing(key, epoch),
            Revoke::Cancelled | Revoke::Ended => false,
        };
        let turn = self.turns.get_mut(&key).filter(|_| accepted);
        let Some(turn) = turn else { return false };
        turn.state = State::Failed(Plain(Outcome::Cancelled));
        match revoked.0 {
            Revoke::Withdraw { place } => self.leave(place, None),
            Revoke::Stop { .. } if flaw == Some(Flaw::StopWithoutFence) => {}
            Revoke::Stop { .. } => self.force_release(),
            Revoke::End { .. } | Revoke::Cancelled | Revoke::Ended => {}
        }
        true
    }
}
