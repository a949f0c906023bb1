"""Every table that knows something of a person: what of it is told, and what erasing does to it.

A test walks all foreign keys from persons and phones: a table that is new there must be named in
`TOLD` or `NOT_TOLD`, and in `ERASED` or `KEPT`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from walletsvc.enrolment.personal.subject import OWN, Key


@dataclass(frozen=True, slots=True)
class Told:
    """Rows where one of these columns refers to the person; `hidden` columns are left out.

    Keys of rows and hashes are never told; references are told by public id.
    """

    by: Mapping[str, Key]
    hidden: frozenset[str] = frozenset()


TOLD: Final[Mapping[str, Told]] = {
    "persons": Told({"id": Key.PERSON}, frozenset({"name_key"})),
    "phones": Told({"id": Key.PHONE}),
    "person_phones": Told({"person_id": Key.PERSON}),
    "phone_changes": Told({"person_id": Key.PERSON}),
    "customer_sessions": Told({"person_id": Key.PERSON}, frozenset({"token_hash", "proof_id"})),
    "kept_certificates": Told({"person_id": Key.PERSON}),
    "consents": Told({"person_id": Key.PERSON}),
    "consent_texts": Told({"id": Key.TEXT}),
    "phone_proofs": Told({"id": Key.PROOF}),
    "cards": Told({"person_id": Key.PERSON}, frozenset({"link_token"})),
    "card_registrations": Told({"card_id": Key.CARD}),
    "applications": Told({"id": Key.APPLICATION}, frozenset({"nonce", "proof"})),
    "plastic_numbers": Told({"card_id": Key.CARD}),
    "import_rows": Told({"person_id": Key.PERSON, "card_id": Key.CARD}, frozenset({"name_key"})),
    "birthday_gifts": Told({"card_id": Key.CARD}),
    "group_members": Told({"card_id": Key.CARD}),
    "group_invitations": Told({"card_id": Key.CARD, "used_by_card_id": Key.CARD}),
    "card_groups": Told({"id": Key.GROUP}),
    "accounts": Told({"id": Key.ACCOUNT}),
    "ledger_transactions": Told({"id": Key.TRANSACTION}),
    "ledger_entries": Told({"account_id": Key.ACCOUNT}),
    "lots": Told({"account_id": Key.ACCOUNT}),
    "holds": Told({"id": Key.HOLD}),
    "turnover": Told({"account_id": Key.ACCOUNT}),
    "brought_turnover": Told({"account_id": Key.ACCOUNT}),
    "account_tiers": Told({"account_id": Key.ACCOUNT}),
    "tier_changes": Told({"account_id": Key.ACCOUNT}),
    "purchases": Told({"card_id": Key.CARD}),
    "purchase_lines": Told({"purchase_id": Key.PURCHASE}),
    "refunds": Told({"purchase_id": Key.PURCHASE}),
    "passes": Told({"card_id": Key.CARD}, frozenset({"auth_token"})),
    "google_objects": Told({"pass_id": Key.PASS}),
    "google_messages": Told({"pass_id": Key.PASS}),
    "messages": Told({"person_id": Key.PERSON}),
    "person_merges": Told({"kept_id": Key.PERSON, "merged_id": Key.PERSON}, frozenset({"details"})),
    "erasures": Told({"person_id": Key.PERSON}),
}
NOT_TOLD: Final[Mapping[str, str]] = {
    "lot_movements": "which points paid what: the lots and transactions tell it",
    "hold_lots": "which points a hold reserves: the hold tells it",
    "purchase_parts": "ties purchases to transactions, both of which are told",
    "card_merges": "what taking a merger of cards back needs: the cards and transactions tell it",
    "registrations": "which of Apple's anonymous device ids has which pass: technical",
    "google_buzzes": "when Google was asked to notify: technical, kept for the daily allowance",
    "card_secrets": "what makes codes of the moment: who reads it could act as the person",
    "rolling_codes": "codes of the moment that were taken: purchases and scans tell it",
    "presentations": "when a code was taken at a till: what came of it is told",
}

# One statement each. `:persons`, `:cards`, … are the ids of the person's rows by `Key`,
# `OWN` the phones that were theirs alone, and when; `:nothing` an empty text, encrypted.
ERASED: Final[Mapping[str, str]] = {
    "persons": "UPDATE persons SET first_name = '', last_name = '', birthday = NULL, email = NULL,"
    " responsible_id = NULL, closed_at = coalesce(closed_at, :now), erased_at = :now"
    " WHERE id = ANY(:persons)",
    "phone_changes": "UPDATE phone_changes SET former = NULL, phone = '', reason = ''"
    " WHERE person_id = ANY(:persons)",
    "customer_sessions": "DELETE FROM customer_sessions WHERE person_id = ANY(:persons)",
    "kept_certificates": "DELETE FROM kept_certificates WHERE person_id = ANY(:persons)",
    "consents": "UPDATE consents SET phone = NULL,"
    " withdrawn_way = CASE WHEN withdrawn_at IS NULL THEN 'staff' ELSE withdrawn_way END,"
    " withdrawn_actor = CASE WHEN withdrawn_at IS NULL THEN :actor ELSE withdrawn_actor END,"
    " withdrawn_at = coalesce(withdrawn_at, greatest(given_at, :now))"
    " WHERE person_id = ANY(:persons)",
    "phone_proofs": "UPDATE phone_proofs SET phone = '', code_hash = NULL, reference = ''"
    " WHERE id = ANY(:proofs)",
    "applications": "UPDATE applications SET form = :nothing, phone = '', proven_with = NULL,"
    " completed_at = coalesce(completed_at, :now),"
    " state = CASE WHEN state = 'waiting' THEN 'given_up' ELSE state END"
    " WHERE id = ANY(:applications)",
    "plastic_numbers": "UPDATE plastic_numbers SET claimed_phone = NULL,"
    " claimed_at = coalesce(claimed_at, :now) WHERE card_id = ANY(:cards)",
    "import_rows": "UPDATE import_rows r SET cells = NULL, given = NULL, problems = '[]',"  # noqa: S608 - ours
    " phone = NULL, name_key = '', digest = NULL FROM imports i"
    " WHERE i.id = r.import_id AND i.organisation_id = :organisation_id AND"
    " (r.person_id = ANY(:persons) OR r.card_id = ANY(:cards)"
    f" OR r.phone IS NOT NULL AND EXISTS (SELECT FROM {OWN}"
    " WHERE own.phone = r.phone AND i.created_at <@ own.span))",
    "group_members": "UPDATE group_members SET reason = '' WHERE card_id = ANY(:cards)",
    "group_invitations": "DELETE FROM group_invitations"
    " WHERE card_id = ANY(:cards) AND used_at IS NULL",
    "purchases": "UPDATE purchases SET receipt = jsonb_set(receipt, '{phone}', 'null')"
    " WHERE card_id = ANY(:cards) AND receipt ->> 'phone' IS NOT NULL",
    "passes": "UPDATE passes SET content = jsonb_set(content, '{values}', '{}')"
    " WHERE id = ANY(:passes) AND jsonb_typeof(content) = 'object'",
    "google_objects": "UPDATE google_objects SET sent_values = '{}' WHERE pass_id = ANY(:passes)",
    "google_messages": "UPDATE google_messages SET body = '{}',"
    " state = CASE WHEN state = 'due' THEN 'refused' ELSE state END WHERE pass_id = ANY(:passes)",
    "messages": "UPDATE messages SET recipient = :nothing, body = NULL, due_at = NULL,"
    " final_at = coalesce(final_at, :now), state = CASE WHEN final_at IS NULL"
    " AND state IN ('queued', 'sending', 'sent') THEN 'refused' ELSE state END"
    " WHERE person_id = ANY(:persons)",
    "person_merges": "UPDATE person_merges SET reason = '', undone_reason = ''"
    " WHERE kept_id = ANY(:persons) OR merged_id = ANY(:persons)",
    "person_phones": "DELETE FROM person_phones WHERE person_id = ANY(:persons)",
    "phones": "DELETE FROM phones WHERE (id = ANY(:phones) OR id = ANY(:left_phones))"
    " AND NOT EXISTS (SELECT FROM person_phones pp WHERE pp.phone_id = phones.id)",
    # What other systems told us with the phone in it; nothing refers to these rows.
    "inbox": "UPDATE inbox SET body = '{}', processed_at = coalesce(processed_at, :now)"  # noqa: S608 - ours
    f" WHERE EXISTS (SELECT FROM {OWN} WHERE inbox.received_at <@ own.span"
    " AND strpos(inbox.body::text, substr(own.phone, 2)) > 0)",
}
KEPT: Final[Mapping[str, str]] = {
    "cards": "closed, with another link token: the number alone names nobody",
    "card_registrations": "when and by which door a card came into being",
    "birthday_gifts": "that a card got its gift of a year",
    "ledger_transactions": "the ledger is never edited; who writes reasons must not name people",
    "ledger_entries": "the ledger is never edited",
    "lots": "part of the ledger",
    "lot_movements": "part of the ledger",
    "holds": "part of the ledger",
    "hold_lots": "part of the ledger",
    "purchase_lines": "what was sold",
    "purchase_parts": "ties purchases to the ledger",
    "refunds": "what came back",
    "card_merges": "ids and figures",
    "registrations": "a phone must still be told that the pass is void; it then lets go of it",
    "google_buzzes": "when Google was asked to notify",
    "card_secrets": "random; the card is closed, so that no code counts any more",
    "rolling_codes": "random; the card is closed, so that no code counts any more",
    "presentations": "that a card was shown at a till",
    "erasures": "that, when and why it was done",
}
