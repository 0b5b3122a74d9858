//! What a request is for, in its client's own words: `summarise`, `support.triage`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::fault::Fault;

/// Longest label, in characters: it stands in the key of a usage counter, whose row has to
/// stay under a kilobyte.
pub const MAX_TASK_CHARS: usize = 64;

/// A label of a request. It says nothing to the model: usage is summed up by it, and rules
/// that choose a model may name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Task(String);

impl Task {
    /// The label that `text`, given in `field`, is.
    ///
    /// # Errors
    /// A fault for anything but 1 to 64 of the characters `a-z`, `0-9`, `_`, `.`, `-`: two
    /// labels that people read as one would be counted as two.
    pub fn parse(field: &str, text: &str) -> Result<Self, Fault> {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte);
        let is_good = (1..=MAX_TASK_CHARS).contains(&text.len()) && text.bytes().all(is_plain);
        let message = || {
            format!(
                "A task is a label of 1 to {MAX_TASK_CHARS} of the characters a-z, 0-9, '_', '.', '-', in lower case."
            )
        };
        if is_good { Ok(Self(text.to_owned())) } else { Err(Fault::new(field, message())) }
    }

    /// The label as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A label read back from storage, where only valid ones are written.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Task {
    type Error = Fault;

    fn try_from(text: String) -> Result<Self, Fault> {
        Self::parse("task", &text)
    }
}

impl From<Task> for String {
    fn from(task: Task) -> Self {
        task.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_short_plain_and_in_lower_case() {
        let longest = "a".repeat(MAX_TASK_CHARS);
        for good in ["a", "summarise", "support.triage-2_b", "0", "-", &longest] {
            assert_eq!(Task::parse("task", good).unwrap().as_str(), good);
        }
        for bad in ["", "Summarise", "a b", "a#b", "a/b", "é", "a\n", &format!("{longest}a")] {
            assert_eq!(Task::parse("task", bad).unwrap_err().field, "task", "{bad:?}");
        }
    }

    #[test]
    fn a_stored_label_is_read_by_the_same_rules() {
        let task = Task::parse("task", "sort").unwrap();
        assert_eq!(serde_json::to_string(&task).unwrap(), "\"sort\"");
        assert_eq!(serde_json::from_str::<Task>("\"sort\"").unwrap(), task);
        assert!(serde_json::from_str::<Task>("\"Sort\"").is_err());
    }
}
