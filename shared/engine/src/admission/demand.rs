//! What a request for an answer takes at most, and what it may have.

use serde_json::{Map, Value, json};
use turnwise_core::access::Grant;
use turnwise_core::admission::{Owner, most_input, named_output, worst_cost};
use turnwise_core::fault::Fault;
use turnwise_core::json::{self, RawMap};
use turnwise_core::limits::ASSUMED_OUTPUT_TOKENS;
use turnwise_core::money::PicoUsd;
use turnwise_store::Entry;

use super::rule;
use crate::error::Error;
use crate::measure::Measure;
use crate::turn::{Input, remember};
use crate::upstream::Chain;

/// Fields of a request that name the most tokens of its answer.
const MOST_OUTPUT: [&str; 2] = ["max_completion_tokens", "max_tokens"];

/// Objects of a request whose fields go out as they are, past whatever we check.
const OWN: [&str; 3] = ["anthropic", "gemini", "bedrock"];

/// Fields in them, without case and underscores, that could ask for more than was reserved.
const LENGTHENING: [&str; 6] = [
    "maxtokens",
    "maxoutputtokens",
    "maxcompletiontokens",
    "maxnewtokens",
    "candidatecount",
    "additionalmodelrequestfields",
];

/// What a request takes of its accounts at most.
pub(super) struct Most {
    pub(super) tokens: u64,
    pub(super) cost: PicoUsd,
}

/// The fields of `input` with as many output tokens as its key and its tenant allow, where
/// that is not what they say already; and that number.
///
/// # Errors
/// [`Error::Invalid`] where fields that go out as they are would say otherwise.
pub(super) fn bounded(input: &Input, grant: &Grant, measure: &Measure) -> Result<Option<(RawMap, u64)>, Error> {
    let clamps = [Owner::Key, Owner::Tenant].map(|owner| rule(grant, owner).limits.max_output_tokens);
    let clamp = clamps.into_iter().flatten().min();
    let is_counted = [Owner::Key, Owner::Tenant].into_iter().any(|owner| {
        let rule = rule(grant, owner);
        rule.budget.is_set() || rule.limits.tokens_per_minute.is_some()
    });
    if clamp.is_none() && !is_counted {
        return Ok(None);
    }
    refuse_lengthening(&input.fields)?;

    let most = match (named_output(&input.fields).1, clamp) {
        (Some(named), Some(clamp)) if named > clamp => clamp,
        (Some(_), _) => return Ok(None),
        // Thoughts are part of the answer, and it is to have some room beside them.
        (None, None) => ASSUMED_OUTPUT_TOKENS.saturating_add(thought_budget(&input.fields)),
        (None, Some(clamp)) => clamp,
    };
    let most = measure.most_output.map_or(most, |most_of_model| most.min(most_of_model));
    let mut fields = input.fields.clone();
    let is_said = |name: &&str| fields.get(*name).is_some_and(|raw| raw.get() != "null");
    let said: Vec<&str> = MOST_OUTPUT.into_iter().filter(is_said).collect();
    let names = if said.is_empty() { vec![MOST_OUTPUT[0]] } else { said };
    for name in names {
        fields.insert(name.to_owned(), json::raw(&json!(most)));
    }
    Ok(Some((fields, most)))
}

/// What `input` takes at most behind `history`, whichever of the chain's models answers. A
/// call that failed leaves no line in the ledger, and no call takes another's place once
/// anything was said: so one call is what an attempt is ever charged.
pub(super) fn most(input: &Input, history: &[Entry], chain: &Chain) -> Most {
    let (answers, named) = named_output(&input.fields);
    let of_candidates = chain.candidates().iter().map(|candidate| {
        let messages = remember::messages(input, history, &candidate.measure);
        let messages: Vec<Value> = serde_json::from_str(messages.get()).unwrap_or_default();
        let Measure { scale, context, most_output, .. } = candidate.measure;
        let input_tokens = most_input(&messages, &input.fields, scale, context);
        // Without a number somebody only counts the answers at once.
        let each = named.or(most_output).unwrap_or(ASSUMED_OUTPUT_TOKENS);
        let output = each.saturating_mul(answers);
        let cost = candidate.resolved.price().map(|price| worst_cost(&price, input_tokens, output));
        Most { tokens: input_tokens.saturating_add(output), cost: cost.unwrap_or_default() }
    });
    of_candidates.fold(Most { tokens: 0, cost: PicoUsd(0) }, |all, one| Most {
        tokens: all.tokens.max(one.tokens),
        cost: all.cost.max(one.cost),
    })
}

