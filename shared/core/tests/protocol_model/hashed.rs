//! Core's types as parts of a state, which the checker tells from others by its hash.

use std::hash::{Hash, Hasher};
use std::mem::discriminant;

use turnwise_core::turn::{Acquire, Place, Previous, Revoke};

/// One of core's enums whose variants carry nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plain<T>(pub(crate) T);

impl<T> Hash for Plain<T> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        discriminant(&self.0).hash(hasher);
    }
}

/// The write T1 that core decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken(pub(crate) Acquire);

impl Hash for Taken {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Acquire { seen_fence, seen_version, behind_queue, previous, epoch, number, attempts } = &self.0;
        (seen_fence, seen_version, behind_queue, epoch, number, attempts).hash(hasher);
        hash_previous(previous, hasher);
    }
}

/// The write T0 that core decided on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Joined(pub(crate) Place);

impl Hash for Joined {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Place { seen_tail, previous, place, attempts, seen_head } = &self.0;
        (seen_tail, place, attempts, seen_head).hash(hasher);
        hash_previous(previous, hasher);
    }
}

/// The revocation that core decided on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Revoked(pub(crate) Revoke);

impl Hash for Revoked {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        discriminant(&self.0).hash(hasher);
        match self.0 {
            Revoke::Withdraw { place } => place.hash(hasher),
            Revoke::Stop { epoch } | Revoke::End { epoch } => epoch.hash(hasher),
            Revoke::Cancelled | Revoke::Ended => {}
        }
    }
}

fn hash_previous<H: Hasher>(previous: &Previous, hasher: &mut H) {
    discriminant(previous).hash(hasher);
    match previous {
        Previous::Absent => {}
        Previous::Queued { place, epoch } => (place, epoch).hash(hasher),
        Previous::Failed { epoch } | Previous::Lost { epoch } => epoch.hash(hasher),
    }
}
