//! Whether so much is left: tokens, answers at once and money of an account, which is a key
//! or a tenant.
//!
//! One row an account, one conditional write to come in and one to leave. What a request may
//! cost at most is reserved before it begins, so that requests that meet cannot spend the
//! same money, and comes back when it leaves, or a while after it died.
//!
//! - `bounds`: what a request takes at most
//! - [`enter`]: let in, or why not; [`leave`]: what was really used
//! - `alert`: shares of a budget that somebody is to be told of
//! - `account`: the row and the writes; `period`: days and months

mod account;
mod alert;
mod bounds;
mod enter;
mod leave;
mod period;
mod refusal;
mod tokens;

pub use self::account::{Account, Change, Clause, Field, Reservation, Write};
pub use self::alert::{Crossing, THRESHOLDS, crossings, is_used_up, tell, told_by};
pub use self::bounds::{most_input, named_output, worst_cost};
pub use self::enter::{Ask, Entry, Rule, enter};
pub use self::leave::{Exit, Leaving, leave};
pub use self::period::Period;
pub use self::refusal::{Owner, Refusal};
pub use self::tokens::{TokenLevel, TokensTaken, level};
