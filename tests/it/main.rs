//! The one integration test binary.

#![allow(clippy::disallowed_methods, reason = "tests run no Lambda")]

mod providers;
