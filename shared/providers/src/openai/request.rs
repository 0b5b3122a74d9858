//! The body of a request.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use turnwise_core::category::Category;
use turnwise_core::embedding;
use turnwise_core::generation::Generation;
use turnwise_core::json;

use super::keep::Kept;
use crate::call::Target;
use crate::catalogue::Quirks;
use crate::error::{Dispatched, Error};

/// `generation` as a chat completion request: its fields untouched but for those that
/// `refuses` names, our `model`, `stream` and, where the upstream takes it, a wish for
/// usage in the stream.
pub(super) fn body(
    target: &Target,
    generation: &Generation,
    streamed: bool,
    quirks: &Quirks,
    refuses: &[String],
) -> Result<Vec<u8>, Error> {
    let model = json::raw(&Value::from(generation.model.as_str()));
    let stream = json::raw(&Value::from(streamed));
    let usage = json::raw(&json!({"include_usage": true}));

    let kept = Kept::of(&generation.fields, refuses).fields;
    let mut body = renamed(kept.iter().map(|(name, value)| (*name, &**value)).collect(), quirks);
    body.insert("model", &model);
    body.insert("stream", &stream);
    if streamed && !quirks.refuses_stream_options {
        body.insert("stream_options", &usage);
    }
    written(target, &body)
}

/// `request` as an embeddings request: its fields untouched, our `model`.
pub(super) fn embedding(target: &Target, request: &embedding::Request, quirks: &Quirks) -> Result<Vec<u8>, Error> {
    let model = json::raw(&Value::from(request.model.as_str()));
    let fields = request.fields.iter().map(|(name, value)| (name.as_str(), &**value));
    let mut body = renamed(fields.collect(), quirks);
    body.insert("model", &model);
    written(target, &body)
}

/// `body` with its fields under the names that the upstream knows them by.
fn renamed<'a>(mut body: BTreeMap<&'a str, &'a RawValue>, quirks: &'a Quirks) -> BTreeMap<&'a str, &'a RawValue> {
    for (theirs, ours) in &quirks.renames {
        // A request that gives both keeps the upstream's own.
        if let Some(value) = body.remove(theirs.as_str()) {
            body.entry(ours).or_insert(value);
        }
    }
    body
}

fn written(target: &Target, body: &BTreeMap<&str, &RawValue>) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(body).map_err(|cause| {
        let message = format!("The request to {target} could not be written.");
        Error::new(target, Category::InternalError, "internal_error", message, Dispatched::No).with_source(cause)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::known;

    fn check(fields: &str, streamed: bool, quirks: &Quirks, expected: &str) {
        let target = Target { provider: "openai".to_owned(), model: "m".to_owned() };
        let fields = json::raw_fields(fields.as_bytes()).unwrap();
        let generation = Generation { model: "m\"1".to_owned(), fields };
        let body = body(&target, &generation, streamed, quirks, &[]).unwrap();
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    }

    #[test]
    fn fields_go_out_as_they_were_written() {
        check(
            r#"{"messages": [ {"content":"\u00fc", "role":"user"} ], "temperature": 1.0, "x_own": 1e400}"#,
            false,
            &Quirks::default(),
            r#"{"messages":[ {"content":"\u00fc", "role":"user"} ],"model":"m\"1","stream":false,"temperature":1.0,"x_own":1e400}"#,
        );
    }

    #[test]
    fn a_stream_is_asked_for_its_usage() {
        check(
            r#"{"messages":[]}"#,
            true,
            &Quirks::default(),
            r#"{"messages":[],"model":"m\"1","stream":true,"stream_options":{"include_usage":true}}"#,
        );
    }

    #[test]
    fn quirks_rename_and_leave_out() {
        let renames = [("max_completion_tokens".to_owned(), "max_tokens".to_owned())].into();
        let quirks = Quirks { refuses_stream_options: true, renames, ..Quirks::default() };
        check(
            r#"{"max_completion_tokens":5,"messages":[]}"#,
            true,
            &quirks,
            r#"{"max_tokens":5,"messages":[],"model":"m\"1","stream":true}"#,
        );
        check(
            r#"{"max_completion_tokens":5,"max_tokens":6,"messages":[]}"#,
            true,
            &quirks,
            r#"{"max_tokens":6,"messages":[],"model":"m\"1","stream":true}"#,
        );
    }

    #[test]
    fn a_request_for_embeddings_goes_out_as_it_was_written() {
        let target = Target { provider: "mistral".to_owned(), model: "m".to_owned() };
        let fields =
            json::raw_fields(br#"{"input": ["gr\u00fc\u00df", "b"], "dimensions": 5, "x_own": 1.50}"#).unwrap();
        let input = embedding::Input::Texts(vec!["grüß".to_owned(), "b".to_owned()]);
        let encoding = embedding::Encoding::Float;
        let request = embedding::Request { model: "m".to_owned(), input, dimensions: Some(5), encoding, fields };
        let check = |quirks: &Quirks, expected: &str| {
            let body = super::embedding(&target, &request, quirks).unwrap();
            assert_eq!(String::from_utf8(body).unwrap(), expected);
        };
        check(&Quirks::default(), r#"{"dimensions":5,"input":["gr\u00fc\u00df", "b"],"model":"m","x_own":1.50}"#);
        let mistral = known().iter().find(|known| known.name == "mistral").unwrap();
        check(&mistral.quirks, r#"{"input":["gr\u00fc\u00df", "b"],"model":"m","output_dimension":5,"x_own":1.50}"#);
    }
}
