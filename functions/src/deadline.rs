//! When an invocation ends.

use lambda_runtime::Context;
use turnwise_core::time::Timestamp;

/// When the invocation of `context` ends; `None` where the Runtime API names an
/// instant that has passed already, as `cargo lambda watch` does. Work is then
/// bounded by its own limits alone.
pub(crate) fn deadline(context: &Context, now: Timestamp) -> Option<Timestamp> {
    Some(Timestamp(context.deadline)).filter(|deadline| *deadline > now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_in_the_past_is_none() {
        let check = |millis, expected| {
            let mut context = Context::default();
            context.deadline = millis;
            assert_eq!(deadline(&context, Timestamp(1000)), expected);
        };
        check(0, None);
        check(1000, None);
        check(1001, Some(Timestamp(1001)));
    }
}
