#!/usr/bin/env bash
# Runs the tests that need a container engine or a PostgreSQL server, with what the machine has or can get quickly.
#
# What is missing is fetched with apt, but only as root and within a few minutes: a mirror that is away must not hold up
# a check. What cannot be had is said in one line, and its tests are left out; a test that fails makes this fail.
# MCPP_CI_APT=off fetches nothing.
set -uo pipefail
cd "$(dirname "$0")/.."

APT_UPDATE_LIMIT=90s
APT_INSTALL_LIMIT=240s
PROBE_LIMIT=60s
CONTAINERS_LIMIT=20m
POSTGRES_LIMIT=20m

say() { echo "ci-engines: $*"; }

has_podman() {
  command -v podman > /dev/null && command -v runc > /dev/null && command -v git > /dev/null && [ -x /bin/busybox ]
}

has_postgres() {
  # The oldest version that the store works with.
  for bin in /usr/lib/postgresql/*/bin/initdb; do
    [ -x "$bin" ] && [ "$(basename "${bin%/bin/initdb}")" -ge 15 ] && return 0
  done
  return 1
}

# apt's own answers go to a file: they matter only if it fails.
fetch() {
  [ "${MCPP_CI_APT:-on}" = on ] && [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null || return 1
  local log options
  log=$(mktemp)
  options=(-qq -o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20 -o DPkg::Lock::Timeout=30)
  # RUNLEVEL=1 keeps Debian from starting the servers that it installs.
  if DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 timeout -k 10s "$APT_UPDATE_LIMIT" apt-get "${options[@]}" update > "$log" 2>&1 &&
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 timeout -k 10s "$APT_INSTALL_LIMIT" \
      apt-get "${options[@]}" install -y --no-install-recommends "$@" >> "$log" 2>&1; then
    rm -f "$log"
    return 0
  fi
  say "apt could not install $*: $(grep -m 1 '^E:' "$log" || echo 'it took too long')"
  rm -f "$log"
  return 1
}

# An engine that is installed may still not be able to start anything, as in a container without privileges.
can_run_containers() {
  local folder ended
  folder=$(mktemp -d)
  mkdir -p "$folder/image/bin"
  cp /bin/busybox "$folder/image/bin/busybox"
  local podman=(timeout -k 10s "$PROBE_LIMIT" podman --root "$folder/root" --runroot "$folder/run" --tmpdir "$folder/tmp"
    --storage-driver=vfs --runtime=runc --cgroup-manager=cgroupfs --events-backend=file)
  (
    ulimit -n 4096 -u 8192
    tar -C "$folder/image" -c . | "${podman[@]}" import - localhost/probe:latest &&
      "${podman[@]}" run --rm --network none --ulimit nofile=64:64 --ulimit nproc=64:64 localhost/probe:latest /bin/busybox true
  ) > /dev/null 2>&1
  ended=$?
  awk -v folder="$folder" 'index($2, folder) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r umount -l
  rm -rf "$folder"
  return "$ended"
}

run() {
  local limit=$1 script=$2
  say "npm run $script"
  timeout -k 30s "$limit" npm run --silent "$script" && return 0
  say "npm run $script failed, or was not done within $limit"
  return 1
}

failed=0

has_podman || fetch podman runc busybox-static git
if [ "$(id -u)" != 0 ]; then
  say "not root: the tests with a container engine are left out"
elif ! has_podman; then
  say "no podman with runc and busybox-static: the tests with a container engine are left out"
elif ! can_run_containers; then
  say "podman cannot run a container on this machine: the tests with a container engine are left out"
else
  run "$CONTAINERS_LIMIT" test:containers || failed=1
fi

has_postgres || fetch postgresql
if has_postgres; then
  run "$POSTGRES_LIMIT" test:postgres || failed=1
else
  say "no PostgreSQL 15 or later: the tests with a database server are left out"
fi

exit "$failed"
