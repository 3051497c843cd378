#!/bin/sh
# One machine of a training on several that share a state folder: the first leads, the others follow.
#
#   JOB_COMPLETION_INDEX=0 RPT_NODES=2 RPT_RENDEZVOUS=first:29500 RPT_HOME=/shared/job-17 RPT_STORE=... \
#       sh infra/kubernetes/node.sh rpt_14b --to train-rpt --placement ranks=16
#
# The same on every machine but for JOB_COMPLETION_INDEX, which an indexed job of Kubernetes sets; nothing else
# here is of Kubernetes. RPT_HOME is this job's alone: what outlives it is in RPT_STORE, where another job goes on.
set -u
python=${RPT_PYTHON:-python}
if [ "$JOB_COMPLETION_INDEX" -ne 0 ]; then
    exec "$python" -m infra.runs.follow
fi
export RPT_NODES_START="$python -m infra.runs.follow lead"
run='' asked=''
trap 'asked=yes; [ -z "$run" ] || kill -TERM "$run" 2>/dev/null' TERM # before there is anything to pass it to
"$python" -m flows run "$@" &
run=$!
[ -z "$asked" ] || kill -TERM "$run" 2>/dev/null
wait "$run"
code=$?
while kill -0 "$run" 2>/dev/null; do # the signal ended the wait, and not the run
    wait "$run"
    code=$?
done
[ "$code" -ne 0 ] || "$python" -m infra.runs.follow end
exit "$code"
