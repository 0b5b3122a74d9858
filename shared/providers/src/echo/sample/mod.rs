//! A small value that is valid against a JSON schema: the arguments of a call, or a
//! structured answer.
//!
//! Understood are the types with their limits, `enum`, `const`, `format`, `$ref` within
//! the schema, `allOf`, and the first possible one of `anyOf` and `oneOf`. Passed over
//! is what forbids or depends: `pattern`, `uniqueItems`, `not`, `if` and their like.

mod scalar;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde_json::Value;

use super::ordered::Ordered;

/// How deep a value may nest, in the order of the attempts: six levels show what a
/// recursive schema is about, OpenAI allows ten of objects with lists in between,
/// and a bushy one is only small enough when it is shallow.
const DEPTHS: [usize; 5] = [6, 12, 24, 3, 1];

/// Most schemas that one value is put together from, by references, `allOf` and
/// choices: far more than anybody writes, and the end of references in a circle.
const MAX_PARTS: usize = 64;

/// Schemas and their entries looked at in one attempt: some milliseconds of work.
const MAX_STEPS: usize = 500_000;

/// A value that is valid against `schema`, with `text` as its strings, in at most
/// `room` bytes; `None` if none is found so small. Half of the room is for strings:
/// a long text is cut before a property is left out.
pub(super) fn sample(schema: &Ordered, text: &str, room: usize) -> Option<Ordered> {
    DEPTHS.iter().find_map(|depth| {
        let mut sampler = Sampler { root: schema, text, steps: MAX_STEPS, room, room_for_text: room / 2 };
        sampler.value(schema, *depth)
    })
}

/// One attempt. `None` from any of its functions means: there is no such value within
/// this depth and what is left of steps and room.
struct Sampler<'a> {
    root: &'a Ordered,
    text: &'a str,
    steps: usize,
    room: usize,
    room_for_text: usize,
}

/// The schemas that one value must satisfy all at once.
#[derive(Debug, Clone, Default)]
struct Parts<'a> {
    schemas: Vec<&'a Ordered>,
    /// Alternatives of which one is still to be chosen each.
    choices: Vec<&'a [Ordered]>,
}

impl<'a> Parts<'a> {
    /// The keyword `name` of the first schema that has it.
    fn get(&self, name: &str) -> Option<&'a Ordered> {
        self.schemas.iter().find_map(|schema| schema.get(name))
    }

    /// The type; where none is said the one whose keywords are used, else a string.
    fn kind(&self) -> &'a str {
        let said = self.get("type").and_then(|kind| match kind.items() {
            [] => kind.as_str(),
            kinds => {
                let mut kinds = kinds.iter().filter_map(Ordered::as_str);
                kinds.clone().find(|kind| *kind != "null").or_else(|| kinds.next())
            }
        });
        let has = |names: &[&str]| names.iter().any(|name| self.get(name).is_some());
        said.unwrap_or_else(|| {
            if has(&["properties", "required", "additionalProperties"]) {
                "object"
            } else if has(&["items", "prefixItems", "minItems"]) {
                "array"
            } else if has(&["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]) {
                "number"
            } else {
                "string"
            }
        })
    }
}

impl<'a> Sampler<'a> {
    fn value(&mut self, schema: &'a Ordered, depth: usize) -> Option<Ordered> {
        let depth = depth.checked_sub(1)?;
        let mut parts = Parts::default();
        self.gather(schema, &mut parts)?;
        self.choose(parts, depth)
    }

    /// Adds `schema` to the parts, with what it refers to and consists of.
    fn gather(&mut self, schema: &'a Ordered, parts: &mut Parts<'a>) -> Option<()> {
        self.step(1 + schema.fields().len())?;
        let impossible = *schema == Ordered::Scalar(Value::Bool(false));
        if impossible || parts.schemas.len() >= MAX_PARTS {
            return None;
        }
        parts.schemas.push(schema);
        for name in ["anyOf", "oneOf"] {
            parts.choices.extend(schema.get(name).map(Ordered::items).filter(|choices| !choices.is_empty()));
        }
        if let Some(reference) = schema.get("$ref").and_then(Ordered::as_str) {
            self.step(reference.len())?;
            if let Some(referred) = self.resolve(reference) {
                self.gather(referred, parts)?;
            }
        }
        let all = schema.get("allOf").map(Ordered::items).unwrap_or_default();
        all.iter().try_for_each(|schema| self.gather(schema, parts))
    }

