//! Failures of our own making: turns that are not sent to a model, or whose answer is
//! not taken.

use turnwise_core::admission::Refusal;
use turnwise_core::category::Category;
use turnwise_core::turn::{Failure, Outcome};
use turnwise_core::window::TooLong;

/// A turn of the queue that is too long for its model by the time it is due.
pub(super) fn too_long(too_long: &TooLong, request_id: String) -> Failure {
    Failure {
        category: Category::ValidationError,
        code: too_long.code().to_owned(),
        message: too_long.to_string(),
        param: Some(too_long.field().to_owned()),
        ..final_failure(request_id)
    }
}

/// A turn that its key or its tenant cannot pay for. One of the queue ends here; one that a
/// client comes back for may be let in another day.
pub(super) fn not_admitted(refusal: &Refusal, from_queue: bool, request_id: String) -> Failure {
    let category = if refusal.is_about_money() { Category::CostLimitError } else { Category::RateLimitError };
    Failure {
        outcome: if from_queue { Outcome::Final } else { Outcome::Retryable },
        category,
        code: refusal.code().to_owned(),
        message: refusal.to_string(),
        // The clients' own retries would not change it.
        is_spent: true,
        ..final_failure(request_id)
    }
}

/// An answer without text where a text was needed.
pub(crate) fn without_text(request_id: String) -> Failure {
    let message = "The model's answer has no text: it refused, or came to its limit before it wrote any. Nothing of \
                   it is kept; another model, or a new key, may do better.";
    Failure {
        category: Category::ApiError,
        code: "answer_without_text".to_owned(),
        message: message.to_owned(),
        ..final_failure(request_id)
    }
}

fn final_failure(request_id: String) -> Failure {
    Failure {
        outcome: Outcome::Final,
        category: Category::InternalError,
        code: String::new(),
        message: String::new(),
        param: None,
        retry_after_ms: None,
        is_spent: false,
        asked: None,
        request_id,
        partial: String::new(),
    }
}
