"""Posters that lead to a programme's registration form: one for each source."""
