"""How a refused command is told."""

from __future__ import annotations

import pytest

from walletsvc.cli import main
from walletsvc.cli.errors import told
from walletsvc.core.errors import Conflict, FieldError, InputError, WalletsvcError, wrong


@pytest.mark.parametrize(
    ("error", "lines"),
    [
        (wrong("expected_total", "is not so"), ["Error: --total: is not so."]),
        (wrong("columns.Код: 1", "is none"), ["Error: --column Код: 1: is none."]),
        (wrong("heading", "say in `columns`"), ["Error: heading: say in --column HEADING=COLUMN."]),
        (wrong("phone", "is `known`"), ["Error: phone: is `known`."]),
        (
            InputError("`expires_on` is over.", (FieldError("expires_on", "is over"),)),
            ["Error: --expires is over."],
        ),
        (
            InputError("Two are wrong.", (FieldError("expires_on", "is over"),)),
            ["Error: Two are wrong.", "  --expires: is over"],
        ),
        (Conflict("It was run."), ["Error: It was run."]),
    ],
)
def test_an_error_is_told_once_in_the_options_words(
    error: WalletsvcError, lines: list[str]
) -> None:
    """What a service calls a field is an option here; what the sentence says is not said again."""
    assert list(told(error)) == lines


def test_a_refusal_goes_to_stderr_with_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise wrong("expires_on", "is over")

    monkeypatch.setattr(main, "walletsvc", refuse)
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 1
    assert capsys.readouterr() == ("", "Error: --expires: is over.\n")
