#!/usr/bin/env bash
# Trains AutoNovel, UNO and crNCD on CIFAR-10 (5 known classes, 5 novel ones) on one GPU within nine minutes, and prints
# what they find beside what is published for schedules that are 13 to 55 times as long.
#
#   scripts/gpu/cifar10_ncd.sh DATA                  DATA holds train/CLASS/*.jpg and test/CLASS/*.jpg
#   scripts/gpu/cifar10_ncd.sh DATA --tiny           the same on a CPU, one epoch on 80 images: does it run?
#   scripts/gpu/cifar10_ncd.sh DATA --scale 4 --minutes 40      four times the epochs
#
# Run it again to go on: what is done is kept, and a training that was stopped goes on from its last checkpoint.
# ResNet-18, bf16 where the GPU has it, channels last, images in memory, views made on the GPU. The recipes lie beside
# this script and say what they shorten. Options: --out FOLDER (default runs/cifar10-ncd), --minutes N (9), --scale X (1),
# --device NAME (cuda). The time is for a GPU of the class of an H100.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
ncd=${NCD:-ncd}
python=${PYTHON:-python3}

usage() { sed -n '2,/^set/p' "$0" | sed '/^set/d; s/^# \{0,1\}//'; exit "${1:-0}"; }
data='' out='' tiny=0 minutes=9 scale=1 device=cuda
while (($#)); do
  case $1 in
    -h | --help) usage ;;
    --tiny) tiny=1 ;;
    --out) out=$2; shift ;;
    --minutes) minutes=$2; shift ;;
    --scale) scale=$2; shift ;;
    --device) device=$2; shift ;;
    -*) echo "no option $1" >&2; usage 2 >&2 ;;
    *) data=$1 ;;
  esac
  shift
done
[[ $data && -d $data/train && -d $data/test ]] || { echo "give the folder that holds train/ and test/" >&2; exit 2; }
[[ $minutes =~ ^[0-9]+$ ]] || { echo "--minutes takes a whole number" >&2; exit 2; }
data=$(cd "$data" && pwd)
out=${out:-runs/cifar10-ncd}
((tiny)) && out=$out-tiny device=cpu
mkdir -p "$out"
out=$(cd "$out" && pwd)

times() { awk -v epochs="$1" -v scale="$scale" 'BEGIN { n = int(epochs * scale + 0.5); print n < 1 ? 1 : n }'; }

settings=()
if ((tiny)); then  # links to the first images of each class
  for part in train test; do
    count=$([[ $part == train ]] && echo 8 || echo 2)
    for class in "$data/$part"/*/; do
      mkdir -p "$out/data/$part/$(basename "$class")"
      find "$class" -name '*.jpg' | sort | awk -v n="$count" 'NR <= n' | while read -r file; do
        ln -sf "$file" "$out/data/$part/$(basename "$class")/"
      done
    done
  done
  data=$out/data
  settings=(--set pretrain.epochs=1 --set pretrain.schedule.warmup_epochs=0 --set pretrain.batch_size=32
    --set joint_training.epochs=1 --set joint_training.schedule.warmup_epochs=0 --set joint_training.batch_size=50)
fi

complete=1
for method in autonovel uno crncd; do
  recipe=$here/cifar10-$method.yaml
  case $method in autonovel) epochs=15 ;; uno) epochs=12 ;; crncd) epochs=9 ;; esac
  own=("${settings[@]}")
  ((tiny)) || own=(--set pretrain.epochs="$(times 40)" --set joint_training.epochs="$(times "$epochs")")
  left=$((minutes * 60 - SECONDS - 5))
  code=0
  if ((left > 0)); then
    timeout --signal=INT --kill-after=60 "$left" \
      "$ncd" run "$recipe" --run "$out/$method" --set data.root="$data" "${own[@]}" --device "$device" --until evaluate \
      >"$out/$method.txt" || code=$?
  else
    code=124
  fi
  if ((code == 124 || code == 130 || code == 137)); then
    complete=0
    break
  elif ((code)); then
    exit "$code"
  fi
done

"$python" - "$out" <<'PYTHON'
import json, sys
from pathlib import Path

PUBLISHED = {"autonovel": ("AutoNovel", "200", "91.7"), "uno": ("UNO", "500", "93.6 to 96.1"), "crncd": ("crNCD", "500", "none confirmed")}
row = "{:<10} {:>8} {:>18} {:>8}   {}".format
print(row("method", "epochs", "published epochs", "ours", "published"))
for name, (method, theirs, published) in PUBLISHED.items():
    run = Path(sys.argv[1]) / name
    scores = run / "evaluate/metrics.json"
    if not scores.is_file():
        print(row(method, "", theirs, "not yet", published))
        continue
    novel = json.loads(scores.read_text("utf-8"))["ncd_task_aware"]["unlabelled"]["novel"]
    epochs = json.loads((run / "joint_training/model.json").read_text("utf-8"))["training"]["epochs"]
    print(row(method, epochs, theirs, f"{100 * novel:.1f}", published))
print("accuracy on the pool's novel classes (ncd_task_aware), %, last epoch, one seed, CIFAR-10 as JPEG files")
PYTHON
if ((!complete)); then
  echo "time is up after $SECONDS s; the state is saved: run the same command again to go on" >&2
  exit 3
fi
echo "done in $SECONDS s; \`$ncd compare $out/*/\` shows more" >&2
