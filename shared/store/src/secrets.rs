//! What must not stand in the environment of a function: keys of providers, peppers. They are
//! read once, when the function starts, from the SSM Parameter Store.

use std::collections::HashMap;

use aws_config::SdkConfig;
use serde::Deserialize;
use serde_json::json;

use crate::service::{Request, Service};

/// The values of parameters by the last part of their names. `Debug` shows the names alone.
#[derive(Clone, Default)]
pub struct Secrets(HashMap<String, String>);

/// Why secrets could not be read. No error tells a value.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Parameter Store refused, or did not answer.
    #[error("the parameters under {path} could not be read: {reason}")]
    Unread {
        /// Where they should be.
        path: String,
        /// What the service says.
        reason: String,
    },
    /// There is nothing: the path is wrong, or was never filled.
    #[error("there is no parameter under {path}")]
    Empty {
        /// Where they should be.
        path: String,
    },
}

impl Secrets {
    /// The parameters right under `path`, `/turnwise/production`, decrypted.
    ///
    /// # Errors
    /// When they cannot be read, and when there are none.
    pub async fn read(sdk: &SdkConfig, path: &str) -> Result<Self, Error> {
        let service = Service::new(sdk, "ssm");
        let mut found = HashMap::new();
        let mut next = None;
        loop {
            let page = read_page(&service, path, next.as_deref()).await.map_err(|error| {
                let reason = error.to_string();
                Error::Unread { path: path.to_owned(), reason }
            })?;
            for parameter in page.parameters {
                let name = parameter.name.rsplit('/').next().unwrap_or_default();
                found.insert(name.to_owned(), parameter.value);
            }
            next = page.next_token;
            if next.is_none() {
                break;
            }
        }
        if found.is_empty() { Err(Error::Empty { path: path.to_owned() }) } else { Ok(Self(found)) }
    }

    /// The value of the parameter called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// What `GetParametersByPath` answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    parameters: Vec<Parameter>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    name: String,
    value: String,
}

async fn read_page(service: &Service<'_>, path: &str, next: Option<&str>) -> Result<Page, crate::Error> {
    let mut body = json!({"Path": path, "WithDecryption": true});
    if let Some(next) = next {
        body["NextToken"] = json!(next);
    }
    let answer = service.send(Request {
        operation: "read_secrets",
        method: "POST",
        path: "/".to_owned(),
        headers: vec![
            ("content-type", "application/x-amz-json-1.1".to_owned()),
            ("x-amz-target", "AmazonSSM.GetParametersByPath".to_owned()),
        ],
        body: body.to_string().into_bytes(),
    });
    // The reason without the text, which holds the values.
    serde_json::from_slice(&answer.await?).map_err(|error| {
        crate::Error::corrupt(format!("the answer of the Parameter Store, at column {}", error.column()))
    })
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut names: Vec<_> = self.0.keys().collect();
        names.sort();
        f.debug_tuple("Secrets").field(&names).finish()
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Secrets {
    /// Secrets from elsewhere, for tests.
    fn from(rows: [(&str, &str); N]) -> Self {
        Self(rows.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_shown_by_their_names_alone() {
        let secrets = Secrets::from([("OPENAI_API_KEY", "sk-secret"), ("ANTHROPIC_API_KEY", "sk-other")]);
        assert_eq!(format!("{secrets:?}"), r#"Secrets(["ANTHROPIC_API_KEY", "OPENAI_API_KEY"])"#);
        assert_eq!(secrets.get("OPENAI_API_KEY"), Some("sk-secret"));
        assert_eq!(secrets.get("XAI_API_KEY"), None);
    }
}
