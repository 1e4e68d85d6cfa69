#!/usr/bin/env bash
# Train with several processes of one machine, or of NNODES machines:
#   tools/dist_train.sh CONFIG PROCESSES [arguments of train.py]
# One process per GPU; without a GPU they run on the CPU.
set -euo pipefail

if [ $# -lt 2 ]; then
    sed -n '2,4s/^# //p' "$0" >&2
    exit 2
fi
config=$1
processes=$2
here=$(cd "$(dirname "$0")" && pwd)

# A single machine needs no port that all agree on, so a free one is taken.
if [ "${NNODES:-1}" = 1 ] && [ -z "${PORT:-}" ]; then
    rendezvous=(--standalone)
else
    rendezvous=(--nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}"
        --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}")
fi
exec "${PYTHON:-python}" -m torch.distributed.run "${rendezvous[@]}" --nproc_per_node="$processes" \
    "$here/train.py" "$config" --launcher pytorch "${@:3}"
