//! How many tokens a request is.

use serde_json::{Value, json};
use turnwise_core::fault::Faults;
use turnwise_core::generation::Generation;
use turnwise_core::limits::MAX_ANSWER_BYTES;

use super::{Gemini, RESOURCE, path, request};
use crate::call::{Call, Target};
use crate::endpoint::{self, QUICK_TIMEOUT};
use crate::error::{self, Error};

impl Gemini {
    /// See [`Provider::count`](crate::Provider::count).
    pub(crate) async fn count(&self, call: &Call) -> Result<u64, Error> {
        let target = self.endpoint.target(&call.generation.model);
        let body = body(&call.generation).map_err(|faults| error::unsayable(&target, &faults))?;
        let path = path(&target.model, "countTokens");
        let request = self.endpoint.post(&target, &path, body.to_string().into_bytes(), call.connect_timeout)?;
        let response = self.endpoint.send(&target, request.timeout(QUICK_TIMEOUT)).await?;
        tokens(&target, &endpoint::read(&target, response, MAX_ANSWER_BYTES).await?)
    }
}

/// The request to count `generation`: the one that would be sent, with its model in it.
fn body(generation: &Generation) -> Result<Value, Faults> {
    let mut written = request::write(generation)?.body;
    written["model"] = json!(format!("{RESOURCE}{}", generation.model));
    Ok(json!({ "generateContentRequest": written }))
}

/// The count in `answer`.
fn tokens(target: &Target, answer: &[u8]) -> Result<u64, Error> {
    let not_json = |cause| error::malformed(target, "is not JSON").with_source(cause);
    let answer: Value = serde_json::from_slice(answer).map_err(not_json)?;
    if error::is_error(&answer) {
        return Err(error::in_body(target, &answer));
    }
    answer["totalTokens"].as_u64().ok_or_else(|| error::malformed(target, "has no count of tokens"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemini::tests::{generation, target};

    #[test]
    fn what_would_be_sent_is_counted() {
        let fields = json!({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]});
        let expected = json!({"generateContentRequest": {
            "model": "models/gemini-2.5-pro",
            "systemInstruction": {"parts": [{"text": "s"}]},
            "contents": [{"role": "user", "parts": [{"text": "u"}]}]}});
        assert_eq!(body(&generation("gemini-2.5-pro", &fields)).unwrap(), expected);
        assert_eq!(
            body(&generation("gemini-2.5-pro", &json!({"messages": []}))).unwrap_err().first_field(),
            Some("messages")
        );
    }

    #[test]
    fn a_count_is_a_number() {
        assert_eq!(tokens(&target(), br#"{"totalTokens": 7, "cachedContentTokenCount": 3}"#).unwrap(), 7);
        for bad in ["", "7", "{}", r#"{"totalTokens": "7"}"#, r#"{"totalTokens": -1}"#] {
            assert_eq!(&*tokens(&target(), bad.as_bytes()).unwrap_err().code, "malformed_answer", "{bad}");
        }
        let refusal = tokens(&target(), br#"[{"error": {"code": 429}}]"#).unwrap_err();
        assert_eq!(&*refusal.code, "rate_limit_exceeded");
    }
}
