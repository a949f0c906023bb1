"""Messages through gateways."""
