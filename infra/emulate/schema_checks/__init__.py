"""What schemathesis is told beyond the OpenAPI document."""
