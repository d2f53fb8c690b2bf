#!/bin/sh
# Write the data to stdout as a tar archive, while Redis goes on serving: everything acknowledged before it began.
set -eu
umask 077
cd /data/appendonlydir
manifest=appendonly.aof.manifest
links=$(mktemp -d /data/backup.XXXXXX)
trap 'rm -rf "$links"' EXIT

# Hard links keep the files that one manifest names, even when Redis rewrites and deletes them meanwhile.
link_files() {
  rm -f "$links"/*
  cp "$manifest" "$links/"
  while read -r _ file _; do
    ln "$file" "$links/" || return 1
  done <"$links/$manifest"
}

attempt=1
until link_files; do
  if [ "$attempt" -ge 5 ]; then
    echo "backup: the files changed $attempt times while they were linked: see the errors above" >&2
    exit 1
  fi
  attempt=$((attempt + 1))
done

# 1: the newest file grew while it was read. The archive holds what was there at first, which is enough.
tar -C "$links" -cf - . || [ $? -eq 1 ]
