//! How probable an answer's tokens were: `logprobsResult` into OpenAI's `logprobs.content`.

use serde_json::{Value, json};

/// One entry for each token chosen, with the alternatives to it.
pub(super) fn read(result: &Value) -> Vec<Value> {
    let list = |name: &str| result.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let alternatives = list("topCandidates");
    let content = |(at, chosen): (usize, &Value)| {
        let mut entry = token(chosen)?;
        let alternatives = alternatives.get(at).and_then(|step| step.get("candidates")).and_then(Value::as_array);
        entry["top_logprobs"] = alternatives.into_iter().flatten().filter_map(token).collect();
        Some(entry)
    };
    list("chosenCandidates").iter().enumerate().filter_map(content).collect()
}

fn token(candidate: &Value) -> Option<Value> {
    let token = candidate.get("token").and_then(Value::as_str)?;
    let logprob = candidate.get("logProbability").and_then(Value::as_f64)?;
    Some(json!({"token": token, "logprob": logprob, "bytes": token.as_bytes()}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_has_its_alternatives() {
        let candidate = |token: &str, logprob: f64| json!({"token": token, "tokenId": 7, "logProbability": logprob});
        let result = json!({"chosenCandidates": [candidate("é", -0.5), candidate("b", -1.0)],
                            "topCandidates": [{"candidates": [candidate("é", -0.5), candidate("e", -2.0)]}]});
        let expected = json!([
            {"token": "é", "logprob": -0.5, "bytes": [195, 169], "top_logprobs": [
                {"token": "é", "logprob": -0.5, "bytes": [195, 169]}, {"token": "e", "logprob": -2.0, "bytes": [101]}]},
            {"token": "b", "logprob": -1.0, "bytes": [98], "top_logprobs": []}]);
        assert_eq!(Value::Array(read(&result)), expected);
    }

    #[test]
    fn anything_else_says_nothing() {
        for result in [json!(null), json!(7), json!({"chosenCandidates": [7, {"token": 7}], "topCandidates": "x"})] {
            assert!(read(&result).is_empty(), "{result}");
        }
    }
}
