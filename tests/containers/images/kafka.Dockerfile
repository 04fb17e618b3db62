# Stands in for apache/kafka: the locked jars, the same paths and KAFKA_ variables.
ARG JARS_IMAGE=emdata/flink-build:test
FROM ${JARS_IMAGE} AS jars
FROM debian:bookworm-slim
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      openjdk-17-jre-headless \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 1000 --create-home appuser \
 && mkdir -p /opt/kafka/bin /opt/kafka/config /var/lib/kafka/data \
 && chown -R 1000:1000 /var/lib/kafka /opt/kafka/config
COPY --from=jars /opt/emdata/tools/jars/kafka /opt/kafka/libs
COPY kafka-run.sh /etc/kafka/docker/run
COPY kafka-tool.sh /opt/kafka/bin/kafka-tool.sh
RUN chmod 755 /etc/kafka/docker/run /opt/kafka/bin/kafka-tool.sh \
 && for tool in topics consumer-groups broker-api-versions configs get-offsets metadata-quorum; \
    do ln -s kafka-tool.sh "/opt/kafka/bin/kafka-$tool.sh"; done
USER 1000:1000
VOLUME ["/var/lib/kafka/data"]
CMD ["/etc/kafka/docker/run"]
