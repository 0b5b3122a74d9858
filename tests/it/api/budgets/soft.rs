//! From the soft limit on the cheaper model answers; the hard one refuses everything.

use turnwise_core::access::Budget;

use super::*;

#[tokio::test]
async fn a_soft_limit_has_the_cheaper_model_answer() {
    let dear = worst_of("gpt-4.1", "hello");
    let spent_by_one = {
        let price = Catalogue::shipped().get("openai", "gpt-4.1").unwrap().price;
        10 * price.input + 4 * price.output
    };
    // Half of it is spent by one answer.
    let budget = Budget {
        daily: Some(PicoUsd((2 * spent_by_one).max(dear))),
        soft_percent: Some(1),
        downgrade_to: Some("openai/gpt-4o-mini".to_owned()),
        ..Budget::default()
    };
    let app = with_grant(Grant { budget, ..Grant::default() }).start().await;
    let asked = with(asking("hello"), "model", "gpt-4.1");
    for (n, expected) in ["openai/gpt-4.1", "openai/gpt-4o-mini", "openai/gpt-4o-mini"].into_iter().enumerate() {
        let key = format!("s{n}:1");
        let headers = [("idempotency-key", key.as_str())];
        let reply = app.post_with(COMPLETIONS, if n == 1 { &[] } else { &headers }, &asked).await;
        assert_eq!((reply.status, reply.header("turnwise-model")), (200, expected), "{}", reply.text());
        assert!(app.provider.requests().pop().unwrap().model() == expected.trim_start_matches("openai/"));
    }
    check_returned(&app.table).await;
    for n in 0..1000 {
        let reply = app.post(COMPLETIONS, &asked).await;
        if reply.status == 402 {
            check_budget_refused(&reply, "this key's day");
            assert!(n > 0);
            return;
        }
    }
    panic!("the hard limit never came");
}
