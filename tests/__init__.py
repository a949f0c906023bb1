from tests.kept import keep

keep()