fn thought_budget(fields: &RawMap) -> u64 {
    let thinking = |object: &Value| object["budget_tokens"].as_u64();
    let parsed = |name: &str| fields.get(name).and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
    let own = parsed("anthropic").and_then(|own| thinking(&own["thinking"]));
    parsed("thinking").and_then(|object| thinking(&object)).or(own).unwrap_or(0)
}

fn refuse_lengthening(fields: &RawMap) -> Result<(), Error> {
    for own in OWN {
        let object = fields.get(own).and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
        if let Some(name) = object.as_ref().and_then(Value::as_object).and_then(lengthening) {
            let message = "A limit of tokens or money holds for this key: say in max_completion_tokens, or its name on \
                           this route, how long the answer may be.";
            return Err(Error::Invalid(Fault::new(format!("{own}.{name}"), message).into()));
        }
    }
    Ok(())
}

/// The field in `object`, or in an object in it, that could lengthen an answer.
fn lengthening(object: &Map<String, Value>) -> Option<String> {
    object.iter().find_map(|(name, value)| {
        let plain = name.replace('_', "").to_ascii_lowercase();
        let inner = || value.as_object().and_then(lengthening).map(|inner| format!("{name}.{inner}"));
        if LENGTHENING.contains(&plain.as_str()) { Some(name.clone()) } else { inner() }
    })
}

#[cfg(test)]
mod tests {
    use turnwise_core::access::{Budget, Limits};
    use turnwise_core::tokens::Scale;

    use super::*;

    fn check(fields: &str, clamp: Option<u64>, has_budget: bool, expected: Option<(&str, u64)>) {
        let limits = Limits { max_output_tokens: clamp, ..Limits::default() };
        let mut grant = Grant { limits, ..Grant::default() };
        grant.settings.budget = Budget { daily: has_budget.then_some(PicoUsd(1)), ..Budget::default() };
        let measure = Measure {
            model: "m".to_owned(),
            context: None,
            most_output: Some(8_000),
            scale: Scale::ONE,
            thoughts: false,
        };
        let input = format!(r#"{{"model":null,"fields":{fields},"remembers":false,"api_key":"k","user":"u"}}"#);
        let input: Input = serde_json::from_str(&input).unwrap();
        let found = bounded(&input, &grant, &measure).unwrap();
        let found = found.map(|(fields, most)| (serde_json::to_string(&fields).unwrap(), most));
        let found = found.as_ref().map(|(fields, most)| (fields.as_str(), *most));
        assert_eq!(found, expected, "{fields}");
    }

    #[test]
    fn an_answer_is_as_long_as_its_key_allows() {
        check("{}", None, false, None);
        check("{}", None, true, Some((r#"{"max_completion_tokens":4096}"#, 4_096)));
        check("{}", Some(100), false, Some((r#"{"max_completion_tokens":100}"#, 100)));
        check("{}", Some(100_000), false, Some((r#"{"max_completion_tokens":8000}"#, 8_000)));
        check(r#"{"max_tokens":100}"#, Some(100), true, None);
        check(r#"{"max_tokens":101}"#, Some(100), true, Some((r#"{"max_tokens":100}"#, 100)));
        check(r#"{"max_tokens":101}"#, None, true, None);
        check(
            r#"{"thinking":{"budget_tokens":1024}}"#,
            None,
            true,
            Some((r#"{"max_completion_tokens":5120,"thinking":{"budget_tokens":1024}}"#, 5_120)),
        );
    }

    #[test]
    fn what_goes_out_as_it_is_cannot_lengthen_an_answer() {
        let refused = |fields: &str| refuse_lengthening(&json::raw_fields(fields.as_bytes()).unwrap()).is_err();
        assert!(refused(r#"{"anthropic":{"max_tokens":9}}"#));
        assert!(refused(r#"{"gemini":{"generationConfig":{"maxOutputTokens":9}}}"#));
        assert!(refused(r#"{"gemini":{"generation_config":{"candidate_count":9}}}"#));
        assert!(refused(r#"{"bedrock":{"inferenceConfig":{"maxTokens":9}}}"#));
        assert!(!refused(r#"{"anthropic":{"top_k":9},"gemini":{"generationConfig":{"topK":1}}}"#));
    }
}
