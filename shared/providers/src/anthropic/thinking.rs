//! How much a model thinks, and what room that leaves for its answer.
//!
//! OpenAI's requests give an effort. Anthropic's newest models take one too and find out
//! themselves how much thought it stands for; those before take a number of tokens.

use serde_json::{Value, json};
use turnwise_core::fault::Faults;

use super::model::{Abilities, Thinking};
use crate::prompt::Prompt;

/// Most tokens of an answer where the request does not say, thoughts aside: Anthropic wants
/// a number, and a model's own maximum would let one answer cost dollars.
const DEFAULT_MAX_TOKENS: u64 = 8_192;

/// Least budget of thought that Anthropic takes, in tokens.
const MIN_BUDGET: u64 = 1_024;

/// What a request says of thought, in Anthropic's words.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Thought {
    /// `thinking`, where it says something.
    pub(super) thinking: Option<Value>,
    /// `output_config.effort`, where it says something.
    pub(super) effort: Option<&'static str>,
    /// `max_tokens`, which thoughts are part of.
    pub(super) max_tokens: u64,
}

/// How hard a model tries, as requests put it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    ExtraHigh,
    Most,
}

impl Effort {
    fn read(word: &str) -> Option<Self> {
        Some(match word {
            "none" => Self::None,
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "xhigh" => Self::ExtraHigh,
            "max" => Self::Most,
            _ => return None,
        })
    }

    /// Anthropic's word for it, which has none for less than low.
    fn word(self, model: &Abilities) -> &'static str {
        match self {
            Self::None | Self::Minimal | Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::ExtraHigh if model.knows_extra_high_effort() => "xhigh",
            Self::ExtraHigh => "high",
            Self::Most => "max",
        }
    }

    /// Tokens of thought that it stands for: the budget of models that want one, and room
    /// beside the answer for the others. Above 32,000, Anthropic advises against a plain
    /// request, as it takes too long.
    const fn tokens(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Minimal => MIN_BUDGET,
            Self::Low => 2_048,
            Self::Medium => 8_192,
            Self::High => 16_384,
            Self::ExtraHigh | Self::Most => 32_000,
        }
    }
}

/// Whether `thinking` as a client wrote it makes a model think.
pub(super) fn is_on(thinking: &Value) -> bool {
    thinking["type"] != "disabled"
}

/// What `prompt` amounts to. A request that forces a call (`is_forced`) cannot have a model
/// think as well: Anthropic refuses both at once, and a call is more than an effort.
pub(super) fn decide(
    prompt: &Prompt,
    model: &Abilities,
    is_forced: bool,
    dropped: &mut Vec<String>,
    faults: &mut Faults,
) -> Thought {
    let effort = prompt.effort.as_deref().and_then(|word| {
        let effort = Effort::read(word);
        if effort.is_none() {
            let message = format!("Expected none, minimal, low, medium, high, xhigh or max, got {word:?}.");
            faults.add("reasoning_effort", message);
        }
        effort
    });
    match (&prompt.thinking, effort) {
        (Some(thinking), effort) => explicit(prompt, thinking, effort, model, dropped, faults),
        (None, Some(effort)) => by_effort(prompt, effort, model, is_forced, dropped),
        (None, None) => {
            let room = if model.thinks_always() { Effort::High.tokens() } else { 0 };
            Thought { max_tokens: max_tokens(prompt, model, room), ..Thought::default() }
        }
    }
}

/// What the client wrote goes out as it is, as far as the model takes it; an effort beside
/// it, where the model takes one.
fn explicit(
    prompt: &Prompt,
    thinking: &Value,
    effort: Option<Effort>,
    model: &Abilities,
    dropped: &mut Vec<String>,
    faults: &mut Faults,
) -> Thought {
    let guided = effort.filter(|effort| *effort != Effort::None && model.thinking() == Thinking::Adaptive);
    if effort.is_some() && guided.is_none() {
        dropped.push("reasoning_effort".to_owned());
    }
    let budget = thinking.get("budget_tokens").and_then(Value::as_u64);
    let is_budget = thinking["type"] == "enabled";
    let room = match thinking["type"].as_str() {
        Some("disabled") if !model.thinks_always() => 0,
        Some("enabled") => budget.unwrap_or(0),
        Some(_) | None => guided.unwrap_or(Effort::High).tokens(),
    };
    let max_tokens = max_tokens(prompt, model, room);
    let thinking = if is_budget && model.refuses_budgets() {
        // The wish for thought counts more than how much of it.
        dropped.push("thinking.budget_tokens".to_owned());
        Some(adaptive(model))
    } else if !is_on(thinking) && model.thinks_always() {
        dropped.push("thinking".to_owned());
        None
    } else {
        if is_budget {
            check_budget(budget, max_tokens, faults);
        }
        Some(thinking.clone())
    };
    Thought { thinking, effort: guided.map(|effort| effort.word(model)), max_tokens }
}

