"""Proving that somebody holds a phone: a code by SMS, or a second way where codes are blocked."""
