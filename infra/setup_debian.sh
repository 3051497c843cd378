#!/bin/sh
# What tests of infra/ run, from Debian's or Ubuntu's packages: Postgres, networks of their own, images' roots.
#   sh infra/setup_debian.sh      as root; nothing happens when they are there already. Slurm: infra/slurm/setup.sh
set -eu
PATH="$PATH:/usr/sbin:/sbin"
missing=
for pair in ip:iproute2 unshare:util-linux mount:mount buildah:buildah debootstrap:debootstrap; do
    command -v "${pair%:*}" >/dev/null || missing="$missing ${pair#*:}"
done
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "not here:$missing (names of Debian's packages); install them as root." >&2
    exit 2
fi
# Tests start a Postgres of their own: Debian's package must not start one, too.
if [ ! -e /etc/postgresql-common ]; then
    mkdir -p /etc/postgresql-common
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086  # one word for each package
apt-get install -y -qq --no-install-recommends $missing >/dev/null
