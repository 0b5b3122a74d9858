//! Whose tokenizer a model has.

use super::calibration::Scale;

/// A tokenizer that `OpenAI` has published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tokenizer {
    /// `o200k_base`, from GPT-4o on; gpt-oss has the same with other special tokens.
    O200k,
    /// `cl100k_base`: GPT-4 and GPT-3.5.
    Cl100k,
}

/// Models whose tokenizers make about as many tokens of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `OpenAI`'s, whose tokenizers are public.
    OpenAi(Tokenizer),
    /// Claude.
    Anthropic,
    /// Gemini.
    Gemini,
    /// `local/echo`, to which a token is four characters.
    Echo,
    /// All others.
    Other,
}

/// Beginnings of names of `OpenAI`'s models with [`Tokenizer::Cl100k`], as its tiktoken
/// lists them. The names of newer ones begin with a part of these: `gpt-4o`, `gpt-4.1`.
const CL100K: [&str; 3] = ["gpt-3.5", "gpt-35", "gpt-4"];

/// Beginnings of the names of all its models with [`Tokenizer::O200k`]. Models after GPT-5
/// are taken to have GPT-5's.
const O200K: [&str; 9] = ["gpt-4o", "gpt-4.", "gpt-5", "gpt-6", "gpt-oss", "chatgpt-", "codex-", "o1", "o3"];

/// The last of `OpenAI`'s models whose names begin so.
const O4: &str = "o4-";

impl Family {
    /// The family of the model `model` of the provider `provider`. Goes by the model's name,
    /// as many providers serve the models of others: `anthropic/claude-opus-5`,
    /// `us.anthropic.claude-haiku-4-5`, `ft:gpt-4o:me`.
    #[must_use]
    pub fn of(provider: &str, model: &str) -> Self {
        let own = model.rsplit('/').next().unwrap_or(model);
        let own = own.strip_prefix("ft:").or_else(|| own.strip_prefix("openai.")).unwrap_or(own);
        let begins = |names: &[&str]| names.iter().any(|name| own.starts_with(name));
        if provider == "local" {
            Self::Echo
        } else if begins(&O200K) || own.starts_with(O4) {
            Self::OpenAi(Tokenizer::O200k)
        } else if begins(&CL100K) {
            Self::OpenAi(Tokenizer::Cl100k)
        } else if own.contains("claude") {
            Self::Anthropic
        } else if own.starts_with("gemini") || own.starts_with("gemma") {
            Self::Gemini
        } else {
            Self::Other
        }
    }

    /// How many tokens it makes where [`estimate_tokens`](super::estimate_tokens) says one.
    /// On the side of too many, because what is too long fails, and what is thought too long
    /// is told to whoever asks or left to the provider.
    ///
    /// | family | factor | source |
    /// |---|---|---|
    /// | `OpenAI`, `o200k_base` | 1.00 | what the estimate is fitted to |
    /// | `OpenAI`, `cl100k_base` | 1.20 | measured over our fixtures: 1.0 for English and code, 1.2 for German and French, 1.6 for Russian, 3.2 for Hindi |
    /// | Anthropic | 1.35 | Anthropic, "Migration guide", Claude Opus 4.7: the new tokenizer makes 1.0 to 1.35 times as many tokens |
    /// | Gemini | 1.15 | Google, "Understand and count tokens": about four characters a token, where English prose has 4.6 with `o200k_base` |
    /// | others | 1.25 | `DeepSeek`, "Token usage": 0.3 tokens an English character, where `o200k_base` has 0.22 to 0.25 |
    /// | `local/echo` | 1.15 | four characters a token |
    #[must_use]
    pub const fn factor(self) -> Scale {
        match self {
            Self::OpenAi(Tokenizer::O200k) => Scale::percent(100),
            Self::OpenAi(Tokenizer::Cl100k) => Scale::percent(120),
            Self::Gemini | Self::Echo => Scale::percent(115),
            Self::Other => Scale::percent(125),
            Self::Anthropic => Scale::percent(135),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_known_by_the_models_name() {
        use Tokenizer::{Cl100k, O200k};
        let check = |provider: &str, model: &str, expected| {
            assert_eq!(Family::of(provider, model), expected, "{provider} {model}");
        };
        for model in
            ["gpt-4o-mini", "gpt-4.1", "gpt-5.4-mini", "gpt-6.1-sol", "o1", "o3-mini", "o4-mini", "chatgpt-4o-latest"]
        {
            check("openai", model, Family::OpenAi(O200k));
            check("openai", &format!("ft:{model}:me"), Family::OpenAi(O200k));
            check("openrouter", &format!("openai/{model}"), Family::OpenAi(O200k));
        }
        for model in ["gpt-4", "gpt-4-0613", "gpt-4-turbo", "gpt-3.5-turbo", "gpt-35-turbo"] {
            check("openai", model, Family::OpenAi(Cl100k));
        }
        check("groq", "openai/gpt-oss-20b", Family::OpenAi(O200k));
        check("bedrock", "openai.gpt-oss-120b-1:0", Family::OpenAi(O200k));
        check("anthropic", "claude-opus-5", Family::Anthropic);
        check("bedrock", "us.anthropic.claude-haiku-4-5-20251001-v1:0", Family::Anthropic);
        check("gemini", "gemini-3.8-flash", Family::Gemini);
        check("local", "echo", Family::Echo);
        for model in ["my-model", "meta-llama/llama-3", "mistral-large-4", "o200", ""] {
            check("openai", model, Family::Other);
        }
    }
}
