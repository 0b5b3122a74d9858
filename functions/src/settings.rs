//! What the environment says, read once and checked as a whole.

use std::time::Duration;

use tracing_subscriber::EnvFilter;
use turnwise_core::access::Peppers;
use turnwise_core::digest::Digest;
use turnwise_core::fault::{Fault, Faults};
use turnwise_core::ledger::Baseline;
use turnwise_engine::admission::Alerts;
use turnwise_engine::upstream::policy::CallPolicy;
use turnwise_http::Access;
use turnwise_http::edge::Origins;
use turnwise_providers::webhook::{Reach, Webhooks};
use turnwise_providers::{Providers, Secret, Settings as ProviderSettings};
use turnwise_store::secrets::Secrets;

const TABLE: &str = "TURNWISE_TABLE";
const QUEUE_URL: &str = "TURNWISE_QUEUE_URL";
const DEAD_LETTERS_URL: &str = "TURNWISE_DEAD_LETTER_QUEUE_URL";
const API_KEYS: &str = "TURNWISE_API_KEYS_SHA256";
const ADMIN_KEYS: &str = "TURNWISE_ADMIN_KEYS_SHA256";
const KEY_PEPPERS: &str = "TURNWISE_KEY_PEPPERS";
const ALERT_WEBHOOK: &str = "TURNWISE_ALERT_WEBHOOK";
const ALERT_WEBHOOK_SECRET: &str = "TURNWISE_ALERT_WEBHOOK_SECRET";
const DEFAULT_MODEL: &str = "TURNWISE_DEFAULT_MODEL";
const BASELINE_MODEL: &str = "TURNWISE_BASELINE_MODEL";
const RETENTION_DAYS: &str = "TURNWISE_RETENTION_DAYS";
const CORS_ORIGINS: &str = "TURNWISE_CORS_ORIGINS";
const BEDROCK: &str = "TURNWISE_BEDROCK";
const SECRETS_PATH: &str = "TURNWISE_SECRETS_PATH";
const LOG: &str = "RUST_LOG";

/// What the variables of Amazon Web Services begin with.
const AWS: &str = "AWS_";

/// What is logged unless `RUST_LOG` says otherwise.
const DEFAULT_LOG: &str = "info";

/// Most days that a retention may have: ten years, which is for ever to most laws. A
/// larger number is a mistake in its unit.
const MAX_RETENTION_DAYS: u64 = 3653;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The field under which the providers report a bad default model.
const DEFAULT_MODEL_FIELD: &str = "default_model";

/// What the environment says.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The table's name.
    pub(crate) table: String,
    /// The queue's URL.
    pub(crate) queue_url: String,
    /// The URL of the queue where messages go that failed too often; known only to the
    /// function that puts them back.
    pub(crate) dead_letters_url: Option<String>,
    /// The keys of the deployment itself.
    pub(crate) access: Access,
    /// The pages that may call it from a browser.
    pub(crate) origins: Origins,
    /// What the digests of the table's keys depend on; none where no key is in use.
    pub(crate) peppers: Peppers,
    /// The providers that are configured.
    pub(crate) providers: Providers,
    /// How they are called.
    pub(crate) calls: CallPolicy,
    /// Where alerts about budgets go.
    pub(crate) alerts: Alerts,
    /// What answers are compared with, where it is named.
    pub(crate) baseline: Option<Baseline>,
    /// How long what is said is kept; `None` keeps it for ever.
    pub(crate) retention: Option<Duration>,
}

