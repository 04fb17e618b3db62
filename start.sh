#!/usr/bin/env bash
# Installs what is missing and starts the whole platform. A second start says that it runs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
exec scripts/with-tools emdata start "$@"
