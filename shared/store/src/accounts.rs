//! The accounts of keys and tenants: one row each, written under conditions.
//!
//! A write names every number it needs and none that it does not, so that those who come in
//! at the same time do not refuse each other; the table puts them in order.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use turnwise_core::admission::{Account, Change, Clause, Field, Owner, Period, Reservation, Write};
use turnwise_core::id::Tenant;

use crate::client::Store;
use crate::error::Error;
use crate::item::{Item, number, text};
use crate::keys;
use crate::schema::TTL;

/// Starts the name of what a request has reserved, and of the mark of one that left late.
const RESERVED: &str = "r";
/// See [`RESERVED`].
const LATE: &str = "l";

/// Whose account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AccountId {
    /// The tenant.
    pub tenant: Tenant,
    /// Its own, or that of one of its keys.
    pub owner: Owner,
    /// That key's id; for a tenant's own it says nothing.
    pub key: String,
}

/// What a conditional write came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountWritten {
    /// It was carried out: the row as it is now.
    Applied(Account),
    /// A condition failed: the row as it is.
    Refused(Account),
}

impl Store {
    /// An account, strongly consistent; empty where it has no row.
    ///
    /// # Errors
    /// When the table does not answer or the row cannot be read.
    pub async fn account(&self, id: &AccountId) -> Result<Account, Error> {
        let get = self.dynamo.get_item().table_name(&*self.table).consistent_read(true);
        let answer = get.set_key(Some(key(id))).send().await.map_err(|error| Error::from_sdk("account", &error))?;
        answer.item.as_ref().map_or_else(|| Ok(Account::default()), read)
    }

    /// Carries `write` out, or says why not. Idempotent as far as its conditions are: the
    /// writes of an admission and of its end name the reservation.
    ///
    /// # Errors
    /// When the table does not answer or the row cannot be read.
    pub async fn write_account(&self, id: &AccountId, write: &Write) -> Result<AccountWritten, Error> {
        let mut said = Said::default();
        let update_expression = said.changes(&write.changes);
        let condition = said.clauses(&write.clauses);
        let result = self
            .dynamo
            .update_item()
            .table_name(&*self.table)
            .set_key(Some(key(id)))
            .update_expression(update_expression)
            .set_condition_expression((!condition.is_empty()).then_some(condition))
            .set_expression_attribute_names(Some(said.names.into_iter().collect()))
            .set_expression_attribute_values((!said.values.is_empty()).then(|| said.values.into_iter().collect()))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match result {
            Ok(written) => Ok(AccountWritten::Applied(read(&written.attributes.unwrap_or_default())?)),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    Ok(AccountWritten::Refused(read(&failed.item.clone().unwrap_or_default())?))
                }
                _ => Err(Error::from_sdk("write_account", &error)),
            },
        }
    }
}

fn key(id: &AccountId) -> Item {
    let pk = match id.owner {
        Owner::Key => keys::account_of_key(&id.tenant, &id.key),
        Owner::Tenant => keys::account_of_tenant(&id.tenant),
    };
    [("pk".to_owned(), text(pk)), ("sk".to_owned(), text(keys::ACCOUNT))].into()
}

/// An expression's names and values, as it is put together.
#[derive(Debug, Default)]
struct Said {
    names: Vec<(String, String)>,
    values: Vec<(String, AttributeValue)>,
}

impl Said {
    fn name(&mut self, field: Field) -> String {
        let name = format!("#n{}", self.names.len());
        self.names.push((name.clone(), attribute(field)));
        name
    }

    fn value(&mut self, value: i128) -> String {
        let name = format!(":v{}", self.values.len());
        self.values.push((name.clone(), number(value)));
        name
    }

    fn changes(&mut self, changes: &[Change]) -> String {
        let (mut set, mut add, mut remove) = (Vec::new(), Vec::new(), Vec::new());
        for change in changes {
            match *change {
                Change::Set(field, value) => set.push(format!("{} = {}", self.name(field), self.value(value))),
                Change::Add(field, value) => add.push(format!("{} {}", self.name(field), self.value(value))),
                Change::Remove(field) => remove.push(self.name(field)),
            }
        }
        let said = [("SET", set), ("ADD", add), ("REMOVE", remove)].into_iter().filter(|(_, parts)| !parts.is_empty());
        said.map(|(verb, parts)| format!("{verb} {}", parts.join(", "))).collect::<Vec<_>>().join(" ")
    }

