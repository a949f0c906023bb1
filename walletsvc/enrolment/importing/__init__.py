"""A base of cards that was kept elsewhere: looked through, brought in, and taken out again."""
