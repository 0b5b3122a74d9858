//! What one of Anthropic's models takes and refuses.
//!
//! The catalogue knows best. A model that it does not list is judged by the version in its
//! name, since Anthropic changes what its models take from one version to the next.

use turnwise_core::catalogue::{Catalogue, Model, Rejection};

/// Under which provider the catalogue lists these models.
const PROVIDER: &str = "anthropic";

/// A model's version, as its name has it: `claude-opus-4-8` is 4.8.
type Version = (u32, u32);

/// The first version that can think, within a budget.
const THINKS: Version = (3, 7);

/// The first version whose answers can be held to a JSON schema.
const SCHEMAS: Version = (4, 5);

/// The first version that decides itself how much it thinks, and that does not go on with
/// words put into its mouth.
const ADAPTIVE: Version = (4, 6);

/// The first version that knows an effort between high and the most, refuses sampling
/// parameters and budgets of thought, and keeps its thoughts to itself unless asked to show
/// them.
const RESERVED: Version = (4, 7);

/// How a model is made to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thinking {
    /// It cannot.
    Never,
    /// Within a number of tokens that the request gives.
    Budget,
    /// As much as it finds right, guided by an effort.
    Adaptive,
}

/// What one model takes and refuses.
#[derive(Debug, Clone)]
pub(super) struct Abilities {
    facts: Option<&'static Model>,
    version: Option<Version>,
}

impl Abilities {
    /// Those of the model `name`.
    pub(super) fn of(name: &str) -> Self {
        let catalogue = Catalogue::shipped();
        let facts = catalogue.get(PROVIDER, name).or_else(|| catalogue.get(PROVIDER, undated(name)));
        Self { facts, version: version(name) }
    }

    /// How it is made to think.
    pub(super) fn thinking(&self) -> Thinking {
        let cannot = self.facts.is_some_and(|model| !model.can("reasoning")) || !self.is_since(THINKS);
        match (cannot, self.is_since(ADAPTIVE)) {
            (true, _) => Thinking::Never,
            (false, false) => Thinking::Budget,
            (false, true) => Thinking::Adaptive,
        }
    }

    /// Whether it thinks also where nobody asks it to, and cannot be kept from it.
    pub(super) fn thinks_always(&self) -> bool {
        self.facts.is_some_and(|model| model.thinks_always)
    }

    /// Whether it shows its thoughts only where it is asked to.
    pub(super) fn hides_thoughts(&self) -> bool {
        self.is_since(RESERVED)
    }

    /// Whether it is known to refuse a budget of thought. A name without a version may be an
    /// operator's own for an older model.
    pub(super) fn refuses_budgets(&self) -> bool {
        self.version.is_some_and(|version| version >= RESERVED)
    }

    /// Whether it knows an effort between high and the most.
    pub(super) fn knows_extra_high_effort(&self) -> bool {
        self.is_since(RESERVED)
    }

    /// Whether its answers can be held to a JSON schema.
    pub(super) fn takes_schemas(&self) -> bool {
        self.facts.map_or_else(|| self.is_since(SCHEMAS), |model| model.can("json_schema"))
    }

    /// Whether it refuses `what`.
    pub(super) fn rejects(&self, what: Rejection) -> bool {
        if let Some(model) = self.facts {
            return model.rejects(what);
        }
        let since = match what {
            Rejection::SamplingParams => RESERVED,
            Rejection::AssistantPrefill => ADAPTIVE,
            // Some refuse it and their successors take it: a name does not tell.
            Rejection::ForcedToolUse => return false,
        };
        self.version.is_some_and(|version| version >= since)
    }

    /// Most tokens of an answer, as far as they are known.
    pub(super) fn max_output_tokens(&self) -> Option<u64> {
        self.facts.and_then(|model| model.max_output_tokens)
    }

    /// Whether it is of `version` or later; a name without a version is taken for a new
    /// model's, since old ones all have theirs.
    fn is_since(&self, version: Version) -> bool {
        self.version.is_none_or(|own| own >= version)
    }
}

/// `name` without the day that names a snapshot: `claude-haiku-4-5-20251001`.
fn undated(name: &str) -> &str {
    name.rsplit_once('-').filter(|(_, day)| is_day(day)).map_or(name, |(model, _)| model)
}

fn is_day(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The first one or two numbers of `name` that stand together.
fn version(name: &str) -> Option<Version> {
    let number = |part: &str| part.parse::<u32>().ok().filter(|_| part.len() <= 2);
    let mut parts = name.split(['-', '.']).map(number).skip_while(Option::is_none);
    let major = parts.next().flatten()?;
    Some((major, parts.next().flatten().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_version() {
        let rows = [
            ("claude-opus-4-8", Some((4, 8))),
            ("claude-fable-5", Some((5, 0))),
            ("claude-3-7-sonnet-20250219", Some((3, 7))),
            ("claude-sonnet-4-20250514", Some((4, 0))),
            ("claude-haiku-4-5-20251001", Some((4, 5))),
            ("claude-2.1", Some((2, 1))),
            ("claude-next", None),
            ("", None),
        ];
        for (name, expected) in rows {
            assert_eq!(version(name), expected, "{name}");
        }
    }

    #[test]
    fn each_version_thinks_in_its_own_way() {
        let rows = [
            ("claude-3-5-haiku-20241022", Thinking::Never),
            ("claude-3-7-sonnet-20250219", Thinking::Budget),
            ("claude-haiku-4-5-20251001", Thinking::Budget),
            ("claude-opus-4-6", Thinking::Adaptive),
            ("claude-fable-5", Thinking::Adaptive),
            ("claude-next", Thinking::Adaptive),
        ];
        for (name, expected) in rows {
            assert_eq!(Abilities::of(name).thinking(), expected, "{name}");
        }
    }

    #[test]
    fn the_catalogue_knows_better_than_a_name() {
        let listed = Abilities::of("claude-opus-5-5");
        assert!(listed.thinks_always() && listed.rejects(Rejection::ForcedToolUse));
        assert_eq!(Abilities::of("claude-haiku-4-5-20251001").max_output_tokens(), Some(64_000));
        let guessed = Abilities::of("claude-opus-4-7");
        assert!(guessed.rejects(Rejection::SamplingParams) && guessed.rejects(Rejection::AssistantPrefill));
        let older = Abilities::of("claude-opus-4-6");
        assert!(!older.rejects(Rejection::SamplingParams) && older.rejects(Rejection::AssistantPrefill));
        assert!(!Abilities::of("claude-next").rejects(Rejection::SamplingParams));
        assert!(!Abilities::of("claude-sonnet-4-20250514").takes_schemas());
    }
}
