use proptest::prelude::*;

use super::super::registry::Facts;
use super::*;
use crate::catalogue::{Catalogue, Mode};
use crate::money::Price;

const CAN: [&str; 2] = ["tools", "vision"];

/// A model: name, tier, prices a token of input and output.
fn model(name: &str, tier: Tier, input: i128, output: i128) -> Facts {
    Facts {
        name: name.to_owned(),
        can: Capabilities::of(["tools"]),
        context_tokens: Some(1_000),
        max_output_tokens: Some(100),
        price: Some(Price::of(input, output)),
        tier,
    }
}

/// Three of one provider and two of others.
fn registry() -> Registry {
    Registry::new([
        model("a/small", Tier::Simple, 1, 2),
        model("a/middle", Tier::Medium, 4, 8),
        model("a/large", Tier::Complex, 16, 32),
        model("b/middle", Tier::Medium, 5, 8),
        Facts { price: None, ..model("c/unpriced", Tier::Simple, 0, 0) },
    ])
}

fn need() -> Need {
    Need { input_tokens: 100, least_context: 100, output_tokens: 10, ..Need::default() }
}

fn names(registry: &Registry, chain: &Chain) -> Vec<String> {
    chain.places().iter().map(|place| registry.models()[*place].name.clone()).collect()
}

fn check(health: &Health<'_>, need: &Need, expected: &[&str]) {
    let registry = registry();
    match select(&registry, health, need) {
        Ok(selection) => assert_eq!(names(&registry, &selection.chain), expected, "{need:?}"),
        Err(none) => assert_eq!(expected, [none.to_string()], "{need:?}"),
    }
}

#[test]
fn the_objective_orders_what_is_left() {
    let with = |objective: Objective, tier: Tier| Need { objective, tier, ..need() };
    let unknown = &Health::UNKNOWN;
    check(unknown, &with(Objective::Cheapest, Tier::Simple), &["a/small", "a/middle", "b/middle", "a/large"]);
    check(unknown, &with(Objective::Cheapest, Tier::Medium), &["a/middle", "b/middle", "a/large", "a/small"]);
    check(unknown, &with(Objective::Cheapest, Tier::Complex), &["a/large", "a/middle", "b/middle", "a/small"]);
    check(unknown, &with(Objective::Best, Tier::Simple), &["a/large", "b/middle", "a/middle", "a/small"]);
    let p50_ms = [Some(900), Some(500), Some(300), None, Some(400)];
    let known = Health { open: Set::NONE, p50_ms: &p50_ms };
    check(&known, &with(Objective::Fastest, Tier::Simple), &["a/large", "c/unpriced", "a/middle", "a/small"]);
    // What costs the same and takes as long goes by its place.
    check(unknown, &with(Objective::Fastest, Tier::Medium), &["a/middle", "b/middle", "a/large", "a/small"]);
}

#[test]
fn a_balance_is_half_money_and_three_tenths_quality_and_the_rest_time() {
    // Costs 120, 480, 1920, 580 are 0, 750, 938 and 794 thousandths worse than the least; qualities
    // are 250, 500, 1000 and 750; nobody knows a time. So 32500, 62500, 56900 and 57200.
    let balanced = |tier: Tier| Need { objective: Objective::Balanced, tier, ..need() };
    check(&Health::UNKNOWN, &balanced(Tier::Simple), &["a/small", "a/large", "b/middle", "a/middle"]);
    check(&Health::UNKNOWN, &balanced(Tier::Medium), &["a/large", "b/middle", "a/middle", "a/small"]);
    // A time as good as any takes 10000 from b/middle, one ten times as long adds 8000 to a/middle.
    let p50_ms = [Some(100), Some(1_000), None, Some(100)];
    let known = Health { open: Set::NONE, p50_ms: &p50_ms };
    check(&known, &balanced(Tier::Medium), &["b/middle", "a/large", "a/middle", "a/small"]);
}

