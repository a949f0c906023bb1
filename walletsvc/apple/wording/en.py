"""The timeline in English: what happened, what it means, what to do."""

from __future__ import annotations

from typing import Final

from walletsvc.apple.diagnosis.facts import Code

# What it is, and what to do. A test compares the values that each language uses.
FINDINGS: Final[dict[Code, tuple[str, str]]] = {
    Code.NO_TEMPLATE: (
        "The programme has no published template, so there is no pass to show.",
        "Publish one: walletsvc templates publish.",
    ),
    Code.CERTIFICATE_MISSING: (
        "The pass type has no signing certificate: passes can be neither signed nor pushed.",
        "See walletsvc certs check.",
    ),
    Code.CERTIFICATE_EXPIRED: (
        "The signing certificate ended {until}: passes can be neither signed nor pushed.",
        "Renew it; what waits then goes out by itself. See walletsvc certs check.",
    ),
    Code.NEVER_ADDED: (
        "No phone has ever added this pass, so nobody is told of changes.",
        "Send the holder the card's page again.",
    ),
    Code.ADDED_WITHOUT_REGISTERING: (
        "The pass was downloaded (last {at}) but no phone registered to follow it.",
        (
            "Either it was looked at and not added, or it is in a wallet that only updates when it is"
            " opened (Android), or the phone could not reach WALLETSVC_PUBLIC_URL to register: open"
            " that address on a phone. Adding the card once more from its page registers it."
        ),
    ),
    Code.REMOVED: (
        "The pass was removed from phone {phone} {at}; no phone holds it now.",
        "If the holder wants it back: add it again from the card's page.",
    ),
    Code.DEVICE_GONE: (
        (
            "Apple says that phone {phone} no longer takes pushes for this pass ({reason}, {at}); no"
            " other phone holds it."
        ),
        (
            "The phone was reset or replaced, or the pass was removed. A phone that still shows it"
            " registers again when the card is added once more from its page."
        ),
    ),
    Code.CHANGE_SET_ASIDE: (
        (
            "A change made {age} ago could not be published because of an error; it is tried again"
            " {until}."
        ),
        "Look for “a change is set aside” in the worker's log: the error stands there.",
    ),
    Code.NO_PUBLISHER: (
        "A change made {age} ago waits, and nobody is there to publish it.",
        "Start walletsvc worker.",
    ),
    Code.BULK_FAILED: (
        "The bulk job “{title}” stopped before it came to this pass ({done} of {total}): {reason}",
        "Put the reason right and resume the job.",
    ),
    Code.BULK_PAUSED: (
        "The bulk job “{title}” is paused before it came to this pass ({done} of {total}).",
        "Resume the job.",
    ),
    Code.BULK_RUNNING: (
        "The bulk job “{title}” has not reached this pass yet ({done} of {total}).",
        "Wait for it.",
    ),
    Code.CHANGE_IN_BULK: (
        "A change made {age} ago waits in the bulk lane behind others.",
        "Wait; single purchases go ahead of it.",
    ),
    Code.PUBLISHER_BUSY: (
        "A change made {age} ago has not been published, although a publisher is connected.",
        "See whether it is busy or hangs: its log, the processor, locks in the database.",
    ),
    Code.CHANGE_JUST_MADE: (
        "A change was made {age} ago and is about to be published.",
        "Look again in a moment.",
    ),
    Code.NOT_PUBLISHED: (
        (
            "The pass would say something else now than what was last published, and no change"
            " waits: something was changed past the service, in the database itself."
        ),
        "The next change of the card, or the next fetch of the pass, publishes it.",
    ),
    Code.CHANNEL_PAUSED: (
        (
            "Pushes of the pass type were paused by hand {since}: {reason} The push to phone {phone}"
            " has waited {age}."
        ),
        "Resume them: walletsvc pushes resume.",
    ),
    Code.CHANNEL_STOPPED: (
        (
            "Pushes of the pass type are stopped since {since}: {reason} The push to phone {phone} has"
            " waited {age}; the next try is {retry}."
        ),
        "Put the reason right; then walletsvc pushes resume tries at once.",
    ),
    Code.NO_SENDER: (
        "The push to phone {phone} has waited {age}, and nobody is there to send it.",
        "Start walletsvc worker.",
    ),
    Code.DEVICE_QUIET: (
        "Apple said that phone {phone} got too many pushes (429); it gets none until {until}.",
        "Wait. If it recurs, change the card less often.",
    ),
    Code.PUSH_BACKING_OFF: (
        (
            "The push to phone {phone} failed {attempts} times, last with {answer}; it is tried again"
            " {due}."
        ),
        (
            "Usually the push service is out of order for a while. If it lasts, see walletsvc pushes"
            " status and whether this host reaches api.push.apple.com."
        ),
    ),
    Code.PUSH_IN_FLIGHT: (
        (
            "The push to phone {phone} is being sent right now; should its sender have died, it comes"
            " back {due}."
        ),
        "Look again in a minute.",
    ),
    Code.PUSH_IN_BULK: (
        "The push to phone {phone} has waited {age} in the bulk lane behind others.",
        "Wait; single purchases go ahead of it.",
    ),
    Code.SENDER_BUSY: (
        "The push to phone {phone} is due and has waited {age}, although a sender is connected.",
        "See the sender's log and walletsvc pushes status.",
    ),
    Code.PUSH_JUST_QUEUED: (
        "The push to phone {phone} was queued {age} ago and is about to leave.",
        "Look again in a moment.",
    ),
    Code.PUSH_REFUSED: (
        "Apple refused the push to phone {phone}: {answer}. It is not tried again.",
        (
            "That is a fault of ours or of the configuration: see the sender's log. The next change is"
            " pushed anew."
        ),
    ),
    Code.PUSH_MISSING: (
        (
            "No push to phone {phone} was recorded since the pass has something new ({at}), and none"
            " is queued."
        ),
        "Should not happen: please report it. The next change is pushed anew.",
    ),
    Code.COMPLAINT_AUTHENTICATION: (
        "A phone logged that it was not let in ({at}): “{line}”",
        (
            "Its copy has another authentication token, as after a database was replaced: add the card"
            " again from its page. A proxy must pass the Authorization header on."
        ),
    ),
    Code.COMPLAINT_MALFORMED: (
        "A phone could not read an answer ({at}): “{line}”",
        (
            "Check the pass with walletsvc simulate phone; a proxy must not change or compress answers"
            " and must not answer in our place."
        ),
    ),
    Code.COMPLAINT_UNCHANGED: (
        "A phone logged that the pass was named as changed and had not ({at}): “{line}”",
        "Harmless when it happens once: it had fetched the pass a moment before.",
    ),
    Code.COMPLAINT_CONNECTION: (
        "A phone could not connect ({at}): “{line}”",
        (
            "Often the phone's own network. From several phones: see the certificate and the reach of"
            " WALLETSVC_PUBLIC_URL from outside."
        ),
    ),
    Code.COMPLAINT_OTHER: (
        "A phone logged ({at}): “{line}”",
        "Read it beside the lines of the same time.",
    ),
    Code.FETCHED_OLDER: (
        "Phone {phone} was given revision {fetched} after revision {revision} was published.",
        (
            "A web process or a cache in front of it answers with old content: nothing may cache"
            " /apple/. The next change is pushed anew."
        ),
    ),
    Code.ANSWERED_UNCHANGED: (
        (
            "Phone {phone} asked for the pass and was told that its copy is the newest ({at}, 304),"
            " though no fetch of revision {revision} was recorded."
        ),
        "If the phone shows something older, remove the card there and add it again.",
    ),
    Code.TAG_AHEAD: (
        (
            "Phone {phone} asked {at} with a tag that has the change already, so it was told that"
            " nothing changed; no fetch of revision {revision} was recorded."
        ),
        (
            "The phone took the list once and then failed to fetch. The next change names the pass"
            " again; to mend it now, remove the card on the phone and add it again."
        ),
    ),
    Code.FETCHING: (
        "Phone {phone} asked {age} ago, was told of the change, and is about to fetch the pass.",
        "Look again in a moment.",
    ),
    Code.ASKED_NOT_FETCHED: (
        "Phone {phone} asked {at} and was told of the change, but did not fetch the pass.",
        (
            "Look for errors of GET /apple/v1/passes in the web log at that time: a signature that"
            " fails, a time-out, a proxy. Otherwise the phone lost its network; it tries again later."
        ),
    ),
    Code.SERVICE_UNREACHABLE: (
        (
            "Apple accepted pushes for {phones} phones in the last hours, and none of them asked:"
            " phones do not reach this service. Phone {phone} was told {at}."
        ),
        (
            "Open WALLETSVC_PUBLIC_URL on a phone outside your network: address, DNS, TLS certificate,"
            " firewall, proxy. Phones need https with a certificate they trust."
        ),
    ),
    Code.UPDATES_OFF: (
        (
            "Phone {phone} was pushed {pushes} times since {first} and never asked: probably"
            " “Automatic Updates” is off for this pass, or the phone is switched off."
        ),
        (
            "On the phone: Wallet, the card, ⋯, Pass Details, Automatic Updates. Pulling that page"
            " down updates the card at once."
        ),
    ),
    Code.PHONE_SILENT: (
        "Apple accepted the push to phone {phone} {at}; the phone has not asked for {age}.",
        (
            "Most likely it is off, without network, or in Low Power Mode: background pushes are"
            " delivered as Apple sees fit. It asks when it wakes. Also possible: Automatic Updates are"
            " off for the pass (Wallet, the card, ⋯, Pass Details; pulling that page down updates at"
            " once), or the phone cannot reach WALLETSVC_PUBLIC_URL."
        ),
    ),
    Code.ON_ITS_WAY: (
        "Apple accepted the push to phone {phone} {age} ago; the phone should ask any moment.",
        "Look again in a moment.",
    ),
    Code.NOT_RECORDED: (
        "What happened to phone {phone} after the last publication ({at}) is no longer recorded.",
        "The next change will tell. WALLETSVC_TIMELINE_DAYS says how long timelines are kept.",
    ),
    Code.SAME_CONTENT: (
        "The last change ({at}) left the pass saying what it said before, so nobody was told.",
        (
            "Nothing: a push without news would be noise. If a value should have changed, see whether"
            " the template shows it."
        ),
    ),
    Code.UP_TO_DATE: (
        "Phone {phone} has the newest state, revision {revision}, since {at}.",
        (
            "If its screen shows something else, close and open Wallet; at worst remove the card and"
            " add it again."
        ),
    ),
}

