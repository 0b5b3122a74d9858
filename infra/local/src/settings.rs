//! The command line and the environment.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::builder::PossibleValuesParser;
use clap::{ArgAction, Args, Parser, Subcommand};
use turnwise_core::access::Peppers;
use turnwise_core::fault::Faults;
use turnwise_core::ledger::Baseline;
use turnwise_core::limits::SWEEP_EVERY;
use turnwise_core::prices::PriceTable;
use turnwise_engine::admission::Alerts;
use turnwise_engine::upstream::policy::CallPolicy;
use turnwise_http::edge::Origins;
use turnwise_providers::catalogue::known;
use turnwise_providers::webhook::{Reach, Webhooks};
use turnwise_providers::{Providers, Secret, Settings as ProviderSettings};

use crate::keys::{KeysCommand, TenantsCommand};
use crate::prices::{self, PricesCommand};
use crate::usage::UsageOptions;

/// Most days that a retention may have: ten years. A larger number is a mistake in its unit.
const MAX_RETENTION_DAYS: i64 = 3653;

/// What the variables of Amazon Web Services begin with.
const AWS: &str = "AWS_";

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A serverless LLM gateway with durable conversations, on one machine.
#[derive(Debug, Parser)]
#[command(name = "turnwise", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) settings: Settings,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the server (the default).
    Serve,
    /// Talk to a running server from the terminal.
    Chat(ChatOptions),
    /// Show who holds the locks of conversations, and take one away.
    Locks {
        #[command(subcommand)]
        command: LocksCommand,
    },
    /// Make, show, change and take back API keys.
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// Show and change what holds for all keys of a tenant.
    Tenants {
        #[command(subcommand)]
        command: TenantsCommand,
    },
    /// Show turns of queues that ended without an answer, and put them back.
    DeadLetters {
        #[command(subcommand)]
        command: DeadLettersCommand,
    },
    /// Show what models charge, and import tables of prices.
    Prices {
        #[command(subcommand)]
        command: PricesCommand,
    },
    /// Print what some days came to, or check the counters against the ledger.
    Usage(UsageOptions),
    /// Show who has done what, or print it as a file.
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Erase all conversations of a person.
    Erase(EraseOptions),
    /// Print turns as they happen.
    Tail(TailOptions),
    /// Ask every configured provider whether it answers and takes its key: ends with 0 when all
    /// are fine, with 1 when one fails, with 2 when a setting is malformed.
    VerifyKeys(VerifyOptions),
    /// Say what an error means, and what to do.
    Explain {
        /// A category or a code, as error bodies have them: `RATE_LIMIT_ERROR`, `queue_full`. All
        /// of them are listed unless it is given.
        name: Option<String>,
    },
    /// Print the OpenAPI document.
    Openapi,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LocksCommand {
    /// The locks that are held, oldest attempt first.
    List,
    /// One conversation's lock.
    Show {
        /// The conversation.
        conversation: String,
    },
    /// Take a lock away from its owner, dead or alive.
    Release {
        /// The conversation.
        conversation: String,
        /// Why; it goes to the audit log.
        #[arg(long)]
        reason: String,
    },
    /// What the service stands on, and how it is.
    Health,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLettersCommand {
    /// All of them, oldest first.
    List,
    /// Put them back at the ends of their queues.
    Redrive {
        /// Only this turn.
        key: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// The newest entries, newest first.
    List {
        #[command(flatten)]
        options: AuditOptions,
        /// Most entries.
        #[arg(long, default_value_t = 50)]
        limit: u64,
        /// Print JSON instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// All entries of a range, as a file on standard output; the export is itself an entry.
    Export {
        #[command(flatten)]
        options: AuditOptions,
        /// One JSON object a line, or a table.
        #[arg(long, default_value = "jsonl", value_parser = PossibleValuesParser::new(["jsonl", "csv"]))]
        format: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AuditOptions {
    /// The first instant or day: `2026-11-21T16:00:00Z`, `2026-11-21`. A week ago unless given.
    #[arg(long)]
    pub(crate) from: Option<String>,
    /// The instant behind the last, or the last day. Now unless given.
    #[arg(long)]
    pub(crate) to: Option<String>,
    /// Only this action: `key.revoke`.
    #[arg(long)]
    pub(crate) action: Option<String>,
    /// Only what this key did, by its id.
    #[arg(long)]
    pub(crate) actor: Option<String>,
    /// Only what was done to this.
    #[arg(long)]
    pub(crate) subject: Option<String>,
    /// Another tenant's log.
    #[arg(long)]
    pub(crate) tenant: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct EraseOptions {
    /// The person.
    #[arg(long)]
    pub(crate) user: String,
    /// Why; it goes to the audit log.
    #[arg(long)]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct TailOptions {
    /// Begin with what has ended in the last two minutes.
    #[arg(long)]
    pub(crate) past: bool,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyOptions {
    /// Only this provider, which then has to be configured.
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(names()))]
    pub(crate) provider: Option<String>,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// Port to listen on, on 127.0.0.1.
    #[arg(long, env = "TURNWISE_PORT", default_value_t = 8787, global = true)]
    pub(crate) port: u16,
    /// The server that the other commands talk to; the one of this machine unless given.
    #[arg(long, env = "TURNWISE_URL", global = true)]
    pub(crate) url: Option<String>,
    /// Folder for the database and the key.
    #[arg(long, env = "TURNWISE_DATA_DIR", default_value = ".turnwise", global = true)]
    pub(crate) data_dir: PathBuf,
    /// A fixed development key; otherwise one is made on the first start and kept
    /// in the data folder.
    #[arg(long, env = "TURNWISE_DEV_KEY", hide_env_values = true, global = true)]
    pub(crate) dev_key: Option<String>,
    /// What the digests of API keys depend on, as a deployment is given it; otherwise a pepper is
    /// made on the first start and kept in the data folder.
    #[arg(long, env = "TURNWISE_KEY_PEPPERS", hide_env_values = true, global = true)]
    pub(crate) key_peppers: Option<String>,
    /// Where alerts about budgets are posted.
    #[arg(long, env = "TURNWISE_ALERT_WEBHOOK", hide_env_values = true, global = true)]
    pub(crate) alert_webhook: Option<String>,
    /// What the posts are signed with.
    #[arg(long, env = "TURNWISE_ALERT_WEBHOOK_SECRET", hide_env_values = true, global = true)]
    pub(crate) alert_webhook_secret: Option<String>,
    /// Let webhooks go to this machine too, by plain HTTP.
    #[arg(long, env = "TURNWISE_WEBHOOK_ALLOW_LOOPBACK", global = true)]
    pub(crate) webhook_allow_loopback: bool,
    /// Keep nothing on disk.
    #[arg(long, global = true)]
    pub(crate) memory: bool,
    /// A DynamoDB-compatible engine to use instead of the embedded one, which several
    /// processes may share: `http://127.0.0.1:8000`.
    #[arg(long, env = "AWS_ENDPOINT_URL_DYNAMODB", global = true)]
    pub(crate) table_endpoint: Option<String>,
    /// Seconds between two looks for due work that nobody was told of; 0 leaves that to
    /// other processes on the same table.
    #[arg(long, env = "TURNWISE_SWEEP_EVERY_S", default_value_t = SWEEP_EVERY.as_secs(), global = true)]
    pub(crate) sweep_every_s: u64,
    /// Days that what is said is kept; 0 keeps it for ever.
    #[arg(long, env = "TURNWISE_RETENTION_DAYS", default_value_t = 0, global = true,
        value_parser = clap::value_parser!(u32).range(..=MAX_RETENTION_DAYS))]
    pub(crate) retention_days: u32,
    /// Origins of the pages that may call the server from a browser, separated by commas:
    /// `http://localhost:3000`. None unless given.
    #[arg(long, env = "TURNWISE_CORS_ORIGINS", default_value = "", global = true)]
    pub(crate) cors_origins: String,
    /// What a request without a model gets, `provider/model`.
    #[arg(long, env = "TURNWISE_DEFAULT_MODEL", global = true)]
    pub(crate) default_model: Option<String>,
    /// A JSON file with a table of prices, under those that are imported.
    #[arg(long, env = "TURNWISE_PRICES", global = true)]
    pub(crate) prices: Option<PathBuf>,
    /// What answers are compared with, `provider/model`, where their tenant has named nothing.
    #[arg(long, env = "TURNWISE_BASELINE_MODEL", global = true)]
    pub(crate) baseline_model: Option<String>,
    /// Whether AWS credentials and a region in the environment make Bedrock a provider.
    #[arg(long, env = "TURNWISE_BEDROCK", default_value_t = true, action = ArgAction::Set, global = true)]
    pub(crate) bedrock: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ChatOptions {
    /// The model, `provider/model`.
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// The conversation to go on with; a new one unless given.
    #[arg(long)]
    pub(crate) thread: Option<String>,
}

/// The names of the providers that can be configured.
fn names() -> impl Iterator<Item = &'static str> {
    known().iter().map(|known| known.name.as_str())
}

impl Settings {
    /// The providers that the environment configures.
    ///
    /// # Errors
    /// Every malformed setting, all at once.
    pub(crate) fn providers(&self) -> anyhow::Result<Providers> {
        let offered = |name: &str| variable(name).filter(|_| self.bedrock || !name.starts_with(AWS));
        let settings =
            ProviderSettings { default_model: self.default_model.clone(), ..ProviderSettings::read(offered) };
        Providers::new(&settings).context("the settings of the providers are not valid")
    }

    /// How `providers` are called.
    ///
    /// # Errors
    /// Every malformed setting, all at once.
    pub(crate) fn calls(providers: &Providers) -> anyhow::Result<CallPolicy> {
        CallPolicy::read(variable, providers).context("the settings for calls of providers are not valid")
    }

    /// How long what is said is kept; `None` keeps it for ever.
    pub(crate) fn retention(&self) -> Option<Duration> {
        Some(self.retention_days).filter(|days| *days > 0).map(|days| DAY * days)
    }

    /// The operator's own table of prices, if there is one.
    ///
    /// # Errors
    /// When it cannot be read, with every fault of it.
    pub(crate) fn price_file(&self) -> anyhow::Result<Option<PriceTable>> {
        let file = self.prices.as_deref().filter(|file| !file.as_os_str().is_empty());
        file.map(prices::table).transpose().context("TURNWISE_PRICES is not valid")
    }

    /// What answers are compared with, if it is named.
    ///
    /// # Errors
    /// When the catalogue has no such model.
    pub(crate) fn baseline(&self) -> anyhow::Result<Option<Baseline>> {
        let name = self.baseline_model.as_deref().map(str::trim).filter(|name| !name.is_empty());
        let named = name.map(|name| Baseline::shipped_of("TURNWISE_BASELINE_MODEL", name)).transpose();
        named.map_err(Faults::from).context("the settings are not valid")
    }

    /// Where alerts go.
    ///
    /// # Errors
    /// When webhooks may not go there.
    pub(crate) fn alerts(&self) -> anyhow::Result<Alerts> {
        let given =
            |text: &Option<String>| text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let (webhook, secret) = (given(&self.alert_webhook), given(&self.alert_webhook_secret));
        let reach = if self.webhook_allow_loopback { Reach::Loopback } else { Reach::Public };
        let webhooks = Webhooks::new(reach, secret.map(Secret::new));
        webhook.as_deref().map_or(Ok(()), |url| webhooks.check(url)).context("TURNWISE_ALERT_WEBHOOK is not valid")?;
        Ok(Alerts { webhook, webhooks })
    }

    /// The peppers, if they are set.
    ///
    /// # Errors
    /// When they are malformed.
    pub(crate) fn peppers(&self) -> anyhow::Result<Option<Peppers>> {
        let text = self.key_peppers.as_deref().map(str::trim).filter(|text| !text.is_empty());
        let parsed = text.map(|text| Peppers::parse("TURNWISE_KEY_PEPPERS", text)).transpose();
        parsed.map_err(Faults::from).context("the settings are not valid")
    }

    /// The pages that may call the server from a browser.
    ///
    /// # Errors
    /// When one of them is no origin.
    pub(crate) fn origins(&self) -> anyhow::Result<Origins> {
        Origins::parse("TURNWISE_CORS_ORIGINS", &self.cors_origins).map_err(|fault| anyhow::anyhow!("{fault}"))
    }

    /// The fixed development key, if one is set.
    ///
    /// # Errors
    /// When it could not stand in a header.
    pub(crate) fn fixed_key(&self) -> anyhow::Result<Option<&str>> {
        let key = self.dev_key.as_deref().map(str::trim).filter(|key| !key.is_empty());
        if key.is_some_and(|key| !key.bytes().all(|byte| byte.is_ascii_graphic())) {
            bail!("TURNWISE_DEV_KEY must consist of visible ASCII characters");
        }
        Ok(key)
    }
}

#[expect(clippy::disallowed_methods, reason = "the runner composes the program, so it reads the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
