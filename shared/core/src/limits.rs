//! Every limit of a turn, with its reason.

use std::time::Duration;

/// Longest body of a generating request, in bytes. One megabyte holds a long
/// conversation and stays far below Lambda's own 6 MB an event.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Longest `message` of `/v1/chat`, in bytes. A turn's input and answer share one
/// row of at most 400 KB, and a message that does not compress must still leave
/// room for its answer.
pub const MAX_MESSAGE_BYTES: usize = 256 * 1024;

/// Most that is kept of a response's request, its items and the parameters it repeats,
/// in bytes of JSON before packing: for the same reason as [`MAX_MESSAGE_BYTES`].
pub const MAX_RESPONSE_INPUT_BYTES: usize = 256 * 1024;

/// Longest input kept with a running turn, in bytes of JSON before packing: its row
/// fits even if nothing in it can be packed. A request above it is still
/// idempotent, but only its client can run it again.
pub const MAX_INPUT_BYTES: usize = 300 * 1024;

/// Longest answer kept in memory while it is made, in bytes. More than any
/// model's output limit today; an upstream that never ends stops here.
pub const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// Longest packed row of one turn, in bytes; DynamoDB refuses items over 400 KB,
/// keys and hashes need some of it.
pub const MAX_PACKED_BYTES: usize = 380 * 1024;

/// Longest partial text kept on a failed turn, in bytes before packing. A turn that may
/// run again keeps its input beside it, in one row of at most 400 KB.
pub const MAX_PARTIAL_BYTES: usize = 64 * 1024;

/// Longest idempotency key and longest id, in characters: what the draft
/// standard of the header and its users agree on.
pub const MAX_KEY_CHARS: usize = 255;

/// Deepest nesting of a JSON body. OpenAI's own requests stay under 20.
pub const MAX_JSON_DEPTH: usize = 64;

/// Most items added to a conversation in one call: OpenAI's own limit. They share
/// one row, and a page of a conversation is as long.
pub const MAX_ITEMS_PER_CALL: usize = 20;

/// Most compactions in one list of items: the newest covers those before it, and each may
/// unfold to hundreds of times its length.
pub const MAX_COMPACTION_ITEMS: usize = 8;

/// Longest content of a compaction once it is unfolded, in bytes of JSON: more than the
/// longest summary that is ever written takes, whatever its characters.
pub const MAX_COMPACTION_BYTES: usize = 64 * 1024;

/// What a compaction keeps of users' messages word for word, in estimated tokens of
/// their JSON: some pages of text, and little beside any model's context.
pub const KEPT_TOKENS: u64 = 2_000;

/// Longest summary that a model is asked for, in tokens: two pages, which hold what
/// matters of a long conversation.
pub const SUMMARY_TOKENS: u64 = 1_024;

/// What a model that reasons may think before it writes a summary, in tokens. Providers
/// count it as output, and without room for it such a model would say nothing.
pub const REASONING_TOKENS: u64 = 8_192;

/// Longest summary that is kept, in characters: tokens of ordinary text are shorter than
/// eight of them, and what a model says beyond its limit is cut off.
pub const MAX_SUMMARY_CHARS: usize = 8_192;

/// What a model that the catalogue does not know is taken to hold when a conversation is
/// compacted, in tokens: most hold more, and a smaller part costs only another request.
pub const ASSUMED_CONTEXT_TOKENS: u64 = 32_768;

/// Least of a conversation that a request for its summary has to have room for, in
/// tokens; below it the requests would be many and the summary poor.
pub const MIN_PART_TOKENS: u64 = 512;

/// Most requests to the model for one compaction. A body of the largest size takes less,
/// also where the model's context is not known.
pub const MAX_COMPACTION_ROUNDS: usize = 16;

/// Most turns of a conversation that are compacted at once, and most bytes of them: they
/// are in memory together, several times over. Whoever has more begins with an earlier
/// response.
pub const MAX_COMPACTED_TURNS: usize = 1_000;
/// See [`MAX_COMPACTED_TURNS`].
pub const MAX_COMPACTED_BYTES: usize = 16 * 1024 * 1024;

/// How long the idempotency key of a call that adds items is remembered. Clients retry
/// for minutes; a day covers a laptop that slept over it.
pub const ADDED_KEY_TTL: Duration = Duration::from_secs(24 * 3600);

/// Longest page of items, in bytes of JSON: a function's whole answer may have 6 MB.
/// A page always has one item, so that every list comes to its end.
pub const MAX_ITEM_PAGE_BYTES: usize = 4 * 1024 * 1024;

/// What a change by hand leaves of its invocation's time for its writes and the reply.
pub const CHANGE_MARGIN: Duration = Duration::from_secs(3);

