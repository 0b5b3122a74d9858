//! The words that a score looks for, in a table that is made when the program is compiled.
//!
//! The words were chosen by hand, before any prompt was scored: for each category those that
//! come to mind first, lower case, one form each unless another is as usual. They are English.
//! A text in another language is scored by its length, shape and symbols alone.

/// What a word says of the task it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// Programs.
    Code,
    /// Reasons, comparisons, proofs.
    Reason,
    /// Technical or professional matter.
    Technical,
    /// Small talk, facts, short answers.
    Simple,
    /// Mathematics.
    Maths,
    /// Stories and verse.
    Creative,
    /// One thing after another.
    Step,
    /// What is to be made.
    Verb,
}

impl Category {
    /// How many there are.
    pub(super) const COUNT: usize = 8;

    /// Its place in an array of all.
    pub(super) const fn place(self) -> usize {
        match self {
            Self::Code => 0,
            Self::Reason => 1,
            Self::Technical => 2,
            Self::Simple => 3,
            Self::Maths => 4,
            Self::Creative => 5,
            Self::Step => 6,
            Self::Verb => 7,
        }
    }
}

const CODE: &[&str] = &[
    "function",
    "class",
    "method",
    "variable",
    "array",
    "loop",
    "string",
    "bug",
    "debug",
    "compile",
    "compiler",
    "code",
    "script",
    "regex",
    "refactor",
    "python",
    "rust",
    "javascript",
    "typescript",
    "java",
    "sql",
    "html",
    "css",
    "bash",
];

const REASON: &[&str] = &[
    "why",
    "because",
    "explain",
    "prove",
    "proof",
    "justify",
    "analyse",
    "analyze",
    "analysis",
    "compare",
    "contrast",
    "evaluate",
    "argue",
    "argument",
    "critique",
    "derive",
    "deduce",
    "infer",
    "assess",
    "tradeoff",
    "tradeoffs",
    "implications",
    "hypothesis",
    "counterexample",
];

const TECHNICAL: &[&str] = &[
    "api",
    "database",
    "server",
    "kernel",
    "network",
    "protocol",
    "algorithm",
    "distributed",
    "latency",
    "throughput",
    "concurrency",
    "thread",
    "transaction",
    "encryption",
    "architecture",
    "cluster",
    "cache",
    "schema",
    "index",
    "memory",
    "kubernetes",
    "docker",
    "tcp",
    "quantum",
    "genome",
    "enzyme",
    "diagnosis",
    "statute",
    "liability",
    "regulation",
];

const SIMPLE: &[&str] = &[
    "hi",
    "hello",
    "hey",
    "thanks",
    "thank",
    "what",
    "who",
    "when",
    "where",
    "define",
    "definition",
    "spell",
    "capital",
    "synonym",
    "translate",
    "name",
    "today",
    "weather",
    "meaning",
    "short",
    "quick",
    "quickly",
    "simple",
    "briefly",
];

const MATHS: &[&str] = &[
    "equation",
    "integral",
    "derivative",
    "matrix",
    "vector",
    "theorem",
    "probability",
    "calculate",
    "compute",
    "sum",
    "solve",
    "integer",
    "polynomial",
    "prime",
    "modulo",
    "geometry",
    "algebra",
    "eigenvalue",
    "variance",
    "gradient",
    "permutation",
    "logarithm",
    "inequality",
    "triangle",
];

const CREATIVE: &[&str] = &[
    "story",
    "poem",
    "haiku",
    "novel",
    "character",
    "dialogue",
    "lyrics",
    "song",
    "imagine",
    "invent",
    "creative",
    "narrative",
    "slogan",
    "metaphor",
    "plot",
    "scene",
    "fiction",
    "rhyme",
    "screenplay",
    "essay",
];

const STEP: &[&str] = &[
    "step",
    "steps",
    "first",
    "then",
    "next",
    "finally",
    "second",
    "third",
    "after",
    "before",
    "plan",
    "procedure",
    "sequence",
    "phase",
    "stages",
    "workflow",
];

const VERB: &[&str] = &[
    "write",
    "build",
    "design",
    "implement",
    "create",
    "develop",
    "optimise",
    "optimize",
    "rewrite",
    "summarise",
    "summarize",
    "extract",
    "classify",
    "convert",
    "fix",
    "improve",
    "review",
    "generate",
    "draft",
    "migrate",
    "propose",
    "simulate",
];