    fn clauses(&mut self, clauses: &[Clause]) -> String {
        let said = clauses.iter().map(|clause| match *clause {
            Clause::NoRow => "attribute_not_exists(pk)".to_owned(),
            Clause::Is(field, value) => format!("{} = {}", self.name(field), self.value(value)),
            Clause::AtLeast(field, value) => format!("{} >= {}", self.name(field), self.value(value)),
            Clause::AtMost(field, value) => format!("{} <= {}", self.name(field), self.value(value)),
            Clause::Has(field) => format!("attribute_exists({})", self.name(field)),
            Clause::HasNot(field) => format!("attribute_not_exists({})", self.name(field)),
        });
        said.collect::<Vec<_>>().join(" AND ")
    }
}

/// The attribute that a number stands in.
fn attribute(field: Field) -> String {
    match field {
        Field::Version => "version".to_owned(),
        Field::Turns => "turns".to_owned(),
        Field::TokensAt => "tokens_at_ns".to_owned(),
        Field::TokensBack => "tokens_back_ns".to_owned(),
        Field::Of(period) => period.name().to_owned(),
        Field::Held(period) => format!("{}_held", period.name()),
        Field::Spent(period) => format!("{}_spent", period.name()),
        Field::Reserved(reservation) => named(RESERVED, reservation),
        Field::Late(reservation) => named(LATE, reservation),
        Field::Told(period, percent) => format!("{}_told_{percent}", period.name()),
        Field::DropAt => TTL.to_owned(),
    }
}

fn named(kind: &str, Reservation { minute, id }: Reservation) -> String {
    format!("{kind}{minute}_{id:x}")
}

/// The number that stands in an attribute; `None` for the row's keys.
fn field(attribute: &str) -> Option<Field> {
    let fixed = [Field::Version, Field::Turns, Field::TokensAt, Field::TokensBack, Field::DropAt];
    let of_period = |period| [Field::Of(period), Field::Held(period), Field::Spent(period)];
    let plain = fixed.into_iter().chain(Period::ALL.into_iter().flat_map(of_period));
    let reservation = |kind: &str| {
        let (minute, id) = attribute.strip_prefix(kind)?.split_once('_')?;
        Some(Reservation { minute: minute.parse().ok()?, id: u64::from_str_radix(id, 16).ok()? })
    };
    let told = || {
        let (period, percent) = attribute.split_once("_told_")?;
        let period = Period::ALL.into_iter().find(|known| known.name() == period)?;
        Some(Field::Told(period, percent.parse().ok()?))
    };
    plain
        .into_iter()
        .find(|field| self::attribute(*field) == attribute)
        .or_else(|| reservation(RESERVED).map(Field::Reserved))
        .or_else(|| reservation(LATE).map(Field::Late))
        .or_else(told)
}

fn read(row: &Item) -> Result<Account, Error> {
    let numbers = row.iter().filter_map(|(name, value)| {
        let field = field(name)?;
        let number = value.as_n().ok().and_then(|digits| digits.parse().ok());
        Some(number.map(|number| (field, number)).ok_or_else(|| Error::corrupt(format!("attribute {name}"))))
    });
    numbers.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_read_from_the_attribute_it_is_written_to() {
        let reservation = Reservation { minute: 29_921_280, id: u64::MAX };
        let of = |period| [Field::Of(period), Field::Held(period), Field::Spent(period), Field::Told(period, 80)];
        let all = [
            Field::Version,
            Field::Turns,
            Field::TokensAt,
            Field::TokensBack,
            Field::Reserved(reservation),
            Field::Late(reservation),
            Field::DropAt,
        ];
        for one in all.into_iter().chain(Period::ALL.into_iter().flat_map(of)) {
            assert_eq!(field(&attribute(one)), Some(one));
        }
        assert_eq!((field("pk"), field("sk")), (None, None));
    }

    #[test]
    fn a_write_is_said_in_the_tables_words() {
        let mut said = Said::default();
        let changes = [Change::Set(Field::Turns, 1), Change::Add(Field::Version, 1), Change::Remove(Field::DropAt)];
        assert_eq!(said.changes(&changes), "SET #n0 = :v0 ADD #n1 :v1 REMOVE #n2");
        let clauses = [Clause::Is(Field::Turns, 0), Clause::HasNot(Field::DropAt), Clause::AtMost(Field::Turns, 3)];
        assert_eq!(said.clauses(&clauses), "#n3 = :v2 AND attribute_not_exists(#n4) AND #n5 <= :v3");
    }
}