impl Settings {
    /// The environment's, and what `secrets` has for variables that it leaves out.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) fn from_environment(secrets: &Secrets) -> Result<Self, Faults> {
        Self::read(over(variable, secrets))
    }

    /// What `lookup` finds under the names of the variables. White space around a
    /// value is taken off, and an empty value counts as absent.
    ///
    /// # Errors
    /// All that is missing or malformed, each under its variable's name. A fault never
    /// shows a value that may be secret.
    fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Faults> {
        let find = |name: &str| present(lookup(name));
        let mut faults = Faults::default();
        let table = faults.keep(required(TABLE, find(TABLE)));
        let queue_url = required(QUEUE_URL, find(QUEUE_URL)).and_then(|text| url(QUEUE_URL, text));
        let queue_url = faults.keep(queue_url);
        let dead_letters_url = find(DEAD_LETTERS_URL).map(|text| url(DEAD_LETTERS_URL, text));
        let dead_letters_url = dead_letters_url.and_then(|url| faults.keep(url));
        let mut keys = |name| digests(name, &find(name).unwrap_or_default(), &mut faults);
        let access = Access::to_digests(keys(API_KEYS), keys(ADMIN_KEYS));
        let peppers = faults.keep(Peppers::parse(KEY_PEPPERS, &find(KEY_PEPPERS).unwrap_or_default()));
        let providers = providers(find(DEFAULT_MODEL), &lookup, &mut faults);
        let calls = providers.as_ref().map(|providers| CallPolicy::read(&lookup, providers));
        let calls = calls.and_then(|calls| calls.map_err(|found| faults.0.extend(found.0)).ok()).unwrap_or_default();
        let origins = faults.keep(Origins::parse(CORS_ORIGINS, &find(CORS_ORIGINS).unwrap_or_default()));
        let retention = find(RETENTION_DAYS).map(|text| retention(&text));
        let retention = retention.and_then(|retention| faults.keep(retention)).flatten();
        let baseline = find(BASELINE_MODEL).map(|name| Baseline::shipped_of(BASELINE_MODEL, &name));
        let baseline = baseline.and_then(|baseline| faults.keep(baseline));
        let alerts = faults.keep(alerts(find(ALERT_WEBHOOK), find(ALERT_WEBHOOK_SECRET)));
        faults.keep(log(find(LOG)));
        match (table, queue_url, providers) {
            (Some(table), Some(queue_url), Some(providers)) if faults.0.is_empty() => {
                let (peppers, alerts) = (peppers.unwrap_or_default(), alerts.unwrap_or_default());
                let origins = origins.unwrap_or_default();
                Ok(Self {
                    table,
                    queue_url,
                    dead_letters_url,
                    access,
                    origins,
                    peppers,
                    providers,
                    calls,
                    alerts,
                    baseline,
                    retention,
                })
            }
            _ => Err(faults),
        }
    }
}

/// Where alerts go. The fault does not show the address, which may hold a secret.
fn alerts(webhook: Option<String>, secret: Option<String>) -> Result<Alerts, Fault> {
    let webhooks = Webhooks::new(Reach::Public, secret.map(Secret::new));
    let checked = webhook.as_deref().map_or(Ok(()), |url| webhooks.check(url));
    checked.map_err(|refused| Fault::new(ALERT_WEBHOOK, refused.to_string()))?;
    Ok(Alerts { webhook, webhooks })
}

/// Where secrets are in the Parameter Store, if they are there.
pub(crate) fn secrets_path() -> Option<String> {
    present(variable(SECRETS_PATH))
}

/// What is logged as long as the settings are not read, and where they cannot be.
pub(crate) fn log_of_environment() -> String {
    log(present(variable(LOG))).unwrap_or_else(|_| DEFAULT_LOG.to_owned())
}

/// What `lookup` finds; where that is nothing, what `secrets` has.
fn over(lookup: impl Fn(&str) -> Option<String>, secrets: &Secrets) -> impl Fn(&str) -> Option<String> {
    move |name| present(lookup(name)).or_else(|| secrets.get(name).map(str::to_owned))
}

fn present(value: Option<String>) -> Option<String> {
    value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

fn required(name: &str, value: Option<String>) -> Result<String, Fault> {
    value.ok_or_else(|| Fault::new(name, "This variable is required."))
}

fn url(name: &str, text: String) -> Result<String, Fault> {
    let is_url = text.starts_with("https://") || text.starts_with("http://");
    if is_url { Ok(text) } else { Err(Fault::new(name, "A queue's URL starts with https:// or http://.")) }
}

/// The digests of keys. `text`, the value of the variable `name`, lists them, separated
/// by commas or white space.
fn digests(name: &str, text: &str, faults: &mut Faults) -> Vec<Digest> {
    let entries = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty());
    let mut digests = Vec::new();
    for (at, entry) in entries.enumerate() {
        match Digest::parse(entry) {
            Some(digest) => digests.push(digest),
            // Not shown: it may be a key that somebody forgot to hash.
            None => faults.add(name, format!("Entry {} is not a SHA-256, which has 64 hexadecimal digits.", at + 1)),
        }
    }
    digests
}

