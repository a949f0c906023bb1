"""Webhooks of message gateways."""
