#!/usr/bin/env bash
# Registers this back end with the front end under its host name (a second time is refused and
# harmless), then becomes the back end.
set -euo pipefail

statement="ALTER SYSTEM ADD BACKEND \"$(hostname):9050\""
for password in "$(cat /run/secrets/starrocks_password)" ""; do
  if MYSQL_PWD="$password" mysql -h starrocks-fe -P 9030 -u root --connect-timeout=5 \
    -e "$statement" 2>/tmp/register.log || grep -qi "already" /tmp/register.log; then
    exec /opt/starrocks/be/bin/start_be.sh
  fi
done
cat /tmp/register.log >&2
exit 1
