"""`walletsvc templates`: check and publish the looks of passes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
from sqlmodel import Session, col, select

from walletsvc import settings as settings_module
from walletsvc.app import dialects
from walletsvc.cli.bulk import follow
from walletsvc.cli.context import Runtime, open_runtime
from walletsvc.core.actor import OPERATOR
from walletsvc.core.clock import utcnow
from walletsvc.core.errors import NotFound
from walletsvc.jobs.bulk import service as bulk
from walletsvc.passes import folder as folders
from walletsvc.passes import preflight, spreading
from walletsvc.passes import templates as service
from walletsvc.passes.findings import Finding, Severity
from walletsvc.passes.models import PassTemplate, PassType, TemplateVersion, VersionState, Wallet
from walletsvc.passes.protocol import Candidate, Dialect
from walletsvc.programmes.models import Programme

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_HEADINGS: Final = {
    Severity.ERROR: "Errors",
    Severity.WARNING: "Warnings",
    Severity.NOTE: "Notes",
}


@dataclass(frozen=True)
class _Report:
    """What was found out about one template; `folder` is None for one in the database."""

    name: str
    folder: Path | None
    candidate: Candidate | None
    findings: list[Finding]

    def count(self, severity: Severity) -> int:
        return sum(finding.severity is severity for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        return {"template": self.name, "findings": [f.as_json() for f in self.findings]}


@click.group()
def templates() -> None:
    """Check template folders and publish them to a programme's cards."""


@templates.command()
@click.argument("folders", nargs=-1, type=FOLDER)
@click.option("--published", is_flag=True, help="Check the published versions in the database.")
@click.option("--pass-type", help="Check against the certificate of this pass type identifier.")
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def check(
    folders: tuple[Path, ...], published: bool, pass_type: str | None, strict: bool, as_json: bool
) -> None:
    """Check template FOLDERS, or the published templates, before phones see them.

    Every finding is named with its place and a code; docs/templates.md lists the codes. The exit
    code is 1 when there are errors: such a template is not published.
    """
    if bool(folders) == published:
        raise click.UsageError("Name template folders, or say --published.")
    if published and pass_type:
        raise click.UsageError("--pass-type goes with folders; published templates have theirs.")
    reports = list(_published() if published else _folders(folders, pass_type))
    totals = Counter(finding.severity for report in reports for finding in report.findings)
    if as_json:
        counts = {f"{severity.value}s": totals[severity] for severity in Severity}
        everything = {"templates": [report.as_json() for report in reports], **counts}
        click.echo(json.dumps(everything, ensure_ascii=False, indent=2))
    else:
        for report in reports:
            _print(report)
        if not reports:
            click.echo("Nothing is published yet.")
    if totals[Severity.ERROR] or (strict and totals[Severity.WARNING]):
        click.get_current_context().exit(1)


@templates.command()
@click.argument("folder", type=FOLDER)
@click.option("--programme", required=True, help="The programme's short name (slug).")
@click.option("--pass-type", required=True, help="The pass type identifier to sign under.")
@click.option("--wait", is_flag=True, help="Show how it spreads to the cards until it has.")
def publish(folder: Path, programme: str, pass_type: str, wait: bool) -> None:
    """Publish a template FOLDER; phones that hold the programme's cards are told.

    The template is checked first: errors stop it, warnings are printed. The cards change in a
    bulk job: `walletsvc bulk list` shows how far it is.
    """
    loaded = service.load(folder)
    with open_runtime() as runtime:
        job_id = _publish(runtime, folder, loaded, programme, pass_type)
        if wait and job_id is not None:
            follow(runtime, job_id)


def _publish(
    runtime: Runtime,
    folder: Path,
    loaded: service.LoadedTemplate,
    programme: str,
    pass_type: str,
) -> str | None:
    """Publish it; returns the job that spreads the present version, if one was ever needed."""
    with runtime.database.write_tx() as session:
        found = session.exec(select(Programme).where(Programme.slug == programme)).first()
        if found is None:
            raise NotFound(f"There is no programme '{programme}'.")
        kind = _pass_type(session, pass_type)
        now = runtime.installation.clock()
        wallets = runtime.installation.publisher.dialects
        version = service.publish(
            session,
            programme_id=found.id,
            pass_type_id=kind.id,
            template=loaded,
            dialects=wallets,
            now=now,
            actor=OPERATOR,
        )
        candidate = preflight.candidate_for(
            session, loaded, programme_id=found.id, pass_type_id=kind.id
        )
        for finding in preflight.examine(candidate, wallets, session=session, now=now):
            if finding.severity is Severity.WARNING:
                click.echo(f"Warning: {finding.told(folder)} [{finding.code}]", err=True)
        job = bulk.current(session, spreading.TEMPLATE, {"template_id": version.template_id})
        number = version.number
    click.echo(f"{programme}: version {number} is published")
    return job.public_id if job is not None else None


def _pass_type(session: Session, identifier: str) -> PassType:
    found = session.exec(select(PassType).where(PassType.identifier == identifier)).first()
    if found is None or found.wallet is not Wallet.APPLE:
        raise NotFound(f"There is no pass type '{identifier}': walletsvc certs dev.")
    return found


def _folders(paths: tuple[Path, ...], pass_type: str | None) -> Iterator[_Report]:
    """Checks of folders; the database is opened only to look for a certificate."""
    if pass_type is None:
        wallets = dialects(settings_module.load())
        for path in paths:
            yield _folder(path, wallets, None, None)
        return
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        kind = _pass_type(session, pass_type)
        for path in paths:
            yield _folder(path, list(runtime.installation.publisher.dialects), session, kind.id)


def _folder(
    path: Path, wallets: list[Dialect], session: Session | None, pass_type_id: int | None
) -> _Report:
    template, found = folders.read(path)
    if template is None:
        return _Report(str(path), path, None, found)
    candidate = preflight.candidate_of(template, pass_type_id=pass_type_id)
    found = preflight.examine(candidate, wallets, session=session, now=utcnow())
    return _Report(str(path), path, candidate, found)


def _published() -> Iterator[_Report]:
    with open_runtime() as runtime, runtime.database.read_tx() as session:
        rows = session.exec(
            select(TemplateVersion, Programme)
            .join(PassTemplate, col(PassTemplate.id) == col(TemplateVersion.template_id))
            .join(Programme, col(Programme.id) == col(PassTemplate.programme_id))
            .where(TemplateVersion.state == VersionState.PUBLISHED)
            .order_by(col(Programme.slug))
        ).all()
        installation = runtime.installation
        for version, programme in rows:
            candidate = preflight.published(session, version)
            found = preflight.examine(
                candidate,
                installation.publisher.dialects,
                session=session,
                now=installation.clock(),
            )
            name = f"{programme.slug}, version {version.number}"
            yield _Report(name, None, candidate, found)


def _print(report: _Report) -> None:
    """A summary line, then one line per finding, by severity."""
    counts = [
        f"{count} {severity.value}{'s' * (count != 1)}"
        for severity in Severity
        if (count := report.count(severity))
    ]
    if report.candidate is not None and not report.count(Severity.ERROR):
        fields = len(report.candidate.description.fields.everywhere())
        images = len(report.candidate.pictures)
        counts = [f"in order ({fields} fields, {images} images)", *counts]
    click.echo(f"{report.name}: {', '.join(counts)}")
    for severity, heading in _HEADINGS.items():
        if report.count(severity):
            click.echo(f"  {heading}")
        for finding in report.findings:
            if finding.severity is severity:
                click.echo(f"    {finding.told(report.folder)} [{finding.code}]")
