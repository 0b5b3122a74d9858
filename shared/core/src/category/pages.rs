//! What the documentation says of each category, and how it is found.

use super::{CODES, Category};

/// From which likeness on, between 0 and 1, a name is suggested for a word that is none.
const LIKENESS: f64 = 0.8;

/// Most names that are suggested: more would be a list to search.
const MAX_SUGGESTIONS: usize = 3;

/// End of every category's name, which people leave out.
const ERROR: &str = "_ERROR";

impl Category {
    /// The category's page of the documentation, in Markdown.
    #[must_use]
    pub const fn page(self) -> &'static str {
        match self {
            Self::ApiError => include_str!("../../errors/api_error.md"),
            Self::NetworkError => include_str!("../../errors/network_error.md"),
            Self::ValidationError => include_str!("../../errors/validation_error.md"),
            Self::TimeoutError => include_str!("../../errors/timeout_error.md"),
            Self::AuthenticationError => include_str!("../../errors/authentication_error.md"),
            Self::AuthorizationError => include_str!("../../errors/authorization_error.md"),
            Self::RateLimitError => include_str!("../../errors/rate_limit_error.md"),
            Self::CostLimitError => include_str!("../../errors/cost_limit_error.md"),
            Self::NotFoundError => include_str!("../../errors/not_found_error.md"),
            Self::InternalError => include_str!("../../errors/internal_error.md"),
            Self::RagError => include_str!("../../errors/rag_error.md"),
            Self::EmbeddingError => include_str!("../../errors/embedding_error.md"),
        }
    }

    /// The category that `word` means: by its own name, in any case and with or without
    /// `_ERROR`, or by one of its codes.
    ///
    /// # Errors
    /// The names that `word` is like, the most like first; none where it is like nothing.
    pub fn named(word: &str) -> Result<Self, Vec<String>> {
        let wanted = word.trim().to_ascii_uppercase().replace(['-', ' '], "_");
        let names: Vec<(String, Self)> = names().collect();
        let found = names.iter().find(|(name, _)| {
            let name = name.to_ascii_uppercase();
            name == wanted || name.strip_suffix(ERROR) == Some(&wanted)
        });
        if let Some((_, category)) = found {
            return Ok(*category);
        }
        let likeness = |name: &str| {
            let name = name.to_ascii_uppercase();
            let bare = name.strip_suffix(ERROR).unwrap_or(&name);
            strsim::jaro_winkler(&wanted, &name).max(strsim::jaro_winkler(&wanted, bare))
        };
        let alike = names.into_iter().map(|(name, _)| (likeness(&name), name));
        let mut alike: Vec<(f64, String)> = alike.filter(|(likeness, _)| *likeness >= LIKENESS).collect();
        alike.sort_by(|(left, _), (right, _)| right.total_cmp(left));
        Err(alike.into_iter().take(MAX_SUGGESTIONS).map(|(_, name)| name).collect())
    }
}

/// Every name that a category is known by: its own, and its codes.
fn names() -> impl Iterator<Item = (String, Category)> {
    let own = Category::ALL.into_iter().map(|category| (category.to_string(), category));
    // The code of a category's own row may be one that nothing answers with yet.
    let reserved = Category::ALL.into_iter().map(Category::profile);
    let reserved = reserved.filter(|row| !CODES.iter().any(|known| known.code == row.code));
    let codes = CODES.iter().copied().chain(reserved);
    own.chain(codes.map(|row| (row.code.to_owned(), row.category)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The rows of a page's table of codes: code, status, whether a retry helps.
    fn rows_of(page: &str) -> BTreeSet<(String, String, String)> {
        let rows = page.lines().filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
            let mut next = || cells.next().unwrap_or_default().trim_matches('`').to_owned();
            Some((next(), next(), next()))
        });
        rows.collect()
    }

    #[test]
    fn a_page_lists_the_codes_of_its_category_and_no_other() {
        for category in Category::ALL {
            let codes = CODES.iter().filter(|row| row.category == category);
            let codes = codes.map(|row| (row.code.to_owned(), row.status.to_string(), row.retry.to_string()));
            assert_eq!(rows_of(category.page()), codes.collect(), "{category}");
        }
    }

    #[test]
    fn a_page_states_its_row_of_the_table() {
        for category in Category::ALL {
            let (page, row) = (category.page(), category.profile());
            assert!(page.starts_with(&format!("# {category}\n")), "{category}");
            let retry = row.retry;
            let stated =
                format!("Status {} · type `{}` · severity {} · retry: {retry}\n", row.status, row.kind, row.severity);
            assert!(page.contains(&stated), "{category}: {stated}");
            for chapter in ["What it means", "What to do", "Retries", "Example"] {
                assert!(page.contains(&format!("\n## {chapter}\n")), "{category}: {chapter}");
            }
        }
    }

    #[test]
    fn a_page_names_the_codes_whose_severity_is_their_own() {
        for row in CODES.iter().filter(|row| row.severity != row.category.profile().severity) {
            let stated = format!("`{}`: severity {}", row.code, row.severity);
            assert!(row.category.page().contains(&stated), "{stated}");
        }
    }

    #[test]
    fn an_example_is_an_error_body_of_its_category() {
        for category in Category::ALL {
            let Some((_, behind)) = category.page().split_once("```json\n") else {
                let has_codes = CODES.iter().any(|row| row.category == category);
                assert!(!has_codes, "{category} has no example");
                continue;
            };
            let (example, _) = behind.split_once("```").unwrap();
            let error = &serde_json::from_str::<serde_json::Value>(example).unwrap()["error"];
            let row = category.profile_of(error["code"].as_str().unwrap());
            assert_eq!(error["category"], category.to_string());
            assert_eq!(error["type"], row.kind);
            assert_eq!(error["severity"], row.severity.to_string());
            assert_eq!(error["retryable"], row.retry.may_help());
            let details = super::super::Details {
                field: error["param"].as_str(),
                wait: error["retry_after_s"].as_f64().map(std::time::Duration::from_secs_f64),
                request_id: error["request_id"].as_str(),
                ..super::super::Details::default()
            };
            assert_eq!(error["user_message"], row.user_text(&details), "{category}");
        }
    }

    #[test]
    fn a_word_is_understood_as_a_name_or_a_code() {
        for category in Category::ALL {
            assert_eq!(Category::named(&category.to_string()), Ok(category));
        }
        for (word, category) in [
            ("rate_limit", Category::RateLimitError),
            ("Rate-Limit-Error", Category::RateLimitError),
            (" insufficient_quota ", Category::CostLimitError),
            ("budget_exceeded", Category::CostLimitError),
            ("turn_gone", Category::NotFoundError),
        ] {
            assert_eq!(Category::named(word), Ok(category), "{word}");
        }
    }

    #[test]
    fn near_names_are_suggested() {
        let near = |word: &str| Category::named(word).unwrap_err();
        assert_eq!(near("rate_limt")[0], "RATE_LIMIT_ERROR");
        assert_eq!(near("provider_auth_faild")[0], "provider_auth_failed");
        assert!(near("timout").contains(&"timeout".to_owned()));
        assert!(near("xyzzy").is_empty());
    }
}
