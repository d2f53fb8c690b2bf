#!/bin/sh
# Exit 0 only for PONG: not for LOADING, NOAUTH, WRONGPASS or MISCONF, which redis-cli calls answers, too.
REDISCLI_AUTH=$(cat /run/secrets/redis/REDIS_PASSWORD)
export REDISCLI_AUTH
reply=$(redis-cli -e ping 2>&1)
[ "$reply" = PONG ] || {
  echo "redis answered PING with: $reply"
  exit 1
}
