//! How long each part of a call may take, for each model.

use std::time::Duration;

use crate::catalogue::Model;
use crate::limits::{
    BETWEEN_TOKENS_TIMEOUT, CALL_TIMEOUT, CONNECT_TIMEOUT, FIRST_TOKEN_TIMEOUT, REASONING_FIRST_TOKEN_TIMEOUT,
};

/// How long each part of a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection stands, TLS included.
    pub connect: Duration,
    /// Until the first event of a stream.
    pub first_token: Duration,
    /// Between two events of a stream.
    pub between_tokens: Duration,
    /// Until the whole answer is there.
    pub total: Duration,
}

impl Timeouts {
    /// What holds unless the operator says otherwise: a model that reasons may think for
    /// long before its first word.
    #[must_use]
    pub fn usual(model: Option<&Model>) -> Self {
        let reasons = model.is_some_and(|model| model.can("reasoning"));
        Self {
            connect: CONNECT_TIMEOUT,
            first_token: if reasons { REASONING_FIRST_TOKEN_TIMEOUT } else { FIRST_TOKEN_TIMEOUT },
            between_tokens: BETWEEN_TOKENS_TIMEOUT,
            total: CALL_TIMEOUT,
        }
    }
}

/// What the operator says: rules, of which later ones win.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TimeoutRules(Vec<Rule>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    /// `provider/model`; at its end a `*` stands for anything.
    pattern: String,
    part: Part,
    time: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Connect,
    FirstToken,
    BetweenTokens,
    Total,
}

impl TimeoutRules {
    /// Reads rules such as `* first_token=60s; openai/gpt-6* first_token=5m total=20m`:
    /// between semicolons a pattern and, behind it, one or more of `connect`,
    /// `first_token`, `between_tokens` and `total` with a time in `ms`, `s` or `m`.
    ///
    /// # Errors
    /// A sentence that says which part cannot be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rules = Vec::new();
        for rule in text.split(';').map(str::trim).filter(|rule| !rule.is_empty()) {
            let mut words = rule.split_whitespace();
            let pattern = words.next().unwrap_or_default();
            if pattern.contains('=') || pattern.trim_end_matches('*').contains('*') {
                return Err(format!(
                    "Expected the name of a model or its beginning and a *, such as openai/*, got {pattern:?}."
                ));
            }
            let before = rules.len();
            for word in words {
                let (part, time) = setting(word).ok_or_else(|| {
                    format!(
                        "Expected connect, first_token, between_tokens or total =TIME, such as total=90s, got {word:?}."
                    )
                })?;
                rules.push(Rule { pattern: pattern.to_owned(), part, time });
            }
            if rules.len() == before {
                return Err(format!("Nothing is said about {pattern:?}."));
            }
        }
        Ok(Self(rules))
    }

    /// What holds for the model `name`, which is `provider/model`.
    #[must_use]
    pub fn of(&self, name: &str, model: Option<&Model>) -> Timeouts {
        let mut timeouts = Timeouts::usual(model);
        for rule in self.0.iter().filter(|rule| rule.matches(name)) {
            let part = match rule.part {
                Part::Connect => &mut timeouts.connect,
                Part::FirstToken => &mut timeouts.first_token,
                Part::BetweenTokens => &mut timeouts.between_tokens,
                Part::Total => &mut timeouts.total,
            };
            *part = rule.time;
        }
        timeouts
    }
}

impl Rule {
    fn matches(&self, name: &str) -> bool {
        match self.pattern.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == self.pattern,
        }
    }
}

fn setting(word: &str) -> Option<(Part, Duration)> {
    let (part, time) = word.split_once('=')?;
    let part = match part {
        "connect" => Part::Connect,
        "first_token" => Part::FirstToken,
        "between_tokens" => Part::BetweenTokens,
        "total" => Part::Total,
        _ => return None,
    };
    let digits = time.trim_end_matches(|char: char| char.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok().filter(|number| *number > 0)?;
    let time = match &time[digits.len()..] {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.checked_mul(60)?),
        _ => return None,
    };
    Some((part, time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;

    #[test]
    fn later_rules_win_where_they_match() {
        let rules = "* first_token=60s total=2m; openai/gpt-4o* total=500ms ;openai/gpt-4o-mini connect=1s";
        let rules = TimeoutRules::parse(rules).unwrap();
        let of = |name: &str| {
            let Timeouts { connect, first_token, total, .. } = rules.of(name, None);
            (connect.as_millis(), first_token.as_millis(), total.as_millis())
        };
        assert_eq!(of("groq/x"), (5_000, 60_000, 120_000));
        assert_eq!(of("openai/gpt-4o"), (5_000, 60_000, 500));
        assert_eq!(of("openai/gpt-4o-mini"), (1_000, 60_000, 500));
    }

    #[test]
    fn a_model_that_reasons_may_think_longer() {
        let model = Catalogue::shipped().get("openai", "gpt-5.5");
        assert_eq!(Timeouts::usual(model).first_token, REASONING_FIRST_TOKEN_TIMEOUT);
        assert_eq!(Timeouts::usual(None).first_token, FIRST_TOKEN_TIMEOUT);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (text, named) in [
            ("openai/*", "openai/*"),
            ("first_token=1s", "first_token=1s"),
            ("a*b total=1s", "a*b"),
            ("* total=1h", "total=1h"),
            ("* total=0s", "total=0s"),
            ("* totals=1s", "totals=1s"),
            ("* total=99999999999999999999s", "total=9"),
        ] {
            let message = TimeoutRules::parse(text).unwrap_err();
            assert!(message.contains(named), "{text}: {message}");
        }
        assert_eq!(TimeoutRules::parse(" ; ").unwrap(), TimeoutRules::default());
    }
}
