//! The audit log as a file.

use turnwise_core::fault::Fault;

use super::audit::AuditBody;
use crate::error::Error;

/// The columns of a table, in order.
const COLUMNS: [&str; 11] =
    ["id", "at", "tenant", "action", "subject", "actor", "reason", "request_id", "before", "after", "detail"];

/// What spreadsheets take for the beginning of a formula.
/// <https://owasp.org/www-community/attacks/CSV_Injection>
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// One JSON object a line.
    JsonLines,
    /// A table with a heading, as RFC 4180 has it.
    Csv,
}

impl Format {
    const ALL: [Self; 2] = [Self::JsonLines, Self::Csv];

    /// The format called `name`; JSON Lines where none is named.
    ///
    /// # Errors
    /// A fault that lists them.
    pub(crate) fn parse(name: Option<&str>) -> Result<Self, Fault> {
        let Some(name) = name else { return Ok(Self::JsonLines) };
        let found = Self::ALL.into_iter().find(|format| format.name() == name);
        found.ok_or_else(|| Fault::new("format", format!("Expected jsonl or csv, got {name:?}.")))
    }

    /// Its name, which is also the ending of a file's.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::JsonLines => "jsonl",
            Self::Csv => "csv",
        }
    }

    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::JsonLines => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }

    /// The file's content.
    ///
    /// # Errors
    /// [`Error::Unwritten`], which texts written to memory do not cause.
    pub(crate) fn write(self, entries: impl Iterator<Item = AuditBody>) -> Result<Vec<u8>, Error> {
        let written = match self {
            Self::JsonLines => json_lines(entries),
            Self::Csv => table(entries),
        };
        written.map_err(Error::Unwritten)
    }
}

fn json_lines(entries: impl Iterator<Item = AuditBody>) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    for entry in entries {
        serde_json::to_writer(&mut text, &entry)?;
        text.push(b'\n');
    }
    Ok(text)
}

fn table(entries: impl Iterator<Item = AuditBody>) -> std::io::Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(COLUMNS)?;
    for entry in entries {
        writer.write_record(cells(&entry).map(harmless))?;
    }
    writer.into_inner().map_err(csv::IntoInnerError::into_error)
}

fn cells(entry: &AuditBody) -> [String; COLUMNS.len()] {
    let maybe = |text: &Option<String>| text.clone().unwrap_or_default();
    [
        entry.id.clone(),
        entry.at.clone(),
        entry.tenant.clone(),
        entry.action.clone(),
        entry.subject.clone(),
        maybe(&entry.actor),
        maybe(&entry.reason),
        entry.request_id.clone(),
        maybe(&entry.before),
        maybe(&entry.after),
        entry.detail.to_string(),
    ]
}

/// A cell that no spreadsheet takes for a formula.
pub(crate) fn harmless(cell: String) -> String {
    if cell.starts_with(FORMULA) { format!("'{cell}") } else { cell }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(reason: &str) -> AuditBody {
        AuditBody {
            object: "audit.entry",
            id: "i".to_owned(),
            at: "2026-11-21T16:00:00.000Z".to_owned(),
            tenant: "t".to_owned(),
            action: "lock.release".to_owned(),
            subject: "s".to_owned(),
            actor: None,
            reason: Some(reason.to_owned()),
            request_id: "r".to_owned(),
            before: None,
            after: None,
            detail: json!({"n": 1}),
        }
    }

    fn written(format: Format, reason: &str) -> String {
        String::from_utf8(format.write([entry(reason)].into_iter()).unwrap()).unwrap()
    }

    #[test]
    fn no_cell_begins_as_a_formula_does() {
        let check = |reason: &str, expected: &str| {
            let text = written(Format::Csv, reason);
            let row = text.split_once("\r\n").unwrap().1;
            assert_eq!(
                row,
                format!("i,2026-11-21T16:00:00.000Z,t,lock.release,s,,{expected},r,,,\"{{\"\"n\"\":1}}\"\r\n")
            );
        };
        check("stuck", "stuck");
        check("a=b", "a=b");
        check("=1+1", "'=1+1");
        check("+49", "'+49");
        check("-1", "'-1");
        check("@SUM(A1)", "'@SUM(A1)");
        check("\tx", "'\tx");
        check("\rx", "\"'\rx\"");
        check("=HYPERLINK(\"https://x\",\"y\")", "\"'=HYPERLINK(\"\"https://x\"\",\"\"y\"\")\"");
        check("two\nlines, one comma", "\"two\nlines, one comma\"");
    }

    #[test]
    fn a_line_of_json_is_one_line_whatever_stands_in_it() {
        let text = written(Format::JsonLines, "two\nlines");
        assert_eq!(text.lines().count(), 1);
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["reason"], "two\nlines");
    }

    #[test]
    fn a_format_is_found_by_its_name() {
        assert_eq!(Format::parse(None), Ok(Format::JsonLines));
        assert!(Format::ALL.into_iter().all(|format| Format::parse(Some(format.name())) == Ok(format)));
        assert_eq!(Format::parse(Some("xml")).unwrap_err().field, "format");
    }
}
