//! How much a model thinks: what its `thinkingConfig` takes.

use serde_json::{Value, json};
use turnwise_core::fault::Fault;

use crate::prompt::Prompt;

/// What the models whose names begin so take, the first match counting. Levels:
/// <https://ai.google.dev/gemini-api/docs/thinking>; a level that a model does not have is
/// refused with 400, and so is a budget outside its range.
///
/// | | takes | least | off |
/// |---|---|---|---|
/// | 2.5 Pro | a budget of 128 to 32,768 tokens | 128 | no |
/// | 2.5 Flash-Lite | a budget of 512 to 24,576 tokens | 512 | yes |
/// | 2.5 Flash | a budget of at most 24,576 tokens | 1 | yes |
/// | 3 Flash, 3.1 Flash-Lite, 3.5 Flash, 3.5 Flash-Lite | a level | minimal | no |
/// | 3 Pro, 3.1 Pro, 3.6 Flash and all that came after | a level | low | no |
/// | 2.0 and older, Gemma | nothing | | |
const CONTROLS: [(&str, Control); 9] = [
    ("gemini-2.5-pro", Control::Budget { least: 128, most: 32_768, can_be_off: false }),
    ("gemini-2.5-flash-lite", Control::Budget { least: 512, most: 24_576, can_be_off: true }),
    ("gemini-2.5", Control::Budget { least: 1, most: 24_576, can_be_off: true }),
    ("gemini-3-flash", Control::Level { least: Level::Minimal }),
    ("gemini-3.1-flash-lite", Control::Level { least: Level::Minimal }),
    ("gemini-3.5-flash", Control::Level { least: Level::Minimal }),
    ("gemini-2.", Control::Nothing),
    ("gemini-1.", Control::Nothing),
    ("gemini-", Control::Level { least: Level::Low }),
];

/// Budgets that Google itself takes the efforts for, where it speaks OpenAI's format
/// (<https://ai.google.dev/gemini-api/docs/openai>), in tokens.
const LOW_TOKENS: u64 = 1_024;
const MEDIUM_TOKENS: u64 = 8_192;
const HIGH_TOKENS: u64 = 24_576;

/// The budget that leaves it to the model.
const DYNAMIC: i64 = -1;

/// By what a model's thinking is controlled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Control {
    /// By so many tokens.
    Budget { least: u64, most: u64, can_be_off: bool },
    /// By a word.
    Level { least: Level },
    /// It does not think, or as it likes.
    Nothing,
}

/// The words, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Minimal,
    Low,
    Medium,
    High,
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::Minimal => "MINIMAL",
            Self::Low => "LOW",
            Self::Medium => "MEDIUM",
            Self::High => "HIGH",
        }
    }

    const fn tokens(self) -> u64 {
        match self {
            Self::Minimal | Self::Low => LOW_TOKENS,
            Self::Medium => MEDIUM_TOKENS,
            Self::High => HIGH_TOKENS,
        }
    }

    const fn of_tokens(tokens: u64) -> Self {
        if tokens <= LOW_TOKENS {
            Self::Low
        } else if tokens <= MEDIUM_TOKENS {
            Self::Medium
        } else {
            Self::High
        }
    }
}

/// What a request wishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// None, or as little as the model can.
    Least,
    /// So much.
    Effort(Level),
    /// So many tokens.
    Budget(u64),
    /// As the model likes.
    Dynamic,
}

/// By what the thinking of `model` is controlled.
pub(super) fn control(model: &str) -> Control {
    let known = CONTROLS.iter().find(|(prefix, _)| model.starts_with(prefix));
    known.map_or(Control::Nothing, |(_, control)| *control)
}

/// What `prompt` wishes, if anything. That nothing be thought goes before how much, and
/// OpenAI's word for it before Anthropic's number.
pub(super) fn wish(prompt: &Prompt) -> Result<Option<Wish>, Fault> {
    let thinking = prompt.thinking.as_ref();
    let kind = thinking.and_then(|thinking| thinking["type"].as_str());
    if kind == Some("disabled") {
        return Ok(Some(Wish::Least));
    }
    if let Some(effort) = prompt.effort.as_deref() {
        let wish = match effort {
            "none" => Wish::Least,
            "minimal" => Wish::Effort(Level::Minimal),
            "low" => Wish::Effort(Level::Low),
            "medium" => Wish::Effort(Level::Medium),
            "high" | "xhigh" | "max" => Wish::Effort(Level::High),
            _ => {
                let message = "Expected none, minimal, low, medium, high, xhigh or max.";
                return Err(Fault::new("reasoning_effort", message));
            }
        };
        return Ok(Some(wish));
    }
    match (kind, thinking.and_then(|thinking| thinking["budget_tokens"].as_u64())) {
        (None, _) if thinking.is_none() => Ok(None),
        (Some("adaptive"), _) => Ok(Some(Wish::Dynamic)),
        (Some("enabled"), Some(tokens)) => Ok(Some(Wish::Budget(tokens))),
        _ => Err(Fault::new("thinking", "Expected the type disabled, adaptive, or enabled with budget_tokens.")),
    }
}

