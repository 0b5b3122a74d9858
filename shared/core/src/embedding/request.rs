//! What is asked, read strictly.

use serde_json::{Map, Value};

use super::vector::Encoding;
use crate::fault::{Fault, Faults};
use crate::json::{RawMap, kind_of};
use crate::limits::{MAX_EMBEDDED_BYTES, MAX_EMBEDDED_INPUTS, MAX_EMBEDDED_TOKENS};
use crate::tokens::estimate_tokens;
use crate::usage::{Source, Usage};

/// The name that would leave the choice of the model to us.
const AUTO: &str = "auto";

/// Tokens that a tokenizer puts around a text: BERT's two.
const MARKS_AROUND_TEXT: usize = 2;

/// One request for embeddings.
#[derive(Debug, Clone)]
pub struct Request {
    /// The model: as the client names it, then as its provider does.
    pub model: String,
    /// What is embedded.
    pub input: Input,
    /// How long the vectors are to be; `None` leaves it to the model.
    pub dimensions: Option<u64>,
    /// How the client wants them written.
    pub encoding: Encoding,
    /// Everything as the client wrote it, but for `model`.
    pub fields: RawMap,
}

/// What is embedded: at least one input, none of them empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Texts.
    Texts(Vec<String>),
    /// Token ids of the model's own tokenizer.
    Tokens(Vec<Vec<u32>>),
}

impl Input {
    /// How many vectors it becomes.
    #[must_use]
    pub fn count(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Tokens(lists) => lists.len(),
        }
    }

    /// What it takes at most: no text has more tokens than bytes, but for the marks that
    /// tokenizers put around each.
    #[must_use]
    pub fn most_tokens(&self) -> u64 {
        let bytes = match self {
            Self::Texts(texts) => texts.iter().map(String::len).sum(),
            Self::Tokens(lists) => lists.iter().map(Vec::len).sum::<usize>(),
        };
        let marks = MARKS_AROUND_TEXT * self.count();
        u64::try_from(bytes + marks).unwrap_or(u64::MAX)
    }

    /// About what it takes, where the provider does not say.
    #[must_use]
    pub fn estimate(&self) -> Usage {
        let input = match self {
            Self::Texts(texts) => texts.iter().map(|text| estimate_tokens(text)).sum(),
            Self::Tokens(lists) => lists.iter().map(|list| u64::try_from(list.len()).unwrap_or(u64::MAX)).sum(),
        };
        Usage { input, ..Usage::estimate("", "") }
    }
}

/// The usage of an embedding of `tokens` tokens, as its provider reports it.
#[must_use]
pub fn reported(tokens: u64) -> Usage {
    Usage { input: tokens, source: Source::Reported, ..Usage::estimate("", "") }
}

impl Request {
    /// Reads the fields of a body, parsed and as they were written.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn read(fields: &Map<String, Value>, mut raw: RawMap) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let model = faults.keep(read_model(fields.get("model")));
        let input = read_input(fields.get("input"), &mut faults);
        let dimensions = faults.keep(read_dimensions(fields.get("dimensions")));
        let encoding = faults.keep(read_encoding(fields.get("encoding_format")));
        if let Some(other) = fields.get("user").filter(|user| !user.is_null() && !user.is_string()) {
            faults.add("user", expected("a string", other));
        }
        raw.remove("model");
        match (model, input, dimensions, encoding) {
            (Some(model), Some(input), Some(dimensions), Some(encoding)) if faults.0.is_empty() => {
                Ok(Self { model, input, dimensions, encoding, fields: raw })
            }
            _ => Err(faults),
        }
    }
}

fn read_model(model: Option<&Value>) -> Result<String, Fault> {
    let fault = |message: &str| Err(Fault::new("model", message));
    match model {
        None | Some(Value::Null) => fault("A model is required."),
        Some(Value::String(name)) if name.trim().is_empty() => fault("The model must not be empty."),
        Some(Value::String(name)) if name == AUTO || name.starts_with("auto:") => {
            fault("A model is required: vectors of different models cannot be compared, so that none is chosen here.")
        }
        Some(Value::String(name)) => Ok(name.clone()),
        Some(other) => Err(Fault::new("model", expected("a string", other))),
    }
}

fn read_dimensions(dimensions: Option<&Value>) -> Result<Option<u64>, Fault> {
    let Some(value) = dimensions.filter(|value| !value.is_null()) else { return Ok(None) };
    let given = value.as_u64().filter(|dimensions| *dimensions > 0);
    let shown = if value.is_number() { value.to_string() } else { kind_of(value).to_owned() };
    let fault = || Fault::new("dimensions", format!("Expected a whole number, 1 or more, got {shown}."));
    given.map(Some).ok_or_else(fault)
}

