//! What a person reads who only uses the service.

use std::borrow::Cow;
use std::time::Duration;

use super::Profile;
use crate::time::Timestamp;

/// Longest value that stands in a text, in characters. A longer one, a field's path or a name
/// of a client's own, is for the developer, who has it in `message`.
const MAX_VALUE_CHARS: usize = 64;

/// End of the codes that name what there is none of.
const NOT_FOUND: &str = "_not_found";

/// What is known of one error. A text is chosen by what there is, and never shown half
/// filled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Details<'a> {
    /// `{field}`: the field at fault.
    pub field: Option<&'a str>,
    /// `{n}`: how long to wait before another try.
    pub wait: Option<Duration>,
    /// `{scope}`: whose limit it is.
    pub scope: Option<&'a str>,
    /// `{date}`: when the limit begins anew.
    pub resets: Option<Timestamp>,
    /// `{thing}`: what there is none of; the code says it where it ends in `_not_found`.
    pub thing: Option<&'a str>,
    /// `{id}`: the request, to be found in the log.
    pub request_id: Option<&'a str>,
}

impl Profile {
    /// The most exact text that `details` can fill.
    #[must_use]
    pub fn user_text(&self, details: &Details<'_>) -> String {
        let thing = details.thing.map(Cow::Borrowed).or_else(|| {
            let thing = self.code.strip_suffix(NOT_FOUND)?;
            Some(Cow::Owned(thing.replace('_', " ")))
        });
        let details = Details { thing: thing.as_deref(), ..*details };
        self.texts.iter().find_map(|text| fill(text, &details)).unwrap_or_default()
    }

    /// The text that holds whatever the details are.
    #[must_use]
    pub fn plain_text(&self) -> &'static str {
        self.texts.last().copied().unwrap_or_default()
    }
}

/// `text` with its placeholders filled, in one pass: a value with braces stays as it is.
/// `None` where a value is missing.
fn fill(text: &str, details: &Details<'_>) -> Option<String> {
    let (mut filled, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, behind)) = rest.split_once('{') {
        let (name, after) = behind.split_once('}')?;
        filled.push_str(before);
        filled.push_str(&details.value(name)?);
        rest = after;
    }
    filled.push_str(rest);
    Some(filled)
}

impl Details<'_> {
    fn value(&self, placeholder: &str) -> Option<String> {
        let value = match placeholder {
            "field" => self.field.map(str::to_owned),
            "n" => self.wait.filter(|wait| !wait.is_zero()).map(|wait| wait.as_millis().div_ceil(1000).to_string()),
            "scope" => self.scope.map(str::to_owned),
            "date" => self.resets.map(|resets| resets.to_string().chars().take("yyyy-mm-dd".len()).collect()),
            "thing" => self.thing.map(str::to_owned),
            "id" => self.request_id.map(str::to_owned),
            _ => None,
        };
        value.filter(|value| is_readable(value))
    }
}

