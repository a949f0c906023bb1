"""Money and points, time, ids, errors: the standard library and pydantic only."""
