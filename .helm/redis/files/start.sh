#!/bin/sh
# Start Redis as the pod's first process. It gets the password's SHA-256 on stdin, so that the password is in
# no argument, environment or configuration file.
set -eu
password=$(cat /run/secrets/redis/REDIS_PASSWORD)
if [ -z "$password" ]; then
  echo "redis: the Secret's key REDIS_PASSWORD is empty: put the password there, then delete this pod" >&2
  exit 1
fi
case $password in
  [[:space:]]* | *[[:space:]])
    echo "redis: the Secret's key REDIS_PASSWORD begins or ends with white space, which the service leaves out: put the password there without it, then delete this pod" >&2
    exit 1
    ;;
esac
hash=$(printf %s "$password" | sha256sum | cut -d ' ' -f 1)

# What a backup or a restore left in the middle goes. What restore.sh completed takes the place of the data, which is kept beside it.
cd /data
rm -rf backup.* restoring
if [ -d restored ]; then
  if [ -d appendonlydir ]; then
    rm -rf replaced
    mv appendonlydir replaced
  fi
  mv restored appendonlydir
  echo "redis: starting with the restored data" >&2
fi

# Without the commands that take the server over or empty it at once, but with those that show its state. Whoever has the
# password can still delete key by key, fill the memory, and block with a script: the service needs SET, DEL and EVAL.
exec redis-server /etc/redis/redis.conf - <<EOF
user default on #$hash ~* &* +@all -@dangerous +info +role +lastsave +bgrewriteaof +config|get +client|list +slowlog|get +slowlog|len +latency|latest
EOF
