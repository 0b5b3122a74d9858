//! The names that leave the choice of a model to us.

use super::select::Objective;

/// The name that says no more than that.
const AUTO: &str = "auto";

/// A choice that is left to us.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Auto {
    /// What is wanted most, where the name says so: `auto:fastest`.
    pub objective: Option<Objective>,
}

impl Auto {
    /// All names.
    pub const NAMES: [&str; 5] = ["auto", "auto:cheapest", "auto:fastest", "auto:best", "auto:balanced"];

    /// What `name` leaves to us, if it is one of [`Self::NAMES`].
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        if name == AUTO {
            return Some(Self::default());
        }
        let objective = name.strip_prefix(AUTO)?.strip_prefix(':')?;
        Objective::named(objective).map(|objective| Self { objective: Some(objective) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_say_what_is_wanted_most() {
        let check = |name: &str, expected: Option<Option<Objective>>| {
            assert_eq!(Auto::named(name).map(|auto| auto.objective), expected, "{name}");
        };
        check("auto", Some(None));
        check("auto:cheapest", Some(Some(Objective::Cheapest)));
        check("auto:balanced", Some(Some(Objective::Balanced)));
        for other in ["auto:", "auto:dearest", "Auto", "auto/x", "automatic", "", "openai/auto"] {
            check(other, None);
        }
        assert!(Auto::NAMES.into_iter().all(|name| Auto::named(name).is_some()));
    }
}
