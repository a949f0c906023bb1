"""The web application for WSGI servers: `granian --interface wsgi wsgi:app`."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING

from granian.utils.proxies import wrap_wsgi_with_proxy_headers

from walletsvc import settings
from walletsvc.app import open_installation
from walletsvc.app.web import create_app
from walletsvc.core.errors import WalletsvcError
from walletsvc.core.processes import die_with_parent, keep_what_there_is, share_one_heap
from walletsvc.web import logs
from walletsvc.web.whole import whole

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

# A server whose master is killed must not leave a worker behind that serves old code.
die_with_parent(os.getppid())
share_one_heap()
try:
    _settings = settings.load()
    logs.configure(_settings.log_format, _settings.log_level)
    _stack = ExitStack()
    # Not atexit, which a forked worker never gets to: this runs there and everywhere else.
    Finalize(None, _stack.close, exitpriority=10)
    app: WSGIApplication = create_app(
        _stack.enter_context(
            open_installation(_settings, pool_size=_settings.web_threads, patience=60)
        )
    )
except WalletsvcError as error:
    sys.exit(f"Error: {error.detail}")
app = whole(app)
if _settings.proxies:
    app = wrap_wsgi_with_proxy_headers(app, trusted_hosts=_settings.proxies)
keep_what_there_is()
