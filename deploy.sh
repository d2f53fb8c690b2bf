#!/usr/bin/env bash
# Build, push and deploy the service beside its Redis: ./deploy.sh --help
set -Eeuo pipefail
export LC_ALL=C

# macOS ships 3.2, which parses this file and no other.
if [ "${BASH_VERSINFO[0]}" -lt 4 ] || { [ "${BASH_VERSINFO[0]}" -eq 4 ] && [ "${BASH_VERSINFO[1]}" -lt 4 ]; }; then
  echo "deploy.sh: needs bash 4.4 or newer, this is $BASH_VERSION: brew install bash, or install it with your packages" >&2
  exit 3
fi

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/output.sh
. "$root/deploy/output.sh"
# shellcheck source=deploy/processes.sh
. "$root/deploy/processes.sh"
# shellcheck source=deploy/arguments.sh
. "$root/deploy/arguments.sh"
# shellcheck source=deploy/preflight.sh
. "$root/deploy/preflight.sh"
# shellcheck source=deploy/charts.sh
. "$root/deploy/charts.sh"
# shellcheck source=deploy/namespace.sh
. "$root/deploy/namespace.sh"
# shellcheck source=deploy/image.sh
. "$root/deploy/image.sh"
# shellcheck source=deploy/secrets.sh
. "$root/deploy/secrets.sh"
# shellcheck source=deploy/release.sh
. "$root/deploy/release.sh"
# shellcheck source=deploy/watch.sh
. "$root/deploy/watch.sh"
# shellcheck source=deploy/smoke.sh
. "$root/deploy/smoke.sh"
# shellcheck source=deploy/summary.sh
. "$root/deploy/summary.sh"

parse_arguments "$@"
set_traps
step preflight preflight
# plan: what would change comes here.
step namespace prepare_namespace
# lock: one deploy at a time begins here.
step build build_image
step push push_image
step secrets prepare_secrets
step Redis deploy_redis
step release deploy_release
# watch and smoke will go back to the last verified revision when they fail.
step watch watch_release
step smoke smoke_test
step "done" show_summary
