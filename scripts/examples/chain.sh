#!/usr/bin/env bash
# A chain of devices from one file: simulated first, then for real, with one Ray actor per device on this host.
set -euo pipefail
here=$(dirname "$0")
out=${1:-chain}

mkdir -p "$out"
pipepita simulate "$here/chain.toml" --page "$out/chain.html"       # who is how late, at what rate, with what memory
pipepita online "$here/chain.toml" > "$out/predictions.jsonl"       # the same chain, at the speed of this machine
wc -l < "$out/predictions.jsonl"                                    # one prediction per item, made before its label
# On two hosts of a Ray cluster: pipepita online chain.toml --address auto --placement 10.0.0.11,10.0.0.12