    /// The place in the schema that `reference` names: `#`, or `#/` and a JSON pointer.
    /// What is not in the schema is not looked for.
    fn resolve(&mut self, reference: &str) -> Option<&'a Ordered> {
        let mut names = reference.strip_prefix('#')?.split('/');
        let is_anchor = !names.next()?.is_empty();
        if is_anchor {
            return None;
        }
        let mut place = self.root;
        for name in names {
            self.step(place.fields().len())?;
            let name = name.replace("~1", "/").replace("~0", "~");
            place = match place.items() {
                [] => place.get(&name)?,
                items => items.get(name.parse::<usize>().ok()?)?,
            };
        }
        Some(place)
    }

    /// The value for the first alternatives that have one; null is the last resort.
    fn choose(&mut self, mut parts: Parts<'a>, depth: usize) -> Option<Ordered> {
        let Some(alternatives) = parts.choices.pop() else { return self.plain(&parts, depth) };
        let is_null = |schema: &&Ordered| schema.get("type").and_then(Ordered::as_str) == Some("null");
        let (nulls, others): (Vec<_>, Vec<_>) = alternatives.iter().partition(is_null);
        others.into_iter().chain(nulls).find_map(|alternative| {
            let mut parts = parts.clone();
            self.gather(alternative, &mut parts)?;
            self.choose(parts, depth)
        })
    }

    fn plain(&mut self, parts: &Parts<'a>, depth: usize) -> Option<Ordered> {
        let first_of_enum = || parts.get("enum").and_then(|values| values.items().first());
        if let Some(given) = parts.get("const").or_else(first_of_enum) {
            let bytes = given.to_text().len();
            self.step(bytes)?;
            self.take(bytes)?;
            return Some(given.clone());
        }
        match parts.kind() {
            "object" => self.object(parts, depth),
            "array" => self.array(parts, depth),
            "integer" | "number" => {
                self.take(8)?;
                scalar::number(parts).map(Ordered::Scalar)
            }
            "boolean" => {
                self.take(4)?;
                Some(Ordered::Scalar(Value::Bool(true)))
            }
            "null" => {
                self.take(4)?;
                Some(Ordered::Scalar(Value::Null))
            }
            _ => self.string(parts),
        }
    }

    /// The required properties in the order of `properties`; where none is required,
    /// all that can be had.
    fn object(&mut self, parts: &Parts<'a>, depth: usize) -> Option<Ordered> {
        self.take(2)?;
        let listed = |name: &'static str| parts.schemas.iter().filter_map(move |schema| schema.get(name));
        let required: Vec<&str> =
            listed("required").flat_map(|names| names.items()).filter_map(Ordered::as_str).collect();
        let properties: Vec<&(String, Ordered)> = listed("properties").flat_map(|list| list.fields()).collect();
        self.step(required.len() + properties.len())?;

        let wanted: BTreeSet<&str> = required.iter().copied().collect();
        let mut made = BTreeSet::new();
        let mut fields = Vec::new();
        for (name, schema) in properties {
            let passed_over = !wanted.is_empty() && !wanted.contains(name.as_str());
            if passed_over || !made.insert(name.as_str()) {
                continue;
            }
            match self.property(name, schema, depth) {
                Some(field) => fields.push(field),
                None if wanted.is_empty() => {}
                None => return None,
            }
        }
        for name in required {
            if made.insert(name) {
                self.take(name.len() + 4)?;
                fields.push((name.to_owned(), self.string(&Parts::default())?));
            }
        }
        Some(Ordered::Object(fields))
    }

    fn property(&mut self, name: &str, schema: &'a Ordered, depth: usize) -> Option<(String, Ordered)> {
        self.take(name.len() + 4)?;
        Some((name.to_owned(), self.value(schema, depth)?))
    }

    /// As many items as there must be, at least one if there is one.
    fn array(&mut self, parts: &Parts<'a>, depth: usize) -> Option<Ordered> {
        self.take(2)?;
        let count = |name| parts.get(name).and_then(Ordered::as_usize);
        let least = count("minItems").unwrap_or(0);
        // Older drafts list the schemas of the first items under `items`.
        let rest = parts.get("items").filter(|items| items.items().is_empty());
        let first = parts.get("prefixItems").or_else(|| parts.get("items")).map(Ordered::items).unwrap_or_default();
        let wanted = least.max(first.len()).max(1).min(count("maxItems").unwrap_or(usize::MAX));

        let mut items = Vec::new();
        for index in 0..wanted {
            self.take(1)?;
            let item = match first.get(index).or(rest) {
                Some(schema) => self.value(schema, depth),
                None => self.string(&Parts::default()),
            };
            match item {
                Some(item) => items.push(item),
                None if index >= least => break,
                None => return None,
            }
        }
        Some(Ordered::List(items))
    }

    fn string(&mut self, parts: &Parts<'a>) -> Option<Ordered> {
        let count = |name| parts.get(name).and_then(Ordered::as_usize);
        let least = count("minLength").unwrap_or(0);
        let formatted = parts.get("format").and_then(Ordered::as_str).and_then(scalar::formatted);
        // Padding that is longer than the room needs not be made.
        self.room.checked_sub(least)?;
        let made = match formatted {
            Some(formatted) => formatted.to_owned(),
            None => scalar::text(self.text, self.room_for_text, least, count("maxLength").unwrap_or(usize::MAX)),
        };
        self.room_for_text = self.room_for_text.saturating_sub(made.len());
        self.take(made.len() + 2)?;
        Some(Ordered::Scalar(Value::String(made)))
    }

    fn step(&mut self, steps: usize) -> Option<()> {
        self.steps = self.steps.checked_sub(steps)?;
        Some(())
    }

    fn take(&mut self, bytes: usize) -> Option<()> {
        self.room = self.room.checked_sub(bytes)?;
        Some(())
    }
}
