//! One account, entered and left.

use std::time::Duration;

use turnwise_core::admission::{Account, Ask, Entry, Exit, Leaving, Refusal, Write, enter, is_used_up, leave};
use turnwise_core::time::Timestamp;
use turnwise_store::{AccountId, AccountWritten, Error};

use super::{Hold, Spent, rule};
use crate::engine::Engine;
use crate::turn::Caller;

/// Looks at a row that others write too, before it is given up: each that is refused lets
/// somebody else through.
const MAX_LOOKS: u32 = 64;

/// Looks without a pause: most find what they need in the row that refused them.
const QUICK_LOOKS: u32 = 3;

/// How long an answer waits for its account to be left: longer, and it goes on in the
/// background.
const LEAVE_PATIENCE: Duration = Duration::from_secs(3);

/// What entering an account came to.
pub(super) enum Entered {
    /// The request is in; the row as it was then. Exact where it is the row that its own
    /// write left.
    In { account: Account, is_exact: bool },
    /// The table did not answer, and there is no money in it: it is let in unasked.
    Unasked,
    /// This model is to be asked.
    Downgrade(String),
    /// It is not let in.
    Refused(Refusal),
}

impl Engine {
    /// Enters the account `id`. Idempotent by the reservation's name.
    ///
    /// # Errors
    /// When the table does not answer and the account has a budget.
    pub(super) async fn enter_account(&self, caller: &Caller, id: &AccountId, ask: &Ask) -> Result<Entered, Error> {
        match self.try_to_enter(caller, id, ask).await {
            Err(error) if !rule(&caller.grant, id.owner).budget.is_set() => {
                self.warn_of_open_gate(&error);
                Ok(Entered::Unasked)
            }
            entered => entered,
        }
    }

    async fn try_to_enter(&self, caller: &Caller, id: &AccountId, ask: &Ask) -> Result<Entered, Error> {
        let rule = rule(&caller.grant, id.owner);
        let remembered = self.accounts.get(id);
        let mut is_fresh = remembered.is_none();
        let mut seen = match remembered {
            Some(account) => account,
            None => self.retry(|_| self.store.account(id)).await?,
        };
        for look in 0..MAX_LOOKS {
            let entry = enter(self.clock.now(), &seen, ask, &rule);
            let is_entrance = matches!(entry, Entry::Write(_));
            match entry {
                Entry::Entered => return Ok(Entered::In { account: seen, is_exact: false }),
                Entry::Write(write) | Entry::Tidy(write) => match self.write(id, &write).await? {
                    AccountWritten::Applied(account) if is_entrance => {
                        return Ok(Entered::In { account, is_exact: true });
                    }
                    AccountWritten::Applied(account) | AccountWritten::Refused(account) => seen = account,
                },
                // What is remembered may be long over.
                Entry::Downgrade | Entry::Refuse(_) if !is_fresh => {
                    seen = self.retry(|_| self.store.account(id)).await?;
                }
                Entry::Downgrade => {
                    return Ok(Entered::Downgrade(rule.budget.downgrade_to.clone().unwrap_or_default()));
                }
                Entry::Refuse(refusal) => {
                    let crossed = is_used_up(&seen, &refusal).into_iter().collect();
                    self.tell_of(&caller.grant, id, &seen, crossed);
                    return Ok(Entered::Refused(refusal));
                }
            }
            is_fresh = true;
            if look >= QUICK_LOOKS {
                self.pause(look - QUICK_LOOKS).await;
            }
        }
        Err(Error::Conflict { operation: "enter_account" })
    }

    /// Leaves the account of `hold`. What takes long goes on in the background.
    pub(super) async fn leave_account(&self, hold: &Hold, spent: Spent, at: Timestamp) {
        let (engine, hold) = (self.clone(), hold.clone());
        let leaving = self.tasks.spawn(async move {
            if let Err(error) = engine.try_to_leave(&hold, spent, at).await {
                tracing::error!(%error, account.owner = hold.id.owner.name(), cost.pico_usd = %spent.cost.0,
                    "what a request spent could not be written to its account");
            }
        });
        if self.clock.timeout(LEAVE_PATIENCE, leaving).await.is_none() {
            tracing::warn!("an account is left in the background: the table takes long");
        }
    }

    async fn try_to_leave(&self, hold: &Hold, spent: Spent, at: Timestamp) -> Result<(), Error> {
        let leaving = Leaving {
            reservation: hold.reservation,
            reserved: hold.reserved,
            spent: spent.cost,
            at,
            taken: hold.taken,
            used: spent.tokens,
        };
        let id = &hold.id;
        // What is remembered may be older than the reservation, which would seem to have
        // left already: only a row that was read tells.
        let remembered = self.accounts.get(id);
        let mut seen = match remembered.filter(|account| account.has_reservation(hold.reservation)) {
            Some(account) => account,
            None => self.retry(|_| self.store.account(id)).await?,
        };
        for look in 0..MAX_LOOKS {
            let write = match leave(self.clock.now(), &seen, &leaving) {
                Exit::Left => return Ok(()),
                Exit::Write(write) => write,
            };
            match self.write(id, &write).await? {
                AccountWritten::Applied(account) => {
                    self.tell_of_account(&hold.grant, id, &account);
                    return Ok(());
                }
                AccountWritten::Refused(account) => seen = account,
            }
            if look >= QUICK_LOOKS {
                self.pause(look - QUICK_LOOKS).await;
            }
        }
        Err(Error::Conflict { operation: "leave_account" })
    }

    /// Writes, and remembers what came of it.
    pub(super) async fn write(&self, id: &AccountId, write: &Write) -> Result<AccountWritten, Error> {
        let written = self.retry(|_| self.store.write_account(id, write)).await?;
        match &written {
            AccountWritten::Applied(account) | AccountWritten::Refused(account) => self.accounts.put(id, account),
        }
        Ok(written)
    }

    /// One line a minute: while the table is down, each request would say the same.
    fn warn_of_open_gate(&self, error: &Error) {
        if self.accounts.may_warn(self.clock.now()) {
            tracing::warn!(%error, "limits of tokens and of answers at once cannot be asked, and do not hold meanwhile");
        }
    }
}
