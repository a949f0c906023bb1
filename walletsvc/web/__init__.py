"""Flask plumbing shared by all edges: problems, requests, logs, languages, health."""
