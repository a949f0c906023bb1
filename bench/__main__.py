"""Run the benchmarks: `python -m bench [--only NAME]`.

Ends with one line per figure: `bench NAME value=V unit=U limit=L ratio=R`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Protocol, cast

import click

import bench
from bench import Result


class Benchmark(Protocol):
    """What a module of this folder needs to be run from here."""

    NAME: str

    def run(self) -> Result | Mapping[str, Result]:
        """Measure once and return the figure, or the figures by name, with their limits."""


def discover() -> dict[str, Benchmark]:
    """The benchmarks of this folder by name; helper modules have no `NAME`."""
    found: dict[str, Benchmark] = {}
    for info in pkgutil.iter_modules(bench.__path__):
        if info.name.startswith("_"):
            continue
        module = importlib.import_module(f"bench.{info.name}")
        if hasattr(module, "NAME"):
            benchmark = cast("Benchmark", module)
            found[benchmark.NAME] = benchmark
    return found


def line(name: str, result: Result) -> str:
    """The figure as other software reads it."""
    return (
        f"bench {name} value={result.value:.1f} unit={result.unit}"
        f" limit={result.limit:.1f} ratio={result.ratio:.3f}"
    )


@click.command()
@click.option("--only", metavar="NAME", help="Run one benchmark.")
def main(only: str | None) -> None:
    """Run the benchmarks and print one line per figure at the end."""
    benchmarks = discover()
    if only is not None:
        if only not in benchmarks:
            known = ", ".join(sorted(benchmarks))
            raise click.ClickException(f"There is no benchmark {only!r}; there are: {known}.")
        benchmarks = {only: benchmarks[only]}
    lines = []
    for name, benchmark in sorted(benchmarks.items()):
        click.echo(f"Running {name} ...")
        measured = benchmark.run()
        figures = {name: measured} if isinstance(measured, Result) else measured
        lines += [line(figure, result) for figure, result in figures.items()]
    for text in lines:
        click.echo(text)


if __name__ == "__main__":
    main(prog_name="python -m bench")
