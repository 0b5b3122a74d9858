//! Where a model answers.

use std::fmt::Write as _;

/// What is asked of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Converse,
    ConverseStream,
    CountTokens,
}

/// The path of `operation` for `model`, an id or an ARN; `None` if there can be no such model:
/// a path of dots would lead elsewhere.
pub(super) fn path(model: &str, operation: Operation) -> Option<String> {
    if matches!(model, "" | "." | "..") {
        return None;
    }
    let last = match operation {
        Operation::Converse => "converse",
        Operation::ConverseStream => "converse-stream",
        Operation::CountTokens => "count-tokens",
    };
    Some(format!("/model/{}/{last}", encoded(model)))
}

/// `text` as one segment of a path: everything but RFC 3986's unreserved characters is
/// encoded, also what a URL would take as it is, since the signature is over this form.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut path, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(path, "%{byte:02X}");
        }
        path
    })
}

#[cfg(test)]
mod tests {
    use reqwest::Url;

    use super::*;

    fn check(model: &str, expected: &str) {
        let path = path(model, Operation::Converse).unwrap();
        assert_eq!(path, expected);
        // The HTTP client sends it as it is.
        assert_eq!(Url::parse(&format!("https://host{path}")).unwrap().path(), expected);
    }

    #[test]
    fn ids_and_arns_are_one_segment() {
        check("amazon.nova-micro-v1:0", "/model/amazon.nova-micro-v1%3A0/converse");
        check(
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.x-v1:0",
            "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.x-v1%3A0/converse",
        );
        check("a b?c#d%2e/../é", "/model/a%20b%3Fc%23d%252e%2F..%2F%C3%A9/converse");
        check("...", "/model/.../converse");
    }

    #[test]
    fn a_name_of_dots_is_no_model() {
        for model in ["", ".", ".."] {
            assert_eq!(path(model, Operation::Converse), None);
        }
        assert_eq!(path("m", Operation::ConverseStream).unwrap(), "/model/m/converse-stream");
        assert_eq!(path("m", Operation::CountTokens).unwrap(), "/model/m/count-tokens");
    }
}
