#!/bin/sh
# Slurm's daemons and munge from Debian's or Ubuntu's packages, for `make test-slurm`; a cluster has its own.
#   sh infra/slurm/setup.sh      as root; nothing happens when they are there already.
set -eu
PATH="$PATH:/usr/sbin"
missing=
for program in munged slurmctld slurmd sbatch; do
    command -v "$program" >/dev/null || missing="$missing $program"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "no$missing here: install Slurm and munge (Debian: slurmctld slurmd slurm-client munge), as root." >&2
    exit 2
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client munge >/dev/null
