#!/bin/sh
# Read an archive of backup.sh from stdin and check it. Redis takes it over at the pod's next start.
set -eu
umask 077
cd /data
rm -rf restored restoring
mkdir restoring
trap 'rm -rf restoring' EXIT
tar -C restoring -xf -
found=$(redis-check-aof restoring/appendonly.aof.manifest 2>&1) || {
  echo "$found" >&2
  echo "restore: the archive is damaged, the data stays as it is: use another backup" >&2
  exit 1
}
mv restoring restored
echo "restore: checked; delete this pod, and it starts with the restored data" >&2