/// Most pairs of an object's `metadata`, its longest key and its longest value, in
/// characters: the limits that OpenAI and Open Responses promise their clients.
pub const MAX_METADATA_PAIRS: usize = 16;
/// See [`MAX_METADATA_PAIRS`].
pub const MAX_METADATA_KEY_CHARS: usize = 64;
/// See [`MAX_METADATA_PAIRS`].
pub const MAX_METADATA_VALUE_CHARS: usize = 512;

/// Longest name of a function tool, in characters, as both standards have it.
pub const MAX_FUNCTION_NAME_CHARS: usize = 64;

/// Longest name of a tool of a message's request, in characters, as Anthropic has it.
pub const MAX_TOOL_NAME_CHARS: usize = 128;

/// Least `budget_tokens` of `thinking`, as Anthropic has it.
pub const MIN_THINKING_TOKENS: u64 = 1_024;

/// Longest `safety_identifier`, in characters, as both standards have it.
pub const MAX_SAFETY_IDENTIFIER_CHARS: usize = 64;

/// Least `max_output_tokens` of a response, as both standards have it: fewer leave
/// a reasoning model no room to answer.
pub const MIN_OUTPUT_TOKENS: u64 = 16;

/// Most `top_logprobs`, as both standards have it.
pub const MAX_TOP_LOGPROBS: u64 = 20;

/// Most texts, or lists of token ids, embedded in one request: OpenAI's own limit.
pub const MAX_EMBEDDED_INPUTS: usize = 2_048;

/// Longest text that is embedded, in bytes: no known model takes more than 128,000 tokens,
/// of some four bytes each.
pub const MAX_EMBEDDED_BYTES: usize = 512 * 1024;

/// Most token ids that are embedded as one input: as many as [`MAX_EMBEDDED_BYTES`] stand for.
pub const MAX_EMBEDDED_TOKENS: usize = MAX_EMBEDDED_BYTES / 4;

/// Longest answer of an upstream with embeddings, in bytes: [`MAX_EMBEDDED_INPUTS`] vectors of
/// 1,536 numbers of 20 characters. Longer vectors fit in base64, or in several requests.
pub const MAX_EMBEDDINGS_BYTES: usize = 64 * 1024 * 1024;

/// Longest wait for an upstream's embeddings. They come at once or not at all, and nothing is
/// seen of them before they are whole.
pub const EMBEDDING_TIMEOUT: Duration = Duration::from_secs(120);

/// Dimensions of a hash embedding, unless asked otherwise. Some hundred features of a passage
/// share them without covering each other up.
pub const HASH_DIMENSIONS: usize = 256;

/// Most dimensions of a hash embedding: as many as the longest vectors of models have.
pub const MAX_HASH_DIMENSIONS: usize = 4_096;

/// Committed turns of a conversation that are sent along with a new message.
pub const HISTORY_TURNS: usize = 20;

/// Most turns of a conversation that a request may ask to be sent along.
pub const MAX_HISTORY_TURNS: usize = 100;

/// Bytes of conversations that a process keeps in memory: some hundreds of usual ones,
/// and a small part of a function's memory.
pub const MEMORY_BYTES: u64 = 32 * 1024 * 1024;

/// Conversations that are looked into for an item that a request mentions: as many as what
/// goes along with it may come from.
pub const MAX_ANCESTORS: usize = MAX_HISTORY_TURNS;

/// Turns on one page of a conversation's history, unless asked otherwise.
pub const PAGE_SIZE: usize = 20;

/// Most rows on one page.
pub const MAX_PAGE_SIZE: usize = 100;

/// How long a lock is held without a heartbeat. Long enough for two heartbeats
/// to be lost, short enough that a dead attempt is retaken while a person waits.
pub const LEASE: Duration = Duration::from_secs(30);

/// How often a living attempt renews its lease.
pub const HEARTBEAT: Duration = Duration::from_secs(10);

/// How far two clocks may differ before a live lease looks expired. Wrong clocks
/// cost a duplicate call at the worst: every late write is fenced.
pub const CLOCK_SKEW: Duration = Duration::from_secs(2);

/// How much longer than its invocation a lease may last: the reply's way home.
pub const LEASE_GRACE: Duration = Duration::from_secs(2);

/// Attempts of a turn whose failure allows another, counted over all requests.
pub const MAX_ATTEMPTS: u32 = 3;

/// Attempts of a turn whose earlier ones died without a word. A turn that kills
/// its process every time must end somewhere.
pub const MAX_TAKEOVERS: u32 = 10;

/// Most turns that wait in one conversation's queue. A person types a handful; more
/// than this is a client that does not look at its answers.
pub const MAX_QUEUED_TURNS: u64 = 1000;

/// Pause before a queued turn whose attempt failed runs again; it doubles with each.
pub const RETRY_FIRST: Duration = Duration::from_secs(2);

/// Longest such pause, and the longest that a provider's own wish is heeded.
pub const RETRY_MOST: Duration = Duration::from_secs(60);