/// The `thinkingConfig` for `wish`; `None` where the model takes none. Who wishes thought
/// wants to read it, and it costs the same read or not.
pub(super) fn config(control: Control, wish: Wish) -> Option<Value> {
    let shown = wish != Wish::Least;
    match control {
        Control::Nothing => None,
        Control::Level { least } => {
            let level = match wish {
                Wish::Least => least,
                Wish::Effort(level) => level.max(least),
                Wish::Budget(tokens) => Level::of_tokens(tokens).max(least),
                Wish::Dynamic => return Some(json!({"includeThoughts": shown})),
            };
            Some(json!({"thinkingLevel": level.name(), "includeThoughts": shown}))
        }
        Control::Budget { least, most, can_be_off } => {
            let tokens = match wish {
                Wish::Least if can_be_off => json!(0),
                Wish::Least => json!(least),
                Wish::Effort(level) => json!(level.tokens().clamp(least, most)),
                Wish::Budget(tokens) => json!(tokens.clamp(least, most)),
                Wish::Dynamic => json!(DYNAMIC),
            };
            Some(json!({"thinkingBudget": tokens, "includeThoughts": shown}))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(model: &str, effort: &str, expected: &Value) {
        let prompt = Prompt { effort: Some(effort.to_owned()), ..Prompt::default() };
        let config = config(control(model), wish(&prompt).unwrap().unwrap());
        assert_eq!(config.unwrap_or_default(), *expected, "{model} {effort}");
    }

    #[test]
    fn an_effort_is_a_level_or_a_budget() {
        let level = |level: &str, shown: bool| json!({"thinkingLevel": level, "includeThoughts": shown});
        let budget = |tokens: u64, shown: bool| json!({"thinkingBudget": tokens, "includeThoughts": shown});
        check("gemini-4-argon", "none", &level("LOW", false));
        check("gemini-4-argon", "minimal", &level("LOW", true));
        check("gemini-3.8-flash", "minimal", &level("LOW", true));
        check("gemini-3.8-flash", "medium", &level("MEDIUM", true));
        check("gemini-3.1-pro-preview", "xhigh", &level("HIGH", true));
        check("gemini-3.5-flash-lite", "none", &level("MINIMAL", false));
        check("gemini-3.1-flash-lite", "minimal", &level("MINIMAL", true));
        check("gemini-2.5-pro", "none", &budget(128, false));
        check("gemini-2.5-flash", "none", &budget(0, false));
        check("gemini-2.5-flash-lite", "low", &budget(1_024, true));
        check("gemini-2.5-flash", "medium", &budget(8_192, true));
        check("gemini-2.5-pro", "high", &budget(24_576, true));
        for model in ["gemini-2.0-flash", "gemini-1.5-pro", "gemma-3-27b-it"] {
            check(model, "high", &Value::Null);
        }
    }

    #[test]
    fn anthropics_budget_is_kept_within_what_the_model_takes() {
        let of = |model: &str, thinking: Value| {
            let prompt = Prompt { thinking: Some(thinking), ..Prompt::default() };
            config(control(model), wish(&prompt).unwrap().unwrap()).unwrap()
        };
        let enabled = |tokens: u64| json!({"type": "enabled", "budget_tokens": tokens});
        assert_eq!(of("gemini-2.5-pro", enabled(1))["thinkingBudget"], 128);
        assert_eq!(of("gemini-2.5-pro", enabled(100_000))["thinkingBudget"], 32_768);
        assert_eq!(of("gemini-3.8-flash", enabled(1_024))["thinkingLevel"], "LOW");
        assert_eq!(of("gemini-3.8-flash", enabled(1_025))["thinkingLevel"], "MEDIUM");
        assert_eq!(of("gemini-3.8-flash", enabled(8_193))["thinkingLevel"], "HIGH");
        assert_eq!(of("gemini-2.5-flash", json!({"type": "adaptive"}))["thinkingBudget"], -1);
        assert_eq!(of("gemini-3.8-flash", json!({"type": "adaptive"})), json!({"includeThoughts": true}));
        assert_eq!(of("gemini-2.5-flash", json!({"type": "disabled"}))["thinkingBudget"], 0);
    }

    #[test]
    fn a_wish_that_is_none_is_a_fault() {
        let of = |effort: Option<&str>, thinking: Option<Value>| {
            wish(&Prompt { effort: effort.map(str::to_owned), thinking, ..Prompt::default() })
        };
        assert_eq!(of(None, None), Ok(None));
        assert_eq!(of(Some("hard"), None).unwrap_err().field, "reasoning_effort");
        assert_eq!(of(None, Some(json!({"type": "enabled"}))).unwrap_err().field, "thinking");
        assert_eq!(of(None, Some(json!({}))).unwrap_err().field, "thinking");
        assert_eq!(of(Some("high"), Some(json!({"type": "disabled"}))), Ok(Some(Wish::Least)));
    }
}