fn is_readable(value: &str) -> bool {
    !value.is_empty() && value.chars().count() <= MAX_VALUE_CHARS && !value.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::super::{CODES, Category};
    use super::*;

    const NOTHING: Details<'_> =
        Details { field: None, wait: None, scope: None, resets: None, thing: None, request_id: None };

    fn check(category: Category, code: &str, details: Details<'_>, expected: &str) {
        assert_eq!(category.profile_of(code).user_text(&details), expected, "{code} {details:?}");
    }

    #[test]
    fn a_text_is_as_exact_as_what_is_known() {
        let field = |field| Details { field: Some(field), ..NOTHING };
        check(
            Category::ValidationError,
            "",
            field("messages[2].role"),
            "Something in the request isn't valid: messages[2].role.",
        );
        check(Category::ValidationError, "", NOTHING, "Something in the request isn't valid.");

        let wait = |ms| Details { wait: Some(Duration::from_millis(ms)), ..NOTHING };
        check(Category::RateLimitError, "", wait(1), "Too many requests. Try again in 1 s.");
        check(Category::RateLimitError, "", wait(1001), "Too many requests. Try again in 2 s.");
        check(Category::RateLimitError, "", wait(0), "Too many requests. Please try again in a moment.");
        check(Category::RateLimitError, "", NOTHING, "Too many requests. Please try again in a moment.");

        // 2026-11-21T10:00:00Z
        let resets = Some(Timestamp(1_795_255_200_000));
        let scope = Some("this month");
        check(
            Category::CostLimitError,
            "",
            Details { resets, scope, ..NOTHING },
            "The spending limit for this month is reached; it resets on 2026-11-21.",
        );
        check(
            Category::CostLimitError,
            "",
            Details { scope, ..NOTHING },
            "The spending limit for this month is reached.",
        );
        check(
            Category::CostLimitError,
            "",
            Details { resets, ..NOTHING },
            "The spending limit is reached; it resets on 2026-11-21.",
        );
        check(Category::CostLimitError, "", NOTHING, "The spending limit is reached.");

        let id = Details { request_id: Some("req_1"), ..NOTHING };
        check(Category::InternalError, "", id, "Something went wrong on our side. Reference: req_1.");
        check(Category::InternalError, "", NOTHING, "Something went wrong on our side.");
    }

    #[test]
    fn a_code_says_what_there_is_none_of() {
        check(
            Category::NotFoundError,
            "previous_response_not_found",
            NOTHING,
            "We couldn't find the previous response.",
        );
        check(
            Category::NotFoundError,
            "turn_not_found",
            Details { thing: Some("answer"), ..NOTHING },
            "We couldn't find the answer.",
        );
        check(Category::NotFoundError, "not_found", NOTHING, "We couldn't find that.");
        check(Category::NotFoundError, "turn_gone", NOTHING, "This answer is no longer kept.");
    }

    #[test]
    fn the_operators_trouble_is_not_blamed_on_the_user() {
        let misconfigured = "The service is misconfigured; its operator has been told.";
        check(Category::AuthenticationError, "provider_auth_failed", NOTHING, misconfigured);
        check(Category::AuthenticationError, "invalid_api_key", NOTHING, "Your API key wasn't accepted.");
    }

    #[test]
    fn a_value_is_shown_as_it_is_or_not_at_all() {
        let plain = "Something in the request isn't valid.";
        let long = "x".repeat(MAX_VALUE_CHARS + 1);
        for field in ["", "a\nb", &long] {
            check(Category::ValidationError, "", Details { field: Some(field), ..NOTHING }, plain);
        }
        let longest = &long[1..];
        let filled = format!("Something in the request isn't valid: {longest}.");
        check(Category::ValidationError, "", Details { field: Some(longest), ..NOTHING }, &filled);
        let braces = Details { field: Some("{id}"), request_id: Some("req_1"), ..NOTHING };
        check(Category::ValidationError, "", braces, "Something in the request isn't valid: {id}.");
    }

    #[test]
    fn every_row_has_a_sentence_that_needs_nothing() {
        let known = Details {
            field: Some("f"),
            wait: Some(Duration::from_secs(1)),
            scope: Some("s"),
            resets: Some(Timestamp(1)),
            thing: Some("t"),
            request_id: Some("i"),
        };
        let rows = Category::ALL.map(Category::profile);
        for row in rows.iter().chain(CODES) {
            for text in [row.user_text(&NOTHING).as_str(), &row.user_text(&known), row.plain_text()] {
                let ends = text.ends_with('.') && text.starts_with(char::is_uppercase);
                assert!(ends && !text.contains(['{', '}']), "{}: {text:?}", row.code);
            }
            for text in row.texts {
                assert!(fill(text, &known).is_some(), "{}: a placeholder is unknown: {text:?}", row.code);
            }
        }
    }
}