fn check_budget(budget: Option<u64>, max_tokens: u64, faults: &mut Faults) {
    let message = match budget {
        None => "A whole number is required.".to_owned(),
        Some(budget) if budget >= max_tokens => {
            format!("Thoughts are part of the answer: the budget must be less than its {max_tokens} tokens.")
        }
        Some(_) => return,
    };
    faults.add("thinking.budget_tokens", message);
}

/// As much thought as the model finds right, shown.
fn adaptive(model: &Abilities) -> Value {
    let mut thinking = json!({"type": "adaptive"});
    if model.hides_thoughts() {
        thinking["display"] = json!("summarized");
    }
    thinking
}

fn by_effort(
    prompt: &Prompt,
    effort: Effort,
    model: &Abilities,
    is_forced: bool,
    dropped: &mut Vec<String>,
) -> Thought {
    let unheard = |dropped: &mut Vec<String>| {
        dropped.push("reasoning_effort".to_owned());
        Thought { max_tokens: max_tokens(prompt, model, 0), ..Thought::default() }
    };
    match (model.thinking(), effort) {
        (Thinking::Never | Thinking::Budget, Effort::None) => {
            Thought { max_tokens: max_tokens(prompt, model, 0), ..Thought::default() }
        }
        (Thinking::Never, _) => unheard(dropped),
        (Thinking::Budget, effort) => {
            // At most half of what the client allows, so that an answer comes after it.
            let most = prompt.max_tokens.map_or(u64::MAX, |most| most / 2);
            let budget = effort.tokens().min(most);
            if is_forced || budget < MIN_BUDGET {
                return unheard(dropped);
            }
            let thinking = json!({"type": "enabled", "budget_tokens": budget});
            Thought { thinking: Some(thinking), effort: None, max_tokens: max_tokens(prompt, model, budget) }
        }
        (Thinking::Adaptive, Effort::None) if model.thinks_always() => {
            dropped.push("reasoning_effort".to_owned());
            let room = Effort::Low.tokens();
            let effort = Some(Effort::Low.word(model));
            Thought { thinking: None, effort, max_tokens: max_tokens(prompt, model, room) }
        }
        (Thinking::Adaptive, Effort::None) => Thought {
            thinking: Some(json!({"type": "disabled"})),
            effort: None,
            max_tokens: max_tokens(prompt, model, 0),
        },
        (Thinking::Adaptive, effort) => Thought {
            thinking: Some(adaptive(model)).filter(|_| !is_forced),
            effort: Some(effort.word(model)),
            max_tokens: max_tokens(prompt, model, effort.tokens()),
        },
    }
}

