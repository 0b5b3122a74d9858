//! API keys and tenants from the terminal.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};
use turnwise_core::digest::Digest;

use crate::banner::print;
use crate::client::{Server, segment};
use crate::key;
use crate::settings::Settings;

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Print what a new deployment needs: its operator's key, and the parameters of the template
    /// that accept it. Nothing is sent anywhere.
    Bootstrap,
    /// Make a key and print it, this once.
    Create {
        /// What people call it.
        #[arg(long)]
        name: String,
        /// Whose data it opens; only the operator may name another tenant than its own.
        #[arg(long)]
        tenant: Option<String>,
        #[command(flatten)]
        rights: Rights,
        /// Everything: `generate`, `read`, `reports` and `admin`.
        #[arg(long, conflicts_with = "scopes")]
        admin: bool,
    },
    /// The keys, newest first, revoked ones too.
    List {
        /// Whose.
        #[arg(long)]
        tenant: Option<String>,
        /// Print JSON, a line a key.
        #[arg(long)]
        json: bool,
    },
    /// One key, without its text.
    Show {
        /// Its id.
        id: String,
    },
    /// Change what a key is for. What is not named stays.
    Update {
        /// Its id.
        id: String,
        /// What people call it.
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        rights: Rights,
        /// Take these away: `models`, `expires_at`, or a limit by its name, such as `daily_usd`.
        #[arg(long, value_delimiter = ',')]
        clear: Vec<String>,
    },
    /// Give a key another secret and print it, this once.
    Rotate {
        /// Its id.
        id: String,
        /// Seconds for which the secret before stays good, up to a week.
        #[arg(long, default_value_t = 0)]
        grace_s: u64,
    },
    /// Take a key back, for good.
    Revoke {
        /// Its id.
        id: String,
        /// Why; it goes to the audit log.
        #[arg(long, default_value = "")]
        reason: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TenantsCommand {
    /// What holds for all keys of a tenant.
    Show {
        /// Its name.
        tenant: String,
    },
    /// Change it. What is not named stays.
    Set {
        /// Its name.
        tenant: String,
        #[command(flatten)]
        allowance: Allowance,
        /// Where alerts about its budgets go, `https`.
        #[arg(long)]
        alert_webhook: Option<String>,
        /// Days that what is said from now on is kept; 0 keeps it for ever.
        #[arg(long)]
        retention_days: Option<u32>,
        /// Take these away: `alert_webhook`, `retention_days`, or a limit by its name.
        #[arg(long, value_delimiter = ',')]
        clear: Vec<String>,
    },
}

/// What a key may do.
#[derive(Debug, Args)]
pub(crate) struct Rights {
    /// Who uses it: whose list of conversations it shows.
    #[arg(long)]
    owner: Option<String>,
    /// What it is for: `generate`, `read`, `reports`, `admin`.
    #[arg(long, value_delimiter = ',')]
    scopes: Vec<String>,
    /// The models it may ask, as `provider/model`, or the beginning of such names and a `*`.
    #[arg(long, value_delimiter = ',')]
    models: Vec<String>,
    /// From when on it is not accepted any more: `2030-01-31T12:00:00Z`.
    #[arg(long)]
    expires_at: Option<String>,
    #[command(flatten)]
    allowance: Allowance,
}

/// How much of it.
#[derive(Debug, Args)]
pub(crate) struct Allowance {
    /// Requests a minute.
    #[arg(long)]
    requests_per_minute: Option<u64>,
    /// Tokens a minute, in and out.
    #[arg(long)]
    tokens_per_minute: Option<u64>,
    /// Answers made at once.
    #[arg(long)]
    concurrent_turns: Option<u64>,
    /// Output tokens of one answer.
    #[arg(long)]
    max_output_tokens: Option<u64>,
    /// What may be spent in a day, in USD.
    #[arg(long)]
    daily_usd: Option<String>,
    /// What may be spent in a month, in USD.
    #[arg(long)]
    monthly_usd: Option<String>,
    /// From this share of either on, in percent, the model of `--downgrade-to` answers.
    #[arg(long)]
    soft_percent: Option<u8>,
    /// The model that answers from there on.
    #[arg(long)]
    downgrade_to: Option<String>,
}

/// Fields of `limits` in a request.
const LIMITS: [&str; 4] = ["requests_per_minute", "tokens_per_minute", "concurrent_turns", "max_output_tokens"];

/// Fields of `budget` in a request.
const BUDGET: [&str; 4] = ["daily_usd", "monthly_usd", "soft_percent", "downgrade_to"];

/// Does what `command` says.
///
/// # Errors
/// When there is no key, the server cannot be reached or refuses.
pub(crate) async fn keys(settings: &Settings, command: &KeysCommand) -> anyhow::Result<()> {
    if let KeysCommand::Bootstrap = command {
        return bootstrap();
    }
    let server = Server::of(settings)?;
    let path = |id: &str, rest: &str| format!("/admin/keys/{}{rest}", segment(id));
    match command {
        KeysCommand::Bootstrap => Ok(()),
        KeysCommand::Create { name, tenant, rights, admin } => {
            let mut body = rights.body();
            body.insert("name".to_owned(), json!(name));
            if let Some(tenant) = tenant {
                body.insert("tenant".to_owned(), json!(tenant));
            }
            if *admin {
                body.insert("scopes".to_owned(), json!(["generate", "read", "reports", "admin"]));
            }
            told(&server.json(Method::POST, "/admin/keys", Some(&Value::Object(body))).await?)
        }
        KeysCommand::List { tenant, json } => list(&server, tenant.as_deref(), *json).await,
        KeysCommand::Show { id } => print(&format!("{:#}\n", server.json(Method::GET, &path(id, ""), None).await?)),
        KeysCommand::Update { id, name, rights, clear } => {
            let mut body = rights.body();
            if let Some(name) = name {
                body.insert("name".to_owned(), json!(name));
            }
            take_away(&mut body, clear);
            let key = server.json(Method::POST, &path(id, ""), Some(&Value::Object(body))).await?;
            print(&format!("{key:#}\n"))
        }
        KeysCommand::Rotate { id, grace_s } => {
            let body = json!({ "grace_s": grace_s });
            told(&server.json(Method::POST, &path(id, "/rotate"), Some(&body)).await?)
        }
        KeysCommand::Revoke { id, reason } => {
            let body = json!({ "reason": reason });
            let key = server.json(Method::POST, &path(id, "/revoke"), Some(&body)).await?;
            let at = key["revoked_at"].as_str().unwrap_or_default();
            print(&format!("Revoked at {at}; processes that have just seen it accept it for at most a minute more.\n"))
        }
    }
}

/// Does what `command` says.
///
/// # Errors
/// When there is no key, the server cannot be reached or refuses.
pub(crate) async fn tenants(settings: &Settings, command: &TenantsCommand) -> anyhow::Result<()> {
    let server = Server::of(settings)?;
    let tenant = match command {
        TenantsCommand::Show { tenant } => {
            server.json(Method::GET, &format!("/admin/tenants/{}", segment(tenant)), None).await?
        }
        TenantsCommand::Set { tenant, allowance, alert_webhook, retention_days, clear } => {
            let mut body = allowance.body();
            if let Some(url) = alert_webhook {
                body.insert("alert_webhook".to_owned(), json!(url));
            }
            if let Some(days) = retention_days {
                body.insert("retention_days".to_owned(), json!(days));
            }
            take_away(&mut body, clear);
            let path = format!("/admin/tenants/{}", segment(tenant));
            server.json(Method::POST, &path, Some(&Value::Object(body))).await?
        }
    };
    print(&format!("{tenant:#}\n"))
}

/// The first key of a deployment, and what its template is given to accept it.
fn bootstrap() -> anyhow::Result<()> {
    let operator = key::make_operators();
    let parameters = format!("AdminKeySha256={} KeyPeppers={}", Digest::of(&operator), key::make_pepper());
    print(&format!(
        "The operator's key. It is told only here; keep it where you keep passwords:\n\n  {operator}\n\n\
         Deploy with these parameters, and keep KeyPeppers too, since every other key depends on it:\n\n  \
         sam deploy --parameter-overrides {parameters}\n\n\
         Then make keys for everybody else:\n\n  \
         TURNWISE_URL=https://... TURNWISE_DEV_KEY={operator} turnwise keys create --name checkout --owner ada\n"
    ))
}

async fn list(server: &Server, tenant: Option<&str>, as_json: bool) -> anyhow::Result<()> {
    let tenant = tenant.map(|tenant| format!("&tenant={}", segment(tenant))).unwrap_or_default();
    let mut after = String::new();
    let mut is_first = true;
    loop {
        let page = server.json(Method::GET, &format!("/admin/keys?limit=100{tenant}{after}"), None).await?;
        for key in page["data"].as_array().into_iter().flatten() {
            if as_json {
                print(&format!("{key}\n"))?;
                continue;
            }
            if is_first {
                print(&format!(
                    "{:<12}  {:<8} {:<20} {:<16} {:<24} LAST USED\n",
                    "ID", "STATUS", "NAME", "OWNER", "SCOPES"
                ))?;
                is_first = false;
            }
            print(&row(key))?;
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None if is_first && !as_json => return print("There is no key.\n"),
            None => return Ok(()),
        }
    }
}

fn row(key: &Value) -> String {
    let text = |name: &str| key[name].as_str().unwrap_or("-");
    let scopes: Vec<&str> = key["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let (id, status, name, owner) = (text("id"), text("status"), text("name"), text("owner"));
    format!("{id:<12}  {status:<8} {name:<20} {owner:<16} {:<24} {}\n", scopes.join(","), text("last_used_at"))
}

/// Prints a key that is told only now.
fn told(key: &Value) -> anyhow::Result<()> {
    let mut told = String::new();
    let text = |name: &str| key[name].as_str().unwrap_or_default();
    // Writing to a String cannot fail.
    let _ = writeln!(told, "{}", text("key"));
    print(&told)?;
    crate::banner::hint(&format!("Key {} of {}. It is told only here.\n", text("id"), text("tenant")))
}

impl Rights {
    fn body(&self) -> Map<String, Value> {
        let mut body = self.allowance.body();
        let texts = [("owner", &self.owner), ("expires_at", &self.expires_at)];
        body.extend(texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), json!(text.as_ref()?)))));
        let lists = [("scopes", &self.scopes), ("models", &self.models)];
        let given = lists.into_iter().filter(|(_, list)| !list.is_empty());
        body.extend(given.map(|(name, list)| (name.to_owned(), json!(list))));
        body
    }
}

