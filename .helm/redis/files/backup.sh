#!/bin/sh
# Write the data to stdout as a tar archive, while Redis goes on serving: everything acknowledged before it began.
set -eu
umask 077
cd /data/appendonlydir
manifest=appendonly.aof.manifest
copy=$(mktemp -d /data/backup.XXXXXX)
trap 'rm -rf "$copy"' EXIT

# Fails when Redis deletes a file meanwhile, after a rewrite, or when the copy ends in the middle of a command.
copy_files() {
  rm -f "$copy"/*
  cp "$manifest" "$copy/" || return 1
  while read -r _ file _; do
    cp "$file" "$copy/" || return 1
  done <"$copy/$manifest"
  found=$(redis-check-aof "$copy/$manifest" 2>&1) || {
    echo "$found" >&2
    return 1
  }
}

attempt=1
until copy_files; do
  if [ "$attempt" -ge 5 ]; then
    echo "backup: no whole copy in $attempt attempts: see the errors above" >&2
    exit 1
  fi
  attempt=$((attempt + 1))
done
tar -C "$copy" -cf - .
