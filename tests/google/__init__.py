"""Tests of Google's side: bodies, links, the client, callbacks."""