impl Allowance {
    fn body(&self) -> Map<String, Value> {
        let given = |rows: [(&str, Value); 4]| -> Map<String, Value> {
            rows.into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name.to_owned(), value))
                .collect()
        };
        let limits = given([
            (LIMITS[0], json!(self.requests_per_minute)),
            (LIMITS[1], json!(self.tokens_per_minute)),
            (LIMITS[2], json!(self.concurrent_turns)),
            (LIMITS[3], json!(self.max_output_tokens)),
        ]);
        let budget = given([
            (BUDGET[0], json!(self.daily_usd)),
            (BUDGET[1], json!(self.monthly_usd)),
            (BUDGET[2], json!(self.soft_percent)),
            (BUDGET[3], json!(self.downgrade_to)),
        ]);
        let both = [("limits", limits), ("budget", budget)];
        let some = both.into_iter().filter(|(_, fields)| !fields.is_empty());
        some.map(|(name, fields)| (name.to_owned(), Value::Object(fields))).collect()
    }
}

/// Adds nulls for what is to be taken away. The server names what there is not.
fn take_away(body: &mut Map<String, Value>, names: &[String]) {
    for name in names {
        let group = match name.as_str() {
            name if LIMITS.contains(&name) => Some("limits"),
            name if BUDGET.contains(&name) => Some("budget"),
            _ => None,
        };
        let fields = match group {
            Some(group) => body.entry(group).or_insert_with(|| json!({})).as_object_mut(),
            None => Some(&mut *body),
        };
        if let Some(fields) = fields {
            fields.insert(name.clone(), Value::Null);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_away_becomes_null_where_it_stands() {
        let mut body = Map::new();
        take_away(&mut body, &["models", "daily_usd", "tokens_per_minute"].map(str::to_owned));
        let expected = json!({"models": null, "budget": {"daily_usd": null}, "limits": {"tokens_per_minute": null}});
        assert_eq!(Value::Object(body), expected);
    }
}
