//! The Parameter Store as a function asks it, against a server that says what it is asked and
//! answers as the real one does when it is in trouble. The emulated deployment has a whole one.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Json, Router, routing::post};
use serde_json::{Value, json};
use turnwise_store::client;
use turnwise_store::secrets::Secrets;

/// What was asked so far, and what is answered next.
#[derive(Clone)]
struct Told {
    asked: Arc<Mutex<Vec<Value>>>,
    answers: Arc<Mutex<Vec<(u16, Value)>>>,
}

async fn answer(State(told): State<Told>, headers: HeaderMap, body: String) -> (StatusCode, Json<Value>) {
    assert_eq!(headers["x-amz-target"], "AmazonSSM.GetParametersByPath");
    assert!(
        headers["authorization"].to_str().unwrap().contains("/local/ssm/aws4_request, SignedHeaders=content-type;")
    );
    told.asked.lock().unwrap().push(serde_json::from_str(&body).unwrap());
    let (status, answer) = told.answers.lock().unwrap().remove(0);
    (StatusCode::from_u16(status).unwrap(), Json(answer))
}

async fn read(answers: Vec<(u16, Value)>) -> (Result<Secrets, String>, Vec<Value>) {
    let told = Told { asked: Arc::default(), answers: Arc::new(Mutex::new(answers)) };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().route("/", post(answer)).with_state(told.clone());
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let secrets = Secrets::read(&client::local(&endpoint, None), "/turnwise/test").await;
    server.abort();
    let asked = told.asked.lock().unwrap().clone();
    (secrets.map_err(|error| error.to_string()), asked)
}

fn parameter(name: &str) -> Value {
    json!({"Name": format!("/turnwise/test/{name}"), "Type": "SecureString", "Value": format!("value of {name}")})
}

#[tokio::test]
async fn all_pages_are_read_and_what_passes_is_asked_again() {
    let answers = vec![
        (200, json!({"Parameters": [parameter("A")], "NextToken": "more"})),
        (400, json!({"__type": "ThrottlingException", "message": "Rate exceeded"})),
        (500, json!({"__type": "InternalServerError"})),
        (200, json!({"Parameters": [parameter("B")]})),
    ];
    let (secrets, asked) = read(answers).await;
    let secrets = secrets.unwrap();
    assert_eq!((secrets.get("A"), secrets.get("B")), (Some("value of A"), Some("value of B")));
    let first = json!({"Path": "/turnwise/test", "WithDecryption": true});
    let second = json!({"Path": "/turnwise/test", "WithDecryption": true, "NextToken": "more"});
    assert_eq!(asked, [first, second.clone(), second.clone(), second]);
}

#[tokio::test]
async fn a_refusal_is_told_once_and_in_the_services_words() {
    let refusal =
        json!({"__type": "AccessDeniedException", "Message": "not authorized to perform: ssm:GetParametersByPath"});
    let (secrets, asked) = read(vec![(400, refusal)]).await;
    assert_eq!(
        secrets.unwrap_err(),
        "the parameters under /turnwise/test could not be read: read_secrets: refused: AccessDeniedException: not \
         authorized to perform: ssm:GetParametersByPath"
    );
    assert_eq!(asked.len(), 1);
}

#[tokio::test]
async fn a_path_with_nothing_under_it_is_an_error() {
    let (secrets, _) = read(vec![(200, json!({"Parameters": []}))]).await;
    assert_eq!(secrets.unwrap_err(), "there is no parameter under /turnwise/test");
}

#[tokio::test]
async fn no_value_is_in_the_error_of_an_answer_that_cannot_be_read() {
    let (secrets, _) = read(vec![(200, json!({"Parameters": [{"Name": "A", "Value": ["sk-secret"]}]}))]).await;
    let error = secrets.unwrap_err();
    assert!(error.contains("the answer of the Parameter Store") && !error.contains("sk-secret"), "{error}");
}
