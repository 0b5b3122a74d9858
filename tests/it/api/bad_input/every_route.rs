//! Malformed requests at every operation of the route table: each is answered, as an error of
//! the client's.

use http::Method;
use turnwise_http::routes::{Entry, ROUTES};
use turnwise_tests::app::{Reply, TestApp};

/// Bodies that no operation can take.
fn bodies() -> Vec<Vec<u8>> {
    let deep = "[".repeat(200_000);
    let texts = [
        "{",
        "[]",
        "null",
        "\"x\"",
        "{\"a\":1,\"a\":2}",
        "{\"name\":{\"$ne\":null}}",
        "{\"limits\":[],\"budget\":7}",
        &deep,
    ];
    let texts = texts.into_iter().map(|text| text.as_bytes().to_vec());
    texts.chain([vec![0xff, 0xfe, 0], vec![b'a'; 1 << 20], Vec::new()]).collect()
}

/// What stands in the holes of paths.
const HOLES: [&str; 6] = ["%00", "%ff", "..%2f..", "a%23b", "%F0%9F%98%80", "%27%20OR%201=1"];

/// Queries that mean nothing.
const QUERIES: [&str; 3] =
    ["?limit=-1&after=%00", "?limit=1e9&from=x&to=y&days=-1", "?stream=maybe&tenant=a%23b&order=up"];

fn check(reply: &Reply, sent: &str) {
    assert!(reply.status < 500, "{sent} got {} {}", reply.status, reply.text());
    if reply.status >= 400 {
        assert!(reply.json()["error"]["code"].is_string(), "{sent} got {}", reply.text());
    }
}

#[tokio::test]
async fn every_operation_answers_whatever_comes() {
    let app = TestApp::start().await;
    let bodies = bodies();
    for route in ROUTES.iter().filter(|route| route.entry != Entry::Open) {
        let method: Method = route.method.parse().unwrap();
        let filled = |hole: &str| {
            route
                .path
                .split('/')
                .map(|part| if part.starts_with('{') { hole } else { part })
                .collect::<Vec<_>>()
                .join("/")
        };
        for hole in HOLES {
            check(&Reply::of(app.request(method.clone(), &filled(hole))).await, &format!("{method} {}", filled(hole)));
        }
        for query in QUERIES {
            let path = format!("{}{query}", filled("s"));
            check(&Reply::of(app.request(method.clone(), &path)).await, &format!("{method} {path}"));
        }
        for body in bodies.iter().filter(|_| method == Method::POST) {
            let path = filled("s");
            let shown: String = String::from_utf8_lossy(body).chars().take(40).collect();
            let reply = Reply::of(app.request(method.clone(), &path).body(body.clone())).await;
            check(&reply, &format!("{method} {path} {shown}"));
        }
    }
    assert_eq!(app.provider.calls(), 0);
}
