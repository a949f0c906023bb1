"""All tables: a foreign key names one of another package, which every process must know, whatever
else it imports."""

import walletsvc.access.models
import walletsvc.apple.models
import walletsvc.cards.codes.models
import walletsvc.cards.groups.models
import walletsvc.cards.merging.models
import walletsvc.cards.models
import walletsvc.cards.plastic.models
import walletsvc.certificates.keeping.models
import walletsvc.certificates.models
import walletsvc.enrolment.importing.models
import walletsvc.enrolment.merging.models
import walletsvc.enrolment.models
import walletsvc.enrolment.personal.models
import walletsvc.enrolment.phones.models
import walletsvc.google.models
import walletsvc.jobs.bulk.models
import walletsvc.ledger.models
import walletsvc.merchants.models
import walletsvc.messaging.models
import walletsvc.messaging.proving.models
import walletsvc.passes.models
import walletsvc.people.consents.models
import walletsvc.people.models
import walletsvc.people.sessions.models
import walletsvc.programmes.models
import walletsvc.programmes.terms.models
import walletsvc.programmes.tiers.models
import walletsvc.sales.models
import walletsvc.sales.rehearsing.models  # noqa: F401 - for what they declare
