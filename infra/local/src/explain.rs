//! `turnwise explain`: what an error means, as `rustc --explain` does for the compiler's.

use std::fmt::Write as _;

use anyhow::bail;
use turnwise_core::category::{CODES, Category};

use crate::banner::print;

/// Prints the page of the category that `word` names, or all categories with their codes.
///
/// # Errors
/// When `word` is neither a category nor a code, with the names that it is like.
pub(crate) fn run(word: Option<&str>) -> anyhow::Result<()> {
    match word {
        None => print(&overview()),
        Some(word) => match Category::named(word) {
            Ok(category) => print(category.page()),
            Err(near) if near.is_empty() => {
                bail!("there is no category and no code {word:?}; \"turnwise explain\" lists them all")
            }
            Err(near) => bail!("there is no category and no code {word:?}; did you mean {}?", near.join(" or ")),
        },
    }
}

fn overview() -> String {
    let mut text = format!("{:<22} {:>6} {:<9} {:<5}  {}\n", "CATEGORY", "STATUS", "SEVERITY", "RETRY", "CODES");
    for category in Category::ALL {
        let row = category.profile();
        let codes = CODES.iter().filter(|row| row.category == category).map(|row| row.code);
        let codes = codes.collect::<Vec<_>>().join(", ");
        let (name, severity, retry) = (category.to_string(), row.severity.to_string(), row.retry.to_string());
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<22} {:>6} {severity:<9} {retry:<5}  {codes}", row.status);
    }
    text.push_str("\n\"turnwise explain NAME\" says more of a category, or of the category of a code.\n");
    text
}
