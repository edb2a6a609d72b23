#!/usr/bin/env bash
# Train on N Ascend devices: bash run_distribute_train.sh N DATASET [RANK_TABLE] [flags of train]
# DEVICE_TARGET=CPU bash run_distribute_train.sh 2 DATASET   runs two workers on a CPU.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
[ $# -ge 2 ] || usage "N DATASET [RANK_TABLE] [--name value ...]"
need_count "$1"
need_folder "$2"
workers="$1" dataset="$2"
shift 2
if [ $# -gt 0 ] && [ "${1#--}" = "$1" ]; then
  [ -f "$1" ] || { echo "$1: expected a rank table file, found none" >&2; exit 2; }
  RANK_TABLE_FILE="$(cd "$(dirname "$1")" && pwd)/$(basename "$1")"
  export RANK_TABLE_FILE
  shift
fi
run_workers "$workers" "${DEVICE_TARGET:-Ascend}" "$dataset" "$@"
