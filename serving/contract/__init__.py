"""The OpenAPI documents of the service."""
