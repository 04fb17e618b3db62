#!/usr/bin/env bash
# Makes the cluster once from POSTGRES_USER, POSTGRES_PASSWORD_FILE and POSTGRES_DB, then serves.
set -euo pipefail
if [[ ! -s "$PGDATA/PG_VERSION" ]]; then
  read -r -a initdb <<<"${POSTGRES_INITDB_ARGS:-}"
  scratch="$PGDATA.new"
  rm -rf "$scratch"
  mkdir -p "$(dirname "$PGDATA")"
  initdb -D "$scratch" -U "$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" "${initdb[@]}"
  echo "host all all all scram-sha-256" >>"$scratch/pg_hba.conf"
  pg_ctl -D "$scratch" -o "-c listen_addresses=" -w start
  PGPASSWORD="$(cat "$POSTGRES_PASSWORD_FILE")" psql -h /var/run/postgresql -U "$POSTGRES_USER" \
    -d postgres -c "CREATE DATABASE \"$POSTGRES_DB\""
  pg_ctl -D "$scratch" -m fast -w stop
  mv "$scratch" "$PGDATA"
fi
exec "$@" -D "$PGDATA" -c "listen_addresses=*"
