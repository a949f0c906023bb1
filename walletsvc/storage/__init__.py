"""PostgreSQL: the engine, transactions, column types, migrations, the embedded server."""
