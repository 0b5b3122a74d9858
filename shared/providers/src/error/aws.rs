//! What Amazon's services say when they do not answer: an exception's name, in the header
//! `x-amzn-errortype`, in the body's `__type` or in a frame of a stream.

use reqwest::header::HeaderMap;
use serde_json::Value;
use turnwise_core::category::Category;

/// The header that names an exception.
const ERROR_TYPE: &str = "x-amzn-errortype";

/// What Bedrock's models say about a prompt that is longer than their context, each in its
/// own words; in lower case.
const TOO_LONG: [&str; 6] = [
    "input is too long",
    "prompt is too long",
    "too many input tokens",
    "maximum context length",
    "exceed context limit",
    "exceeds the maximum number of tokens",
];

/// The name of the exception that an answer with these `headers` and this `body` is.
pub(super) fn name(headers: &HeaderMap, body: &Value) -> Option<String> {
    let header = headers.get(ERROR_TYPE).and_then(|value| value.to_str().ok());
    header.or_else(|| body.get("__type").and_then(Value::as_str)).map(|name| plain(name).to_owned())
}

/// Category and code of the exception `name`; `None` for one that says no more than its
/// status.
pub(super) fn judged(name: &str, message: &str) -> Option<(Category, &'static str)> {
    let name = plain(name).to_ascii_lowercase();
    let message = message.to_ascii_lowercase();
    let kind = name.strip_suffix("exception").unwrap_or(&name);
    Some(match kind {
        "throttling" | "throttled" | "toomanyrequests" | "servicequotaexceeded" | "requestlimitexceeded" => {
            (Category::RateLimitError, "rate_limit_exceeded")
        }
        "modelnotready" | "modelerror" | "modelstreamerror" | "internalserver" | "internalfailure"
        | "serviceunavailable" => (Category::ApiError, "upstream_error"),
        "modeltimeout" | "requesttimeout" => (Category::TimeoutError, "timeout"),
        "unrecognizedclient"
        | "invalidclienttokenid"
        | "expiredtoken"
        | "requestexpired"
        | "invalidsignature"
        | "signaturedoesnotmatch"
        | "incompletesignature"
        | "missingauthenticationtoken" => (Category::AuthenticationError, "provider_auth_failed"),
        "accessdenied" | "notauthorized" | "optinrequired" | "ftuformnotfilled" => {
            (Category::AuthorizationError, "provider_access_denied")
        }
        "resourcenotfound" => (Category::NotFoundError, "model_not_found"),
        "validation" if TOO_LONG.iter().any(|words| message.contains(words)) => {
            (Category::ValidationError, "context_length_exceeded")
        }
        "validation" if message.contains("model identifier is invalid") => (Category::NotFoundError, "model_not_found"),
        "validation" => (Category::ValidationError, "invalid_request"),
        _ => return None,
    })
}

/// The bare name in `com.amazon.coral#ThrottlingException:http://..`.
fn plain(name: &str) -> &str {
    let name = name.split(':').next().unwrap_or(name);
    name.rsplit('#').next().unwrap_or(name).trim()
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;
    use serde_json::json;

    use super::*;
    use crate::call::Target;
    use crate::error::{Dispatched, Error, exception, refused};

    fn target() -> Target {
        Target { provider: "bedrock".to_owned(), model: "m".to_owned() }
    }

    fn refusal(status: u16, name: &'static str, message: &str) -> Error {
        let headers = HeaderMap::from_iter([(ERROR_TYPE.parse().unwrap(), HeaderValue::from_static(name))]);
        refused(&target(), status, &headers, json!({ "message": message }).to_string().as_bytes())
    }

    #[test]
    fn every_exception_has_its_category() {
        use Category::*;
        use Dispatched::*;
        let rows = [
            (429, "ThrottlingException", RateLimitError, "rate_limit_exceeded", true, No),
            (400, "ServiceQuotaExceededException", RateLimitError, "rate_limit_exceeded", true, No),
            (429, "ModelNotReadyException", ApiError, "upstream_error", true, No),
            (408, "ModelTimeoutException", TimeoutError, "timeout", true, Maybe),
            (424, "ModelErrorException", ApiError, "upstream_error", true, Maybe),
            (424, "ModelStreamErrorException", ApiError, "upstream_error", true, Maybe),
            (403, "AccessDeniedException", AuthorizationError, "provider_access_denied", false, No),
            (404, "FTUFormNotFilled", AuthorizationError, "provider_access_denied", false, No),
            (400, "ValidationException", ValidationError, "invalid_request", false, No),
            (404, "ResourceNotFoundException", NotFoundError, "model_not_found", false, No),
            (503, "ServiceUnavailableException", ApiError, "upstream_error", true, No),
            (500, "InternalServerException", ApiError, "upstream_error", true, Maybe),
            (403, "UnrecognizedClientException", AuthenticationError, "provider_auth_failed", false, No),
            (403, "ExpiredTokenException", AuthenticationError, "provider_auth_failed", false, No),
            (400, "ExpiredToken", AuthenticationError, "provider_auth_failed", false, No),
            (
                403,
                "InvalidSignatureException:http://internal.amazon.com/",
                AuthenticationError,
                "provider_auth_failed",
                false,
                No,
            ),
            (418, "SomethingNewException", ValidationError, "invalid_request", false, No),
        ];
        for (status, name, category, code, retryable, dispatched) in rows {
            let error = refusal(status, name, "no");
            let seen = (error.category, &*error.code, error.retryable, error.dispatched);
            assert_eq!(seen, (category, code, retryable, dispatched), "{name}");
        }
    }

    #[test]
    fn a_prompt_that_is_too_long_is_told_apart() {
        let rows = [
            ("Input is too long for requested model.", "context_length_exceeded"),
            (
                "The model returned the following errors: prompt is too long: 200049 tokens > 200000 maximum",
                "context_length_exceeded",
            ),
            ("Malformed input request", "invalid_request"),
            ("The provided model identifier is invalid.", "model_not_found"),
        ];
        for (message, code) in rows {
            assert_eq!(&*refusal(400, "ValidationException", message).code, code, "{message}");
        }
    }

    #[test]
    fn an_exception_is_named_in_the_body_where_no_header_is() {
        let body = json!({"__type": "com.amazon.coral.service#ExpiredTokenException", "Message": "expired"});
        let error = refused(&target(), 400, &HeaderMap::new(), body.to_string().as_bytes());
        assert_eq!((error.category, &*error.code), (Category::AuthenticationError, "provider_auth_failed"));
    }

    #[test]
    fn an_exception_in_a_stream_may_have_run() {
        let rows = [
            ("throttlingException", Category::RateLimitError),
            ("modelStreamErrorException", Category::ApiError),
            ("internalServerException", Category::ApiError),
            ("serviceUnavailableException", Category::ApiError),
            ("validationException", Category::ValidationError),
            ("modelTimeoutException", Category::TimeoutError),
            ("newException", Category::ApiError),
        ];
        for (name, category) in rows {
            let error = exception(&target(), name, &json!({"message": "my diary"}));
            assert_eq!((error.category, error.dispatched), (category, Dispatched::Maybe), "{name}");
            assert!(!format!("{error:?} {error}").contains("diary"), "{name}");
        }
    }

    #[test]
    fn a_model_that_is_not_ours_to_use_is_our_operators_trouble() {
        let error = refusal(403, "AccessDeniedException", "User: arn:aws:iam::1:user/x is not authorized");
        assert_eq!(error.to_string(), "bedrock/m answered with HTTP 403: it does not let us use this model.");
        assert!(error.detail.is_none());
    }
}
