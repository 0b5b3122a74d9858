//! How many tokens a request is, counted by Anthropic.

use serde_json::Value;

use super::{Anthropic, request};
use crate::call::Call;
use crate::endpoint::{self, QUICK_TIMEOUT};
use crate::error::{self, Error};

/// Fields of a request that its length depends on; the others are refused here.
const COUNTED: [&str; 8] =
    ["model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control"];

/// Most of an answer's body that is read, in bytes: it holds one number.
const MAX_BYTES: usize = 64 * 1024;

impl Anthropic {
    /// See [`Provider::count`](crate::Provider::count).
    pub(crate) async fn count(&self, call: &Call) -> Result<u64, Error> {
        let target = self.endpoint.target(&call.generation.model);
        let written = request::write(&call.generation, false);
        let mut body = written.map_err(|faults| error::unsayable(&target, &faults))?.body;
        if let Value::Object(fields) = &mut body {
            fields.retain(|name, _| COUNTED.contains(&name.as_str()));
        }
        let body = body.to_string().into_bytes();
        let request = self.endpoint.post(&target, "/v1/messages/count_tokens", body, call.connect_timeout)?;
        let response = self.endpoint.send(&target, request.timeout(QUICK_TIMEOUT)).await?;
        let answer = endpoint::read(&target, response, MAX_BYTES).await?;
        let answer: Value = serde_json::from_slice(&answer)
            .map_err(|cause| error::malformed(&target, "is not JSON").with_source(cause))?;
        let tokens = answer.get("input_tokens").and_then(Value::as_u64);
        tokens.ok_or_else(|| error::malformed(&target, "has no number of tokens"))
    }
}
