#!/usr/bin/env bash
# A job on a Ray cluster, which somebody has started:
#
#   ray start --head --port=6379               on the first host
#   ray start --address=FIRST:6379             on each of the others, with pipepita installed
#   scripts/examples/cluster.sh FIRST:6379     on any of them
set -euo pipefail
here=$(dirname "$0")
address=$1 out=${2:-cluster-run}

pipepita train "$here/job.toml" --address "$address" --placement spread --run-dir "$out"
pipepita status "$out"   # from another terminal while it runs: each stage, where it is, how busy it is
pipepita evaluate "$out" # the reported accuracy again, from the last checkpoint