#[test]
fn no_filter_is_ever_relaxed() {
    let all = ["a/small", "a/middle", "b/middle", "a/large"];
    let unknown = &Health::UNKNOWN;
    let registry = registry();
    let only = |names: &[&str]| registry.set(|facts| names.contains(&facts.name.as_str()));

    check(unknown, &Need { can: Capabilities::of(["tools"]), ..need() }, &all);
    check(
        unknown,
        &Need { can: Capabilities::of(["vision"]), ..need() },
        &["None of 5 models can be asked this: 5 by capability."],
    );
    check(
        unknown,
        &Need { unaskable: only(&["a/small"]), ..need() },
        &["a/middle", "b/middle", "a/large", "c/unpriced"],
    );
    check(unknown, &Need { least_context: 1_000, ..need() }, &all);
    check(unknown, &Need { least_context: 1_001, ..need() }, &["None of 5 models can be asked this: 5 by context."]);
    check(unknown, &Need { least_context: 900, asked_output: Some(100), ..need() }, &all);
    check(
        unknown,
        &Need { least_context: 901, asked_output: Some(100), ..need() },
        &["None of 5 models can be asked this: 5 by context."],
    );
    check(
        unknown,
        &Need { asked_output: Some(101), ..need() },
        &["None of 5 models can be asked this: 5 by max_output."],
    );
    check(unknown, &Need { max_price_per_mtok: Some(8_000_000), ..need() }, &["a/small", "a/middle", "b/middle"]);
    check(unknown, &Need { max_price_per_mtok: Some(7_999_999), ..need() }, &["a/small"]);
    check(
        unknown,
        &Need { needs_price: true, allowed: only(&["c/unpriced"]), ..need() },
        &["None of 5 models can be asked this: 4 by allow_list, 1 by price_cap."],
    );
    check(unknown, &Need { allowed: only(&["c/unpriced"]), ..need() }, &["c/unpriced"]);
    check(unknown, &Need { policy: only(&["b/middle"]), ..need() }, &["b/middle"]);
    check(unknown, &Need { min_tier: Some(Tier::Complex), ..need() }, &["a/large"]);
    check(unknown, &Need { min_tier: Some(Tier::Medium), ..need() }, &["a/middle", "b/middle", "a/large"]);

    let p50_ms = [Some(301), Some(300), None, Some(1)];
    let known = Health { open: Set::NONE, p50_ms: &p50_ms };
    check(&known, &Need { max_p50_ms: Some(300), ..need() }, &["a/middle", "b/middle", "a/large", "c/unpriced"]);
    let ill = Health { open: only(&["a/small", "a/middle", "a/large"]), p50_ms: &[] };
    check(&ill, &need(), &["b/middle", "c/unpriced"]);
}

#[test]
fn each_model_counts_under_the_first_filter_that_takes_it_out() {
    let registry = registry();
    let place = registry.place("a/small").unwrap();
    let need = Need { allowed: registry.set(|facts| facts.name != "a/small"), can: Capabilities::of(CAN), ..need() };
    let none = select(&registry, &Health::UNKNOWN, &need).unwrap_err();
    assert_eq!(none.excluded.iter().collect::<Vec<_>>(), [(Filter::AllowList, 1), (Filter::Capability, 4)]);
    assert_eq!(registry.excludes(place, &Health::UNKNOWN, &need), Some(Filter::AllowList));
    let nothing = select(&Registry::default(), &Health::UNKNOWN, &need).unwrap_err();
    assert_eq!((nothing.models, nothing.excluded.iter().count()), (0, 0));
}

#[test]
fn a_chain_of_one_provider_ends_with_another_where_there_is_one() {
    let of_a = |name: &str, price: i128| model(&format!("a/{name}"), Tier::Simple, price, price);
    let mut models: Vec<Facts> =
        ["1", "2", "3", "4", "5"].into_iter().zip(1..).map(|(name, price)| of_a(name, price)).collect();
    let chain = |models: &[Facts], need: &Need| {
        let registry = Registry::new(models.to_vec());
        names(&registry, &select(&registry, &Health::UNKNOWN, need).unwrap().chain)
    };
    assert_eq!(chain(&models, &need()), ["a/1", "a/2", "a/3", "a/4"]);
    models.extend([model("b/dear", Tier::Simple, 90, 90), model("c/less", Tier::Simple, 80, 80)]);
    assert_eq!(chain(&models, &need()), ["a/1", "a/2", "a/3", "c/less"]);
    // The provider of the warm one counts, not that of the best.
    assert_eq!(chain(&models, &Need { warm: Some(5), ..need() }), ["b/dear", "a/1", "a/2", "a/3"]);
}

#[test]
fn a_warm_model_stays_first_while_it_qualifies() {
    let with = |name: &str, tier: Tier| Need { warm: registry().place(name), tier, ..need() };
    let unknown = &Health::UNKNOWN;
    check(unknown, &with("b/middle", Tier::Simple), &["b/middle", "a/small", "a/middle", "a/large"]);
    check(unknown, &with("c/unpriced", Tier::Simple), &["c/unpriced", "a/small", "a/middle", "b/middle"]);
    // It is meant for less than this looks like, and another is not.
    check(unknown, &with("a/small", Tier::Medium), &["a/middle", "b/middle", "a/large", "a/small"]);
    let ill = Health { open: registry().set(|facts| facts.name == "b/middle"), p50_ms: &[] };
    check(&ill, &with("b/middle", Tier::Simple), &["a/small", "a/middle", "a/large", "c/unpriced"]);
    let selected = select(&registry(), unknown, &with("b/middle", Tier::Simple)).unwrap();
    assert!(selected.is_warm && !select(&registry(), &ill, &with("b/middle", Tier::Simple)).unwrap().is_warm);
}

