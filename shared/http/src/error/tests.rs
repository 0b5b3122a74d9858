use turnwise_core::fault::Fault;
use turnwise_engine::Error as Engine;

use super::*;

/// Errors that no test brings about over HTTP, or only with a table that fails.
fn rare() -> Vec<Error> {
    let retry_after = Duration::from_secs(1);
    let key = || "c:t".to_owned();
    let store = |error: turnwise_engine::StoreError| Error::Engine(Engine::Store(error));
    vec![
        Error::Invalid(Fault::new("f", "m").into()),
        Error::Stream(StreamEnd::TakenOver),
        Error::Stream(StreamEnd::Incomplete),
        Error::Stream(StreamEnd::HandedOver),
        Error::NotReady("w".to_owned()),
        Engine::KeyReused.into(),
        Engine::WrongNumber { asserted: 1, actual: 2 }.into(),
        Engine::ConversationBusy { retry_after }.into(),
        Engine::StillRunning { key: key(), retry_after }.into(),
        Engine::Queued { key: key() }.into(),
        Engine::QueueFull { retry_after }.into(),
        Engine::TurnEnded { key: key(), state: "COMPLETED" }.into(),
        Engine::WorkInProgress { key: key(), retry_after }.into(),
        Engine::NotHeld { conversation: key() }.into(),
        Engine::ConversationErased.into(),
        Engine::Gone.into(),
        Engine::NotFound { what: "item", name: key() }.into(),
        store(turnwise_engine::StoreError::Conflict { operation: "o" }),
        store(turnwise_engine::StoreError::Overloaded { operation: "o", reason: key() }),
    ]
}

#[test]
fn an_answer_says_what_the_table_says() {
    for error in rare() {
        let answer = error.answer();
        let (category, code) = (answer.body.category, answer.body.code.clone());
        let row = category.profile_of(&code);
        assert_eq!(row.code, code, "{category} has no such code");
        assert_eq!(answer.status.as_u16(), row.status, "{code}");
        assert_eq!(answer.body.retryable, row.retry.may_help(), "{code}");
        let object = error.object("req_1");
        assert_eq!((object.severity, object.request_id.as_str()), (row.severity, "req_1"));
        assert!(object.user_message.ends_with('.'), "{code}: {}", object.user_message);
    }
}

#[test]
fn clients_are_told_not_to_repeat_what_would_fail_again() {
    let check = |error: Engine, expected: Option<&str>| {
        let text = error.to_string();
        let response = Error::from(error).into_response();
        let header = response.headers().get(SHOULD_RETRY).map(|value| value.to_str().unwrap_or_default());
        assert_eq!(header, expected, "{text}");
    };
    // 409, which they repeat by themselves.
    check(Engine::TurnEnded { key: "c:t".to_owned(), state: "COMPLETED" }, Some("false"));
    check(Engine::ConversationBusy { retry_after: Duration::from_secs(1) }, None);
    // 500
    let refused = turnwise_engine::StoreError::Refused { operation: "o", reason: "r".to_owned() };
    check(Engine::Store(refused), Some("false"));
    // 404, which they do not.
    check(Engine::NotFound { what: "turn", name: "c:t".to_owned() }, None);
}

#[test]
fn the_gateways_own_refusals_have_the_fields_and_texts_of_ours() {
    const REQUEST_ID: &str = "$context.requestId";
    let template = include_str!("../../../../template.yaml");
    let refusals: Vec<_> = template.lines().map(str::trim).filter(|line| line.starts_with(r#"{"error":"#)).collect();
    assert_eq!(refusals.len(), 6);
    for line in refusals {
        // The gateway puts a string in quotation marks here.
        let line = line.replace("$context.error.messageString", r#""Invalid request body""#);
        let body: serde_json::Value = serde_json::from_str(&line).unwrap();
        let theirs = &body["error"];
        let category: Category = serde_json::from_value(theirs["category"].clone()).unwrap();
        let code = theirs["code"].as_str().unwrap();
        let row = category.profile_of(code);

        let mut ours = Answer::new(category, theirs["message"].as_str().unwrap()).code(code).body;
        ours.kind = row.kind.to_owned();
        ours.retryable = row.retry.may_help();
        // What only the gateway knows.
        ours.param = theirs["param"].as_str().map(str::to_owned);
        ours.retry_after_s = theirs["retry_after_s"].as_f64();
        ours.complete(REQUEST_ID);
        assert_eq!(*theirs, serde_json::to_value(ours).unwrap(), "{code}");
    }
}