fn providers(
    default_model: Option<String>,
    lookup: impl Fn(&str) -> Option<String>,
    faults: &mut Faults,
) -> Option<Providers> {
    let uses_bedrock = faults.keep(switch(BEDROCK, lookup(BEDROCK))).unwrap_or(false);
    // A function always has AWS credentials: they alone do not say that Bedrock is wanted.
    let offered = |name: &str| lookup(name).filter(|_| uses_bedrock || !name.starts_with(AWS));
    let settings = ProviderSettings { default_model, ..ProviderSettings::read(offered) };
    let found = Providers::new(&settings).map_err(|found| faults.0.extend(found.0.into_iter().map(by_variable)));
    found.ok()
}

/// Whether the variable `name` switches something on; it does not where it is not set.
fn switch(name: &str, value: Option<String>) -> Result<bool, Fault> {
    match value.as_deref().map(str::trim) {
        Some("true") => Ok(true),
        Some("false" | "") | None => Ok(false),
        Some(other) => Err(Fault::new(name, format!("Expected true or false, got {other:?}."))),
    }
}

/// A provider's fault under the name of the variable that causes it.
fn by_variable(fault: Fault) -> Fault {
    if fault.field == DEFAULT_MODEL_FIELD { Fault::new(DEFAULT_MODEL, fault.message) } else { fault }
}

/// Days that what is said is kept; 0 keeps it for ever.
fn retention(text: &str) -> Result<Option<Duration>, Fault> {
    let days = text.parse::<u64>().ok().filter(|days| *days <= MAX_RETENTION_DAYS);
    let fault =
        || Fault::new(RETENTION_DAYS, format!("Expected a number of days, 0 to {MAX_RETENTION_DAYS}, got {text:?}."));
    let days = days.ok_or_else(fault)?;
    Ok(u32::try_from(days).ok().filter(|days| *days > 0).map(|days| DAY * days))
}

fn log(value: Option<String>) -> Result<String, Fault> {
    let text = value.unwrap_or_else(|| DEFAULT_LOG.to_owned());
    match EnvFilter::builder().parse(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(Fault::new(LOG, format!("This is no filter for logs ({error})."))),
    }
}

