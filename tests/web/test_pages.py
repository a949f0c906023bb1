"""Static files and the frame."""

from __future__ import annotations

import re

from flask import Flask

from walletsvc.web import pages


def test_static_files_may_be_kept_for_ever_under_their_own_address() -> None:
    """The address names the content; without that the browser has to ask."""
    app = Flask("walletsvc")
    pages.install(app)
    client = app.test_client()
    with app.test_request_context():
        address = pages.asset("walletsvc.css")
    assert re.fullmatch(r"/assets/walletsvc\.css\?v=[0-9a-f]{12}", address)
    with client.get(address) as answer:
        assert answer.mimetype == "text/css"
        assert "immutable" in answer.headers["Cache-Control"]
    with client.get("/assets/walletsvc.css") as answer:
        assert "immutable" not in answer.headers.get("Cache-Control", "")


def test_the_style_sheet_fetches_nothing() -> None:
    """No fonts, no pictures, no other sheets: one small file."""
    css = (pages.STATIC / "walletsvc.css").read_text()
    assert "url(" not in css
    assert "@import" not in css
    assert len(css.encode()) < 16 * 1024