ENTRIES: Final = {
    "changed": "{type} {amount}, balance {balance}{reason}, by {actor}{branch}",
    "published": "published as revision {revision}, tag {tag}: {differs}; because of {causes}",
    "published-first": "published for the first time, tag {tag}; because of {causes}",
    "pushed-accepted": "push accepted (apns-id {apns_id}, attempt {attempts})",
    "pushed-refused": "push answered {status} {reason} (attempt {attempts})",
    "pushed-failed": "push not delivered: {reason} (attempt {attempts})",
    "device-lost": "the push service says that the phone is gone ({reason})",
    "asked": "asked what changed since {since}: {serials} changed, up to {answered}",
    "asked-nothing": "asked what changed since {since}: nothing",
    "fetched": "fetched revision {revision}",
    "fetched-page": "somebody downloaded revision {revision} from the card's page",
    "unchanged": "already has revision {revision} (304)",
    "registered": "registered, with the present state in its hands",
    "registered-stale": "registered with an older copy, and is told at once",
    "registered-again": "registered again and said its push token",
    "unregistered": "removed the pass",
    "logged": "a phone logged: {message}",
}

LAGS: Final = {
    "changed": "{time} after the change",
    "published": "{time} after the publication",
    "pushed": "{time} after the push",
    "asked": "{time} after asking",
}

