//! The one budget of calls that the retries and the fallbacks of a request share.
//!
//! Whoever has not failed yet is asked before anybody is waited for: a chain of models is
//! gone through once, and only then comes a pause and the next round.

use std::time::Duration;

/// Most calls that repeat a first one, whoever is asked: a request never makes more than
/// this and one.
pub const MAX_RETRIES: u32 = 3;

/// Pause before the first repetition, before jitter; it doubles with each round.
pub const RETRY_INITIAL: Duration = Duration::from_secs(2);

/// Longest pause that we choose ourselves.
pub const RETRY_LONGEST: Duration = Duration::from_secs(30);

/// What a call needs of the time that is left: none begins that could only be cut off.
pub const LEAST_CALL: Duration = Duration::from_secs(1);

/// How calls that fail are repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Calls after the first one, at most [`MAX_RETRIES`].
    pub retries: u32,
    /// Pause before the first repetition, before jitter.
    pub initial: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { retries: MAX_RETRIES, initial: RETRY_INITIAL }
    }
}

impl RetryPolicy {
    /// The pause before round `round` + 1: a random part, `chance` from 0 to 1, of a time
    /// that doubles. Full jitter, so that clients that failed together do not come back
    /// together; see the AWS Architecture Blog, "Exponential Backoff And Jitter".
    fn pause(&self, round: u32, chance: f64) -> Duration {
        let doubled = self.initial.saturating_mul(2u32.saturating_pow(round));
        doubled.min(RETRY_LONGEST).mul_f64(chance.clamp(0.0, 1.0))
    }
}

/// Who may do better than a call that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The same model, later, or another one.
    Again,
    /// Only another one.
    Elsewhere,
    /// Nobody: the request is at fault, or must not be sent twice.
    Nowhere,
}

/// A call that failed, as far as repeating it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Miss {
    /// Who may do better.
    pub remedy: Remedy,
    /// What the provider asked us to wait.
    pub retry_after: Option<Duration>,
}

/// What a request does after a call that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Calls the model at this place of the chain, after a pause.
    Call {
        /// Which.
        candidate: usize,
        /// How long to wait before.
        after: Duration,
    },
    /// Fails.
    GiveUp(GiveUp),
}

/// Why a request calls nobody any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveUp {
    /// Nobody would answer it.
    Final,
    /// It has made all its calls.
    Spent,
    /// The pause before the next one is longer than its time.
    NoTime {
        /// That pause.
        wait: Duration,
    },
}

/// The calls of one request.
#[derive(Debug, Clone)]
pub struct Budget {
    policy: RetryPolicy,
    candidates: Vec<Candidate>,
    made: u32,
    round: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Candidate {
    /// It will not answer this request.
    is_out: bool,
    /// It was asked in this round.
    is_asked: bool,
    retry_after: Option<Duration>,
}

impl Budget {
    /// The calls of a request that begins with the first of `candidates` models.
    #[must_use]
    pub fn new(policy: RetryPolicy, candidates: usize) -> Self {
        Self { policy, candidates: vec![Candidate::default(); candidates], made: 1, round: 0 }
    }

    /// How many calls were begun.
    #[must_use]
    pub const fn made(&self) -> u32 {
        self.made
    }

    /// What comes after the call of `failed`, with so much time `left` and a random number
    /// `chance` from 0 to 1.
    pub fn after(&mut self, failed: usize, miss: Miss, left: Duration, chance: f64) -> Next {
        if let Some(candidate) = self.candidates.get_mut(failed) {
            candidate.is_asked = true;
            candidate.is_out |= miss.remedy != Remedy::Again;
            candidate.retry_after = miss.retry_after.filter(|wait| !wait.is_zero());
        }
        let nobody_is_left = self.candidates.iter().all(|candidate| candidate.is_out);
        if miss.remedy == Remedy::Nowhere || nobody_is_left {
            return Next::GiveUp(GiveUp::Final);
        }
        if self.made > self.policy.retries {
            return Next::GiveUp(GiveUp::Spent);
        }
        let (candidate, after) = self.choose(chance);
        if after + LEAST_CALL > left {
            return Next::GiveUp(GiveUp::NoTime { wait: after });
        }
        self.made += 1;
        Next::Call { candidate, after }
    }

