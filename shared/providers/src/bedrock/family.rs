//! Whose model an id names: what Converse leaves to each family of models.

use turnwise_core::catalogue::{Catalogue, Model};

/// What begins a model's own name, behind a region's prefix or in the ARN of a profile.
const VENDORS: [&str; 14] = [
    "anthropic.",
    "amazon.",
    "openai.",
    "meta.",
    "mistral.",
    "cohere.",
    "deepseek.",
    "qwen.",
    "ai21.",
    "writer.",
    "google.",
    "moonshot.",
    "minimax.",
    "nvidia.",
];

/// A family of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// Anthropic's Claude, of this version.
    Claude(u32, u32),
    /// Amazon's Nova of the first generation.
    Nova,
    /// Amazon's Nova from the second generation on, which can think.
    Nova2,
    /// OpenAI's models of open weights.
    GptOss,
    Mistral,
    Cohere,
    /// A model that only converses, as far as we know: Llama, Jamba, Titan.
    Plain,
    /// What came later, and what an opaque ARN hides.
    Unknown,
}

impl Family {
    /// The family of the model with the id or ARN `model`.
    pub(super) fn of(model: &str) -> Self {
        let name = bare(model);
        let is = |prefix: &str| name.starts_with(prefix);
        if let Some(version) = name.strip_prefix("anthropic.claude-") {
            let (major, minor) = claude(version);
            return Self::Claude(major, minor);
        }
        match () {
            () if is("amazon.nova-2") => Self::Nova2,
            () if is("amazon.nova") => Self::Nova,
            () if is("openai.gpt-oss") => Self::GptOss,
            () if is("mistral.") => Self::Mistral,
            () if is("cohere.") => Self::Cohere,
            () if is("meta.") || is("ai21.") || is("amazon.titan") => Self::Plain,
            () => Self::Unknown,
        }
    }

    /// Whether it has a prompt cache that breakpoints can be set for.
    pub(super) const fn caches(self) -> bool {
        matches!(self, Self::Claude(..) | Self::Nova | Self::Nova2 | Self::Unknown)
    }

    /// Whether a breakpoint can stand behind its tools.
    pub(super) const fn caches_tools(self) -> bool {
        matches!(self, Self::Claude(..) | Self::Unknown)
    }

    /// Whether it takes back what it thought.
    pub(super) const fn takes_thoughts(self) -> bool {
        matches!(self, Self::Claude(..) | Self::Unknown)
    }

    /// Whether it can be made to call one certain tool.
    pub(super) const fn forces_a_tool(self) -> bool {
        matches!(self, Self::Claude(..) | Self::Nova | Self::Nova2)
    }

    /// Whether Bedrock holds its answers and its calls to a schema.
    pub(super) const fn keeps_to_schemas(self) -> bool {
        match self {
            Self::Claude(major, minor) => at_least(major, minor, 4, 5),
            Self::GptOss | Self::Mistral | Self::Unknown => true,
            Self::Nova | Self::Nova2 | Self::Cohere | Self::Plain => false,
        }
    }

    /// Whether it refuses `temperature` beside `top_p`.
    pub(super) const fn takes_one_of_temperature_and_top_p(self) -> bool {
        match self {
            Self::Claude(major, minor) => at_least(major, minor, 4, 1),
            Self::Nova | Self::Nova2 | Self::GptOss | Self::Mistral | Self::Cohere | Self::Plain | Self::Unknown => {
                false
            }
        }
    }
}

/// Whether the version `major.minor` is `from_major.from_minor` or a later one.
pub(super) const fn at_least(major: u32, minor: u32, from_major: u32, from_minor: u32) -> bool {
    major > from_major || (major == from_major && minor >= from_minor)
}

/// What the catalogue says of `model`, or of the same model under another region's prefix:
/// what it can do and what it refuses does not depend on where it runs.
pub(super) fn facts(provider: &str, model: &str) -> Option<&'static Model> {
    let catalogue = Catalogue::shipped();
    let alike = |known: &&Model| known.provider == provider && bare(&known.id) == bare(model);
    catalogue.get(provider, model).or_else(|| catalogue.models.iter().find(alike))
}

/// The model's own name: without a region's prefix, out of an ARN.
fn bare(model: &str) -> &str {
    let model = model.rsplit('/').next().unwrap_or(model);
    VENDORS.iter().find_map(|vendor| model.find(vendor)).map_or(model, |at| &model[at..])
}

/// The version in what is behind `claude-`: `3-7-sonnet-20250219-v1:0`, `opus-4-6-v1`.
fn claude(rest: &str) -> (u32, u32) {
    // A number of more digits is a date.
    let number = |part: &&str| part.len() <= 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = rest.split('-').skip_while(|part| !number(part)).map_while(|part| Some(part).filter(number));
    let mut next = || parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
    (next(), next())
}

#[cfg(test)]
mod tests {
    use turnwise_core::catalogue::Rejection;

    use super::*;

    #[test]
    fn a_family_is_told_from_an_id_wherever_it_runs() {
        let rows = [
            ("anthropic.claude-3-haiku-20240307-v1:0", Family::Claude(3, 0)),
            ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", Family::Claude(3, 7)),
            ("apac.anthropic.claude-sonnet-4-20250514-v1:0", Family::Claude(4, 0)),
            ("us.anthropic.claude-haiku-4-5-20251001-v1:0", Family::Claude(4, 5)),
            ("anthropic.claude-opus-4-6-v1", Family::Claude(4, 6)),
            ("global.anthropic.claude-sonnet-5-5", Family::Claude(5, 5)),
            ("anthropic.claude-fable-5", Family::Claude(5, 0)),
            ("anthropic.claude-v2:1", Family::Claude(0, 0)),
            ("amazon.nova-micro-v1:0", Family::Nova),
            ("us.amazon.nova-2-lite-v1:0", Family::Nova2),
            ("openai.gpt-oss-120b-1:0", Family::GptOss),
            ("us.meta.llama3-3-70b-instruct-v1:0", Family::Plain),
            (
                "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-4-1-20250805-v1:0",
                Family::Claude(4, 1),
            ),
            ("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123", Family::Unknown),
            ("deepseek.v3-v1:0", Family::Unknown),
        ];
        for (model, family) in rows {
            assert_eq!(Family::of(model), family, "{model}");
        }
    }

    #[test]
    fn what_a_model_refuses_does_not_depend_on_its_region() {
        for model in ["global.anthropic.claude-sonnet-5-5", "eu.anthropic.claude-sonnet-5-5"] {
            assert!(facts("bedrock", model).unwrap().rejects(Rejection::SamplingParams), "{model}");
        }
        assert_eq!(facts("bedrock", "eu.anthropic.claude-9"), None);
    }
}
