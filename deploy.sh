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

root=$(CDPATH='' cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$root/deploy/output.sh"
. "$root/deploy/processes.sh"
. "$root/deploy/arguments.sh"
. "$root/deploy/cluster.sh"
. "$root/deploy/outcome.sh"
. "$root/deploy/preflight.sh"
. "$root/deploy/charts.sh"
. "$root/deploy/record.sh"
. "$root/deploy/plan.sh"
. "$root/deploy/namespace.sh"
. "$root/deploy/lock.sh"
. "$root/deploy/image.sh"
. "$root/deploy/secrets.sh"
. "$root/deploy/external_secret.sh"
. "$root/deploy/forward.sh"
. "$root/deploy/good_answers.sh"
. "$root/deploy/answers.sh"
. "$root/deploy/candidate.sh"
. "$root/deploy/candidate_examination.sh"
. "$root/deploy/replicas.sh"
. "$root/deploy/release.sh"
. "$root/deploy/watch.sh"
. "$root/deploy/trouble.sh"
. "$root/deploy/entrance.sh"
. "$root/deploy/smoke.sh"
. "$root/deploy/evidence.sh"
. "$root/deploy/rollback.sh"
. "$root/deploy/status.sh"
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
