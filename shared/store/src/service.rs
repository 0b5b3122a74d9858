//! Services of AWS that are asked for one thing only: a request that is written by hand, signed, and sent by the runtime
//! of the SDK, with its client, credentials, time-outs and retries. The generated client of such a service would be
//! compiled with all the hundreds of its other operations (`infra/decisions/secrets.md`).

use std::time::SystemTime;

use aws_config::{Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::metadata::{ErrorMetadata, ProvideErrorMetadata};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use serde_json::Value;

use crate::error::Error;

/// One service, in the region and with the credentials of the SDK.
#[derive(Debug)]
pub(crate) struct Service<'a> {
    sdk: &'a SdkConfig,
    /// As its hosts and the scope of its signatures have it: `ssm`.
    name: &'static str,
}

/// What a service is asked.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// What it does, for errors and logs.
    pub(crate) operation: &'static str,
    pub(crate) method: &'static str,
    /// From the slash on, encoded as it is sent.
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl<'a> Service<'a> {
    pub(crate) const fn new(sdk: &'a SdkConfig, name: &'static str) -> Self {
        Self { sdk, name }
    }

    /// The body of the answer.
    ///
    /// # Errors
    /// When there are no credentials, when no answer comes, and when it is a refusal.
    pub(crate) async fn send(&self, request: Request) -> Result<Vec<u8>, Error> {
        let operation = request.operation;
        let endpoint = self.endpoint();
        let signed = self.sign(&endpoint, &request).await.map_err(|error| Error::Refused {
            operation,
            reason: format!("the request could not be signed: {error}"),
        })?;
        let mut sending = Operation::builder()
            .service_name(self.name)
            .operation_name(operation)
            .endpoint_url(&endpoint)
            .no_auth()
            .standard_retry(&self.sdk.retry_config().cloned().unwrap_or_else(RetryConfig::standard))
            .retry_classifier(Passing)
            .timeout_config(self.sdk.timeout_config().cloned().unwrap_or_else(TimeoutConfig::disabled));
        if let Some(client) = self.sdk.http_client() {
            sending = sending.http_client(client);
        }
        if let Some(sleep) = self.sdk.sleep_impl() {
            sending = sending.sleep_impl(sleep);
        }
        if let Some(time) = self.sdk.time_source() {
            sending = sending.time_source(time);
        }
        let sending = sending.serializer(write).deserializer(read).build();
        sending.invoke(signed).await.map_err(|error| Error::from_sdk(operation, &error))
    }

    /// Where it is: the emulator's address, or the region's.
    fn endpoint(&self) -> String {
        if let Some(endpoint) = self.sdk.endpoint_url() {
            return endpoint.trim_end_matches('/').to_owned();
        }
        let region = self.region();
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        format!("https://{}.{region}.{suffix}", self.name)
    }

    fn region(&self) -> &str {
        self.sdk.region().map_or("us-east-1", Region::as_ref)
    }

    /// The request with the headers that prove who asks, good for some minutes: longer than all its tries.
    async fn sign(&self, endpoint: &str, request: &Request) -> Result<Request, BoxError> {
        let provider = self.sdk.credentials_provider().ok_or("there are no credentials")?;
        let identity = provider.provide_credentials().await?.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region())
            .name(self.name)
            .time(now())
            .settings(SigningSettings::default())
            .build()?
            .into();
        let url = format!("{endpoint}{}", request.path);
        let headers = request.headers.iter().map(|(name, value)| (*name, value.as_str()));
        let signable = SignableRequest::new(request.method, url, headers, SignableBody::Bytes(&request.body))?;
        let mut http = http::Request::new(());
        sign(signable, &params)?.into_parts().0.apply_to_request_http1x(&mut http);
        let mut signed = request.clone();
        for (name, value) in http.headers() {
            let name =
                SIGNATURE_HEADERS.into_iter().find(|known| name == known).ok_or("an unknown header of a signature")?;
            signed.headers.push((name, value.to_str()?.to_owned()));
        }
        Ok(signed)
    }
}

/// The headers that a signature adds.
const SIGNATURE_HEADERS: [&str; 4] = ["authorization", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"];

/// The time as AWS will judge it.
#[expect(
    clippy::disallowed_methods,
    reason = "a signature is of the moment it is sent in, whatever a test's clock says"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

fn write(request: Request) -> Result<HttpRequest, BoxError> {
    let mut http = HttpRequest::new(SdkBody::from(request.body));
    http.set_method(request.method)?;
    http.set_uri(request.path)?;
    for (name, value) in request.headers {
        http.headers_mut().insert(name, value);
    }
    Ok(http)
}

fn read(response: &HttpResponse) -> Result<Vec<u8>, OrchestratorError<Refusal>> {
    let body = response.body().bytes().unwrap_or_default();
    if response.status().is_success() {
        return Ok(body.to_vec());
    }
    Err(OrchestratorError::operation(Refusal::read(response.status().as_u16(), body)))
}

/// A service's answer that is none.
#[derive(Debug, thiserror::Error)]
#[error("status {status}: {metadata}")]
struct Refusal {
    status: u16,
    metadata: ErrorMetadata,
}

impl Refusal {
    /// Of the JSON protocols: `{"__type": "prefix#Code", "message": ...}`.
    fn read(status: u16, body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| body[name].as_str();
        let code = text("__type").or_else(|| text("code")).map(|code| code.rsplit('#').next().unwrap_or(code));
        let code = code.map_or_else(|| format!("status {status}"), str::to_owned);
        let message = text("message").or_else(|| text("Message")).unwrap_or("no message");
        Self { status, metadata: ErrorMetadata::builder().code(code).message(message).build() }
    }

    /// Whether the same request may be answered a little later.
    fn passes(&self) -> bool {
        let code = self.metadata.code().unwrap_or_default();
        self.status >= 500 || self.status == 429 || code.contains("Throttl") || code == "TooManyRequestsException"
    }
}

impl ProvideErrorMetadata for Refusal {
    fn meta(&self) -> &ErrorMetadata {
        &self.metadata
    }
}

/// Tries again what may pass.
#[derive(Debug)]
struct Passing;

impl ClassifyRetry for Passing {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(Err(error)) = context.output_or_error() else { return RetryAction::NoActionIndicated };
        if error.is_connector_error() || error.is_timeout_error() || error.is_response_error() {
            return RetryAction::transient_error();
        }
        let refusal = error.as_operation_error().and_then(|error| error.downcast_ref::<Refusal>());
        if refusal.is_some_and(Refusal::passes) {
            RetryAction::transient_error()
        } else {
            RetryAction::NoActionIndicated
        }
    }

    fn name(&self) -> &'static str {
        "turnwise: what passes"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_the_service_says() {
        let check = |status: u16, body: &str, code: &str, passes: bool| {
            let refusal = Refusal::read(status, body.as_bytes());
            assert_eq!((refusal.metadata.code(), refusal.passes()), (Some(code), passes), "{body}");
        };
        check(
            400,
            r#"{"__type":"com.amazonaws.ssm#ThrottlingException","message":"slow"}"#,
            "ThrottlingException",
            true,
        );
        check(400, r#"{"__type":"AccessDeniedException","Message":"no"}"#, "AccessDeniedException", false);
        check(499, "<html>", "status 499", false);
        check(500, "", "status 500", true);
        check(429, "{}", "status 429", true);
    }
}
