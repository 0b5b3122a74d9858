//! The program's command line against a running server.

use std::time::Duration;

use serde_json::json;
use turnwise_core::category::Category;
use turnwise_tests::process::{PATIENCE, Program, Server};
use turnwise_tests::scripted::{Gate, Script, ScriptedProvider};

async fn start(provider: &ScriptedProvider) -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::new(&folder.path().join("data")).provider(provider.base_url());
    let server = program.start().await;
    (folder, server)
}

async fn send(server: &Server, turn: &str) {
    let body = json!({"message": turn, "session_id": "c", "turn_id": turn});
    let reply = server.post("/v1/chat", body.to_string(), &[("prefer", "respond-async")]).await.unwrap();
    assert_eq!(reply.status().as_u16(), 202);
}

async fn until(server: &Server, turn: &str, status: &str) {
    let path = format!("/v1/turns/c:{turn}");
    let looking = async {
        while server.get(&path).await.unwrap().json()["status"] != status {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap();
}

#[tokio::test]
async fn locks_are_listed_shown_and_taken_away() {
    let (gate, provider) = (Gate::closed(), ScriptedProvider::start().await);
    provider.on_text("held", Script::answer("late").gated(&gate));
    let (_folder, server) = start(&provider).await;
    let locks = async |arguments: &[&str]| {
        let arguments: Vec<&str> = ["locks"].into_iter().chain(arguments.iter().copied()).collect();
        server.command(&arguments, PATIENCE).await
    };
    assert_eq!(locks(&["list"]).await.unwrap(), "No lock is held.\n");
    send(&server, "held").await;
    gate.reached().await;
    let list = locks(&["list"]).await.unwrap();
    assert!(list.contains("CONVERSATION") && list.contains("held"), "{list}");
    assert!(locks(&["show", "c"]).await.unwrap().contains("\"turn_id\": \"held\""));
    assert!(locks(&["release", "c"]).await.unwrap_err().contains("--reason"));
    let released = locks(&["release", "c", "--reason", "stuck"]).await.unwrap();
    assert!(released.contains("the fence is now 2"), "{released}");
    assert!(locks(&["show", "nobody"]).await.unwrap_err().contains("There is no conversation"));
    assert!(locks(&["health"]).await.unwrap().contains("\"status\": \"ok\""));
    gate.open();
}

#[tokio::test]
async fn dead_letters_are_listed_and_put_back() {
    let provider = ScriptedProvider::start().await;
    provider.on_text("bad", Script::refuse(400));
    provider.on_text("bad", Script::answer("good"));
    let (_folder, server) = start(&provider).await;
    send(&server, "bad").await;
    until(&server, "bad", "FAILED").await;
    let list = server.command(&["dead-letters", "list"], PATIENCE).await.unwrap();
    assert!(list.contains("c:bad"), "{list}");
    let redriven = server.command(&["dead-letters", "redrive"], PATIENCE).await.unwrap();
    assert!(redriven.starts_with("1 turns wait again, 0 could not be put back"), "{redriven}");
    until(&server, "bad", "COMPLETED").await;
}

#[tokio::test]
async fn the_audit_log_is_listed_and_exported_and_a_person_erased() {
    let provider = ScriptedProvider::start().await;
    provider.on_text("good", Script::answer("fine"));
    let (_folder, server) = start(&provider).await;
    assert_eq!(server.command(&["audit", "list"], PATIENCE).await.unwrap(), "Nothing was done.\n");
    send(&server, "good").await;
    until(&server, "good", "COMPLETED").await;
    assert!(server.command(&["erase", "--user", "owner"], PATIENCE).await.unwrap_err().contains("--reason"));
    let erased = server.command(&["erase", "--user", "owner", "--reason", "her request"], PATIENCE).await.unwrap();
    assert_eq!(erased, "1 conversations of owner are erased.\n");
    let list = server.command(&["audit", "list"], PATIENCE).await.unwrap();
    assert!(list.contains("SUBJECT") && list.contains("person.erase") && list.contains("her request"), "{list}");
    let json = server.command(&["audit", "list", "--json", "--action", "person.erase"], PATIENCE).await.unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((json.as_array().map(Vec::len), &json[0]["subject"]), (Some(1), &json!("owner")));
    let csv = server.command(&["audit", "export", "--format", "csv"], PATIENCE).await.unwrap();
    assert!(csv.starts_with("id,at,tenant,action") && csv.contains(",person.erase,owner,"), "{csv}");
    assert!(server.command(&["audit", "list", "--from", "soon"], PATIENCE).await.unwrap_err().contains("from"));
}

#[tokio::test]
async fn turns_are_printed_as_they_happen() {
    let (gate, provider) = (Gate::closed(), ScriptedProvider::start().await);
    provider.on_text("bad", Script::refuse(400));
    provider.on_text("held", Script::answer("late").gated(&gate));
    let (_folder, server) = start(&provider).await;
    for turn in ["good", "bad", "held"] {
        send(&server, turn).await;
    }
    gate.reached().await;
    let printed = server.command(&["tail", "--past"], Duration::from_secs(4)).await.unwrap();
    let line = |key: &str| printed.lines().find(|line| line.contains(key)).unwrap_or_default().to_owned();
    assert!(line("c:good").contains("answered") && line("c:good").contains("tokens"), "{printed}");
    assert!(line("c:bad").contains("failed"), "{printed}");
    assert!(line("c:held").contains("running"), "{printed}");
    assert_eq!(printed.matches("c:good").count(), 1, "once: {printed}");
    gate.open();
}

#[tokio::test]
async fn an_error_is_explained_by_its_category_or_its_code() {
    let provider = ScriptedProvider::start().await;
    let (_folder, server) = start(&provider).await;
    let explain = async |arguments: &[&str]| {
        let arguments: Vec<&str> = ["explain"].into_iter().chain(arguments.iter().copied()).collect();
        server.command(&arguments, PATIENCE).await
    };
    for word in ["RATE_LIMIT_ERROR", "rate-limit", "queue_full"] {
        assert_eq!(explain(&[word]).await.unwrap(), Category::RateLimitError.page(), "{word}");
    }
    let all = explain(&[]).await.unwrap();
    for category in Category::ALL {
        assert!(all.contains(&format!("\n{category} ")), "{all}");
    }
    assert!(all.contains("conversation_busy"), "{all}");
    let refusal = explain(&["quue_full"]).await.unwrap_err();
    assert!(refusal.contains("did you mean queue_full"), "{refusal}");
    assert!(explain(&["xyzzy"]).await.unwrap_err().contains("lists them all"));
}

#[tokio::test]
async fn keys_are_made_listed_changed_and_taken_back() {
    let provider = ScriptedProvider::start().await;
    let (_folder, server) = start(&provider).await;
    let run = async |line: &str| server.command(&line.split(' ').collect::<Vec<_>>(), PATIENCE).await;
    assert_eq!(run("keys list").await.unwrap(), "There is no key.\n");
    let key = run("keys create --name checkout --owner ada --models local/* --daily-usd 0.45").await.unwrap();
    let (key, id) = (key.trim(), key.split('_').nth(2).unwrap());
    assert!(key.starts_with("tw_live_"), "{key}");
    let listed = run("keys list").await.unwrap();
    assert!(listed.contains(id) && listed.contains("generate,read") && !listed.contains(key), "{listed}");
    let updated = run(&format!("keys update {id} --requests-per-minute 5 --clear models,daily_usd")).await.unwrap();
    for expected in ["\"requests_per_minute\": 5", "\"models\": null", "\"daily_usd\": null"] {
        assert!(updated.contains(expected), "{updated}");
    }
    assert!(run(&format!("keys update {id} --clear colour")).await.unwrap_err().contains("colour"));
    let rotated = run(&format!("keys rotate {id}")).await.unwrap();
    assert!(rotated.contains(id) && rotated.trim() != key);
    assert!(run(&format!("keys revoke {id} --reason lost")).await.unwrap().contains("Revoked at"));
    assert!(run(&format!("keys show {id}")).await.unwrap().contains("\"status\": \"revoked\""));
    assert!(run("tenants set acme --concurrent-turns 3 --retention-days 30").await.unwrap().contains("\"version\": 1"));
    assert!(run("tenants show acme").await.unwrap().contains("\"retention_days\": 30"));
}

#[tokio::test]
async fn what_a_new_deployment_needs_is_printed() {
    let provider = ScriptedProvider::start().await;
    let (_folder, server) = start(&provider).await;
    let printed = server.command(&["keys", "bootstrap"], PATIENCE).await.unwrap();
    let key = printed.split_whitespace().find(|word| word.starts_with("tw_admin_")).unwrap();
    let digest = turnwise_core::digest::Digest::of(key);
    assert!(printed.contains(&format!("AdminKeySha256={digest}")), "{printed}");
    let peppers = printed.split_whitespace().find_map(|word| word.strip_prefix("KeyPeppers=")).unwrap();
    assert!(turnwise_core::access::Peppers::parse("p", peppers).is_ok());
}
