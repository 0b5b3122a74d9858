//! Scoring a text and choosing a model allocate nothing, whatever comes in.

use allocation_counter::measure;
use turnwise_core::catalogue::{Catalogue, Mode};
use turnwise_core::route::{Facts, Health, Lexicon, Need, Objective, Registry, Tier, score, select};

#[test]
fn a_score_allocates_nothing() {
    // What is allocated is counted at all.
    assert!(measure(|| drop(std::hint::black_box(vec![1_u8]))).count_total > 0);
    for bytes in [0, 1, 500, 2048, 2049, 1 << 20] {
        let text = "Prove that f(x) = 2 has one solution; why? ".repeat(bytes / 43 + 1);
        let text = &text[..bytes];
        let allocated = measure(|| _ = std::hint::black_box(score(text, 7, Lexicon::shipped()).reasons().count()));
        assert_eq!(allocated.count_total, 0, "{bytes}");
    }
}

#[test]
fn a_choice_allocates_nothing() {
    let chat = Catalogue::shipped().models.iter().filter(|model| model.mode == Mode::Chat);
    let registry = Registry::new(chat.map(|model| Facts::of(model, Some(model.price))));
    let p50_ms = vec![Some(700); registry.len()];
    let health = Health { p50_ms: &p50_ms, ..Health::UNKNOWN };
    for objective in Objective::ALL {
        // One that succeeds, and one that nothing is left for.
        for asked_output in [None, Some(u64::MAX)] {
            let need = Need { tier: Tier::Medium, objective, asked_output, warm: Some(3), ..Need::default() };
            let allocated = measure(|| _ = std::hint::black_box(select(&registry, &health, &need)).is_ok());
            assert_eq!(allocated.count_total, 0, "{need:?}");
        }
    }
}
