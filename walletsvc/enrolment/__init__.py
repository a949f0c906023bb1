"""One use case for every way in: form, till, bot, import."""