/// How often due rows without a message are looked for.
pub const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// How long a request waits for a busy conversation or a running turn, unless it
/// says otherwise. API Gateway's buffered routes end at 29 s.
pub const BUSY_WAIT: Duration = Duration::from_secs(25);

/// Requests a minute of one key that ask no more than the table: fifty a second, which a page
/// that is looked at and scripts that poll stay below.
pub const READ_REQUESTS_PER_MINUTE: u32 = 3_000;

/// Requests a minute of one key under `/admin`: a script's that sets up a few hundred keys.
/// Some of them read many rows.
pub const ADMIN_REQUESTS_PER_MINUTE: u32 = 600;

/// What a client is told to wait before it asks again for a running turn.
pub const BUSY_RETRY_AFTER: Duration = Duration::from_secs(2);

/// First pause between two looks at a lock held elsewhere, and the longest.
pub const POLL_FIRST: Duration = Duration::from_millis(100);
/// See [`POLL_FIRST`].
pub const POLL_MOST: Duration = Duration::from_secs(1);

/// First flush of a stream's log after its first event; later ones are slower.
pub const FLUSH_FIRST: Duration = Duration::from_millis(300);

/// Later flushes of a stream's log.
pub const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// Unflushed bytes of a stream that are flushed without waiting for the timer.
pub const FLUSH_BYTES: usize = 8 * 1024;

/// Longest batch of events in one row of a stream's log, in bytes before packing.
pub const MAX_BATCH_BYTES: usize = 256 * 1024;

/// Numbers that each stream of a turn's events has for itself. An answer of
/// [`MAX_ANSWER_BYTES`] comes in far fewer pieces, as each takes some forty bytes.
pub const NUMBERS_PER_STREAM: u64 = 1 << 20;

/// How long a stream's log is kept after its turn, for clients that come back.
pub const STREAM_LOG_TTL: Duration = Duration::from_secs(24 * 3600);

/// Silence after which an SSE client is sent a comment, so that no proxy on the
/// way takes the connection for dead.
pub const PING_EVERY: Duration = Duration::from_secs(15);

/// Longest time to connect to an upstream, TLS included. Healthy ones take well under a
/// second; a dead address should leave time for another provider.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest time to the first byte of an answer of a model that thinks before it writes.
pub const REASONING_FIRST_TOKEN_TIMEOUT: Duration = Duration::from_secs(300);

/// Longest call of an upstream: what OpenAI's and Anthropic's clients wait by themselves.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(600);

/// Longest time to an upstream's first byte of an answer.
pub const FIRST_TOKEN_TIMEOUT: Duration = Duration::from_secs(120);

/// Longest silence between two chunks of an upstream's answer.
pub const BETWEEN_TOKENS_TIMEOUT: Duration = Duration::from_secs(60);

/// Longest turn outside Lambda, where no deadline is set from outside.
pub const TURN_TIMEOUT: Duration = Duration::from_secs(14 * 60);

/// What a turn leaves of its invocation's time for commit and reply.
pub const DEADLINE_MARGIN: Duration = Duration::from_secs(20);

/// How long before its invocation ends a stream is ended, so that its client is told to
/// come back. Shorter than [`DEADLINE_MARGIN`]: a turn that is made in the same invocation
/// has ended by then.
pub const HAND_OVER_MARGIN: Duration = Duration::from_secs(10);

/// Tries of one DynamoDB transaction that met a conflicting one, and the first pause.
pub const MAX_CONFLICT_RETRIES: u32 = 8;
/// See [`MAX_CONFLICT_RETRIES`].
pub const CONFLICT_PAUSE: Duration = Duration::from_millis(15);

/// How long a shutdown waits for running turns before it hands them over.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(15);

/// What an answer is taken to have at most where a budget or a limit of tokens holds and its
/// request does not say: some pages, and little money with any model. It is sent along, so
/// that no answer is longer.
pub const ASSUMED_OUTPUT_TOKENS: u64 = 4_096;

/// Within which time a limit of tokens gives as many as it says, and how many can be taken
/// at once: the minute it is named for.
pub const TOKENS_WINDOW: Duration = Duration::from_secs(60);

/// How long what a request has reserved outlasts the longest time that it may take: the
/// writes of its end, and clocks that differ.
pub const RESERVATION_MARGIN: Duration = Duration::from_secs(120);

/// How long it is remembered that a request left after it was taken for dead, so that it
/// does not leave twice: far longer than any write is tried again.
pub const LATE_KEPT: Duration = Duration::from_secs(3600);

/// Most reservations of the dead that one write takes out: an update's expression has at
/// most 4 KB.
pub const MAX_RECLAIMED: usize = 200;

/// What a client is told to wait while as many answers are being made as may be. Nobody
/// knows when one of them ends; most take some seconds.
pub const CONCURRENCY_RETRY_AFTER: Duration = Duration::from_secs(2);
