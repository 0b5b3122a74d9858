//! What an operator sees and does, with an administrator's key.

mod allowance;
pub(crate) mod audit;
pub(crate) mod audit_format;
pub(crate) mod dead_letters;
pub(crate) mod erase;
pub(crate) mod health;
pub(crate) mod keys;
pub(crate) mod locks;
pub(crate) mod prices;
pub(crate) mod tenants;
pub(crate) mod turns;
pub(crate) mod usage;
