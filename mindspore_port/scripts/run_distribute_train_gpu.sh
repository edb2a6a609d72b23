#!/usr/bin/env bash
# Train on N GPUs: bash run_distribute_train_gpu.sh N DATASET [flags of train]
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
[ $# -ge 2 ] || usage "N DATASET [--name value ...]"
need_count "$1"
need_folder "$2"
workers="$1" dataset="$2"
shift 2
run_workers "$workers" GPU "$dataset" "$@"