fn read_encoding(format: Option<&Value>) -> Result<Encoding, Fault> {
    let Some(value) = format.filter(|value| !value.is_null()) else { return Ok(Encoding::default()) };
    let known = Encoding::ALL.into_iter().find(|encoding| value == encoding.name());
    let shown = value.as_str().map_or_else(|| kind_of(value).to_owned(), |name| format!("{name:?}"));
    known.ok_or_else(|| Fault::new("encoding_format", format!("Expected float or base64, got {shown}.")))
}

/// The input, or faults for all of it that is none.
fn read_input(input: Option<&Value>, faults: &mut Faults) -> Option<Input> {
    let Some(value) = input.filter(|value| !value.is_null()) else {
        faults.add("input", "An input is required.");
        return None;
    };
    let inputs = match value {
        Value::String(text) => return faults.keep(read_text("input", text)).map(|text| Input::Texts(vec![text])),
        Value::Array(inputs) => inputs,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            faults.add("input", expected("a string or an array", value));
            return None;
        }
    };
    match inputs.first() {
        None => {
            faults.add("input", "At least one input is required.");
            None
        }
        Some(Value::Number(_)) => faults.keep(read_tokens("input", inputs)).map(|list| Input::Tokens(vec![list])),
        // Before any of them is looked at: there may be as many faults as inputs.
        Some(_) if inputs.len() > MAX_EMBEDDED_INPUTS => {
            faults.add("input", format!("At most {MAX_EMBEDDED_INPUTS} inputs, got {}.", inputs.len()));
            None
        }
        Some(Value::Array(_)) => {
            let kind = "an array of token ids, as the first input is one";
            read_each(inputs, faults, |place, input| read_tokens(place, typed(place, kind, input, input.as_array())?))
                .map(Input::Tokens)
        }
        Some(Value::String(_)) => {
            let kind = "a string, as the first input is one";
            read_each(inputs, faults, |place, input| read_text(place, typed(place, kind, input, input.as_str())?))
                .map(Input::Texts)
        }
        Some(other @ (Value::Null | Value::Bool(_) | Value::Object(_))) => {
            faults.add("input[0]", expected("a string, a token id or an array of token ids", other));
            None
        }
    }
}

/// All of `inputs`, or a fault for each that is none.
fn read_each<T>(
    inputs: &[Value],
    faults: &mut Faults,
    read: impl Fn(&str, &Value) -> Result<T, Fault>,
) -> Option<Vec<T>> {
    let read = inputs.iter().enumerate().map(|(index, input)| faults.keep(read(&format!("input[{index}]"), input)));
    // Collected twice, so that the first fault does not hide the others.
    let read: Vec<Option<T>> = read.collect();
    read.into_iter().collect()
}

/// What was read of `input`, or a fault that says what it should be.
fn typed<T>(place: &str, kind: &str, input: &Value, read: Option<T>) -> Result<T, Fault> {
    read.ok_or_else(|| Fault::new(place, expected(kind, input)))
}

fn read_text(place: &str, text: &str) -> Result<String, Fault> {
    if text.is_empty() {
        return Err(Fault::new(place, "The text must not be empty."));
    }
    if text.len() > MAX_EMBEDDED_BYTES {
        let message = format!("The text has at most {MAX_EMBEDDED_BYTES} bytes, got {}.", text.len());
        return Err(Fault::new(place, message));
    }
    Ok(text.to_owned())
}

/// The token ids of one input, or a fault for the first of them that is none.
fn read_tokens(place: &str, list: &[Value]) -> Result<Vec<u32>, Fault> {
    if list.is_empty() {
        return Err(Fault::new(place, "At least one token id is required."));
    }
    if list.len() > MAX_EMBEDDED_TOKENS {
        let message = format!("An input has at most {MAX_EMBEDDED_TOKENS} token ids, got {}.", list.len());
        return Err(Fault::new(place, message));
    }
    let id = |(index, value): (usize, &Value)| {
        let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
        let shown = if value.is_number() { value.to_string() } else { kind_of(value).to_owned() };
        let fault = || format!("Expected a token id, a whole number from 0 to {}, got {shown}.", u32::MAX);
        id.ok_or_else(|| Fault::new(format!("{place}[{index}]"), fault()))
    };
    list.iter().enumerate().map(id).collect()
}

