# Flink out of the locked PyFlink package, with the locked connectors. Two images:
#   flink   JobManager and TaskManager: Java and jars, no Python
#   deploy  `emdata serve flink-deploy`: the platform's Python, PyFlink, Java
# Built after platform.Dockerfile, whose code fetches and verifies the jars.
ARG PLATFORM_IMAGE=emdata/platform:0.1.0
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
ARG DEBIAN_IMAGE=debian:bookworm-slim

FROM ${PLATFORM_IMAGE} AS platform

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /opt/emdata/app
COPY requirements/flink-build.txt requirements/flink.txt requirements/
RUN python3 -m venv /opt/emdata/tools/flink \
 && /opt/emdata/tools/flink/bin/pip install --require-hashes --only-binary=:all: \
      -r requirements/flink-build.txt \
 && /opt/emdata/tools/flink/bin/pip install --require-hashes --no-build-isolation \
      -r requirements/flink.txt \
 && packages=/opt/emdata/tools/flink/lib/python3.11/site-packages \
 && rm -rf "$packages/pyflink/examples" "$packages/pyarrow/tests" "$packages/numpy/tests" \
           "$packages/pandas/tests"
# Only what fetches the jars: a change elsewhere in the code must not fetch them again.
COPY --from=platform /opt/emdata/tools/platform /opt/emdata/tools/platform
COPY requirements/jars.lock requirements/jars.lock
COPY emdata/__init__.py emdata/errors.py emdata/
COPY runtime/__init__.py runtime/
COPY runtime/install runtime/install
RUN /opt/emdata/tools/platform/bin/python -c "import os, sys; sys.path.insert(0, '.'); \
from pathlib import Path; from runtime.install import install_jars; \
install_jars(Path('requirements/jars.lock'), Path('/opt/emdata/tools/jars'), \
environ=os.environ, report=print)"
COPY deploy/flink deploy/flink
RUN packages=/opt/emdata/tools/flink/lib/python3.11/site-packages \
 && mkdir -p /opt/flink/plugins /opt/flink/conf \
 && cp -r "$packages/pyflink/lib" /opt/flink/lib \
 && cp /opt/emdata/tools/jars/flink/*.jar /opt/flink/lib/ \
 && cp -r "$packages/pyflink/plugins/metrics-prometheus" /opt/flink/plugins/ \
 && cp deploy/flink/config.yaml deploy/flink/log4j-console.properties /opt/flink/conf/ \
 && cp deploy/flink/entrypoint.sh /opt/flink/entrypoint.sh \
 && chmod -R a+rX,go-w /opt/flink && chmod 755 /opt/flink/entrypoint.sh

FROM ${DEBIAN_IMAGE} AS flink
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="emdata flink" \
      org.opencontainers.image.description="Flink 1.20 with the Kafka and StarRocks connectors" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      openjdk-17-jre-headless curl ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 emdata \
 && useradd --uid 10001 --gid emdata --home-dir /opt/flink --shell /usr/sbin/nologin emdata \
 && mkdir -p /var/lib/emdata/live/flink /var/lib/emdata/simulated/flink \
 && chown -R 10001:10001 /var/lib/emdata
COPY --from=build /opt/flink /opt/flink
ENV FLINK_HOME=/opt/flink FLINK_CONF_DIR=/opt/flink/conf FLINK_LIB_DIR=/opt/flink/lib \
    FLINK_PLUGINS_DIR=/opt/flink/plugins FLINK_HEAP_MB=256 MALLOC_ARENA_MAX=2 HOME=/tmp TZ=UTC
WORKDIR /opt/flink
ARG INPUTS=""
LABEL org.emdata.inputs="${INPUTS}"
USER 10001:10001
ENTRYPOINT ["/opt/flink/entrypoint.sh"]
CMD ["jobmanager"]

FROM ${PYTHON_IMAGE} AS deploy
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="emdata flink-deploy" \
      org.opencontainers.image.description="Deploys the Flink jobs and keeps them running" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
# The platform's image with Java and PyFlink below it, where a change of the code does not move them.
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      openjdk-17-jre-headless \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 emdata \
 && useradd --uid 10001 --gid emdata --home-dir /var/lib/emdata --shell /usr/sbin/nologin emdata
COPY --from=build /opt/emdata/tools/flink /opt/emdata/tools/flink
COPY --from=build /opt/emdata/tools/jars/flink /opt/emdata/tools/jars/flink
COPY --from=platform /opt/emdata/tools/platform /opt/emdata/tools/platform
COPY --from=platform --chown=10001:10001 /var/lib/emdata /var/lib/emdata
COPY --from=platform /opt/emdata/app /opt/emdata/app
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
WORKDIR /opt/emdata/app
ARG INPUTS=""
LABEL org.emdata.inputs="${INPUTS}"
USER 10001:10001
VOLUME ["/var/lib/emdata"]
ENTRYPOINT ["emdata"]
CMD ["serve", "flink-deploy"]
