# Stands in for prom/prometheus, prom/alertmanager and prometheuscommunity/postgres-exporter: Debian's
# programs under the same names, paths, account and variables.
FROM debian:bookworm-slim
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      prometheus prometheus-alertmanager prometheus-postgres-exporter wget \
 && rm -rf /var/lib/apt/lists/* \
 && mkdir -p /prometheus /alertmanager && chown 65534:65534 /prometheus /alertmanager
USER 65534:65534
VOLUME ["/prometheus", "/alertmanager"]
