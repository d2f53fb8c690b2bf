#!/usr/bin/env bash
# Build, push and deploy the service beside its Redis: ./deploy.sh --help
set -Eeuo pipefail
# Nobody's preferences of kubectl: it would ask a person before it deletes.
export LC_ALL=C KUBERC=off

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
# shellcheck source=deploy/cluster.sh
. "$root/deploy/cluster.sh"
# shellcheck source=deploy/outcome.sh
. "$root/deploy/outcome.sh"
# shellcheck source=deploy/preflight.sh
. "$root/deploy/preflight.sh"
# shellcheck source=deploy/charts.sh
. "$root/deploy/charts.sh"
# shellcheck source=deploy/record.sh
. "$root/deploy/record.sh"
# shellcheck source=deploy/plan.sh
. "$root/deploy/plan.sh"
# shellcheck source=deploy/namespace.sh
. "$root/deploy/namespace.sh"
# shellcheck source=deploy/lock.sh
. "$root/deploy/lock.sh"
# shellcheck source=deploy/image.sh
. "$root/deploy/image.sh"
# shellcheck source=deploy/secrets.sh
. "$root/deploy/secrets.sh"
# shellcheck source=deploy/external_secret.sh
. "$root/deploy/external_secret.sh"
# shellcheck source=deploy/forward.sh
. "$root/deploy/forward.sh"
# shellcheck source=deploy/good_answers.sh
. "$root/deploy/good_answers.sh"
# shellcheck source=deploy/answers.sh
. "$root/deploy/answers.sh"
# shellcheck source=deploy/candidate.sh
. "$root/deploy/candidate.sh"
# shellcheck source=deploy/candidate_examination.sh
. "$root/deploy/candidate_examination.sh"
# shellcheck source=deploy/replicas.sh
. "$root/deploy/replicas.sh"
# shellcheck source=deploy/release.sh
. "$root/deploy/release.sh"
# shellcheck source=deploy/watch.sh
. "$root/deploy/watch.sh"
# shellcheck source=deploy/trouble.sh
. "$root/deploy/trouble.sh"
# shellcheck source=deploy/entrance.sh
. "$root/deploy/entrance.sh"
# shellcheck source=deploy/smoke.sh
. "$root/deploy/smoke.sh"
# shellcheck source=deploy/evidence.sh
. "$root/deploy/evidence.sh"
# shellcheck source=deploy/rollback.sh
. "$root/deploy/rollback.sh"
# shellcheck source=deploy/status.sh
. "$root/deploy/status.sh"
# shellcheck source=deploy/uninstall.sh
. "$root/deploy/uninstall.sh"

parse_arguments "$@"
set_traps

case $action in
  deploy)
    step preflight preflight
    step plan announce_plan
    step namespace prepare_namespace
    step lock acquire_lock
    step build build_image
    step push push_image
    step secrets prepare_secrets
    step candidate test_candidate
    step Redis deploy_redis
    step release deploy_service
    step watch watch_service
    step smoke smoke_service
    step "done" show_summary
    ;;
  plan)
    step preflight preflight
    step plan show_plan
    ;;
  rollback)
    step preflight preflight_installed
    step lock acquire_lock
    step rollback rollback_service
    step "done" show_summary
    ;;
  uninstall)
    step preflight preflight_installed
    step confirm confirm_uninstall
    step lock acquire_lock
    step uninstall uninstall_releases
    ;;
  status | history)
    step preflight preflight_installed
    "show_$action"
    ;;
esac