/// The request's own maximum, else a usual answer behind `room` tokens of thought, as far as
/// the model goes.
fn max_tokens(prompt: &Prompt, model: &Abilities, room: u64) -> u64 {
    let usual = DEFAULT_MAX_TOKENS.saturating_add(room).min(model.max_output_tokens().unwrap_or(u64::MAX));
    prompt.max_tokens.unwrap_or(usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "claude-haiku-4-5";
    const NEW: &str = "claude-opus-4-8";
    const ALWAYS: &str = "claude-fable-5";

    /// What comes of a request: what goes out, and what is dropped or at fault.
    fn of(model: &str, prompt: &Prompt, is_forced: bool) -> (Thought, Vec<String>, Option<String>) {
        let (mut dropped, mut faults) = (Vec::new(), Faults::default());
        let thought = decide(prompt, &Abilities::of(model), is_forced, &mut dropped, &mut faults);
        (thought, dropped, faults.first_field().map(str::to_owned))
    }

    fn check_effort(model: &str, effort: &str, max_tokens: Option<u64>, expected: &Value, dropped: bool) {
        let prompt = Prompt { effort: Some(effort.to_owned()), max_tokens, ..Prompt::default() };
        let (thought, named, fault) = of(model, &prompt, false);
        let seen = json!([thought.thinking, thought.effort, thought.max_tokens]);
        assert_eq!((&seen, named.is_empty(), fault), (expected, !dropped, None), "{model} {effort}");
    }

    #[test]
    fn an_effort_is_a_budget_for_old_models_and_a_word_for_new_ones() {
        let budget = |tokens: u64| json!({"type": "enabled", "budget_tokens": tokens});
        let adaptive = json!({"type": "adaptive", "display": "summarized"});
        check_effort(OLD, "minimal", None, &json!([budget(1_024), null, 9_216]), false);
        check_effort(OLD, "high", None, &json!([budget(16_384), null, 24_576]), false);
        check_effort(OLD, "max", None, &json!([budget(32_000), null, 40_192]), false);
        check_effort(NEW, "minimal", None, &json!([adaptive, "low", 9_216]), false);
        check_effort(NEW, "xhigh", Some(77), &json!([adaptive, "xhigh", 77]), false);
        check_effort("claude-sonnet-4-6", "xhigh", None, &json!([{"type": "adaptive"}, "high", 40_192]), false);
        check_effort("claude-3-5-haiku-latest", "high", None, &json!([null, null, 8_192]), true);
    }

    #[test]
    fn no_effort_turns_thought_off_where_it_can_be() {
        check_effort(OLD, "none", None, &json!([null, null, 8_192]), false);
        check_effort(NEW, "none", None, &json!([{"type": "disabled"}, null, 8_192]), false);
        check_effort(ALWAYS, "none", None, &json!([null, "low", 10_240]), true);
    }

    #[test]
    fn a_budget_leaves_half_of_the_answer() {
        check_effort(
            OLD,
            "high",
            Some(4_096),
            &json!([{"type": "enabled", "budget_tokens": 2_048}, null, 4_096]),
            false,
        );
        check_effort(
            OLD,
            "low",
            Some(2_048),
            &json!([{"type": "enabled", "budget_tokens": 1_024}, null, 2_048]),
            false,
        );
        check_effort(OLD, "low", Some(2_047), &json!([null, null, 2_047]), true);
    }

    #[test]
    fn max_tokens_has_a_default_below_the_models_maximum() {
        let silent = |model: &str| of(model, &Prompt::default(), false).0.max_tokens;
        assert_eq!((silent(NEW), silent(OLD), silent("claude-next")), (8_192, 8_192, 8_192));
        assert_eq!(silent(ALWAYS), 24_576);
        let budget = json!({"type": "enabled", "budget_tokens": 60_000});
        let prompt = Prompt { thinking: Some(budget), ..Prompt::default() };
        assert_eq!(of(OLD, &prompt, false).0.max_tokens, 64_000);
    }

    #[test]
    fn max_tokens_is_more_than_the_budget() {
        let fault = |model: &str, budget: Value, max_tokens: Option<u64>| {
            let thinking = Some(json!({"type": "enabled", "budget_tokens": budget}));
            of(model, &Prompt { thinking, max_tokens, ..Prompt::default() }, false).2
        };
        let at_fault = Some("thinking.budget_tokens".to_owned());
        assert_eq!(fault(OLD, json!(2_000), Some(2_001)), None);
        assert_eq!(fault(OLD, json!(2_000), Some(2_000)), at_fault);
        assert_eq!(fault(OLD, json!(63_999), None), None);
        assert_eq!(fault(OLD, json!(64_000), None), at_fault);
        assert_eq!(fault(OLD, json!(null), None), at_fault);
        assert_eq!(fault("claude-next", json!(u64::MAX), None), at_fault);
    }

    #[test]
    fn thinking_given_explicitly_wins() {
        let prompt =
            |thinking: Value| Prompt { thinking: Some(thinking), effort: Some("high".to_owned()), ..Prompt::default() };
        let adaptive = json!({"type": "adaptive", "x": 1});
        let (thought, dropped, _) = of(NEW, &prompt(adaptive.clone()), false);
        assert_eq!((thought.thinking, thought.effort, dropped.len()), (Some(adaptive), Some("high"), 0));
        let enabled = json!({"type": "enabled", "budget_tokens": 1_024});
        let (thought, dropped, _) = of(OLD, &prompt(enabled.clone()), false);
        assert_eq!((thought.thinking, thought.effort), (Some(enabled), None));
        assert_eq!(dropped, ["reasoning_effort"]);
    }

    #[test]
    fn what_a_model_is_known_to_refuse_of_it_is_left_out_and_named() {
        let of = |model: &str, thinking: Value| {
            let (thought, dropped, fault) = of(model, &Prompt { thinking: Some(thinking), ..Prompt::default() }, false);
            (thought.thinking, dropped, fault)
        };
        let budget = json!({"type": "enabled", "budget_tokens": 1_024});
        let shown = json!({"type": "adaptive", "display": "summarized"});
        assert_eq!(of(NEW, budget.clone()), (Some(shown), vec!["thinking.budget_tokens".to_owned()], None));
        assert_eq!(of("claude-next", budget.clone()), (Some(budget), Vec::new(), None));
        let off = json!({"type": "disabled"});
        assert_eq!(of(ALWAYS, off.clone()), (None, vec!["thinking".to_owned()], None));
        assert_eq!(of(NEW, off.clone()), (Some(off), Vec::new(), None));
    }

    #[test]
    fn an_effort_gives_way_to_a_forced_call() {
        let prompt = Prompt { effort: Some("high".to_owned()), ..Prompt::default() };
        let (thought, dropped, _) = of(OLD, &prompt, true);
        assert_eq!((thought.thinking, dropped), (None, vec!["reasoning_effort".to_owned()]));
        let (thought, dropped, _) = of(NEW, &prompt, true);
        assert_eq!((thought.thinking, thought.effort, dropped.len()), (None, Some("high"), 0));
    }

    #[test]
    fn an_unknown_effort_is_a_fault() {
        let prompt = Prompt { effort: Some("heroic".to_owned()), ..Prompt::default() };
        assert_eq!(of(NEW, &prompt, false).2.as_deref(), Some("reasoning_effort"));
    }
}
