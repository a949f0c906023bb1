"""The house keeps its shape: imports look down, functions and files stay short, names are taken."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(
    path
    for folder in ("walletsvc", "bench")
    for path in (ROOT / folder).rglob("*.py")
    if "versions" not in path.parts
)
TOP_LEVEL = {
    "walletsvc", "pass_templates", "certs", "tests", "wsgi.py", "pyproject.toml", "README.md",
    "docs", "bench", "Makefile", "Dockerfile", "compose.yaml", "requirements.lock",
    "requirements-dev.lock", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", ".ci", ".dockerignore",
    ".gitignore",
}  # fmt: skip
LONGEST_FUNCTION = 50
LONGEST_FILE = 350
# SQL belongs to the other files of a feature; rules are pure.
PURE = {"rules.py"}


def test_imports_look_down() -> None:
    """The import contracts of pyproject.toml hold."""
    linter = Path(sys.executable).parent / "lint-imports"
    result = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_nothing_new_at_the_top_level() -> None:
    """A newcomer finds what every repository has, and nothing else."""
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert {Path(name).parts[0] for name in tracked} <= TOP_LEVEL


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_short_and_explained(path: Path) -> None:
    """Up to 350 lines a file and 50 a function; every module says what it is for."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "a module opens with a docstring"
    assert len(text.splitlines()) <= LONGEST_FILE
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= LONGEST_FUNCTION, f"{node.name} has {length} lines"
        if isinstance(node, ast.ExceptHandler):
            swallowed = len(node.body) == 1 and isinstance(node.body[0], ast.Pass)
            names = ast.unparse(node.type) if node.type else ""
            assert not (swallowed and names in ("", "Exception", "BaseException"))


@pytest.mark.parametrize(
    "path", [p for p in SOURCES if p.name in PURE], ids=lambda path: str(path.relative_to(ROOT))
)
def test_rules_touch_neither_database_nor_network(path: Path) -> None:
    """Rules are functions of their arguments."""
    imported = set(re.findall(r"^(?:from|import) ([\w.]+)", path.read_text(), re.MULTILINE))
    forbidden = ("sqlalchemy", "sqlmodel", "psycopg", "flask", "requests", "pycurl")
    assert not [name for name in imported if name.startswith(forbidden)]


def test_lock_files_are_hashed_and_name_no_index() -> None:
    """Any mirror works, and nothing unexpected gets in."""
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "://" not in text
        pins = re.findall(r"^[a-z0-9][\w.\-\[\],]*==", text, re.MULTILINE | re.IGNORECASE)
        blocks = re.split(r"\n(?=[A-Za-z0-9])", text)
        assert pins
        assert all("--hash=sha256:" in block for block in blocks if "==" in block)


def test_every_dependency_is_locked() -> None:
    """What pyproject.toml asks for is in the lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked = (ROOT / "requirements.lock").read_text(encoding="utf-8").lower()
    for wanted in project["dependencies"]:
        name = re.split(r"[\[<>=]", wanted)[0].lower()
        assert re.search(rf"^{re.escape(name)}(\[|==)", locked, re.MULTILINE), name


def test_ci_runs_the_tests_of_the_readme() -> None:
    """What the README tells people to run is what guards a change."""
    assert "make test" in (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert "make test" in (ROOT / "README.md").read_text(encoding="utf-8")
