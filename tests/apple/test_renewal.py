"""A renewed certificate: every pass is published once for it, whoever comes first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7
from sqlmodel import col, select

from tests.apple.authority import apple, with_key
from tests.apple.conftest import Service
from tests.apple.material import unpack, verified
from walletsvc.apple import importing
from walletsvc.apple.bundles import Bundle
from walletsvc.apple.importing import Imported, Outcome
from walletsvc.core.actor import SYSTEM
from walletsvc.jobs.bulk import BulkJob, BulkState
from walletsvc.jobs.changes import Lane, touch
from walletsvc.passes.models import Pass, PassType


@dataclass
class Renewals:
    """The shop's pass type, whose certificate is renewed."""

    service: Service
    bundles: list[Bundle] = field(default_factory=list)

    def renew(self) -> Imported:
        """Import the next certificate."""
        number = len(self.bundles) + 1
        at = self.service.clock() - timedelta(days=100 - number)
        kind = self.service.pass_type
        self.bundles.append(with_key(number=number, pass_type=kind, team="TEST000001", at=at))
        return self.bring(self.bundles[-1])

    def bring(self, bundle: Bundle) -> Imported:
        """Import a certificate."""
        with self.service.database.write_tx() as session:
            return importing.import_certificate(
                session, self.service.installation.settings, bundle, actor=SYSTEM,
                now=self.service.clock(),
            )  # fmt: skip

    def publish_all(self) -> None:
        """What the bulk job does: all published passes of the type, in the bulk lane."""
        with self.service.database.write_tx() as session:
            ids = session.exec(select(Pass.id).where(col(Pass.revision) > 0)).all()
            touch(session, "pass", ids, at=self.service.clock(), lane=Lane.BULK)
        self.service.drain()

    def fetch(self, since: str | None = None) -> tuple[int, bytes, str]:
        """What the phone gets: status, package, Last-Modified."""
        headers = self.service.auth()
        if since is not None:
            headers["If-Modified-Since"] = since
        answer = self.service.client.get(self.service.pass_url(), headers=headers)
        modified = answer.headers.get("Last-Modified", since or "")
        return answer.status_code, answer.data, modified

    def listed(self, tag: str | None) -> tuple[int, str | None]:
        """Whether something changed since a tag, and the new tag."""
        answer = self.service.client.get(self.service.list_url(tag))
        return answer.status_code, answer.get_json()["lastUpdated"] if answer.data else tag

    def jobs(self) -> list[BulkJob]:
        """The bulk jobs that renewals began."""
        with self.service.database.read_tx() as session:
            return list(session.exec(select(BulkJob).order_by(col(BulkJob.id))))

    def generation(self) -> int:
        """How often the certificate was renewed."""
        with self.service.database.read_tx() as session:
            kind = self.service.shop.pass_type.id
            return session.exec(select(PassType.generation).where(PassType.id == kind)).one()


@pytest.fixture
def renewals(service: Service) -> Renewals:
    """Nothing is published yet."""
    apple().trusted_by(service.installation.settings)
    return Renewals(service)


def signer(package: bytes) -> x509.Certificate:
    """Whose certificate signed a package."""
    found = pkcs7.load_der_pkcs7_certificates(unpack(package)["signature"])
    (leaf,) = [c for c in found if "Pass Type ID" in c.subject.rfc4514_string()]
    return leaf


def certificate(done: Imported) -> x509.Certificate:
    """The one that was imported."""
    return x509.load_pem_x509_certificate(done.row.certificate_pem.encode())


def test_a_phone_gets_each_renewal_once(renewals: Renewals, tmp_path: Path) -> None:
    """Two renewals: one push, one change in the list, one package signed anew, each time."""
    service = renewals.service
    _, package, modified = renewals.fetch()
    service.register()
    service.drain()
    _, tag = renewals.listed(None)
    for number in (1, 2):
        done = renewals.renew()
        assert done.job is not None
        assert (renewals.generation(), service.count("pushes")) == (number, number - 1)
        renewals.publish_all()
        assert service.pass_().revision == number + 1
        assert service.count("pushes") == number
        status, newer = renewals.listed(tag)
        assert (status, newer != tag) == (200, True)
        tag = newer
        status, package, modified = renewals.fetch(modified)
        assert status == 200
        assert signer(package) == certificate(done)
        (tmp_path / str(number)).mkdir()
        verified(package, apple().root, tmp_path / str(number), service.clock())
        # Whatever comes now, nothing is new.
        renewals.publish_all()
        assert renewals.bring(renewals.bundles[-1]).outcome is Outcome.ACTIVE_ALREADY
        renewals.publish_all()
        assert service.pass_().revision == number + 1
        assert service.count("pushes") == number
        assert renewals.listed(tag)[0] == 204
        assert renewals.fetch(modified)[0] == 304
    assert len(renewals.jobs()) == 2


def test_the_job_says_what_it_is_for(renewals: Renewals) -> None:
    """Only passes that were published are counted: the others will be signed anew anyway."""
    renewals.fetch()
    done = renewals.renew()
    (job,) = renewals.jobs()
    assert done.job is not None
    assert job.public_id == done.job.public_id
    assert (job.kind, job.state, job.total) == ("certificate", BulkState.RUNNING, 1)
    assert job.parameters == {"pass_type_id": renewals.service.shop.pass_type.id}
    assert (job.actor, renewals.service.pass_type in job.title) == (str(SYSTEM), True)


def test_a_phone_that_asks_before_the_job_comes_is_served_the_new_one(renewals: Renewals) -> None:
    """At once, although this process signed with the former one a moment ago; the job then finds
    nothing to do."""
    _, before, modified = renewals.fetch()
    done = renewals.renew()
    status, package, newer = renewals.fetch(modified)
    assert status == 200
    assert newer != modified
    assert signer(package) == certificate(done) != signer(before)
    renewals.publish_all()
    assert renewals.service.pass_().revision == 2
    assert renewals.fetch(newer)[0] == 304


def test_nothing_published_nothing_to_renew(renewals: Renewals) -> None:
    """The first certificate of a pass type begins no job, and passes are as they ever were."""
    assert renewals.renew().job is None
    assert (renewals.generation(), renewals.jobs()) == (0, [])
    renewals.fetch()
    content = renewals.service.pass_().content
    assert content is not None
    assert "generation" not in content


def test_a_change_of_the_balance_brings_the_renewal_along(renewals: Renewals) -> None:
    """One publication for both."""
    service = renewals.service
    renewals.fetch()
    service.register()
    service.drain()
    renewals.renew()
    service.change(10)
    service.drain()
    renewals.publish_all()
    assert (service.pass_().revision, service.count("pushes")) == (2, 1)


def test_two_imports_at_once_are_one_renewal(renewals: Renewals) -> None:
    """Two operators, or one with a double click."""
    renewals.fetch()
    bundle = with_key(pass_type=renewals.service.pass_type, team="TEST000001")
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(renewals.bring, (bundle, bundle)))
    assert sorted(d.outcome for d in done) == [Outcome.ACTIVATED, Outcome.ACTIVE_ALREADY]
    assert (renewals.generation(), len(renewals.jobs())) == (1, 1)
