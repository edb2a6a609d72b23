#!/usr/bin/env bash
# Evaluate on the stream: bash run_eval.sh DEVICE_ID TARGET DATASET CKPT [flags of eval]
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
[ $# -ge 4 ] || usage "DEVICE_ID TARGET DATASET CKPT [--name value ...]"
need_folder "$3"
device="$1" target="$2" dataset="$3" checkpoint="$4"
shift 4
exec "$PYTHON" -m mindspore_port.eval --device_id "$device" --device_target "$target" \
  --dataset_path "$dataset" --checkpoint_path "$checkpoint" "$@"
