#!/usr/bin/env bash
# Finds what is wrong with a platform that does not run as it should, and says what to do.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
exec scripts/with-tools --installed emdata troubleshoot "$@"