fn expected(kind: &str, got: &Value) -> String {
    format!("Expected {kind}, got {}.", kind_of(got))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::json::raw_fields;

    fn read(body: &Value) -> Result<Request, Faults> {
        Request::read(body.as_object().unwrap(), raw_fields(body.to_string().as_bytes()).unwrap())
    }

    fn check_input(input: Value, expected: &Result<Input, &[&str]>) {
        let request = read(&json!({"model": "m", "input": input}));
        let seen = request
            .map(|request| request.input)
            .map_err(|faults| faults.0.into_iter().map(|fault| fault.field).collect::<Vec<_>>());
        match (&seen, expected) {
            (Ok(seen), Ok(expected)) => assert_eq!(seen, expected),
            (Err(seen), Err(expected)) => assert_eq!(seen, expected),
            (seen, expected) => panic!("{seen:?} is not {expected:?}"),
        }
    }

    #[test]
    fn an_input_has_one_of_four_forms() {
        let texts = |texts: &[&str]| Ok(Input::Texts(texts.iter().map(|text| (*text).to_owned()).collect()));
        check_input(json!("a"), &texts(&["a"]));
        check_input(json!(" "), &texts(&[" "]));
        check_input(json!(["a", "b"]), &texts(&["a", "b"]));
        check_input(json!([1, 0, u32::MAX]), &Ok(Input::Tokens(vec![vec![1, 0, u32::MAX]])));
        check_input(json!([[1], [2, 3]]), &Ok(Input::Tokens(vec![vec![1], vec![2, 3]])));
    }

    #[test]
    fn every_faulty_input_is_named_by_its_place() {
        for none in [json!(null), json!(1), json!({}), json!(true), json!([]), json!("")] {
            check_input(none, &Err(&["input"]));
        }
        for none in [json!([null]), json!([{}, "a"]), json!([true])] {
            check_input(none, &Err(&["input[0]"]));
        }
        check_input(json!(["a", "", 1, "b", ["c"]]), &Err(&["input[1]", "input[2]", "input[4]"]));
        check_input(
            json!([[1], [], "a", [2, -1, -2], [1.5]]),
            &Err(&["input[1]", "input[2]", "input[3][1]", "input[4][0]"]),
        );
        check_input(json!([1, "a", null]), &Err(&["input[1]"]));
        check_input(json!([u64::from(u32::MAX) + 1]), &Err(&["input[0]"]));
    }

    #[test]
    fn an_input_is_so_long_and_no_longer() {
        let fits = |input: Value| read(&json!({"model": "m", "input": input})).is_ok();
        assert!(fits(json!("a".repeat(MAX_EMBEDDED_BYTES))));
        check_input(json!(["a", "a".repeat(MAX_EMBEDDED_BYTES + 1)]), &Err(&["input[1]"]));
        assert!(fits(json!(vec![7; MAX_EMBEDDED_TOKENS])));
        check_input(json!(vec![7; MAX_EMBEDDED_TOKENS + 1]), &Err(&["input"]));
        assert!(fits(json!(vec!["a"; MAX_EMBEDDED_INPUTS])));
        check_input(json!(vec![""; MAX_EMBEDDED_INPUTS + 1]), &Err(&["input"]));
        check_input(json!(vec![[1]; MAX_EMBEDDED_INPUTS + 1]), &Err(&["input"]));
    }

    #[test]
    fn all_faults_are_listed_at_once() {
        let body = json!({"input": ["", ""], "dimensions": 0, "encoding_format": "int8", "user": 7});
        let fields: Vec<String> = read(&body).unwrap_err().0.into_iter().map(|fault| fault.field).collect();
        assert_eq!(fields, ["model", "input[0]", "input[1]", "dimensions", "encoding_format", "user"]);
    }

    #[test]
    fn a_model_must_be_named() {
        for model in [json!(null), json!(""), json!(" "), json!(7), json!("auto"), json!("auto:cheapest")] {
            let faults = read(&json!({"model": model, "input": "a"})).unwrap_err();
            assert_eq!(faults.first_field(), Some("model"), "{model}");
        }
    }

    #[test]
    fn nothing_given_is_the_usual() {
        let request = read(&json!({"model": "m", "input": "a", "dimensions": null, "encoding_format": null})).unwrap();
        assert_eq!((request.dimensions, request.encoding), (None, Encoding::Float));
        let request = read(&json!({"model": "m", "input": "a", "dimensions": 5, "encoding_format": "base64"})).unwrap();
        assert_eq!((request.dimensions, request.encoding), (Some(5), Encoding::Base64));
    }

    #[test]
    fn everything_but_the_model_is_kept_as_it_was_written() {
        let text = r#"{"model": "m", "input": "gr\u00fc\u00df", "x_own": 1.50}"#;
        let fields = crate::json::parse(text.as_bytes()).unwrap();
        let request = Request::read(fields.as_object().unwrap(), raw_fields(text.as_bytes()).unwrap()).unwrap();
        let kept: Vec<(&str, &str)> = request.fields.iter().map(|(name, raw)| (name.as_str(), raw.get())).collect();
        assert_eq!(kept, [("input", r#""gr\u00fc\u00df""#), ("x_own", "1.50")]);
    }

    #[test]
    fn tokens_are_counted_and_texts_estimated() {
        let check = |input: Value, tokens| {
            let usage = read(&json!({"model": "m", "input": input})).unwrap().input.estimate();
            assert_eq!((usage.input, usage.total_output(), usage.source), (tokens, 0, Source::Estimated));
        };
        check(json!("abcde"), 3);
        check(json!(["abcde", "a"]), 4);
        check(json!([1, 2, 3]), 3);
        check(json!([[1, 2, 3], [4]]), 4);
    }
}
