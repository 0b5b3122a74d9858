//! Embeddings pass the same gate.

use super::*;

const EMBEDDINGS: &str = "/v1/embeddings";

#[tokio::test]
async fn embeddings_are_paid_for_by_the_same_budget() {
    let asked = json!({"model": "text-embedding-3-small", "input": "hello"});
    let app = with_grant(daily(10_000_000_000)).start().await;
    assert_eq!(app.post(EMBEDDINGS, &asked).await.status, 200);
    assert!(check_returned(&app.table).await > 0);

    let poor = with_grant(daily(1)).start().await;
    check_budget_refused(&poor.post(EMBEDDINGS, &asked).await, "this key's day");
    check_untouched(&poor).await;
    let free = json!({"model": "local/hash-embedding", "input": "hello"});
    assert_eq!(poor.post(EMBEDDINGS, &free).await.status, 200, "what costs nothing is let in");
}
