# Sourced by the other scripts: where things are, and how a job of several workers runs.
set -uo pipefail
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
PYTHON="${PYTHON:-python}"
MSRUN="${MSRUN:-msrun}"
export PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONSAFEPATH=1       # the folder of a script must not hide modules
export GLOG_v="${GLOG_v:-3}"  # MindSpore: errors only

usage() { echo "usage: bash $(basename "$0") $1" >&2; exit 2; }

need_folder() {
  [ -f "$1/dataset.json" ] || { echo "$1: expected a prepared dataset (dataset.json), found none" >&2; exit 2; }
}

need_count() {
  [[ "$1" =~ ^[1-9][0-9]*$ ]] || { echo "N: expected a number of workers, found $1" >&2; exit 2; }
}

# run_workers N TARGET DATASET [flags of mindspore_port.train ...]
run_workers() {
  local workers="$1" target="$2" dataset="$3"
  shift 3
  local logs="${LOG_DIR:-runs/mindspore/workers}"
  rm -rf "$logs"
  mkdir -p "$logs"
  echo "$workers workers on $target; logs: $logs/worker_*.log"
  "$MSRUN" --worker_num="$workers" --local_worker_num="$workers" \
    --master_port="${MASTER_PORT:-8118}" --log_dir="$logs" --join=True \
    --cluster_time_out="${CLUSTER_TIME_OUT:-300}" \
    "$ROOT/mindspore_port/train.py" --run_distribute true --device_target "$target" \
    --dataset_path "$dataset" "$@" >"$logs/msrun.log" 2>&1
  local status=$?
  if [ "$status" -ne 0 ]; then
    local dead log
    # msrun names the process that died first; each worker's log begins with its process
    dead="$(sed -nE 's/.*Worker process ([0-9]+) exit with exception.*/\1/p' "$logs/msrun.log" | head -n 1)"
    log="$(grep -lE "process ${dead:-none}\$" "$logs"/worker_*.log 2>/dev/null | head -n 1)"
    # one that died before that line has written an error
    log="${log:-$(grep -lE '^train: |Error|Traceback' "$logs"/worker_*.log 2>/dev/null | head -n 1)}"
    grep -hE 'Worker process .* exit with exception' "$logs/msrun.log" | sed 's/.*Worker/worker/' >&2
    echo "the job ended with status $status; see ${log:-$logs/msrun.log}:" >&2
    tail -n 20 "${log:-$logs/msrun.log}" >&2
    exit 1
  fi
  cat "$logs/worker_0.log"
}
