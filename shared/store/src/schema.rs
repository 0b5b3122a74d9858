//! The table's definition, as the template deploys it and the local engine gets it.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType, TimeToLiveSpecification,
};

use crate::client::Store;
use crate::error::Error;
use crate::item::text;
use crate::keys;

/// Index of running turns and, later, of running jobs. Keys only: a heartbeat,
/// which changes no key, does not rewrite it.
pub const INDEX: &str = "GSI1";

/// The attribute DynamoDB's time to live watches, in seconds since the epoch.
pub const TTL: &str = "ttl";

impl Store {
    /// Creates the table if it is not there. For engines of one's own; in the
    /// cloud the template does this.
    ///
    /// # Errors
    /// Whatever the engine answers other than "it exists".
    pub async fn create_table(&self) -> Result<(), Error> {
        let created = self
            .dynamo
            .create_table()
            .table_name(&*self.table)
            .billing_mode(BillingMode::PayPerRequest)
            .set_attribute_definitions(Some(["pk", "sk", "g1pk", "g1sk"].map(attribute).to_vec()))
            .set_key_schema(Some(key_schema("pk", "sk")))
            .global_secondary_indexes(index())
            .send()
            .await;
        match created {
            Ok(_) => self.enable_ttl().await,
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_in_use_exception()) => Ok(()),
            Err(error) => Err(Error::from_sdk("create_table", &error)),
        }
    }

    async fn enable_ttl(&self) -> Result<(), Error> {
        let specification = TimeToLiveSpecification::builder().enabled(true).attribute_name(TTL).build();
        self.dynamo
            .update_time_to_live()
            .table_name(&*self.table)
            .set_time_to_live_specification(specification.ok())
            .send()
            .await
            .map(|_| ())
            .map_err(|error| Error::from_sdk("update_time_to_live", &error))
    }

    /// One round trip to the table's data, as every turn makes it.
    ///
    /// # Errors
    /// What kept it from answering.
    pub async fn round_trip(&self) -> Result<(), Error> {
        let read = self.dynamo.get_item().table_name(&*self.table).consistent_read(true);
        let read = read.key("pk", text(keys::HEALTH)).key("sk", text(keys::HEALTH)).send().await;
        read.map(|_| ()).map_err(|error| Error::from_sdk("round_trip", &error))
    }

    /// Whether the table answers.
    ///
    /// # Errors
    /// What kept it from answering.
    pub async fn ping(&self) -> Result<(), Error> {
        self.dynamo
            .describe_table()
            .table_name(&*self.table)
            .send()
            .await
            .map(|_| ())
            .map_err(|error| Error::from_sdk("describe_table", &error))
    }
}

// The builders below fail only when a required field is missing; all are given.

fn attribute(name: &str) -> AttributeDefinition {
    let built = AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build();
    built.unwrap_or_else(|_| unreachable!("all required fields are set"))
}

fn key_schema(partition: &str, sort: &str) -> Vec<KeySchemaElement> {
    [(partition, KeyType::Hash), (sort, KeyType::Range)]
        .into_iter()
        .filter_map(|(name, kind)| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().ok())
        .collect()
}

fn index() -> GlobalSecondaryIndex {
    let keys_only = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
    let built = GlobalSecondaryIndex::builder()
        .index_name(INDEX)
        .set_key_schema(Some(key_schema("g1pk", "g1sk")))
        .projection(keys_only)
        .build();
    built.unwrap_or_else(|_| unreachable!("all required fields are set"))
}
