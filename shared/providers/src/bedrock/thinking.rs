//! What a request asks of a model's thought and of its choice of words, in each family's own
//! fields.

use serde_json::{Map, Value, json};

use super::family::{Family, at_least};
use crate::prompt::Prompt;

/// Least tokens that Claude may be given to think.
const MIN_BUDGET: u64 = 1024;

/// How a model is to think.
#[derive(Debug, Default)]
pub(super) struct Thinking {
    /// For `additionalModelRequestFields`.
    pub(super) fields: Map<String, Value>,
    /// For `outputConfig.effort`.
    pub(super) effort: Option<&'static str>,
    /// Whether the model thinks at all, as far as the request has it.
    pub(super) is_on: bool,
    /// Whether it decides for itself how long its answer is.
    pub(super) is_unbounded: bool,
    /// Fields that had to be left out.
    pub(super) dropped: Vec<&'static str>,
}

impl Thinking {
    /// What `prompt` asks of a model of `family`. Anthropic's own `thinking` goes before
    /// OpenAI's `reasoning_effort`, which then says no more than how much.
    pub(super) fn of(prompt: &Prompt, family: Family) -> Self {
        let mut thinking = Self::default();
        let effort = prompt.effort.as_deref();
        match (&prompt.thinking, family) {
            (Some(wish), Family::Claude(..) | Family::Unknown) => {
                thinking.is_on = wish.get("type").is_some_and(|kind| kind != "disabled");
                thinking.fields.insert("thinking".to_owned(), wish.clone());
                match (effort.and_then(level), family) {
                    (Some(Some(level)), Family::Claude(major, minor)) if at_least(major, minor, 4, 6) => {
                        thinking.effort = Some(level);
                    }
                    _ if effort.is_some() => thinking.dropped.push("reasoning_effort"),
                    _ => {}
                }
                return thinking;
            }
            (Some(_), _) => thinking.dropped.push("thinking"),
            (None, _) => {}
        }
        match effort.map(level) {
            Some(Some(level)) => thinking.at(level, family, prompt.max_tokens),
            Some(None) => thinking.dropped.push("reasoning_effort"),
            None => {}
        }
        thinking
    }

    /// `None` is no thought at all.
    fn at(&mut self, level: Option<&'static str>, family: Family, max_tokens: Option<u64>) {
        match (family, level) {
            // Claude up to 4.5 thinks within a budget, and only when told to.
            (Family::Claude(major, minor), Some(level)) if !at_least(major, minor, 4, 6) => {
                match budget(level, max_tokens).filter(|_| at_least(major, minor, 3, 7)) {
                    Some(tokens) => {
                        self.is_on = true;
                        let wish = json!({"type": "enabled", "budget_tokens": tokens});
                        self.fields.insert("thinking".to_owned(), wish);
                    }
                    None => self.dropped.push("reasoning_effort"),
                }
            }
            (Family::Claude(..), Some(level)) => {
                self.is_on = true;
                self.effort = Some(level);
                self.fields.insert("thinking".to_owned(), json!({"type": "adaptive"}));
            }
            (Family::Nova2, Some(level)) => {
                let level = if matches!(level, "low" | "medium") { level } else { "high" };
                self.is_on = true;
                self.is_unbounded = level == "high";
                let wish = json!({"type": "enabled", "maxReasoningEffort": level});
                self.fields.insert("reasoningConfig".to_owned(), wish);
            }
            (Family::GptOss, Some(level)) => {
                let level = if matches!(level, "low" | "medium") { level } else { "high" };
                self.fields.insert("reasoning_effort".to_owned(), json!(level));
            }
            // Those do not think unless they are told to; one that always does cannot be told.
            (
                Family::Claude(..) | Family::Nova | Family::Nova2 | Family::Mistral | Family::Cohere | Family::Plain,
                None,
            ) => {}
            (Family::GptOss | Family::Unknown, None)
            | (Family::Nova | Family::Mistral | Family::Cohere | Family::Plain | Family::Unknown, Some(_)) => {
                self.dropped.push("reasoning_effort");
            }
        }
    }
}

/// An effort in Converse's words; `Some(None)` is none at all, `None` a word we do not know.
fn level(effort: &str) -> Option<Option<&'static str>> {
    match effort {
        "none" => Some(None),
        "minimal" | "low" => Some(Some("low")),
        "medium" => Some(Some("medium")),
        "high" => Some(Some("high")),
        "xhigh" => Some(Some("xhigh")),
        "max" => Some(Some("max")),
        _ => None,
    }
}

/// Tokens to think with at `level`, which are fewer than all of the answer's; `None` if that
/// leaves too few.
fn budget(level: &str, max_tokens: Option<u64>) -> Option<u64> {
    let wanted = match level {
        "low" => MIN_BUDGET,
        "medium" => 4 * MIN_BUDGET,
        _ => 16 * MIN_BUDGET,
    };
    let most = max_tokens.map_or(wanted, |all| all.saturating_sub(1));
    Some(wanted.min(most)).filter(|tokens| *tokens >= MIN_BUDGET)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(family: Family, effort: &str, max_tokens: Option<u64>, expected: Value) {
        let prompt = Prompt { effort: Some(effort.to_owned()), max_tokens, ..Prompt::default() };
        let thinking = Thinking::of(&prompt, family);
        let seen = json!({"fields": thinking.fields, "effort": thinking.effort, "dropped": thinking.dropped});
        assert_eq!(seen, expected, "{family:?} {effort}");
    }

    #[test]
    fn effort_is_said_in_each_familys_own_words() {
        let told = |fields: Value| json!({"fields": fields, "effort": null, "dropped": []});
        let dropped = json!({"fields": {}, "effort": null, "dropped": ["reasoning_effort"]});
        let budget = |tokens: u64| told(json!({"thinking": {"type": "enabled", "budget_tokens": tokens}}));
        check(Family::Claude(4, 5), "low", None, budget(1024));
        check(Family::Claude(4, 5), "medium", None, budget(4096));
        check(Family::Claude(3, 7), "high", None, budget(16384));
        check(Family::Claude(3, 5), "high", None, dropped.clone());
        let adaptive = json!({"fields": {"thinking": {"type": "adaptive"}}, "effort": "xhigh", "dropped": []});
        check(Family::Claude(4, 6), "xhigh", None, adaptive);
        let nova = |level: &str| told(json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": level}}));
        check(Family::Nova2, "minimal", None, nova("low"));
        check(Family::Nova2, "max", None, nova("high"));
        check(Family::GptOss, "medium", None, told(json!({"reasoning_effort": "medium"})));
        check(Family::Nova, "low", None, dropped.clone());
        check(Family::Claude(4, 5), "none", None, told(json!({})));
        check(Family::GptOss, "none", None, dropped.clone());
        check(Family::Claude(4, 5), "astronomic", None, dropped);
    }

    #[test]
    fn max_tokens_exceed_the_budget_for_thought() {
        let budget = |tokens: u64| json!({"fields": {"thinking": {"type": "enabled", "budget_tokens": tokens}}, "effort": null, "dropped": []});
        check(Family::Claude(4, 5), "high", Some(2000), budget(1999));
        check(Family::Claude(4, 5), "high", Some(1025), budget(1024));
        let dropped = json!({"fields": {}, "effort": null, "dropped": ["reasoning_effort"]});
        check(Family::Claude(4, 5), "high", Some(1024), dropped);
    }
}