CAUSES: Final = {
    "account": "a movement on the account",
    "card": "the card itself",
    "person": "the holder's data",
    "certificate": "the certificate",
    "template": "the template",
    "pass": "a new phone or a bulk job",
    "request": "somebody asked for a pass that was out of date",
}

TYPES: Final = {
    "credit": "credit",
    "debit": "debit",
    "reversal": "reversal",
    "accrual": "accrual",
    "maturity": "maturity",
    "expiry": "expiry",
    "capture": "capture",
    "transfer": "transfer",
}

WORDS: Final = {
    "s": "s",
    "min": "min",
    "h": "h",
    "d": "d",
    "decimal": ".",
    "look": "the look",
    "look-version": "template version {before} → {now}",
    "barcode": "the code",
    "nothing": "nothing",
    "never": "never",
    "start": "the beginning",
    "true": "yes",
    "false": "no",
    "phone": "phone {phone}",
    "verdict": "Verdict",
    "pass": "Pass {serial} ({pass_type}), {holder}",
    "card": "card {number}, programme {programme}",
    "gift": "certificate {id}, programme {programme}",
    "state": "revision {revision}, tag {tag}, published {at}",
    "state-none": "never published",
    "zone": "Times in {zone}; entries since {since}.",
    "more": "Older entries are left out: --limit, --since.",
    "none": "Nothing is recorded in this time.",
}