#[test]
fn the_shipped_catalogue_is_chosen_from() {
    let chat = Catalogue::shipped().models.iter().filter(|model| model.mode == Mode::Chat);
    let registry = Registry::new(chat.map(|model| Facts::of(model, Some(model.price))));
    let first = |tier: Tier, objective: Objective| {
        let need = Need { input_tokens: 1_000, output_tokens: 500, tier, objective, ..Need::default() };
        names(&registry, &select(&registry, &Health::UNKNOWN, &need).unwrap().chain)[0].clone()
    };
    assert_eq!(first(Tier::Simple, Objective::Cheapest), "bedrock/amazon.nova-micro-v1:0");
    assert_eq!(first(Tier::Complex, Objective::Best), "openai/gpt-6-astra");
}

fn any_tier() -> impl Strategy<Value = Tier> {
    prop::sample::select(Tier::ALL.to_vec())
}

prop_compose! {
    fn any_model()(
        provider in 0..3_u8, can in prop::sample::subsequence(CAN.to_vec(), 0..=2), context in 1..2_000_u64,
        output in 1..200_u64, price in prop::option::of((0..50_i128, 0..50_i128)), tier in any_tier(),
    ) -> Facts {
        Facts {
            name: format!("p{provider}/m"),
            can: Capabilities::of(can),
            context_tokens: Some(context),
            max_output_tokens: Some(output),
            price: price.map(|(input, output)| Price::of(input, output)),
            tier,
        }
    }
}

prop_compose! {
    fn any_need()(
        can in prop::sample::subsequence(CAN.to_vec(), 0..=1), input in 0..1_500_u64,
        asked in prop::option::of(0..150_u64), tier in any_tier(), min_tier in prop::option::of(any_tier()),
        cap in prop::option::of(0..60_000_000_u64), needs_price in any::<bool>(), max_p50_ms in prop::option::of(0..500_u32),
        sets in prop::array::uniform3(prop::collection::vec(0..12_usize, 0..12)),
        objective in prop::sample::select(Objective::ALL.to_vec()), warm in prop::option::of(0..14_usize),
    ) -> Need {
        let [allowed, policy, unaskable] = sets;
        let mut sets = [Set::ALL, Set::ALL];
        for (set, out) in sets.iter_mut().zip([allowed, policy]) {
            out.into_iter().take(4).for_each(|place| set.remove(place));
        }
        Need {
            can: Capabilities::of(can),
            input_tokens: input,
            least_context: input,
            output_tokens: asked.unwrap_or(10),
            asked_output: asked,
            tier,
            min_tier,
            max_price_per_mtok: cap,
            needs_price,
            max_p50_ms,
            allowed: sets[0],
            policy: sets[1],
            unaskable: unaskable.into_iter().take(2).collect(),
            objective,
            warm,
        }
    }
}

proptest! {
    #[test]
    fn a_chain_is_short_without_doubles_and_of_nothing_that_a_filter_takes_out(
        models in prop::collection::vec(any_model(), 0..12), need in any_need(),
        open in prop::collection::vec(0..12_usize, 0..4), p50_ms in prop::collection::vec(prop::option::of(0..900_u32), 0..12),
    ) {
        let registry = Registry::new(models);
        let health = Health { open: open.into_iter().collect(), p50_ms: &p50_ms };
        let selected = select(&registry, &health, &need);
        prop_assert_eq!(selected, select(&registry, &health, &need));
        let left: Vec<usize> =
            (0..registry.len()).filter(|place| registry.excludes(*place, &health, &need).is_none()).collect();
        let excluded = match &selected {
            Ok(selection) => selection.excluded,
            Err(none) => none.excluded,
        };
        let sum: usize = excluded.iter().map(|(_, count)| usize::from(count)).sum();
        prop_assert_eq!(sum + left.len(), registry.len());
        let Ok(selection) = selected else {
            prop_assert!(left.is_empty());
            return Ok(());
        };
        let places = selection.chain.places();
        prop_assert_eq!(places.len(), left.len().min(MAX_CHAIN));
        prop_assert!(places.iter().all(|place| left.contains(place)));
        let mut unique = places.to_vec();
        unique.sort_unstable();
        unique.dedup();
        prop_assert_eq!(unique.len(), places.len());
        let provider = |place: &usize| registry.entries[*place].provider;
        let others = |places: &[usize]| places.iter().any(|place| provider(place) != provider(&selection.chain.first()));
        prop_assert_eq!(others(places), others(&left));
    }

    #[test]
    fn the_first_is_never_beaten_by_another(models in prop::collection::vec(any_model(), 1..12), need in any_need()) {
        let registry = Registry::new(models);
        let need = Need { objective: Objective::Cheapest, warm: None, ..need };
        let Ok(selection) = select(&registry, &Health::UNKNOWN, &need) else { return Ok(()) };
        let first = selection.chain.first();
        let key = |place: usize| (registry.entries[place].tier.shortfall(need.tier), registry.cost(place, &need).unwrap_or(u64::MAX), place);
        for place in (0..registry.len()).filter(|place| registry.excludes(*place, &Health::UNKNOWN, &need).is_none()) {
            prop_assert!(key(first) <= key(place));
        }
    }
}
