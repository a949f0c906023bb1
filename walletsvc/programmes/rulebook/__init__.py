"""Programmes' rules as data, and pure functions that apply them: no database, no clock.

`schemas` and `promotions` say what a rule book is, `basket` what is bought and when, `evaluate`
what that brings and why, `refunds` what a return takes back, `tiers` who stands where, `gifts`
what is given without a purchase. Money is in minor units of the programme's currency; earned
points in minor units of the programme's points; points that a rule book states are whole points.
"""