/// The shipped words by category.
const WORDS: [(Category, &[&str]); Category::COUNT] = [
    (Category::Code, CODE),
    (Category::Reason, REASON),
    (Category::Technical, TECHNICAL),
    (Category::Simple, SIMPLE),
    (Category::Maths, MATHS),
    (Category::Creative, CREATIVE),
    (Category::Step, STEP),
    (Category::Verb, VERB),
];

/// Places of the table: more than twice as many as there are words, so that a word that is
/// not there is mostly missed at the first look.
const PLACES: usize = 512;

/// Words of a lexicon at most.
const MAX_WORDS: usize = PLACES / 2;

/// FNV-1a, 32 bits: one multiplication a byte, and made while the text is read. Two words of
/// the lexicon with one hash would stop the compiler, see [`Lexicon::of`]; that any other word
/// has the hash of one of them has a chance of 1 in 20 million.
const OFFSET: u32 = 0x811c_9dc5;
const PRIME: u32 = 0x0100_0193;

/// The hash of a word that has no letters yet.
pub(super) const NO_WORD: u32 = OFFSET;

/// The bit that tells ASCII's small letters from its capitals, and that digits have anyway.
const LOWER: u8 = 0x20;

/// The hash of a word with `byte`, a letter or a digit, behind it. Case does not matter.
pub(super) const fn hash(word: u32, byte: u8) -> u32 {
    (word ^ (byte | LOWER) as u32).wrapping_mul(PRIME)
}

/// Words and what each says.
#[derive(Debug, Clone)]
pub struct Lexicon {
    places: [Place; PLACES],
}

#[derive(Debug, Clone, Copy)]
struct Place {
    hash: u32,
    category: Option<Category>,
}

static SHIPPED: Lexicon = Lexicon::of(&WORDS);

impl Lexicon {
    /// The shipped one.
    #[must_use]
    pub const fn shipped() -> &'static Self {
        &SHIPPED
    }

    /// One of `words`, in ASCII's lower case.
    ///
    /// # Panics
    /// When there are more than 256 of them, or two with the same hash; the shipped words
    /// are looked at by the compiler.
    #[must_use]
    pub const fn of(words: &[(Category, &[&str])]) -> Self {
        let mut places = [Place { hash: 0, category: None }; PLACES];
        let (mut row, mut count) = (0, 0);
        while row < words.len() {
            let (category, list) = words[row];
            let mut at = 0;
            while at < list.len() {
                let hash = hash_of(list[at].as_bytes());
                let mut place = first_place(hash);
                while places[place].category.is_some() {
                    assert!(places[place].hash != hash, "a word is there twice, or shares its hash");
                    place = (place + 1) % PLACES;
                }
                places[place] = Place { hash, category: Some(category) };
                count += 1;
                assert!(count <= MAX_WORDS, "more words than a lexicon takes");
                at += 1;
            }
            row += 1;
        }
        Self { places }
    }

    /// What the word with `hash` says.
    pub(super) fn category(&self, hash: u32) -> Option<Category> {
        let mut place = first_place(hash);
        // Half of the places are empty: it ends.
        while let Place { hash: found, category: Some(category) } = self.places[place] {
            if found == hash {
                return Some(category);
            }
            place = (place + 1) % PLACES;
        }
        None
    }
}

const fn hash_of(word: &[u8]) -> u32 {
    let (mut so_far, mut at) = (NO_WORD, 0);
    while at < word.len() {
        so_far = hash(so_far, word[at]);
        at += 1;
    }
    so_far
}

const fn first_place(hash: u32) -> usize {
    ((hash ^ (hash >> 16)) as usize) % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_in_its_category_and_no_other_word_is() {
        let mut count = 0;
        for (category, words) in WORDS {
            for word in words {
                assert_eq!(SHIPPED.category(hash_of(word.as_bytes())), Some(category), "{word}");
                assert!(word.bytes().all(|byte| byte.is_ascii_lowercase()), "{word}");
                count += 1;
            }
        }
        assert_eq!(count, 184);
        for other in ["", "the", "functional", "ünction", "banana"] {
            assert_eq!(SHIPPED.category(hash_of(other.as_bytes())), None, "{other}");
        }
    }

    #[test]
    fn case_does_not_matter() {
        assert_eq!(hash_of(b"Python"), hash_of(b"python"));
    }

    #[test]
    #[should_panic(expected = "twice")]
    fn a_word_has_one_meaning() {
        let _ = Lexicon::of(&[(Category::Code, &["loop"]), (Category::Step, &["loop"])]);
    }
}
