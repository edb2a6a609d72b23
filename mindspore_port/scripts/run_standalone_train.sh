#!/usr/bin/env bash
# Train on one device: bash run_standalone_train.sh DEVICE_ID TARGET DATASET [flags of train]
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
[ $# -ge 3 ] || usage "DEVICE_ID TARGET DATASET [--name value ...]"
need_folder "$3"
device="$1" target="$2" dataset="$3"
shift 3
exec "$PYTHON" -m mindspore_port.train --device_id "$device" --device_target "$target" \
  --dataset_path "$dataset" "$@"