#[expect(clippy::disallowed_methods, reason = "the bootstrap composes the program, so it reads the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "60be9aa2d9629dd3ec50f5cf72787bd0e548d0bbc2ba179470c3caf93cc83959";

    fn read(rows: &[(&str, &str)]) -> Result<Settings, Faults> {
        Settings::read(|name| rows.iter().find(|row| row.0 == name).map(|row| row.1.to_owned()))
    }

    fn faulty_fields(rows: &[(&str, &str)]) -> Vec<String> {
        read(rows).err().unwrap_or_default().0.into_iter().map(|fault| fault.field).collect()
    }

    #[test]
    fn table_and_queue_are_enough() {
        let settings = read(&[(TABLE, " turnwise\n"), (QUEUE_URL, "https://sqs/1/q")]).unwrap();
        assert_eq!(settings.table, "turnwise");
        assert_eq!(settings.queue_url, "https://sqs/1/q");
    }

    #[test]
    fn bedrock_is_used_only_where_it_is_switched_on() {
        let check = |switch: &str, expected: Option<bool>| {
            let role = [("AWS_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "s")];
            let rows = [&role[..], &[(TABLE, "t"), (QUEUE_URL, "https://q"), (BEDROCK, switch)]].concat();
            let settings = read(&rows).ok();
            let uses =
                |settings: Settings| settings.providers.configured().any(|provider| provider.name() == "bedrock");
            assert_eq!(settings.map(uses), expected, "{switch}");
        };
        check("", Some(false));
        check("false", Some(false));
        check(" true\n", Some(true));
        check("yes", None);
        assert_eq!(faulty_fields(&[(TABLE, "t"), (QUEUE_URL, "https://q"), (BEDROCK, "1")]), [BEDROCK]);
    }

    #[test]
    fn all_faults_are_listed_at_once() {
        let rows = [
            (TABLE, " "),
            (QUEUE_URL, "turnwise"),
            (API_KEYS, "tw_secret"),
            (KEY_PEPPERS, "1:c2VjcmV0"),
            (DEFAULT_MODEL, "nobody/nothing"),
            ("OPENAI_BASE_URL", "not a url"),
            (LOG, "info,=,"),
        ];
        assert_eq!(
            faulty_fields(&rows),
            [TABLE, QUEUE_URL, API_KEYS, KEY_PEPPERS, "OPENAI_BASE_URL", DEFAULT_MODEL, LOG]
        );
        let told = read(&rows).unwrap_err().to_string();
        assert!(!told.contains("secret") && !told.contains("c2Vj"), "{told}");
    }

    #[test]
    fn the_environment_wins_over_the_parameter_store() {
        let secrets = Secrets::from([("OPENAI_API_KEY", "sk-store"), ("ANTHROPIC_API_KEY", "sk-ant-store")]);
        let environment = |name: &str| match name {
            "OPENAI_API_KEY" => Some("sk-environment".to_owned()),
            // A parameter of the template that was left empty.
            "ANTHROPIC_API_KEY" => Some(" ".to_owned()),
            _ => None,
        };
        let find = over(environment, &secrets);
        assert_eq!(find("OPENAI_API_KEY").as_deref(), Some("sk-environment"));
        assert_eq!(find("ANTHROPIC_API_KEY").as_deref(), Some("sk-ant-store"));
        assert_eq!(find("XAI_API_KEY"), None);
    }

    #[test]
    fn a_provider_is_configured_by_its_key_in_the_parameter_store() {
        let secrets = Secrets::from([("OPENAI_API_KEY", "sk-store")]);
        let rows = [(TABLE, "t"), (QUEUE_URL, "https://q")];
        let find = |name: &str| rows.iter().find(|row| row.0 == name).map(|row| row.1.to_owned());
        let settings = Settings::read(over(find, &secrets)).unwrap();
        assert!(settings.providers.configured().any(|provider| provider.name() == "openai"));
        assert!(!format!("{settings:?}").contains("sk-store"));
    }

    #[test]
    fn calls_of_providers_have_their_settings() {
        let rows = [(TABLE, "t"), (QUEUE_URL, "https://q"), ("TURNWISE_MAX_RETRIES", "1")];
        assert_eq!(read(&rows).unwrap().calls.retry.retries, 1);
        let rows = [(TABLE, "t"), (QUEUE_URL, "https://q"), ("TURNWISE_MAX_RETRIES", "many")];
        assert_eq!(faulty_fields(&rows), ["TURNWISE_MAX_RETRIES"]);
    }

    #[test]
    fn alerts_go_to_the_public_internet_alone() {
        let with = |url| [(TABLE, "t"), (QUEUE_URL, "https://q"), (ALERT_WEBHOOK, url)];
        assert!(read(&with("https://hooks.example.com/x")).is_ok_and(|settings| settings.alerts.webhook.is_some()));
        for url in ["http://hooks.example.com/x", "https://169.254.169.254/", "https://127.0.0.1/", "hooks"] {
            assert_eq!(faulty_fields(&with(url)), [ALERT_WEBHOOK], "{url}");
        }
    }

    #[test]
    fn what_is_said_is_kept_for_some_days_or_for_ever() {
        let check = |text: &str, expected: Option<Option<u32>>| {
            let settings = read(&[(TABLE, "t"), (QUEUE_URL, "https://q"), (RETENTION_DAYS, text)]);
            let days = settings.ok().map(|settings| settings.retention);
            assert_eq!(days, expected.map(|days| days.map(|days| DAY * days)), "{text}");
        };
        check("", Some(None));
        check("0", Some(None));
        check("30", Some(Some(30)));
        check("3653", Some(Some(3653)));
        for bad in ["3654", "-1", "1.5", "30d", "for ever"] {
            check(bad, None);
        }
    }

    #[test]
    fn keys_are_64_hexadecimal_digits_between_commas_or_spaces() {
        let check = |text: &str, accepted: bool| {
            let faults = faulty_fields(&[(TABLE, "t"), (QUEUE_URL, "https://q"), (API_KEYS, text)]);
            assert_eq!(faults.is_empty(), accepted, "{text}: {faults:?}");
        };
        check("", true);
        check(DIGEST, true);
        check(&DIGEST.to_uppercase(), true);
        check(&format!("{DIGEST},{DIGEST} {DIGEST}, {DIGEST},"), true);
        check(&DIGEST[1..], false);
        check(&format!("{DIGEST}0"), false);
        check(&format!("g{}", &DIGEST[1..]), false);
        check(&format!("{DIGEST};{DIGEST}"), false);
    }
}