    /// The first that was not asked in this round, else the one that has to be waited for
    /// the least.
    fn choose(&mut self, chance: f64) -> (usize, Duration) {
        let fresh = self.candidates.iter().position(|candidate| !candidate.is_out && !candidate.is_asked);
        if let Some(fresh) = fresh {
            return (fresh, Duration::ZERO);
        }
        let pause = self.policy.pause(self.round, chance);
        self.round += 1;
        self.candidates.iter_mut().for_each(|candidate| candidate.is_asked = false);
        let waits = self.candidates.iter().enumerate().filter(|(_, candidate)| !candidate.is_out);
        let waits = waits.map(|(index, candidate)| (index, candidate.retry_after.unwrap_or(pause)));
        waits.min_by_key(|(_, wait)| *wait).unwrap_or((0, pause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(600);
    const AGAIN: Miss = Miss { remedy: Remedy::Again, retry_after: None };
    const ELSEWHERE: Miss = Miss { remedy: Remedy::Elsewhere, retry_after: None };
    const NOWHERE: Miss = Miss { remedy: Remedy::Nowhere, retry_after: None };

    fn asked(seconds: u64) -> Miss {
        Miss { retry_after: Some(Duration::from_secs(seconds)), ..AGAIN }
    }

    /// Calls of `candidates` models that miss one after another: who is called, after how
    /// many seconds, and why nobody is at the end.
    fn check(candidates: usize, misses: &[Miss], expected: &[(usize, u64)], end: Option<GiveUp>) {
        let mut budget = Budget::new(RetryPolicy::default(), candidates);
        let (mut current, mut calls, mut given_up) = (0, Vec::new(), None);
        for miss in misses {
            match budget.after(current, *miss, LONG, 1.0) {
                Next::Call { candidate, after } => {
                    current = candidate;
                    calls.push((candidate, after.as_secs()));
                }
                Next::GiveUp(why) => given_up = Some(why),
            }
        }
        assert_eq!((calls.as_slice(), given_up), (expected, end));
        assert_eq!(budget.made() as usize, 1 + expected.len());
    }

    #[test]
    fn one_model_is_called_four_times_with_doubling_pauses() {
        check(1, &[AGAIN; 4], &[(0, 2), (0, 4), (0, 8)], Some(GiveUp::Spent));
    }

    #[test]
    fn retries_and_fallbacks_share_one_budget() {
        check(2, &[AGAIN; 4], &[(1, 0), (0, 2), (1, 0)], Some(GiveUp::Spent));
        check(4, &[AGAIN; 4], &[(1, 0), (2, 0), (3, 0)], Some(GiveUp::Spent));
    }

    #[test]
    fn a_model_that_refuses_is_not_asked_again() {
        check(2, &[ELSEWHERE, AGAIN, AGAIN, AGAIN], &[(1, 0), (1, 2), (1, 4)], Some(GiveUp::Spent));
        check(2, &[ELSEWHERE, ELSEWHERE], &[(1, 0)], Some(GiveUp::Final));
        check(1, &[ELSEWHERE], &[], Some(GiveUp::Final));
    }

    #[test]
    fn a_request_at_fault_is_asked_nowhere() {
        check(3, &[NOWHERE], &[], Some(GiveUp::Final));
    }

    #[test]
    fn a_providers_wish_wins_and_the_shortest_wait_is_chosen() {
        check(1, &[asked(7), asked(1)], &[(0, 7), (0, 1)], None);
        check(2, &[asked(60), asked(5)], &[(1, 0), (1, 5)], None);
        check(2, &[asked(60), AGAIN], &[(1, 0), (1, 2)], None);
    }

    #[test]
    fn a_pause_fits_the_time_that_is_left() {
        let wait = |left: u64, after: u64| {
            let mut budget = Budget::new(RetryPolicy::default(), 1);
            budget.after(0, asked(after), Duration::from_secs(left), 1.0)
        };
        assert_eq!(wait(8, 7), Next::Call { candidate: 0, after: Duration::from_secs(7) });
        assert_eq!(wait(7, 7), Next::GiveUp(GiveUp::NoTime { wait: Duration::from_secs(7) }));
    }

    #[test]
    fn the_cap_comes_after_the_jitter() {
        let policy = RetryPolicy { retries: 3, initial: Duration::from_secs(20) };
        assert_eq!(policy.pause(0, 0.0), Duration::ZERO);
        assert_eq!(policy.pause(0, 0.5), Duration::from_secs(10));
        assert_eq!(policy.pause(1, 1.0), RETRY_LONGEST);
        assert_eq!(policy.pause(40, 1.0), RETRY_LONGEST);
    }

    #[test]
    fn without_retries_there_is_one_call() {
        let mut budget = Budget::new(RetryPolicy { retries: 0, ..RetryPolicy::default() }, 2);
        assert_eq!(budget.after(0, AGAIN, LONG, 1.0), Next::GiveUp(GiveUp::Spent));
    }
}
