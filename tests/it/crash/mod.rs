//! The real program, killed and started again: whatever happens to the process, a
//! turn has one committed answer, one number and one line in the ledger.

mod boundaries;
mod client;
mod embedded;
mod many;
mod promise;
mod queue;
mod resume;
mod storm;
mod table;
