#!/bin/sh
# Read an archive of backup.sh from stdin and check it. Redis takes it over at the pod's next start.
set -eu
umask 077
cd /data
rm -rf restored restoring
mkdir restoring
trap 'rm -rf restoring' EXIT
tar -C restoring -xf -
# A backup may end in the middle of a command: --fix asks, and cuts that off.
if ! echo y | redis-check-aof --fix restoring/appendonly.aof.manifest >restoring/check 2>&1; then
  cat restoring/check >&2
  echo "restore: the archive is damaged, the data stays as it is: use another backup" >&2
  exit 1
fi
rm restoring/check
mv restoring restored
echo "restore: checked; delete this pod, and it starts with the restored data" >&2
