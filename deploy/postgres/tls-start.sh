#!/usr/bin/env bash
# Starts the image's own entrypoint with TLS 1.3 only. PostgreSQL wants its key readable to its own
# account alone, which a mounted secret is not: a copy in memory is.
set -euo pipefail
install -m 600 /run/secrets/tls_postgres_key /tmp/server.key
exec docker-entrypoint.sh "$@" \
  -c ssl=on -c ssl_min_protocol_version=TLSv1.3 \
  -c ssl_cert_file=/run/secrets/tls_postgres_certificate -c ssl_key_file=/tmp/server.key \
  -c hba_file=/opt/emdata/pg_hba.conf
